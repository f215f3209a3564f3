/* SPDX-License-Identifier: MIT */
/* Failpoints by themselves. Built with FAILPOINTS=1 only. */
#include "base/failpoint.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/support/suite.h"

/* Passes the places "a.place" and "b.place" so many times each in a child. Return: its status. */
static int pass(const char *variable, int times)
{
	int status;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		if (variable)
			setenv("LARDER_FAILPOINT", variable, 1);
		else
			unsetenv("LARDER_FAILPOINT");
		failpoint_arm();
		for (int i = 0; i < times; i++) {
			failpoint("a.place");
			failpoint("b.place");
		}
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
	if (WIFSTOPPED(status)) {
		int after;

		kill(child, SIGCONT);
		ck_assert_int_eq(waitpid(child, &after, 0), child);
		ck_assert_int_eq(after, 0);
	}
	return status;
}

static const struct {
	const char *variable;
	int times;
	int signal; /* that ends it; -1: it stops; 0: it comes to its end */
} cases[] = {
	{ NULL, 5, 0 },
	{ "", 5, 0 },
	{ "a.place:3:kill", 2, 0 },
	{ "a.place:3:kill", 3, SIGKILL },
	{ "c.place:1:kill", 3, 0 },
	{ "a.place:3:stop", 5, -1 },
	{ "a.place:9:kill,b.place:2:stop", 2, -1 },
	{ ";a.place:1:kill", 3, 0 },
	{ "b.place:1:delay;a.place:1:kill", 3, 0 },
	/* what cannot be understood is not passed over */
	{ "a.place", 1, SIGABRT },
	{ "a.place:0:kill", 1, SIGABRT },
	{ "a.place:1:burn", 1, SIGABRT },
};

START_TEST(test_what_happens_at_which_passage)
{
	int status = pass(cases[_i].variable, cases[_i].times);

	if (cases[_i].signal > 0)
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == cases[_i].signal);
	else if (cases[_i].signal < 0)
		ck_assert(WIFSTOPPED(status));
	else
		ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(test_delay_takes_time)
{
	uint64_t began_ms = monotonic_ms();

	ck_assert_int_eq(pass("a.place:2:delay,b.place:3:delay", 5), 0);
	ck_assert_uint_ge(monotonic_ms() - began_ms, 40);
}
END_TEST

START_TEST(test_each_keeper_has_its_part)
{
	setenv("LARDER_FAILPOINT", "a.place:1:kill;;b.place:1:stop", 1);
	failpoint_next_keeper();
	ck_assert_str_eq(getenv("LARDER_FAILPOINT"), ";b.place:1:stop");
	failpoint_next_keeper();
	ck_assert_str_eq(getenv("LARDER_FAILPOINT"), "b.place:1:stop");
	failpoint_next_keeper();
	ck_assert_ptr_null(getenv("LARDER_FAILPOINT"));
	failpoint_next_keeper();
	ck_assert_ptr_null(getenv("LARDER_FAILPOINT"));
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("failpoint");

	tcase_add_loop_test(tests, test_what_happens_at_which_passage, 0, sizeof cases / sizeof cases[0]);
	tcase_add_test(tests, test_delay_takes_time);
	tcase_add_test(tests, test_each_keeper_has_its_part);
	return suite_run("failpoint", tests);
}
