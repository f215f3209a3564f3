/* SPDX-License-Identifier: MIT */
/*
 * Helpers that die in the middle of the split or merge of a bucket, and helpers that come late: it is taken apart into its
 * stores, and every state that a dead helper can leave is set up by hand.
 */
#include "index/split.h"
#include "tests/unit/support/objects.h"

#define HOME 123u
#define CHAIN_KEYS (BUCKET_SLOTS + (CHAIN_BUCKETS - 1) * (BUCKET_SLOTS - 1)) /* a chain of full length holds */

static uint32_t first_segment(const struct world *world)
{
	return world->arena->system_segments;
}

static uint32_t child_of(const struct world *world, uint32_t parent, uint32_t which)
{
	return (uint32_t)(load_relaxed(&world->arena->table[parent].children) >> (which ? 32 : 0));
}

/* Keys whose versions are their numbers + 1. */
static void put_keys(struct world *world, const struct key *keys, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		expect(put_key(&world->self.thread, &keys[i], keys[i].number + 1));
}

#define CHANGES_MAX 200
#define SEGMENTS 3 /* the parent and its children; of a merge, the lower parent, the child, and the upper parent */

struct change {
	uint32_t which; /* of the three segments */
	uint64_t word;  /* number of the word in it */
	uint64_t value;
};

enum kind { SPLIT, REBUILD, MERGE, KINDS };

/* A split of one bucket, taken apart into the stores of which it consists, in their order. */
struct autopsy {
	struct world world;
	enum kind kind;
	uint32_t segments[SEGMENTS];
	uint64_t before[SEGMENTS][SEGMENT_BYTES_MIN / 8], after[SEGMENTS][SEGMENT_BYTES_MIN / 8];
	struct change changes[CHANGES_MAX];
	uint32_t change_count;
};

static void copy_out(const struct autopsy *autopsy, uint64_t to[SEGMENTS][SEGMENT_BYTES_MIN / 8])
{
	for (uint32_t i = 0; i < SEGMENTS; i++)
		memcpy(to[i], segment_base(autopsy->world.arena, autopsy->segments[i]), SEGMENT_BYTES_MIN);
}

static void copy_in(const struct autopsy *autopsy, uint64_t from[SEGMENTS][SEGMENT_BYTES_MIN / 8])
{
	for (uint32_t i = 0; i < SEGMENTS; i++)
		memcpy(segment_base(autopsy->world.arena, autopsy->segments[i]), from[i], SEGMENT_BYTES_MIN);
}

static void note(struct autopsy *autopsy, uint32_t which, uint64_t word, uint64_t value)
{
	expect(autopsy->change_count < CHANGES_MAX);
	autopsy->changes[autopsy->change_count++] = (struct change){ which, word, value };
}

#define WORDS (CACHE_LINE / 8) /* of a bucket: control, slots */

/* The control word, and the slots of a chain of a parent, from the first bucket to the last. */
static void note_freezing(struct autopsy *autopsy, uint32_t which)
{
	uint64_t bucket = HOME;

	note(autopsy, which, bucket * WORDS, autopsy->before[which][bucket * WORDS] | CONTROL_FROZEN);
	for (;;) {
		for (uint64_t slot = 1; slot <= BUCKET_SLOTS; slot++)
			note(autopsy, which, bucket * WORDS + slot, autopsy->after[which][bucket * WORDS + slot]);
		if (!slot_is_link(autopsy->before[which][bucket * WORDS + BUCKET_SLOTS]))
			return;
		bucket = autopsy->before[which][bucket * WORDS + BUCKET_SLOTS] & SLOT_OFFSET_MASK;
	}
}

/* In each bucket of a child: the objects, the claim of the next bucket, the link to it, and what is left empty. */
static void note_filling(struct autopsy *autopsy, uint32_t which)
{
	const uint64_t *after = autopsy->after[which];
	uint64_t bucket = HOME;

	for (;;) {
		uint64_t last = after[bucket * WORDS + BUCKET_SLOTS], next = 0;

		for (uint64_t slot = 1; slot <= BUCKET_SLOTS; slot++)
			if (slot_is_object(after[bucket * WORDS + slot]))
				note(autopsy, which, bucket * WORDS + slot, after[bucket * WORDS + slot]);
		if (slot_is_link(last)) {
			next = last & SLOT_OFFSET_MASK;
			note(autopsy, which, next * WORDS, after[next * WORDS]);
			note(autopsy, which, bucket * WORDS + BUCKET_SLOTS, last);
		}
		for (uint64_t slot = 1; slot <= BUCKET_SLOTS; slot++)
			if (slot_is_empty(after[bucket * WORDS + slot]))
				note(autopsy, which, bucket * WORDS + slot, after[bucket * WORDS + slot]);
		if (!next)
			return;
		bucket = next;
	}
}

static void apply(const struct autopsy *autopsy, uint32_t changes)
{
	for (uint32_t i = 0; i < changes; i++) {
		const struct change *change = &autopsy->changes[i];
		atomic_u64 *words = (atomic_u64 *)(void *)segment_base(autopsy->world.arena,
		                                                       autopsy->segments[change->which]);

		store_release(&words[change->word], change->value);
	}
}

