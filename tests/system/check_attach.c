/* SPDX-License-Identifier: MIT */
/* larder_open: who is let in, and what is said to whom it fails for. */
#include "tests/support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/wire.h"
#include "daemon/vault.h"
#include "tests/support/client.h"
#include "tests/support/expect.h"
#include "tests/support/raw.h"
#include "tests/support/workers.h"

#define NOBODY 65534
#define OPEN_TIMEOUT_MS 20000

static struct server server;
static char path[200];

static void setup(void)
{
	server_prepare(&server);
}

static void teardown(void)
{
	server_stop(&server);
}

/* The call fails in this way, leaves *ret_cache alone, loses no descriptor, and says something that contains words. */
static void expect_open(const char *socket_path, uint32_t timeout_ms, int expected, const char *words)
{
	char text[400] = "";
	struct larder_open_options options = LARDER_OPEN_OPTIONS;
	larder *const mark = (larder *)(uintptr_t)text;
	larder *cache = mark;
	unsigned descriptors = server_descriptors(getpid());
	int result;

	options.error = text;
	options.error_size = sizeof text;
	options.timeout_ms = timeout_ms;
	result = larder_open(socket_path, &options, &cache);
	if (result != expected)
		expect_failed("larder_open(%s) gave %d (%s), not %d", socket_path, result, text, expected);
	if (result == 0) {
		larder_close(cache);
		return;
	}
	expect(cache == mark);
	expect_equal(server_descriptors(getpid()), descriptors);
	if (strlen(text) < 20 || strstr(text, words) == NULL)
		expect_failed("the text for %d says: %s", result, text);
	/* The text is cut to the room it has, and nobody is forced to have it. */
	memset(text, '.', sizeof text);
	options.error_size = 6;
	larder_open(socket_path, &options, &cache);
	expect(strnlen(text, 7) == 5 && text[6] == '.');
	options.error = NULL;
	expect_equal(larder_open(socket_path, &options, &cache), expected);
}

START_TEST(nobody_there)
{
	static char long_path[300];

	snprintf(path, sizeof path, "%s/none", server.directory);
	expect_open(path, 0, -ENOENT, path);
	snprintf(path, sizeof path, "%s/none/at/all", server.directory);
	expect_open(path, 0, -ENOENT, path);
	memset(long_path, 'x', sizeof long_path - 1);
	expect_open(long_path, 0, -ENAMETOOLONG, "");
	server_write_file(&server, "file", "not a socket", path);
	expect_open(path, 0, -ECONNREFUSED, path);
}
END_TEST

/* Listens at the server's path in larderd's place. */
static int listen_instead(int type)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", server.socket);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
	ck_assert_int_eq(listen(fd, 16), 0);
	return fd;
}

START_TEST(left_behind)
{
	close(listen_instead(SOCK_SEQPACKET));
	expect_open(server.socket, 0, -ECONNREFUSED, server.socket);
}
END_TEST

START_TEST(never_answers)
{
	int fd = listen_instead(SOCK_SEQPACKET);

	expect_open(server.socket, 50, -ETIMEDOUT, server.socket);
	close(fd);
}
END_TEST

START_TEST(other_kind_of_socket)
{
	int fd = listen_instead(SOCK_STREAM);

	expect_open(server.socket, 200, -EPROTO, server.socket);
	close(fd);
}
END_TEST

START_TEST(bad_arguments)
{
	struct larder_open_options options = LARDER_OPEN_OPTIONS;
	struct {
		struct larder_open_options known;
		uint64_t unknown;
	} newer = { LARDER_OPEN_OPTIONS, 0 };
	larder *cache;

	ck_assert(server_run(&server, (const char *[]){ "--socket", server.socket, "--size", "2M", NULL }));
	options.timeout_ms = newer.known.timeout_ms = OPEN_TIMEOUT_MS;
	options.flags = 1u << 31;
	ck_assert_int_eq(larder_open(server.socket, &options, &cache), -EINVAL);
	options.flags = 0;
	options.size = 0;
	ck_assert_int_eq(larder_open(server.socket, &options, &cache), -EINVAL);
	/* A program built with a later header, which does not use what this library does not know. */
	newer.known.size = sizeof newer;
	ck_assert_int_eq(larder_open(server.socket, &newer.known, &cache), 0);
	larder_close(cache);
	newer.unknown = 1;
	ck_assert_int_eq(larder_open(server.socket, &newer.known, &cache), -EINVAL);
}
END_TEST

START_TEST(path_from_environment)
{
	struct larder_open_options options = LARDER_OPEN_OPTIONS;
	larder *cache;

	options.timeout_ms = OPEN_TIMEOUT_MS;
	ck_assert(server_run(&server, (const char *[]){ "--socket", server.socket, "--size", "2M", NULL }));
	ck_assert_int_eq(setenv("LARDER_SOCKET", server.socket, 1), 0);
	ck_assert_int_eq(larder_open(NULL, &options, &cache), 0);
	client_put(cache, "k", "v");
	larder_close(cache);
	snprintf(path, sizeof path, "%s/none", server.directory);
	ck_assert_int_eq(setenv("LARDER_SOCKET", path, 1), 0);
	ck_assert_int_eq(larder_open(NULL, NULL, &cache), -ENOENT);
	ck_assert_int_eq(larder_open(server.socket, &options, &cache), 0);
	larder_close(cache);
}
END_TEST

