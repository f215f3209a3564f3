/* SPDX-License-Identifier: MIT */
#include "bench/workload.h"

#include <math.h>

#include "tests/support/suite.h"

#define IDS 1000u
#define COUNT ((size_t)1 << 20)

static struct stream stream;

static void create(enum stream_order order)
{
	ck_assert_int_eq(stream_create(order, 0, IDS, COUNT, NULL, &stream), 0);
}

static void teardown(void)
{
	stream_destroy(&stream);
}

static size_t occurrences(uint32_t id)
{
	size_t found = 0;

	for (size_t i = 0; i < COUNT; i++)
		found += stream.ids[i] == id;
	return found;
}

START_TEST(test_keys_and_sum_are_those_of_the_ids)
{
	uint64_t sum = 0;

	create(_i);
	for (size_t i = 0; i < COUNT; i++) {
		unsigned char key[KEY_BYTES];

		ck_assert_uint_lt(stream.ids[i], IDS);
		workload_key(stream.ids[i], key);
		ck_assert_mem_eq(key, stream.keys + i * KEY_BYTES, KEY_BYTES);
		sum += workload_word(stream.ids[i]);
	}
	ck_assert(sum == stream.sum);
}
END_TEST

/* The chance that a fair draw is further off than this is less than one in a thousand million. */
START_TEST(test_uniform_is_uniform)
{
	create(STREAM_UNIFORM);
	for (uint32_t id = 0; id < IDS; id += 37)
		ck_assert(fabs((double)occurrences(id) - COUNT / (double)IDS) < 6.5 * sqrt(COUNT / (double)IDS));
}
END_TEST

/* The two most popular entries are drawn as often as the distribution says, and they are strewn. */
START_TEST(test_zipf_is_zipf)
{
	size_t counts[IDS] = { 0 }, first = 0, second = 0;
	uint32_t first_id = 0, second_id = 0;
	double zeta = 0;

	for (uint32_t rank = 1; rank <= IDS; rank++)
		zeta += pow(rank, -0.99);
	create(STREAM_ZIPF);
	for (size_t i = 0; i < COUNT; i++)
		counts[stream.ids[i]]++;
	for (uint32_t id = 0; id < IDS; id++) {
		if (counts[id] > first) {
			second = first;
			second_id = first_id;
			first = counts[id];
			first_id = id;
		} else if (counts[id] > second) {
			second = counts[id];
			second_id = id;
		}
	}
	ck_assert(fabs((double)first / COUNT * zeta - 1) < 0.05);
	ck_assert(fabs((double)second / COUNT * zeta - pow(2, -0.99)) < 0.05);
	ck_assert(first_id > 1 || second_id > 1);
}
END_TEST

START_TEST(test_dice_are_fair)
{
	size_t below_five = 0;

	create(STREAM_UNIFORM);
	for (size_t i = 0; i < COUNT; i++) {
		ck_assert_uint_lt(stream.dice[i], 100);
		below_five += stream.dice[i] < 5;
	}
	ck_assert(fabs((double)below_five / COUNT - 0.05) < 0.002);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("workload");

	tcase_add_checked_fixture(tests, NULL, teardown);
	tcase_add_loop_test(tests, test_keys_and_sum_are_those_of_the_ids, STREAM_ASCENDING, STREAM_ZIPF + 1);
	tcase_add_test(tests, test_uniform_is_uniform);
	tcase_add_test(tests, test_zipf_is_zipf);
	tcase_add_test(tests, test_dice_are_fair);
	return suite_run("workload", tests);
}
