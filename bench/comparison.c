/* SPDX-License-Identifier: MIT */
#include "bench/comparison.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

static void leave_out(struct comparison_entrant *entrant)
{
	entrant->running = false;
	complain(0, "without %s: %s", entrant->label, entrant->crew.why);
}

static void start(struct comparison_entrant *entrant)
{
	const struct driver *driver = driver_find(entrant->driver, entrant->crew.why);

	if (driver && crew_start(driver, &entrant->setup, &entrant->crew) == 0)
		entrant->running = true;
	else
		leave_out(entrant);
}

static void wait_for(struct comparison_entrant *entrant)
{
	if (!entrant->running || crew_ready(&entrant->crew) == 0)
		return;
	leave_out(entrant);
	crew_stop(&entrant->crew);
}

int comparison_open(struct comparison *comparison)
{
	struct comparison_entrant *larder = &comparison->entrant[0];
	int result;

	for (size_t i = 0; i < comparison->count; i++) {
		struct comparison_entrant *entrant = &comparison->entrant[i];

		result = harness_interrupted();
		if (result != 0)
			return result;
		if (i > 0)
			entrant->setup.page_bytes = larder->setup.page_bytes;
		start(entrant);
		if (i == 0 && !entrant->running)
			return -ENOENT;
		if (i == 0 && strcmp(entrant->driver, "larder") == 0)
			entrant->setup.page_bytes = driver_larder_page_bytes(entrant->crew.instance);
		/* Two at a time fill themselves. */
		if (i > 0)
			wait_for(&comparison->entrant[i - 1]);
	}
	wait_for(&comparison->entrant[comparison->count - 1]);
	return harness_interrupted();
}

void comparison_close(struct comparison *comparison)
{
	for (size_t i = 0; i < comparison->count; i++)
		if (comparison->entrant[i].running)
			crew_stop(&comparison->entrant[i].crew);
	comparison->count = 0;
}

static struct comparison_entrant *find(struct comparison *comparison, const char *label)
{
	for (size_t i = 0; i < comparison->count; i++)
		if (strcmp(comparison->entrant[i].label, label) == 0)
			return comparison->entrant[i].running ? &comparison->entrant[i] : NULL;
	return NULL;
}

const struct comparison_entrant *comparison_find(const struct comparison *comparison, const char *label)
{
	for (size_t i = 0; i < comparison->count; i++)
		if (strcmp(comparison->entrant[i].label, label) == 0)
			return &comparison->entrant[i];
	return NULL;
}

/* ---- rounds ------------------------------------------------------------------------------------------------------ */

static int run_once(struct comparison *comparison, struct comparison_case *one)
{
	struct comparison_entrant *entrant = find(comparison, one->label);
	struct crew_sample sample;
	int result;

	if (!entrant || !driver_can(entrant->crew.driver, one->order.operation) ||
	    one->order.workers > entrant->crew.workers)
		return 0;
	result = crew_work(&entrant->crew, &one->order, &sample, one->histogram);
	if (result == -EINTR)
		return result;
	if (result != 0) {
		leave_out(entrant);
		crew_stop(&entrant->crew);
		one->sampled = 0;
		return 0;
	}
	one->missed += sample.missed;
	one->processor = sample.processor > 0;
	one->samples[0][one->sampled] = one->processor ? sample.processor : sample.wall;
	one->samples[1][one->sampled] = sample.wall;
	one->samples[2][one->sampled++] = sample.rate;
	return 0;
}

/* The same orders in each run of the program, another in each round. */
static void shuffle(size_t *order, size_t count, unsigned round)
{
	uint32_t *ids;
	struct stream stream;

	for (size_t i = 0; i < count; i++)
		order[i] = i;
	if (stream_create(STREAM_UNIFORM, round << 16, 1u << 16, count, NULL, &stream) != 0)
		return; /* in order is in order, too */
	ids = stream.ids;
	for (size_t i = count; i > 1; i--) {
		size_t j = ids[i - 1] % i, swap = order[i - 1];

		order[i - 1] = order[j];
		order[j] = swap;
	}
	stream_destroy(&stream);
}

int comparison_run(struct comparison *comparison, struct comparison_case *cases, size_t count, unsigned rounds)
{
	size_t *order = malloc(count * sizeof *order);
	int result = order ? 0 : -ENOMEM;

	if (rounds > HARNESS_ROUNDS_MAX)
		rounds = HARNESS_ROUNDS_MAX;
	for (unsigned round = 0; result == 0 && round < rounds; round++) {
		shuffle(order, count, round);
		for (size_t i = 0; result == 0 && i < count; i++) {
			result = harness_interrupted();
			if (result == 0)
				result = run_once(comparison, &cases[order[i]]);
		}
	}
	free(order);
	for (size_t i = 0; result == 0 && i < count; i++) {
		struct comparison_case *one = &cases[i];

		if (one->sampled == 0)
			continue;
		one->time = harness_reduce(one->samples[0], one->samples[1], one->sampled);
		one->rate = harness_median(one->samples[2], one->sampled);
	}
	return result;
}

double comparison_ratio(const struct comparison_case *upper, const struct comparison_case *lower)
{
	if (!(upper->time.median > 0 && lower->time.median > 0))
		return NAN;
	if (upper->processor && lower->processor)
		return upper->time.median / lower->time.median;
	return upper->time.wall / lower->time.wall;
}
