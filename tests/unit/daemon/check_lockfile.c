/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/lockfile.h"
#include "tests/support/suite.h"

static char directory[64], path[80], lock[96];

static void make_directory(void)
{
	strcpy(directory, "/tmp/larder-lockfile-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/thing", directory);
	snprintf(lock, sizeof lock, "%s.lock", path);
}

static void remove_directory(void)
{
	unlink(lock);
	rmdir(directory);
}

START_TEST(test_one_at_a_time)
{
	struct fault fault = { "" };
	struct stat file;
	int fd = lockfile_take(path, "thing", &fault);

	ck_assert_msg(fd >= 0, "%s", fault.text);
	ck_assert_int_eq(stat(lock, &file), 0);
	ck_assert_uint_eq(file.st_mode & 0777, 0600);
	ck_assert_int_eq(lockfile_take(path, "thing", &fault), -EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(fault.text, "another larderd serves"));
	lockfile_remove(path);
	close(fd);
	ck_assert_int_ne(access(lock, F_OK), 0);
	fd = lockfile_take(path, "thing", &fault);
	ck_assert_int_ge(fd, 0);
	close(fd);
}
END_TEST

/* Both processes of a larderd have the descriptor; the second takes a moment to follow the first. */
START_TEST(test_waits_for_the_last)
{
	int fd = lockfile_take(path, "thing", NULL), ready[2];
	pid_t child;
	char byte;

	ck_assert_int_eq(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		close(ready[0]);
		if (write(ready[1], "", 1) == 1)
			usleep(200000);
		_exit(0);
	}
	close(fd);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	fd = lockfile_take(path, "thing", NULL);
	ck_assert_int_ge(fd, 0);
	/* It has ended, or it is about to be a zombie: it has no descriptors any more. */
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	close(fd);
}
END_TEST

/* It was stopped, and the other one, too, as on a machine that stands still: it does not give up at its very next look. */
START_TEST(test_standing_still_does_not_count)
{
	int fd = lockfile_take(path, "thing", NULL), ready[2], status;
	pid_t child;
	char byte;

	ck_assert_int_eq(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		close(fd);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		_exit(lockfile_take(path, "thing", NULL) < 0);
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	usleep(20000);
	ck_assert_int_eq(kill(child, SIGSTOP), 0);
	usleep(1100000); /* longer than all its looks take */
	ck_assert_int_eq(kill(child, SIGCONT), 0);
	usleep(20000);
	close(fd);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(test_links_are_not_followed)
{
	struct fault fault = { "" };

	ck_assert_int_eq(symlink("/etc/passwd", lock), 0);
	ck_assert_int_eq(lockfile_take(path, "thing", &fault), -ELOOP);
	ck_assert_ptr_nonnull(strstr(fault.text, lock));
}
END_TEST

START_TEST(test_no_folder)
{
	char nowhere[120];

	snprintf(nowhere, sizeof nowhere, "%s/none/thing", directory);
	ck_assert_int_eq(lockfile_take(nowhere, "thing", NULL), -ENOENT);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("lockfile");

	tcase_add_checked_fixture(tests, make_directory, remove_directory);
	tcase_add_test(tests, test_one_at_a_time);
	tcase_add_test(tests, test_waits_for_the_last);
	tcase_add_test(tests, test_standing_still_does_not_count);
	tcase_add_test(tests, test_links_are_not_followed);
	tcase_add_test(tests, test_no_folder);
	return suite_run("lockfile", tests);
}
