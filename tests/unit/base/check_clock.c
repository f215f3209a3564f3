/* SPDX-License-Identifier: MIT */
#include "base/clock.h"
#include "tests/support/suite.h"

static uint64_t by_hand(clockid_t clock)
{
	struct timespec t;

	ck_assert_int_eq(clock_gettime(clock, &t), 0);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

START_TEST(test_clock_lies_between_two_readings)
{
	uint64_t before = by_hand(CLOCK_MONOTONIC);
	uint64_t ns = monotonic_ns();
	uint64_t ms = monotonic_ms();
	uint64_t wall_before = by_hand(CLOCK_REALTIME);
	uint64_t wall = clock_ns(CLOCK_REALTIME);

	ck_assert_uint_le(before, ns);
	ck_assert_uint_le(ns / 1000000, ms);
	ck_assert_uint_le(ms, by_hand(CLOCK_MONOTONIC) / 1000000);
	ck_assert_uint_gt(wall, wall_before - 3600 * UINT64_C(1000000000)); /* somebody may set it meanwhile */
}
END_TEST

START_TEST(test_clock_never_goes_back)
{
	uint64_t last = monotonic_ns();

	for (int i = 0; i < 100000; i++) {
		uint64_t now = monotonic_ns();

		if (now < last)
			ck_abort_msg("the clock went back");
		last = now;
	}
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("clock");

	tcase_add_test(tests, test_clock_lies_between_two_readings);
	tcase_add_test(tests, test_clock_never_goes_back);
	return suite_run("clock", tests);
}
