/* SPDX-License-Identifier: MIT */
/* What is in the arena of a scenario: the keys that its operation is about, and those of others. */
#ifndef LARDER_STEP_SCENE_H
#define LARDER_STEP_SCENE_H

#include "tests/step/stage.h"

#define SUBJECTS_MAX 4
#define OTHERS_MAX 1024
#define VALUE_MAX 4096
#define LIFE_MS UINT64_C(1000000000) /* of what expires, but not while the test runs */

/* What a key shall be set to. text NULL: nothing. */
struct value {
	const char *text;
	uint64_t ttl_ms;
	uint32_t flags;
	bool counter;
};

/* What a client finds under a key. */
struct reading {
	bool present, expires;
	uint32_t flags, size;
	uint64_t version; /* not compared */
	char bytes[VALUE_MAX];
};

/* Somebody else's key. What may be evicted or displaced by what the scenario does is fragile: it may be gone, but not wrong. */
struct other {
	struct key key;
	uint32_t size; /* of the value */
	bool fragile;
};

struct scene {
	struct stage stage;
	uint32_t next; /* number from which to look for a key */
	uint32_t subject_count, other_count;
	struct key subjects[SUBJECTS_MAX];
	struct other others[OTHERS_MAX];
	uint64_t version; /* of the first subject, before the operation */
	bool tight;       /* memory is so short that others may fail to write */
	bool dead;        /* a client was killed before, and its control page is left */
};

void scene_open(struct scene *scene, uint64_t seed, uint32_t subjects);
void scene_close(struct scene *scene);

/* Gives a subject, which is not stored yet, another key: one of the home bucket of the first subject. */
void scene_join(struct scene *scene, uint32_t subject);

/* Stores somebody else's keys: any, or ones of the home bucket of the first subject. */
void scene_fill(struct scene *scene, uint32_t count);
void scene_crowd(struct scene *scene, uint32_t count);

/* Keys with large values, until no segment is free. */
void scene_fill_up(struct scene *scene);

/* Keys that have expired when the clock is put forward; they are fragile. */
void scene_fill_short(struct scene *scene, uint32_t count, uint64_t ttl_ms);

/* All others stored so far may go. */
void scene_make_fragile(struct scene *scene);

/* Stores a subject as it is before the operation. */
void scene_put(struct scene *scene, uint32_t subject, const struct value *value);

/* The bucket in which the first subject belongs, wherever that is now. */
struct bucket *scene_bucket(const struct scene *scene, uint32_t *ret_segment);

/* Whether a client finds somebody else's key as it was stored, or, where that may be, not at all. */
bool other_intact(struct cache_thread *thread, const struct other *other);

void reading_take(struct cache_thread *thread, const struct key *key, struct reading *ret_reading);
void reading_of(const struct value *value, struct reading *ret_reading);
bool reading_equal(const struct reading *a, const struct reading *b);

#endif
