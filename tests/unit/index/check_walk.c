/* SPDX-License-Identifier: MIT */
#include "index/walk.h"

#include "index/split.h"
#include "tests/unit/support/objects.h"

#define KEYS 3000

struct tour {
	struct world world;
	struct key keys[KEYS];
	uint32_t seen[KEYS];
	uint64_t chains;
};

static void tour_start(struct tour *tour, uint64_t bytes)
{
	memset(tour, 0, sizeof *tour);
	world_start(&tour->world, bytes);
	for (uint32_t i = 0; i < KEYS; i++) {
		tour->keys[i] = key_of(tour->world.arena, i);
		expect(put_key(&tour->world.self.thread, &tour->keys[i], i + 1));
	}
}

static bool step(struct tour *tour, struct index_walk *walk)
{
	const struct arena *arena = tour->world.arena;
	struct index_chain chain;
	struct object_view view;

	if (!index_walk_next(arena, walk, &chain))
		return false;
	tour->chains++;
	for (uint32_t slot = 0; slot < chain.buckets * BUCKET_SLOTS; slot++)
		if (slot_is_object(chain.words[slot]) && object_parse(arena, slot_offset(chain.words[slot]), &view))
			tour->seen[view.version - 1]++;
	return true;
}

static void split(struct tour *tour, uint32_t segment, uint32_t homes)
{
	const struct arena *arena = tour->world.arena;

	if (!split_begin(arena, segment))
		return;
	for (uint32_t home = 0; home < homes; home++)
		expect(split_bucket(arena, segment, home));
	if (homes == arena->homes)
		split_finish(arena, segment);
}

START_TEST(test_each_key_is_seen_once)
{
	static struct tour tour;
	struct index_walk walk = { 0 };

	tour_start(&tour, MIB);
	while (step(&tour, &walk))
		;
	ck_assert_uint_eq(tour.chains, tour.world.arena->homes);
	for (uint32_t i = 0; i < KEYS; i++)
		ck_assert_uint_eq(tour.seen[i], 1);
	ck_assert(!step(&tour, &walk));
	world_stop(&tour.world);
}
END_TEST

START_TEST(test_each_key_is_seen_once_in_a_grown_index)
{
	static struct tour tour;
	struct index_walk walk = { 0 };
	uint32_t first;

	tour_start(&tour, 2 * MIB);
	first = tour.world.arena->system_segments;
	split(&tour, first, tour.world.arena->homes);
	split(&tour, load_relaxed(&tour.world.arena->directory[0]), tour.world.arena->homes);
	split(&tour, load_relaxed(&tour.world.arena->directory[0]), tour.world.arena->homes);
	while (step(&tour, &walk))
		;
	ck_assert_uint_eq(tour.chains, 4 * tour.world.arena->homes); /* depths 3, 3, 2, 1 */
	for (uint32_t i = 0; i < KEYS; i++)
		ck_assert_uint_eq(tour.seen[i], 1);
	world_stop(&tour.world);
}
END_TEST

START_TEST(test_each_key_is_seen_while_a_split_stands_still)
{
	for (uint32_t part = 0; part < 4; part++) {
		static struct tour tour;
		struct index_walk walk = { 0 };

		tour_start(&tour, MIB);
		split(&tour, tour.world.arena->system_segments, tour.world.arena->homes * part / 4);
		while (step(&tour, &walk))
			;
		for (uint32_t i = 0; i < KEYS; i++)
			ck_assert_uint_ge(tour.seen[i], 1);
		world_stop(&tour.world);
	}
}
END_TEST

/* Splits happen between any two steps of the walk. */
START_TEST(test_each_key_is_seen_while_the_index_grows)
{
	for (uint32_t seed = 0; seed < 30; seed++) {
		static struct tour tour;
		struct random random = { seed };
		struct index_walk walk = { 0 };
		uint32_t pause;

		tour_start(&tour, 2 * MIB);
		pause = 50 + random_below(&random, 2000);
		while (step(&tour, &walk))
			if (random_below(&random, pause) == 0) {
				uint32_t entry = random_below(&random, 1u << tour.world.arena->directory_bits);

				split(&tour, load_relaxed(&tour.world.arena->directory[entry]),
				      tour.world.arena->homes);
			}
		for (uint32_t i = 0; i < KEYS; i++)
			ck_assert_uint_ge(tour.seen[i], 1);
		ck_assert_uint_le(tour.chains,
		                  (UINT64_C(2) << tour.world.arena->directory_bits) * tour.world.arena->homes);
		world_stop(&tour.world);
	}
}
END_TEST

/* Merges the segment of a directory entry with its sibling, if it has one: so many of the homes. */
static void merge(struct tour *tour, uint32_t entry, uint32_t homes)
{
	const struct arena *arena = tour->world.arena;
	uint32_t segment = load_relaxed(&arena->directory[entry]), depth = load_relaxed(&arena->table[segment].depth);
	uint32_t lower = entry >> (arena->directory_bits - depth + 1) << (arena->directory_bits - depth + 1);
	uint32_t upper = lower + (1u << (arena->directory_bits - depth));

	if (depth == 0)
		return;
	lower = load_relaxed(&arena->directory[lower]);
	upper = load_relaxed(&arena->directory[upper]);
	if (!split_begin_merge(arena, lower, upper))
		return;
	for (uint32_t home = 0; home < homes; home++)
		expect(split_bucket(arena, segment, home));
	if (homes < arena->homes)
		return;
	expect(split_finish(arena, lower));
	segment_recycle(arena, lower); /* there are no other readers */
	segment_recycle(arena, upper);
}

