/* SPDX-License-Identifier: MIT */
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

static bool moved(const struct world *world, uint32_t segment, uint32_t home)
{
	return load_relaxed(&index_buckets(world->arena, segment)[home].control) & CONTROL_MOVED;
}

static void split_all(const struct world *world, uint32_t segment)
{
	for (uint32_t home = 0; home < world->arena->homes; home++)
		expect(split_bucket(world->arena, segment, home));
}

/* Keys whose versions are their numbers + 1. */
static void put_keys(struct world *world, const struct key *keys, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		expect(put_key(&world->self.thread, &keys[i], keys[i].number + 1));
}

static void expect_keys(const struct world *world, const struct key *keys, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		expect_equal(lookup_version(world->arena, &keys[i]), keys[i].number + 1);
		expect_equal(count_key(world->arena, &keys[i]), 1);
	}
}

#define MANY 3000

/* ---- beginning and finishing ------------------------------------------------------------------------------------------ */

START_TEST(test_begun_split_has_two_empty_children)
{
	struct world world;
	uint32_t parent, child[2];

	world_start(&world, MIB);
	parent = first_segment(&world);
	ck_assert(!split_bucket(world.arena, parent, 0));
	ck_assert(split_begin(world.arena, parent));
	for (uint32_t i = 0; i < 2; i++) {
		const struct segment_entry *entry;

		child[i] = child_of(&world, parent, i);
		entry = &world.arena->table[child[i]];
		ck_assert_int_eq(segment_load(world.arena, child[i]).state, SEGMENT_INDEX);
		ck_assert_uint_eq(load_relaxed(&entry->depth), 1);
		ck_assert_uint_eq(load_relaxed(&entry->prefix), i << (world.arena->directory_bits - 1));
		for (uint32_t home = 0; home < world.arena->homes; home++)
			for (int slot = 0; slot < BUCKET_SLOTS; slot++)
				expect_equal(load_relaxed(&index_buckets(world.arena, child[i])[home].slots[slot]), 0);
	}
	ck_assert_uint_ne(child[0], child[1]);
	ck_assert(!split_begin(world.arena, parent));
	/* nothing leads there yet */
	for (uint32_t entry = 0; entry < 1u << world.arena->directory_bits; entry++)
		ck_assert_uint_eq(load_relaxed(&world.arena->directory[entry]), parent);
	world_stop(&world);
}
END_TEST

START_TEST(test_segment_that_is_built_anew)
{
	static struct key keys[MANY];
	struct world world;
	uint32_t parent, child;

	world_start(&world, MIB);
	parent = first_segment(&world);
	for (uint32_t i = 0; i < MANY; i++)
		keys[i] = key_of(world.arena, i);
	put_keys(&world, keys, MANY);
	for (uint32_t i = MANY / 4; i < MANY; i++)
		expect(remove_key(world.arena, &keys[i]));
	ck_assert(split_begin_rebuild(world.arena, parent));
	ck_assert(!split_begin_rebuild(world.arena, parent));
	ck_assert(!split_begin(world.arena, parent));
	child = child_of(&world, parent, 0);
	ck_assert_uint_eq(child_of(&world, parent, 1), child);
	ck_assert_uint_eq(load_relaxed(&world.arena->table[child].depth), 0);
	ck_assert_uint_eq(load_relaxed(&world.arena->table[child].prefix), 0);
	for (uint32_t home = 0; home < world.arena->homes; home++) {
		expect(split_bucket(world.arena, parent, home));
		if (home % 100 == 0)
			expect_keys(&world, keys, MANY / 4);
	}
	split_finish(world.arena, parent);
	for (uint32_t entry = 0; entry < 1u << world.arena->directory_bits; entry++)
		ck_assert_uint_eq(load_relaxed(&world.arena->directory[entry]), child);
	ck_assert_int_eq(segment_load(world.arena, parent).state, SEGMENT_RETIRED);
	ck_assert_uint_lt(load_relaxed(&world.arena->table[child].overflow_used),
	                  load_relaxed(&world.arena->table[parent].overflow_used));
	put_keys(&world, keys, MANY);
	expect_keys(&world, keys, MANY);
	ck_assert_int_eq(cache_verify(&world.self.thread, NULL, NULL, NULL), 0);
	world_stop(&world);
}
END_TEST

