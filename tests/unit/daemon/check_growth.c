/* SPDX-License-Identifier: MIT */
#include "daemon/growth.h"

#include "index/split.h"
#include "tests/unit/support/objects.h"

static uint32_t first_segment(const struct world *world)
{
	return world->arena->system_segments;
}

static void crowd(const struct world *world, uint32_t segment)
{
	store_relaxed(&world->arena->table[segment].overflow_used, world->arena->overflows);
}

/* As many keys as make a segment worth splitting. */
static void load(struct world *world)
{
	for (uint32_t i = 0; i < 5 * world->arena->homes; i++) {
		struct key key = key_of(world->arena, i);

		expect(put_key(&world->self.thread, &key, i + 1));
	}
}

static void child_segments(const struct world *world, uint32_t parent, uint32_t ret_child[2])
{
	uint64_t children = load_relaxed(&world->arena->table[parent].children);

	ret_child[0] = (uint32_t)children;
	ret_child[1] = (uint32_t)(children >> 32);
}

START_TEST(test_nothing_to_do)
{
	struct world world;
	struct growth growth;
	uint32_t retired;

	world_start(&world, MIB);
	growth_init(&growth);
	ck_assert(!growth_run(&growth, world.arena, &retired));
	ck_assert_uint_eq(retired, GROWTH_NONE);
	ck_assert_uint_eq(growth.segment, GROWTH_NONE);
	ck_assert_uint_eq(growth.segments_wanted, 0);
	ck_assert_uint_eq(world_count(&world, SEGMENT_INDEX), 1);
	world_stop(&world);
}
END_TEST

START_TEST(test_crowded_segment_is_split)
{
	struct world world;
	struct growth growth;
	uint32_t retired, first, child[2];

	world_start(&world, MIB);
	first = first_segment(&world);
	load(&world);
	crowd(&world, first);
	growth_init(&growth);
	ck_assert(growth_run(&growth, world.arena, &retired));
	child_segments(&world, first, child);
	ck_assert_uint_ne(child[0], child[1]);
	ck_assert_uint_eq(retired, first);
	ck_assert_int_eq(segment_load(world.arena, first).state, SEGMENT_RETIRED);
	ck_assert_uint_eq(load_relaxed(&world.arena->directory[0]), child[0]);
	ck_assert_uint_eq(load_relaxed(&world.arena->header->index_splits), 1);
	ck_assert_uint_eq(load_relaxed(&world.arena->header->index_rebuilds), 0);
	ck_assert(!growth_run(&growth, world.arena, &retired));
	ck_assert_uint_eq(retired, GROWTH_NONE);
	world_stop(&world);
}
END_TEST

/* Where keys only came and went, two segments would be as crowded as one, and the index would take up the arena. */
START_TEST(test_crowded_segment_with_few_keys_is_built_anew)
{
	struct world world;
	struct growth growth;
	uint32_t retired, first, child[2];

	world_start(&world, MIB);
	first = first_segment(&world);
	load(&world);
	for (uint32_t i = 0; i < 4 * world.arena->homes; i++) {
		struct key key = key_of(world.arena, i);

		expect(remove_key(world.arena, &key));
	}
	crowd(&world, first);
	growth_init(&growth);
	ck_assert(growth_run(&growth, world.arena, &retired));
	ck_assert_uint_eq(retired, first);
	child_segments(&world, first, child);
	ck_assert_uint_eq(child[0], child[1]);
	ck_assert_uint_eq(load_relaxed(&world.arena->header->index_splits), 0);
	ck_assert_uint_eq(load_relaxed(&world.arena->header->index_rebuilds), 1);
	ck_assert(!index_crowded(world.arena, child[0]));
	ck_assert(!growth_run(&growth, world.arena, &retired));
	for (uint32_t i = 4 * world.arena->homes; i < 5 * world.arena->homes; i++) {
		struct key key = key_of(world.arena, i);

		expect_equal(lookup_version(world.arena, &key), i + 1);
	}
	world_stop(&world);
}
END_TEST

