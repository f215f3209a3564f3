/* SPDX-License-Identifier: MIT */
/*
 * larderd and its clients in different PID namespaces, as with containers that share a socket. Process numbers mean
 * nothing there: the victim has the number that a living process has where larderd lives. Clients hold memory back in
 * each way there is, are killed, and all of it comes back.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena/arena.h"
#include "arena/control.h"
#include "tests/support/client.h"
#include "tests/support/expect.h"
#include "tests/support/raw.h"
#include "tests/support/server.h"
#include "tests/support/suite.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

#define PATIENCE_MS 30000
#define VALUE_BYTES 20000

static struct server server;

static void setup(void)
{
	server_prepare(&server);
}

static void teardown(void)
{
	server_stop(&server);
}

/* ---- namespaces -------------------------------------------------------------------------------------------------- */

/* In a user namespace we are nobody until we say who. */
static bool map_user(unsigned user)
{
	char line[32];
	int fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC),
	    size = snprintf(line, sizeof line, "%u %u 1", user, user);
	bool done = fd >= 0 && write(fd, line, (size_t)size) == size;

	if (fd >= 0)
		close(fd);
	return done;
}

/* What this process forks from now on is in a PID namespace of its own; the first of it is process 1 there. */
static bool unshare_children(void)
{
	unsigned user = geteuid();

	return unshare(CLONE_NEWPID) == 0 || (unshare(CLONE_NEWUSER | CLONE_NEWPID) == 0 && map_user(user));
}

/* Forks a process with that number in its own namespace, or with the next one that is free there. */
static pid_t fork_numbered(pid_t number)
{
	struct clone_args arguments = { .exit_signal = SIGCHLD, .set_tid = (uintptr_t)&number, .set_tid_size = 1 };
	pid_t child;

	while ((child = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments)) < 0 && errno == EEXIST)
		number++;
	if (child < 0)
		expect_failed("cannot fork process %d: %s", (int)number, strerror(errno));
	return child;
}

static bool can_be_had(void)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(unshare_children() ? 0 : 1);
	expect(waitpid(child, &status, 0) == child);
	return status == 0;
}

/* Without this (before Linux 6.5) larderd refuses whom it cannot see, and says so. */
static bool kernel_names_peers(void)
{
	int pair[2], fd = -1;
	socklen_t size = sizeof fd;
	bool named;

	expect(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	named = getsockopt(pair[0], SOL_SOCKET, SO_PEERPIDFD, &fd, &size) == 0;
	close(pair[0]);
	close(pair[1]);
	if (named)
		close(fd);
	return named;
}

/* ---- those who will be killed ------------------------------------------------------------------------------------ */

static void tell(int pipe_end)
{
	expect(write(pipe_end, "", 1) == 1);
	pause();
}

/* Holds a view, and the run in which it wrote. */
static _Noreturn void hold_a_view(int pipe_end)
{
	struct larder_view view;
	larder *cache = client_open(&server);

	client_put(cache, "viewed", "value");
	expect_equal(larder_view(cache, "viewed", 6, &view), 0);
	tell(pipe_end);
	_exit(1);
}

/* Looks as if it had been stopped in the midst of a get, right after the arena was made. */
static _Noreturn void sit_in_a_section(int pipe_end)
{
	struct wire_welcome welcome;
	struct control control;
	struct arena arena;
	int fds[RAW_FDS];

	raw_attach(&server, &welcome, fds);
	expect_equal(arena_map(fds[RAW_ARENA], false, &arena, NULL), 0);
	expect_equal(control_map(fds[RAW_CONTROL], arena.segment_count, true, &control, NULL), 0);
	store_relaxed(&control.page->threads[0].epoch, 1);
	store_relaxed(&control.page->thread_high, 1);
	tell(pipe_end);
	_exit(1);
}

static _Noreturn void be_a_victim(int which, int pipe_end)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (which == 0)
		hold_a_view(pipe_end);
	sit_in_a_section(pipe_end);
}

enum { VICTIMS = 2 };

/* A namespace with its process 1 and the victims, seen from outside. */
struct container {
	pid_t keeper_of_it; /* forked them; reaps them */
	pid_t victims[VICTIMS];
	pid_t first; /* process 1; 0: this is no namespace */
	int go;      /* write end: the victims may attach */
};

static void wait_for(int pipe_end, char *byte)
{
	expect(read(pipe_end, byte, 1) == 1);
}