START_TEST(test_split_needs_two_free_segments)
{
	struct world world;
	uint32_t segment, generation, chunk, taken = 0, free;

	world_start(&world, MIB);
	free = world_count(&world, SEGMENT_FREE);
	while (taken < free - 1) {
		ck_assert(segment_take_chunks(world.arena, 0, world.arena->chunks, 1, &segment, &generation, &chunk));
		taken++;
	}
	ck_assert(!split_begin(world.arena, first_segment(&world)));
	ck_assert_uint_eq(world_count(&world, SEGMENT_FREE), 1); /* the one child was given back */
	ck_assert_uint_eq(load_relaxed(&world.arena->header->free_segments), 1);
	ck_assert_uint_eq(load_relaxed(&world.arena->table[first_segment(&world)].children), 0);
	ck_assert(segment_take_chunks(world.arena, 0, world.arena->chunks, 1, &segment, &generation, &chunk));
	ck_assert(!split_begin(world.arena, first_segment(&world)));
	ck_assert(!split_begin_rebuild(world.arena, first_segment(&world)));
	world_stop(&world);
}
END_TEST

START_TEST(test_finished_split_is_in_the_directory)
{
	struct world world;
	uint32_t parent, child[2], half;

	world_start(&world, MIB);
	parent = first_segment(&world);
	half = 1u << (world.arena->directory_bits - 1);
	ck_assert(split_begin(world.arena, parent));
	split_all(&world, parent);
	child[0] = child_of(&world, parent, 0);
	child[1] = child_of(&world, parent, 1);
	split_finish(world.arena, parent);
	for (uint32_t entry = 0; entry < 2 * half; entry++)
		ck_assert_uint_eq(load_relaxed(&world.arena->directory[entry]), child[entry >= half]);
	ck_assert_int_eq(segment_load(world.arena, parent).state, SEGMENT_RETIRED);
	world_stop(&world);
}
END_TEST

START_TEST(test_splits_down_to_the_last_bit)
{
	static struct key keys[MANY];
	struct world world;
	uint32_t splits = 0;

	world_start(&world, 2 * MIB);
	for (uint32_t i = 0; i < MANY; i++)
		keys[i] = key_of(world.arena, i);
	put_keys(&world, keys, MANY);
	for (uint32_t entry = 0; entry < 1u << world.arena->directory_bits; entry++) {
		uint32_t segment;

		while (segment = load_relaxed(&world.arena->directory[entry]), split_begin(world.arena, segment)) {
			split_all(&world, segment);
			split_finish(world.arena, segment);
			segment_recycle(world.arena, segment); /* there are no other readers */
			splits++;
			expect_keys(&world, keys, MANY);
		}
		ck_assert_uint_eq(load_relaxed(&world.arena->table[segment].depth), world.arena->directory_bits);
		ck_assert_uint_eq(load_relaxed(&world.arena->table[segment].prefix), entry);
	}
	ck_assert_uint_eq(splits, (1u << world.arena->directory_bits) - 1);
	ck_assert_int_eq(cache_verify(&world.self.thread, NULL, NULL, NULL), 0);
	world_stop(&world);
}
END_TEST

/* ---- while a split is under way ----------------------------------------------------------------------------------------- */