/* Its place is wanted. All that it has would hardly have room in one segment beside what comes meanwhile. */
START_TEST(test_loaded_segment_is_not_built_anew)
{
	for (uint32_t deepest = 0; deepest < 2; deepest++) {
		struct world world;
		struct growth growth;
		uint32_t retired, first, child[2];

		world_start(&world, MIB);
		first = first_segment(&world);
		load(&world);
		if (deepest)
			store_relaxed(&world.arena->table[first].depth, world.arena->directory_bits);
		growth_init(&growth);
		growth_rebuild(&growth, first);
		ck_assert(growth_run(&growth, world.arena, &retired));
		ck_assert_uint_eq(retired, first);
		child_segments(&world, first, child);
		ck_assert_int_eq(child[0] == child[1], deepest);
		ck_assert_uint_eq(growth.rebuild, GROWTH_NONE);
		world_stop(&world);
	}
}
END_TEST

/* Few keys, but in chains so long that they take up the overflow buckets however often they are moved. */
START_TEST(test_growth_ends_when_few_chains_are_long)
{
	struct world world;
	struct growth growth;
	struct key keys[25];
	uint32_t retired, next = 0, runs = 0;

	world_start(&world, MIB);
	for (uint32_t home = 0; home < 41; home++) {
		keys_of_home(world.arena, home, 25, &next, keys);
		for (uint32_t i = 0; i < 25; i++)
			put_key(&world.self.thread, &keys[i], 1);
	}
	ck_assert(index_crowded(world.arena, first_segment(&world)));
	growth_init(&growth);
	while (growth_run(&growth, world.arena, &retired)) {
		ck_assert_uint_lt(runs++, 100);
		if (retired != GROWTH_NONE)
			segment_recycle(world.arena, retired);
	}
	world_stop(&world);
}
END_TEST

/* A large segment is split in pieces, so that the keeper gets to its other work. */
START_TEST(test_work_is_done_in_pieces)
{
	struct world world;
	struct growth growth;
	uint32_t retired, pieces = 0, last = 0;

	world_start(&world, 256 * MIB); /* with segments of 1 MiB */
	crowd(&world, first_segment(&world));
	growth_init(&growth);
	do {
		ck_assert(growth_run(&growth, world.arena, &retired));
		if (retired == GROWTH_NONE) {
			ck_assert_uint_gt(growth.next_home, last);
			ck_assert_uint_le(growth.next_home - last, 4096);
			last = growth.next_home;
		}
		pieces++;
	} while (retired == GROWTH_NONE);
	ck_assert_uint_ge(pieces, 4);
	world_stop(&world);
}
END_TEST

/* Makes a segment look full. The words lead to no object, so a split drops them. */
static void fill(const struct arena *arena, uint32_t segment)
{
	struct bucket *buckets = index_buckets(arena, segment);

	for (uint32_t home = 0; home < arena->homes; home++)
		for (int i = 0; i < BUCKET_SLOTS - 1; i++)
			store_relaxed(&buckets[home].slots[i], SLOT_OBJECT | SLOT_OFFSET_MASK);
	store_relaxed(&arena->table[segment].overflow_used, arena->overflows);
}

START_TEST(test_full_segment_as_deep_as_the_directory_is_left_alone)
{
	struct world world;
	struct growth growth;
	uint32_t retired;

	world_start(&world, MIB);
	fill(world.arena, first_segment(&world));
	store_relaxed(&world.arena->table[first_segment(&world)].depth, world.arena->directory_bits);
	growth_init(&growth);
	ck_assert(!growth_run(&growth, world.arena, &retired));
	ck_assert_uint_eq(growth.segments_wanted, 0);
	ck_assert(!index_crowded(world.arena, first_segment(&world))); /* nor is it looked at again at once */
	world_stop(&world);
}
END_TEST

