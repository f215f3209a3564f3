/* SPDX-License-Identifier: MIT */
/* What scenarios begin with: a small arena, and threads of one client that use it. */
#ifndef LARDER_TESTS_WEAK_STAGE_H
#define LARDER_TESTS_WEAK_STAGE_H

#include "daemon/reclaim.h"
#include "tests/unit/support/objects.h"
#include "tests/weak/weak.h"

extern struct world stage_world;
extern struct arena *stage_arena;
extern struct cache_thread stage_threads[WEAK_THREADS]; /* one for each of a scenario's */

enum stage_mode { STAGE_PLAIN, STAGE_FENCED };

/* plain: sections without barriers, and a keeper with membarrier(2); fenced: the other way round. */
void stage_open(enum stage_mode mode, unsigned threads);

/* All that was prepared is known to all threads; memory is shared from here on. */
void stage_share(void);

/* Keys of 20 bytes, for which read.c has a way of its own. All belong in one bucket, and a split would part those of even numbers from the others. */
const char *stage_key(unsigned number);
#define STAGE_KEY_BYTES 20

/* As cache_get of the key, with nothing checked. */
int stage_look(unsigned thread, const char *key, char value[64], struct larder_item *ret_item);

/* A write of a key and a text. */
int stage_write(unsigned thread, enum write_operation operation, const char *key, const char *value, size_t value_size,
                uint64_t version, int64_t delta, struct write_result *ret_result);

/* Values of 40 bytes, all the same letter. */
void stage_set(unsigned thread, const char *key, char letter);
void stage_set_by(struct cache_thread *thread, const char *key, char letter);
void stage_replace(unsigned thread, const char *key, char letter); /* of a key that is there */
bool stage_delete(unsigned thread, const char *key);               /* whether it was there */

/* The letter of the value, or 0: there is none. A value of more than one letter is a failure. */
char stage_get(unsigned thread, const char *key);

/* As stage_get, by a view that is looked at after the section. */
char stage_view(unsigned thread, const char *key);

#endif