START_TEST(test_keys_are_found_at_every_stage)
{
	static struct key keys[MANY];
	struct world world;
	uint32_t parent, half;

	world_start(&world, MIB);
	parent = first_segment(&world);
	half = 1u << (world.arena->directory_bits - 1);
	for (uint32_t i = 0; i < MANY; i++)
		keys[i] = key_of(world.arena, i);
	put_keys(&world, keys, MANY);
	ck_assert(split_begin(world.arena, parent));
	expect_keys(&world, keys, MANY);
	for (uint32_t home = 0; home < world.arena->homes; home++) {
		expect(split_bucket(world.arena, parent, home));
		if (home % 100 == 0)
			expect_keys(&world, keys, MANY);
	}
	expect_keys(&world, keys, MANY);
	/* writers go on, in the children, as long as the directory names the parent */
	for (uint32_t i = 0; i < MANY; i++)
		keys[i].number += MANY;
	put_keys(&world, keys, MANY);
	expect_keys(&world, keys, MANY);
	/* half of the directory is switched when the keeper dies */
	store_release(&world.arena->directory[0], child_of(&world, parent, 0));
	store_release(&world.arena->directory[2 * half - 1], child_of(&world, parent, 1));
	expect_keys(&world, keys, MANY);
	split_finish(world.arena, parent);
	expect_keys(&world, keys, MANY);
	split_finish(world.arena, parent); /* once more, by the next keeper */
	expect_keys(&world, keys, MANY);
	ck_assert_int_eq(cache_verify(&world.self.thread, NULL, NULL, NULL), 0);
	world_stop(&world);
}
END_TEST

/* Whoever wants to change a chain that is frozen finishes the split of that bucket first; others stay. */
START_TEST(test_writer_finishes_the_frozen_bucket_it_meets)
{
	struct world world;
	struct bucket *bucket;
	struct key keys[9], elsewhere[1];
	uint32_t parent, next = 0;

	world_start(&world, MIB);
	parent = first_segment(&world);
	bucket = &index_buckets(world.arena, parent)[HOME];
	keys_of_home(world.arena, HOME, 9, &next, keys);
	keys_of_home(world.arena, HOME + 1, 1, &next, elsewhere);
	put_keys(&world, keys, 8);
	ck_assert(split_begin(world.arena, parent));
	put_keys(&world, elsewhere, 1);
	ck_assert(!moved(&world, parent, HOME + 1));
	store_release(&bucket->control, load_relaxed(&bucket->control) | CONTROL_FROZEN);
	expect_keys(&world, keys, 8);
	ck_assert(!moved(&world, parent, HOME)); /* readers write nothing */
	put_keys(&world, &keys[8], 1);
	ck_assert(moved(&world, parent, HOME));
	ck_assert(!moved(&world, parent, HOME + 1));
	expect_keys(&world, keys, 9);
	expect_keys(&world, elsewhere, 1);
	world_stop(&world);
}
END_TEST

START_TEST(test_writer_meets_a_frozen_slot)
{
	struct world world;
	struct key keys[2];
	struct index_chain stale;
	struct made made;
	uint32_t parent, next = 0;

	world_start(&world, MIB);
	parent = first_segment(&world);
	keys_of_home(world.arena, HOME, 2, &next, keys);
	put_keys(&world, keys, 1);
	find_key(world.arena, &keys[0], &stale);
	made = object_for(&world.self.thread, &keys[0], 99);
	ck_assert(split_begin(world.arena, parent));
	ck_assert(split_bucket(world.arena, parent, HOME));
	ck_assert_int_eq(index_replace(&stale, made.generation, made.offset), INDEX_AGAIN);
	ck_assert_int_eq(index_remove(&stale), INDEX_AGAIN);
	index_displace(&stale);
	expect_keys(&world, keys, 1);
	world_stop(&world);
}
END_TEST

/* ---- helpers that die, and helpers that come late ----------------------------------------------------------------------- */

#define CHANGES_MAX 200
#define SEGMENTS 3 /* the parent and its children */

struct change {
	uint32_t which; /* of the three segments */
	uint64_t word;  /* number of the word in it */
	uint64_t value;
};

