/* SPDX-License-Identifier: MIT */
#include "daemon/growth.h"

#include "daemon/log.h"
#include "index/index.h"
#include "index/split.h"

#define HOMES_PER_RUN 2048u /* a millisecond or two */
#define URGENT_PART 8u      /* all but one part in so many of the overflow buckets are taken */
#define SPLIT_LOAD 4u       /* keys for each home, at the least, of a segment that is split; of 7 slots */

void growth_init(struct growth *growth)
{
	*growth = (struct growth){ .segment = GROWTH_NONE, .rebuild = GROWTH_NONE };
}

void growth_rebuild(struct growth *growth, uint32_t segment)
{
	growth->rebuild = segment;
}

/*
 * Whether the directory names the segment. One that a split left unfinished is named for a part of its hashes at least. Only keepers
 * write to the directory and to the children, and an earlier one's end comes before the next one's beginning: so no order is needed.
 */
static bool in_directory(const struct arena *arena, uint32_t segment)
{
	for (uint32_t i = 0; i < 1u << arena->directory_bits; i++)
		if (load_relaxed(&arena->directory[i]) == segment)
			return true;
	return false;
}

/* Whether a split of which it is a child is unfinished. */
static bool is_child(const struct arena *arena, uint32_t segment)
{
	for (uint32_t parent = arena->system_segments; parent < arena->segment_count; parent++) {
		uint64_t children = load_relaxed(&arena->table[parent].children);

		if (children && segment_load(arena, parent).state == SEGMENT_INDEX &&
		    ((uint32_t)children == segment || (uint32_t)(children >> 32) == segment))
			return true;
	}
	return false;
}

bool growth_reachable(const struct arena *arena, uint32_t segment)
{
	return in_directory(arena, segment) || is_child(arena, segment);
}

/*
 * Chooses the segment to be split: one that was begun comes first, since its children must not be split before all its buckets
 * have moved; then the one that is the most crowded.
 */
static uint32_t choose(const struct arena *arena)
{
	uint32_t crowded = GROWTH_NONE, used, most = 0;

	for (uint32_t segment = arena->system_segments; segment < arena->segment_count; segment++) {
		if (segment_load(arena, segment).state != SEGMENT_INDEX)
			continue;
		if (load_relaxed(&arena->table[segment].children) != 0)
			return segment;
		used = load_relaxed(&arena->table[segment].overflow_used);
		if (index_crowded(arena, segment) && used > most) {
			crowded = segment;
			most = used;
		}
	}
	return crowded;
}

/* Whether a crowded segment has really as many keys as that; if not, it is only that keys came and went. */
static bool loaded(const struct arena *arena, uint32_t segment)
{
	struct bucket *buckets = index_buckets(arena, segment);
	uint32_t keys = 0;

	for (uint32_t b = 0; b < arena->homes + arena->overflows; b++)
		for (int i = 0; i < BUCKET_SLOTS; i++)
			keys += slot_is_object(load_relaxed(&buckets[b].slots[i]));
	return keys >= arena->homes * SPLIT_LOAD;
}

/* Nothing more can be done for a segment now. It is looked at again when more of its overflow buckets are taken. */
static void leave_crowded(const struct arena *arena, uint32_t segment)
{
	if (index_crowded(arena, segment))
		store_relaxed(&arena->table[segment].overflow_used, arena->overflows / 4 * 3);
}

/* Begins with a segment. False: it cannot be now. */
static bool begin(struct growth *growth, const struct arena *arena, uint32_t segment)
{
	struct segment_entry *entry = &arena->table[segment];
	bool full, begun;

	if (load_relaxed(&entry->children) == 0) {
		full = segment != growth->rebuild && loaded(arena, segment);
		if (full && load_relaxed(&entry->depth) >= arena->directory_bits) {
			leave_crowded(arena, segment); /* the directory is as fine as it can be */
			return false;
		}
		begun = full ? split_begin(arena, segment) : split_begin_rebuild(arena, segment);
		if (!begun) {
			growth->segments_wanted = full ? 2 : 1;
			return false;
		}
	}
	growth->segment = segment;
	growth->next_home = 0;
	growth->rebuild = GROWTH_NONE;
	return true;
}

/*
 * Hashes are spread evenly, so all segments of a depth become crowded at about the same time, and the last one may be full before its
 * turn comes. Its split is begun at once: then writers move those buckets that they find full (cache/write.c), and need not wait.
 */
static void begin_urgent(struct growth *growth, const struct arena *arena)
{
	for (uint32_t segment = 0; segment < arena->segment_count; segment++) {
		const struct segment_entry *entry = &arena->table[segment];

		if (segment_load(arena, segment).state != SEGMENT_INDEX || load_relaxed(&entry->children) != 0 ||
		    load_relaxed(&entry->overflow_used) < arena->overflows / URGENT_PART * (URGENT_PART - 1) ||
		    load_relaxed(&entry->depth) >= arena->directory_bits || is_child(arena, segment) ||
		    !loaded(arena, segment))
			continue;
		if (!split_begin(arena, segment)) {
			growth->segments_wanted = 2;
			return;
		}
	}
}

/* Of a segment of which the table says what cannot be, nothing can be done but not to try for ever. */
static void give_up(struct growth *growth, const struct arena *arena)
{
	log_line(LOG_WARNING, "some process wrote over what the arena says of index segment %u: it is not split",
	         growth->segment);
	store_relaxed(&arena->table[growth->segment].children, 0);
	store_relaxed(&arena->table[growth->segment].overflow_used, 0);
	growth->segment = GROWTH_NONE;
}

bool growth_run(struct growth *growth, const struct arena *arena, uint32_t *ret_retired)
{
	*ret_retired = GROWTH_NONE;
	if (growth->segment == GROWTH_NONE) {
		uint32_t segment = choose(arena);

		if (segment == GROWTH_NONE && growth->rebuild != GROWTH_NONE &&
		    segment_load(arena, growth->rebuild).state == SEGMENT_INDEX)
			segment = growth->rebuild;
		growth->segments_wanted = 0;
		if (segment == GROWTH_NONE || !begin(growth, arena, segment))
			return false;
	}
	begin_urgent(growth, arena);
	for (uint32_t i = 0; i < HOMES_PER_RUN && growth->next_home < arena->homes; i++) {
		if (!split_bucket(arena, growth->segment, growth->next_home++)) {
			give_up(growth, arena);
			return false;
		}
	}
	if (growth->next_home < arena->homes)
		return true;
	if (split_finish(arena, growth->segment)) {
		uint64_t children = load_relaxed(&arena->table[growth->segment].children);
		bool rebuilt = (uint32_t)children == children >> 32;

		*ret_retired = growth->segment;
		fetch_add_relaxed(rebuilt ? &arena->header->index_rebuilds : &arena->header->index_splits, 1);
		if (rebuilt && (uint32_t)children < arena->segment_count)
			leave_crowded(arena, (uint32_t)children); /* few keys, but in long chains: as good as it gets */
	}
	growth->segment = GROWTH_NONE;
	return true;
}
