/* SPDX-License-Identifier: MIT */
/*
 * Fills most of an arena with objects whose lives all end at the same moment, and looks how long it takes from then until all of their
 * segments are free, while one thread goes on writing and reading other keys.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "arena/segment.h"
#include "base/clock.h"
#include "bench/attachment.h"
#include "bench/bench.h"
#include "bench/harness.h"
#include "bench/histogram.h"
#include "bench/inside.h"
#include "bench/memory.h"

#define KEY_TEXT 20
#define VALUE_SIZE_MAX 1024
#define FULL_SHARE(segments) ((segments) / 20 * 17) /* so many are taken, those of the index among them */
#define OTHER_KEYS 4096
#define LOOK_NS NS_PER_MS
#define FILL_LOOK 4096 /* writes between two looks at the memory */
#define FILL_REST_MS 500
#define GIVE_UP_MS 120000

struct crowd {
	larder *cache;
	const struct arena *arena;
	uint32_t value_size;
	uint64_t end_ms; /* of all lives, in the arena's time */
	struct mass_expiry *result;
};

static int store(larder *cache, const char *kind, uint32_t number, uint32_t value_size, uint64_t ttl_ms)
{
	static const char value[VALUE_SIZE_MAX];
	struct larder_set_options options = LARDER_SET_OPTIONS;
	char key[KEY_TEXT + 1];

	options.ttl_ms = ttl_ms;
	snprintf(key, sizeof key, "mass-expiry:%s%07" PRIx32, kind, number & 0xfffffff);
	return larder_set(cache, key, KEY_TEXT, value, value_size, &options, NULL);
}

static bool is_crowded(const struct arena *arena)
{
	uint32_t taken = 0;

	for (uint32_t segment = 0; segment < arena->segment_count; segment++)
		taken += segment_load(arena, segment).state != SEGMENT_FREE;
	return taken >= FULL_SHARE(arena->segment_count);
}

/* Stops when the arena is full enough, or the time so near that all shall expire. */
static int fill(struct crowd *crowd)
{
	int result = 0;

	for (uint32_t i = 0; result == 0; i++) {
		uint64_t now_ms = arena_now_ms(crowd->arena);

		if (now_ms + FILL_REST_MS >= crowd->end_ms || (i % FILL_LOOK == 0 && is_crowded(crowd->arena)))
			break;
		result = store(crowd->cache, "", i, crowd->value_size, crowd->end_ms - now_ms);
		crowd->result->objects = i + 1;
	}
	return result ? complain(result, "expiry of many: cannot write: %s", larder_strerror(result))
	              : harness_interrupted();
}

/* How many segments have something in them that has expired, or is on its way out because it had. */
static uint32_t expired_segments(const struct crowd *crowd)
{
	uint32_t count = 0;

	for (uint32_t segment = 0; segment < crowd->arena->segment_count; segment++) {
		struct segment_word word = segment_load(crowd->arena, segment);

		count += word.ttl_class != 0 && (word.state == SEGMENT_OPEN || word.state == SEGMENT_CONDEMNED);
	}
	return count;
}

/* Writes and reads until nothing that expired is left. */
static int go_on(struct crowd *crowd)
{
	static struct histogram writes;
	uint64_t last_ns = monotonic_ns(), look_ns = last_ns;
	int result = 0;

	memset(&writes, 0, sizeof writes);
	for (uint32_t i = 0; result == 0; i++) {
		uint64_t now_ns, now_ms;

		result = store(crowd->cache, "+", i % OTHER_KEYS, crowd->value_size, 0);
		now_ns = monotonic_ns();
		histogram_record(&writes, now_ns - last_ns);
		last_ns = now_ns;
		if (now_ns < look_ns)
			continue;
		look_ns = now_ns + LOOK_NS;
		now_ms = arena_now_ms(crowd->arena);
		if (now_ms > crowd->end_ms + GIVE_UP_MS)
			return complain(-ETIMEDOUT, "expiry of many: segments are not free after %d s",
			                GIVE_UP_MS / 1000);
		if (now_ms > crowd->end_ms && expired_segments(crowd) == 0) {
			crowd->result->lag_ms = (double)(now_ms - crowd->end_ms);
			break;
		}
		result = harness_interrupted();
		last_ns = monotonic_ns();
	}
	crowd->result->longest_write_ms = (double)writes.largest / 1e6;
	return result;
}

int mass_expiry_measure(const char *size, uint32_t value_size, uint32_t seconds, struct mass_expiry *ret_expiry)
{
	struct crowd crowd = { .value_size = value_size, .result = ret_expiry };
	struct attachment attachment;
	struct machine_cpus cpus;
	cpu_set_t all;
	int result;

	*ret_expiry = (struct mass_expiry){ 0 };
	sched_getaffinity(0, sizeof all, &all);
	result = machine_pin(&cpus);
	if (result == 0)
		result = attachment_open(size, NULL, &cpus, &attachment);
	if (result != 0)
		return result;
	crowd.cache = attachment.cache;
	crowd.arena = inside_arena(attachment.cache);
	if (!crowd.arena)
		result = complain(-EIO, "expiry of many: no arena");
	if (result == 0) {
		crowd.end_ms = arena_now_ms(crowd.arena) + UINT64_C(1000) * seconds;
		result = fill(&crowd);
	}
	if (result == 0) {
		ret_expiry->segments = expired_segments(&crowd);
		ret_expiry->bytes = ret_expiry->segments * crowd.arena->segment_bytes;
		result = go_on(&crowd);
	}
	attachment_close(&attachment);
	sched_setaffinity(0, sizeof all, &all);
	return result;
}
