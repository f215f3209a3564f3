/* SPDX-License-Identifier: MIT */
/* What every test program ends with. */
#ifndef LARDER_TESTS_SUITE_H
#define LARDER_TESTS_SUITE_H

#include <check.h>
#include <stdlib.h>

#define SUITE_TIMEOUT_SECONDS 120 /* of one test; generous, because sanitizers and busy machines are slow */

/* Runs the tests of one case, each in a process of its own, and returns the exit status for main(). */
static inline int suite_run(const char *name, TCase *tests)
{
	Suite *suite = suite_create(name);
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tests, SUITE_TIMEOUT_SECONDS);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
