/* SPDX-License-Identifier: MIT */
/* What the files of this folder share. */
#ifndef LARDER_CACHE_INTERNAL_H
#define LARDER_CACHE_INTERNAL_H

#include "cache/cache.h"
#include "index/index.h"

#define LIFE_MAX_MS (UINT64_C(1) << 50) /* longer lives are cut to 35,000 years */

/* Hybrid logical clock: milliseconds in the upper 48 bits; below them the fraction of the millisecond, or a count. */
static inline uint64_t version_of(uint64_t now_ns)
{
	return (now_ns / NS_PER_MS) << 16 | (now_ns % NS_PER_MS << 16) / NS_PER_MS;
}

/* The same of a time that is not known more exactly. */
static inline uint64_t version_at(uint64_t now_ms)
{
	return now_ms << 16;
}

/* When a life that begins now is over; 0: never. */
static inline uint64_t expiry_of(uint64_t now_ms, uint64_t ttl_ms)
{
	if (ttl_ms == 0)
		return 0;
	return now_ms + (ttl_ms < LIFE_MAX_MS ? ttl_ms : LIFE_MAX_MS);
}

/*
 * Whether the life of an object is over that expires then, 0 for never, at the time *now_ms; that is read when it is 0 and first
 * needed, so that a batch reads the clock once at most.
 */
static inline __attribute__((always_inline)) bool cache_expired(const struct arena *arena, uint64_t expires_ms,
                                                                uint64_t *now_ms, uint64_t *ret_ttl_ms)
{
	*ret_ttl_ms = 0;
	if (expires_ms == 0)
		return false;
	if (*now_ms == 0)
		*now_ms = arena_now_ms(arena);
	if (expires_ms <= *now_ms)
		return true;
	*ret_ttl_ms = expires_ms - *now_ms;
	return false;
}

/*
 * The same by the coarse clock, for a sixth of the time, unless the end is so near that it would not do. The life that is left is
 * given up to two ticks too short, and too long only by as much as a tick is late.
 */
static inline __attribute__((always_inline)) bool cache_expired_coarsely(const struct arena *arena, uint64_t expires_ms,
                                                                         uint64_t *ret_ttl_ms)
{
	uint64_t now_ms;

	*ret_ttl_ms = 0;
	if (expires_ms == 0)
		return false;
	now_ms = arena_coarse_ms(arena);
	if (__builtin_expect(expires_ms > now_ms + COARSE_LAG_MS, 1)) {
		*ret_ttl_ms = expires_ms - now_ms - COARSE_TICK_MS;
		return false;
	}
	now_ms = 0;
	return cache_expired(arena, expires_ms, &now_ms, ret_ttl_ms);
}

/*
 * A section is revoked when it has lasted so long that somebody waits for it, and each time that time is longer. So that a read is
 * bounded in any case, it finds nothing if that happens to it so many times in a row.
 */
#define READ_ATTEMPTS 10000

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
 * that is its version. The words are given back unless the section was revoked, or others were faster all the time.
 */
enum freeze { FREEZE_DONE, FREEZE_CHANGED, FREEZE_AGAIN };
enum freeze counter_freeze(const struct epoch_reader *reader, struct counter *counter, uint64_t expected,
                           int64_t *ret_value, uint64_t *ret_version);

#endif