START_TEST(test_memory_is_asked_for)
{
	struct world world;
	struct growth growth;
	uint32_t segment, generation, chunk, retired, taken = GROWTH_NONE;

	world_start(&world, MIB);
	fill(world.arena, first_segment(&world));
	while (segment_take_chunks(world.arena, 0, world.arena->chunks, 1, &segment, &generation, &chunk))
		taken = segment;
	growth_init(&growth);
	ck_assert(!growth_run(&growth, world.arena, &retired));
	ck_assert_uint_eq(growth.segments_wanted, 2);
	segment_recycle(world.arena, taken);
	ck_assert(!growth_run(&growth, world.arena, &retired)); /* one is not enough */
	ck_assert_uint_eq(growth.segments_wanted, 2);
	segment_recycle(world.arena, taken - 1);
	ck_assert(growth_run(&growth, world.arena, &retired));
	ck_assert_uint_eq(growth.segments_wanted, 0);
	ck_assert_uint_eq(retired, first_segment(&world));
	world_stop(&world);
}
END_TEST

/* Children must not be split before all buckets of their parent have moved. */
START_TEST(test_split_that_was_begun_comes_first)
{
	for (uint32_t crowded = 0; crowded < 2; crowded++) {
		struct world world;
		struct growth growth;
		uint32_t retired, first, child[2];

		world_start(&world, MIB);
		first = first_segment(&world);
		ck_assert(split_begin(world.arena, first));
		child_segments(&world, first, child);
		for (uint32_t home = 0; home < 100; home++)
			ck_assert(split_bucket(world.arena, first, home));
		crowd(&world, child[crowded]);
		growth_init(&growth); /* a new keeper, which knows of nothing */
		ck_assert(growth_run(&growth, world.arena, &retired));
		ck_assert_uint_eq(retired, first);
		ck_assert(growth_run(&growth, world.arena, &retired));
		ck_assert_uint_eq(retired, child[crowded]);
		world_stop(&world);
	}
}
END_TEST

/* Of several full segments each is begun at once, for writers to go on in, though they are finished one after the other. */
START_TEST(test_all_that_are_nearly_full_are_begun)
{
	struct world world;
	struct growth growth;
	uint32_t retired, first, child[2], grandchild[2], finished = 0;

	world_start(&world, 64 * MIB);
	first = first_segment(&world);
	ck_assert(split_begin(world.arena, first));
	child_segments(&world, first, child);
	fill(world.arena, child[0]);
	growth_init(&growth);
	ck_assert(growth_run(&growth, world.arena, &retired));
	ck_assert_uint_eq(load_relaxed(&world.arena->table[child[0]].children),
	                  0); /* not before its parent is finished */
	while (retired == GROWTH_NONE)
		ck_assert(growth_run(&growth, world.arena, &retired));
	ck_assert_uint_eq(retired, first);
	fill(world.arena, child[0]);
	fill(world.arena, child[1]);
	ck_assert(growth_run(&growth, world.arena, &retired));
	for (uint32_t i = 0; i < 2; i++) {
		child_segments(&world, child[i], grandchild);
		ck_assert_uint_ne(grandchild[0], grandchild[1]);
	}
	while (finished < 2) {
		ck_assert(growth_run(&growth, world.arena, &retired));
		finished += retired == child[0] || retired == child[1];
	}
	ck_assert_uint_eq(load_relaxed(&world.arena->header->index_splits), 3);
	world_stop(&world);
}
END_TEST

START_TEST(test_what_can_be_reached)
{
	struct world world;
	uint32_t first, child[2], lost;

	world_start(&world, MIB);
	first = first_segment(&world);
	ck_assert(growth_reachable(world.arena, first));
	ck_assert(segment_take_index(world.arena, &lost));
	ck_assert(segment_change(world.arena, lost, SEGMENT_RETIRED, SEGMENT_INDEX));
	ck_assert(!growth_reachable(world.arena, lost));
	ck_assert(split_begin(world.arena, first));
	child_segments(&world, first, child);
	ck_assert(growth_reachable(world.arena, child[0]));
	ck_assert(growth_reachable(world.arena, child[1]));
	ck_assert(!growth_reachable(world.arena, lost));
	for (uint32_t home = 0; home < world.arena->homes; home++)
		ck_assert(split_bucket(world.arena, first, home));
	ck_assert(growth_reachable(world.arena, first));
	split_finish(world.arena, first);
	ck_assert(!growth_reachable(world.arena, first));
	ck_assert(growth_reachable(world.arena, child[0]));
	ck_assert(growth_reachable(world.arena, child[1]));
	/* what a retired segment calls its children need not be index segments of this life */
	store_relaxed(&world.arena->table[first].children, (uint64_t)lost << 32 | lost);
	ck_assert(!growth_reachable(world.arena, lost));
	world_stop(&world);
}
END_TEST

