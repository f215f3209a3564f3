/* SPDX-License-Identifier: MIT */
/*
 * A segment is split when it has SPLIT_LOAD keys for each home, and two siblings are merged when they have MERGE_LOAD together. So what a split left
 * must lose three quarters of its keys before it is merged, and what a merge left must get four times as many before it is split:
 * no coming and going of keys can make the index go to and fro.
 *
 * Merging is never urgent: it is begun when nothing is to be split, and with a segment that nobody waits for.
 */
#include "daemon/growth.h"

#include "daemon/log.h"
#include "index/index.h"
#include "index/split.h"

#define HOMES_PER_RUN 2048u /* a millisecond or two */
#define URGENT_PART 8u      /* all but one part in so many of the overflow buckets are taken */
#define SPLIT_LOAD 4u       /* keys for each home, at the least, of a segment that is split; of 7 slots */
#define MERGE_LOAD 1u       /* keys for each home, at the most, that two segments which are merged have together */
#define SAMPLE_HOMES 256u   /* looked at in order to know how many keys a segment has: hashes are spread evenly */
#define LOOKS_PER_RUN 4u    /* segments that are looked at for whether they are to be merged */

void growth_init(struct growth *growth)
{
	*growth = (struct growth){ .segment = GROWTH_NONE, .sibling = GROWTH_NONE, .rebuild = GROWTH_NONE };
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

/* Whether a split or merge of which it is a child is unfinished. */
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
	uint32_t sibling = split_sibling(arena, segment);

	/* While the directory names one of two that are being merged, either is needed to finish that. */
	return in_directory(arena, segment) || is_child(arena, segment) ||
	       (sibling < arena->segment_count && in_directory(arena, sibling));
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

/* How many keys there are in the first so many buckets of a segment. */
static uint32_t count_keys(const struct arena *arena, uint32_t segment, uint32_t bucket_count)
{
	struct bucket *buckets = index_buckets(arena, segment);
	uint32_t keys = 0;

	for (uint32_t b = 0; b < bucket_count; b++)
		for (int i = 0; i < BUCKET_SLOTS; i++)
			keys += slot_is_object(load_relaxed(&buckets[b].slots[i]));
	return keys;
}

/* Whether a crowded segment has really as many keys as that; if not, it is only that keys came and went. */
static bool loaded(const struct arena *arena, uint32_t segment)
{
	return count_keys(arena, segment, arena->homes + arena->overflows) >= arena->homes * SPLIT_LOAD;
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
		/* Nor is one built anew whose place is wanted: all that it has would hardly have room in one. */
		full = loaded(arena, segment);
		if (full && load_relaxed(&entry->depth) >= arena->directory_bits) {
			full = false; /* the directory is as fine as it can be */
			if (segment != growth->rebuild) {
				leave_crowded(arena, segment);
				return false;
			}
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
 * turn comes. Its split is begun at once: then writers move every bucket that they add a key to (index/index.c), and need not wait.
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

static bool is_index(const struct arena *arena, uint32_t segment)
{
	return segment >= arena->system_segments && segment < arena->segment_count &&
	       segment_load(arena, segment).state == SEGMENT_INDEX;
}

/* Whether two segments of the index have so few keys that one would do. */
static bool sparse(const struct arena *arena, uint32_t lower, uint32_t upper)
{
	uint32_t homes = arena->homes < SAMPLE_HOMES ? arena->homes : SAMPLE_HOMES;

	return count_keys(arena, lower, homes) + count_keys(arena, upper, homes) <= homes * MERGE_LOAD;
}

/* Begins to merge the segment that a directory entry names with the one behind it, if there is such a one and both are sparse. */
static bool begin_merge(struct growth *growth, const struct arena *arena, uint32_t entry, uint32_t depth)
{
	uint32_t lower = load_relaxed(&arena->directory[entry]);
	uint32_t next = entry + (1u << (arena->directory_bits - depth)), upper;

	if (depth == 0 || next >= 1u << arena->directory_bits)
		return false;
	upper = load_relaxed(&arena->directory[next]);
	if (!is_index(arena, upper) || load_relaxed(&arena->table[upper].depth) != depth ||
	    !sparse(arena, lower, upper) || !split_begin_merge(arena, lower, upper))
		return false;
	growth->segment = lower;
	growth->next_home = 0;
	return true;
}

void growth_resume_merge(const struct arena *arena, uint32_t segment)
{
	uint32_t upper = split_half_merged(arena, segment);

	if (upper >= arena->segment_count)
		return;
	if (sparse(arena, segment, upper))
		split_resume_merge(arena, segment);
	else
		split_leave_merge(arena, segment);
}

/* Goes round the directory, some segments at a time, for such as should be merged. False: none was met. */
static bool look_for_merge(struct growth *growth, const struct arena *arena)
{
	if (load_relaxed(&arena->header->free_segments) <= load_relaxed(&arena->header->free_low_mark))
		return false;
	for (uint32_t i = 0; i < LOOKS_PER_RUN; i++) {
		uint32_t entry = growth->next_entry & ((1u << arena->directory_bits) - 1);
		uint32_t segment = load_relaxed(&arena->directory[entry]);
		uint32_t depth = is_index(arena, segment) ? load_relaxed(&arena->table[segment].depth) : UINT32_MAX;

		if (depth > arena->directory_bits) /* the arena is scribbled on */
			depth = arena->directory_bits;
		growth->next_entry = entry + (1u << (arena->directory_bits - depth));
		if (is_index(arena, segment) && begin_merge(growth, arena, entry, depth))
			return true;
		if (growth->next_entry >> arena->directory_bits)
			break; /* once round is enough */
	}
	return false;
}

/* Of a segment of which the table says what cannot be, nothing can be done but not to try for ever. */
static void give_up(struct growth *growth, const struct arena *arena)
{
	log_line(LOG_WARNING,
	         "some process wrote over what the arena says of index segment %u: it is neither split nor merged",
	         growth->segment);
	store_relaxed(&arena->table[growth->segment].children, 0);
	store_relaxed(&arena->table[growth->segment].overflow_used, 0);
	growth->segment = GROWTH_NONE;
}

/* All buckets have moved. */
static void finish(struct growth *growth, const struct arena *arena, uint32_t *ret_retired)
{
	struct arena_header *header = arena->header;
	uint64_t children = load_relaxed(&arena->table[growth->segment].children);
	uint32_t sibling = split_sibling(arena, growth->segment), child = (uint32_t)children;
	atomic_u64 *counter = &header->index_splits;

	if (!split_finish(arena, growth->segment))
		return;
	*ret_retired = growth->segment;
	if (sibling < arena->segment_count) {
		growth->sibling = sibling;
		counter = &header->index_merges;
	} else if (child == children >> 32) {
		counter = &header->index_rebuilds;
		if (child < arena->segment_count)
			leave_crowded(arena, child); /* few keys, but in long chains: as good as it gets */
	}
	fetch_add_relaxed(counter, 1);
}

bool growth_run(struct growth *growth, const struct arena *arena, uint32_t *ret_retired)
{
	*ret_retired = growth->sibling;
	growth->sibling = GROWTH_NONE;
	if (*ret_retired != GROWTH_NONE)
		return true;
	if (growth->segment == GROWTH_NONE) {
		uint32_t segment = choose(arena);

		if (segment == GROWTH_NONE && growth->rebuild != GROWTH_NONE &&
		    segment_load(arena, growth->rebuild).state == SEGMENT_INDEX)
			segment = growth->rebuild;
		growth->segments_wanted = 0;
		if (segment == GROWTH_NONE ? !look_for_merge(growth, arena) : !begin(growth, arena, segment))
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
	finish(growth, arena, ret_retired);
	growth->segment = GROWTH_NONE;
	return true;
}
