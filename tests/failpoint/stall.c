/* SPDX-License-Identifier: MIT */
/*
 * Writers write as fast as they can into an arena so small that its memory comes back many times a second. Then a client
 * stops in the middle of something, for ten seconds, and their writes are counted in slices of 100 ms. Before and after are
 * parts of one run, so that what else the machine does weighs on both; as long as it stays the same. How much it changes shows
 * a client that stops while it does nothing, and so holds nothing: where that is far from 1 the others mean nothing.
 */
#include "tests/failpoint/stall.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomics.h"
#include "base/clock.h"
#include "tests/support/client.h"
#include "tests/support/expect.h"
#include "tests/support/workers.h"
#include "tests/unit/support/random.h"

#define WRITERS 2
#define KEYS 100000
#define VALUE_BYTES 200
#define SLICE_MS 100
#define BEFORE_SLICES 50
#define DURING_SLICES 100
#define SECOND_SLICES 10 /* in the first second a stopped thread would not be revoked yet, at leisure */

struct board {
	char socket[96];
	atomic_u64 writes[WRITERS];
	atomic_u64 longest_ns; /* since it was reset */
	atomic_u64 failed;     /* writes that found no memory in time */
	atomic_u32 over;
};

static larder *attach(const struct board *board)
{
	larder *cache;

	expect_equal(larder_open(board->socket, NULL, &cache), 0);
	return cache;
}

static void write_on(void *context, unsigned number)
{
	struct board *board = context;
	struct random random = { number };
	larder *cache = attach(board);
	char key[24], value[VALUE_BYTES];

	pattern_fill(value, sizeof value, number);
	while (!load_relaxed(&board->over)) {
		uint64_t began_ns = monotonic_ns(), took_ns;
		int size = snprintf(key, sizeof key, "key %u", random_below(&random, KEYS));
		int result = larder_set(cache, key, (size_t)size, value, sizeof value, NULL, NULL);

		took_ns = monotonic_ns() - began_ns;
		if (took_ns > load_relaxed(&board->longest_ns))
			store_relaxed(&board->longest_ns, took_ns);
		fetch_add_relaxed(result == 0 ? &board->writes[number] : &board->failed, 1);
	}
	larder_close(cache);
}

/* Ways to stop. */
struct way {
	const char *name, *failpoint;
	void (*act)(larder *cache);
};

static void look_up(larder *cache)
{
	char buffer[VALUE_BYTES];

	larder_get(cache, "key 1", 5, buffer, sizeof buffer, NULL);
}

static void store(larder *cache)
{
	larder_set(cache, "key 1", 5, "value", 5, NULL, NULL);
}

static struct larder_view look(larder *cache)
{
	struct larder_view view;

	while (larder_view(cache, "key 1", 5, &view) != 0)
		store(cache);
	return view;
}

static void take(larder *cache)
{
	struct larder_view view = look(cache);

	larder_release(cache, &view);
}

static void idle(larder *cache)
{
	look_up(cache);
	raise(SIGSTOP);
}

static void hold(larder *cache)
{
	struct larder_view view = look(cache);

	raise(SIGSTOP);
	larder_release(cache, &view);
}

static const struct way ways[] = {
	{ "a client that does nothing", NULL, idle },
	{ "a reader inside a lookup", "epoch.entered:1:stop", look_up },
	{ "a reader that takes a view", "view.pinned:1:stop", take },
	{ "a writer inside a write", "object.written:1:stop", store },
	{ "a view held", NULL, hold },
};

static pid_t stop_somebody(const struct board *board, const struct way *way)
{
	pid_t child = fork();
	int status;

	expect(child >= 0);
	if (child == 0) {
		larder *cache;

		if (way->failpoint)
			setenv("LARDER_FAILPOINT", way->failpoint, 1);
		cache = attach(board);
		way->act(cache);
		larder_close(cache);
		_exit(0);
	}
	expect_equal(waitpid(child, &status, WUNTRACED), child);
	expect(WIFSTOPPED(status));
	return child;
}

/* The writes of one slice of time. */
static uint64_t count_slice(struct board *board, uint64_t *seen, uint64_t *until_ms)
{
	uint64_t sum = 0, now_ms, writes;

	*until_ms += SLICE_MS;
	while ((now_ms = monotonic_ms()) < *until_ms)
		poll(NULL, 0, (int)(*until_ms - now_ms));
	for (int i = 0; i < WRITERS; i++)
		sum += load_relaxed(&board->writes[i]);
	writes = sum - *seen;
	*seen = sum;
	return writes;
}

static double measure(const struct way *way, const char *size)
{
	struct board *board = shared_memory(sizeof *board);
	uint64_t before = 0, during = 0, first = 0, worst = UINT64_MAX, seen = 0, until_ms;
	struct workers writers;
	struct server server;
	double mean, ratio;
	pid_t stopped;

	server_start(&server, size, NULL);
	strcpy(board->socket, server.socket);
	workers_start(&writers, WRITERS, write_on, board);
	until_ms = monotonic_ms();
	for (int i = 0; i < 10; i++) /* until all have begun and the arena is full */
		count_slice(board, &seen, &until_ms);
	for (int i = 0; i < BEFORE_SLICES; i++)
		before += count_slice(board, &seen, &until_ms);
	mean = (double)before / BEFORE_SLICES;
	store_relaxed(&board->longest_ns, 0);
	store_relaxed(&board->failed, 0);
	stopped = stop_somebody(board, way);
	printf("%s, %s:\n  %% of before, in slices of %d ms:", way->name, size, SLICE_MS);
	for (int second = 0; second < DURING_SLICES / SECOND_SLICES; second++) {
		uint64_t writes = 0;

		for (int i = 0; i < SECOND_SLICES; i++) {
			uint64_t slice = count_slice(board, &seen, &until_ms);

			writes += slice;
			if (second < 2)
				printf(" %.0f", 100.0 * (double)slice / mean);
		}
		during += writes;
		first = second ? first : writes;
		worst = writes < worst ? writes : worst;
	}
	ratio = (double)during / DURING_SLICES / mean;
	printf(" ...\n  before %.0f writes/s; during %.3f of that, in the first second %.3f, in the worst %.3f; longest "
	       "write %.1f ms, %llu without memory\n",
	       mean * 1000 / SLICE_MS, ratio, (double)first / SECOND_SLICES / mean,
	       (double)worst / SECOND_SLICES / mean, (double)load_relaxed(&board->longest_ns) / 1e6,
	       (unsigned long long)load_relaxed(&board->failed));
	fflush(stdout);
	kill(stopped, SIGCONT);
	expect_equal(waitpid(stopped, NULL, 0), stopped);
	store_relaxed(&board->over, 1);
	workers_join(&writers, 30);
	server_stop(&server);
	return ratio;
}

double stall_measure(const char *size)
{
	double lowest = 1e9;

	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		double ratio = measure(&ways[i], size);

		lowest = ratio < lowest ? ratio : lowest;
	}
	return lowest;
}
