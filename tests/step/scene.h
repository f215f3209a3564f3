/* SPDX-License-Identifier: MIT */
/* What is in the arena of a scenario: the keys that its operation is about, and those of others. */
#ifndef LARDER_STEP_SCENE_H
#define LARDER_STEP_SCENE_H

#include "tests/step/reading.h"
#include "tests/step/stage.h"

#define SUBJECTS_MAX 4
#define OTHERS_MAX 1024
#define LIFE_MS UINT64_C(1000000000) /* of what expires, but not while the test runs */

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

void scene_open(struct scene *scene, uint64_t seed, uint32_t subjects, bool usual_keys);
void scene_close(struct scene *scene);

/* Gives a subject, which is not stored yet, another key: one of the home bucket of the first subject. */
void scene_join(struct scene *scene, uint32_t subject);

/* Stores somebody else's keys: any, or ones of the home bucket of the first subject. */
void scene_fill(struct scene *scene, uint32_t count);
void scene_crowd(struct scene *scene, uint32_t count);

/* Keys with large values, until so many segments are free. */
void scene_fill_up(struct scene *scene, uint32_t segments_free);

/* A segment and a half of keys with large values, which are then written again, so that there is waste. */
void scene_waste(struct scene *scene);

/* Reads all keys so often, so that they are worth keeping. */
void scene_warm(struct scene *scene, uint32_t times);

/* Keys that have expired when the clock is put forward; they are fragile. */
void scene_fill_short(struct scene *scene, uint32_t count, uint64_t ttl_ms);

/* All others stored so far may go. */
void scene_make_fragile(struct scene *scene);

/* Segments in a state. */
uint32_t scene_count(const struct scene *scene, enum segment_state state);

/* Stores a subject as it is before the operation. */
void scene_put(struct scene *scene, uint32_t subject, const struct value *value);

/* The bucket in which the first subject belongs, wherever that is now. */
struct bucket *scene_bucket(const struct scene *scene, uint32_t *ret_segment);

/* Whether a client finds somebody else's key as it was stored, or, where that may be, not at all. */
bool other_intact(struct cache_thread *thread, const struct other *other);

#endif
