/* SPDX-License-Identifier: MIT */
#include "daemon/growth.h"

#include "index/index.h"
#include "index/split.h"

#define HOMES_PER_RUN 2048u /* a millisecond or two */

void growth_init(struct growth *growth)
{
	*growth = (struct growth){ .segment = GROWTH_NONE };
}

/* Whether the directory names the segment. One that a split left unfinished is named for a part of its hashes at least. */
static bool in_directory(const struct arena *arena, uint32_t segment)
{
	for (uint32_t i = 0; i < 1u << arena->directory_bits; i++)
		if (load_acquire(&arena->directory[i]) == segment) /* A11 <- R11 */
			return true;
	return false;
}

bool growth_reachable(const struct arena *arena, uint32_t segment)
{
	if (in_directory(arena, segment))
		return true;
	for (uint32_t parent = 0; parent < arena->segment_count; parent++) {
		uint64_t children = load_acquire(&arena->table[parent].children); /* A12 <- R12 */

		if (children && segment_load(arena, parent).state == SEGMENT_INDEX &&
		    ((uint32_t)children == segment || (uint32_t)(children >> 32) == segment))
			return true;
	}
	return false;
}

/*
 * Chooses the segment to be split: one that an earlier keeper began comes first, since its children must not be split
 * before all its buckets have moved; then one that is crowded.
 */
static uint32_t choose(const struct arena *arena)
{
	uint32_t crowded = GROWTH_NONE;

	for (uint32_t segment = 0; segment < arena->segment_count; segment++) {
		if (segment_load(arena, segment).state != SEGMENT_INDEX)
			continue;
		if (load_relaxed(&arena->table[segment].children) != 0)
			return segment;
		if (index_crowded(arena, segment) && load_relaxed(&arena->table[segment].depth) < arena->directory_bits)
			crowded = segment;
	}
	return crowded;
}

bool growth_run(struct growth *growth, const struct arena *arena, uint32_t *ret_retired)
{
	*ret_retired = GROWTH_NONE;
	if (growth->segment == GROWTH_NONE) {
		uint32_t segment = choose(arena);

		growth->segments_wanted = 0;
		if (segment == GROWTH_NONE)
			return false;
		if (load_relaxed(&arena->table[segment].children) == 0 && !split_begin(arena, segment)) {
			growth->segments_wanted = 2;
			return false;
		}
		growth->segment = segment;
		growth->next_home = 0;
	}
	for (uint32_t i = 0; i < HOMES_PER_RUN && growth->next_home < arena->homes; i++)
		split_bucket(arena, growth->segment, growth->next_home++);
	if (growth->next_home < arena->homes)
		return true;
	split_finish(arena, growth->segment);
	*ret_retired = growth->segment;
	growth->segment = GROWTH_NONE;
	return true;
}
