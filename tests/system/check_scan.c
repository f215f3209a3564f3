/* SPDX-License-Identifier: MIT */
/* A scan finds every key that is there all the time, whatever happens to the others meanwhile. */
#include "tests/support/suite.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/client.h"
#include "tests/support/expect.h"
#include "tests/support/workers.h"

#define STEADY 3000
#define CALLS_MAX 10000000
#define WRITES_MAX 200000 /* of one process: so many fit without eviction */

static struct server server;
static larder *cache;
static char buffer[LARDER_KEY_MAX];
static unsigned seen[STEADY];

static void setup(void)
{
	server_start(&server, "64M", NULL);
	cache = client_open(&server);
}

static void teardown(void)
{
	larder_close(cache);
	server_stop(&server);
}

static void put_steady(void)
{
	char key[32];

	for (unsigned i = 0; i < STEADY; i++) {
		struct larder_set_options options = LARDER_SET_OPTIONS;

		options.flags = i;
		snprintf(key, sizeof key, "steady/%u", i);
		expect_equal(larder_set(cache, key, strlen(key), key, strlen(key), &options, NULL), 0);
	}
}

/* Scans all with a prefix, so many entries at a time, and notes in seen[] how often each steady key came up. */
static void scan_all(const char *prefix, size_t max_entries)
{
	struct larder_scan_entry entries[64];
	struct larder_cursor cursor = { { 0, 0 } };
	size_t count, prefix_size = strlen(prefix);
	unsigned number, calls = 0;
	int result;

	memset(seen, 0, sizeof seen);
	do {
		result = larder_scan(cache, prefix, prefix_size, &cursor, entries, max_entries, buffer, sizeof buffer,
		                     &count);
		expect(result == 0 || result == LARDER_END);
		expect(count <= max_entries);
		expect(++calls < CALLS_MAX);
		for (size_t i = 0; i < count; i++) {
			char key[64];

			expect(entries[i].key_size >= prefix_size && entries[i].key_size < sizeof key);
			expect((const char *)entries[i].key >= buffer &&
			       (const char *)entries[i].key + entries[i].key_size <= buffer + sizeof buffer);
			expect(memcmp(entries[i].key, prefix, prefix_size) == 0);
			memcpy(key, entries[i].key, entries[i].key_size);
			key[entries[i].key_size] = '\0';
			if (sscanf(key, "steady/%u", &number) != 1)
				continue;
			expect(number < STEADY);
			expect_equal(entries[i].item.flags, number);
			expect_equal(entries[i].item.value_size, strlen(key));
			seen[number]++;
		}
	} while (result == 0);
}

static void expect_all_seen(unsigned at_most)
{
	for (unsigned i = 0; i < STEADY; i++)
		if (seen[i] < 1 || seen[i] > at_most)
			expect_failed("steady/%u was found %u times", i, seen[i]);
}

START_TEST(nothing)
{
	struct larder_scan_entry entries[4];
	struct larder_cursor cursor = { { 0, 0 } };
	size_t count = 99, calls = 0;
	int result;

	do {
		result = larder_scan(cache, NULL, 0, &cursor, entries, 4, buffer, sizeof buffer, &count);
		ck_assert(result == 0 || result == LARDER_END);
		ck_assert_uint_eq(count, 0);
		ck_assert_uint_lt(++calls, CALLS_MAX);
	} while (result == 0);
}
END_TEST

START_TEST(any_prefix_any_size)
{
	static const size_t sizes[] = { 1, 2, 7, 64 };

	put_steady();
	client_put(cache, "other", "x");
	client_put(cache, "st", "x");
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		scan_all("", sizes[i]);
		expect_all_seen(1);
		scan_all("steady/", sizes[i]);
		expect_all_seen(1);
	}
	scan_all("steady/1234", 64);
	for (unsigned i = 0; i < STEADY; i++)
		ck_assert_uint_eq(seen[i], i == 1234);
	scan_all("steady/12345", 64);
	scan_all("stead\xff", 64);
	for (unsigned i = 0; i < STEADY; i++)
		expect_equal(seen[i], 0);
}
END_TEST

START_TEST(deleted_is_not_found)
{
	char key[32];

	put_steady();
	for (unsigned i = 0; i < STEADY; i += 2) {
		snprintf(key, sizeof key, "steady/%u", i);
		expect_equal(larder_delete(cache, key, strlen(key), 0), 0);
	}
	scan_all("steady/", 64);
	for (unsigned i = 0; i < STEADY; i++)
		expect_equal(seen[i], i % 2);
}
END_TEST

