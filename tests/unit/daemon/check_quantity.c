/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "daemon/quantity.h"
#include "tests/support/suite.h"

struct reading {
	const char *text;
	int result;
	uint64_t number; /* where result is 0 */
};

static void check_all(int (*parse)(const char *, uint64_t *), const struct reading *readings, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t number = 4711;
		int result = parse(readings[i].text, &number);

		ck_assert_msg(result == readings[i].result, "\"%s\" gives %d, not %d", readings[i].text, result,
		              readings[i].result);
		ck_assert_msg(number == (result ? 4711 : readings[i].number), "\"%s\" gives %llu", readings[i].text,
		              (unsigned long long)number);
	}
}

#define CHECK_ALL(parse, readings) check_all(parse, readings, sizeof readings / sizeof readings[0])

START_TEST(test_bytes)
{
	static const struct reading readings[] = {
		{ "0", 0, 0 },
		{ "1", 0, 1 },
		{ "4096", 0, 4096 },
		{ "64K", 0, 65536 },
		{ "64k", 0, 65536 },
		{ "64KiB", 0, 65536 },
		{ "64kb", 0, 65536 },
		{ "1M", 0, 1048576 },
		{ "1 MiB", 0, 1048576 },
		{ "3G", 0, UINT64_C(3) << 30 },
		{ "2T", 0, UINT64_C(2) << 40 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "99999999999999999999999", -ERANGE, 0 },
		{ "16777216T", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "M", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "1.5G", -EINVAL, 0 },
		{ "1MM", -EINVAL, 0 },
		{ "1Mi", -EINVAL, 0 },
		{ "1ms", -EINVAL, 0 },
		{ "1 M ", -EINVAL, 0 },
	};

	CHECK_ALL(quantity_parse_bytes, readings);
}
END_TEST

START_TEST(test_times)
{
	static const struct reading readings[] = {
		{ "1000", 0, 1000 },  { "500ms", 0, 500 },    { "5s", 0, 5000 },
		{ "5 S", 0, 5000 },   { "2min", 0, 120000 },  { "1h", 0, 3600000 },
		{ "5m", -EINVAL, 0 }, { "5sec", -EINVAL, 0 }, { "", -EINVAL, 0 },
		{ "1M", -EINVAL, 0 }, { "-5s", -EINVAL, 0 },  { "18446744073709551615s", -ERANGE, 0 },
	};

	CHECK_ALL(quantity_parse_milliseconds, readings);
}
END_TEST

START_TEST(test_counts_and_modes)
{
	static const struct reading counts[] = {
		{ "0", 0, 0 }, { "16384", 0, 16384 }, { "1k", -EINVAL, 0 }, { "", -EINVAL, 0 }
	};
	static const struct reading modes[] = {
		{ "0660", 0, 0660 },     { "660", 0, 0660 },      { "0", 0, 0 },        { "0777", 0, 0777 },
		{ "01000", -ERANGE, 0 }, { "0680", -EINVAL, 0 },  { "rw", -EINVAL, 0 }, { "", -EINVAL, 0 },
		{ "99", -EINVAL, 0 },    { "0660K", -EINVAL, 0 },
	};

	CHECK_ALL(quantity_parse_count, counts);
	CHECK_ALL(quantity_parse_mode, modes);
}
END_TEST

/* What is printed reads back as the same number, in the largest unit that is exact. */
START_TEST(test_format)
{
	static const struct reading bytes[] = {
		{ "0", 0, 0 },
		{ "1", 0, 1 },
		{ "1023", 0, 1023 },
		{ "1K", 0, 1024 },
		{ "1025", 0, 1025 },
		{ "256M", 0, 256 << 20 },
		{ "1536M", 0, UINT64_C(1536) << 20 },
		{ "512G", 0, UINT64_C(1) << 39 },
		{ "18446744073709551615", 0, UINT64_MAX },
	};
	static const struct reading times[] = { { "0ms", 0, 0 },       { "10ms", 0, 10 },    { "1s", 0, 1000 },
		                                { "1500ms", 0, 1500 }, { "1min", 0, 60000 }, { "1h", 0, 3600000 } };
	char text[QUANTITY_TEXT_MAX];

	for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++) {
		quantity_format_bytes(bytes[i].number, text);
		ck_assert_str_eq(text, bytes[i].text);
	}
	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		quantity_format_milliseconds(times[i].number, text);
		ck_assert_str_eq(text, times[i].text);
	}
	CHECK_ALL(quantity_parse_bytes, bytes);
	CHECK_ALL(quantity_parse_milliseconds, times);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("quantity");

	tcase_add_test(tests, test_bytes);
	tcase_add_test(tests, test_times);
	tcase_add_test(tests, test_counts_and_modes);
	tcase_add_test(tests, test_format);
	return suite_run("daemon/quantity", tests);
}
