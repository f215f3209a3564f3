/* SPDX-License-Identifier: MIT */
/*
 * larderd as a service: this test is the service manager. It hands over a listening socket, hears what larderd tells,
 * keeps what larderd stores, and gives it to the next larderd.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/vault.h"
#include "tests/support/client.h"
#include "tests/support/expect.h"
#include "tests/support/raw.h"
#include "tests/support/server.h"
#include "tests/support/suite.h"

#define STORED_MAX 64
#define PATIENCE_MS 30000

struct stored {
	char name[32];
	int fd;
};

static struct server server; /* its directory; the process is started here */
static int notify_socket;
static struct stored store[STORED_MAX];
static int stored_count;

static void setup(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	server_prepare(&server);
	snprintf(address.sun_path, sizeof address.sun_path, "%s/notify", server.directory);
	notify_socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	expect(bind(notify_socket, (struct sockaddr *)&address, sizeof address) == 0);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	stored_count = 0;
}

static void teardown(void)
{
	if (server.pid) {
		kill(server.pid, SIGKILL);
		server_wait(&server);
	}
	server_stop(&server);
}

/* ---- the service manager ----------------------------------------------------------------------------------------- */

static void remove_stored(const char *name)
{
	for (int i = stored_count; i-- > 0;) {
		if (strcmp(store[i].name, name) != 0)
			continue;
		close(store[i].fd);
		store[i] = store[--stored_count];
	}
}

static int find_stored(const char *name)
{
	int at = 0;

	while (strcmp(store[at].name, name) != 0)
		expect(++at < stored_count);
	return at;
}

static int count_stored(const char *name)
{
	int count = 0;

	for (int i = 0; i < stored_count; i++)
		count += strcmp(store[i].name, name) == 0;
	return count;
}

/* Waits for the next thing that larderd tells, and does what it asks for. */
static void hear(char text[512])
{
	int fds[RAW_FDS_MAX];
	size_t count = 0;
	char *name;

	text[raw_receive(notify_socket, text, 511, fds, &count)] = '\0';
	name = strstr(text, "FDNAME=");
	if (strncmp(text, "FDSTOREREMOVE=1\n", 16) == 0)
		remove_stored(name + 7);
	for (size_t i = 0; i < count; i++) {
		expect(strncmp(text, "FDSTORE=1\n", 10) == 0 && stored_count < STORED_MAX);
		snprintf(store[stored_count].name, sizeof store[0].name, "%s", name + 7);
		store[stored_count++].fd = fds[i];
	}
}

static void hear_until(const char *wanted)
{
	char text[512];

	do
		hear(text);
	while (strncmp(text, wanted, strlen(wanted)) != 0);
}

static const char *larderd_path(void)
{
	static char path[512];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 32);

	if (getenv("LARDERD"))
		return getenv("LARDERD");
	expect(length > 0);
	path[length] = '\0';
	*strrchr(path, '/') = '\0';
	strcat(path, "/../../bin/larderd");
	return path;
}

static _Noreturn void become_larderd(int listener, pid_t parent, const char *const *options)
{
	const char *arguments[16] = { larderd_path(), "--socket", server.socket };
	char names[(STORED_MAX + 1) * sizeof store[0].name] = "", number[32], *end = names;
	int log = open(server.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644), next = 3, high[STORED_MAX + 1];

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent || dup2(log, STDERR_FILENO) < 0)
		_exit(127);
	/* First out of the way of where they are to be, then there. */
	for (int i = 0; i < stored_count; i++)
		high[i] = fcntl(store[i].fd, F_DUPFD_CLOEXEC, 100);
	high[stored_count] = listener >= 0 ? fcntl(listener, F_DUPFD_CLOEXEC, 100) : -1;
	for (int i = 0; i <= stored_count; i++) {
		if (high[i] < 0)
			continue;
		expect(dup2(high[i], next++) >= 0);
		end = stpcpy(end, next > 4 ? ":" : "");
		end = stpcpy(end, i < stored_count ? store[i].name : "larderd.socket");
	}
	snprintf(number, sizeof number, "%d", next - 3);
	setenv("LISTEN_FDS", number, 1);
	setenv("LISTEN_FDNAMES", names, 1);
	snprintf(number, sizeof number, "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
	for (int i = 0; options[i]; i++)
		arguments[3 + i] = options[i];
	execv(arguments[0], (char *const *)arguments);
	expect_failed("cannot run %s: %s", arguments[0], strerror(errno));
}

/* Starts larderd with all that is stored, and a listening socket where one is given. */
static void start(int listener, const char *const *options)
{
	pid_t parent = getpid();

	server.pid = fork();
	expect(server.pid >= 0);
	if (server.pid == 0)
		become_larderd(listener, parent, options);
	hear_until("READY=1");
}

