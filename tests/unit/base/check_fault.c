/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "base/fault.h"
#include "tests/support/suite.h"

START_TEST(test_result_comes_back_and_sentence_is_written)
{
	struct fault fault = { "" };

	ck_assert_int_eq(fault_set(&fault, -EPROTO, "layout %d is not %s", 3, "ours"), -EPROTO);
	ck_assert_str_eq(fault.text, "layout 3 is not ours");
	ck_assert_int_eq(fault_set(&fault, 5, "%s", ""), 5);
	ck_assert_str_eq(fault.text, "");
}
END_TEST

START_TEST(test_nobody_has_to_listen)
{
	ck_assert_int_eq(fault_set(NULL, -ENOMEM, "no %s", "memory"), -ENOMEM);
}
END_TEST

START_TEST(test_long_sentence_is_cut)
{
	struct {
		struct fault fault;
		char behind;
	} room;
	char text[2 * FAULT_BYTES];

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = 0;
	room.behind = 'b';
	fault_set(&room.fault, 0, "%s", text);
	ck_assert_uint_eq(strlen(room.fault.text), FAULT_BYTES - 1);
	ck_assert_int_eq(room.behind, 'b');
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("fault");

	tcase_add_test(tests, test_result_comes_back_and_sentence_is_written);
	tcase_add_test(tests, test_nobody_has_to_listen);
	tcase_add_test(tests, test_long_sentence_is_cut);
	return suite_run("fault", tests);
}
