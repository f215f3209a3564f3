/* SPDX-License-Identifier: MIT */
/*
 * The problem: a bucket of a full index segment must become two, one in each child, while processes read and change it and
 * any of them may die; and nobody may wait. And two buckets must become one, where two siblings have few keys left.
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
 * Two siblings are merged by the same steps, too: two parents with one child, which serves the hashes of both. Steps 1 and 2 are
 * done with the bucket of both parents, the lower one's first; so step 3 has one list, the same for all, of what is constant in both; and only then
 * is step 4 done, with one and the other. In between, one parent's keys are read and written in the child, the other's are still
 * read where they were, and are not changed in the child: who wants to change one meets a frozen bucket, and moves it first. For the same
 * reason none of their objects is recycled meanwhile.
 *
 * A merge has begun when both parents name the child, which two stores tell. Until then nobody does anything: a reader sent on by
 * the one that was told later would not find the child. A keeper that comes after one that died between the two completes the second;
 * or, if the two have got more keys meanwhile than one can take, makes the child one of the lower parent alone, which is so built anew.
 *
 * Why there is a place in the child for everything: between the beginning and the end of a split the keeper may be stopped for as long
 * as it likes, and others go on writing. So a new key is never added to a bucket that is to be moved: its writer moves that first. What
 * is left to be moved is then never more than there was at the beginning: in a split half of a full segment for each child, in a merge
 * one key for each home, in what is built anew four for each home. And the second half of the child's overflow buckets is kept for
 * moving until the directory names the child (extend() in index.c): who has a new key and wants one of them waits for the keeper.
 * Since hashes are spread evenly, by a secret, moving needs no more than that: there is an overflow bucket for every seventh home, and of
 * the homes with four keys on average one in twenty needs one; of those that get half of what makes a segment full, one in two hundred.
 *
 * Readers look at the control word first: moved, they go to the child; else they read the slots, frozen or not.
 */
#include "index/split.h"

#include "base/failpoint.h"
#include "index/index.h"

struct word_list {
	uint32_t count;
	uint64_t words[2 * CHAIN_SLOTS]; /* of two parents */
};

/* Makes a segment that was taken one of the index, which serves these hashes and to which nothing leads yet. */
static void make_child(const struct arena *arena, uint32_t child, uint32_t depth, uint32_t prefix, uint64_t parents)
{
	segment_clear_index(arena, child);
	failpoint("split.child_cleared");
	store_relaxed(&arena->table[child].depth, depth);
	store_relaxed(&arena->table[child].prefix, prefix);
	store_relaxed(&arena->table[child].parents, parents);
	segment_change(arena, child, SEGMENT_RETIRED, SEGMENT_INDEX);
}

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
	for (uint32_t i = 0; i < count; i++)
		make_child(arena, child[i], depth + count - 1,
		           i ? prefix | 1u << (arena->directory_bits - depth - 1) : prefix, 0);
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

bool split_begin_merge(const struct arena *arena, uint32_t lower, uint32_t upper)
{
	struct segment_entry *low = &arena->table[lower], *high = &arena->table[upper];
	uint32_t depth = load_relaxed(&low->depth), prefix = load_relaxed(&low->prefix), child;

	if (load_relaxed(&low->children) != 0 || load_relaxed(&high->children) != 0 || depth == 0 ||
	    depth > arena->directory_bits || load_relaxed(&high->depth) != depth ||
	    load_relaxed(&high->prefix) != (prefix | 1u << (arena->directory_bits - depth)) ||
	    load_relaxed(&high->prefix) == prefix || !segment_take_index(arena, &child))
		return false;
	failpoint("merge.child_taken");
	make_child(arena, child, depth - 1, prefix, (uint64_t)upper << 32 | lower);
	failpoint("merge.child_ready");
	/* R12 -> A12: as above; and who finds the child must find its parents, or would take this for a segment to be built anew. */
	store_release(&low->children, (uint64_t)child << 32 | child);
	failpoint("merge.named_once");
	/* R12 -> A12: the same for who comes by this one; and he must find that the other was told before. */
	store_release(&high->children, (uint64_t)child << 32 | child);
	failpoint("merge.begun");
	return true;
}

uint32_t split_half_merged(const struct arena *arena, uint32_t segment)
{
	uint64_t children = load_relaxed(&arena->table[segment].children), parents;
	uint32_t child = (uint32_t)children, upper;

	if (children == 0 || child != children >> 32 || child >= arena->segment_count)
		return arena->segment_count;
	parents = load_relaxed(&arena->table[child].parents);
	upper = (uint32_t)(parents >> 32);
	if ((uint32_t)parents != segment || upper >= arena->segment_count || upper == segment ||
	    segment_load(arena, upper).state != SEGMENT_INDEX || load_relaxed(&arena->table[upper].children) != 0)
		return arena->segment_count;
	return upper;
}