static const char *const usual[] = { "--size", "4M", "--pages", "small", NULL };

/* As a crash: nobody has time for anything. The keeper is dead, too, when this returns. */
static void crash(void)
{
	struct pollfd keeper = { .fd = (int)syscall(SYS_pidfd_open, server_keeper(&server), 0), .events = POLLIN };

	expect(keeper.fd >= 0);
	kill(server.pid, SIGKILL);
	expect_equal(server_wait(&server), 128 + SIGKILL);
	expect(poll(&keeper, 1, PATIENCE_MS) == 1);
	close(keeper.fd);
}

static void expect_logged(const char *words)
{
	char text[16384];

	server_read_file(server.log, text, sizeof text);
	if (!strstr(text, words))
		expect_failed("larderd did not say \"%s\" but\n%s", words, text);
}

/* ---- the tests --------------------------------------------------------------------------------------------------- */

START_TEST(socket_is_handed_over)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	larder *cache;

	strcpy(address.sun_path, server.socket);
	expect(bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
	expect(listen(listener, 16) == 0);
	start(listener, usual);
	cache = client_open(&server);
	client_put(cache, "key", "value");
	client_expect(cache, "key", "value");
	larder_close(cache);
	kill(server.pid, SIGTERM);
	hear_until("STOPPING=1");
	expect_equal(server_wait(&server), 0);
	expect(access(server.socket, F_OK) == 0); /* it is the service manager's */
	unlink(server.socket);
}
END_TEST

START_TEST(wrong_socket_is_handed_over)
{
	int stream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t parent = getpid();

	server.pid = fork();
	if (server.pid == 0)
		become_larderd(stream, parent, usual);
	expect_equal(server_wait(&server), 1);
	expect_logged("ListenSequentialPacket=");
}
END_TEST

START_TEST(reload_and_watchdog)
{
	char text[512];

	setenv("WATCHDOG_USEC", "100000", 1);
	start(-1, usual);
	unsetenv("WATCHDOG_USEC");
	for (int i = 0; i < 3; i++)
		hear_until("WATCHDOG=1");
	kill(server.pid, SIGHUP);
	hear_until("RELOADING=1\nMONOTONIC_USEC=");
	do
		hear(text);
	while (strcmp(text, "WATCHDOG=1") == 0);
	expect(strcmp(text, "READY=1") == 0);
}
END_TEST

/* A hung keeper gives no sign of life: after those on their way there is silence, until it goes on. */
START_TEST(watchdog_is_the_keepers)
{
	struct pollfd wait = { .fd = notify_socket, .events = POLLIN };
	char text[512];
	pid_t keeper;

	setenv("WATCHDOG_USEC", "100000", 1);
	start(-1, usual);
	unsetenv("WATCHDOG_USEC");
	hear_until("WATCHDOG=1");
	keeper = server_keeper(&server);
	kill(keeper, SIGSTOP);
	while (poll(&wait, 1, 2000) == 1)
		hear(text);
	kill(keeper, SIGCONT);
	hear_until("WATCHDOG=1");
}
END_TEST

/* Arena and clients survive: however it ended, whatever the clients did meanwhile, and time and again. */
START_TEST(goes_on_after_the_end)
{
	larder *cache, *newcomers[6];

	start(-1, usual);
	cache = client_open(&server);
	client_put(cache, "key", "first");
	expect_equal(count_stored("arena"), 1);
	for (int round = 0; round < 6; round++) {
		char value[32];

		hear_until("FDSTORE=1"); /* of the client, or of the last newcomer */
		if (round % 2) {
			kill(server.pid, SIGTERM);
			expect_equal(server_wait(&server), 0);
		} else {
			crash();
		}
		snprintf(value, sizeof value, "while it was away, %d", round);
		client_put(cache, "key", value);
		start(-1, usual);
		expect_logged("going on with the arena of an earlier larderd and its ");
		client_expect(cache, "key", value);
		newcomers[round] = client_open(&server);
		client_expect(newcomers[round], "key", value);
		expect_equal(client_stat(cache).clients, 2 + round);
	}
	for (int round = 0; round < 6; round++)
		larder_close(newcomers[round]);
	larder_close(cache);
}
END_TEST