static void expect_image(const struct autopsy *autopsy, uint64_t image[SEGMENTS][SEGMENT_BYTES_MIN / 8])
{
	for (uint32_t i = 0; i < SEGMENTS; i++)
		expect(memcmp(segment_base(autopsy->world.arena, autopsy->segments[i]), image[i], SEGMENT_BYTES_MIN) ==
		       0);
}

/* A slot that was never used could be filled by a helper that comes late with a wrong list. */
static void expect_all_used(const struct autopsy *autopsy, uint32_t which)
{
	const uint64_t *image = autopsy->after[which];
	uint64_t bucket = HOME, last;

	do {
		for (uint64_t slot = 1; slot <= BUCKET_SLOTS; slot++)
			expect(image[bucket * WORDS + slot] != 0);
		last = image[bucket * WORDS + BUCKET_SLOTS];
		bucket = last & SLOT_OFFSET_MASK;
	} while (slot_is_link(last));
}

/* Two segments, with keys in either. */
static void begin_merge(struct autopsy *autopsy, const struct key *keys, uint32_t count)
{
	const struct arena *arena = autopsy->world.arena;
	uint32_t first = first_segment(&autopsy->world);
	uint32_t *segments = autopsy->segments;

	expect(split_begin(arena, first));
	for (uint32_t home = 0; home < arena->homes; home++)
		expect(split_bucket(arena, first, home));
	expect(split_finish(arena, first));
	put_keys(&autopsy->world, keys, count);
	segments[0] = child_of(&autopsy->world, first, 0);
	segments[2] = child_of(&autopsy->world, first, 1);
	expect(split_begin_merge(arena, segments[0], segments[2]));
	segments[1] = child_of(&autopsy->world, segments[0], 0);
}

static void begin_split(struct autopsy *autopsy, const struct key *keys, uint32_t count)
{
	const struct arena *arena = autopsy->world.arena;
	uint32_t parent = first_segment(&autopsy->world);

	put_keys(&autopsy->world, keys, count);
	expect(autopsy->kind == REBUILD ? split_begin_rebuild(arena, parent) : split_begin(arena, parent));
	autopsy->segments[0] = parent;
	autopsy->segments[1] = child_of(&autopsy->world, parent, 0);
	autopsy->segments[2] = child_of(&autopsy->world, parent, 1);
}

static void autopsy_start(struct autopsy *autopsy, const struct key *keys, uint32_t count, enum kind kind)
{
	const struct arena *arena;

	world_start(&autopsy->world, MIB);
	arena = autopsy->world.arena;
	autopsy->kind = kind;
	(kind == MERGE ? begin_merge : begin_split)(autopsy, keys, count);
	if (count > 4) /* some slots that were emptied */
		for (uint32_t i = 1; i < 4; i += 2)
			expect(remove_key(arena, &keys[i]));
	autopsy->change_count = 0;
	copy_out(autopsy, autopsy->before);
	expect(split_bucket(arena, autopsy->segments[0], HOME));
	copy_out(autopsy, autopsy->after);
	expect_all_used(autopsy, 1);
	expect_all_used(autopsy, 2);
	note_freezing(autopsy, 0);
	if (kind == MERGE)
		note_freezing(autopsy, 2);
	note_filling(autopsy, 1);
	if (kind == SPLIT)
		note_filling(autopsy, 2);
	note(autopsy, 0, HOME * WORDS, autopsy->after[0][HOME * WORDS]);
	if (kind == MERGE)
		note(autopsy, 2, HOME * WORDS, autopsy->after[2][HOME * WORDS]);
	/* these are all the changes there were */
	copy_in(autopsy, autopsy->before);
	apply(autopsy, autopsy->change_count);
	expect_image(autopsy, autopsy->after);
}

/* A helper comes by either parent of a merge. */
static uint32_t entrance(const struct autopsy *autopsy, uint32_t number)
{
	return autopsy->segments[autopsy->kind == MERGE && number % 2 ? 2 : 0];
}

/* As a helper saw it that was stopped before it was moved; of a merge, one parent or the other or both may have been. */
static void forget_moved(const struct autopsy *autopsy, uint32_t number)
{
	const struct arena *arena = autopsy->world.arena;

	for (uint32_t which = 0; which < SEGMENTS; which += 2) {
		struct bucket *bucket = &index_buckets(arena, autopsy->segments[which])[HOME];

		if ((which == 0 || autopsy->kind == MERGE) && number % 3 != which)
			store_relaxed(&bucket->control, load_relaxed(&bucket->control) & ~CONTROL_MOVED);
	}
}

/* What a loop test is about: a chain of one of these lengths, to be split, built anew or merged. */
static const uint32_t chain_lengths[] = { 0, 1, 6, 7, 8, 13, 14, 20, CHAIN_KEYS };

