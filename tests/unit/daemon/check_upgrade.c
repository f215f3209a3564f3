/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/upgrade.h"
#include "tests/support/suite.h"

#define CLIENTS 100

static char program_path[512];

static int some_fd(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

/* An estate of CLIENTS clients; each descriptor is of a file whose size tells which it is. */
static struct handover make(void)
{
	struct handover handover = {
		.listener = some_fd(), .lock = -1, .arena = some_fd(), .wake = some_fd(), .roster = -1
	};

	ck_assert_int_eq(ftruncate(handover.arena, 4711), 0);
	for (uint64_t id = 1; id <= CLIENTS; id++) {
		struct vault_client client = { .id = id };

		for (int kind = 0; kind < VAULT_FDS; kind++) {
			client.fds[kind] = some_fd();
			ck_assert_int_eq(ftruncate(client.fds[kind], (off_t)id * 100 + kind), 0);
		}
		ck_assert_int_eq(vault_put(&handover.clients, &client), 0);
	}
	handover.clients.next_id = 5000;
	return handover;
}

static off_t size_of(int fd)
{
	return lseek(fd, 0, SEEK_END);
}

/* What the new program does; this program plays it, too. Return: its exit status. */
static int succeed(bool trial)
{
	struct handover handover;
	struct fault fault;

	if (!upgrade_present() || upgrade_receive(&handover, &fault))
		return 10;
	if (!handover.whole || handover.lock != -1 || handover.roster != -1 || size_of(handover.arena) != 4711 ||
	    handover.clients.count != CLIENTS || handover.clients.next_id != 5000)
		return 11;
	for (uint64_t id = 1; id <= CLIENTS; id++)
		for (int kind = 0; kind < VAULT_FDS; kind++)
			if (size_of(vault_find(&handover.clients, id)->fds[kind]) != (off_t)id * 100 + kind)
				return 12;
	if (!(fcntl(handover.listener, F_GETFD) & FD_CLOEXEC) ||
	    !(fcntl(vault_find(&handover.clients, 7)->fds[0], F_GETFD) & FD_CLOEXEC))
		return 13;
	if (trial && upgrade_accept(&fault))
		return 14;
	upgrade_forget();
	handover_discard(&handover);
	return upgrade_present() ? 15 : 0;
}

static int judge(const char *path, const char *const *arguments, struct fault *ret_fault)
{
	const struct program program = { path, arguments };
	struct handover held = make();
	struct trial trial;
	int status, result;

	ck_assert_int_eq(upgrade_try(&program, &held, &trial), 0);
	ck_assert_int_eq(waitpid(trial.child, &status, 0), trial.child);
	result = upgrade_judge(&trial, status, ret_fault);
	ck_assert_int_eq(trial.child, 0);
	ck_assert_int_ne(fcntl(held.arena, F_GETFD) & FD_CLOEXEC, 0);
	handover_discard(&held);
	return result;
}

START_TEST(test_trial)
{
	struct fault fault = { "" };

	ck_assert_msg(judge(program_path, (const char *[]){ "successor", NULL }, &fault) == 0, "%s", fault.text);
	ck_assert(!upgrade_present());
	ck_assert_int_eq(judge("/bin/true", (const char *[]){ "true", NULL }, &fault), -EPROTO);
	ck_assert_int_eq(judge("/bin/false", (const char *[]){ "false", NULL }, &fault), -EINVAL);
	ck_assert_int_eq(judge("/nowhere/larderd", (const char *[]){ "larderd", NULL }, &fault), -EINVAL);
	ck_assert_int_eq(judge("/bin/sh", (const char *[]){ "sh", "-c", "kill -KILL $$", NULL }, &fault), -EINVAL);
	ck_assert_ptr_nonnull(strstr(fault.text, "signal 9"));
}
END_TEST

START_TEST(test_execute)
{
	const struct program program = { program_path, (const char *[]){ "successor", "for good", NULL } };
	const struct program none = { "/nowhere/larderd", (const char *[]){ "larderd", NULL } };
	struct handover held = make();
	pid_t child = fork();
	int status;

	if (child == 0) {
		if (upgrade_execute(&none, &held) != -ENOENT || upgrade_present() ||
		    !(fcntl(held.arena, F_GETFD) & FD_CLOEXEC))
			_exit(20);
		upgrade_execute(&program, &held);
		_exit(21);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	handover_discard(&held);
}
END_TEST

/* Whatever is no note of ours is refused, with a sentence. */
START_TEST(test_bad_notes)
{
	static const unsigned char nonsense[500] = { 1, 2, 3 };
	struct handover handover;
	struct fault fault = { "" };
	char number[16];
	int fd = some_fd();

	ck_assert(!upgrade_present());
	snprintf(number, sizeof number, "%d", fd);
	for (size_t size = 0; size <= sizeof nonsense; size += 20) {
		ck_assert_int_eq(pwrite(fd, nonsense, size, 0), (ssize_t)size);
		setenv("LARDERD_UPGRADE", number, 1);
		ck_assert_int_eq(upgrade_receive(&handover, &fault), -EPROTO);
		ck_assert_ptr_nonnull(strstr(fault.text, "restart"));
	}
	setenv("LARDERD_UPGRADE", "nothing", 1);
	ck_assert_int_eq(upgrade_receive(&handover, &fault), -EPROTO);
	setenv("LARDERD_UPGRADE", "-7", 1);
	ck_assert_int_eq(upgrade_receive(&handover, &fault), -EPROTO);
}
END_TEST

int main(int argc, char **argv)
{
	TCase *tests = tcase_create("upgrade");

	if (strcmp(argv[0], "successor") == 0)
		return succeed(strcmp(argv[argc - 1], "--" UPGRADE_OPTION) == 0);
	if (readlink("/proc/self/exe", program_path, sizeof program_path - 1) < 0)
		return EXIT_FAILURE;
	tcase_add_test(tests, test_trial);
	tcase_add_test(tests, test_execute);
	tcase_add_test(tests, test_bad_notes);
	return suite_run("upgrade", tests);
}
