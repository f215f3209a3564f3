/* SPDX-License-Identifier: MIT */
#include "tests/torture/value.h"

#include <string.h>

#include "tests/support/suite.h"

#define KEY 7
#define FIRST 200
#define SECOND 90

static char value[FIRST + SECOND];

/* A block and one appended to it. */
static void setup(void)
{
	value_write(value, (struct block){ .key = KEY, .sequence = 3, .writer = 2, .size = FIRST });
	value_write(value + FIRST,
	            (struct block){
			    .key = KEY, .sequence = 5, .previous = 3, .offset = FIRST, .writer = 2, .size = SECOND });
}

static const char *check(size_t size)
{
	struct block last;

	return value_check(value, size, KEY, &last);
}

START_TEST(test_right_values)
{
	struct block last;

	ck_assert_ptr_null(value_check(value, FIRST, KEY, &last));
	ck_assert_uint_eq(last.sequence, 3);
	ck_assert_ptr_null(value_check(value, FIRST + SECOND, KEY, &last));
	ck_assert_uint_eq(last.sequence, 5);
	ck_assert_uint_eq(last.offset, FIRST);
}
END_TEST

START_TEST(test_every_byte_matters)
{
	for (size_t i = 0; i < sizeof value; i++) {
		value[i] ^= 1;
		ck_assert_msg(check(sizeof value) != NULL, "byte %zu", i);
		value[i] ^= 1;
	}
	ck_assert_ptr_null(check(sizeof value));
}
END_TEST

START_TEST(test_cut_values)
{
	for (size_t size = 0; size < sizeof value; size++)
		ck_assert_msg(size == FIRST || check(size) != NULL, "%zu bytes", size);
}
END_TEST

START_TEST(test_values_of_others)
{
	struct block last;

	ck_assert_ptr_nonnull(value_check(value, FIRST, KEY + 1, &last));
}
END_TEST

START_TEST(test_blocks_that_do_not_belong_together)
{
	struct block second = {
		.key = KEY, .sequence = 5, .previous = 3, .offset = FIRST, .writer = 2, .size = SECOND
	};

	second.previous = 2;
	value_write(value + FIRST, second);
	ck_assert_ptr_nonnull(check(sizeof value));
	second.previous = 3;
	second.offset = FIRST + 8;
	value_write(value + FIRST, second);
	ck_assert_ptr_nonnull(check(sizeof value));
	second.offset = FIRST;
	second.sequence = 3;
	value_write(value + FIRST, second);
	ck_assert_ptr_nonnull(check(sizeof value));
	/* The second one without the first. */
	setup();
	memmove(value, value + FIRST, SECOND);
	ck_assert_ptr_nonnull(check(SECOND));
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("value");

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_test(tests, test_right_values);
	tcase_add_test(tests, test_every_byte_matters);
	tcase_add_test(tests, test_cut_values);
	tcase_add_test(tests, test_values_of_others);
	tcase_add_test(tests, test_blocks_that_do_not_belong_together);
	return suite_run("value", tests);
}
