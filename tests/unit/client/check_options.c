/* SPDX-License-Identifier: MIT */
#include "client/options.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "tests/support/suite.h"

/* One structure at three ages. */
struct earlier {
	size_t size;
	uint64_t first;
};

struct known {
	size_t size;
	uint64_t first, second;
};

struct later {
	size_t size;
	uint64_t first, second, third;
};

START_TEST(test_read_nothing)
{
	struct known known = { 1, 1, 1 };

	ck_assert_int_eq(options_read(NULL, &known, sizeof known), 0);
	ck_assert_uint_eq(known.size, 0);
	ck_assert_uint_eq(known.first, 0);
	ck_assert_uint_eq(known.second, 0);
}
END_TEST

START_TEST(test_read_of_any_age)
{
	struct earlier earlier = { sizeof earlier, 1 };
	struct known same = { sizeof same, 1, 2 };
	struct later later = { sizeof later, 1, 2, 0 };
	struct known known;

	ck_assert_int_eq(options_read(&earlier, &known, sizeof known), 0);
	ck_assert_uint_eq(known.first, 1);
	ck_assert_uint_eq(known.second, 0);
	ck_assert_int_eq(options_read(&same, &known, sizeof known), 0);
	ck_assert_uint_eq(known.second, 2);
	ck_assert_int_eq(options_read(&later, &known, sizeof known), 0);
	ck_assert_uint_eq(known.second, 2);
	later.third = 3;
	ck_assert_int_eq(options_read(&later, &known, sizeof known), -EINVAL);
}
END_TEST

START_TEST(test_sizes_without_sense)
{
	static const size_t sizes[] = { 0, 1, sizeof(size_t) - 1, 65537, SIZE_MAX };
	struct known given = { 0, 1, 2 }, known;

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		given.size = sizes[i];
		ck_assert_int_eq(options_read(&given, &known, sizeof known), -EINVAL);
		ck_assert_int_eq(options_write(&known, sizeof known, &given), -EINVAL);
		ck_assert_uint_eq(given.first, 1);
	}
}
END_TEST

START_TEST(test_write_of_any_age)
{
	const struct known known = { sizeof known, 1, 2 };
	struct known same = { sizeof same, 7, 7 };
	struct later later = { sizeof later, 7, 7, 7 };
	struct known earlier = { sizeof(struct earlier), 7, 7 };

	ck_assert_int_eq(options_write(&known, sizeof known, &same), 0);
	ck_assert_uint_eq(same.second, 2);
	ck_assert_int_eq(options_write(&known, sizeof known, &later), 0);
	ck_assert_uint_eq(later.size, sizeof later);
	ck_assert_uint_eq(later.second, 2);
	ck_assert_uint_eq(later.third, 0);
	ck_assert_int_eq(options_write(&known, sizeof known, &earlier), 0);
	ck_assert_uint_eq(earlier.size, sizeof(struct earlier));
	ck_assert_uint_eq(earlier.first, 1);
	ck_assert_uint_eq(earlier.second, 7);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("options");

	tcase_add_test(tests, test_read_nothing);
	tcase_add_test(tests, test_read_of_any_age);
	tcase_add_test(tests, test_sizes_without_sense);
	tcase_add_test(tests, test_write_of_any_age);
	return suite_run("options", tests);
}