/* Splits and merges happen between any two steps of the walk. */
START_TEST(test_each_key_is_seen_while_the_index_grows_and_shrinks)
{
	for (uint32_t seed = 0; seed < 30; seed++) {
		static struct tour tour;
		struct random random = { seed };
		struct index_walk walk = { 0 };
		uint32_t pause, bits;

		tour_start(&tour, 2 * MIB);
		bits = tour.world.arena->directory_bits;
		pause = 50 + random_below(&random, 1000);
		for (uint32_t i = 0; i < 4; i++)
			split(&tour, load_relaxed(&tour.world.arena->directory[random_below(&random, 1u << bits)]),
			      tour.world.arena->homes);
		while (step(&tour, &walk)) {
			uint32_t entry = random_below(&random, 1u << bits);

			if (random_below(&random, pause) != 0)
				continue;
			if (random_below(&random, 3) == 0)
				split(&tour, load_relaxed(&tour.world.arena->directory[entry]),
				      tour.world.arena->homes);
			else
				merge(&tour, entry, tour.world.arena->homes);
		}
		for (uint32_t i = 0; i < KEYS; i++)
			expect(tour.seen[i] >= 1);
		world_stop(&tour.world);
	}
}
END_TEST

START_TEST(test_each_key_is_seen_while_a_merge_stands_still)
{
	for (uint32_t part = 0; part < 4; part++) {
		static struct tour tour;
		struct index_walk walk = { 0 };

		tour_start(&tour, MIB);
		split(&tour, tour.world.arena->system_segments, tour.world.arena->homes);
		merge(&tour, 0, tour.world.arena->homes * part / 4);
		while (step(&tour, &walk))
			;
		for (uint32_t i = 0; i < KEYS; i++)
			ck_assert_uint_ge(tour.seen[i], 1);
		world_stop(&tour.world);
	}
}
END_TEST

START_TEST(test_split_bucket_by_bucket_under_the_walk)
{
	static struct tour tour;
	struct index_walk walk = { 0 };
	uint32_t segment, home = 0;

	tour_start(&tour, MIB);
	segment = tour.world.arena->system_segments;
	expect(split_begin(tour.world.arena, segment));
	/* the splitter begins at the end and meets the walk in the middle */
	while (step(&tour, &walk))
		if (home < tour.world.arena->homes)
			expect(split_bucket(tour.world.arena, segment, tour.world.arena->homes - 1 - home++));
	for (uint32_t i = 0; i < KEYS; i++)
		ck_assert_uint_ge(tour.seen[i], 1);
	world_stop(&tour.world);
}
END_TEST

/* Where a walk stands comes from the caller of scan, who may make it up. */
START_TEST(test_any_position_ends)
{
	static struct tour tour;
	struct random random = { 13 };

	tour_start(&tour, MIB);
	split(&tour, tour.world.arena->system_segments, tour.world.arena->homes);
	for (uint32_t i = 0; i < 300; i++) {
		struct index_walk walk = {
			.directory = (uint32_t)random_next(&random) >> random_below(&random, 32),
			.depth = (uint32_t)random_next(&random) >> random_below(&random, 32),
			.home = (uint32_t)random_next(&random) >> random_below(&random, 32),
			.life = (uint32_t)random_next(&random),
		};

		tour.chains = 0;
		while (step(&tour, &walk))
			;
		ck_assert_uint_le(tour.chains, 8 * tour.world.arena->homes);
	}
	world_stop(&tour.world);
}
END_TEST

START_TEST(test_scribbled_directory_ends)
{
	static struct tour tour;
	struct index_walk walk = { 0 };
	uint32_t first;

	tour_start(&tour, MIB);
	first = tour.world.arena->system_segments;
	store_relaxed(&tour.world.arena->directory[0], UINT32_MAX);
	store_relaxed(&tour.world.arena->directory[1], tour.world.segments);
	store_relaxed(&tour.world.arena->table[first].depth, UINT32_MAX);
	while (step(&tour, &walk))
		;
	/* moved in a circle */
	store_relaxed(&tour.world.arena->table[first].depth, 0);
	store_relaxed(&tour.world.arena->table[first].children, (uint64_t)first << 32 | first);
	store_relaxed(&index_buckets(tour.world.arena, first)[0].control, CONTROL_MOVED);
	walk = (struct index_walk){ 0 };
	while (step(&tour, &walk))
		;
	world_stop(&tour.world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("index walk");

	tcase_add_test(tests, test_each_key_is_seen_once);
	tcase_add_test(tests, test_each_key_is_seen_once_in_a_grown_index);
	tcase_add_test(tests, test_each_key_is_seen_while_a_split_stands_still);
	tcase_add_test(tests, test_each_key_is_seen_while_the_index_grows);
	tcase_add_test(tests, test_each_key_is_seen_while_the_index_grows_and_shrinks);
	tcase_add_test(tests, test_each_key_is_seen_while_a_merge_stands_still);
	tcase_add_test(tests, test_split_bucket_by_bucket_under_the_walk);
	tcase_add_test(tests, test_any_position_ends);
	tcase_add_test(tests, test_scribbled_directory_ends);
	return suite_run("index walk", tests);
}
