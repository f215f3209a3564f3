/* SPDX-License-Identifier: MIT */
/*
 * How larderd knows that a client is gone: by the end of its process or of its address space, and by nothing else. Who
 * lives keeps what it holds, whatever it closed; of who is gone everything comes back.
 */
#include "tests/support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena/lease.h"
#include "daemon/vault.h"
#include "tests/support/client.h"
#include "tests/support/expect.h"
#include "tests/support/raw.h"
#include "tests/support/workers.h"

#define PATIENCE_MS 60000
#define VIEWS_MAX 512

static struct server server;
static char value[16000];

static void setup(void)
{
	server_start(&server, "4M", "--pages", "small", "--stall-ms", "50", NULL);
}

static void teardown(void)
{
	server_stop(&server);
}

static void wait_for(const atomic_int *word, int wanted)
{
	for (struct patience patience = patience_start(PATIENCE_MS); atomic_load(word) != wanted;)
		expect(patience_left(patience));
}

static void kill_keeper(void)
{
	pid_t old = server_keeper(&server), next;
	struct patience patience = patience_start(PATIENCE_MS);

	ck_assert_int_gt(old, 0);
	ck_assert_int_eq(kill(old, SIGKILL), 0);
	do {
		ck_assert(patience_left(patience));
		next = server_keeper(&server);
	} while (next == old || next == 0);
}

static void expect_clients(larder *cache, unsigned clients)
{
	for (struct patience patience = patience_start(PATIENCE_MS); client_stat(cache).clients != clients;)
		ck_assert_msg(patience_left(patience), "%u clients, not %u", (unsigned)client_stat(cache).clients,
		              clients);
}

/* Writes several times as much as there is room for. */
static void churn(larder *cache)
{
	for (int i = 0; i < 1000; i++) {
		char key[32];
		int result;

		snprintf(key, sizeof key, "churn %d", i);
		result = larder_set(cache, key, strlen(key), value, sizeof value, NULL, NULL);
		if (result != 0)
			expect_failed("set: %s", larder_strerror(result));
	}
}

/* ---- the living -------------------------------------------------------------------------------------------------- */

/* A program that turns into a daemon: it closes all it has, and works on. */
static void close_all(void *context, unsigned number)
{
	atomic_int *stage = context;
	struct larder_view views[20];
	larder *cache = client_open(&server);
	char key[32];

	(void)number;
	expect_equal(close_range(3, ~0u, 0), 0);
	atomic_store(stage, 1);
	/* larderd has noticed. Nothing was in use meanwhile. */
	wait_for(stage, 2);
	for (int i = 0; i < 20; i++) {
		snprintf(key, sizeof key, "held %d", i);
		pattern_fill(value, sizeof value, (uint64_t)i);
		expect_equal(larder_set(cache, key, strlen(key), value, sizeof value, NULL, NULL), 0);
		expect_equal(larder_view(cache, key, strlen(key), &views[i]), 0);
	}
	atomic_store(stage, 3);
	wait_for(stage, 4);
	for (int i = 0; i < 20; i++) {
		expect(pattern_holds(views[i].data, views[i].size, (uint64_t)i));
		larder_release(cache, &views[i]);
	}
	client_put(cache, "written", "later");
	/* One view stays, and goes with the process. */
	expect_equal(larder_view(cache, "written", 7, &views[0]), 0);
}

/* _i: 0: nothing else happens; 1: the keeper is replaced before the views are taken; 2: while they are held. */
START_TEST(closes_its_descriptors)
{
	atomic_int *stage = shared_memory(sizeof *stage);
	struct patience patience = patience_start(PATIENCE_MS);
	unsigned before = server_descriptors(server_keeper(&server)); /* anybody came */
	larder *cache = client_open(&server);
	struct workers workers;

	workers_start(&workers, 1, close_all, stage);
	wait_for(stage, 1);
	/* Of two clients it has pidfd and lease, and of one the socket. */
	while (server_descriptors(server_keeper(&server)) > before + 5)
		ck_assert(patience_left(patience));
	if (_i == 1)
		kill_keeper();
	ck_assert_uint_eq(client_stat(cache).clients, 2);
	atomic_store(stage, 2);
	wait_for(stage, 3);
	churn(cache);
	if (_i == 2)
		kill_keeper();
	churn(cache);
	ck_assert_uint_gt(client_stat(cache).evicted_segments, 0);
	atomic_store(stage, 4);
	workers_join(&workers, 60);
	client_expect(cache, "written", "later");
	expect_clients(cache, 1);
	churn(cache);
	larder_close(cache);
}
END_TEST

