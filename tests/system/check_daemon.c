/* SPDX-License-Identifier: MIT */
/* larderd as a program: its configuration, its socket, its signals, and the keeper that may die. */
#include "tests/support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/client.h"
#include "tests/support/expect.h"
#include "tests/support/workers.h"

enum { FAILURE = 1, USAGE = 2, CONFIG = 6 }; /* exit statuses of larderd(8) */

static struct server server;
static char text[16384], path[128];

static void setup(void)
{
	server_prepare(&server);
}

static void teardown(void)
{
	server_stop(&server);
}

/* Runs larderd, which ends by itself, and leaves what it said in text. Return: its exit status. */
static int run_to_end(const char *const arguments[])
{
	unlink(server.log);
	ck_assert_msg(!server_run(&server, arguments), "larderd started");
	server_read_file(server.log, text, sizeof text);
	return server_wait(&server);
}

static void expect_said(const char *words)
{
	ck_assert_msg(strstr(text, words) != NULL, "\"%s\" is not in: %s", words, text);
}

/* Waits until the log of the running larderd has these words. */
static void expect_logged(const char *words)
{
	for (struct patience patience = patience_start(20000);;) {
		server_read_file(server.log, text, sizeof text);
		if (strstr(text, words) != NULL)
			return;
		ck_assert_msg(patience_left(patience), "\"%s\" is not in: %s", words, text);
	}
}

static void start(const char *size, const char *access)
{
	const char *const arguments[] = { "--socket", server.socket, "--size", size, "--access", access, NULL };

	if (!server_run(&server, arguments)) {
		server_read_file(server.log, text, sizeof text);
		ck_abort_msg("larderd did not start: %s", text);
	}
}

/* ---- configuration ----------------------------------------------------------------------------------------------- */

START_TEST(bad_options)
{
	static const struct {
		const char *arguments[4];
		const char *words;
	} cases[] = {
		{ { "--no-such-option", NULL }, "no-such-option" },
		{ { "stray", NULL }, "no arguments" },
		{ { "--size", NULL }, "size" },
		{ { "--size", "1X", NULL }, "--size: " },
		{ { "--size", "1023K", NULL }, "from 1M to 512G" },
		{ { "--size", "513G", NULL }, "from 1M to 512G" },
		{ { "--size", "99999999999999999999999", NULL }, "--size: " },
		{ { "--size", "-1", NULL }, "--size: " },
		{ { "--access", "any", NULL }, "read-only" },
		{ { "--pages", "4", NULL }, "huge" },
		{ { "--stall-ms", "1", NULL }, "range" },
		{ { "--allow-users", "nosuchuser", NULL }, "nosuchuser" },
		{ { "--max-clients", "0", NULL }, "range" },
		{ { "--socket-mode", "0999", NULL }, "socket" },
		{ { "--ready-fd", "999", NULL }, "--ready-fd" },
	};

	ck_assert_int_eq(run_to_end(cases[_i].arguments), USAGE);
	expect_said(cases[_i].words);
}
END_TEST

START_TEST(bad_files)
{
	static const struct {
		const char *content, *place, *words;
	} cases[] = {
		{ "size = 64M\n\n# comment\nstall_ms = soon\n", ":4: ", "soon" },
		{ "siz = 64M\n", ":1: ", "siz" },
		{ "\n\nsize\n", ":3: ", "" },
		{ "[section]\nsize = 64M\n", ":", "" },
		{ "size = 64M\nsize = 1M\n", ":2: ", "line 1" },
		{ "size = 64M\nstall_ms = 1\n", ":2: ", "range" },
		{ "access = write-only\n", ":1: ", "write-only" },
		{ "max_clients = 10 clients\n", ":1: ", "10 clients" },
		{ "allow_groups = 0, nosuchgroup\n", ":1: ", "nosuchgroup" },
	};
	char place[160];

	server_write_file(&server, "larderd.conf", cases[_i].content, path);
	ck_assert_int_eq(run_to_end((const char *[]){ "--config", path, "--check-config", NULL }), CONFIG);
	snprintf(place, sizeof place, "%s%s", path, cases[_i].place);
	expect_said(place);
	expect_said(cases[_i].words);
	/* It does not start with it either. */
	ck_assert_int_eq(run_to_end((const char *[]){ "--config", path, "--socket", server.socket, NULL }), CONFIG);
	expect_said(place);
	ck_assert_int_ne(access(server.socket, F_OK), 0);
}
END_TEST

