/* SPDX-License-Identifier: MIT */
/* Batches say for each key what a call for that key alone would have said. */
#include "tests/support/suite.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/client.h"
#include "tests/support/expect.h"

#define ROOM 256
#define MOST (LARDER_BATCH_MAX + 1)

static const size_t counts[] = { 0, 1, 2, 31, 32, 33, 63, 64, 65, 1023, 1024 };
static const char *const modes[] = { "shared-write", "read-only" };

static struct server server;
static larder *cache;
static char keys[MOST][32], values[MOST][ROOM], buffers[MOST][ROOM];
static struct larder_mget_entry gets[MOST];
static struct larder_mview_entry views[MOST];
static struct larder_mset_entry sets[MOST];

static void start(const char *access)
{
	server_start(&server, "32M", "--access", access, NULL);
	cache = client_open(&server);
}

static void finish(void)
{
	larder_close(cache);
	server_stop(&server);
}

static void prepare(size_t count, unsigned round)
{
	for (size_t i = 0; i < count; i++) {
		snprintf(keys[i], sizeof keys[i], "key %zu", i);
		/* Values of many lengths. */
		snprintf(values[i], sizeof values[i], "value %zu round %u %0*d", i, round, (int)(1 + i % 100), 0);
		sets[i] = (struct larder_mset_entry){ .key = keys[i],
			                              .key_size = strlen(keys[i]),
			                              .value = values[i],
			                              .value_size = strlen(values[i]),
			                              .flags = (uint32_t)i,
			                              .result = 99 };
		gets[i] = (struct larder_mget_entry){ .key = keys[i],
			                              .key_size = strlen(keys[i]),
			                              .buffer = buffers[i],
			                              .buffer_size = ROOM,
			                              .result = 99 };
		views[i] = (struct larder_mview_entry){ .key = keys[i], .key_size = strlen(keys[i]), .result = 99 };
	}
}

/* Every third key is deleted again, so that misses stand between hits. */
START_TEST(all_counts)
{
	size_t count = counts[_i / 2];

	start(modes[_i % 2]);
	for (unsigned round = 0; round < 2; round++) {
		prepare(count, round);
		ck_assert_int_eq(larder_mset(cache, sets, count), 0);
		for (size_t i = 0; i < count; i++) {
			expect_equal(sets[i].result, 0);
			if (i % 3 == 2)
				expect_equal(larder_delete(cache, keys[i], strlen(keys[i]), sets[i].version), 0);
		}
		ck_assert_int_eq(larder_mget(cache, gets, count), 0);
		ck_assert_int_eq(larder_mview(cache, views, count), 0);
		for (size_t i = 0; i < count; i++) {
			expect_equal(gets[i].result, i % 3 == 2 ? LARDER_MISS : 0);
			expect_equal(views[i].result, gets[i].result);
			if (gets[i].result != 0)
				continue;
			expect_equal(gets[i].item.value_size, strlen(values[i]));
			expect(memcmp(buffers[i], values[i], strlen(values[i])) == 0);
			expect_equal(views[i].view.size, strlen(values[i]));
			expect(memcmp(views[i].view.data, values[i], strlen(values[i])) == 0);
			expect_equal(gets[i].item.version, sets[i].version);
			expect_equal(gets[i].item.flags, i);
			expect_equal(views[i].view.item.version, sets[i].version);
			expect_equal(views[i].view.item.flags, i);
		}
		larder_mrelease(cache, views, count);
		for (size_t i = 0; i < count; i++)
			expect(i % 3 == 2 || views[i].view.data == NULL);
	}
	finish();
}
END_TEST

START_TEST(too_many)
{
	start(modes[_i]);
	prepare(MOST, 0);
	client_put(cache, keys[0], "untouched");
	ck_assert_int_eq(larder_mset(cache, sets, MOST), -E2BIG);
	ck_assert_int_eq(larder_mget(cache, gets, MOST), -E2BIG);
	ck_assert_int_eq(larder_mview(cache, views, MOST), -E2BIG);
	client_expect(cache, keys[0], "untouched");
	ck_assert_uint_eq(client_stat(cache).entries, 1);
	finish();
}
END_TEST

