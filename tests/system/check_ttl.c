/* SPDX-License-Identifier: MIT */
/*
 * Life and its end. Timing is never asserted as such: a key must be gone when the clock, read before the call, says its
 * time is over; it must be there when the clock, read after the call, says it is not.
 */
#include "tests/support/suite.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tests/support/client.h"
#include "tests/support/expect.h"

#define SLACK_MS 2 /* remaining life is counted in whole ms */

static struct server server;
static larder *cache;

static void setup(void)
{
	server_start(&server, "16M", NULL);
	cache = client_open(&server);
}

static void teardown(void)
{
	larder_close(cache);
	server_stop(&server);
}

/* A key and the span within which its life ends. */
struct mortal {
	char key[32];
	uint64_t earliest_end, latest_end; /* monotonic ms */
};

static void mortal_stored(struct mortal *mortal, uint64_t before, uint64_t ttl_ms)
{
	mortal->earliest_end = before + ttl_ms;
	mortal->latest_end = monotonic_ms() + ttl_ms;
}

static void mortal_set(struct mortal *mortal, const char *key, uint64_t ttl_ms)
{
	struct larder_set_options options = LARDER_SET_OPTIONS;
	uint64_t before = monotonic_ms();

	options.ttl_ms = ttl_ms;
	snprintf(mortal->key, sizeof mortal->key, "%s", key);
	expect_equal(larder_set(cache, key, strlen(key), key, strlen(key), &options, NULL), 0);
	mortal_stored(mortal, before, ttl_ms);
}

/* Looks once, by get and by view; true while the key lives. */
static int mortal_lives(const struct mortal *mortal)
{
	char buffer[32];
	struct larder_item item;
	struct larder_view view;
	uint64_t before = monotonic_ms(), after;
	int result = larder_get(cache, mortal->key, strlen(mortal->key), buffer, sizeof buffer, &item);
	int view_result = larder_view(cache, mortal->key, strlen(mortal->key), &view);

	if (view_result == 0)
		larder_release(cache, &view);
	after = monotonic_ms();
	expect(result == 0 || result == LARDER_MISS);
	expect(view_result == result || view_result == LARDER_MISS);
	if (before > mortal->latest_end + SLACK_MS)
		expect_equal(result, LARDER_MISS);
	if (after + SLACK_MS < mortal->earliest_end)
		expect_equal(view_result, 0);
	if (result == 0) {
		expect(item.ttl_ms >= 1);
		expect(item.ttl_ms <= mortal->latest_end - before + SLACK_MS);
		expect(after >= mortal->earliest_end || item.ttl_ms + SLACK_MS >= mortal->earliest_end - after);
	}
	return result == 0;
}

START_TEST(lives_until_its_time_and_no_longer)
{
	static const uint64_t lives[] = { 1, 2, 10, 50, 120, 300, 999, 1000, 1001, 1500 };
	struct mortal mortals[sizeof lives / sizeof lives[0]];
	const size_t count = sizeof lives / sizeof lives[0];
	char key[32];
	size_t alive;

	for (size_t i = 0; i < count; i++) {
		snprintf(key, sizeof key, "lives %d", (int)lives[i]);
		mortal_set(&mortals[i], key, lives[i]);
	}
	do {
		alive = 0;
		for (size_t i = 0; i < count; i++)
			alive += (size_t)mortal_lives(&mortals[i]);
	} while (alive > 0);
}
END_TEST

START_TEST(zero_is_for_ever)
{
	struct larder_item item;
	struct mortal mortal;
	char buffer[32];

	client_put(cache, "eternal", "x");
	mortal_set(&mortal, "clock", 100);
	while (mortal_lives(&mortal))
		continue;
	ck_assert_int_eq(larder_get(cache, "eternal", 7, buffer, sizeof buffer, &item), 0);
	ck_assert_uint_eq(item.ttl_ms, 0);
}
END_TEST

START_TEST(very_long_lives)
{
	static const uint64_t lives[] = { UINT64_C(1) << 32, UINT64_C(86400000) * 366, UINT64_MAX / 2, UINT64_MAX };
	struct larder_set_options options = LARDER_SET_OPTIONS;
	struct larder_item item;
	char buffer[32];

	for (size_t i = 0; i < sizeof lives / sizeof lives[0]; i++) {
		options.ttl_ms = lives[i];
		ck_assert_int_eq(larder_set(cache, "k", 1, "v", 1, &options, NULL), 0);
		ck_assert_int_eq(larder_get(cache, "k", 1, buffer, sizeof buffer, &item), 0);
		/* A life that ends beyond all time may be reported as for ever, but not as short. */
		ck_assert(item.ttl_ms == 0 || item.ttl_ms > lives[0] / 2);
		ck_assert_int_eq(larder_touch(cache, "k", 1, lives[i], NULL), 0);
		client_expect(cache, "k", "v");
	}
}
END_TEST

