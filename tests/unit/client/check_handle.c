/* SPDX-License-Identifier: MIT */
/* A handle from open to close, and in the children of the process that opened it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "client/handle.h"
#include "tests/support/expect.h"
#include "tests/unit/client/fake_arena.h"

/* A sanitizer's own locks stay locked in the child of a process with threads. */
#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZER_LOCKS
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZER_LOCKS
#endif

static void put(larder *cache, const char *key, const char *value)
{
	expect_equal(larder_set(cache, key, strlen(key), value, strlen(value), NULL, NULL), 0);
}

static void expect_value(larder *cache, const char *key, const char *value)
{
	char buffer[64] = "";

	expect_equal(larder_get(cache, key, strlen(key), buffer, sizeof buffer - 1, NULL), 0);
	expect(strcmp(buffer, value) == 0);
}

/* How often this process has the arena mapped. */
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

/* Runs a function in a child and expects that it comes back. */
static void in_child(void (*run)(larder *cache, void *context), larder *cache, void *context)
{
	int status;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		run(cache, context);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}

START_TEST(test_close_leaves_nothing)
{
	struct fake_arena *server = fake_arena_start(LARDER_SHARED_WRITE, NULL, NULL);
	int descriptors, mappings;

	larder_close(fake_arena_open(server));
	descriptors = open_descriptors();
	mappings = arena_mappings();
	for (int i = 0; i < 3; i++) {
		larder *cache = fake_arena_open(server);

		put(cache, "key", "value");
		expect_value(cache, "key", "value");
		ck_assert_int_eq(arena_mappings(), mappings + 1);
		larder_close(cache);
		ck_assert_int_eq(arena_mappings(), mappings);
		/* The stand-in keeps three for each client. */
		ck_assert_int_eq(open_descriptors(), descriptors + 3 * (i + 1));
	}
	fake_arena_stop(server);
}
END_TEST

START_TEST(test_relative_path_survives_chdir)
{
	struct fake_arena *server = fake_arena_start(LARDER_SHARED_WRITE, NULL, NULL);
	struct larder_open_options options = LARDER_OPEN_OPTIONS;
	larder *cache;

	ck_assert_int_eq(chdir(server->fake.directory), 0);
	ck_assert_int_eq(larder_open("socket", &options, &cache), 0);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_str_eq(cache->source.socket_path, server->fake.path);
	larder_close(cache);
	fake_arena_stop(server);
}
END_TEST

/* ---- children ---------------------------------------------------------------------------------------------------- */

static void use_and_close(larder *cache, void *context)
{
	int descriptors = open_descriptors();

	(void)context;
	expect_value(cache, "key", "parent's");
	expect_equal(open_descriptors(), descriptors); /* its own in the place of the parent's */
	put(cache, "key", "child's");
	larder_close(cache);
	expect_equal(open_descriptors(), descriptors - 1);
}

START_TEST(test_child_attaches_anew)
{
	struct fake_arena *server = fake_arena_start(LARDER_SHARED_WRITE, NULL, NULL);
	larder *cache = fake_arena_open(server);

	put(cache, "key", "parent's");
	in_child(use_and_close, cache, NULL);
	ck_assert_uint_eq(fake_arena_clients(server), 2);
	expect_value(cache, "key", "child's");
	ck_assert_uint_eq(load_relaxed(&fake_arena_control(server, 0)->page->threads[0].sets), 1);
	ck_assert_uint_eq(load_relaxed(&fake_arena_control(server, 1)->page->threads[0].sets), 1);
	larder_close(cache);
	fake_arena_stop(server);
}
END_TEST

static void only_close(larder *cache, void *context)
{
	int descriptors = open_descriptors();

	larder_close(cache);
	expect_equal(open_descriptors(), descriptors - 1);
	expect_equal(arena_mappings(), *(int *)context);
}

START_TEST(test_child_closes_what_it_never_used)
{
	struct fake_arena *server = fake_arena_start(LARDER_SHARED_WRITE, NULL, NULL);
	int mappings = arena_mappings();
	larder *cache = fake_arena_open(server);

	put(cache, "key", "value");
	in_child(only_close, cache, &mappings);
	ck_assert_uint_eq(fake_arena_clients(server), 1);
	expect_value(cache, "key", "value");
	larder_close(cache);
	fake_arena_stop(server);
}
END_TEST

struct inheritance {
	struct larder_view view;
	int mappings_without; /* the handle's */
	int ancestors;        /* who left their mapping behind */
};

static void read_view(larder *cache, void *context)
{
	struct inheritance *parents = context;
	struct larder_view own;

	expect_equal(larder_view(cache, "key", 3, &own), 0);
	expect(own.attachment != parents->view.attachment);
	expect(own.data != parents->view.data);
	expect(memcmp(parents->view.data, "value", 5) == 0);
	larder_release(cache, &parents->view);
	expect(parents->view.data == NULL);
	larder_release(cache, &own);
	expect_equal(arena_mappings(), parents->mappings_without + parents->ancestors + 1);
	larder_close(cache);
	expect_equal(arena_mappings(), parents->mappings_without);
}

