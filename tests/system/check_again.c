/* SPDX-License-Identifier: MIT */
/* Handles outlive larderds: while there is none they go on, and when there is another they change over by themselves. */
#include "tests/support/suite.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/client.h"
#include "tests/support/expect.h"
#include "tests/support/workers.h"

#define PATIENCE_MS 20000

static struct server server;

static void setup(void)
{
	server_prepare(&server);
}

static void teardown(void)
{
	server_stop(&server);
}

static void start(const char *access)
{
	ck_assert(server_run(&server, (const char *[]){ "--socket", server.socket, "--size", "4M", "--pages", "small",
	                                                "--access", access, NULL }));
}

enum ending { KILLED, TOLD };

static void end(enum ending how)
{
	ck_assert_int_eq(kill(server.pid, how == KILLED ? SIGKILL : SIGTERM), 0);
	ck_assert_int_eq(server_wait(&server), how == KILLED ? 128 + SIGKILL : 0);
}

/* How often this process has an arena mapped. */
static int arena_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	int count = 0;

	expect(maps != NULL);
	while (fgets(line, sizeof line, maps))
		count += strstr(line, "memfd:larder-arena") != NULL;
	fclose(maps);
	return count;
}

/* Calls until the new larderd's arena is the one that is used. */
static void expect_change(larder *cache, const char *key, const char *value)
{
	char buffer[64] = "";

	for (struct patience patience = patience_start(PATIENCE_MS);;) {
		int result = larder_get(cache, key, strlen(key), buffer, sizeof buffer - 1, NULL);

		expect(result == 0 || result == LARDER_MISS);
		if (result == 0 && strcmp(buffer, value) == 0)
			return;
		if (!patience_left(patience))
			expect_failed("%s is \"%s\" (%d), not \"%s\"", key, buffer, result, value);
	}
}

/* A larderd that has this key, put there by a client of its own. */
static void serve_anew(const char *access, const char *key, const char *value)
{
	larder *newcomer;

	start(access);
	newcomer = client_open(&server);
	client_put(newcomer, key, value);
	larder_close(newcomer);
}

/* ---- one thread -------------------------------------------------------------------------------------------------- */

/* _i: how it ended. Reads and writes go on meanwhile; views stay whole until they are released, and then nothing is left. */
START_TEST(goes_on_and_changes_over)
{
	static char value[5000];
	struct larder_view view, other;
	larder *cache;

	start("shared-write");
	cache = client_open(&server);
	pattern_fill(value, sizeof value, 1);
	ck_assert_int_eq(larder_set(cache, "viewed", 6, value, sizeof value, NULL, NULL), 0);
	ck_assert_int_eq(larder_view(cache, "viewed", 6, &view), 0);
	for (int round = 0; round < 3; round++) {
		char text[32];

		end((enum ending)_i);
		client_put(cache, "alone", "1");
		client_expect(cache, "alone", "1");
		snprintf(text, sizeof text, "round %d", round);
		serve_anew("shared-write", "new", text);
		expect_change(cache, "new", text);
		client_expect(cache, "alone", NULL);
		client_put(cache, "mine", text);
		ck_assert_uint_eq(client_stat(cache).clients, 1);
		ck_assert_int_eq(arena_mappings(), 2); /* this one, and the one that the view is in */
		ck_assert(pattern_holds(view.data, view.size, 1));
		ck_assert_int_eq(larder_view(cache, "mine", 4, &other), 0);
		larder_release(cache, &other);
	}
	larder_release(cache, &view);
	ck_assert_ptr_null(view.data);
	ck_assert_int_eq(arena_mappings(), 1);
	larder_close(cache);
	ck_assert_int_eq(arena_mappings(), 0);
}
END_TEST

/* Listens in larderd's place, and answers nobody. */
static int listen_instead(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", server.socket);
	unlink(server.socket);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
	ck_assert_int_eq(listen(fd, 4096), 0);
	return fd;
}

/* While nobody answers, not every call knocks. */
START_TEST(tries_now_and_then)
{
	struct patience patience = patience_start(PATIENCE_MS);
	unsigned knocks = 0;
	int listening, visitor;
	larder *cache;

	start("shared-write");
	cache = client_open_hasty(&server, 100);
	client_put(cache, "key", "value");
	end(KILLED);
	listening = listen_instead();
	while ((visitor = accept(listening, NULL, NULL)) < 0) {
		ck_assert(patience_left(patience));
		client_expect(cache, "key", "value");
	}
	close(visitor);
	for (int i = 0; i < 200000; i++)
		client_expect(cache, "key", "value");
	while ((visitor = accept(listening, NULL, NULL)) >= 0) {
		close(visitor);
		knocks++;
	}
	ck_assert_uint_lt(knocks, 1000);
	close(listening);
	serve_anew("shared-write", "key", "other");
	expect_change(cache, "key", "other");
	larder_close(cache);
}
END_TEST

/* Who changes over first tells the others, so that they do at their very next call. */
START_TEST(tells_the_others)
{
	larder *first, *second;

	start("shared-write");
	first = client_open(&server);
	second = client_open(&server);
	client_put(first, "key", "old");
	end(KILLED);
	/* The second one has been refused so often that it would not try for a while. */
	for (struct patience patience = patience_start(1500); patience_left(patience);)
		client_expect(second, "key", "old");
	serve_anew("shared-write", "key", "new");
	expect_change(first, "key", "new");
	client_expect(second, "key", "new");
	larder_close(first);
	larder_close(second);
}
END_TEST

