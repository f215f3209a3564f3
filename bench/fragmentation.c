/* SPDX-License-Identifier: MIT */
/*
 * One process writes ten times the arena, of sizes from 1 byte to 1 MiB whose logarithm is uniform: so most bytes are in objects of
 * hundreds of kilobytes, of which a segment has room for a few, and a segment filled with such has gaps. Half of the writes go to
 * keys that are or were there, with another size; a tenth of the operations delete. Twice as much is wanted as fits.
 */
#include "bench/fragmentation.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/bench.h"
#include "bench/harness.h"
#include "bench/histogram.h"
#include "bench/report.h"
#include "bench/server.h"
#include "cache/cache.h"
#include "client/handle.h"

#define ARENA "256M"
#define ARENA_BYTES (UINT64_C(256) << 20)
#define ROUNDS 10 /* so many times the arena is written */
#define LOOKS 32  /* in the last round */
#define VALUE_MAX (UINT32_C(1) << 20)
#define KEYS 7200  /* of 75 KiB in the mean: twice what fits */
#define DELETES 10 /* one operation in so many */

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

static double share(uint64_t bytes)
{
	return (double)bytes / (double)ARENA_BYTES;
}

/* The keeper may be in the midst of something at any one moment, so the shares are means of several. */
static void look(larder *cache, struct fragmentation *sum)
{
	struct larder_stat stat = { .size = sizeof stat };
	uint64_t live = 0, dead = 0, used = 0;

	larder_stat(cache, &stat);
	for (int pool = 0; pool < LARDER_STAT_POOLS; pool++)
		for (int class = 0; class < LARDER_STAT_CLASSES; class ++) {
			live += stat.classes[pool][class].live_bytes;
			dead += stat.classes[pool][class].dead_bytes;
			used += stat.classes[pool][class].used_bytes;
		}
	sum->least_live = sum->live == 0 ? share(live) : fmin(sum->least_live, share(live));
	sum->live += share(live) / LOOKS;
	sum->dead += share(dead) / LOOKS;
	sum->unfilled += share((stat.segments_data + stat.segments_condemned) * stat.segment_bytes - used) / LOOKS;
	sum->unused += share(used - live - dead) / LOOKS;
	sum->free_share += share(stat.segments_free * stat.segment_bytes) / LOOKS;
	sum->fixed += share((stat.segments_system + stat.segments_index) * stat.segment_bytes) / LOOKS;
	sum->moved = stat.moved_objects;
	sum->evicted = stat.evicted_objects;
}

static int write_all(larder *cache, struct fragmentation *sum, struct histogram *times)
{
	static unsigned char value[VALUE_MAX];
	uint64_t written = 0, number = 0, looks = 0;

	while (written < ROUNDS * ARENA_BYTES) {
		uint64_t random = mix(++number), began_ns;
		size_t size = (size_t)exp2(20 * ((double)(mix(random) >> 11) * 0x1p-53));
		char key[24];
		int key_size = snprintf(key, sizeof key, "key %u", (unsigned)(random % KEYS)), result;

		if (random / KEYS % DELETES == 0) {
			result = larder_delete(cache, key, (size_t)key_size, 0);
		} else {
			began_ns = monotonic_ns();
			result = larder_set(cache, key, (size_t)key_size, value, size, NULL, NULL);
			histogram_record(times, monotonic_ns() - began_ns);
			sum->writes++;
			sum->refused += result == -EAGAIN;
			written += size;
		}
		if (result < 0 && result != -EAGAIN)
			return complain(result, "fragmentation: cannot write: %s", larder_strerror(result));
		while (looks < LOOKS && written >= (ROUNDS - 1) * ARENA_BYTES + (looks + 1) * (ARENA_BYTES / LOOKS)) {
			look(cache, sum);
			looks++;
		}
	}
	return harness_interrupted();
}

static int verify(larder *cache, struct fragmentation *sum)
{
	struct cache *arena = &load_relaxed(&cache->current)->cache;
	struct cache_verify_counts counts;
	struct cache_thread thread;
	int result = cache_thread_start(arena, &thread);

	if (result)
		return complain(result, "fragmentation: cannot verify: %s", larder_strerror(result));
	cache_verify(&thread, NULL, NULL, &counts);
	cache_thread_stop(&thread);
	sum->faults = counts.faults;
	return 0;
}

int fragmentation_measure(struct fragmentation *ret_fragmentation)
{
	const struct machine_cpus anywhere = { .shared = true };
	struct histogram *times = calloc(1, sizeof *times);
	struct server server = { 0 };
	larder *cache = NULL;
	int result = times ? server_start(ARENA, NULL, NULL, &anywhere, &server) : complain(-ENOMEM, "out of memory");

	*ret_fragmentation = (struct fragmentation){ 0 };
	if (result == 0 && larder_open(server.socket, NULL, &cache))
		result = complain(-EIO, "fragmentation: cannot attach");
	if (result == 0)
		result = write_all(cache, ret_fragmentation, times);
	if (result == 0)
		result = verify(cache, ret_fragmentation);
	if (result == 0) {
		ret_fragmentation->set_ns = (double)histogram_quantile(times, 0.5);
		ret_fragmentation->set_p999_ns = (double)histogram_quantile(times, 0.999);
	}
	larder_close(cache);
	server_stop(&server);
	free(times);
	return result;
}

int bench_fragmentation(const struct bench_options *options)
{
	struct report report = { 0 };
	struct fragmentation sum;
	int result = fragmentation_measure(&sum);

	if (result)
		return result;
	report_ratio(&report, "utilisation", sum.live, "living objects, of the bytes of the arena");
	report_ratio(&report, "utilisation_least", sum.least_live, "of the looks that this is the mean of, the least");
	report_ratio(&report, "dead", sum.dead, "objects that were replaced or deleted");
	report_ratio(&report, "unused", sum.unused, "left over in runs of chunks");
	report_ratio(&report, "unfilled", sum.unfilled, "chunks of data segments that nobody took");
	report_ratio(&report, "free", sum.free_share, "free segments");
	report_ratio(&report, "fixed", sum.fixed, "header, tables and index");
	report_ratio(&report, "set_ns", sum.set_ns, "a write, in the middle");
	report_ratio(&report, "set_p999_ns", sum.set_p999_ns, "99.9 % of the writes take at most");
	report_count(&report, "writes", sum.writes, "writes");
	report_count(&report, "refused", sum.refused, "of them, those for which there was no memory in time");
	report_count(&report, "evicted", sum.evicted, "objects evicted");
	report_count(&report, "moved", sum.moved, "objects moved");
	report_count(&report, "faults", sum.faults, "found by verification");
	report_print(&report, options->json);
	return sum.faults ? complain(-EIO, "fragmentation: the arena is damaged") : 0;
}
