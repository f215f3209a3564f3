/* SPDX-License-Identifier: MIT */
/* Threads that come, go, and use several handles. */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/handle.h"
#include "client/thread.h"
#include "object/object.h"
#include "tests/support/expect.h"
#include "tests/unit/client/fake_arena.h"

static void put(larder *cache, const char *value)
{
	expect_equal(larder_set(cache, "key", 3, value, strlen(value), NULL, NULL), 0);
}

static void expect_value(larder *cache, const char *value)
{
	char buffer[64] = "";

	expect_equal(larder_get(cache, "key", 3, buffer, sizeof buffer - 1, NULL), 0);
	expect(strcmp(buffer, value) == 0);
}

static uint32_t lines_in_use(const larder *cache)
{
	uint32_t lines = 0;

	for (int i = 0; i < THREADS_MAX / 64; i++)
		lines += (uint32_t)__builtin_popcountll(load_relaxed(&cache->current->cache.lines_in_use[i]));
	return lines;
}

static void run(void *(*body)(void *), void *context)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, body, context), 0);
	pthread_join(thread, NULL);
}

static void *use(void *cache)
{
	expect_value(cache, "value");
	return NULL;
}

START_TEST(test_ending_threads_give_their_lines_back)
{
	struct fake_arena *server = fake_arena_start(LARDER_SHARED_WRITE, NULL, NULL);
	larder *cache = fake_arena_open(server);

	put(cache, "value");
	for (int i = 0; i < THREADS_MAX + 10; i++)
		run(use, cache);
	ck_assert_uint_eq(lines_in_use(cache), 1);
	ck_assert_uint_eq(load_relaxed(&fake_arena_control(server, 0)->page->thread_high), 2);
	larder_close(cache);
	fake_arena_stop(server);
}
END_TEST

static uint64_t dead_bytes(const struct arena *arena)
{
	uint64_t units = 0;

	for (uint32_t segment = 0; segment < arena->segment_count; segment++)
		units += load_relaxed(&arena->table[segment].dead_units);
	return units * OBJECT_UNIT;
}

/* The thread goes on after the handle is closed, and had replaced too little to count it by itself. */
START_TEST(test_close_counts_what_is_dead)
{
	struct fake_arena *server = fake_arena_start(LARDER_SHARED_WRITE, NULL, NULL);
	larder *cache = fake_arena_open(server);
	char key[] = "a key of twenty byte";

	for (uint32_t i = 0; i < 2 * (DEAD_NOTES - 2); i++) {
		key[0] = (char)('a' + i / 2); /* each twice */
		expect_equal(larder_set(cache, key, sizeof key - 1, "value", 5, NULL, NULL), 0);
	}
	larder_close(cache);
	ck_assert_uint_eq(dead_bytes(&server->arena), (DEAD_NOTES - 2) * object_size(0, sizeof key - 1, 5));
	fake_arena_stop(server);
}
END_TEST

static void *use_one_too_many(void *context)
{
	larder *cache = context;
	char byte;

	expect_equal(larder_get(cache, "key", 3, &byte, 1, NULL), -EUSERS);
	return NULL;
}

START_TEST(test_too_many_threads)
{
	struct fake_arena *server = fake_arena_start(LARDER_SHARED_WRITE, NULL, NULL);
	larder *cache = fake_arena_open(server);
	struct cache_thread one;

	put(cache, "value");
	for (int i = 1; i < THREADS_MAX; i++)
		ck_assert_int_eq(cache_thread_start(&cache->current->cache, &one), 0);
	run(use_one_too_many, cache);
	cache_thread_stop(&one);
	run(use, cache);
	larder_close(cache);
	fake_arena_stop(server);
}
END_TEST

START_TEST(test_one_thread_with_several_handles)
{
	struct fake_arena *servers[3];
	larder *caches[3];
	char value[2] = "a";

	for (int i = 0; i < 3; i++) {
		servers[i] = fake_arena_start(LARDER_SHARED_WRITE, NULL, NULL);
		caches[i] = fake_arena_open(servers[i]);
		value[0] = (char)('a' + i);
		put(caches[i], value);
	}
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < 3; i++) {
			value[0] = (char)('a' + i);
			expect_value(caches[i], value);
			ck_assert_uint_eq(lines_in_use(caches[i]), 1);
		}
	}
	for (int i = 0; i < 3; i++) {
		larder_close(caches[i]);
		fake_arena_stop(servers[i]);
	}
}
END_TEST