/* ---- shrinking ------------------------------------------------------------------------------------------------------ */

/* Splits every segment, whatever is in it, and counts how many there are then. */
static uint32_t split_all(const struct world *world)
{
	for (uint32_t entry = 0; entry < 1u << world->arena->directory_bits; entry++) {
		uint32_t segment = load_relaxed(&world->arena->directory[entry]);

		if (load_relaxed(&world->arena->table[segment].depth) == 2 || !split_begin(world->arena, segment))
			continue;
		for (uint32_t home = 0; home < world->arena->homes; home++)
			expect(split_bucket(world->arena, segment, home));
		expect(split_finish(world->arena, segment));
		segment_recycle(world->arena, segment);
		entry--; /* its children */
	}
	return world_count(world, SEGMENT_INDEX);
}

static void put_some(struct world *world, uint32_t begin, uint32_t end)
{
	for (uint32_t i = begin; i < end; i++) {
		struct key key = key_of(world->arena, i);

		expect(put_key(&world->self.thread, &key, i + 1));
	}
}

static void expect_some(const struct world *world, uint32_t begin, uint32_t end)
{
	for (uint32_t i = begin; i < end; i++) {
		struct key key = key_of(world->arena, i);

		expect_equal(lookup_version(world->arena, &key), i + 1);
	}
}

/* Works until there is nothing more to do. Return: how many segments were retired. */
static uint32_t work(struct growth *growth, const struct world *world)
{
	uint32_t retired, count = 0, idle = 0;

	while (idle < 4)
		if (growth_run(growth, world->arena, &retired)) {
			idle = 0;
			if (retired != GROWTH_NONE) {
				expect(segment_load(world->arena, retired).state == SEGMENT_RETIRED);
				segment_recycle(world->arena, retired);
				count++;
			}
		} else {
			idle++;
		}
	return count;
}

START_TEST(test_sparse_segments_become_one)
{
	struct world world;
	struct growth growth;

	world_start(&world, 2 * MIB);
	ck_assert_uint_eq(split_all(&world), 4);
	put_some(&world, 0, world.arena->homes / 2);
	growth_init(&growth);
	ck_assert_uint_eq(work(&growth, &world), 6);
	ck_assert_uint_eq(world_count(&world, SEGMENT_INDEX), 1);
	ck_assert_uint_eq(world_count(&world, SEGMENT_RETIRED), 0);
	ck_assert_uint_eq(load_relaxed(&world.arena->header->index_merges), 3);
	ck_assert_uint_eq(load_relaxed(&world.arena->header->index_splits), 0);
	ck_assert_uint_eq(load_relaxed(&world.arena->header->index_rebuilds), 0);
	expect_some(&world, 0, world.arena->homes / 2);
	ck_assert_int_eq(cache_verify(&world.self.thread, NULL, NULL, NULL), 0);
	world_stop(&world);
}
END_TEST

/* Neither are those merged that would soon be split again, nor are those split that could soon be merged. */
START_TEST(test_index_does_not_go_to_and_fro)
{
	struct world world;
	struct growth growth;
	uint32_t keys;

	world_start(&world, 2 * MIB);
	keys = world.arena->homes * 3;
	ck_assert_uint_eq(split_all(&world), 4);
	put_some(&world, 0, keys);
	growth_init(&growth);
	ck_assert_uint_eq(work(&growth, &world), 0);
	for (uint32_t i = keys / 6; i < keys; i++) {
		struct key key = key_of(world.arena, i);

		expect(remove_key(world.arena, &key));
	}
	ck_assert_uint_eq(work(&growth, &world),
	                  6); /* half a key for each home of one: two merges, and then another one */
	put_some(&world, keys / 6, keys);
	ck_assert_uint_eq(work(&growth, &world), 0); /* three for each home of one */
	expect_some(&world, 0, keys);
	ck_assert_uint_eq(load_relaxed(&world.arena->header->index_merges), 3);
	world_stop(&world);
}
END_TEST

