/* SPDX-License-Identifier: MIT */
/*
 * Extents: runs of whole segments, each for one object that is larger than a segment. The first segment is the head, and
 * everybody who pins, condemns, expires or evicts does so by the head's state word alone; the others only continue it.
 *
 *	keeper	RESERVE ... -> the others EXTENT, then the head READY
 *	writer	READY -> OPEN: one compare-and-swap of the head takes the extent, in the length that is needed
 *	keeper	OPEN -> CONDEMNED -> (unlinked, grace period, no pin) -> RETIRED, then the others and the head are recycled
 *
 * Only a head that is OPEN, CONDEMNED or READY covers what comes after it. A segment that continues an extent and is covered by
 * no head is an orphan, in which nothing can be: what a keeper left that died, or the end of an extent that was taken
 * shorter than it was made. The keeper looks for such (daemon/extents.h); there is nothing else to be repaired.
 */
#ifndef LARDER_ARENA_EXTENT_H
#define LARDER_ARENA_EXTENT_H

#include "arena/segment.h"

/*
 * How many segments begin with one: more than 1 if it is the head of an extent. The word may say anything; what is
 * returned lies inside the arena.
 */
static inline uint32_t extent_length(const struct arena *arena, uint32_t segment, struct segment_word word)
{
	uint32_t length = word.next_chunk / arena->chunks;

	if (word.state != SEGMENT_OPEN && word.state != SEGMENT_CONDEMNED && word.state != SEGMENT_READY)
		return 1;
	if (length < 2 || word.next_chunk % arena->chunks != 0 || length > arena->segment_count - segment)
		return 1;
	return length;
}

/* The segments that an object of so many bytes needs. */
uint32_t extent_length_for(const struct arena *arena, uint64_t size);

/* What the largest object needs. */
uint32_t extent_length_max(const struct arena *arena);

/* The class of a length from 2 on. */
static inline uint32_t extent_class(uint32_t length)
{
	uint32_t extent_class = 31 - (uint32_t)__builtin_clz(length - 1);

	return extent_class < EXTENT_CLASSES ? extent_class : EXTENT_CLASSES - 1;
}

/*
 * Takes an extent that is ready, for a slab. False: there is none of its class and at least its length, or
 * its tenant may not have so much. Lock-free; what a
 * writer that is killed in it leaves is found by the keeper. As with any segment, the caller looks at the state once more when it
 * has pinned it.
 */
bool extent_take(const struct arena *arena, uint32_t slab, uint32_t length, uint64_t now_ms, uint32_t *ret_segment,
                 uint32_t *ret_generation);

/* Asks for one. The caller wakes the keeper and waits, as for any memory. */
void extent_want(const struct arena *arena, uint32_t tenant, uint32_t length);

/* Keeper: makes the extent of segments that are all in reserve. */
void extent_offer(const struct arena *arena, uint32_t segment, uint32_t length, uint64_t now_ms);

#endif
