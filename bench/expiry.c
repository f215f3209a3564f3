/* SPDX-License-Identifier: MIT */
/*
 * Writes objects that expire, remembers for each segment when the last life in it ends, and looks at the segment table until the
 * segments are free. All lives in a segment are of one length here, so the end of the last one is soon after that of the others.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "bench/attachment.h"
#include "bench/bench.h"
#include "bench/harness.h"
#include "bench/inside.h"
#include "bench/memory.h"
#include "index/index.h"

#define ARENA "64M"
#define OBJECTS 30000 /* in each round: three segments and a piece */
#define VALUE_SIZE 200
#define KEY_TEXT 20
#define SEGMENTS_MAX 1024
#define LAGS_MAX 4096
#define GIVE_UP_MS 30000

struct watch {
	const struct arena *arena;
	uint64_t ends_ms[SEGMENTS_MAX]; /* when the last life of a segment ends; 0: it is not watched */
	uint32_t generations[SEGMENTS_MAX];
	double lags_ms[LAGS_MAX];
	size_t lags;
};

static void nap_ms(uint64_t ms)
{
	const struct timespec nap = { (time_t)(ms / 1000), (long)(ms % 1000 * NS_PER_MS) };

	nanosleep(&nap, NULL);
}

static int store(struct watch *watch, larder *cache, unsigned number, uint64_t ttl_ms)
{
	struct larder_set_options options = LARDER_SET_OPTIONS;
	char key[KEY_TEXT + 1], value[VALUE_SIZE] = "";
	struct object_view object;
	uint32_t segment;
	int result;

	options.ttl_ms = ttl_ms;
	snprintf(key, sizeof key, "expiry-bench:%07u", number % 10000000);
	result = larder_set(cache, key, KEY_TEXT, value, sizeof value, &options, NULL);
	if (result != 0)
		return complain(result, "expiry: cannot write: %s", larder_strerror(result));
	if (!index_lookup(watch->arena, hash_key(watch->arena->secret, key, KEY_TEXT), key, KEY_TEXT, &object))
		return 0;
	segment = segment_of(watch->arena, object.offset);
	watch->generations[segment] = segment_load(watch->arena, segment).generation;
	watch->ends_ms[segment] = object.expires_ms;
	return 0;
}

/* Until all that are watched are free. */
static int wait_for_all(struct watch *watch)
{
	uint32_t left;
	uint64_t now_ms;

	do {
		nap_ms(1);
		left = 0;
		now_ms = arena_now_ms(watch->arena);
		for (uint32_t segment = 0; segment < watch->arena->segment_count; segment++) {
			if (watch->ends_ms[segment] == 0)
				continue;
			if (segment_load(watch->arena, segment).generation == watch->generations[segment]) {
				left++;
				if (now_ms > watch->ends_ms[segment] + GIVE_UP_MS)
					return complain(-ETIMEDOUT, "expiry: a segment is not free %d s after its end",
					                GIVE_UP_MS / 1000);
				continue;
			}
			if (watch->lags < LAGS_MAX)
				watch->lags_ms[watch->lags++] = (double)now_ms - (double)watch->ends_ms[segment];
			watch->ends_ms[segment] = 0;
		}
	} while (left);
	return harness_interrupted();
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int expiry_measure(unsigned rounds, struct expiry *ret_expiry)
{
	const struct machine_cpus anywhere = { .shared = true };
	struct watch *watch = calloc(1, sizeof *watch);
	struct attachment attachment;
	int result = watch ? attachment_open(ARENA, NULL, &anywhere, &attachment) : complain(-ENOMEM, "out of memory");

	if (result != 0) {
		free(watch);
		return result;
	}
	watch->arena = inside_arena(attachment.cache);
	if (!watch->arena || watch->arena->segment_count > SEGMENTS_MAX)
		result = complain(-EIO, "expiry: the arena is not what was asked for");
	for (unsigned round = 0; result == 0 && round < rounds; round++) {
		uint64_t ttl_ms = 300 + round * 97 % 700; /* their ends fall anywhere between two steps of the bound */

		for (unsigned i = 0; result == 0 && i < OBJECTS; i++)
			result = store(watch, attachment.cache, round * OBJECTS + i, ttl_ms);
		if (result == 0)
			result = wait_for_all(watch);
	}
	if (result == 0) {
		qsort(watch->lags_ms, watch->lags, sizeof watch->lags_ms[0], compare);
		*ret_expiry = (struct expiry){ .segments = watch->lags,
			                       .worst_ms = watch->lags_ms[watch->lags - 1],
			                       .median_ms = watch->lags_ms[watch->lags / 2] };
	}
	attachment_close(&attachment);
	free(watch);
	return result;
}
