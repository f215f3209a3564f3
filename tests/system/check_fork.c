/* SPDX-License-Identifier: MIT */
/* Processes and threads that come and go: a handle works in every child, and nothing of the dead stays behind. */
#include "tests/support/suite.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/layout.h"
#include "tests/support/client.h"
#include "tests/support/expect.h"
#include "tests/support/workers.h"

static struct server server;
static larder *cache;

static void setup(void)
{
	server_start(&server, "96M", NULL);
	cache = client_open(&server);
}

static void teardown(void)
{
	larder_close(cache);
	server_stop(&server);
}

/* Uses the inherited handle as if it were this process's own; number tells processes apart. */
static void use_inherited(unsigned number)
{
	char key[32], value[64];

	for (int i = 0; i < 200; i++) {
		snprintf(key, sizeof key, "process %u key %d", number, i % 20);
		snprintf(value, sizeof value, "process %u round %d", number, i);
		client_put(cache, key, value);
		client_expect(cache, key, value);
	}
	client_expect(cache, "of the parent", "hello");
}

static void have_descendants(unsigned depth, unsigned number)
{
	pid_t child;
	int status;

	if (depth % 2 == 0)
		use_inherited(number); /* every other generation never uses it, only hands it on */
	if (depth == 0)
		return;
	child = fork();
	expect(child >= 0);
	if (child == 0) {
		have_descendants(depth - 1, number + 100);
		_exit(0);
	}
	expect(waitpid(child, &status, 0) == child);
	expect_equal(status, 0);
	use_inherited(number);
}

static void child_work(void *context, unsigned number)
{
	(void)context;
	have_descendants(4, number);
}

START_TEST(children_and_grandchildren)
{
	struct workers workers;

	client_put(cache, "of the parent", "hello");
	workers_start(&workers, 8, child_work, NULL);
	use_inherited(99);
	workers_join(&workers, 60);
	use_inherited(98);
	client_expect(cache, "process 405 key 19", "process 405 round 199");
}
END_TEST

/* A child that closes what it inherited, used or not, takes nothing from the parent. */
static void close_inherited(void *context, unsigned number)
{
	(void)context;
	if (number % 2 == 0)
		client_expect(cache, "k", "v");
	larder_close(cache);
}

START_TEST(child_closes)
{
	struct workers workers;

	client_put(cache, "k", "v");
	workers_start(&workers, 6, close_inherited, NULL);
	workers_join(&workers, 60);
	client_expect(cache, "k", "v");
}
END_TEST

/* The child, before and after its own first call, reads the parent's view; what it does with it hurts nobody. */
static void read_parents_view(void *context, unsigned number)
{
	struct larder_view *view = context;

	expect(pattern_holds(view->data, view->size, 1));
	if (number % 2 == 0)
		client_expect(cache, "other", "x");
	expect(pattern_holds(view->data, view->size, 1));
	larder_release(cache, view);
	expect(view->data == NULL);
	client_expect(cache, "other", "x");
}

START_TEST(view_of_the_parent)
{
	struct larder_view view;
	struct workers workers;
	static char value[5000];
	char key[32];

	pattern_fill(value, sizeof value, 1);
	client_put(cache, "other", "x");
	ck_assert_int_eq(larder_set(cache, "k", 1, value, sizeof value, NULL, NULL), 0);
	ck_assert_int_eq(larder_view(cache, "k", 1, &view), 0);
	workers_start(&workers, 6, read_parents_view, &view);
	workers_join(&workers, 60);
	ck_assert_ptr_nonnull(view.data);
	/* The children's releases did not let go of it: it outlives several arenas full of writes. */
	ck_assert_int_eq(larder_delete(cache, "k", 1, 0), 0);
	for (int i = 0; i < 30000; i++) {
		snprintf(key, sizeof key, "filler %d", i);
		expect_equal(larder_set(cache, key, strlen(key), value, sizeof value, NULL, NULL), 0);
		if (i % 1000 == 0)
			expect(pattern_holds(view.data, view.size, 1));
	}
	ck_assert_uint_gt(client_stat(cache).evicted_segments, 0);
	ck_assert(pattern_holds(view.data, view.size, 1));
	larder_release(cache, &view);
}
END_TEST

