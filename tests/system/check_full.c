/* SPDX-License-Identifier: MIT */
/* What happens when memory runs out: the oldest goes, writes go on, and what is read is right. */
#include "tests/support/suite.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/client.h"
#include "tests/support/expect.h"
#include "tests/support/workers.h"

static struct server server;

static void store(larder *cache, unsigned number, size_t size)
{
	static char value[70000];
	char key[32];

	expect(size <= sizeof value);
	snprintf(key, sizeof key, "key %u", number);
	pattern_fill(value, size, number);
	expect_equal(larder_set(cache, key, strlen(key), value, size, NULL, NULL), 0);
}

/* Whether the key is there; when it is, its value must be right. */
static int check(larder *cache, unsigned number, size_t size)
{
	struct larder_view view;
	char key[32];
	int result;

	snprintf(key, sizeof key, "key %u", number);
	result = larder_view(cache, key, strlen(key), &view);
	if (result == LARDER_MISS)
		return 0;
	expect_equal(result, 0);
	expect_equal(view.size, size);
	expect(pattern_holds(view.data, size, number));
	larder_release(cache, &view);
	return 1;
}

static const struct {
	const char *size;
	unsigned bytes, values, value_size;
} arenas[] = {
	{ "1M", 1 << 20, 20000, 200 },    { "1M", 1 << 20, 2000, 5000 },    { "2M", 2 << 20, 60000, 100 },
	{ "2M", 2 << 20, 1000, 16000 },   { "16M", 16 << 20, 6000, 16384 }, { "16M", 16 << 20, 400000, 64 },
	{ "64M", 64 << 20, 3000, 65536 },
};

START_TEST(oldest_goes)
{
	unsigned values = arenas[_i].values, value_size = arenas[_i].value_size, found = 0, in_older_half = 0, recent;
	struct larder_stat stat;
	larder *cache;

	server_start(&server, arenas[_i].size, NULL);
	cache = client_open(&server);
	for (unsigned i = 0; i < values; i++) {
		store(cache, i, value_size);
		expect(check(cache, i, value_size));
	}
	stat = client_stat(cache);
	ck_assert_uint_eq(stat.arena_bytes, arenas[_i].bytes);
	ck_assert_uint_gt(stat.evicted_segments, 0);
	for (unsigned i = 0; i < values; i++) {
		int there = check(cache, i, value_size);

		found += (unsigned)there;
		in_older_half += (unsigned)(there && i < values / 2);
	}
	ck_assert_uint_gt(found, 0);
	/* What is there fills a fair part of the arena, and the most recent tenth of that is all there. */
	ck_assert_msg((uint64_t)found * value_size > arenas[_i].bytes / 8, "only %u values of %u bytes are left", found,
	              value_size);
	recent = arenas[_i].bytes / 80 / value_size;
	for (unsigned i = values - recent; i < values; i++)
		ck_assert_msg(check(cache, i, value_size), "key %u of %u is gone", i, values);
	ck_assert_uint_le(in_older_half, found / 2);
	larder_close(cache);
	server_stop(&server);
}
END_TEST

/* One key written over and over: the memory of its old values comes back. */
START_TEST(overwriting_for_long)
{
	larder *cache;

	server_start(&server, "1M", NULL);
	cache = client_open(&server);
	for (unsigned i = 0; i < 200000; i++)
		store(cache, 1, 100);
	expect(check(cache, 1, 100));
	for (unsigned i = 0; i < 3000; i++)
		store(cache, 1, 20000);
	expect(check(cache, 1, 20000));
	larder_close(cache);
	server_stop(&server);
}
END_TEST

START_TEST(larger_than_the_arena)
{
	larder *cache;
	void *value = calloc(1, 4 << 20);
	struct larder_stat stat;

	ck_assert_ptr_nonnull(value);
	server_start(&server, "2M", NULL);
	cache = client_open(&server);
	stat = client_stat(cache);
	client_put(cache, "k", "v");
	ck_assert_int_eq(larder_set(cache, "k", 1, value, 4 << 20, NULL, NULL), -E2BIG);
	ck_assert_int_eq(larder_set(cache, "k", 1, value, 2 << 20, NULL, NULL), -E2BIG);
	ck_assert_int_eq(larder_add(cache, "n", 1, value, 2 << 20, NULL, NULL), -E2BIG);
	client_expect(cache, "k", "v");
	ck_assert_uint_lt(stat.value_size_max, 2 << 20);
	ck_assert_uint_gt(stat.value_size_max, 16384);
	for (int i = 0; i < 200; i++) {
		pattern_fill(value, stat.value_size_max, (uint64_t)i);
		ck_assert_int_eq(larder_set(cache, "largest", 7, value, stat.value_size_max, NULL, NULL), 0);
	}
	larder_close(cache);
	server_stop(&server);
	free(value);
}
END_TEST

/* Many processes at once in an arena of few segments, keys short and long. */
static void churn(void *context, unsigned number)
{
	larder *cache = client_open(&server);
	unsigned first = number * 1000000;

	(void)context;
	for (unsigned i = 0; i < 15000; i++) {
		size_t size = i % 100 == 0 ? 20000 : i % 300;

		store(cache, first + i % 5000, size);
		if (i >= 10)
			check(cache, first + (i - 10) % 5000, (i - 10) % 100 == 0 ? 20000 : (i - 10) % 300);
	}
	larder_close(cache);
}

START_TEST(many_writers_little_room)
{
	struct workers workers;
	larder *cache;

	server_start(&server, _i == 0 ? "1M" : "4M", NULL);
	cache = client_open(&server);
	workers_start(&workers, 6, churn, NULL);
	workers_join(&workers, 100);
	ck_assert_uint_gt(client_stat(cache).evicted_segments, 0);
	larder_close(cache);
	server_stop(&server);
}
END_TEST

/* Views in hand hold their segments back; the rest of the arena goes on working, and the views stay as they are. */
START_TEST(views_hold_out)
{
	struct larder_view views[3];
	larder *cache;

	server_start(&server, "4M", NULL);
	cache = client_open(&server);
	for (unsigned v = 0; v < 3; v++) {
		char key[32];

		store(cache, 1000000 + v, 1000);
		snprintf(key, sizeof key, "key %u", 1000000 + v);
		ck_assert_int_eq(larder_view(cache, key, strlen(key), &views[v]), 0);
		for (unsigned i = 0; i < 20000; i++)
			store(cache, i, 500);
	}
	for (unsigned v = 0; v < 3; v++) {
		ck_assert(pattern_holds(views[v].data, 1000, 1000000 + v));
		larder_release(cache, &views[v]);
	}
	for (unsigned i = 0; i < 20000; i++)
		store(cache, i, 500);
	larder_close(cache);
	server_stop(&server);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("full");

	tcase_add_loop_test(tcase, oldest_goes, 0, sizeof arenas / sizeof arenas[0]);
	tcase_add_test(tcase, overwriting_for_long);
	tcase_add_test(tcase, larger_than_the_arena);
	tcase_add_loop_test(tcase, many_writers_little_room, 0, 2);
	tcase_add_test(tcase, views_hold_out);
	return suite_run("full", tcase);
}