START_TEST(writes_by_socket)
{
	larder *cache;

	start("read-only");
	cache = client_open(&server);
	client_put(cache, "key", "old");
	end(KILLED);
	client_expect(cache, "key", "old");
	/* Its keeper may have taken the first one yet. */
	if (larder_set(cache, "key", 3, "x", 1, NULL, NULL) != -ENOTCONN)
		ck_assert_int_eq(larder_set(cache, "key", 3, "x", 1, NULL, NULL), -ENOTCONN);
	ck_assert_int_eq(larder_delete(cache, "key", 3, 0), -ENOTCONN);
	start("read-only");
	for (struct patience patience = patience_start(PATIENCE_MS); larder_set(cache, "key", 3, "new", 3, NULL, NULL);)
		ck_assert(patience_left(patience));
	client_expect(cache, "key", "new");
	ck_assert_uint_eq(client_stat(cache).clients, 1);
	end(TOLD);
	/* The next one lets its clients write themselves. */
	serve_anew("shared-write", "key", "newer");
	expect_change(cache, "key", "newer");
	client_put(cache, "key", "newest");
	larder_close(cache);
}
END_TEST

/* A keeper is not a larderd: nobody changes over, and the connection stands. */
START_TEST(keeper_is_replaced)
{
	struct patience patience = patience_start(PATIENCE_MS);
	pid_t keeper;
	larder *cache;

	start("shared-write");
	cache = client_open(&server);
	client_put(cache, "key", "value");
	keeper = server_keeper(&server);
	ck_assert_int_eq(kill(keeper, SIGKILL), 0);
	while (server_keeper(&server) == keeper || server_keeper(&server) == 0)
		ck_assert(patience_left(patience));
	for (int i = 0; i < 1000; i++)
		client_expect(cache, "key", "value");
	ck_assert_uint_eq(client_stat(cache).clients, 1);
	larder_close(cache);
}
END_TEST

/* ---- threads and children ------------------------------------------------------------------------------------------ */

#define THREADS 6

struct crowd {
	larder *cache;
	atomic_bool stop;
	atomic_int round;         /* which larderd this is */
	atomic_int seen[THREADS]; /* by each thread */
};

struct member {
	struct crowd *crowd;
	int number;
};

/* Reads, writes and views without a pause. What is read is what some larderd's clients wrote, and never an earlier one's. */
static void *belong(void *context)
{
	const struct member *member = context;
	struct larder_incr_options create = LARDER_INCR_OPTIONS;
	struct crowd *crowd = member->crowd;
	char key[16];

	create.flags = LARDER_INCR_CREATE;
	snprintf(key, sizeof key, "own %d", member->number);
	while (!atomic_load(&crowd->stop)) {
		struct larder_view view;
		int round = 0, result;

		/* In place: nothing is to be evicted. */
		result = larder_incr(crowd->cache, key, strlen(key), 1, &create, NULL);
		if (result != 0)
			expect_failed("incr: %s", larder_strerror(result));
		result = larder_view(crowd->cache, "round", 5, &view);
		if (result == LARDER_MISS)
			continue;
		if (result != 0)
			expect_failed("view: %s", larder_strerror(result));
		expect(sscanf(view.data, "%d.", &round) == 1);
		expect(round >= atomic_load(&crowd->seen[member->number]));
		atomic_store(&crowd->seen[member->number], round);
		larder_release(crowd->cache, &view);
	}
	return NULL;
}

static void use_in_child(larder *cache, int round)
{
	char text[16];
	pid_t child = fork();
	int status;

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		snprintf(text, sizeof text, "%d.", round);
		client_expect(cache, "round", text);
		larder_close(cache);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}

START_TEST(threads_and_children)
{
	static struct crowd crowd;
	struct member members[THREADS];
	pthread_t threads[THREADS];

	start("shared-write");
	crowd.cache = client_open(&server);
	client_put(crowd.cache, "round", "1.");
	for (int i = 0; i < THREADS; i++) {
		members[i] = (struct member){ &crowd, i };
		ck_assert_int_eq(pthread_create(&threads[i], NULL, belong, &members[i]), 0);
	}
	for (int round = 2; round < 8; round++) {
		char text[16];

		end(round % 2 ? KILLED : TOLD);
		snprintf(text, sizeof text, "%d.", round);
		serve_anew("shared-write", "round", text);
		for (struct patience patience = patience_start(PATIENCE_MS);;) {
			int there = 0;

			for (int i = 0; i < THREADS; i++)
				there += atomic_load(&crowd.seen[i]) == round;
			if (there == THREADS)
				break;
			ck_assert(patience_left(patience));
		}
		use_in_child(crowd.cache, round);
	}
	atomic_store(&crowd.stop, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	client_expect(crowd.cache, "round", "7.");
	ck_assert_int_eq(arena_mappings(), 1);
	larder_close(crowd.cache);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("again");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, goes_on_and_changes_over, 0, 2);
	tcase_add_test(tcase, tries_now_and_then);
	tcase_add_test(tcase, tells_the_others);
	tcase_add_test(tcase, writes_by_socket);
	tcase_add_test(tcase, keeper_is_replaced);
	tcase_add_test(tcase, threads_and_children);
	return suite_run("again", tcase);
}