/* The process that opened the handle is killed; its child, which never used it, begins to. It is waited for: it has the arena. */
static void be_orphaned(void *context, unsigned number)
{
	atomic_int *told = context;
	pid_t parent, child;
	int status;

	(void)number;
	expect(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	parent = fork();
	expect(parent >= 0);
	if (parent == 0) {
		cache = client_open(&server);
		client_put(cache, "from the grave", "x");
		child = fork();
		expect(child >= 0);
		if (child == 0) {
			struct patience patience = patience_start(20000);

			while (atomic_load(told) == 0)
				expect(patience_left(patience));
			client_expect(cache, "from the grave", "x");
			client_put(cache, "orphan", "grew up");
			_exit(0);
		}
		raise(SIGKILL);
	}
	expect(waitpid(parent, &status, 0) == parent);
	atomic_store(told, 1);
	expect(waitpid(-1, &status, 0) > 0);
	expect_equal(status, 0);
}

START_TEST(orphans)
{
	worker_run(be_orphaned, shared_memory(sizeof(atomic_int)));
	client_expect(cache, "orphan", "grew up");
}
END_TEST

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static atomic_bool stop;

static void *hammer(void *context)
{
	unsigned number = (unsigned)(uintptr_t)context;
	char key[32], value[64], buffer[64];

	for (unsigned i = 0; !atomic_load(&stop); i++) {
		struct larder_item item;

		/* Rare writes, so that the arena does not fill while the test runs. */
		snprintf(key, sizeof key, "thread %u key %u", number, i / 64 % 50);
		snprintf(value, sizeof value, "thread %u round %u", number, i / 64);
		if (i % 64 == 0)
			expect_equal(larder_set(cache, key, strlen(key), value, strlen(value), NULL, NULL), 0);
		expect_equal(larder_get(cache, key, strlen(key), buffer, sizeof buffer, &item), 0);
		expect(item.value_size == strlen(value) && memcmp(buffer, value, item.value_size) == 0);
	}
	return NULL;
}

static void child_of_threads(void *context, unsigned number)
{
	(void)context;
	use_inherited(number);
	have_descendants(1, number);
}

START_TEST(fork_while_threads_work)
{
	pthread_t threads[4];
	struct workers workers;

	client_put(cache, "of the parent", "hello");
	for (uintptr_t i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, hammer, (void *)i), 0);
	for (int round = 0; round < 25; round++) {
		workers_start(&workers, 4, child_of_threads, NULL);
		workers_join(&workers, 60);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}
END_TEST

static void *short_life(void *context)
{
	char key[32], value[32];
	struct larder_view view;

	snprintf(key, sizeof key, "short %d", (int)(intptr_t)context);
	snprintf(value, sizeof value, "life %d", (int)(intptr_t)context);
	client_put(cache, key, value);
	client_expect(cache, key, value);
	expect_equal(larder_view(cache, key, strlen(key), &view), 0);
	larder_release(cache, &view);
	return NULL;
}

/* Far more threads than there are places for, a few at a time, each with calls of its own. */
START_TEST(threads_come_and_go)
{
	pthread_t threads[8];

	for (intptr_t i = 0; i < 3 * THREADS_MAX; i += 8) {
		for (intptr_t j = 0; j < 8; j++)
			ck_assert_int_eq(pthread_create(&threads[j], NULL, short_life, (void *)(i + j)), 0);
		for (int j = 0; j < 8; j++)
			pthread_join(threads[j], NULL);
	}
	ck_assert_uint_eq(client_stat(cache).entries, 3 * THREADS_MAX);
}
END_TEST

static void *release(void *context)
{
	larder_release(cache, context);
	return NULL;
}

/* Views released by a thread that did not take them, after the one that took them is gone. */
static void *take_view(void *context)
{
	expect_equal(larder_view(cache, "k", 1, context), 0);
	return NULL;
}

START_TEST(view_released_elsewhere)
{
	struct larder_view views[100];
	pthread_t thread;

	client_put(cache, "k", "value");
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(pthread_create(&thread, NULL, take_view, &views[i]), 0);
		pthread_join(thread, NULL);
	}
	for (int i = 0; i < 100; i++) {
		ck_assert_mem_eq(views[i].data, "value", 5);
		ck_assert_int_eq(pthread_create(&thread, NULL, release, &views[i]), 0);
		pthread_join(thread, NULL);
		ck_assert_ptr_null(views[i].data);
	}
}
END_TEST