START_TEST(good_file)
{
	larder *cache;

	server_write_file(&server, "larderd.conf", "# larderd\nsize = 4M # four\n\n  access=read-only\nstall_ms = 2s\n",
	                  path);
	ck_assert_int_eq(run_to_end((const char *[]){ "--config", path, "--check-config", NULL }), 0);
	ck_assert_str_eq(text, "");
	/* The command line wins over the file. */
	ck_assert(server_run(&server,
	                     (const char *[]){ "--socket", server.socket, "--config", path, "--size", "8M", NULL }));
	cache = client_open(&server);
	ck_assert_uint_eq(client_stat(cache).arena_bytes, 8 << 20);
	ck_assert_uint_eq(client_stat(cache).access, LARDER_READ_ONLY);
	larder_close(cache);
}
END_TEST

START_TEST(dump_comes_back)
{
	static char first[sizeof text];

	server_write_file(
		&server, "larderd.conf",
		"size = 3M\naccess = read-only\nstall_ms = 77\nallow_users = 0 65534\nallow_groups = 0\n"
		"max_clients = 9\nsocket_mode = 0640\nlog_level = debug\nsocket = /run/other\npages = small\n",
		path);
	ck_assert_int_eq(run_to_end((const char *[]){ "--dump-config", "--config", path, "--size", "5M", NULL }), 0);
	strcpy(first, text);
	expect_said("size = 5M\n");
	expect_said("socket = /run/other\n");
	server_write_file(&server, "dumped.conf", first, path);
	ck_assert_int_eq(run_to_end((const char *[]){ "--dump-config", "--config", path, NULL }), 0);
	ck_assert_str_eq(text, first);
}
END_TEST

START_TEST(no_file)
{
	snprintf(path, sizeof path, "%s/none.conf", server.directory);
	ck_assert_int_eq(run_to_end((const char *[]){ "--config", path, NULL }), CONFIG);
	expect_said(path);
	ck_assert_int_eq(run_to_end((const char *[]){ "--config", server.directory, NULL }), CONFIG);
	expect_said(server.directory);
}
END_TEST

START_TEST(size_not_possible)
{
	ck_assert_int_eq(run_to_end((const char *[]){ "--socket", server.socket, "--size", "512G", NULL }), FAILURE);
	ck_assert(strstr(text, "smaller size") != NULL || strstr(text, "huge pages") != NULL);
	ck_assert_int_ne(access(server.socket, F_OK), 0);
}
END_TEST

START_TEST(help_and_version)
{
	ck_assert_int_eq(run_to_end((const char *[]){ "--help", NULL }), 0);
	expect_said("--stall_ms");
	expect_said("--check-config");
	ck_assert_int_eq(run_to_end((const char *[]){ "--version", NULL }), 0);
	expect_said("larderd 0.");
}
END_TEST

/*
 * ---- the socket ----------------------------------------------------------------------------------------------------
 */

START_TEST(second_larderd)
{
	struct server second = server;
	larder *cache;

	start("2M", "shared-write");
	cache = client_open(&server);
	client_put(cache, "k", "v");
	snprintf(second.log, sizeof second.log, "%s/log2", server.directory);
	ck_assert(!server_run(&second, (const char *[]){ "--socket", server.socket, "--size", "2M", NULL }));
	ck_assert_int_eq(server_wait(&second), FAILURE);
	server_read_file(second.log, text, sizeof text);
	expect_said("another larderd serves");
	ck_assert(server_alive(&server));
	client_expect(cache, "k", "v");
	larder_close(cache);
	cache = client_open(&server);
	client_expect(cache, "k", "v");
	larder_close(cache);
}
END_TEST