#define NUMBERS_TAKEN 64

/* All low descriptor numbers become the program's own: an eventfd, a socket and a file in turn. */
static void take_numbers(void *context, unsigned read_only)
{
	struct larder_open_options options = LARDER_OPEN_OPTIONS;
	int own[3], ends[2];
	larder *cache;
	uint64_t count;
	char byte;

	(void)context;
	options.timeout_ms = 20000;
	expect_equal(larder_open(server.socket, &options, &cache), 0);
	client_put(cache, "key", "value");
	expect_equal(close_range(3, ~0u, 0), 0);
	own[0] = eventfd(0, EFD_NONBLOCK);
	own[1] = memfd_create("own", 0);
	expect(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends) == 0);
	own[2] = ends[0];
	for (int fd = ends[1] + 1; fd < NUMBERS_TAKEN; fd++)
		expect_equal(dup2(own[fd % 3], fd), fd);
	if (read_only)
		larder_set(cache, "key", 3, "value", 5, NULL, NULL); /* whatever it says, it is not for the neighbour */
	else
		churn(cache);
	client_stat(cache);
	larder_close(cache);
	expect_equal(read(own[0], &count, sizeof count), -1);
	expect_equal(lseek(own[1], 0, SEEK_END), 0);
	expect_equal(recv(ends[1], &byte, 1, MSG_DONTWAIT), -1);
	expect(errno == EAGAIN);
	for (int fd = 3; fd < NUMBERS_TAKEN; fd++)
		expect(fcntl(fd, F_GETFD) >= 0);
}

static void take_numbers_and_read_only(void *context, unsigned number)
{
	(void)number;
	take_numbers(context, 1);
}

START_TEST(takes_the_numbers)
{
	struct server usual;

	worker_run(take_numbers, NULL);
	usual = server;
	server_start(&server, "4M", "--access", "read-only", NULL);
	worker_run(take_numbers_and_read_only, NULL);
	server_stop(&server);
	server = usual;
}
END_TEST

/* ---- the dead ---------------------------------------------------------------------------------------------------- */

/* Stores and holds until there is no memory left. */
static void hold_everything(larder *cache)
{
	static struct larder_view views[VIEWS_MAX];

	for (unsigned i = 0; i < VIEWS_MAX; i++) {
		char key[32];
		int result;

		snprintf(key, sizeof key, "hold %u", i);
		result = larder_set(cache, key, strlen(key), value, sizeof value, NULL, NULL);
		if (result == -EAGAIN)
			return;
		expect_equal(result, 0);
		/* What was written into the last segment that nothing holds may have been evicted from it again. */
		result = larder_view(cache, key, strlen(key), &views[i]);
		expect(result == 0 || result == LARDER_MISS);
	}
	expect_failed("there is no end of memory");
}

enum holder { EXECUTES, LEAVES_THE_SOCKET, CLOSES_BEFORE, HOLDERS };

/* Holds all memory, and then becomes another program. Its own pid tells the parent. */
static void execute(void *context, unsigned number)
{
	atomic_int *pid = context;
	larder *cache;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	cache = client_open_hasty(&server, 300);
	hold_everything(cache);
	if (number == LEAVES_THE_SOCKET && fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
	}
	if (number == CLOSES_BEFORE)
		expect_equal(close_range(3, ~0u, 0), 0);
	atomic_store(pid, (int)getpid());
	execl("/bin/sleep", "sleep", "1000", (char *)NULL);
	expect_failed("cannot run sleep: %s", strerror(errno));
}

/* _i: a holder, with or without a new keeper after it has executed the other program. */
START_TEST(executes_another_program)
{
	atomic_int *pid = shared_memory(sizeof *pid);
	larder *cache = client_open(&server);
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0)
		execute(pid, (unsigned)_i % HOLDERS);
	wait_for(pid, (int)child);
	if (_i >= HOLDERS)
		kill_keeper();
	churn(cache); /* every write waits long enough for the memory to come back */
	expect_clients(cache, 1);
	ck_assert_int_eq(waitpid(child, NULL, WNOHANG), 0); /* it lives */
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	larder_close(cache);
}
END_TEST

/* ---- those who lie ----------------------------------------------------------------------------------------------- */

struct liar {
	atomic_int stage;
	int accomplice_fds[2]; /* a socket pair */
};

