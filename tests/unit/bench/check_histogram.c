/* SPDX-License-Identifier: MIT */
#include "bench/histogram.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"
#include "tests/support/expect.h"
#include "tests/unit/support/random.h"

static struct histogram histogram;

static void setup(void)
{
	memset(&histogram, 0, sizeof histogram);
}

START_TEST(test_a_value_is_found_to_the_width_of_its_bucket)
{
	for (uint64_t value = 0; value < UINT64_C(1) << 38; value = value * 17 / 16 + 1) {
		uint64_t found;

		setup();
		histogram_record(&histogram, value);
		found = histogram_quantile(&histogram, 1);
		ck_assert_uint_le(found, value);
		ck_assert_uint_le(value - found, value / HISTOGRAM_FINE);
	}
}
END_TEST

START_TEST(test_quantiles_of_one_to_a_thousand)
{
	for (uint64_t value = 1; value <= 1000; value++)
		histogram_record(&histogram, value);
	ck_assert_uint_eq(histogram_quantile(&histogram, 0.01), 10);
	ck_assert_uint_le(histogram_quantile(&histogram, 0.5), 500);
	ck_assert_uint_ge(histogram_quantile(&histogram, 0.5), 484);
	ck_assert_uint_le(histogram_quantile(&histogram, 0.999), 999);
	ck_assert_uint_ge(histogram_quantile(&histogram, 0.999), 967);
	ck_assert_uint_eq(histogram.largest, 1000);
	ck_assert_uint_eq(histogram.total, 1000);
}
END_TEST

START_TEST(test_nothing_recorded)
{
	ck_assert_uint_eq(histogram_quantile(&histogram, 0.5), 0);
}
END_TEST

START_TEST(test_what_is_too_long_counts_as_the_longest)
{
	histogram_record(&histogram, UINT64_MAX);
	ck_assert_uint_eq(histogram.counts[HISTOGRAM_BUCKETS - 1], 1);
	ck_assert_uint_eq(histogram.largest, UINT64_MAX);
}
END_TEST

START_TEST(test_two_added_together)
{
	struct histogram other = { 0 };

	histogram_record(&histogram, 3);
	histogram_record(&other, 7);
	histogram_record(&other, 9);
	histogram_add(&histogram, &other);
	ck_assert_uint_eq(histogram.total, 3);
	ck_assert_uint_eq(histogram.largest, 9);
	ck_assert_uint_eq(histogram_quantile(&histogram, 0.66), 7);
}
END_TEST

/* Exponential, and a share of a million takes so much longer. */
static struct histogram *draw(uint64_t seed, uint32_t slow_per_million, uint64_t slow_ns)
{
	struct histogram *drawn = calloc(1, sizeof *drawn);
	struct random random = { seed };

	expect(drawn != NULL);
	for (uint32_t i = 0; i < 1000000; i++) {
		uint64_t ns = 200 + (uint64_t)__builtin_clzll(random_next(&random) | 1) * 50;

		histogram_record(drawn, random_below(&random, 1000000) < slow_per_million ? slow_ns : ns);
	}
	return drawn;
}

START_TEST(test_above)
{
	struct histogram *drawn = draw(1, 500, 100000);

	ck_assert_uint_ge(histogram_above(drawn, 50000), 400);
	ck_assert_uint_le(histogram_above(drawn, 50000), 600);
	ck_assert_uint_eq(histogram_above(drawn, 110000), 0);
	ck_assert_uint_eq(histogram_above(drawn, -1), 1000000);
	free(drawn);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("histogram");

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_test(tests, test_a_value_is_found_to_the_width_of_its_bucket);
	tcase_add_test(tests, test_quantiles_of_one_to_a_thousand);
	tcase_add_test(tests, test_nothing_recorded);
	tcase_add_test(tests, test_what_is_too_long_counts_as_the_longest);
	tcase_add_test(tests, test_two_added_together);
	tcase_add_test(tests, test_above);
	return suite_run("histogram", tests);
}