/* One of them is deeper: then it cannot be merged with the other, but its own two parts can, and then it can. */
START_TEST(test_deeper_segments_are_merged_first)
{
	struct world world;
	struct growth growth;
	uint32_t child[2];

	world_start(&world, 2 * MIB);
	ck_assert(split_begin(world.arena, first_segment(&world)));
	child_segments(&world, first_segment(&world), child);
	growth_init(&growth);
	for (uint32_t home = 0; home < world.arena->homes; home++)
		expect(split_bucket(world.arena, first_segment(&world), home));
	ck_assert(split_finish(world.arena, first_segment(&world)));
	ck_assert(split_begin(world.arena, child[0]));
	put_some(&world, 0, 200);
	ck_assert_uint_eq(work(&growth, &world), 5); /* the split that was begun, two and two that were merged */
	ck_assert_uint_eq(world_count(&world, SEGMENT_INDEX), 1);
	expect_some(&world, 0, 200);
	world_stop(&world);
}
END_TEST

/* What little memory is free is the writers', who are waited for by somebody. */
START_TEST(test_merging_takes_no_memory_that_is_short)
{
	struct world world;
	struct growth growth;
	uint32_t segment, generation, chunk;

	world_start(&world, 2 * MIB);
	ck_assert_uint_eq(split_all(&world), 4);
	store_relaxed(&world.arena->header->free_low_mark, 2);
	while (load_relaxed(&world.arena->header->free_segments) > 2)
		ck_assert(segment_take_chunks(world.arena, 0, world.arena->chunks, 1, &segment, &generation, &chunk));
	growth_init(&growth);
	ck_assert_uint_eq(work(&growth, &world), 0);
	ck_assert_uint_eq(growth.segments_wanted, 0);
	segment_recycle(world.arena, segment);
	ck_assert_uint_eq(work(&growth, &world), 6);
	ck_assert_uint_eq(world_count(&world, SEGMENT_INDEX), 1);
	world_stop(&world);
}
END_TEST

START_TEST(test_merge_that_was_begun_comes_first)
{
	struct world world;
	struct growth growth;
	uint32_t lower, upper, retired;

	world_start(&world, 2 * MIB);
	ck_assert_uint_eq(split_all(&world), 4);
	lower = load_relaxed(&world.arena->directory[0]);
	upper = load_relaxed(&world.arena->directory[1u << (world.arena->directory_bits - 2)]);
	ck_assert(split_begin_merge(world.arena, lower, upper));
	ck_assert(growth_reachable(world.arena, (uint32_t)load_relaxed(&world.arena->table[lower].children)));
	crowd(&world, load_relaxed(&world.arena->directory[(1u << world.arena->directory_bits) - 1]));
	/* all that the directory names of the lower one has been switched */
	for (uint32_t home = 0; home < world.arena->homes; home++)
		expect(split_bucket(world.arena, lower, home));
	for (uint32_t entry = 0; entry < 1u << (world.arena->directory_bits - 2); entry++)
		store_release(&world.arena->directory[entry],
		              (uint32_t)load_relaxed(&world.arena->table[lower].children));
	ck_assert(growth_reachable(world.arena, lower));
	ck_assert(growth_reachable(world.arena, upper));
	growth_init(&growth); /* a new keeper, which knows of nothing */
	ck_assert(growth_run(&growth, world.arena, &retired));
	ck_assert_uint_eq(retired, lower < upper ? lower : upper);
	ck_assert(growth_run(&growth, world.arena, &retired));
	ck_assert_uint_eq(retired, lower < upper ? upper : lower);
	ck_assert(!growth_reachable(world.arena, lower));
	ck_assert(!growth_reachable(world.arena, upper));
	world_stop(&world);
}
END_TEST

