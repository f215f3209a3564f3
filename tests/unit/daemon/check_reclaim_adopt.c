/* SPDX-License-Identifier: MIT */
/* The keeper dies at any stage of its work, and the next one takes charge of what it left. Growth, too, from end to end. */
#include "index/split.h"
#include "tests/unit/daemon/house.h"

#define KEYS 3000

static void fill(struct house *house)
{
	for (uint32_t i = 0; i < KEYS; i++) {
		char key[16];

		snprintf(key, sizeof key, "%u", i);
		put(&house->world, key, key);
	}
}

static void expect_filled(struct house *house)
{
	for (uint32_t i = 0; i < KEYS; i++) {
		char key[16], text[VALUE_TEXT];

		snprintf(key, sizeof key, "%u", i);
		expect(strcmp(get(&house->world, key, text, NULL), key) == 0);
	}
	expect_sound(&house->world);
}

/* The keeper is gone with all it knew; a new one comes. */
static void succeed(struct house *house)
{
	reclaim_destroy(house->reclaim);
	house_keeper(house, NEVER_MS);
}

static uint32_t first_segment(const struct house *house)
{
	return house->arena->system_segments;
}

START_TEST(test_condemned_segments_live_again)
{
	struct house house;
	uint32_t segment;

	house_start(&house, MIB, NEVER_MS);
	fill(&house);
	segment = house_segment(&house, "7");
	ck_assert(segment_change(house.arena, segment, SEGMENT_OPEN, SEGMENT_CONDEMNED));
	succeed(&house);
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_OPEN);
	ck_assert_uint_eq(segment_load(house.arena, segment).generation, 0);
	expect_filled(&house);
	house_work(&house);
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_OPEN);
	house_stop(&house);
}
END_TEST

START_TEST(test_condemned_segment_that_has_expired)
{
	struct house house;
	uint32_t segment;

	house_start(&house, MIB, NEVER_MS);
	put_with(&house.world, "key", "value", 1000, 0);
	segment = house_segment(&house, "key");
	epoch_enter(&house.guest.thread.reader);
	world_advance(&house.world, 5000);
	house_work(&house); /* unlinked, and waiting for the section */
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_CONDEMNED);
	succeed(&house);
	house_work(&house);
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_CONDEMNED);
	ck_assert(epoch_exit(&house.guest.thread.reader));
	house_work(&house);
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_FREE);
	house_stop(&house);
}
END_TEST

START_TEST(test_retired_segments_need_a_grace_period)
{
	struct house house;
	uint32_t segment;

	house_start(&house, MIB, NEVER_MS);
	ck_assert(segment_take_index(house.arena, &segment));
	epoch_enter(&house.guest.thread.reader);
	succeed(&house);
	house_work(&house);
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_RETIRED);
	ck_assert(epoch_exit(&house.guest.thread.reader));
	house_work(&house);
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_FREE);
	ck_assert_uint_eq(segment_load(house.arena, segment).generation, 1);
	ck_assert_uint_eq(load_relaxed(&house.arena->header->evicted_segments), 0);
	ck_assert_uint_eq(load_relaxed(&house.arena->header->expired_segments), 0);
	house_stop(&house);
}
END_TEST

/* Killed between making an index segment of a child and telling anybody of it. */
START_TEST(test_unreachable_index_segment_comes_back)
{
	struct house house;
	uint32_t segment;

	house_start(&house, MIB, NEVER_MS);
	fill(&house);
	ck_assert(segment_take_index(house.arena, &segment));
	segment_clear_index(house.arena, segment);
	ck_assert(segment_change(house.arena, segment, SEGMENT_RETIRED, SEGMENT_INDEX));
	succeed(&house);
	house_work(&house);
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_FREE);
	ck_assert_int_eq(house_state(&house, first_segment(&house)), SEGMENT_INDEX);
	expect_filled(&house);
	house_stop(&house);
}
END_TEST

