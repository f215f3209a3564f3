/* SPDX-License-Identifier: MIT */
/* Emptying a condemned segment: what is worth it is moved elsewhere, the rest is unlinked from the index. */
#ifndef LARDER_DAEMON_EVACUATE_H
#define LARDER_DAEMON_EVACUATE_H

#include "cache/cache.h"
#include "daemon/policy.h"

#define RESERVE_MAX 16

/*
 * The keeper's means of moving objects: it allocates like any writer, and has segments in reserve for when no other is free. Nothing of
 * it need survive the keeper.
 */
struct evacuator {
	struct cache_thread *keeper;
	uint32_t reserve_wanted, reserve_count;
	uint32_t reserve[RESERVE_MAX];
	uint64_t living; /* objects met alive in an evicted segment, a moving average; times LIVING_WEIGHT */
};

void evacuator_init(struct evacuator *evacuator, struct cache_thread *keeper);

/* The arena has another size: so has the reserve. */
void evacuator_fit(struct evacuator *evacuator, uint32_t segments);

/* Whether the reserve wants one more segment. */
bool evacuator_wants(const struct evacuator *evacuator);

/* Gives it one, in state SEGMENT_RESERVE. */
void evacuator_give(struct evacuator *evacuator, uint32_t segment);

/* Takes a segment out of the reserve again, if it is there. */
void evacuator_withdraw(struct evacuator *evacuator, uint32_t segment);

/* For how many evictions a ghost counts: as many as there are objects in so many segments of the main pool. */
uint64_t evacuator_ghost_window(const struct evacuator *evacuator, uint32_t main_segments);

/* Unlinks every object of a condemned segment that has no writer. Everything in it has expired. */
void evacuate_expired(const struct arena *arena, uint32_t segment);

/*
 * The same, but what the policy keeps is moved, so far as there is room. The object of an extent is never moved: if the policy keeps
 * it, it may stay. False: it does; the segment must be opened again.
 */
bool evacuate_evicted(struct evacuator *evacuator, const struct policy *policy, uint32_t segment, bool may_stay);

/*
 * The same, but every living object is moved. False: there is no room for all, or it is an extent; the segment must be opened
 * again.
 */
bool evacuate_compacted(struct evacuator *evacuator, uint32_t segment);

#endif
