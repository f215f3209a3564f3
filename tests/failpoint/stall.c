/* SPDX-License-Identifier: MIT */
/*
 * Writers write as fast as they can into an arena so small that its memory comes back many times a second. By turns a client
 * stops in the middle of something for ten seconds, and then there is none for five; the writes of each turn with one are
 * compared with those before and after it, so that a machine that becomes faster or slower meanwhile weighs on both. How much
 * is left of that shows a client that stops while it does nothing, and so holds nothing back.
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
#define TURNS 5
#define WITHOUT_SLICES 50
#define WITH_SLICES 100
#define SECOND_SLICES 10 /* in the first second a stopped thread would not be revoked yet, at leisure */

struct board {
	char socket[96];
	atomic_u64 writes[WRITERS];
	atomic_u64 longest_ns; /* once the arena is full */
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

static uint64_t writes_of(const struct board *board)
{
	uint64_t sum = 0;

	for (int i = 0; i < WRITERS; i++)
		sum += load_relaxed(&board->writes[i]);
	return sum;
}

/* Writes per second during so many slices of time; mean: prints each as a percentage of that, unless it is 0. */
static double count_slices(struct board *board, int slices, double mean)
{
	uint64_t began_ms = monotonic_ms(), until_ms = began_ms, now_ms = began_ms;
	uint64_t began = writes_of(board), last = began, sum = began;

	for (int slice = 0; slice < slices; slice++) {
		until_ms += SLICE_MS;
		while ((now_ms = monotonic_ms()) < until_ms)
			poll(NULL, 0, (int)(until_ms - now_ms));
		sum = writes_of(board);
		if (mean > 0)
			printf(" %.0f", 100.0 * (double)(sum - last) * 1000 / SLICE_MS / mean);
		last = sum;
	}
	return (double)(sum - began) * 1000 / (double)(now_ms - began_ms);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* One turn with somebody stopped. before: writes per second without. Return: with. */
static double stop_and_count(struct board *board, const struct way *way, double before)
{
	double first_second, rest;
	pid_t stopped = stop_somebody(board, way);

	printf("  %% of before, in slices of %d ms:", SLICE_MS);
	first_second = count_slices(board, SECOND_SLICES, before);
	rest = count_slices(board, WITH_SLICES - SECOND_SLICES, 0);
	expect(kill(stopped, SIGCONT) == 0);
	expect_equal(waitpid(stopped, NULL, 0), stopped);
	printf(" ...; then %.0f\n", 100 * rest / before);
	return (first_second * SECOND_SLICES + rest * (WITH_SLICES - SECOND_SLICES)) / WITH_SLICES;
}

/* Return: the median, over all turns, of writes with somebody stopped, as a share of those before and after. */
static double measure(const struct way *way, const char *size)
{
	struct board *board = shared_memory(sizeof *board);
	double ratios[TURNS], before, median;
	struct workers writers;
	struct server server;

	server_start(&server, size, NULL);
	strcpy(board->socket, server.socket);
	workers_start(&writers, WRITERS, write_on, board);
	count_slices(board, WITHOUT_SLICES, 0); /* until the arena has long been full */
	store_relaxed(&board->longest_ns, 0);
	store_relaxed(&board->failed, 0);
	printf("%s, %s:\n", way->name, size);
	before = count_slices(board, WITHOUT_SLICES, 0);
	for (int turn = 0; turn < TURNS; turn++) {
		double with = stop_and_count(board, way, before);
		double after = count_slices(board, WITHOUT_SLICES, 0);

		ratios[turn] = with / ((before + after) / 2);
		printf("  %.0f writes/s before, %.0f with, %.0f after: %.3f\n", before, with, after, ratios[turn]);
		fflush(stdout);
		before = after;
	}
	qsort(ratios, TURNS, sizeof ratios[0], ascending);
	median = ratios[TURNS / 2];
	printf("  median %.3f, from %.3f to %.3f; longest write %.1f ms, %llu without memory\n", median, ratios[0],
	       ratios[TURNS - 1], (double)load_relaxed(&board->longest_ns) / 1e6,
	       (unsigned long long)load_relaxed(&board->failed));
	fflush(stdout);
	store_relaxed(&board->over, 1);
	workers_join(&writers, 30);
	server_stop(&server);
	return median;
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