/* Clients live on, and so do the counters in their control pages. */
START_TEST(test_counters_are_not_added_a_second_time)
{
	struct house house;
	struct arena_header *header;

	house_start(&house, MIB, NEVER_MS);
	header = house.arena->header;
	fill(&house);
	cache_get(&house.guest.thread, "7", 1, NULL, 0, NULL);
	reclaim_run(house.reclaim);
	for (int keepers = 0; keepers < 3; keepers++) {
		ck_assert_uint_eq(load_relaxed(&header->sets), KEYS + (uint32_t)keepers);
		ck_assert_uint_eq(load_relaxed(&header->gets), 1);
		succeed(&house);
		put(&house.world, "one", "more");
		reclaim_run(house.reclaim);
	}
	house_stop(&house);
}
END_TEST

/* ---- a split that the former keeper left ------------------------------------------------------------------------------- */

enum stage { BEGUN, HALF, ALL_BUCKETS, HALF_DIRECTORY, DIRECTORY, RETIRED, STAGES };

static void split_to(struct house *house, enum stage stage)
{
	const struct arena *arena = house->arena;
	uint32_t segment = first_segment(house), entries = 1u << arena->directory_bits;
	uint32_t homes = stage == BEGUN ? 0 : stage == HALF ? arena->homes / 2 : arena->homes;
	uint64_t children;

	ck_assert(split_begin(arena, segment));
	for (uint32_t home = 0; home < homes; home++)
		expect(split_bucket(arena, segment, home));
	children = load_relaxed(&arena->table[segment].children);
	if (stage == HALF_DIRECTORY || stage == DIRECTORY)
		for (uint32_t entry = 0; entry < (stage == DIRECTORY ? entries : entries / 2 + 1); entry++)
			store_release(&arena->directory[entry],
			              entry < entries / 2 ? (uint32_t)children : (uint32_t)(children >> 32));
	if (stage == RETIRED)
		split_finish(arena, segment);
}

START_TEST(test_split_is_finished_by_the_next_keeper)
{
	struct house house;
	uint32_t segment, generation;

	house_start(&house, 2 * MIB, NEVER_MS);
	segment = first_segment(&house);
	fill(&house);
	split_to(&house, (enum stage)_i);
	expect_filled(&house);
	succeed(&house);
	expect_filled(&house);
	house_work(&house);
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_FREE);
	generation = segment_load(house.arena, segment).generation;
	ck_assert_uint_eq(generation, 1);
	ck_assert_uint_eq(world_count(&house.world, SEGMENT_INDEX), 2);
	ck_assert_uint_eq(world_count(&house.world, SEGMENT_RETIRED), 0);
	expect_filled(&house);
	fill(&house);
	expect_filled(&house);
	house_stop(&house);
}
END_TEST

/* ---- a merge that the former keeper left ------------------------------------------------------------------------------- */

enum merge_stage {
	TAKEN,
	CHILD_MADE,
	NAMED_ONCE,
	NAMED,
	HALF_MERGED,
	MERGED,
	HALF_NAMED,
	ALL_NAMED,
	HALF_RETIRED,
	BOTH_RETIRED,
	MERGE_STAGES
};

#define FEW_KEYS 300

static void merge_to(struct house *house, enum merge_stage stage)
{
	const struct arena *arena = house->arena;
	uint32_t first = first_segment(house), lower, upper, child, entries = 1u << arena->directory_bits;
	uint64_t children;

	split_to(house, RETIRED);
	children = load_relaxed(&arena->table[first].children);
	lower = (uint32_t)children;
	upper = (uint32_t)(children >> 32);
	if (stage <= CHILD_MADE) {
		ck_assert(segment_take_index(arena, &child));
		segment_clear_index(arena, child);
		if (stage == CHILD_MADE)
			ck_assert(segment_change(arena, child, SEGMENT_RETIRED, SEGMENT_INDEX));
		return;
	}
	ck_assert(split_begin_merge(arena, lower, upper));
	child = (uint32_t)load_relaxed(&arena->table[lower].children);
	if (stage == NAMED_ONCE)
		store_release(&arena->table[upper].children, 0);
	for (uint32_t home = 0; stage > NAMED && home < (stage == HALF_MERGED ? 99 : arena->homes); home++)
		expect(split_bucket(arena, lower, home));
	if (stage == HALF_NAMED || stage == ALL_NAMED)
		for (uint32_t entry = 0; entry < (stage == ALL_NAMED ? entries : entries / 2 + 1); entry++)
			store_release(&arena->directory[entry], child);
	if (stage >= HALF_RETIRED)
		ck_assert(split_finish(arena, lower));
	if (stage == HALF_RETIRED) /* as if it had not come to the second */
		ck_assert(segment_change(arena, upper, SEGMENT_RETIRED, SEGMENT_INDEX));
}