void split_resume_merge(const struct arena *arena, uint32_t segment)
{
	uint32_t upper = split_half_merged(arena, segment), depth = load_relaxed(&arena->table[segment].depth);
	uint64_t children = load_relaxed(&arena->table[segment].children);

	if (upper >= arena->segment_count || depth == 0)
		return;
	store_relaxed(&arena->table[(uint32_t)children].depth,
	              depth - 1); /* a keeper may have died in what follows here */
	/* R12 -> A12: as by the keeper that did not come so far. */
	store_release(&arena->table[upper].children, children);
	failpoint("merge.resumed");
}

void split_leave_merge(const struct arena *arena, uint32_t segment)
{
	struct segment_entry *child = &arena->table[(uint32_t)load_relaxed(&arena->table[segment].children)];

	if (split_half_merged(arena, segment) >= arena->segment_count)
		return;
	/* Its hashes are the first of those that the child was to serve, so the prefix stays. */
	store_relaxed(&child->depth, load_relaxed(&arena->table[segment].depth));
	/* R12 -> A12: who takes it for a segment that is built anew must find the depth of one. */
	store_release(&child->parents, 0);
}

/* What the table says of a segment that is being split, or merged with its sibling; read once and checked. */
struct split {
	uint32_t parents[2], parent_count; /* two: the lower sibling first */
	uint32_t depth, prefix;            /* of the hashes that the children serve together */
	uint32_t low, high;                /* children for a next bit of 0 and 1; or the same one */
};

/* The number of a segment to which the table may lead from one that is split or merged. */
static bool is_relative(const struct arena *arena, uint32_t segment, uint32_t other)
{
	return other >= arena->system_segments && other < arena->segment_count && other != segment;
}

/* The parents of a merge's only child, if that is what it is. False: it has begun for one of them only, or cannot be. */
static bool read_parents(const struct arena *arena, uint32_t segment, uint64_t children, struct split *split)
{
	uint64_t parents = load_relaxed(&arena->table[split->low].parents);
	uint32_t lower = (uint32_t)parents, upper = (uint32_t)(parents >> 32);
	uint32_t sibling = segment == lower ? upper : lower;

	if (parents == 0)
		return true;
	if ((segment != lower && segment != upper) || !is_relative(arena, segment, sibling) || sibling == split->low ||
	    split->depth == 0 || load_relaxed(&arena->table[sibling].depth) != split->depth ||
	    load_relaxed(&arena->table[sibling].children) != children) /* who told us has told us all else */
		return false;
	split->parents[0] = lower;
	split->parents[1] = upper;
	split->parent_count = 2;
	split->depth--;
	split->prefix = load_relaxed(&arena->table[lower].prefix);
	return true;
}

static bool read_split(const struct arena *arena, uint32_t segment, struct split *ret_split)
{
	struct segment_entry *entry = &arena->table[segment];
	uint64_t children = load_acquire(&entry->children); /* A12 <- R12 */
	struct split split = {
		.parents = { segment },
		.parent_count = 1,
		.depth = load_relaxed(&entry->depth),
		.prefix = load_relaxed(&entry->prefix),
		.low = (uint32_t)children,
		.high = (uint32_t)(children >> 32),
	};
	uint32_t deepest = arena->directory_bits - (split.low != split.high);

	if (children == 0 || !is_relative(arena, segment, split.low) || !is_relative(arena, segment, split.high) ||
	    split.depth > deepest || (split.low == split.high && !read_parents(arena, segment, children, &split)) ||
	    split.prefix >> arena->directory_bits != 0 ||
	    (split.prefix & ((1u << (arena->directory_bits - split.depth)) - 1)) != 0)
		return false;
	*ret_split = split;
	return true;
}

uint32_t split_sibling(const struct arena *arena, uint32_t segment)
{
	struct split split;

	if (!read_split(arena, segment, &split) || split.parent_count == 1)
		return arena->segment_count;
	return split.parents[split.parents[0] == segment];
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

/* Fills the child's chain with a list, and leaves no never-used slot in it. Return: how many there was no slot for. */
static uint32_t fill_chain(const struct arena *arena, uint32_t child, uint32_t home, const struct word_list *list)
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
	return list->count - done;
}

/*
 * Beside the segment that the caller has pinned, what is about to be changed is pinned: a child or the sibling, one at a time. reader: NULL for
 * the keeper. False: the section was revoked, and nothing is pinned.
 */
static bool pin(struct epoch_reader *reader, uint32_t segment)
{
	bool pinned = !reader || epoch_pin_index(reader, INDEX_PIN_OTHER, segment);

	if (!pinned)
		epoch_unpin_index(reader, INDEX_PIN_OTHER);
	return pinned;
}

static void unpin(struct epoch_reader *reader)
{
	if (reader)
		epoch_unpin_index(reader, INDEX_PIN_OTHER);
}

