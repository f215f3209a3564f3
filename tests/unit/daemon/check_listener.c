/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/listener.h"
#include "tests/support/suite.h"

static char directory[64], path[80], lock[96];

static void make_directory(void)
{
	strcpy(directory, "/tmp/larder-listener-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/socket", directory);
	snprintf(lock, sizeof lock, "%s.lock", path);
}

static void remove_directory(void)
{
	unlink(path);
	unlink(lock);
	rmdir(directory);
}

static int knock(int type)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0), result;

	strcpy(address.sun_path, path);
	result = connect(fd, (struct sockaddr *)&address, sizeof address) ? -errno : 0;
	close(fd);
	return result;
}

START_TEST(test_open_and_close)
{
	struct listener listener;
	struct stat file;

	ck_assert_int_eq(listener_open(path, 0640, &listener, NULL), 0);
	ck_assert_int_eq(knock(SOCK_SEQPACKET), 0);
	ck_assert_int_eq(stat(path, &file), 0);
	ck_assert_uint_eq(file.st_mode & 0777, 0640);
	ck_assert_int_eq(stat(lock, &file), 0);
	ck_assert_uint_eq(file.st_mode & 0777, 0600);
	ck_assert_int_eq(fcntl(listener.fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	listener_close(&listener);
	ck_assert_int_eq(access(path, F_OK), -1);
	ck_assert_int_eq(access(lock, F_OK), -1);
}
END_TEST

START_TEST(test_second_one_is_refused)
{
	struct listener first, second;
	struct fault fault = { "" };

	ck_assert_int_eq(listener_open(path, 0600, &first, NULL), 0);
	ck_assert_int_eq(listener_open(path, 0600, &second, &fault), -EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(fault.text, "another larderd serves"));
	ck_assert_int_eq(knock(SOCK_SEQPACKET), 0);
	listener_close(&first);
	ck_assert_int_eq(listener_open(path, 0600, &second, NULL), 0);
	listener_close(&second);
}
END_TEST

/* One that was killed leaves socket and lock behind; neither keeps the next from starting. */
START_TEST(test_after_a_kill)
{
	struct listener listener;
	pid_t child = fork();

	if (child == 0) {
		listener_open(path, 0600, &listener, NULL);
		raise(SIGKILL);
	}
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_int_eq(access(lock, F_OK), 0);
	ck_assert_int_eq(knock(SOCK_SEQPACKET), -ECONNREFUSED);
	ck_assert_int_eq(listener_open(path, 0600, &listener, NULL), 0);
	ck_assert_int_eq(knock(SOCK_SEQPACKET), 0);
	listener_close(&listener);
}
END_TEST

/* Something of somebody else's is not removed. */
START_TEST(test_what_is_not_ours)
{
	struct listener listener;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct fault fault = { "" };
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	close(fd);
	ck_assert_int_eq(listener_open(path, 0600, &listener, &fault), -EEXIST);
	ck_assert_ptr_nonnull(strstr(fault.text, "is no socket"));
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_int_eq(access(lock, F_OK), -1);
	unlink(path);

	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(listener_open(path, 0600, &listener, &fault), -EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(fault.text, "another program serves"));
	ck_assert_int_eq(knock(SOCK_STREAM), 0);
	close(fd);
}
END_TEST

START_TEST(test_bad_places)
{
	struct listener listener;
	struct fault fault = { "" };
	char link[96];

	snprintf(link, sizeof link, "%s/no/socket", directory);
	ck_assert_int_eq(listener_open(link, 0600, &listener, &fault), -ENOENT);
	ck_assert_ptr_nonnull(strstr(fault.text, "folder must exist"));

	/* A lock that is a link could make root create files elsewhere. */
	ck_assert_int_eq(symlink("/tmp/larder-listener-elsewhere", lock), 0);
	ck_assert_int_eq(listener_open(path, 0600, &listener, NULL), -ELOOP);
	ck_assert_int_eq(access("/tmp/larder-listener-elsewhere", F_OK), -1);
}
END_TEST

/*
 * The lock's file comes and goes with its holder. Whoever opened it before it was removed must not believe to have the
 * lock of the next one.
 */
START_TEST(test_one_at_a_time)
{
	enum {
		RACERS = 4,
		ROUNDS = 20000,
		ROUNDS_MS = 20000
	}; /* on a busy machine, where each yields to others, fewer */
	const uint64_t until_ms = monotonic_ms() + ROUNDS_MS;
	atomic_int *inside = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t racers[RACERS];

	for (int i = 0; i < RACERS; i++) {
		racers[i] = fork();
		for (int round = 0; racers[i] == 0 && round < ROUNDS && monotonic_ms() < until_ms; round++) {
			struct listener listener;

			if (listener_open(path, 0600, &listener, NULL) != 0)
				continue;
			if (atomic_fetch_add(inside, 1) != 0)
				_exit(1);
			sched_yield();
			atomic_fetch_sub(inside, 1);
			listener_close(&listener);
		}
		if (racers[i] == 0)
			_exit(0);
	}
	for (int i = 0; i < RACERS; i++) {
		int status;

		ck_assert_int_eq(waitpid(racers[i], &status, 0), racers[i]);
		ck_assert_int_eq(status, 0);
	}
	munmap(inside, 4096);
}
END_TEST

START_TEST(test_adopt)
{
	struct listener made, adopted;
	struct fault fault = { "" };
	int stream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
	    silent = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(listener_open(path, 0600, &made, NULL), 0);
	ck_assert_int_eq(listener_adopt(fcntl(made.fd, F_DUPFD_CLOEXEC, 0), &adopted, NULL), 0);
	ck_assert_str_eq(adopted.path, path);
	listener_close(&adopted);
	ck_assert_int_eq(knock(SOCK_SEQPACKET), 0); /* its maker removes it, nobody else */
	ck_assert_int_eq(listener_adopt(stream, &adopted, &fault), -EPROTOTYPE);
	ck_assert_ptr_nonnull(strstr(fault.text, "ListenSequentialPacket="));
	ck_assert_int_eq(listener_adopt(silent, &adopted, NULL), -EPROTOTYPE);
	ck_assert_int_eq(listener_adopt(STDERR_FILENO, &adopted, NULL), -EPROTOTYPE);
	listener_close(&made);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("listener");

	tcase_add_checked_fixture(tests, make_directory, remove_directory);
	tcase_add_test(tests, test_open_and_close);
	tcase_add_test(tests, test_second_one_is_refused);
	tcase_add_test(tests, test_after_a_kill);
	tcase_add_test(tests, test_what_is_not_ours);
	tcase_add_test(tests, test_bad_places);
	tcase_add_test(tests, test_one_at_a_time);
	tcase_add_test(tests, test_adopt);
	return suite_run("daemon/listener", tests);
}
