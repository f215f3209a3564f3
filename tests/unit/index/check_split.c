/* SPDX-License-Identifier: MIT */
#include "index/split.h"

#include "index/walk.h"
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

/* A segment that is as deep as the directory cannot be split, but it can be built anew. */
START_TEST(test_deepest_segment_that_is_built_anew)
{
	static struct key keys[MANY];
	struct world world;
	uint32_t segment;

	world_start(&world, MIB);
	for (uint32_t i = 0; i < MANY; i++)
		keys[i] = key_of(world.arena, i);
	put_keys(&world, keys, MANY);
	while (segment = load_relaxed(&world.arena->directory[5]), split_begin(world.arena, segment)) {
		split_all(&world, segment);
		split_finish(world.arena, segment);
	}
	ck_assert_uint_eq(load_relaxed(&world.arena->table[segment].depth), world.arena->directory_bits);
	ck_assert(split_begin_rebuild(world.arena, segment));
	split_all(&world, segment);
	expect_keys(&world, keys, MANY);
	split_finish(world.arena, segment);
	ck_assert_uint_ne(load_relaxed(&world.arena->directory[5]), segment);
	expect_keys(&world, keys, MANY);
	ck_assert_int_eq(cache_verify(&world.self.thread, NULL, NULL, NULL), 0);
	world_stop(&world);
}
END_TEST

#define REBUILDS (2 * DIRECTORY_BITS_MAX)

/* Who had read the directory, and then was not run for a time, goes the way of all that happened to the segment. */
START_TEST(test_lookup_that_many_rebuilds_overtake)
{
	struct world world;
	struct key key;
	struct index_walk walk = { 0 };
	struct index_chain chain;
	uint32_t first, segment;

	world_start(&world, 4 * MIB);
	key = key_of(world.arena, 1);
	put_keys(&world, &key, 1);
	first = segment = first_segment(&world);
	for (int i = 0; i < REBUILDS; i++) {
		expect(split_begin_rebuild(world.arena, segment));
		split_all(&world, segment);
		ck_assert(split_finish(world.arena, segment));
		segment = child_of(&world, segment, 0);
	}
	for (uint32_t entry = 0; entry < 1u << world.arena->directory_bits; entry++)
		store_relaxed(&world.arena->directory[entry], first);
	expect_keys(&world, &key, 1);
	ck_assert(find_key(world.arena, &key, &chain));
	ck_assert_uint_eq(chain.segment, segment);
	ck_assert(index_walk_next(world.arena, &walk, &chain));
	ck_assert_uint_eq(chain.segment, segment);
	/* Where it leads round in a circle somebody wrote over it. */
	store_relaxed(&index_buckets(world.arena, segment)[hash_home(key.hash, world.arena->homes)].control,
	              CONTROL_MOVED);
	store_relaxed(&world.arena->table[segment].children, (uint64_t)first << 32 | first);
	ck_assert_uint_eq(lookup_version(world.arena, &key), 0);
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
	put_keys(&world, elsewhere, 1);
	ck_assert(split_begin(world.arena, parent));
	put_keys(&world, elsewhere, 1);
	ck_assert(!moved(&world, parent, HOME + 1)); /* nor does replacing move anything */
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
	ck_assert_int_eq(index_replace(&stale, made.generation, made.offset, 0), INDEX_AGAIN);
	ck_assert_int_eq(index_remove(&stale), INDEX_AGAIN);
	index_displace(world.arena, &stale);
	ck_assert_uint_eq(load_relaxed(&world.arena->header->displaced_objects), 0);
	expect_keys(&world, keys, 1);
	world_stop(&world);
}
END_TEST

/* ---- a keeper that is late ---------------------------------------------------------------------------------------------- */

/* Puts new keys until there are so many. False: there is no room for the next one. */
static bool put_up_to(struct world *world, uint32_t end, uint32_t *count)
{
	for (; *count < end; ++*count) {
		struct key key = key_of(world->arena, *count);

		if (!put_key(&world->self.thread, &key, *count + 1))
			return false;
	}
	return true;
}

static void put_until_full(struct world *world, uint32_t *count)
{
	ck_assert(!put_up_to(world, UINT32_MAX, count));
}

static void expect_all(const struct world *world, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct key key = key_of(world->arena, i);

		expect_equal(lookup_version(world->arena, &key), i + 1);
	}
	expect_equal(load_relaxed(&world->arena->header->displaced_objects), 0);
}