static void keys_for_autopsy(struct key keys[CHAIN_KEYS])
{
	struct world world; /* whose hash is that of any other */
	uint32_t next = 0;

	world_start(&world, MIB);
	keys_of_home(world.arena, HOME, CHAIN_KEYS, &next, keys);
	world_stop(&world);
}

/* A helper that dies after any of its stores is continued by another, and what comes out is always the same. */
START_TEST(test_helper_dies_after_each_of_its_stores)
{
	static struct autopsy autopsy;
	struct key keys[CHAIN_KEYS];
	uint32_t count = chain_lengths[_i / KINDS];

	keys_for_autopsy(keys);
	autopsy_start(&autopsy, keys, count, (enum kind)(_i % KINDS));
	for (uint32_t survived = 0; survived <= autopsy.change_count; survived++) {
		copy_in(&autopsy, autopsy.before);
		apply(&autopsy, survived);
		for (uint32_t i = 0; i < count; i++)
			if (count <= 4 || (i != 1 && i != 3))
				expect_equal(lookup_version(autopsy.world.arena, &keys[i]), keys[i].number + 1);
		expect(split_bucket(autopsy.world.arena, entrance(&autopsy, survived), HOME));
		expect_image(&autopsy, autopsy.after);
		for (uint32_t i = 0; i < count; i++)
			expect_equal(count_key(autopsy.world.arena, &keys[i]), count <= 4 || (i != 1 && i != 3));
	}
	world_stop(&autopsy.world);
}
END_TEST

/* A helper that was stopped before the bucket was moved goes on when the child has long been in use. */
START_TEST(test_late_helper_changes_nothing)
{
	static struct autopsy autopsy;
	struct key keys[CHAIN_KEYS];
	uint32_t count = chain_lengths[_i / KINDS];
	struct random random = { 12 };

	keys_for_autopsy(keys);
	autopsy_start(&autopsy, keys, count, (enum kind)(_i % KINDS));
	for (uint32_t round = 0; round < 200; round++) {
		const struct key *key = &keys[random_below(&random, CHAIN_KEYS)];

		if (random_below(&random, 2))
			expect(put_key(&autopsy.world.self.thread, key, 77));
		else
			remove_key(autopsy.world.arena, key);
		copy_out(&autopsy, autopsy.after);
		forget_moved(&autopsy, autopsy.kind == MERGE ? round : 1);
		expect(split_bucket(autopsy.world.arena, entrance(&autopsy, round / 3), HOME));
		expect_image(&autopsy, autopsy.after);
	}
	world_stop(&autopsy.world);
}
END_TEST

/*
 * A helper that was revoked may hash keys that are no longer there, and so come late and with wrong lists. Here it believes
 * that all keys go to the same child.
 */
START_TEST(test_late_helper_with_wrong_lists_changes_nothing)
{
	for (uint32_t which = 0; which < 2; which++) {
		static struct autopsy autopsy;
		struct key keys[CHAIN_KEYS];
		uint32_t count = chain_lengths[_i / KINDS], next = 1000000;
		struct index_chain chain;
		struct bucket *children;

		keys_for_autopsy(keys);
		autopsy_start(&autopsy, keys, count, (enum kind)(_i % KINDS));
		index_read_chain(autopsy.world.arena, autopsy.segments[0], HOME, &chain);
		for (uint32_t slot = 0; slot < chain.buckets * BUCKET_SLOTS; slot++) {
			struct key other;
			struct made made;

			if (!slot_is_object(chain.words[slot]))
				continue;
			do
				keys_of_home(autopsy.world.arena, HOME, 1, &next, &other);
			while (other.hash >> 63 != which);
			made = object_for(&autopsy.world.self.thread, &other, 99);
			store_relaxed(&chain.bucket[slot / BUCKET_SLOTS]->slots[slot % BUCKET_SLOTS],
			              slot_pack(other.hash, made.generation, made.offset) | SLOT_FROZEN);
		}
		forget_moved(&autopsy, 1);
		expect(split_bucket(autopsy.world.arena, autopsy.segments[0], HOME));
		/* it may have claimed overflow buckets for nothing, but there is nothing in them and the chains are the same */
		for (uint32_t child = 1; child < SEGMENTS; child++) {
			children = index_buckets(autopsy.world.arena, autopsy.segments[child]);
			for (uint32_t b = 0; b < autopsy.world.arena->homes + autopsy.world.arena->overflows; b++)
				for (uint64_t slot = 0; slot < BUCKET_SLOTS; slot++)
					expect_equal(load_relaxed(&children[b].slots[slot]),
					             autopsy.after[child][b * WORDS + slot + 1]);
		}
		world_stop(&autopsy.world);
	}
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("split helpers");
	const int lengths = KINDS * sizeof chain_lengths / sizeof chain_lengths[0];

	tcase_add_loop_test(tests, test_helper_dies_after_each_of_its_stores, 0, lengths);
	tcase_add_loop_test(tests, test_late_helper_changes_nothing, 0, lengths);
	tcase_add_loop_test(tests, test_late_helper_with_wrong_lists_changes_nothing, 0, lengths);
	return suite_run("split helpers", tests);
}