/* larderd is killed; who was attached goes on in what is left of it, until the next one takes its place. */
/* Often, because the next larderd comes while the keeper is about to follow its supervisor into death. */
START_TEST(stale_socket)
{
	larder *old, *new;

	start("2M", "shared-write");
	old = client_open(&server);
	client_put(old, "k", "old");
	ck_assert_int_eq(kill(server.pid, SIGKILL), 0);
	ck_assert_int_eq(server_wait(&server), 128 + SIGKILL);
	ck_assert_int_eq(access(server.socket, F_OK), 0);
	client_expect(old, "k", "old");
	client_put(old, "k", "older");
	client_expect(old, "k", "older");
	start("2M", "shared-write");
	new = client_open(&server);
	client_expect(new, "k", NULL);
	client_put(new, "k", "new");
	for (struct patience patience = patience_start(20000); client_stat(new).clients != 2; client_stat(old))
		ck_assert(patience_left(patience));
	client_expect(old, "k", "new");
	larder_close(old);
	larder_close(new);
}
END_TEST

START_TEST(something_else_is_there)
{
	struct stat status;

	server_write_file(&server, "socket", "precious", path);
	ck_assert_int_eq(run_to_end((const char *[]){ "--socket", server.socket, "--size", "2M", NULL }), FAILURE);
	expect_said("is no socket");
	ck_assert_int_eq(stat(server.socket, &status), 0);
	ck_assert_int_eq(status.st_size, 8);
	unlink(server.socket);
	snprintf(path, sizeof path, "%s/none/socket", server.directory);
	ck_assert_int_ne(run_to_end((const char *[]){ "--socket", path, "--size", "2M", NULL }), 0);
	expect_said(path);
}
END_TEST

START_TEST(socket_mode)
{
	struct stat status;

	ck_assert(server_run(
		&server, (const char *[]){ "--socket", server.socket, "--size", "2M", "--socket-mode", "0640", NULL }));
	ck_assert_int_eq(stat(server.socket, &status), 0);
	ck_assert_int_eq(status.st_mode & 07777, 0640);
}
END_TEST

/*
 * ---- signals -------------------------------------------------------------------------------------------------------
 */

START_TEST(ends_when_told)
{
	static const int signals[] = { SIGTERM, SIGINT };
	larder *cache;

	for (size_t i = 0; i < 2; i++) {
		start("2M", "shared-write");
		cache = client_open(&server);
		client_put(cache, "k", "v");
		ck_assert_int_eq(kill(server.pid, signals[i]), 0);
		ck_assert_int_eq(server_wait(&server), 0);
		ck_assert_int_ne(access(server.socket, F_OK), 0);
		client_expect(cache, "k", "v");
		larder_close(cache);
	}
}
END_TEST

START_TEST(hangup_reads_configuration)
{
	struct larder_open_options patient = LARDER_OPEN_OPTIONS;
	larder *first, *second, *none;

	patient.timeout_ms = 20000;
	server_write_file(&server, "larderd.conf", "size = 2M\nmax_clients = 1\n", path);
	ck_assert(server_run(&server, (const char *[]){ "--socket", server.socket, "--config", path, NULL }));
	first = client_open(&server);
	ck_assert_int_eq(larder_open(server.socket, &patient, &none), -EBUSY);
	/* With a fault in it the file changes nothing. */
	server_write_file(&server, "larderd.conf", "max_clients = 2\nsize = lots\n", path);
	ck_assert_int_eq(kill(server.pid, SIGHUP), 0);
	expect_logged(":2: ");
	ck_assert_int_eq(larder_open(server.socket, &patient, &none), -EBUSY);
	/* What needs a new start is named, the rest takes effect. */
	server_write_file(&server, "larderd.conf", "max_clients = 2\nsize = 2M\nsocket_mode = 0600\n", path);
	ck_assert_int_eq(kill(server.pid, SIGHUP), 0);
	expect_logged("configuration read anew");
	expect_said("a new value of socket_mode needs a restart");
	for (struct patience patience = patience_start(20000); larder_open(server.socket, NULL, &second) != 0;)
		ck_assert(patience_left(patience));
	ck_assert_uint_eq(client_stat(second).arena_bytes, 2 << 20);
	larder_close(second);
	larder_close(first);
}
END_TEST

