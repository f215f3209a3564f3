/* SPDX-License-Identifier: MIT */
/* One arena in many mappings: in one process at several addresses, and in several processes. */
#include "tests/support/suite.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/client.h"
#include "tests/support/expect.h"
#include "tests/support/workers.h"

#define PROCESSES 4
#define KEYS 1000 /* of each process */
#define VALUE_BYTES_MAX 3000

static struct server server;

static void setup(void)
{
	server_start(&server, "64M", NULL);
}

static void teardown(void)
{
	server_stop(&server);
}

START_TEST(several_addresses_in_one_process)
{
	larder *handles[5];
	struct larder_view views[5];
	char value[64];

	for (int i = 0; i < 5; i++)
		handles[i] = client_open(&server);
	for (int i = 0; i < 5; i++) {
		snprintf(value, sizeof value, "written through handle %d", i);
		client_put(handles[i], "k", value);
		for (int j = 0; j < 5; j++) {
			client_expect(handles[j], "k", value);
			ck_assert_int_eq(larder_view(handles[j], "k", 1, &views[j]), 0);
			for (int k = 0; k < j; k++) {
				ck_assert_ptr_ne(views[j].data, views[k].data);
				ck_assert_uint_eq(views[j].item.version, views[k].item.version);
			}
		}
		for (int j = 0; j < 5; j++) {
			ck_assert_uint_eq(views[j].size, strlen(value));
			ck_assert_mem_eq(views[j].data, value, views[j].size);
			larder_release(handles[j], &views[j]);
			ck_assert_ptr_null(views[j].data);
		}
	}
	ck_assert_uint_eq(client_stat(handles[0]).clients, 5);
	/* The others go on when one is closed. */
	for (int i = 0; i < 4; i++) {
		larder_close(handles[i]);
		client_expect(handles[4], "k", "written through handle 4");
	}
	larder_close(handles[4]);
	larder_close(NULL);
}
END_TEST

/* A view keeps its bytes whatever happens to the key, until it is released. */
START_TEST(views_do_not_change)
{
	larder *cache = client_open(&server), *other = client_open(&server);
	struct larder_view old, counter;

	client_put(cache, "k", "the old value");
	ck_assert_int_eq(larder_view(cache, "k", 1, &old), 0);
	client_put(other, "k", "another one");
	ck_assert_mem_eq(old.data, "the old value", old.size);
	ck_assert_int_eq(larder_delete(other, "k", 1, 0), 0);
	ck_assert_mem_eq(old.data, "the old value", old.size);
	client_expect(cache, "k", NULL);
	client_put(other, "n", "41");
	ck_assert_int_eq(larder_incr(other, "n", 1, 1, NULL, NULL), 0);
	ck_assert_int_eq(larder_view(cache, "n", 1, &counter), 0);
	ck_assert_int_eq(larder_incr(other, "n", 1, 1, NULL, NULL), 0);
	ck_assert_uint_eq(counter.size, 2);
	ck_assert_mem_eq(counter.data, "42", 2);
	larder_release(cache, &counter);
	larder_release(cache, &old);
	larder_release(cache, &old);
	larder_close(other);
	larder_close(cache);
}
END_TEST

START_TEST(views_are_aligned)
{
	larder *cache = client_open(&server);
	struct larder_view view;
	char value[64] = { 0 }, key[16];

	for (size_t key_size = 1; key_size < sizeof key; key_size++) {
		memset(key, (int)key_size, sizeof key);
		for (size_t alignment = 1; alignment <= 8; alignment *= 2) {
			for (size_t size = alignment; size <= sizeof value; size += alignment) {
				ck_assert_int_eq(larder_set(cache, key, key_size, value, size, NULL, NULL), 0);
				ck_assert_int_eq(larder_view(cache, key, key_size, &view), 0);
				expect_equal((uintptr_t)view.data % alignment, 0);
				expect_equal(view.size, size);
				larder_release(cache, &view);
			}
		}
	}
	larder_close(cache);
}
END_TEST

struct stage {
	pthread_barrier_t barrier;
	larder *inherited;
};

static uint64_t seed_of(unsigned process, unsigned key, unsigned round)
{
	return ((uint64_t)process * KEYS + key) * 8 + round;
}

static size_t size_of(uint64_t seed)
{
	return seed * 37 % VALUE_BYTES_MAX;
}

static void write_mine(larder *cache, unsigned process, unsigned round)
{
	char key[32], value[VALUE_BYTES_MAX];

	for (unsigned i = 0; i < KEYS; i++) {
		uint64_t seed = seed_of(process, i, round);

		snprintf(key, sizeof key, "process %u key %u", process, i);
		pattern_fill(value, size_of(seed), seed);
		expect_equal(larder_set(cache, key, strlen(key), value, size_of(seed), NULL, NULL), 0);
	}
}

