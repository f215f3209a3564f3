/* SPDX-License-Identifier: MIT */
#include "cache/usage.h"

#include "tests/unit/support/writes.h"

/* A key of some length that is in the sample, or that is not. */
static const char *key_in_sample(const struct world *world, bool sampled, size_t size, char text[64])
{
	for (uint32_t i = 0;; i++) {
		snprintf(text, 64, "%0*u", (int)size, i);
		if (usage_sampled(hash_key(world->arena->secret, text, size)) == sampled)
			return text;
	}
}

static void start(struct world *world)
{
	world_start(world, MIB);
	store_relaxed(&world->arena->header->usage_threshold, USAGE_THRESHOLD_MAX);
}

static uint64_t reports(const struct world *world)
{
	return load_relaxed(&world->self.cache.control.page->usage_count);
}

/* The next report is this one. */
static void expect_report(const struct world *world, uint64_t *seen, enum usage_kind kind, const char *key)
{
	struct usage_report report;
	uint64_t lost;

	ck_assert(usage_next(&world->self.cache.control, seen, &report, &lost));
	ck_assert_uint_eq(lost, 0);
	ck_assert_int_eq(report.kind, kind);
	ck_assert_uint_eq(report.key, hash_key(world->arena->secret, key, strlen(key)) >> USAGE_SAMPLE_BITS);
	if (kind == USAGE_HIT || kind == USAGE_STORE) {
		struct object_view object;

		look_up(world, key, &object);
		ck_assert_uint_eq(report.bytes, object.size);
		if (object.expires_ms) /* a view's life may be up to 20 ms short */
			ck_assert_uint_le(object.expires_ms - arena_now_ms(world->arena), report.life_ms + 20);
		else
			ck_assert_uint_eq(report.life_ms, 0);
	}
}

static void read_by_every_way(struct world *world, const char *key, uint64_t *seen, enum usage_kind kind)
{
	struct cache_thread *thread = &world->self.thread;
	char buffer[64];
	struct larder_view view;
	struct larder_mget_entry mget = {
		.key = key, .key_size = strlen(key), .buffer = buffer, .buffer_size = sizeof buffer
	};
	struct larder_mview_entry mview = { .key = key, .key_size = strlen(key) };

	thread->recent_usage = 0;
	cache_get(thread, key, strlen(key), buffer, sizeof buffer, NULL);
	expect_report(world, seen, kind, key);
	thread->recent_usage = 0;
	if (cache_view(thread, key, strlen(key), &view) == LARDER_OK)
		cache_release(&world->self.cache, &view);
	expect_report(world, seen, kind, key);
	thread->recent_usage = 0;
	cache_mget(thread, &mget, 1);
	expect_report(world, seen, kind, key);
	thread->recent_usage = 0;
	cache_mview(thread, &mview, 1);
	if (mview.result == LARDER_OK)
		cache_release(&world->self.cache, &mview.view);
	expect_report(world, seen, kind, key);
}

static void live_through_all(size_t key_size, uint64_t ttl_ms)
{
	struct world world;
	uint64_t seen = 0;
	char text[64];
	const char *key;

	start(&world);
	key = key_in_sample(&world, true, key_size, text);
	read_by_every_way(&world, key, &seen, USAGE_MISS);
	put_with(&world, key, "value", ttl_ms, 0);
	expect_report(&world, &seen, USAGE_STORE, key);
	read_by_every_way(&world, key, &seen, USAGE_HIT);
	simple_write(&world, WRITE_APPEND, key, "more");
	expect_report(&world, &seen, USAGE_STORE, key);
	if (ttl_ms) {
		world_advance(&world, ttl_ms);
		read_by_every_way(&world, key, &seen, USAGE_MISS);
		put(&world, key, "again");
		expect_report(&world, &seen, USAGE_STORE, key);
	}
	simple_write(&world, WRITE_DELETE, key, NULL);
	expect_report(&world, &seen, USAGE_DELETE, key);
	ck_assert_uint_eq(seen, reports(&world));
	world_stop(&world);
}

