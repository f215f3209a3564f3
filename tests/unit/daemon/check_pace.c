/* SPDX-License-Identifier: MIT */
#include "daemon/pace.h"

#include "tests/support/suite.h"

static struct pace pace;

static void fresh(void)
{
	pace = (struct pace){ 0 };
}

/* Return: the pause after a look of so many microseconds. */
static uint32_t look(uint64_t began_us, uint64_t took_us, bool progress)
{
	pace_note(&pace, began_us, began_us + took_us, progress);
	return pace_left_us(&pace, began_us + took_us);
}

START_TEST(test_first_look_is_due)
{
	ck_assert_uint_eq(pace_left_us(&pace, 0), 0);
	ck_assert_uint_eq(pace_left_us(&pace, UINT64_C(1) << 40), 0);
}
END_TEST

START_TEST(test_pause_passes)
{
	ck_assert_uint_eq(look(5000, 10, true), 100);
	ck_assert_uint_eq(pace_left_us(&pace, 5011), 99);
	ck_assert_uint_eq(pace_left_us(&pace, 5109), 1);
	ck_assert_uint_eq(pace_left_us(&pace, 5110), 0);
	ck_assert_uint_eq(pace_left_us(&pace, UINT64_MAX), 0);
}
END_TEST

/* What clients can ask for at will takes half of a processor at the most, while it is of use, */
START_TEST(test_useful_looks_take_half)
{
	ck_assert_uint_eq(look(1000, 1, true), 100);
	ck_assert_uint_eq(look(2000, 100, true), 100);
	ck_assert_uint_eq(look(3000, 700, true), 700);
	ck_assert_uint_eq(look(5000, 1000, true), 1000);
	/* but memory does not come in larger steps, however long one takes. */
	ck_assert_uint_eq(look(10000, 50000, true), 1000);
}
END_TEST

/* and a look in a millisecond while it is not. */
START_TEST(test_vain_looks_become_rare)
{
	ck_assert_uint_eq(look(1000, 1, false), 100);
	ck_assert_uint_eq(look(2000, 1, false), 200);
	ck_assert_uint_eq(look(3000, 1, false), 400);
	ck_assert_uint_eq(look(4000, 1, false), 800);
	ck_assert_uint_eq(look(5000, 1, false), 1000);
	ck_assert_uint_eq(look(6000, 1, false), 1000);
	ck_assert_uint_eq(look(7000, 1, true), 100);
	ck_assert_uint_eq(look(8000, 1, false), 200);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("pace");

	tcase_add_checked_fixture(tests, fresh, NULL);
	tcase_add_test(tests, test_first_look_is_due);
	tcase_add_test(tests, test_pause_passes);
	tcase_add_test(tests, test_useful_looks_take_half);
	tcase_add_test(tests, test_vain_looks_become_rare);
	return suite_run("pace", tests);
}