/* The last of several values for one key is the one that stays; a key asked for several times is found each time. */
START_TEST(duplicates)
{
	start(modes[_i]);
	prepare(40, 0);
	for (size_t i = 0; i < 40; i++) {
		sets[i].key = gets[i].key = views[i].key = keys[i % 3];
		sets[i].key_size = gets[i].key_size = views[i].key_size = strlen(keys[i % 3]);
	}
	ck_assert_int_eq(larder_mset(cache, sets, 40), 0);
	ck_assert_int_eq(larder_mget(cache, gets, 40), 0);
	ck_assert_int_eq(larder_mview(cache, views, 40), 0);
	for (size_t i = 0; i < 40; i++) {
		size_t last = i % 3 == 0 ? 39 : i % 3 == 1 ? 37 : 38;

		ck_assert_int_eq(sets[i].result, 0);
		if (i >= 3)
			ck_assert_uint_gt(sets[i].version, sets[i - 3].version);
		ck_assert_int_eq(gets[i].result, 0);
		ck_assert_uint_eq(gets[i].item.version, sets[last].version);
		ck_assert_mem_eq(buffers[i], values[last], strlen(values[last]));
		ck_assert_int_eq(views[i].result, 0);
		ck_assert_mem_eq(views[i].view.data, values[last], strlen(values[last]));
	}
	larder_mrelease(cache, views, 40);
	finish();
}
END_TEST

/* One bad entry does not touch its neighbours. */
START_TEST(bad_entries)
{
	static char long_key[LARDER_KEY_MAX + 1];
	static char large[(8 << 20) + 1]; /* than a quarter of the arena */

	start(modes[_i]);
	prepare(40, 0);
	sets[5].key_size = gets[5].key_size = views[5].key_size = 0;
	sets[35].key = gets[35].key = views[35].key = long_key;
	sets[35].key_size = gets[35].key_size = views[35].key_size = sizeof long_key;
	sets[20].value = large;
	sets[20].value_size = sizeof large;
	gets[21].buffer_size = 3;
	ck_assert_int_eq(larder_mset(cache, sets, 40), 0);
	ck_assert_int_eq(larder_mget(cache, gets, 40), 0);
	ck_assert_int_eq(larder_mview(cache, views, 40), 0);
	for (size_t i = 0; i < 40; i++) {
		ck_assert_int_eq(sets[i].result, i == 5 || i == 35 ? -EINVAL : i == 20 ? -E2BIG : 0);
		ck_assert_int_eq(gets[i].result, i == 5 || i == 35 ? -EINVAL
		                                 : i == 20         ? LARDER_MISS
		                                 : i == 21         ? LARDER_TRUNCATED
		                                                   : 0);
		ck_assert_int_eq(views[i].result, i == 5 || i == 35 ? -EINVAL : i == 20 ? LARDER_MISS : 0);
	}
	ck_assert_uint_eq(gets[21].item.value_size, strlen(values[21]));
	ck_assert_mem_eq(buffers[21], values[21], 3);
	ck_assert_int_eq(buffers[21][3], '\0');
	larder_mrelease(cache, views, 40);
	finish();
}
END_TEST

START_TEST(counters_and_lives)
{
	struct larder_incr_options options = LARDER_INCR_OPTIONS;

	start(modes[_i]);
	options.flags = LARDER_INCR_CREATE;
	prepare(34, 0);
	for (size_t i = 0; i < 34; i++)
		sets[i].ttl_ms = i % 2 == 0 ? 3600000 : 0;
	ck_assert_int_eq(larder_mset(cache, sets, 34), 0);
	ck_assert_int_eq(larder_delete(cache, keys[33], strlen(keys[33]), 0), 0);
	options.initial = -77;
	ck_assert_int_eq(larder_incr(cache, keys[33], strlen(keys[33]), 1, &options, NULL), 0);
	ck_assert_int_eq(larder_mget(cache, gets, 34), 0);
	ck_assert_int_eq(larder_mview(cache, views, 34), 0);
	ck_assert_mem_eq(buffers[33], "-77", 3);
	ck_assert_uint_eq(views[33].view.size, 3);
	ck_assert_mem_eq(views[33].view.data, "-77", 3);
	for (size_t i = 0; i < 33; i++)
		ck_assert(i % 2 == 0 ? gets[i].item.ttl_ms > 3000000 && gets[i].item.ttl_ms <= 3600000
		                     : gets[i].item.ttl_ms == 0);
	larder_mrelease(cache, views, 34);
	finish();
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("batch");

	tcase_add_loop_test(tcase, all_counts, 0, 2 * sizeof counts / sizeof counts[0]);
	tcase_add_loop_test(tcase, too_many, 0, 2);
	tcase_add_loop_test(tcase, duplicates, 0, 2);
	tcase_add_loop_test(tcase, bad_entries, 0, 2);
	tcase_add_loop_test(tcase, counters_and_lives, 0, 2);
	return suite_run("batch", tcase);
}