START_TEST(test_view_of_the_parent_stays_the_parents)
{
	struct fake_arena *server = fake_arena_start(LARDER_SHARED_WRITE, NULL, NULL);
	struct inheritance parents = { .mappings_without = arena_mappings(), .ancestors = 1 };
	larder *cache = fake_arena_open(server);

	put(cache, "key", "value");
	ck_assert_int_eq(larder_view(cache, "key", 3, &parents.view), 0);
	in_child(read_view, cache, &parents);
	ck_assert_uint_eq(fake_arena_pins(server, 0), 1);
	ck_assert_uint_eq(fake_arena_pins(server, 1), 0);
	larder_release(cache, &parents.view);
	ck_assert_uint_eq(fake_arena_pins(server, 0), 0);
	larder_close(cache);
	fake_arena_stop(server);
}
END_TEST

static void leave_a_view(larder *cache, void *context)
{
	struct inheritance parents = { .mappings_without = *(int *)context, .ancestors = 2 };

	expect_equal(larder_view(cache, "key", 3, &parents.view), 0);
	in_child(read_view, cache, &parents);
	larder_release(cache, &parents.view);
	larder_close(cache);
}

START_TEST(test_grandchild)
{
	struct fake_arena *server = fake_arena_start(LARDER_SHARED_WRITE, NULL, NULL);
	int mappings = arena_mappings();
	larder *cache = fake_arena_open(server);

	put(cache, "key", "value");
	in_child(leave_a_view, cache, &mappings);
	ck_assert_uint_eq(fake_arena_clients(server), 3);
	larder_close(cache);
	fake_arena_stop(server);
}
END_TEST

/* What a program does that turns into a daemon. */
static void close_everything(larder *cache, void *context)
{
	const struct fake_arena *server = context;
	const int channel = cache->current->channel;
	int file;

	expect_equal(close_range(3, ~0u, 0), 0);
	file = open(server->fake.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	expect(file == channel || dup2(file, channel) == channel);
	expect_value(cache, "key", "value");
	expect(fcntl(channel, F_GETFD) >= 0);
	larder_close(cache);
	expect(fcntl(channel, F_GETFD) >= 0);
}

START_TEST(test_child_that_closed_everything)
{
	struct fake_arena *server = fake_arena_start(LARDER_SHARED_WRITE, NULL, NULL);
	larder *cache = fake_arena_open(server);

	put(cache, "key", "value");
	in_child(close_everything, cache, server);
	expect_value(cache, "key", "value");
	larder_close(cache);
	fake_arena_stop(server);
}
END_TEST

static void fail_and_close(larder *cache, void *context)
{
	char byte;

	(void)context;
	expect_equal(larder_get(cache, "key", 3, &byte, 1, NULL), -ENOENT);
	expect_equal(larder_set(cache, "key", 3, "v", 1, NULL, NULL), -ENOENT);
	larder_close(cache);
}

START_TEST(test_child_without_larderd)
{
	struct fake_arena *server = fake_arena_start(LARDER_SHARED_WRITE, NULL, NULL);
	larder *cache = fake_arena_open(server);

	put(cache, "key", "value");
	fake_arena_stop(server);
	in_child(fail_and_close, cache, NULL);
	expect_value(cache, "key", "value"); /* the parent needs nobody */
	put(cache, "key", "other");
	larder_close(cache);
}
END_TEST

/* ---- children of a process with threads -------------------------------------------------------------------------- */

#ifndef SANITIZER_LOCKS

static atomic_u32 stop;

static void *use_once(void *cache)
{
	expect_value(cache, "key", "parent's");
	return NULL;
}

/* Threads begin and end all the time, so that forks find locks held and lists half changed. */
static void *begin_threads(void *cache)
{
	while (!load_relaxed(&stop)) {
		pthread_t thread;

		expect_equal(pthread_create(&thread, NULL, use_once, cache), 0);
		pthread_join(thread, NULL);
	}
	return NULL;
}

static void use_from_threads(larder *cache, void *context)
{
	pthread_t thread;

	(void)context;
	expect_equal(pthread_create(&thread, NULL, use_once, cache), 0);
	expect_value(cache, "key", "parent's");
	pthread_join(thread, NULL);
	larder_close(cache);
}

START_TEST(test_fork_among_threads)
{
	struct fake_arena *server = fake_arena_start(LARDER_SHARED_WRITE, NULL, NULL);
	larder *cache = fake_arena_open(server);
	pthread_t threads[2];

	put(cache, "key", "parent's");
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, begin_threads, cache), 0);
	for (int i = 0; i < 200; i++)
		in_child(use_from_threads, cache, NULL);
	store_relaxed(&stop, 1);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	larder_close(cache);
	fake_arena_stop(server);
}
END_TEST

#endif

int main(void)
{
	TCase *tests = tcase_create("handle");

	tcase_add_test(tests, test_close_leaves_nothing);
	tcase_add_test(tests, test_relative_path_survives_chdir);
	tcase_add_test(tests, test_child_attaches_anew);
	tcase_add_test(tests, test_child_closes_what_it_never_used);
	tcase_add_test(tests, test_view_of_the_parent_stays_the_parents);
	tcase_add_test(tests, test_grandchild);
	tcase_add_test(tests, test_child_that_closed_everything);
	tcase_add_test(tests, test_child_without_larderd);
#ifndef SANITIZER_LOCKS
	tcase_add_test(tests, test_fork_among_threads);
#endif
	return suite_run("handle", tests);
}