/* As fill_chain, of a child that stays what it is meanwhile; adds up how many there was no slot for. */
static bool fill_child(struct epoch_reader *reader, const struct arena *arena, uint32_t child, uint32_t home,
                       const struct word_list *list, uint32_t *displaced)
{
	if (!pin(reader, child))
		return false;
	failpoint("split.child_pinned");
	*displaced += fill_chain(arena, child, home, list);
	unpin(reader);
	return true;
}

enum parent_state { PARENT_FROZEN, PARENT_MOVED, PARENT_LOST };

/* Freezes a parent's bucket and collects what is in it. */
static enum parent_state freeze_bucket(const struct arena *arena, uint32_t parent, uint32_t home,
                                       const struct split *split, struct word_list lists[2])
{
	struct bucket *bucket = &index_buckets(arena, parent)[home];

	for (int attempt = 0; attempt < INDEX_ATTEMPTS; attempt++) {
		uint64_t control = load_acquire(&bucket->control); /* A2 <- R2; A18 <- R18 */

		if (control & CONTROL_MOVED)
			return PARENT_MOVED;
		if (control & CONTROL_OFFSET_MASK) {
			index_help(arena, parent, home, control);
			continue;
		}
		if (!(control & CONTROL_FROZEN)) {
			/* R18 -> A18: no intent after this. */
			cas_acq_rel(&bucket->control, &control, control | CONTROL_FROZEN);
			failpoint("split.frozen");
			continue;
		}
		freeze_chain(arena, parent, home, split, lists);
		failpoint("split.slots_frozen");
		return PARENT_FROZEN;
	}
	return PARENT_LOST;
}

/* The children are complete: whoever comes to a frozen bucket is sent on. False: somebody else was faster. */
static bool leave_bucket(const struct arena *arena, uint32_t parent, uint32_t home)
{
	struct bucket *bucket = &index_buckets(arena, parent)[home];
	uint64_t control = load_relaxed(&bucket->control);
	bool left = false;

	/* R18 -> A18: who is sent on to a child must find everything there. */
	if (!(control & CONTROL_MOVED))
		left = cas_acq_rel(&bucket->control, &control, control | CONTROL_MOVED);
	failpoint("split.moved");
	return left;
}

bool split_bucket_pinned(struct epoch_reader *reader, const struct arena *arena, uint32_t segment, uint32_t home)
{
	enum parent_state states[2] = { PARENT_MOVED, PARENT_MOVED };
	struct word_list lists[2];
	struct split split;
	uint32_t displaced = 0;
	bool complete = false;

	if (!read_split(arena, segment, &split))
		return false;
	lists[0].count = lists[1].count = 0;
	for (uint32_t i = 0; i < split.parent_count; i++) {
		bool own = split.parents[i] == segment;

		if (!own) {
			if (!pin(reader, split.parents[i]))
				return false;
			failpoint("merge.sibling_pinned");
		}
		states[i] = freeze_bucket(arena, split.parents[i], home, &split, lists);
		if (!own)
			unpin(reader);
		if (states[i] == PARENT_LOST)
			return false;
		complete |= states[i] == PARENT_MOVED; /* of whatever parent: the children were filled before */
	}
	if (!complete) {
		if (!fill_child(reader, arena, split.low, home, &lists[0], &displaced))
			return false;
		failpoint("split.low_filled");
		if (split.high != split.low && !fill_child(reader, arena, split.high, home, &lists[1], &displaced))
			return false;
	}
	for (uint32_t i = 0; i < split.parent_count; i++) {
		bool own = split.parents[i] == segment;

		if (states[i] == PARENT_MOVED)
			continue;
		if (!own) {
			if (!pin(reader, split.parents[i]))
				return false;
			failpoint("merge.leaving");
		}
		if (leave_bucket(arena, split.parents[i], home) && i == 0)
			index_count_displaced(arena, displaced); /* one of all who moved it */
		if (!own)
			unpin(reader);
	}
	return true;
}

bool split_bucket(const struct arena *arena, uint32_t segment, uint32_t home)
{
	return split_bucket_pinned(NULL, arena, segment, home);
}

bool split_finish(const struct arena *arena, uint32_t segment)
{
	struct split split;
	uint32_t entries;
	bool retired = true;

	if (!read_split(arena, segment, &split))
		return false;
	entries = 1u << (arena->directory_bits - split.depth);
	for (uint32_t i = 0; i < entries; i++) {
		failpoint("split.directory");
		/* R11 -> A11: who finds a child in the directory must find it filled. */
		store_release(&arena->directory[split.prefix + i], i < entries / 2 ? split.low : split.high);
	}
	for (uint32_t i = 0; i < split.parent_count; i++) {
		failpoint("split.retiring");
		retired &= segment_change(arena, split.parents[i], SEGMENT_INDEX, SEGMENT_RETIRED);
	}
	return retired;
}