/* An upgrade leaves the store as it is and goes on with it: nobody is missing in it after a crash. */
START_TEST(store_outlives_an_upgrade)
{
	larder *before, *after;

	start(-1, usual);
	before = client_open(&server);
	hear_until("FDSTORE=1");
	for (int round = 0; round < 2; round++) {
		kill(server.pid, SIGUSR2);
		hear_until("READY=1");
		expect_logged("takes over");
	}
	after = client_open(&server);
	client_put(after, "key", "value");
	hear_until("FDSTORE=1");
	expect_equal(count_stored("arena"), 1);
	expect(count_stored("client-1") > 0);
	expect_equal(count_stored("client-2"), count_stored("client-1"));
	crash();
	start(-1, usual);
	expect_logged("going on with the arena of an earlier larderd and its 2 clients");
	client_expect(before, "key", "value");
	larder_close(before);
	hear_until("FDSTOREREMOVE=1\nFDNAME=client-1");
	larder_close(after);
}
END_TEST

/* A client that died while nobody was there to notice is noticed by the next, and one that left is not kept. */
START_TEST(the_dead_are_forgotten)
{
	larder *cache;
	pid_t child;
	int ready[2];
	char byte, text[512];

	start(-1, usual);
	expect(pipe2(ready, O_CLOEXEC) == 0);
	child = fork();
	if (child == 0) {
		client_put(client_open(&server), "key", "value");
		expect(write(ready[1], "", 1) == 1);
		pause();
	}
	expect(read(ready[0], &byte, 1) == 1);
	hear_until("FDSTORE=1\nFDPOLL=0\nFDNAME=client-1");
	expect_equal(count_stored("client-1"), VAULT_FDS);
	crash();
	kill(child, SIGKILL);
	expect(waitpid(child, NULL, 0) == child);
	start(-1, usual);
	while (count_stored("client-1") > 0)
		hear(text);

	cache = client_open(&server);
	client_expect(cache, "key", "value");
	hear_until("FDSTORE=1\nFDPOLL=0\nFDNAME=client-2"); /* never the same again */
	larder_close(cache);
	hear_until("FDSTOREREMOVE=1\nFDNAME=client-2");
}
END_TEST

/*
 * What cannot be adopted with all its clients, and all that belongs to each of them, is not adopted; the reason is
 * told.
 */
START_TEST(a_client_is_missing)
{
	larder *cache, *other;

	start(-1, usual);
	cache = client_open(&server);
	client_put(cache, "key", "value");
	hear_until("FDSTORE=1\nFDPOLL=0\nFDNAME=client-1");
	crash();
	if (_i < VAULT_FDS) {
		int lost = find_stored("client-1") + _i;

		close(store[lost].fd);
		store[lost] = store[--stored_count];
	} else {
		remove_stored("client-1");
	}
	start(-1, usual);
	expect_logged("client 1 is missing");
	other = client_open(&server);
	client_expect(other, "key", NULL);
	client_put(other, "key", "other");
	for (struct patience patience = patience_start(PATIENCE_MS); client_stat(other).clients != 2;
	     client_stat(cache))
		expect(patience_left(patience));
	client_expect(cache, "key", "other"); /* it changed over */
	expect_equal(count_stored("arena"), 1);
	larder_close(other);
	larder_close(cache);
}
END_TEST

START_TEST(arena_does_not_fit)
{
	static const char *const larger[] = { "--size", "6M", "--pages", "small", NULL };
	static const char *const read_only[] = { "--size", "6M", "--pages", "small", "--access", "read-only", NULL };
	larder *old, *cache;

	start(-1, usual);
	old = client_open(&server);
	client_put(old, "key", "value");
	crash();
	start(-1, larger);
	expect_logged("another size");
	cache = client_open(&server);
	expect_equal(client_stat(cache).arena_bytes, 6 << 20);
	client_expect(cache, "key", NULL);
	crash();
	larder_close(cache);
	larder_close(old);

	/* In read-only mode there is nothing to keep. */
	start(-1, read_only);
	expect_logged("another access");
	expect_equal(stored_count, 0);
	crash();
	start(-1, read_only);
	expect_logged("a restart will begin with an empty arena");
}
END_TEST

START_TEST(store_holds_nonsense)
{
	int pair[2], memory = memfd_create("test", MFD_CLOEXEC);
	larder *cache;

	expect(pipe2(pair, O_CLOEXEC) == 0);
	expect(ftruncate(memory, 4 << 20) == 0);
	store[stored_count++] = (struct stored){ "arena", memory };
	store[stored_count++] = (struct stored){ "wake", pair[0] };
	store[stored_count++] = (struct stored){ "roster", dup(pair[0]) };
	store[stored_count++] = (struct stored){ "client-1", pair[1] };
	store[stored_count++] = (struct stored){ "client-0", dup(pair[1]) };
	start(-1, usual);
	expect_logged("is given up");
	expect_equal(count_stored("client-1"), 0);
	cache = client_open(&server);
	client_put(cache, "key", "value");
	larder_close(cache);
}
END_TEST

