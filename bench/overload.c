/* SPDX-License-Identifier: MIT */
/*
 * Nothing but writes of new keys, into an arena that has room for a tenth of them and into one that has room for all. In the first, as
 * much must be evicted as is written, while the keeper has one processor; that must not cost the writers more than as much again.
 * Both arenas are written to in turn, a piece at a time, so that whatever else the machine does meets both.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/attachment.h"
#include "bench/bench.h"
#include "bench/harness.h"
#include "bench/histogram.h"
#include "bench/memory.h"

#define KEY_TEXT 20
#define VALUE_SIZE 100
#define OBJECT_BYTES 140 /* with what larder needs */
#define PIECES 20

struct side {
	struct attachment attachment;
	struct histogram latency;
	uint64_t ns, refused;
};

static int write_piece(struct side *side, uint32_t first, uint32_t count)
{
	char key[KEY_TEXT + 1], value[VALUE_SIZE] = "";
	uint64_t begin = monotonic_ns(), last = begin;

	for (uint32_t i = first; i < first + count; i++) {
		uint64_t now;
		int result;

		snprintf(key, sizeof key, "overload-bch:%07" PRIx32, i & 0xfffffff);
		result = larder_set(side->attachment.cache, key, KEY_TEXT, value, sizeof value, NULL, NULL);
		if (result != 0 && result != -EAGAIN)
			return complain(result, "overload: cannot write: %s", larder_strerror(result));
		side->refused += result == -EAGAIN;
		now = monotonic_ns();
		histogram_record(&side->latency, now - last);
		last = now;
	}
	side->ns += last - begin;
	return harness_interrupted();
}

static int open_side(struct side *side, uint64_t bytes, const struct machine_cpus *cpus)
{
	char size[32];

	snprintf(size, sizeof size, "%" PRIu64 "M", (bytes >> 20) + 1);
	return attachment_open(size, NULL, cpus, &side->attachment);
}

int overload_measure(uint32_t keys, struct overload *ret_overload)
{
	const uint64_t bytes = (uint64_t)keys * OBJECT_BYTES;
	struct side *tight = calloc(1, sizeof *tight), *roomy = calloc(1, sizeof *roomy);
	struct machine_cpus cpus;
	cpu_set_t all;
	int result = tight && roomy ? 0 : complain(-ENOMEM, "out of memory");

	sched_getaffinity(0, sizeof all, &all);
	if (result == 0)
		result = machine_pin(&cpus);
	if (result == 0)
		result = open_side(tight, bytes / 10, &cpus);
	if (result != 0)
		goto freed;
	result = open_side(roomy, bytes * 2, &cpus);
	if (result != 0)
		goto closed_tight;
	for (uint32_t piece = 0; result == 0 && piece < PIECES; piece++) {
		result = write_piece(tight, piece * (keys / PIECES), keys / PIECES);
		if (result == 0)
			result = write_piece(roomy, piece * (keys / PIECES), keys / PIECES);
	}
	*ret_overload = (struct overload){
		.writes = tight->latency.total,
		.refused = tight->refused,
		.evicting_ns = (double)tight->ns / (double)tight->latency.total,
		.roomy_ns = (double)roomy->ns / (double)roomy->latency.total,
		.evicting_p999_ns = (double)histogram_quantile(&tight->latency, 0.999),
		.roomy_p999_ns = (double)histogram_quantile(&roomy->latency, 0.999),
	};
	attachment_close(&roomy->attachment);
closed_tight:
	attachment_close(&tight->attachment);
freed:
	free(tight);
	free(roomy);
	sched_setaffinity(0, sizeof all, &all);
	return result;
}
