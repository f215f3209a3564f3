/* SPDX-License-Identifier: MIT */
/* From lookups in an arena to the estimate in its header. */
#include "daemon/estimate.h"

#include "cache/usage.h"
#include "tests/unit/daemon/house.h"

#define SAMPLED 400u /* keys, all of them in the sample */
#define VALUE_BYTES 1000u

static struct larder_stat stat_of(struct house *house)
{
	struct larder_stat stat;

	cache_census(&house->world.self.thread, &stat);
	return stat;
}

static void find_keys(const struct house *house, char keys[SAMPLED][16])
{
	uint32_t found = 0;

	for (uint32_t i = 0; found < SAMPLED; i++) {
		snprintf(keys[found], sizeof keys[found], "%08u", i);
		found += usage_sampled(hash_key(house->arena->secret, keys[found], 8));
	}
}

static void look_up_or_store(struct cache_thread *thread, const char *key)
{
	static char value[VALUE_BYTES];
	struct write_result result;
	const struct write_request request = {
		.operation = WRITE_SET, .key = key, .key_size = 8, .value = value, .value_size = sizeof value
	};

	if (cache_get(thread, key, 8, value, sizeof value, NULL) == LARDER_MISS)
		expect_equal(cache_write(thread, &request, &result), 0);
}

/*
 * The keys stand for 256 times as many, so for some 100 MiB, and are used evenly; so where a share of them fits, that share of the
 * lookups hits. The keeper is told of as many lookups as the sample stands for.
 */
START_TEST(test_estimate_is_told_when_there_are_samples_enough)
{
	static char keys[SAMPLED][16];
	struct house house;
	struct random random = { 3 };
	struct larder_stat stat;
	uint64_t object_bytes, capacity;

	house_start(&house, 64 * MIB, NEVER_MS);
	find_keys(&house, keys);
	for (uint32_t i = 0; i < 20000; i++) {
		struct thread_line *line = house.guest.thread.reader.line;

		if (i == 1000) {
			stat = stat_of(&house);
			ck_assert_uint_gt(stat.estimate_samples, 0);
			for (uint32_t size = 0; size < LARDER_STAT_ESTIMATES; size++)
				ck_assert_uint_eq(stat.estimated_misses[size], LARDER_STAT_UNKNOWN);
		}
		look_up_or_store(&house.guest.thread, keys[i < SAMPLED ? i : random_below(&random, SAMPLED)]);
		store_relaxed(&line->hits, load_relaxed(&line->hits) + (1u << USAGE_SAMPLE_BITS) - 1);
		if (i % 100 == 0)
			reclaim_run(house.reclaim);
	}
	reclaim_run(house.reclaim);
	stat = stat_of(&house);
	ck_assert_uint_eq(stat.estimate_keys, SAMPLED);
	ck_assert_uint_ge(stat.estimate_samples, 19000);
	object_bytes = object_size(0, 8, VALUE_BYTES) * SAMPLED << USAGE_SAMPLE_BITS;
	capacity = (stat.segments - stat.segments_system - stat.segments_index - 1) *
	           stat.segment_bytes; /* 1: stays free */
	for (uint32_t size = 0; size < LARDER_STAT_ESTIMATES; size++) {
		double fits = (double)capacity / (double)object_bytes * (0.25 * (1 << size));

		ck_assert_double_eq_tol((double)stat.estimated_misses[size] / 1e6, fits < 1 ? 1 - fits : 0.02, 0.03);
	}
	house_stop(&house);
}
END_TEST

/* Reports that come too fast for the keeper make the sample smaller, until they do not. */
START_TEST(test_work_is_bounded)
{
	struct world world;
	struct estimate estimate;
	struct survey survey;
	struct random random = { 9 };
	uint64_t seen = 0;

	world_start(&world, MIB);
	estimate_init(&estimate, world.arena);
	survey_take(world.arena, &survey);
	ck_assert_uint_eq(load_relaxed(&world.arena->header->usage_threshold), USAGE_THRESHOLD_MAX);
	for (uint32_t i = 0; i < 1000; i++) {
		for (uint32_t j = 0; j < USAGES / 2; j++)
			usage_note(&world.self.thread, USAGE_STORE, random_next(&random) << USAGE_SAMPLE_BITS, 64, 0);
		estimate_read(&estimate, &world.self.cache.control, &seen);
		estimate_tell(&estimate, &survey);
	}
	ck_assert_uint_le(load_relaxed(&world.arena->header->usage_threshold), USAGE_THRESHOLD_MAX / 4);
	estimate_destroy(&estimate);
	world_stop(&world);
}
END_TEST

/* Nor does it matter what a client writes where its reports stand. */
START_TEST(test_scribbled_reports)
{
	struct world world;
	struct control_page *page;
	struct estimate estimate;
	struct survey survey;
	struct random random = { 10 };
	uint64_t seen = 0;

	world_start(&world, MIB);
	page = world.self.cache.control.page;
	estimate_init(&estimate, world.arena);
	survey_take(world.arena, &survey);
	for (uint32_t i = 0; i < 200; i++) {
		random_bytes(&random, page->usages, sizeof page->usages);
		store_relaxed(&page->usage_count, random_next(&random));
		estimate_read(&estimate, &world.self.cache.control, &seen);
		estimate_count_lookups(&estimate, random_next(&random));
		estimate_tell(&estimate, &survey);
	}
	for (uint32_t size = 0; size < ESTIMATES; size++) {
		uint64_t misses = load_relaxed(&world.arena->header->estimate_misses[size]);

		ck_assert(misses <= 1000000 || misses == ESTIMATE_UNKNOWN);
	}
	estimate_destroy(&estimate);
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("estimate");

	tcase_add_test(tests, test_estimate_is_told_when_there_are_samples_enough);
	tcase_add_test(tests, test_work_is_bounded);
	tcase_add_test(tests, test_scribbled_reports);
	return suite_run("estimate", tests);
}