START_TEST(touch_prolongs_and_shortens)
{
	struct mortal prolonged, shortened;
	uint64_t before;

	mortal_set(&prolonged, "prolonged", 500);
	before = monotonic_ms();
	ck_assert_int_eq(larder_touch(cache, "prolonged", 9, 1500, NULL), 0);
	mortal_stored(&prolonged, before, 1500);
	mortal_set(&shortened, "shortened", 3600000);
	before = monotonic_ms();
	ck_assert_int_eq(larder_touch(cache, "shortened", 9, 200, NULL), 0);
	mortal_stored(&shortened, before, 200);
	while (mortal_lives(&shortened) || mortal_lives(&prolonged))
		continue;
	ck_assert_int_eq(larder_touch(cache, "shortened", 9, 1000, NULL), LARDER_MISS);
	client_expect(cache, "shortened", NULL);
}
END_TEST

/* For every call a key whose time is over is a key that is not there. */
START_TEST(expired_is_absent)
{
	static const char *const keys[] = {
		"add", "replace", "cas", "append", "delete", "incr", "create", "set", "scan"
	};
	struct mortal mortals[sizeof keys / sizeof keys[0]];
	const size_t count = sizeof keys / sizeof keys[0];
	struct larder_incr_options create = LARDER_INCR_OPTIONS;
	struct larder_scan_entry entries[16];
	struct larder_cursor cursor = { { 0, 0 } };
	static char buffer[LARDER_KEY_MAX];
	struct larder_item item = { .version = 1 };
	uint64_t version;
	int64_t value;
	size_t found;
	int result;

	for (size_t i = 0; i < count; i++)
		mortal_set(&mortals[i], keys[i], 50);
	ck_assert_int_eq(larder_get(cache, "cas", 3, buffer, sizeof buffer, &item) & ~LARDER_MISS, 0);
	version = item.version;
	for (size_t i = 0; i < count; i++)
		while (mortal_lives(&mortals[i]))
			continue;
	do {
		result = larder_scan(cache, "scan", 4, &cursor, entries, 16, buffer, sizeof buffer, &found);
		ck_assert_uint_eq(found, 0);
	} while (result == 0);
	ck_assert_int_eq(result, LARDER_END);
	ck_assert_int_eq(larder_replace(cache, "replace", 7, "v", 1, NULL, NULL), LARDER_MISS);
	ck_assert_int_eq(larder_cas(cache, "cas", 3, "v", 1, version, NULL, NULL), LARDER_MISS);
	ck_assert_int_eq(larder_append(cache, "append", 6, "v", 1, NULL), LARDER_MISS);
	ck_assert_int_eq(larder_delete(cache, "delete", 6, 0), LARDER_MISS);
	ck_assert_int_eq(larder_incr(cache, "incr", 4, 1, NULL, NULL), LARDER_MISS);
	create.flags = LARDER_INCR_CREATE;
	create.initial = 5;
	ck_assert_int_eq(larder_incr(cache, "create", 6, 1, &create, &value), 0);
	ck_assert_int_eq(value, 5);
	ck_assert_int_eq(larder_add(cache, "add", 3, "v", 1, NULL, NULL), 0);
	client_expect(cache, "add", "v");
	client_put(cache, "set", "v");
	client_expect(cache, "set", "v");
	ck_assert_int_eq(larder_get(cache, "set", 3, buffer, sizeof buffer, &item), 0);
	ck_assert_uint_eq(item.ttl_ms, 0);
}
END_TEST

/* Counters have a life as well. */
START_TEST(counters_expire)
{
	struct larder_incr_options options = LARDER_INCR_OPTIONS;
	struct mortal mortal = { .key = "n" };
	uint64_t before = monotonic_ms();

	options.flags = LARDER_INCR_CREATE;
	options.ttl_ms = 300;
	ck_assert_int_eq(larder_incr(cache, "n", 1, 1, &options, NULL), 0);
	mortal_stored(&mortal, before, 300);
	while (mortal_lives(&mortal)) {
		int result = larder_incr(cache, "n", 1, 1, NULL, NULL);

		expect(result == 0 || result == LARDER_MISS);
	}
	ck_assert_int_eq(larder_incr(cache, "n", 1, 1, NULL, NULL), LARDER_MISS);
}
END_TEST

/*
 * Expired memory comes back without eviction: what does not expire is still there after many arenas full of what does.
 */
START_TEST(expired_memory_comes_back)
{
	struct larder_set_options options = LARDER_SET_OPTIONS;
	static char value[4096];
	struct larder_stat stat;
	struct patience patience = patience_start(60000);
	char key[32];

	client_put(cache, "eternal", "x");
	for (int i = 0; i < 2000; i++) {
		snprintf(key, sizeof key, "key %d", i);
		options.ttl_ms = 200;
		expect_equal(larder_set(cache, key, strlen(key), value, sizeof value, &options, NULL), 0);
	}
	do {
		stat = client_stat(cache);
		if (!patience_left(patience))
			ck_abort_msg("%u data segments did not come back", (unsigned)stat.segments_data);
	} while (stat.expired_segments == 0 || stat.entries > 1);
	ck_assert_uint_eq(stat.evicted_segments, 0);
	client_expect(cache, "eternal", "x");
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("ttl");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, lives_until_its_time_and_no_longer);
	tcase_add_test(tcase, zero_is_for_ever);
	tcase_add_test(tcase, very_long_lives);
	tcase_add_test(tcase, touch_prolongs_and_shortens);
	tcase_add_test(tcase, expired_is_absent);
	tcase_add_test(tcase, counters_expire);
	tcase_add_test(tcase, expired_memory_comes_back);
	return suite_run("ttl", tcase);
}