/* The largest keys go through the smallest buffer, one at a time if need be. */
START_TEST(largest_keys)
{
	static char key[LARDER_KEY_MAX];
	struct larder_scan_entry entries[8];
	struct larder_cursor cursor = { { 0, 0 } };
	unsigned found[20] = { 0 };
	size_t count;
	int result;

	for (int i = 0; i < 20; i++) {
		memset(key, 'a' + i, sizeof key);
		ck_assert_int_eq(larder_set(cache, key, sizeof key, "v", 1, NULL, NULL), 0);
	}
	do {
		result = larder_scan(cache, NULL, 0, &cursor, entries, 8, buffer, sizeof buffer, &count);
		ck_assert(result == 0 || result == LARDER_END);
		for (size_t i = 0; i < count; i++) {
			const char *bytes = entries[i].key;

			ck_assert_uint_eq(entries[i].key_size, sizeof key);
			ck_assert_mem_eq(bytes, bytes + 1, sizeof key - 1);
			found[bytes[0] - 'a']++;
		}
	} while (result == 0);
	for (int i = 0; i < 20; i++)
		ck_assert_uint_eq(found[i], 1);
	cursor = (struct larder_cursor){ { 0, 0 } };
	ck_assert_int_eq(larder_scan(cache, NULL, 0, &cursor, entries, 8, buffer, LARDER_KEY_MAX - 1, &count), -EINVAL);
}
END_TEST

/* A cursor is a plain value: it may be kept, copied, and used by another process. */
struct relay {
	struct larder_cursor cursor;
	unsigned seen[STEADY];
	int over;
};

static void scan_one_leg(void *context, unsigned number)
{
	struct relay *relay = context;
	struct larder_scan_entry entries[50];
	larder *own = client_open(&server);
	size_t count;

	(void)number;
	for (int i = 0; i < 20 && !relay->over; i++) {
		int result = larder_scan(own, "steady/", 7, &relay->cursor, entries, 50, buffer, sizeof buffer, &count);

		expect(result == 0 || result == LARDER_END);
		relay->over = result == LARDER_END;
		for (size_t j = 0; j < count; j++)
			relay->seen[entries[j].item.flags]++;
	}
	larder_close(own);
}

START_TEST(cursor_travels)
{
	struct relay *relay = shared_memory(sizeof *relay);

	put_steady();
	for (int legs = 0; !relay->over; legs++) {
		ck_assert_int_lt(legs, 100000);
		worker_run(scan_one_leg, relay);
	}
	for (unsigned i = 0; i < STEADY; i++)
		ck_assert_uint_eq(relay->seen[i], 1);
}
END_TEST

/* A cursor that was made up gets an end or an error, not a crash. */
START_TEST(wild_cursors)
{
	struct larder_scan_entry entries[8];
	uint64_t random = 88172645463325252u;
	size_t count;

	put_steady();
	for (int i = 0; i < 20000; i++) {
		struct larder_cursor cursor;

		for (int j = 0; j < 2; j++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			cursor.position[j] = random >> random % 64;
		}
		count = 0;
		larder_scan(cache, NULL, 0, &cursor, entries, 8, buffer, sizeof buffer, &count);
		expect(count <= 8);
	}
}
END_TEST

/* ---- while others write ------------------------------------------------------------------------------------------ */

struct stage {
	atomic_bool stop;
	atomic_uint at_work;
};

static void churn(void *context, unsigned number)
{
	struct stage *stage = context;
	larder *own = client_open(&server);
	char key[32];

	atomic_fetch_add(&stage->at_work, 1);
	for (unsigned i = 0; !atomic_load(&stage->stop) && i < WRITES_MAX; i++) {
		snprintf(key, sizeof key, "churn/%u/%u", number, i % 4000);
		if (i / 4000 % 2 == 0)
			expect_equal(larder_set(own, key, strlen(key), key, strlen(key), NULL, NULL), 0);
		else
			larder_delete(own, key, strlen(key), 0);
	}
	larder_close(own);
}

static void grow(void *context, unsigned number)
{
	struct stage *stage = context;
	larder *own = client_open(&server);
	char key[32];

	atomic_fetch_add(&stage->at_work, 1);
	for (unsigned i = 0; !atomic_load(&stage->stop) && i < WRITES_MAX; i++) {
		snprintf(key, sizeof key, "g/%u/%u", number, i);
		expect_equal(larder_set(own, key, strlen(key), NULL, 0, NULL, NULL), 0);
	}
	larder_close(own);
}

static void scan_while(worker_function *work, unsigned scans, unsigned at_most)
{
	struct stage *stage = shared_memory(sizeof *stage);
	struct workers workers;
	struct patience patience = patience_start(20000);

	put_steady();
	workers_start(&workers, 2, work, stage);
	while (atomic_load(&stage->at_work) < 2)
		ck_assert(patience_left(patience));
	for (unsigned i = 0; i < scans; i++) {
		scan_all(i % 2 == 0 ? "steady/" : "", 1 + i % 64);
		expect_all_seen(at_most);
	}
	atomic_store(&stage->stop, true);
	workers_join(&workers, 60);
	ck_assert_uint_eq(client_stat(cache).evicted_segments, 0);
}

START_TEST(while_others_churn)
{
	scan_while(churn, 30, 2);
}
END_TEST

START_TEST(while_the_index_grows)
{
	scan_while(grow, 30, 64);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("scan");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, nothing);
	tcase_add_test(tcase, any_prefix_any_size);
	tcase_add_test(tcase, deleted_is_not_found);
	tcase_add_test(tcase, largest_keys);
	tcase_add_test(tcase, cursor_travels);
	tcase_add_test(tcase, wild_cursors);
	tcase_add_test(tcase, while_others_churn);
	tcase_add_test(tcase, while_the_index_grows);
	return suite_run("scan", tcase);
}