/* A keeper that crashes again and again may do so because of the arena: the next larderd shall not inherit it. */
START_TEST(gives_up)
{
	struct patience patience = patience_start(PATIENCE_MS);
	pid_t keeper, last = 0;
	char text[512];

	start(-1, usual);
	for (int deaths = 0; deaths < 8; deaths++) {
		while ((keeper = server_keeper(&server)) == 0 || keeper == last)
			expect(patience_left(patience));
		kill(keeper, SIGABRT);
		last = keeper;
	}
	expect_equal(server_wait(&server), 1);
	expect_logged("giving up");
	while (stored_count > 0)
		hear(text);
	unlink(server.socket);
}
END_TEST

/*
 * While an earlier keeper lives that has the same arena none begins; the lock stands for it. Whoever is killed in
 * that time, or while it takes charge, is replaced less and less eagerly, but always.
 */
START_TEST(keepers_are_killed_before_they_work)
{
	enum { KILLS = 10 };
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct larder_open_options options = LARDER_OPEN_OPTIONS;
	struct patience patience = patience_start(PATIENCE_MS);
	pid_t parent = getpid(), keeper, last = 0;
	larder *cache, *other;

	options.timeout_ms = 300;
	start(-1, usual);
	cache = client_open(&server);
	client_put(cache, "key", "value");
	hear_until("FDSTORE=1\nFDPOLL=0\nFDNAME=client-1");
	crash();
	expect(fcntl(store[find_stored("roster")].fd, F_SETLK, &lock) == 0);
	server.pid = fork();
	if (server.pid == 0)
		become_larderd(-1, parent, usual);
	for (int deaths = 0; deaths < KILLS; deaths++) {
		while ((keeper = server_keeper(&server)) == 0 || keeper == last)
			expect(patience_left(patience));
		if (deaths == 0)
			expect_equal(larder_open(server.socket, &options, &other), -ETIMEDOUT);
		expect(kill(keeper, SIGKILL) == 0);
		last = keeper;
	}
	lock.l_type = F_UNLCK;
	expect(fcntl(store[find_stored("roster")].fd, F_SETLK, &lock) == 0);
	hear_until("READY=1");
	expect_logged("10 keepers died right after their start; the next one starts in 1280 ms");
	other = client_open(&server);
	client_expect(other, "key", "value");
	client_expect(cache, "key", "value");
	larder_close(other);
	larder_close(cache);
}
END_TEST

/*
 * Many come at once: the supervisor is asked for more than its socket holds, and everybody is let in nevertheless. Both
 * processes are held until all is prepared, so that they work against each other.
 */
START_TEST(many_at_once)
{
	enum { COMERS = 300 };
	struct rlimit limit;
	struct wire_hello hello = raw_hello();
	struct wire_welcome welcome;
	int channels[COMERS];
	pid_t keeper;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	unsetenv("NOTIFY_SOCKET");
	server_stop(&server);
	server_start(&server, "4M", "--pages", "small", NULL);
	for (int round = 0; round < 5; round++) {
		keeper = server_keeper(&server);
		kill(server.pid, SIGSTOP);
		for (int i = 0; i < COMERS; i++)
			channels[i] = raw_connect(&server);
		/* Until the keeper has accepted all of them. */
		while (server_descriptors(keeper) < COMERS)
			sched_yield();
		kill(keeper, SIGSTOP);
		for (int i = 0; i < COMERS; i++)
			expect_equal(raw_send(channels[i], &hello, sizeof hello, NULL, 0), 0);
		kill(server.pid, SIGCONT);
		kill(keeper, SIGCONT);
		for (int i = 0; i < COMERS; i++) {
			expect_equal(raw_receive(channels[i], &welcome, sizeof welcome, NULL, NULL), sizeof welcome);
			expect_equal(welcome.result, 0);
		}
		for (int i = 0; i < COMERS; i++)
			close(channels[i]);
		for (struct patience patience = patience_start(PATIENCE_MS); server_descriptors(keeper) > 100;)
			expect(patience_left(patience));
	}
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("service");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, socket_is_handed_over);
	tcase_add_test(tests, wrong_socket_is_handed_over);
	tcase_add_test(tests, reload_and_watchdog);
	tcase_add_test(tests, watchdog_is_the_keepers);
	tcase_add_test(tests, goes_on_after_the_end);
	tcase_add_test(tests, store_outlives_an_upgrade);
	tcase_add_test(tests, the_dead_are_forgotten);
	tcase_add_loop_test(tests, a_client_is_missing, 0, VAULT_FDS + 1);
	tcase_add_test(tests, arena_does_not_fit);
	tcase_add_test(tests, store_holds_nonsense);
	tcase_add_test(tests, gives_up);
	tcase_add_test(tests, keepers_are_killed_before_they_work);
	tcase_add_test(tests, many_at_once);
	return suite_run("service", tests);
}