/* A split of one bucket, taken apart into the stores of which it consists, in their order. */
struct autopsy {
	struct world world;
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

/* The slots of a chain of the parent, from the first bucket to the last. */
static void note_freezing(struct autopsy *autopsy)
{
	uint64_t bucket = HOME;

	note(autopsy, 0, bucket * WORDS, autopsy->before[0][bucket * WORDS] | CONTROL_FROZEN);
	for (;;) {
		for (uint64_t slot = 1; slot <= BUCKET_SLOTS; slot++)
			note(autopsy, 0, bucket * WORDS + slot, autopsy->after[0][bucket * WORDS + slot]);
		if (!slot_is_link(autopsy->before[0][bucket * WORDS + BUCKET_SLOTS]))
			return;
		bucket = autopsy->before[0][bucket * WORDS + BUCKET_SLOTS] & SLOT_OFFSET_MASK;
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

static void autopsy_start(struct autopsy *autopsy, const struct key *keys, uint32_t count, bool rebuild)
{
	const struct arena *arena;
	uint32_t parent;

	world_start(&autopsy->world, MIB);
	arena = autopsy->world.arena;
	parent = first_segment(&autopsy->world);
	put_keys(&autopsy->world, keys, count);
	if (count > 4) /* some slots that were emptied */
		for (uint32_t i = 1; i < 4; i += 2)
			expect(remove_key(arena, &keys[i]));
	expect(rebuild ? split_begin_rebuild(arena, parent) : split_begin(arena, parent));
	autopsy->segments[0] = parent;
	autopsy->segments[1] = child_of(&autopsy->world, parent, 0);
	autopsy->segments[2] = child_of(&autopsy->world, parent, 1);
	autopsy->change_count = 0;
	copy_out(autopsy, autopsy->before);
	expect(split_bucket(arena, parent, HOME));
	copy_out(autopsy, autopsy->after);
	expect_all_used(autopsy, 1);
	expect_all_used(autopsy, 2);
	note_freezing(autopsy);
	note_filling(autopsy, 1);
	if (!rebuild)
		note_filling(autopsy, 2);
	note(autopsy, 0, HOME * WORDS, autopsy->after[0][HOME * WORDS]);
	/* these are all the changes there were */
	copy_in(autopsy, autopsy->before);
	apply(autopsy, autopsy->change_count);
	expect_image(autopsy, autopsy->after);
}

/* What a loop test is about: a chain of one of these lengths, to be split or built anew. */
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
	uint32_t count = chain_lengths[_i / 2];

	keys_for_autopsy(keys);
	autopsy_start(&autopsy, keys, count, _i % 2);
	for (uint32_t survived = 0; survived <= autopsy.change_count; survived++) {
		copy_in(&autopsy, autopsy.before);
		apply(&autopsy, survived);
		for (uint32_t i = 0; i < count; i++)
			if (count <= 4 || (i != 1 && i != 3))
				expect_equal(lookup_version(autopsy.world.arena, &keys[i]), keys[i].number + 1);
		expect(split_bucket(autopsy.world.arena, autopsy.segments[0], HOME));
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
	uint32_t count = chain_lengths[_i / 2];
	struct bucket *bucket;
	struct random random = { 12 };

	keys_for_autopsy(keys);
	autopsy_start(&autopsy, keys, count, _i % 2);
	bucket = &index_buckets(autopsy.world.arena, autopsy.segments[0])[HOME];
	for (int round = 0; round < 200; round++) {
		const struct key *key = &keys[random_below(&random, CHAIN_KEYS)];

		if (random_below(&random, 2))
			expect(put_key(&autopsy.world.self.thread, key, 77));
		else
			remove_key(autopsy.world.arena, key);
		copy_out(&autopsy, autopsy.after);
		store_relaxed(&bucket->control,
		              load_relaxed(&bucket->control) & ~CONTROL_MOVED); /* as the helper saw it */
		expect(split_bucket(autopsy.world.arena, autopsy.segments[0], HOME));
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
		uint32_t count = chain_lengths[_i / 2], next = 1000000;
		struct index_chain chain;
		struct bucket *children;

		keys_for_autopsy(keys);
		autopsy_start(&autopsy, keys, count, _i % 2);
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
		store_relaxed(&chain.bucket[0]->control, load_relaxed(&chain.bucket[0]->control) & ~CONTROL_MOVED);
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

/* Without overflow buckets in the child, what does not fit is lost, for every helper the same. */
START_TEST(test_child_without_overflow_buckets)
{
	struct world world;
	struct key keys[CHAIN_KEYS];
	struct bucket *buckets;
	uint32_t parent, next = 0, count = 0, found = 0;

	world_start(&world, MIB);
	parent = first_segment(&world);
	while (count < CHAIN_KEYS) {
		keys_of_home(world.arena, HOME, 1, &next, &keys[count]);
		count += keys[count].hash >> 63 == 0; /* all go to the same child */
	}
	put_keys(&world, keys, CHAIN_KEYS);
	ck_assert(split_begin(world.arena, parent));
	buckets = index_buckets(world.arena, child_of(&world, parent, 0));
	for (uint32_t i = 0; i < world.arena->overflows; i++)
		store_relaxed(&buckets[world.arena->homes + i].control, UINT64_C(1) << 32 | 700);
	for (int round = 0; round < 2; round++)
		ck_assert(split_bucket(world.arena, parent, HOME));
	for (uint32_t i = 0; i < CHAIN_KEYS; i++) {
		ck_assert_uint_le(count_key(world.arena, &keys[i]), 1);
		found += lookup_version(world.arena, &keys[i]) != 0;
	}
	ck_assert_uint_eq(found, BUCKET_SLOTS);
	ck_assert(remove_key(world.arena, &keys[0]));
	world_stop(&world);
}
END_TEST

START_TEST(test_scribbled_table_is_refused)
{
	struct world world;
	uint32_t parent;

	world_start(&world, MIB);
	parent = first_segment(&world);
	const uint64_t children[] = {
		world.segments,
		(uint64_t)world.segments << 32 | 5,
		UINT64_MAX,
		(uint64_t)5 << 32 | parent,
		(uint64_t)parent << 32 | 5,
	};
	static const uint32_t prefixes[] = { 1, 3, 8, 12, 1u << 30, UINT32_MAX }; /* of 8 entries; half of them are 4 */

	for (size_t i = 0; i < sizeof children / sizeof children[0]; i++) {
		store_relaxed(&world.arena->table[parent].children, children[i]);
		ck_assert(!split_bucket(world.arena, parent, HOME));
		ck_assert(!split_finish(world.arena, parent));
	}
	store_relaxed(&world.arena->table[parent].children, (uint64_t)5 << 32 | 6);
	store_relaxed(&world.arena->table[parent].depth, world.arena->directory_bits);
	ck_assert(!split_bucket(world.arena, parent, HOME));
	store_relaxed(&world.arena->table[parent].depth, UINT32_MAX);
	ck_assert(!split_bucket(world.arena, parent, HOME));
	ck_assert(!split_finish(world.arena, parent));
	store_relaxed(&world.arena->table[parent].depth, 1);
	for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
		store_relaxed(&world.arena->table[parent].prefix, prefixes[i]);
		ck_assert(!split_bucket(world.arena, parent, HOME));
		ck_assert(!split_finish(world.arena, parent));
	}
	for (uint32_t entry = 0; entry < 1u << world.arena->directory_bits; entry++)
		ck_assert_uint_eq(load_relaxed(&world.arena->directory[entry]), parent);
	ck_assert_int_eq(segment_load(world.arena, parent).state, SEGMENT_INDEX);
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("split");
	const int lengths = 2 * sizeof chain_lengths / sizeof chain_lengths[0];

	tcase_add_test(tests, test_begun_split_has_two_empty_children);
	tcase_add_test(tests, test_segment_that_is_built_anew);
	tcase_add_test(tests, test_split_needs_two_free_segments);
	tcase_add_test(tests, test_finished_split_is_in_the_directory);
	tcase_add_test(tests, test_splits_down_to_the_last_bit);
	tcase_add_test(tests, test_keys_are_found_at_every_stage);
	tcase_add_test(tests, test_writer_finishes_the_frozen_bucket_it_meets);
	tcase_add_test(tests, test_writer_meets_a_frozen_slot);
	tcase_add_loop_test(tests, test_helper_dies_after_each_of_its_stores, 0, lengths);
	tcase_add_loop_test(tests, test_late_helper_changes_nothing, 0, lengths);
	tcase_add_loop_test(tests, test_late_helper_with_wrong_lists_changes_nothing, 0, lengths);
	tcase_add_test(tests, test_child_without_overflow_buckets);
	tcase_add_test(tests, test_scribbled_table_is_refused);
	return suite_run("split", tests);
}