/* ---- nothing stays behind ---------------------------------------------------------------------------------------- */

/* Waits until larderd's processes have as few descriptors as they had and it counts only so many clients. */
static void expect_quiet(unsigned supervisor_before, unsigned keeper_before, unsigned clients)
{
	struct patience patience = patience_start(20000);

	while (server_descriptors(server.pid) > supervisor_before ||
	       server_descriptors(server_keeper(&server)) > keeper_before || client_stat(cache).clients != clients)
		if (!patience_left(patience))
			ck_abort_msg("left behind: %u and %u descriptors (before: %u and %u), %u clients",
			             server_descriptors(server.pid), server_descriptors(server_keeper(&server)),
			             supervisor_before, keeper_before, (unsigned)client_stat(cache).clients);
}

START_TEST(attach_and_detach)
{
	unsigned supervisor, keeper, own;

	client_put(cache, "k", "v");
	supervisor = server_descriptors(server.pid);
	keeper = server_descriptors(server_keeper(&server));
	own = server_descriptors(getpid());
	for (int i = 0; i < 1000; i++) {
		larder *another = client_open(&server);

		client_expect(another, "k", "v");
		client_put(another, "k", "v");
		larder_close(another);
	}
	ck_assert_uint_eq(server_descriptors(getpid()), own);
	expect_quiet(supervisor, keeper, 1);
	client_expect(cache, "k", "v");
}
END_TEST

static void use_and_die(void *context, unsigned number)
{
	atomic_uint *ready = context;
	struct larder_view view;

	(void)number;
	cache = client_open(&server);
	expect_equal(larder_view(cache, "k", 1, &view), 0);
	use_inherited(number);
	atomic_fetch_add(ready, 1);
	for (;;)
		pause();
}

START_TEST(killed_with_views_in_hand)
{
	atomic_uint *ready = shared_memory(sizeof *ready);
	unsigned supervisor, keeper;
	struct workers workers;
	struct patience patience = patience_start(60000);

	client_put(cache, "k", "v");
	client_put(cache, "of the parent", "hello");
	supervisor = server_descriptors(server.pid);
	keeper = server_descriptors(server_keeper(&server));
	workers_start(&workers, 20, use_and_die, ready);
	while (atomic_load(ready) < 20)
		expect(patience_left(patience));
	ck_assert_uint_eq(client_stat(cache).clients, 21);
	for (unsigned i = 0; i < 20; i++) {
		ck_assert_int_eq(kill(workers.pids[i], SIGKILL), 0);
		ck_assert_int_eq(waitpid(workers.pids[i], NULL, 0), workers.pids[i]);
	}
	expect_quiet(supervisor, keeper, 1);
	client_expect(cache, "k", "v");
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("fork");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, children_and_grandchildren);
	tcase_add_test(tcase, child_closes);
	tcase_add_test(tcase, view_of_the_parent);
	tcase_add_test(tcase, orphans);
	tcase_add_test(tcase, fork_while_threads_work);
	tcase_add_test(tcase, threads_come_and_go);
	tcase_add_test(tcase, view_released_elsewhere);
	tcase_add_test(tcase, attach_and_detach);
	tcase_add_test(tcase, killed_with_views_in_hand);
	return suite_run("fork", tcase);
}