/* Begins with a byte on go, so that larderd may be started in the meantime. Numbers of larderd's go along. */
static void run_container(bool apart, pid_t number, int go, int ready, int report)
{
	struct container inside = { 0 };
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	wait_for(go, &byte);
	if (apart) {
		expect(unshare_children());
		inside.first = fork();
		if (inside.first == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
	}
	for (int i = 0; i < VICTIMS; i++) {
		inside.victims[i] = apart ? fork_numbered(number + i) : fork();
		if (inside.victims[i] == 0)
			be_a_victim(i, ready);
	}
	expect(write(report, &inside, sizeof inside) == sizeof inside);
	for (;;)
		if (wait(NULL) < 0)
			pause();
}

struct pipes {
	int go[2], ready[2], report[2];
};

static struct container make_container(bool apart, pid_t number, struct pipes *pipes)
{
	struct container container = { 0 };

	expect(pipe2(pipes->go, O_CLOEXEC) == 0 && pipe2(pipes->ready, O_CLOEXEC) == 0 &&
	       pipe2(pipes->report, O_CLOEXEC) == 0);
	container.keeper_of_it = fork();
	if (container.keeper_of_it == 0)
		run_container(apart, number, pipes->go[0], pipes->ready[1], pipes->report[1]);
	return container;
}

static void fill_container(struct container *container, struct pipes *pipes)
{
	pid_t keeper_of_it = container->keeper_of_it;
	char byte;

	expect(write(pipes->go[1], "", 1) == 1);
	expect(read(pipes->report[0], container, sizeof *container) == sizeof *container);
	container->keeper_of_it = keeper_of_it;
	for (int i = 0; i < VICTIMS; i++)
		wait_for(pipes->ready[0], &byte);
}

/* ---- the test ---------------------------------------------------------------------------------------------------- */

/* Writes until memory is short, at most so many values. */
static int write_on(larder *cache, unsigned count)
{
	static char value[VALUE_BYTES];
	int result = 0;

	for (unsigned i = 0; i < count && result == 0; i++) {
		char key[32];

		snprintf(key, sizeof key, "filler %u", i);
		result = larder_set(cache, key, strlen(key), value, sizeof value, NULL, NULL);
	}
	return result;
}

static const struct variant {
	bool larderd_apart, clients_apart, all_at_once;
} variants[] = {
	{ false, true, false }, { false, true, true }, { true, false, false },
	{ true, true, false },  { true, true, true },
};

START_TEST(the_dead_give_back)
{
	const struct variant *variant = &variants[_i];
	struct patience patience;
	struct container container;
	struct pipes pipes;
	larder *cache;
	int own_namespace;

	/*
	 * Where larderd has process numbers of its own its keeper is 2; else take ours and the next one, and see to it
	 * that both live.
	 */
	pid_t neighbour = fork(), number = variant->larderd_apart ? 2 : neighbour;

	if (neighbour == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	if (variant->larderd_apart && !kernel_names_peers()) {
		puts("larderd cannot have clients outside its PID namespace with this kernel: not tested");
		return;
	}
	own_namespace = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	container = make_container(variant->clients_apart, number, &pipes);
	if (variant->larderd_apart)
		expect(unshare_children());
	/* Nobody is revoked: only death gives back. */
	expect(server_run(&server,
	                  (const char *[]){ "--socket", server.socket, "--size", "4M", "--stall-ms", "1h", NULL }));
	/* What else this process starts is to be like itself again, where we may: a sanitizer's thread must be. */
	(void)setns(own_namespace, CLONE_NEWPID);
	cache = client_open_hasty(&server, 200);
	fill_container(&container, &pipes);
	expect_equal(client_stat(cache).clients, 1 + VICTIMS);
	expect_equal(write_on(cache, 1000), -EAGAIN);

	if (variant->all_at_once)
		expect(kill(container.first, SIGKILL) == 0);
	else
		for (int i = 0; i < VICTIMS; i++)
			expect(kill(container.victims[i], SIGKILL) == 0);
	for (patience = patience_start(PATIENCE_MS); client_stat(cache).clients != 1;)
		if (!patience_left(patience))
			expect_failed("there are %u clients", (unsigned)client_stat(cache).clients);
	for (patience = patience_start(PATIENCE_MS); write_on(cache, 1000) != 0;)
		expect(patience_left(patience));
	larder_close(cache);
	expect(kill(container.keeper_of_it, SIGKILL) == 0);
	expect(kill(neighbour, SIGKILL) == 0);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("namespace");

	if (!can_be_had()) {
		puts("no PID namespaces for this user and kernel: not tested");
		return 77;
	}
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, the_dead_give_back, 0, (int)(sizeof variants / sizeof variants[0]));
	return suite_run("namespace", tests);
}
