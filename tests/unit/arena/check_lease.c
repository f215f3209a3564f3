/* SPDX-License-Identifier: MIT */
#include "arena/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/expect.h"
#include "tests/support/suite.h"

static int new_lease(void)
{
	int fd = lease_create();

	ck_assert_int_ge(fd, 0);
	return fd;
}

START_TEST(test_lasts_as_long_as_the_mapping)
{
	int fd = new_lease();
	struct lease lease;

	ck_assert_int_eq(lease_take(fd, &lease, NULL), 0);
	ck_assert(!lease_over(fd));
	ck_assert(!lease_over(fd));
	lease_give_up(&lease);
	ck_assert(lease_over(fd));
	ck_assert(lease_over(fd));
	lease_give_up(&lease);
	close(fd);
}
END_TEST

START_TEST(test_what_is_over_cannot_begin)
{
	int fd = new_lease();
	struct lease lease = { NULL };

	ck_assert(lease_over(fd));
	ck_assert_int_eq(lease_take(fd, &lease, NULL), -ECONNRESET);
	ck_assert_ptr_null(lease.mapping);
	close(fd);
}
END_TEST

/* Nobody can put a page into it, on which the keeper would have to wait. */
START_TEST(test_stays_empty)
{
	int fd = new_lease();

	ck_assert_int_eq(ftruncate(fd, 1), -1);
	ck_assert_int_eq(write(fd, "x", 1), -1);
	ck_assert_int_eq(fallocate(fd, 0, 0, 4096), -1);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 0);
	close(fd);
}
END_TEST

/* Runs in a child that has taken the lease and closed the descriptor; the parent goes on when the pipe is closed. */
typedef void ending(int told);

static void run_child(int fd, ending *end, int ret_ends[2], pid_t *ret_child)
{
	ck_assert_int_eq(pipe2(ret_ends, O_CLOEXEC), 0);
	*ret_child = fork();
	ck_assert_int_ge(*ret_child, 0);
	if (*ret_child == 0) {
		struct lease lease;

		close(ret_ends[0]);
		expect_equal(lease_take(fd, &lease, NULL), 0);
		close(fd);
		end(ret_ends[1]);
		_exit(0);
	}
	close(ret_ends[1]);
}

static void tell(int told)
{
	expect(write(told, "", 1) == 1);
}

static void live_on(int told)
{
	tell(told);
	pause();
}

static void execute(int told)
{
	tell(told);
	execl("/bin/sleep", "sleep", "1000", (char *)NULL);
}

static void leave_a_child(int told)
{
	pid_t child = fork();

	expect(child >= 0);
	if (child == 0)
		live_on(told); /* its end of the pipe stays open until it ends */
	pause();
}

static void expect_byte(int fd)
{
	char byte;

	ck_assert_int_eq(read(fd, &byte, 1), 1);
}

START_TEST(test_ends_with_the_process)
{
	int fd = new_lease(), ends[2];
	pid_t child;

	run_child(fd, live_on, ends, &child);
	expect_byte(ends[0]);
	ck_assert(!lease_over(fd));
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert(lease_over(fd));
	close(fd);
}
END_TEST

START_TEST(test_ends_with_exec)
{
	int fd = new_lease(), ends[2];
	char byte;
	pid_t child;

	run_child(fd, execute, ends, &child);
	expect_byte(ends[0]);
	ck_assert_int_eq(read(ends[0], &byte, 1), 0); /* closed by exec, which ends the address space before */
	ck_assert(lease_over(fd));
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	close(fd);
}
END_TEST

START_TEST(test_is_not_inherited)
{
	int fd = new_lease(), ends[2];
	char byte;
	pid_t child;

	run_child(fd, leave_a_child, ends, &child);
	expect_byte(ends[0]);
	ck_assert(!lease_over(fd));
	ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert_int_eq(read(ends[0], &byte, 1), -1); /* the grandchild lives */
	ck_assert(lease_over(fd));
	close(fd);
}
END_TEST

/* What a client may do to it makes nobody believe that it is gone while it is not. */
START_TEST(test_its_holder_cannot_end_it)
{
	int fd = new_lease();
	struct lease lease;

	ck_assert_int_eq(lease_take(fd, &lease, NULL), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
	ck_assert(!lease_over(fd));
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), 0);
	ck_assert(!lease_over(fd));
	lease_give_up(&lease);
	ck_assert(!lease_over(fd)); /* nobody can be asked any more: the process's own end has to show */
	close(fd);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("lease");

	tcase_add_test(tests, test_lasts_as_long_as_the_mapping);
	tcase_add_test(tests, test_what_is_over_cannot_begin);
	tcase_add_test(tests, test_stays_empty);
	tcase_add_test(tests, test_ends_with_the_process);
	tcase_add_test(tests, test_ends_with_exec);
	tcase_add_test(tests, test_is_not_inherited);
	tcase_add_test(tests, test_its_holder_cannot_end_it);
	return suite_run("lease", tests);
}