static void read_all(larder *cache, unsigned round)
{
	struct larder_view view;
	char key[32];

	for (unsigned process = 0; process < PROCESSES; process++) {
		for (unsigned i = 0; i < KEYS; i++) {
			uint64_t seed = seed_of(process, i, round);

			snprintf(key, sizeof key, "process %u key %u", process, i);
			expect_equal(larder_view(cache, key, strlen(key), &view), 0);
			expect_equal(view.size, size_of(seed));
			expect(pattern_holds(view.data, view.size, seed));
			larder_release(cache, &view);
		}
	}
}

static void take_part(void *context, unsigned number)
{
	struct stage *stage = context;
	larder *cache = number % 2 == 0 ? stage->inherited : client_open(&server);
	char key[32];

	for (unsigned round = 0; round < 3; round++) {
		write_mine(cache, number, round);
		pthread_barrier_wait(&stage->barrier);
		read_all(cache, round);
		pthread_barrier_wait(&stage->barrier);
	}
	for (unsigned i = 0; i < KEYS; i += 2) {
		snprintf(key, sizeof key, "process %u key %u", number, i);
		expect_equal(larder_delete(cache, key, strlen(key), 0), 0);
	}
	pthread_barrier_wait(&stage->barrier);
	for (unsigned process = 0; process < PROCESSES; process++) {
		for (unsigned i = 0; i < KEYS; i++) {
			char byte;
			int result;

			snprintf(key, sizeof key, "process %u key %u", process, i);
			result = larder_get(cache, key, strlen(key), &byte, 0, NULL);
			expect(result == (i % 2 == 0                            ? LARDER_MISS
			                  : size_of(seed_of(process, i, 2)) > 0 ? LARDER_TRUNCATED
			                                                        : 0));
		}
	}
	if (number % 2 == 1)
		larder_close(cache);
}

START_TEST(several_processes)
{
	struct stage *stage = shared_memory(sizeof *stage);
	struct workers workers;

	stage->inherited = client_open(&server);
	shared_barrier(&stage->barrier, PROCESSES);
	workers_start(&workers, PROCESSES, take_part, stage);
	workers_join(&workers, 60);
	ck_assert_uint_eq(client_stat(stage->inherited).entries, PROCESSES * KEYS / 2);
	larder_close(stage->inherited);
}
END_TEST

static void count_up(void *context, unsigned number)
{
	struct stage *stage = context;
	larder *cache = client_open(&server);
	struct larder_incr_options options = LARDER_INCR_OPTIONS;

	options.flags = LARDER_INCR_CREATE;
	pthread_barrier_wait(&stage->barrier);
	for (int i = 0; i < 20000; i++)
		expect_equal(larder_incr(cache, "counter", 7, number + 1, &options, NULL), 0);
	larder_close(cache);
}

/* The first call creates it with 0, so exactly one addition of somebody is not made. */
START_TEST(no_increment_is_lost)
{
	struct stage *stage = shared_memory(sizeof *stage);
	struct workers workers;
	larder *cache = client_open(&server);
	int64_t value, sum = 0;

	shared_barrier(&stage->barrier, PROCESSES);
	workers_start(&workers, PROCESSES, count_up, stage);
	workers_join(&workers, 60);
	for (int i = 0; i < PROCESSES; i++)
		sum += 20000 * (i + 1);
	ck_assert_int_eq(larder_incr(cache, "counter", 7, 0, NULL, &value), 0);
	ck_assert_int_ge(value, sum - PROCESSES);
	ck_assert_int_lt(value, sum);
	larder_close(cache);
}
END_TEST

static void append_own_letter(void *context, unsigned number)
{
	struct stage *stage = context;
	larder *cache = client_open(&server);
	char letter = (char)('a' + number);

	pthread_barrier_wait(&stage->barrier);
	for (int i = 0; i < 1000; i++)
		expect_equal(larder_append(cache, "k", 1, &letter, 1, NULL), 0);
	larder_close(cache);
}

START_TEST(no_append_is_lost)
{
	struct stage *stage = shared_memory(sizeof *stage);
	struct workers workers;
	larder *cache = client_open(&server);
	struct larder_view view;
	unsigned counts[PROCESSES] = { 0 };

	client_put(cache, "k", "");
	shared_barrier(&stage->barrier, PROCESSES);
	workers_start(&workers, PROCESSES, append_own_letter, stage);
	workers_join(&workers, 60);
	ck_assert_int_eq(larder_view(cache, "k", 1, &view), 0);
	ck_assert_uint_eq(view.size, 1000 * PROCESSES);
	for (size_t i = 0; i < view.size; i++) {
		unsigned letter = (unsigned)(((const char *)view.data)[i] - 'a');

		expect(letter < PROCESSES);
		counts[letter]++;
	}
	for (unsigned i = 0; i < PROCESSES; i++)
		ck_assert_uint_eq(counts[i], 1000);
	larder_release(cache, &view);
	larder_close(cache);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("sharing");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, several_addresses_in_one_process);
	tcase_add_test(tcase, views_do_not_change);
	tcase_add_test(tcase, views_are_aligned);
	tcase_add_test(tcase, several_processes);
	tcase_add_test(tcase, no_increment_is_lost);
	tcase_add_test(tcase, no_append_is_lost);
	return suite_run("sharing", tcase);
}