/* A keeper died when one of two segments had been told of their merge, and it was long until the next one came. */
START_TEST(test_merge_that_has_begun_for_one_parent)
{
	for (uint32_t filled = 0; filled < 2; filled++) {
		struct world world;
		struct growth growth;
		struct segment_entry *table;
		uint32_t child[2], common, keys;

		world_start(&world, 4 * MIB);
		table = world.arena->table;
		ck_assert(split_begin(world.arena, first_segment(&world)));
		child_segments(&world, first_segment(&world), child);
		for (uint32_t home = 0; home < world.arena->homes; home++)
			expect(split_bucket(world.arena, first_segment(&world), home));
		ck_assert(split_finish(world.arena, first_segment(&world)));
		keys = filled ? 8 * world.arena->homes : world.arena->homes / 2;
		ck_assert(split_begin_merge(world.arena, child[0], child[1]));
		common = (uint32_t)load_relaxed(&table[child[0]].children);
		store_relaxed(&table[child[1]].children, 0);
		put_some(&world, 0, keys);
		store_relaxed(&table[common].depth,
		              filled ? 0 : 1); /* as if one had died, too, that would have left the merge */
		growth_resume_merge(world.arena, child[1]);
		growth_resume_merge(world.arena, child[0]);
		growth_init(&growth);
		ck_assert_uint_eq(load_relaxed(&table[common].depth), filled);
		ck_assert_uint_eq(load_relaxed(&table[common].parents) == 0, filled);
		ck_assert_uint_eq(load_relaxed(&table[child[1]].children) == 0, filled);
		ck_assert(growth_reachable(world.arena, common) && growth_reachable(world.arena, child[1]));
		ck_assert_int_eq(cache_verify(&world.self.thread, NULL, NULL, NULL), 0);
		work(&growth, &world);
		ck_assert_uint_eq(load_relaxed(&world.arena->header->displaced_objects), 0);
		expect_some(&world, 0, keys);
		ck_assert_uint_eq(load_relaxed(&world.arena->directory[0]), common);
		ck_assert_uint_eq(world_count(&world, SEGMENT_INDEX), filled ? 2 : 1);
		ck_assert_int_eq(cache_verify(&world.self.thread, NULL, NULL, NULL), 0);
		world_stop(&world);
	}
}
END_TEST

START_TEST(test_scribbled_directory_is_passed_over)
{
	struct world world;
	struct growth growth;
	uint32_t retired;

	world_start(&world, 2 * MIB);
	const uint32_t segments[] = { 0, UINT32_MAX, world.segments, first_segment(&world) + 9 };

	for (size_t i = 0; i < sizeof segments / sizeof segments[0]; i++) {
		growth_init(&growth);
		growth.next_entry = UINT32_MAX;
		for (uint32_t entry = 0; entry < 1u << world.arena->directory_bits; entry++)
			store_relaxed(&world.arena->directory[entry], segments[i]);
		for (uint32_t run = 0; run < 20; run++)
			ck_assert(!growth_run(&growth, world.arena, &retired));
	}
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("growth");

	tcase_add_test(tests, test_nothing_to_do);
	tcase_add_test(tests, test_crowded_segment_is_split);
	tcase_add_test(tests, test_loaded_segment_is_not_built_anew);
	tcase_add_test(tests, test_growth_ends_when_few_chains_are_long);
	tcase_add_test(tests, test_work_is_done_in_pieces);
	tcase_add_test(tests, test_crowded_segment_with_few_keys_is_built_anew);
	tcase_add_test(tests, test_full_segment_as_deep_as_the_directory_is_left_alone);
	tcase_add_test(tests, test_memory_is_asked_for);
	tcase_add_test(tests, test_split_that_was_begun_comes_first);
	tcase_add_test(tests, test_all_that_are_nearly_full_are_begun);
	tcase_add_test(tests, test_what_can_be_reached);
	tcase_add_test(tests, test_sparse_segments_become_one);
	tcase_add_test(tests, test_index_does_not_go_to_and_fro);
	tcase_add_test(tests, test_deeper_segments_are_merged_first);
	tcase_add_test(tests, test_merging_takes_no_memory_that_is_short);
	tcase_add_test(tests, test_merge_that_was_begun_comes_first);
	tcase_add_test(tests, test_merge_that_has_begun_for_one_parent);
	tcase_add_test(tests, test_scribbled_directory_is_passed_over);
	return suite_run("growth", tests);
}