static void expect_few(struct house *house)
{
	for (uint32_t i = 0; i < FEW_KEYS; i++) {
		char key[16], text[VALUE_TEXT];

		snprintf(key, sizeof key, "%u", i);
		expect(strcmp(get(&house->world, key, text, NULL), key) == 0);
	}
	expect_sound(&house->world);
}

START_TEST(test_merge_is_finished_by_the_next_keeper)
{
	struct house house;

	house_start(&house, 2 * MIB, NEVER_MS);
	for (uint32_t i = 0; i < FEW_KEYS; i++) {
		char key[16];

		snprintf(key, sizeof key, "%u", i);
		put(&house.world, key, key);
	}
	merge_to(&house, (enum merge_stage)_i);
	expect_few(&house);
	succeed(&house);
	expect_few(&house);
	house_work(&house);
	ck_assert_uint_eq(world_count(&house.world, SEGMENT_INDEX), 1);
	ck_assert_uint_eq(world_count(&house.world, SEGMENT_RETIRED), 0);
	ck_assert_uint_eq(load_relaxed(&house.arena->header->index_merges), _i < ALL_NAMED);
	expect_few(&house);
	fill(&house);
	expect_filled(&house);
	house_stop(&house);
}
END_TEST

/* Another keeper after each single run, for as long as there is anything to do. */
START_TEST(test_keepers_that_die_all_the_time)
{
	struct house house;

	house_start(&house, 2 * MIB, NEVER_MS);
	for (uint32_t i = 0; i < 20000; i++) {
		char key[16];

		snprintf(key, sizeof key, "%u", i);
		put_with(&house.world, key, key, i % 3 ? 0 : 2000, 0);
		if (i % 50 == 0) {
			world_advance(&house.world, 20);
			reclaim_run(house.reclaim);
			if (i % 100 == 0)
				succeed(&house);
			expect_value(&house.world, key, key);
		}
	}
	expect_sound(&house.world);
	house_work(&house);
	ck_assert_uint_eq(world_count(&house.world, SEGMENT_RETIRED), 0);
	ck_assert_uint_eq(world_count(&house.world, SEGMENT_CONDEMNED), 0);
	expect_sound(&house.world);
	house_stop(&house);
}
END_TEST

/* ---- growth ------------------------------------------------------------------------------------------------------------ */

START_TEST(test_index_grows_by_several_levels)
{
	enum { MANY = 16000 };
	struct house house;
	uint32_t deepest = 0;

	house_start(&house, 2 * MIB, NEVER_MS);
	for (uint32_t i = 0; i < MANY; i++) {
		char key[16];

		snprintf(key, sizeof key, "%u", i);
		put(&house.world, key, "v");
		if (i % 20 == 0)
			reclaim_run(house.reclaim);
		if (i % 2000 == 0)
			expect_sound(&house.world);
	}
	house_work(&house);
	ck_assert_uint_eq(load_relaxed(&house.arena->header->evicted_segments), 0);
	for (uint32_t i = 0; i < MANY; i++) {
		char key[16];

		snprintf(key, sizeof key, "%u", i);
		expect(cache_get(&house.world.self.thread, key, strlen(key), NULL, 0, NULL) == LARDER_TRUNCATED);
	}
	for (uint32_t segment = 0; segment < house.world.segments; segment++)
		if (house_state(&house, segment) == SEGMENT_INDEX &&
		    load_relaxed(&house.arena->table[segment].depth) > deepest)
			deepest = load_relaxed(&house.arena->table[segment].depth);
	ck_assert_uint_ge(deepest, 2);
	ck_assert_uint_eq(world_count(&house.world, SEGMENT_RETIRED), 0);
	expect_sound(&house.world);
	house_stop(&house);
}
END_TEST

