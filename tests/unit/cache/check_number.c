/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cache/internal.h"
#include "tests/support/suite.h"
#include "tests/unit/support/random.h"

static bool parse(const char *text, int64_t *ret_number)
{
	return number_parse((const unsigned char *)text, strlen(text), ret_number);
}

START_TEST(test_numbers)
{
	static const struct {
		const char *text;
		int64_t number;
	} numbers[] = {
		{ "0", 0 },
		{ "7", 7 },
		{ "-1", -1 },
		{ "-0", 0 },
		{ "10", 10 },
		{ "007", 7 },
		{ "-0012", -12 },
		{ "00000000000000000001", 1 },
		{ "9223372036854775807", INT64_MAX },
		{ "-9223372036854775807", -INT64_MAX },
		{ "-9223372036854775808", INT64_MIN },
		{ "1000000000000000000", 1000000000000000000 },
	};

	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		int64_t number = 99;

		ck_assert_msg(parse(numbers[i].text, &number), "%s", numbers[i].text);
		ck_assert_int_eq(number, numbers[i].number);
	}
}
END_TEST

START_TEST(test_what_is_no_number)
{
	static const char *const texts[] = {
		"",
		"-",
		"--1",
		"+1",
		" 1",
		"1 ",
		"1\n",
		"1.0",
		"1e3",
		"0x10",
		"a",
		"1a",
		"/",
		":",
		"\xff",
		"-\x30\x80",
		"9223372036854775808",
		"-9223372036854775809",
		"18446744073709551615",
		"18446744073709551616",
		"99999999999999999999",
		"-99999999999999999999",
		"000000000000000000001",
		"000000000000000000000000000000001",
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		int64_t number = 99;

		ck_assert_msg(!parse(texts[i], &number), "%s", texts[i]);
		ck_assert_int_eq(number, 99);
	}
	/* a zero byte within */
	ck_assert(!number_parse((const unsigned char *)"1\0002", 3, &(int64_t){ 0 }));
}
END_TEST

static void check_round_trip(int64_t number)
{
	char text[NUMBER_TEXT + 1], expected[32];
	int64_t parsed = ~number;
	uint32_t length;

	memset(text, 'x', sizeof text);
	snprintf(expected, sizeof expected, "%" PRId64, number);
	length = number_format(number, text);
	ck_assert_uint_eq(length, strlen(expected));
	ck_assert_str_eq(text, expected);
	ck_assert_int_eq(text[NUMBER_TEXT], 'x');
	ck_assert(parse(text, &parsed));
	ck_assert_int_eq(parsed, number);
}

START_TEST(test_text_of_a_number_is_that_number)
{
	struct random random = { 1 };

	check_round_trip(INT64_MIN);
	check_round_trip(INT64_MAX);
	for (int64_t number = -120; number <= 120; number++)
		check_round_trip(number);
	for (int64_t power = 1; power <= INT64_MAX / 10; power *= 10) {
		check_round_trip(power - 1);
		check_round_trip(-power);
	}
	for (int i = 0; i < 1000; i++)
		check_round_trip((int64_t)(random_next(&random) >> random_below(&random, 64)));
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("number");

	tcase_add_test(tests, test_numbers);
	tcase_add_test(tests, test_what_is_no_number);
	tcase_add_test(tests, test_text_of_a_number_is_that_number);
	return suite_run("number", tests);
}