/*
 * ---- the keeper dies -----------------------------------------------------------------------------------------------
 */

static void kill_keeper(void)
{
	struct patience patience = patience_start(20000);
	pid_t old = server_keeper(&server), next;

	ck_assert_int_gt(old, 0);
	ck_assert_int_eq(kill(old, SIGKILL), 0);
	do {
		ck_assert(patience_left(patience));
		next = server_keeper(&server);
	} while (next == old || next == 0);
}

static void fill(larder *cache, unsigned count)
{
	static char value[4000];
	char key[32];

	for (unsigned i = 0; i < count; i++) {
		snprintf(key, sizeof key, "key %u", i);
		expect_equal(larder_set(cache, key, strlen(key), value, sizeof value, NULL, NULL), 0);
	}
}

/* The arena goes on as it was, and house-keeping goes on in it: there is room for several arenas full of writes. */
START_TEST(keeper_is_replaced)
{
	struct larder_open_options options = LARDER_OPEN_OPTIONS;
	larder *cache, *later;
	uint64_t evicted;

	options.timeout_ms = 20000;
	start("4M", _i == 0 ? "shared-write" : "read-only");
	ck_assert_int_eq(larder_open(server.socket, &options, &cache), 0);
	client_put(cache, "k", "v");
	for (int round = 0; round < 5; round++) {
		kill_keeper();
		client_expect(cache, "k", "v");
		later = client_open(&server);
		client_expect(later, "k", "v");
		client_put(later, "other", "v");
		larder_close(later);
		ck_assert(server_alive(&server));
	}
	fill(cache, 3000);
	evicted = client_stat(cache).evicted_segments;
	ck_assert_uint_gt(evicted, 0);
	kill_keeper();
	fill(cache, 3000);
	ck_assert_uint_gt(client_stat(cache).evicted_segments, evicted);
	larder_close(cache);
}
END_TEST

struct stage {
	atomic_bool stop;
	atomic_uint at_work;
	bool read_only;
};

/* Every value that is read is one that was written; what a call may say while the keeper is away is documented. */
static void work_on(void *context, unsigned number)
{
	struct stage *stage = context;
	char key[32], value[1000], back[1000];
	struct larder_item item;
	larder *cache = client_open_hasty(&server, 2000);

	atomic_fetch_add(&stage->at_work, 1);
	for (uint64_t i = 0; !atomic_load(&stage->stop); i++) {
		uint64_t seed = i % 64;
		int result;

		snprintf(key, sizeof key, "worker %u key %u", number, (unsigned)seed);
		pattern_fill(value, sizeof value, seed);
		result = larder_set(cache, key, strlen(key), value, sizeof value, NULL, NULL);
		if (result != 0 && result != -EAGAIN && !(stage->read_only && (result == -EIO || result == -ETIMEDOUT)))
			expect_failed("set: %s", larder_strerror(result));
		result = larder_get(cache, key, strlen(key), back, sizeof back, &item);
		expect(result == 0 || result == LARDER_MISS);
		if (result == 0)
			expect(item.value_size == sizeof value && pattern_holds(back, sizeof back, seed));
	}
	larder_close(cache);
}

