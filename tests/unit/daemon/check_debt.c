/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/debt.h"
#include "tests/support/suite.h"

START_TEST(test_incur_and_settle)
{
	struct debt *book = debt_book(), *first, *second;

	ck_assert_ptr_nonnull(book);
	ck_assert_ptr_null(debt_find(book, 1));
	first = debt_incur(book, 1, 100);
	second = debt_incur(book, 2, 200);
	ck_assert_ptr_eq(debt_find(book, 1), first);
	ck_assert_ptr_eq(debt_find(book, 2), second);
	ck_assert_uint_eq(load_relaxed(&second->request_id), 200);
	debt_settle(first);
	debt_settle(NULL);
	ck_assert_ptr_null(debt_find(book, 1));
	ck_assert_ptr_eq(debt_find(book, 2), second);
	ck_assert_ptr_eq(debt_incur(book, 3, 300), first); /* its place is free again */
}
END_TEST

START_TEST(test_outlives_the_debtor)
{
	struct debt *book = debt_book();
	pid_t child = fork();

	if (child == 0) {
		debt_incur(book, 5, 500);
		raise(SIGKILL);
	}
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert_ptr_nonnull(debt_find(book, 5));
	ck_assert_uint_eq(load_relaxed(&debt_find(book, 5)->request_id), 500);
}
END_TEST

START_TEST(test_full)
{
	struct debt *book = debt_book();
	uint64_t id = 1;

	while (debt_incur(book, id, id))
		id++;
	ck_assert_uint_eq(id, 16385);
	debt_settle(debt_find(book, 77));
	ck_assert_ptr_nonnull(debt_incur(book, id, id));
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("debt");

	tcase_add_test(tests, test_incur_and_settle);
	tcase_add_test(tests, test_outlives_the_debtor);
	tcase_add_test(tests, test_full);
	return suite_run("daemon/debt", tests);
}