START_TEST(test_handle_after_handle)
{
	struct fake_arena *server = fake_arena_start(LARDER_SHARED_WRITE, NULL, NULL);

	for (uint32_t i = 0; i < 100; i++) {
		larder *cache = fake_arena_open(server);

		if (i == 0)
			put(cache, "value");
		expect_value(cache, "value");
		larder_close(cache);
		ck_assert_uint_eq(load_relaxed(&fake_arena_control(server, i)->page->threads[0].hits), 1);
	}
	fake_arena_stop(server);
}
END_TEST

/* ---- ends of threads and of handles ------------------------------------------------------------------------------ */

struct stage {
	struct fake_arena *server;
	larder *cache;
	pthread_barrier_t barrier;
};

static void *use_and_end_later(void *context)
{
	struct stage *stage = context;

	expect_value(stage->cache, "value");
	pthread_barrier_wait(&stage->barrier); /* used: may be closed */
	pthread_barrier_wait(&stage->barrier); /* closed */
	return NULL;
}

START_TEST(test_thread_ends_after_close)
{
	struct stage stage = { .server = fake_arena_start(LARDER_SHARED_WRITE, NULL, NULL) };
	pthread_t thread;

	pthread_barrier_init(&stage.barrier, NULL, 2);
	stage.cache = fake_arena_open(stage.server);
	put(stage.cache, "value");
	ck_assert_int_eq(pthread_create(&thread, NULL, use_and_end_later, &stage), 0);
	pthread_barrier_wait(&stage.barrier);
	larder_close(stage.cache);
	/* Another one is likely mapped at the same address; nothing of it may be given back. */
	stage.cache = fake_arena_open(stage.server);
	expect_value(stage.cache, "value");
	pthread_barrier_wait(&stage.barrier);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(lines_in_use(stage.cache), 1);
	expect_value(stage.cache, "value");
	larder_close(stage.cache);
	fake_arena_stop(stage.server);
}
END_TEST

static void *use_and_end(void *context)
{
	struct stage *stage = context;

	expect_value(stage->cache, "value");
	pthread_barrier_wait(&stage->barrier);
	return NULL;
}

/* The thread is past its last call, but its end and the close of the handle run side by side. */
START_TEST(test_thread_ends_during_close)
{
	struct stage stage = { .server = fake_arena_start(LARDER_SHARED_WRITE, NULL, NULL) };

	pthread_barrier_init(&stage.barrier, NULL, 2);
	for (int i = 0; i < 500; i++) {
		pthread_t thread;

		stage.cache = fake_arena_open(stage.server);
		if (i == 0)
			put(stage.cache, "value");
		ck_assert_int_eq(pthread_create(&thread, NULL, use_and_end, &stage), 0);
		pthread_barrier_wait(&stage.barrier);
		larder_close(stage.cache);
		pthread_join(thread, NULL);
	}
	fake_arena_stop(stage.server);
}
END_TEST

/* A destructor's call with the state of a handle that is closed does nothing, whatever is at its address now. */
START_TEST(test_late_destructor)
{
	struct fake_arena *server = fake_arena_start(LARDER_SHARED_WRITE, NULL, NULL);
	larder *cache = fake_arena_open(server);
	struct thread_state elsewhere = { .owner = &thread_recent };

	put(cache, "value");
	thread_end(&elsewhere);
	ck_assert_ptr_eq(load_relaxed(&elsewhere.owner), &thread_recent);
	ck_assert_uint_eq(lines_in_use(cache), 1);
	thread_end(&cache->process->threads[1]);
	ck_assert_uint_eq(lines_in_use(cache), 1);
	expect_value(cache, "value");
	larder_close(cache);
	fake_arena_stop(server);
}
END_TEST