/* Sealed against further seals, the lease holds until the process ends, whether it is mapped or not. */
static void seal_lease(void *context, unsigned number)
{
	struct liar *shared = context;
	struct wire_welcome welcome;
	int fds[RAW_FDS], channel = raw_attach(&server, &welcome, fds);
	struct lease lease;

	(void)number;
	expect_equal(lease_take(fds[RAW_LEASE], &lease, NULL), 0);
	expect_equal(fcntl(fds[RAW_LEASE], F_ADD_SEALS, F_SEAL_SEAL), 0);
	lease_give_up(&lease);
	close(channel);
	atomic_store(&shared->stage, 1);
	wait_for(&shared->stage, 2);
}

/* Another process has the lease mapped, too, and lives longer. */
static void share_lease(void *context, unsigned number)
{
	struct liar *shared = context;
	struct wire_welcome welcome;
	int fds[RAW_FDS], channel = raw_attach(&server, &welcome, fds);
	struct lease lease;

	(void)number;
	expect_equal(lease_take(fds[RAW_LEASE], &lease, NULL), 0);
	expect_equal(raw_send(shared->accomplice_fds[0], "x", 1, &fds[RAW_LEASE], 1), 0);
	close(channel);
	atomic_store(&shared->stage, 1);
	wait_for(&shared->stage, 2);
}

/* It never takes the lease, and holds pins: it is believed gone as soon as it hangs up. */
static void take_no_lease(void *context, unsigned number)
{
	struct liar *shared = context;
	struct wire_welcome welcome;
	int fds[RAW_FDS], channel = raw_attach(&server, &welcome, fds);
	unsigned char *page = mmap(NULL, welcome.control_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fds[RAW_CONTROL],
	                           0);

	(void)number;
	expect(page != MAP_FAILED);
	memset(page, 1, welcome.control_bytes);
	close(channel);
	atomic_store(&shared->stage, 1);
	wait_for(&shared->stage, 2);
}

START_TEST(lies)
{
	static worker_function *const liars[] = { seal_lease, share_lease, take_no_lease };
	struct liar *shared = shared_memory(sizeof *shared);
	larder *cache = client_open(&server);
	struct workers workers;
	struct lease lease;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, shared->accomplice_fds), 0);
	workers_start(&workers, 1, liars[_i], shared);
	wait_for(&shared->stage, 1);
	if (liars[_i] == share_lease) {
		int fds[RAW_FDS_MAX];
		char byte;

		ck_assert_uint_eq(raw_receive(shared->accomplice_fds[1], &byte, 1, fds, NULL), 1);
		ck_assert_int_eq(lease_take(fds[0], &lease, NULL), 0);
	}
	if (liars[_i] == take_no_lease)
		expect_clients(cache, 1);
	churn(cache);
	if (liars[_i] != take_no_lease) {
		ck_assert_uint_eq(client_stat(cache).clients, 2);
		kill_keeper();
		churn(cache);
		ck_assert_uint_eq(client_stat(cache).clients, 2);
	}
	atomic_store(&shared->stage, 2);
	workers_join(&workers, 60);
	expect_clients(cache, 1);
	larder_close(cache);
}
END_TEST

/* ---- a keeper that dies while a client attaches ------------------------------------------------------------------- */

static void attach(void *context, unsigned number)
{
	(void)context, (void)number;
	larder_close(client_open(&server));
}

/* The supervisor is stopped, so the client stays half let in: what it had sent is taken, and its WELCOME is not sent. */
START_TEST(keeper_dies_in_the_middle)
{
	struct patience patience = patience_start(PATIENCE_MS);
	pid_t keeper = server_keeper(&server);
	unsigned before = server_descriptors(keeper);
	larder *cache;
	struct workers workers;

	ck_assert_int_eq(kill(server.pid, SIGSTOP), 0);
	workers_start(&workers, 1, attach, NULL);
	while (server_descriptors(keeper) < before + VAULT_FDS)
		ck_assert(patience_left(patience));
	ck_assert_int_eq(kill(keeper, SIGKILL), 0);
	ck_assert_int_eq(kill(server.pid, SIGCONT), 0);
	workers_join(&workers, 15); /* less than it would wait for an answer */
	cache = client_open(&server);
	expect_clients(cache, 1);
	larder_close(cache);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("death");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, closes_its_descriptors, 0, 3);
	tcase_add_test(tcase, takes_the_numbers);
	tcase_add_loop_test(tcase, executes_another_program, 0, 2 * HOLDERS);
	tcase_add_loop_test(tcase, lies, 0, 3);
	tcase_add_test(tcase, keeper_dies_in_the_middle);
	return suite_run("death", tcase);
}
