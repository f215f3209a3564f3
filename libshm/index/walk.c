/* SPDX-License-Identifier: MIT */
/*
 * The walk goes through the directory, and for each of its segments through all home buckets. A bucket that was moved to a child is
 * read there: in the child that belongs to the directory entry being walked. So a segment that splits under the walk is
 * left in one part of its hashes only, and the walk then goes on with the directory entry behind the smallest part that it
 * met; what it had read of the other part already is read again.
 */
#include "index/walk.h"

#include "arena/segment.h"

#define LIFE_FACTOR 0x9e3779b1u /* odd, so each of the generations gives another */

/* The segment in which the bucket of a directory entry is now, and its depth. */
static uint32_t current_segment(const struct arena *arena, uint32_t directory, uint32_t home, uint32_t *ret_depth)
{
	uint64_t hash = (uint64_t)directory << (64 - arena->directory_bits); /* any that has these highest bits */
	uint32_t segment = index_segment(arena, hash);

	/* As index_home goes. */
	for (uint32_t steps = 0; segment < arena->segment_count && steps < arena->segment_count; steps++) {
		uint64_t control = load_acquire(&index_buckets(arena, segment)[home].control); /* A18 <- R18 */

		*ret_depth = load_relaxed(&arena->table[segment].depth);
		if (!(control & CONTROL_MOVED))
			return segment;
		segment = index_child(arena, segment, hash);
	}
	return arena->segment_count;
}

bool index_walk_next(const struct arena *arena, struct index_walk *walk, struct index_chain *ret_chain)
{
	uint32_t directory_size = 1u << arena->directory_bits;

	while (walk->directory < directory_size) {
		uint32_t depth = 0;

		if (walk->home < arena->homes) {
			uint32_t home = walk->home++;
			uint32_t segment = current_segment(arena, walk->directory, home, &depth);

			if (depth > walk->depth)
				walk->depth = depth;
			if (segment >= arena->segment_count)
				continue;
			walk->life = segment ^ segment_load(arena, segment).generation * LIFE_FACTOR;
			index_read_chain(arena, segment, home, ret_chain);
			return true;
		}
		if (walk->depth > arena->directory_bits)
			walk->depth = arena->directory_bits;
		/* The next part of the hashes that is as small as the smallest one met. */
		walk->directory = (walk->directory >> (arena->directory_bits - walk->depth)) + 1;
		walk->directory <<= arena->directory_bits - walk->depth;
		walk->depth = 0;
		walk->home = 0;
	}
	return false;
}
