/* SPDX-License-Identifier: MIT */
/*
 * The problem: a bucket of a full index segment must become two, one in each child, while processes read and change it and
 * any of them may die; and nobody may wait.
 *
 * The idea: stop the bucket from changing, copy it by a rule that gives everybody the same result, then send everybody on.
 * Each of the four steps may be repeated, by anybody, any number of times:
 *
 *	1. complete a pending intent, then set the frozen bit of the control word: no insert can begin any more;
 *	2. set the frozen bit in every slot word, in chain order: no replace, delete or link can succeed any more;
 *	3. the chain is constant now, so all helpers derive the same list of words for each child from it. The n-th of a
 *	   list goes to the n-th place of the same home bucket in the child, by a compare-and-swap from never used; links to
 *	   overflow buckets likewise, and a bucket is filled only when the link to it is in place. Then every place that is
 *	   still never used becomes empty;
 *	4. set the moved bit of the control word.
 *
 * Why a helper that comes late harms nobody: after step 4 there is no never-used slot in the child, and there was none when
 * step 4 was taken by whoever took it; so all its compare-and-swaps fail. That holds even for a thread that was revoked
 * and computes its lists from recycled objects: objects of this bucket are recycled only after they were unlinked, for
 * which the keeper first moves the bucket. Nor is the child used again for something else meanwhile: a helper pins it first.
 *
 * Claims of overflow buckets are never given up, so where keys come and go a segment is crowded after a time although it has few.
 * Such a segment is built anew by the same steps, with one child of its own depth instead of two.
 *
 * Readers look at the control word first: moved, they go to the child; else they read the slots, frozen or not.
 */
#include "index/split.h"

#include "base/failpoint.h"
#include "index/index.h"

struct word_list {
	uint32_t count;
	uint64_t words[CHAIN_SLOTS];
};

static bool begin(const struct arena *arena, uint32_t segment, uint32_t count)
{
	struct segment_entry *entry = &arena->table[segment];
	uint32_t depth = load_relaxed(&entry->depth);
	uint32_t prefix = load_relaxed(&entry->prefix);
	uint32_t child[2];

	if (load_relaxed(&entry->children) != 0 || depth + count - 1 > arena->directory_bits)
		return false;
	if (!segment_take_index(arena, &child[0]))
		return false;
	failpoint("split.child_taken");
	child[1] = child[0];
	if (count == 2 && !segment_take_index(arena, &child[1])) {
		segment_recycle(arena, child[0]);
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		segment_clear_index(arena, child[i]);
		failpoint("split.child_cleared");
		store_relaxed(&arena->table[child[i]].depth, depth + count - 1);
		store_relaxed(&arena->table[child[i]].prefix,
		              i ? prefix | 1u << (arena->directory_bits - depth - 1) : prefix);
		segment_change(arena, child[i], SEGMENT_RETIRED, SEGMENT_INDEX);
	}
	failpoint("split.children_ready");
	/* R12 -> A12: who moves a bucket because it is full must find the children cleared, though nobody has frozen one yet. */
	store_release(&entry->children, (uint64_t)child[1] << 32 | child[0]);
	failpoint("split.begun");
	return true;
}

bool split_begin(const struct arena *arena, uint32_t segment)
{
	return begin(arena, segment, 2);
}

bool split_begin_rebuild(const struct arena *arena, uint32_t segment)
{
	return begin(arena, segment, 1);
}

/* What the table says of a segment that is being split, read once and checked. */
struct split {
	uint32_t depth, prefix;
	uint32_t low, high; /* children for a next bit of 0 and 1; the same one when the segment is built anew */
};

static bool read_split(const struct arena *arena, uint32_t segment, struct split *ret_split)
{
	struct segment_entry *entry = &arena->table[segment];
	uint64_t children = load_acquire(&entry->children); /* A12 <- R12 */
	struct split split = {
		.depth = load_relaxed(&entry->depth),
		.prefix = load_relaxed(&entry->prefix),
		.low = (uint32_t)children,
		.high = (uint32_t)(children >> 32),
	};
	uint32_t deepest = arena->directory_bits - (split.low != split.high);

	if (children == 0 || split.low >= arena->segment_count || split.high >= arena->segment_count ||
	    split.low < arena->system_segments || split.high < arena->system_segments || split.low == segment ||
	    split.high == segment || split.depth > deepest || split.prefix >> arena->directory_bits != 0 ||
	    (split.prefix & ((1u << (arena->directory_bits - split.depth)) - 1)) != 0)
		return false;
	*ret_split = split;
	return true;
}

/* Freezes the slots of a chain, in order, and collects the objects for each child. */
static void freeze_chain(const struct arena *arena, uint32_t segment, uint32_t home, const struct split *split,
                         struct word_list lists[2])
{
	struct bucket *bucket = &index_buckets(arena, segment)[home];
	struct object_view object;
	uint64_t word = 0;

