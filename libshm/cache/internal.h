/* SPDX-License-Identifier: MIT */
/* What the files of this folder share. */
#ifndef LARDER_CACHE_INTERNAL_H
#define LARDER_CACHE_INTERNAL_H

#include "cache/cache.h"
#include "index/index.h"

/* Adds to a counter of the thread's own line; nobody else writes it. */
static inline void count(atomic_u64 *counter, uint64_t by)
{
	store_relaxed(counter, load_relaxed(counter) + by);
}

/* Whether the object's life is over. Reads the clock only when the object has an end at all. */
static inline __attribute__((always_inline)) bool cache_expired(const struct arena *arena,
                                                                const struct object_view *object, uint64_t *ret_ttl_ms)
{
	uint64_t now_ms;

	*ret_ttl_ms = 0;
	if (object->expires_ms == 0)
		return false;
	now_ms = arena_now_ms(arena);
	if (object->expires_ms <= now_ms)
		return true;
	*ret_ttl_ms = object->expires_ms - now_ms;
	return false;
}

#define NUMBER_TEXT 21 /* "-9223372036854775808" and a zero byte */

/* Decimal text of a number into a buffer of NUMBER_TEXT bytes. Return: its length. */
uint32_t number_format(int64_t number, char text[NUMBER_TEXT]);

/* The number a text is: an optional minus and digits, nothing else, within 64 bits. False: it is none. */
bool number_parse(const unsigned char *text, size_t size, int64_t *ret_number);

/* Tells the keeper that memory is short. */
void cache_wake_keeper(const struct cache *cache);

/* counter.c: adds to the counter or number in its place; see write.c for the results. */
int counter_add(struct cache_thread *thread, const struct index_chain *chain, int64_t delta, uint64_t now_version,
                struct write_result *ret_result);

/*
 * Stops a counter from changing in place, so that its value can be carried to a new object. With expected not 0, only when
 * that is its version. The words are given back unless the section was revoked.
 */
enum freeze { FREEZE_DONE, FREEZE_CHANGED, FREEZE_REVOKED };
enum freeze counter_freeze(const struct epoch_reader *reader, struct counter *counter, uint64_t expected,
                           int64_t *ret_value, uint64_t *ret_version);

#endif
