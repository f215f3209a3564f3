/* SPDX-License-Identifier: MIT */
#include "bench/contrast.h"

#include <string.h>

#include "tests/support/suite.h"
#include "tests/unit/support/random.h"

#define TURNS 400
#define OPERATIONS 2000 /* in a turn */
#define SLOW_NS 90000

static struct contrast contrast;
static struct histogram these, those;
static struct random source;

static void setup(void)
{
	memset(&contrast, 0, sizeof contrast);
	source = (struct random){ 1 };
}

/* One turn of a few hundred ns, and a few that the machine made slow. */
static void draw(struct histogram *turn, uint64_t operations)
{
	memset(turn, 0, sizeof *turn);
	for (uint64_t i = 0; i < operations; i++)
		histogram_record(turn, random_below(&source, 3000) == 0
		                               ? 50000
		                               : 200 + (uint64_t)__builtin_clzll(random_next(&source) | 1) * 50);
}

static void record_slow(struct histogram *turn, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		histogram_record(turn, SLOW_NS);
}

static void check_slow_is_found(void)
{
	uint64_t found = contrast_excess(&contrast);

	ck_assert_uint_le(found, SLOW_NS);
	ck_assert_uint_ge(found, SLOW_NS - SLOW_NS / HISTOGRAM_FINE);
}

START_TEST(test_what_both_have_in_common_is_no_excess)
{
	for (int turn = 0; turn < TURNS; turn++) {
		draw(&these, OPERATIONS);
		draw(&those, OPERATIONS);
		contrast_add(&contrast, &these, &those);
	}
	ck_assert_uint_eq(contrast_excess(&contrast), 0);
}
END_TEST

/* Of three times as many operations, three times as many are slow. */
START_TEST(test_of_more_operations_more_are_slow)
{
	for (int turn = 0; turn < TURNS; turn++) {
		draw(&these, OPERATIONS * 3);
		draw(&those, OPERATIONS);
		contrast_add(&contrast, &these, &those);
	}
	ck_assert_uint_eq(contrast_excess(&contrast), 0);
}
END_TEST

START_TEST(test_one_bad_turn_shows_nothing)
{
	for (int turn = 0; turn < TURNS; turn++) {
		draw(&these, OPERATIONS);
		draw(&those, OPERATIONS);
		if (turn == TURNS / 2)
			record_slow(&these, 1000);
		contrast_add(&contrast, &these, &those);
	}
	ck_assert_uint_eq(contrast_excess(&contrast), 0);
}
END_TEST

START_TEST(test_some_in_some_turns_show)
{
	for (int turn = 0; turn < TURNS; turn++) {
		draw(&these, OPERATIONS);
		draw(&those, OPERATIONS);
		if (turn % 20 == 0)
			record_slow(&these, 1);
		contrast_add(&contrast, &these, &those);
	}
	check_slow_is_found();
}
END_TEST

START_TEST(test_what_happens_to_both_as_often_does_not_show)
{
	for (int turn = 0; turn < TURNS; turn++) {
		draw(&these, OPERATIONS);
		draw(&those, OPERATIONS);
		record_slow(turn % 2 ? &these : &those, 1);
		contrast_add(&contrast, &these, &those);
	}
	ck_assert_uint_eq(contrast_excess(&contrast), 0);
}
END_TEST

START_TEST(test_nothing_added)
{
	ck_assert_uint_eq(contrast_excess(&contrast), 0);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("contrast");

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_test(tests, test_what_both_have_in_common_is_no_excess);
	tcase_add_test(tests, test_of_more_operations_more_are_slow);
	tcase_add_test(tests, test_one_bad_turn_shows_nothing);
	tcase_add_test(tests, test_some_in_some_turns_show);
	tcase_add_test(tests, test_what_happens_to_both_as_often_does_not_show);
	tcase_add_test(tests, test_nothing_added);
	return suite_run("contrast", tests);
}