	for (int level = 0; bucket && level < CHAIN_BUCKETS; level++) {
		for (int i = 0; i < BUCKET_SLOTS; i++) {
			word = load_acquire(&bucket->slots[i]); /* A1 <- R1; A19 <- R19 */
			/* R1 -> A1: the frozen word still publishes its object. */
			for (int attempt = 0; attempt < INDEX_ATTEMPTS && !(word & SLOT_FROZEN); attempt++)
				cas_acq_rel(&bucket->slots[i], &word, word | SLOT_FROZEN);
			failpoint("split.slot_frozen");
			if (slot_is_object(word) && object_parse(arena, slot_offset(word), &object)) {
				uint64_t hash = hash_key(arena->secret, object.key, object.key_size);
				struct word_list *list =
					&lists[split->low != split->high && hash >> (63 - split->depth) & 1];

				list->words[list->count++] = word & ~SLOT_FROZEN;
			}
		}
		bucket = slot_is_link(word) ? index_linked(arena, segment, word) : NULL;
	}
}

/* Nobody looks at the slot before the bucket is said to have moved (R18), by one who has met what stands here, and its object. */
static void place(atomic_u64 *slot, uint64_t word)
{
	uint64_t never_used = 0;

	cas_relaxed(slot, &never_used, word);
	failpoint("split.placed");
}

/* Fills the child's chain with a list, and leaves no never-used slot in it. */
static void fill_chain(const struct arena *arena, uint32_t child, uint32_t home, const struct word_list *list)
{
	struct bucket *bucket = &index_buckets(arena, child)[home];
	uint32_t done = 0;

	for (uint32_t level = 1; bucket; level++) {
		uint32_t left = list->count - done;
		uint32_t here = left <= BUCKET_SLOTS ? left : BUCKET_SLOTS - 1;
		struct bucket *next = NULL;
		uint64_t link = 0;

		for (uint32_t i = 0; i < here; i++)
			place(&bucket->slots[i], list->words[done++]);
		if (done < list->count && level < CHAIN_BUCKETS)
			next = index_claim_overflow(arena, child, home, level, &link);
		failpoint("split.linking");
		if (next)
			place(&bucket->slots[BUCKET_SLOTS - 1], link);
		else if (done < list->count)
			/* No overflow bucket is left, for nobody ever (claims are permanent): what does not fit is lost. */
			place(&bucket->slots[BUCKET_SLOTS - 1], list->words[done++]);
		index_seal(bucket);
		failpoint("split.sealed");
		/* Fill the next one only when it is linked here; else this bucket was complete before we came. */
		if (next && load_relaxed(&bucket->slots[BUCKET_SLOTS - 1]) != link)
			next = NULL;
		bucket = next;
	}
}

/* As fill_chain, of a child that stays what it is meanwhile. reader: NULL for the keeper. False: the section was revoked. */
static bool fill_child(struct epoch_reader *reader, const struct arena *arena, uint32_t child, uint32_t home,
                       const struct word_list *list)
{
	bool pinned = reader && epoch_pin_index(reader, INDEX_PIN_CHILD, child);

	failpoint("split.child_pinned");
	if (pinned || !reader)
		fill_chain(arena, child, home, list);
	if (reader)
		epoch_unpin_index(reader, INDEX_PIN_CHILD);
	return pinned || !reader;
}

bool split_bucket_pinned(struct epoch_reader *reader, const struct arena *arena, uint32_t segment, uint32_t home)
{
	struct bucket *bucket = &index_buckets(arena, segment)[home];
	struct word_list lists[2];
	struct split split;

	if (!read_split(arena, segment, &split))
		return false;
	for (int attempt = 0; attempt < INDEX_ATTEMPTS; attempt++) {
		uint64_t control = load_acquire(&bucket->control); /* A2 <- R2; A18 <- R18 */

		if (control & CONTROL_MOVED)
			return true;
		if (control & CONTROL_OFFSET_MASK) {
			index_help(arena, segment, home, control);
			continue;
		}
		if (!(control & CONTROL_FROZEN)) {
			/* R18 -> A18: no intent after this. */
			cas_acq_rel(&bucket->control, &control, control | CONTROL_FROZEN);
			failpoint("split.frozen");
			continue;
		}
		lists[0].count = lists[1].count = 0;
		freeze_chain(arena, segment, home, &split, lists);
		failpoint("split.slots_frozen");
		if (!fill_child(reader, arena, split.low, home, &lists[0]))
			return false;
		failpoint("split.low_filled");
		if (split.high != split.low && !fill_child(reader, arena, split.high, home, &lists[1]))
			return false;
		/* R18 -> A18: who is sent on to a child must find everything there. */
		cas_acq_rel(&bucket->control, &control, control | CONTROL_MOVED);
		failpoint("split.moved");
	}
	return false;
}

bool split_bucket(const struct arena *arena, uint32_t segment, uint32_t home)
{
	return split_bucket_pinned(NULL, arena, segment, home);
}

bool split_finish(const struct arena *arena, uint32_t segment)
{
	struct split split;
	uint32_t entries;

	if (!read_split(arena, segment, &split))
		return false;
	entries = 1u << (arena->directory_bits - split.depth);
	for (uint32_t i = 0; i < entries; i++) {
		failpoint("split.directory");
		/* R11 -> A11: who finds a child in the directory must find it filled. */
		store_release(&arena->directory[split.prefix + i], i < entries / 2 ? split.low : split.high);
	}
	failpoint("split.retiring");
	return segment_change(arena, segment, SEGMENT_INDEX, SEGMENT_RETIRED);
}