static pthread_key_t key_of_program;

static void read_at_the_end(void *cache)
{
	expect_equal(lines_in_use(cache), 1);
	expect_value(cache, "value");
	expect_equal(lines_in_use(cache), 2);
}

static void *use_even_at_the_end(void *cache)
{
	expect_equal(pthread_setspecific(key_of_program, cache), 0);
	return use(cache);
}

/* The library's destructor runs before the program's, which takes a line once more, and then again. */
START_TEST(test_call_from_a_destructor)
{
	struct fake_arena *server = fake_arena_start(LARDER_SHARED_WRITE, NULL, NULL);
	larder *cache = fake_arena_open(server);

	ck_assert_int_eq(pthread_key_create(&key_of_program, read_at_the_end), 0);
	ck_assert_uint_lt(cache->key, key_of_program);
	put(cache, "value");
	run(use_even_at_the_end, cache);
	ck_assert_uint_eq(lines_in_use(cache), 1);
	larder_close(cache);
	fake_arena_stop(server);
}
END_TEST

#ifndef __SANITIZE_THREAD__ /* which starts no thread in the child of a process with threads; check_readonly is for it */
static void *use_first(void *context)
{
	struct stage *stage = context;

	expect_value(stage->cache, "value"); /* in the state that the other thread had in the parent */
	pthread_barrier_wait(&stage->barrier);
	pthread_barrier_wait(&stage->barrier); /* the other thread has used it, too */
	return NULL;
}

/* In a forked child another thread may be the first to call; the one that called fork then takes a line of its own. */
START_TEST(test_child_whose_other_thread_is_first)
{
	struct stage stage = { .server = fake_arena_start(LARDER_SHARED_WRITE, NULL, NULL) };
	pthread_t thread;
	pid_t child;
	int status;

	stage.cache = fake_arena_open(stage.server);
	put(stage.cache, "value");
	child = fork();
	if (child == 0) {
		pthread_barrier_init(&stage.barrier, NULL, 2);
		expect_equal(pthread_create(&thread, NULL, use_first, &stage), 0);
		pthread_barrier_wait(&stage.barrier);
		expect_value(stage.cache, "value");
		expect_equal(lines_in_use(stage.cache), 2);
		pthread_barrier_wait(&stage.barrier);
		pthread_join(thread, NULL);
		expect_equal(lines_in_use(stage.cache), 1);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	larder_close(stage.cache);
	fake_arena_stop(stage.server);
}
END_TEST
#endif

static void *release(void *context)
{
	struct larder_mview_entry *entry = context;

	larder_release((larder *)(uintptr_t)entry->key, &entry->view);
	return NULL;
}

START_TEST(test_any_thread_releases)
{
	struct fake_arena *server = fake_arena_start(LARDER_SHARED_WRITE, NULL, NULL);
	larder *cache = fake_arena_open(server);
	struct larder_mview_entry entry = { .key = cache };

	put(cache, "value");
	ck_assert_int_eq(larder_view(cache, "key", 3, &entry.view), 0);
	ck_assert_uint_eq(fake_arena_pins(server, 0), 1);
	run(release, &entry);
	ck_assert_ptr_null(entry.view.data);
	ck_assert_uint_eq(fake_arena_pins(server, 0), 0);
	larder_close(cache);
	fake_arena_stop(server);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("thread");

	tcase_add_test(tests, test_ending_threads_give_their_lines_back);
	tcase_add_test(tests, test_close_counts_what_is_dead);
	tcase_add_test(tests, test_too_many_threads);
	tcase_add_test(tests, test_one_thread_with_several_handles);
	tcase_add_test(tests, test_handle_after_handle);
	tcase_add_test(tests, test_thread_ends_after_close);
	tcase_add_test(tests, test_thread_ends_during_close);
	tcase_add_test(tests, test_late_destructor);
	tcase_add_test(tests, test_call_from_a_destructor);
#ifndef __SANITIZE_THREAD__
	tcase_add_test(tests, test_child_whose_other_thread_is_first);
#endif
	tcase_add_test(tests, test_any_thread_releases);
	return suite_run("thread", tests);
}