START_TEST(fenced)
{
	struct larder_open_options options = LARDER_OPEN_OPTIONS;
	larder *cache;

	ck_assert(server_run(&server, (const char *[]){ "--socket", server.socket, "--size", "2M", NULL }));
	options.flags = LARDER_OPEN_FENCED;
	options.timeout_ms = OPEN_TIMEOUT_MS;
	ck_assert_int_eq(larder_open(server.socket, &options, &cache), 0);
	for (int i = 0; i < 20000; i++) {
		struct larder_view view;
		char key[32];

		snprintf(key, sizeof key, "key %d", i);
		client_put(cache, key, key);
		expect_equal(larder_view(cache, key, strlen(key), &view), 0);
		expect(memcmp(view.data, key, view.size) == 0);
		larder_release(cache, &view);
	}
	larder_close(cache);
}
END_TEST

/*
 * ---- users ---------------------------------------------------------------------------------------------------------
 */

struct visit {
	int result;
	const char *words;
};

static void visit_as_nobody(void *context, unsigned number)
{
	const struct visit *visit = context;

	(void)number;
	expect(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	expect_open(server.socket, OPEN_TIMEOUT_MS, visit->result, visit->words);
}

START_TEST(other_users)
{
	static const struct {
		const char *option, *value;
		struct visit visit;
	} cases[] = {
		{ NULL, NULL, { -EACCES, "not admitted" } }, { "--allow-users", "1,2", { -EACCES, "allow_users" } },
		{ "--allow-users", "1,65534", { 0, "" } },   { "--allow-groups", "1", { -EACCES, "not admitted" } },
		{ "--allow-groups", "65534", { 0, "" } },    { "--socket-mode", "0600", { -EACCES, "" } },
	};
	struct visit visit = cases[_i].visit;

	if (geteuid() != 0)
		return; /* only root can be somebody else */
	ck_assert(server_run(&server, (const char *[]){ "--socket", server.socket, "--size", "2M", cases[_i].option,
	                                                cases[_i].value, NULL }));
	worker_run(visit_as_nobody, &visit);
	expect_open(server.socket, OPEN_TIMEOUT_MS, 0, "");
}
END_TEST

START_TEST(no_more_clients)
{
	larder *caches[3];

	ck_assert(server_run(
		&server, (const char *[]){ "--socket", server.socket, "--size", "2M", "--max-clients", "3", NULL }));
	for (int i = 0; i < 3; i++)
		caches[i] = client_open(&server);
	expect_open(server.socket, OPEN_TIMEOUT_MS, -EBUSY, "max_clients");
	larder_close(caches[1]);
	for (struct patience patience = patience_start(20000); larder_open(server.socket, NULL, &caches[1]) != 0;)
		ck_assert(patience_left(patience));
	client_put(caches[1], "k", "v"); /* there is room, so it does not wait */
	for (int i = 0; i < 3; i++)
		larder_close(caches[i]);
}
END_TEST

#define CROWD 500

/* Whether a process waits, and not only because it is stopped. */
static bool rests(pid_t pid)
{
	char stat_path[32], stat_text[512];

	snprintf(stat_path, sizeof stat_path, "/proc/%d/stat", (int)pid);
	server_read_file(stat_path, stat_text, sizeof stat_text);
	return strncmp(strrchr(stat_text, ')'), ") S", 3) == 0;
}

/*
 * Many at once, as when a server forks its workers: larderd finds all their greetings in one turn. Its two processes are
 * stopped in turn here, so that the queues between them become as long as they can: the keeper comes to its end with all
 * of them while the supervisor does nothing, and then (_i: 1) the supervisor while the keeper does. All are let in.
 */
START_TEST(all_at_once)
{
	struct wire_hello hello = raw_hello();
	struct wire_welcome welcome;
	struct patience patience = patience_start(60000);
	int channels[CROWD];
	unsigned before;
	pid_t keeper;

	ck_assert(server_run(&server, (const char *[]){ "--socket", server.socket, "--size", "2M", NULL }));
	keeper = server_keeper(&server);
	before = server_descriptors(keeper);
	for (int round = 0; round < 5; round++) {
		while (server_descriptors(keeper) > before) /* of those of the last round */
			ck_assert(patience_left(patience));
		ck_assert_int_eq(kill(keeper, SIGSTOP), 0);
		for (size_t i = 0; i < CROWD; i++) {
			channels[i] = raw_connect(&server);
			ck_assert_int_eq(raw_send(channels[i], &hello, sizeof hello, NULL, 0), 0);
		}
		ck_assert_int_eq(kill(server.pid, SIGSTOP), 0);
		ck_assert_int_eq(kill(keeper, SIGCONT), 0);
		while (server_descriptors(keeper) < before + CROWD * VAULT_FDS)
			ck_assert(patience_left(patience));
		if (_i == 1)
			ck_assert_int_eq(kill(keeper, SIGSTOP), 0);
		ck_assert_int_eq(kill(server.pid, SIGCONT), 0);
		while (_i == 1 && !rests(server.pid))
			ck_assert(patience_left(patience));
		ck_assert_int_eq(kill(keeper, SIGCONT), 0);
		for (size_t i = 0; i < CROWD; i++) {
			ck_assert_uint_eq(raw_receive(channels[i], &welcome, sizeof welcome, NULL, NULL),
			                  sizeof welcome);
			ck_assert_msg(welcome.result == 0, "%s", welcome.text);
			close(channels[i]);
		}
	}
	ck_assert_int_eq(server_keeper(&server), keeper);
}
END_TEST

/*
 * ---- a larderd that lies -------------------------------------------------------------------------------------------
 */

/* Answers each HELLO with a message of this size made of the welcome, and so many of the descriptors. */
struct answer {
	size_t size;
	struct wire_welcome welcome;
	int fds[8];
	size_t fd_count;
};

static void answer_all(int listening, const struct answer *answer)
{
	struct pollfd wait_for = { .fd = listening, .events = POLLIN };
	char message[512] = "";
	struct wire_hello hello;

	memcpy(message, &answer->welcome, sizeof answer->welcome);
	while (poll(&wait_for, 1, 20000) == 1) {
		int channel = accept4(listening, NULL, NULL, SOCK_CLOEXEC);

		if (channel < 0 || raw_receive(channel, &hello, sizeof hello, NULL, NULL) == 0)
			break;
		raw_send(channel, message, answer->size, answer->fds, answer->fd_count);
		if (answer->size == 0)
			shutdown(channel, SHUT_RDWR);
		close(channel);
	}
}

static const struct wire_welcome fair = {
	.type = WIRE_WELCOME, .client_id = 1, .arena_bytes = 1 << 21, .control_bytes = 1 << 18
};

START_TEST(liars)
{
	struct answer answers[17] = { { .size = sizeof fair, .welcome = fair } };
	size_t count = 17;
	int listening, memory = raw_memfd(4096), whole = raw_memfd(1 << 21), ends[2];
	pid_t liar;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	for (size_t i = 1; i < count; i++)
		answers[i] = answers[0];
	answers[1].size = 0;
	answers[2].size = 4;
	answers[3].size = sizeof fair - 1;
	answers[4].size = sizeof fair + 1;
	answers[5].welcome.type = WIRE_REPLY;
	answers[6].welcome.result = 5;
	answers[7].welcome.result = -100000;
	answers[8].welcome.result = INT32_MIN;
	answers[9].welcome.access = 7;
	for (size_t i = 9; i < count; i++) {
		answers[i].fd_count = 3;
		for (int j = 0; j < 8; j++)
			answers[i].fds[j] = i % 2 ? memory : whole;
	}
	answers[10].fd_count = 2;
	answers[11].fd_count = 4;
	answers[12].fd_count = 8;
	answers[13].fds[1] = ends[0];
	answers[14].fds[2] = ends[0];
	answers[16].fds[0] = ends[0];
	memset(answers[8].welcome.text, 'x', sizeof answers[8].welcome.text); /* no end */
	listening = listen_instead(SOCK_SEQPACKET);
	liar = fork();
	ck_assert_int_ge(liar, 0);
	if (liar == 0) {
		answer_all(listening, &answers[_i]);
		_exit(0);
	}
	close(listening);
	for (int i = 0; i < 3; i++) {
		char text[400];
		struct larder_open_options options = LARDER_OPEN_OPTIONS;
		larder *cache;
		unsigned descriptors = server_descriptors(getpid());

		options.error = text;
		options.error_size = sizeof text;
		options.timeout_ms = 5000;
		ck_assert_int_lt(larder_open(server.socket, &options, &cache), 0);
		ck_assert_uint_gt(strlen(text), 20);
		ck_assert_uint_eq(server_descriptors(getpid()), descriptors);
	}
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("attach");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, nobody_there);
	tcase_add_test(tcase, left_behind);
	tcase_add_test(tcase, never_answers);
	tcase_add_test(tcase, other_kind_of_socket);
	tcase_add_test(tcase, bad_arguments);
	tcase_add_test(tcase, path_from_environment);
	tcase_add_test(tcase, fenced);
	tcase_add_loop_test(tcase, other_users, 0, 6);
	tcase_add_test(tcase, no_more_clients);
	tcase_add_loop_test(tcase, all_at_once, 0, 2);
	tcase_add_loop_test(tcase, liars, 0, 17);
	return suite_run("attach", tcase);
}