START_TEST(test_new_key_moves_its_bucket_first)
{
	struct world world;
	struct key keys[2];
	uint32_t parent, next = 0;

	world_start(&world, MIB);
	parent = first_segment(&world);
	keys_of_home(world.arena, HOME, 2, &next, keys);
	put_keys(&world, keys, 1);
	ck_assert(split_begin(world.arena, parent));
	put_keys(&world, &keys[1], 1);
	ck_assert(moved(&world, parent, HOME));
	ck_assert(!moved(&world, parent, HOME + 1));
	expect_keys(&world, keys, 2);
	world_stop(&world);
}
END_TEST

/* However many keys come before the keeper goes on, none of those that are still to be moved is lost. */
START_TEST(test_late_keeper_loses_nothing)
{
	struct world world;
	uint32_t parent, count = 0, before;

	world_start(&world, 4 * MIB);
	parent = first_segment(&world);
	put_until_full(&world, &count);
	ck_assert(split_begin(world.arena, parent));
	before = count;
	put_until_full(&world, &count);
	ck_assert_uint_gt(count, before + before / 4);
	split_all(&world, parent);
	expect_all(&world, count);
	ck_assert(split_finish(world.arena, parent));
	before = count;
	put_until_full(&world, &count); /* what was kept for moving can be had now */
	ck_assert_uint_gt(count, before);
	expect_all(&world, count);
	ck_assert_int_eq(cache_verify(&world.self.thread, NULL, NULL, NULL), 0);
	world_stop(&world);
}
END_TEST

START_TEST(test_late_keeper_that_merges_loses_nothing)
{
	struct world world;
	uint32_t parent, child[2], count = 0;

	world_start(&world, 4 * MIB);
	parent = first_segment(&world);
	ck_assert(split_begin(world.arena, parent));
	split_all(&world, parent);
	ck_assert(split_finish(world.arena, parent));
	for (uint32_t i = 0; i < 2; i++)
		child[i] = child_of(&world, parent, i);
	ck_assert(put_up_to(&world, world.arena->homes, &count));
	ck_assert(split_begin_merge(world.arena, child[0], child[1]));
	put_until_full(&world, &count);
	ck_assert_uint_gt(count, 4 * world.arena->homes);
	split_all(&world, child[0]);
	expect_all(&world, count);
	ck_assert(split_finish(world.arena, child[0]));
	expect_all(&world, count);
	world_stop(&world);
}
END_TEST

/* A segment that is built anew has at most SPLIT_LOAD (growth.c) keys for each home, and what came since they were counted. */
START_TEST(test_late_keeper_that_builds_anew_loses_nothing)
{
	struct world world;
	uint32_t parent, count = 0;

	world_start(&world, 4 * MIB);
	parent = first_segment(&world);
	ck_assert(put_up_to(&world, world.arena->homes * 44 / 10, &count));
	ck_assert(split_begin_rebuild(world.arena, parent));
	put_until_full(&world, &count);
	split_all(&world, parent);
	expect_all(&world, count);
	ck_assert(split_finish(world.arena, parent));
	expect_all(&world, count);
	world_stop(&world);
}
END_TEST

/* ---- what can go wrong ----------------------------------------------------------------------------------------------- */

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
	ck_assert_uint_eq(load_relaxed(&world.arena->header->displaced_objects), CHAIN_KEYS - BUCKET_SLOTS);
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

	tcase_add_test(tests, test_begun_split_has_two_empty_children);
	tcase_add_test(tests, test_segment_that_is_built_anew);
	tcase_add_test(tests, test_deepest_segment_that_is_built_anew);
	tcase_add_test(tests, test_lookup_that_many_rebuilds_overtake);
	tcase_add_test(tests, test_split_needs_two_free_segments);
	tcase_add_test(tests, test_finished_split_is_in_the_directory);
	tcase_add_test(tests, test_splits_down_to_the_last_bit);
	tcase_add_test(tests, test_keys_are_found_at_every_stage);
	tcase_add_test(tests, test_writer_finishes_the_frozen_bucket_it_meets);
	tcase_add_test(tests, test_writer_meets_a_frozen_slot);
	tcase_add_test(tests, test_new_key_moves_its_bucket_first);
	tcase_add_test(tests, test_late_keeper_loses_nothing);
	tcase_add_test(tests, test_late_keeper_that_merges_loses_nothing);
	tcase_add_test(tests, test_late_keeper_that_builds_anew_loses_nothing);
	tcase_add_test(tests, test_child_without_overflow_buckets);
	tcase_add_test(tests, test_scribbled_table_is_refused);
	return suite_run("split", tests);
}