START_TEST(keeper_dies_under_load)
{
	struct stage *stage = shared_memory(sizeof *stage);
	struct patience patience = patience_start(20000);
	struct workers workers;
	larder *cache;

	stage->read_only = _i != 0;
	start("4M", _i == 0 ? "shared-write" : "read-only");
	workers_start(&workers, 3, work_on, stage);
	while (atomic_load(&stage->at_work) < 3)
		ck_assert(patience_left(patience));
	for (int round = 0; round < 10; round++) {
		kill_keeper();
		cache = client_open(&server);
		client_put(cache, "k", "v");
		larder_close(cache);
	}
	atomic_store(&stage->stop, true);
	workers_join(&workers, 60);
	cache = client_open(&server);
	fill(cache, 2000);
	/* None of those who left while there was no keeper is forgotten. */
	for (patience = patience_start(20000); client_stat(cache).clients != 1;)
		ck_assert_msg(patience_left(patience), "%u clients", (unsigned)client_stat(cache).clients);
	larder_close(cache);
}
END_TEST

/* Who attaches in that moment is let in or turned away, but never left waiting beyond its time. */
static void attach_on(void *context, unsigned number)
{
	struct stage *stage = context;
	struct larder_open_options options = LARDER_OPEN_OPTIONS;

	(void)number;
	options.timeout_ms = 50;
	atomic_fetch_add(&stage->at_work, 1);
	while (!atomic_load(&stage->stop)) {
		larder *cache;

		if (larder_open(server.socket, &options, &cache) == 0)
			larder_close(cache);
	}
}

START_TEST(keeper_dies_while_clients_come)
{
	struct stage *stage = shared_memory(sizeof *stage);
	struct patience patience = patience_start(20000);
	struct workers workers;
	larder *cache;

	start("2M", "shared-write");
	workers_start(&workers, 3, attach_on, stage);
	while (atomic_load(&stage->at_work) < 3)
		ck_assert(patience_left(patience));
	for (int round = 0; round < 20; round++) {
		kill_keeper();
		for (patience = patience_start(20000); larder_open(server.socket, NULL, &cache) != 0;)
			ck_assert(patience_left(patience));
		larder_close(cache);
	}
	atomic_store(&stage->stop, true);
	workers_join(&workers, 60);
	cache = client_open(&server);
	for (patience = patience_start(20000); client_stat(cache).clients != 1;)
		ck_assert_msg(patience_left(patience), "%u clients", (unsigned)client_stat(cache).clients);
	larder_close(cache);
}
END_TEST

/* A larderd that is told to end while its keeper hangs ends all the same. */
START_TEST(keeper_hangs)
{
	start("2M", "shared-write");
	ck_assert_int_eq(kill(server_keeper(&server), SIGSTOP), 0);
	ck_assert_int_eq(kill(server.pid, SIGTERM), 0);
	ck_assert_int_eq(server_wait(&server), 0);
	ck_assert_int_ne(access(server.socket, F_OK), 0);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("daemon");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, bad_options, 0, 15);
	tcase_add_loop_test(tcase, bad_files, 0, 9);
	tcase_add_test(tcase, good_file);
	tcase_add_test(tcase, dump_comes_back);
	tcase_add_test(tcase, no_file);
	tcase_add_test(tcase, size_not_possible);
	tcase_add_test(tcase, help_and_version);
	tcase_add_test(tcase, second_larderd);
	tcase_add_loop_test(tcase, stale_socket, 0, 10);
	tcase_add_test(tcase, something_else_is_there);
	tcase_add_test(tcase, socket_mode);
	tcase_add_test(tcase, ends_when_told);
	tcase_add_test(tcase, hangup_reads_configuration);
	tcase_add_loop_test(tcase, keeper_is_replaced, 0, 2);
	tcase_add_loop_test(tcase, keeper_dies_under_load, 0, 2);
	tcase_add_test(tcase, keeper_dies_while_clients_come);
	tcase_add_test(tcase, keeper_hangs);
	return suite_run("daemon", tcase);
}