/* Makes a segment look full. The words lead to no object, so a split drops them. */
static void fill_index(const struct arena *arena, uint32_t segment)
{
	struct bucket *buckets = index_buckets(arena, segment);

	for (uint32_t home = 0; home < arena->homes; home++)
		for (int i = 0; i < BUCKET_SLOTS - 1; i++)
			store_relaxed(&buckets[home].slots[i], SLOT_OBJECT | SLOT_OFFSET_MASK);
	store_relaxed(&arena->table[segment].overflow_used, arena->overflows);
}

START_TEST(test_growth_gets_memory_from_the_oldest)
{
	struct house house;
	struct write_request request = { .operation = WRITE_SET };
	static char value[50000];
	uint32_t segment;

	house_start(&house, MIB, NEVER_MS);
	segment = first_segment(&house);
	request.value = value;
	request.value_size = sizeof value;
	request.key_size = 4;
	for (uint32_t i = 0; world_count(&house.world, SEGMENT_FREE) > 1; i++) {
		request.key = (const char *)&i;
		ck_assert_int_eq(write_one(&house.world, &request, NULL), 0);
	}
	house_work(&house);
	fill_index(house.arena, segment);
	house_work(&house);
	ck_assert_int_ne(house_state(&house, segment), SEGMENT_INDEX);
	ck_assert_uint_eq(load_relaxed(&house.arena->header->index_splits), 1);
	ck_assert_uint_gt(load_relaxed(&house.arena->header->evicted_segments), 0);
	expect_sound(&house.world);
	house_stop(&house);
}
END_TEST

/* A thread that was revoked may still hold a compare-and-swap for a bucket of the segment that it pinned. */
START_TEST(test_split_segment_waits_for_who_pinned_it)
{
	struct house house;
	struct epoch_reader *reader;
	uint32_t segment;

	house_start(&house, MIB, NEVER_MS);
	segment = first_segment(&house);
	reader = &house.guest.thread.reader;
	fill(&house);
	epoch_enter(reader);
	ck_assert(epoch_pin_index(reader, INDEX_PIN_SEGMENT, segment));
	store_release(&reader->line->epoch, EPOCH_REVOKED);
	store_relaxed(&house.arena->table[segment].overflow_used, house.arena->overflows);
	house_work(&house);
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_RETIRED);
	/* data segments need not wait for it */
	put_with(&house.world, "short", "life", 1000, 0);
	world_advance(&house.world, 5000);
	house_work(&house);
	ck_assert_uint_eq(load_relaxed(&house.arena->header->expired_segments), 1);
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_RETIRED);
	/* nor does another keeper forget */
	succeed(&house);
	house_work(&house);
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_RETIRED);
	epoch_unpin_index(reader, INDEX_PIN_SEGMENT);
	house_work(&house);
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_FREE); /* it may be revoked still */
	ck_assert(!epoch_exit(reader));
	expect_filled(&house);
	house_stop(&house);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("reclaim adopt");

	tcase_add_test(tests, test_condemned_segments_live_again);
	tcase_add_test(tests, test_condemned_segment_that_has_expired);
	tcase_add_test(tests, test_retired_segments_need_a_grace_period);
	tcase_add_test(tests, test_unreachable_index_segment_comes_back);
	tcase_add_test(tests, test_counters_are_not_added_a_second_time);
	tcase_add_loop_test(tests, test_merge_is_finished_by_the_next_keeper, 0, MERGE_STAGES);
	tcase_add_loop_test(tests, test_split_is_finished_by_the_next_keeper, BEGUN, STAGES);
	tcase_add_test(tests, test_keepers_that_die_all_the_time);
	tcase_add_test(tests, test_index_grows_by_several_levels);
	tcase_add_test(tests, test_growth_gets_memory_from_the_oldest);
	tcase_add_test(tests, test_split_segment_waits_for_who_pinned_it);
	return suite_run("reclaim adopt", tests);
}