START_TEST(test_every_use_of_a_sampled_key_is_reported)
{
	live_through_all(HASH_SHORT_MIN, 0);
	live_through_all(HASH_SHORT_MIN, 5000);
	live_through_all(HASH_SHORT_MIN - 10, 0);
	live_through_all(HASH_SHORT_MAX + 10, 5000);
}
END_TEST

START_TEST(test_other_keys_are_not)
{
	struct world world;
	char text[64], buffer[16];
	const char *key;

	start(&world);
	key = key_in_sample(&world, false, 20, text);
	put(&world, key, "value");
	cache_get(&world.self.thread, key, 20, buffer, sizeof buffer, NULL);
	simple_write(&world, WRITE_DELETE, key, NULL);
	ck_assert_uint_eq(reports(&world), 0);
	key = key_in_sample(&world, true, 20, text);
	store_relaxed(&world.arena->header->usage_threshold, 0);
	put(&world, key, "value");
	ck_assert_uint_eq(reports(&world), 0);
	world_stop(&world);
}
END_TEST

START_TEST(test_reading_the_same_key_again_and_again_is_reported_once)
{
	struct world world;
	char text[64], buffer[16];
	uint64_t seen = 0;
	const char *key;

	start(&world);
	key = key_in_sample(&world, true, 20, text);
	put(&world, key, "value");
	world.self.thread.recent_usage = 0;
	for (int i = 0; i < 1000; i++)
		cache_get(&world.self.thread, key, 20, buffer, sizeof buffer, NULL);
	expect_report(&world, &seen, USAGE_STORE, key);
	expect_report(&world, &seen, USAGE_HIT, key);
	ck_assert_uint_eq(reports(&world), 2);
	world_stop(&world);
}
END_TEST

START_TEST(test_reports_that_were_written_over_are_counted)
{
	struct world world;
	struct usage_report report;
	uint64_t seen = 0, lost, all_lost = 0, found = 0;

	start(&world);
	for (uint64_t i = 1; i <= 3 * USAGES; i++)
		usage_note(&world.self.thread, USAGE_STORE, i << USAGE_SAMPLE_BITS, 8 * i, 0);
	while (usage_next(&world.self.cache.control, &seen, &report, &lost)) {
		all_lost += lost;
		ck_assert_uint_eq(report.key, 2 * USAGES + ++found);
		ck_assert_uint_eq(report.bytes, 8 * report.key);
	}
	ck_assert_uint_eq(all_lost, 2 * USAGES);
	ck_assert_uint_eq(found, USAGES);
	usage_note(&world.self.thread, USAGE_STORE, UINT64_C(1) << 63, UINT64_MAX, UINT64_MAX);
	ck_assert(usage_next(&world.self.cache.control, &seen, &report, &lost));
	ck_assert_uint_eq(lost, 0);
	ck_assert_uint_eq(report.bytes, UINT32_MAX);
	ck_assert_uint_eq(report.life_ms, UINT32_MAX);
	world_stop(&world);
}
END_TEST

/* Its writer was killed in between: what stands there is not taken for a report, whether old or nothing. */
START_TEST(test_report_that_was_begun_only)
{
	struct world world;
	struct usage_report report;
	uint64_t seen = 0, lost;

	start(&world);
	for (int round = 0; round < 3; round++) {
		fetch_add_relaxed(&world.self.cache.control.page->usage_count, USAGES - 1);
		usage_note(&world.self.thread, USAGE_MISS, UINT64_C(77) << USAGE_SAMPLE_BITS, 0, 0);
		ck_assert(usage_next(&world.self.cache.control, &seen, &report, &lost));
		ck_assert_uint_eq(report.key, 77);
		ck_assert(!usage_next(&world.self.cache.control, &seen, &report, &lost));
	}
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("usage");

	tcase_add_test(tests, test_every_use_of_a_sampled_key_is_reported);
	tcase_add_test(tests, test_other_keys_are_not);
	tcase_add_test(tests, test_reading_the_same_key_again_and_again_is_reported_once);
	tcase_add_test(tests, test_reports_that_were_written_over_are_counted);
	tcase_add_test(tests, test_report_that_was_begun_only);
	return suite_run("usage", tests);
}
