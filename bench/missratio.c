/* SPDX-License-Identifier: MIT */
/*
 * The problem: a faster cache that misses more often is slower. How often larder misses is compared with simulations of textbook
 * policies, on the same requests.
 *
 * It is the real arena, with the real keeper, in one process: the keeper's house-keeping runs every so many requests instead of in
 * a process of its own, and the clock is the requests' own, so that hours pass in seconds and the result is always the same. The
 * simulations get as many bytes as the whole arena has, and are charged for each object what larder needs besides key and value; they need
 * neither an index nor free segments nor whole segments of one kind, so they are a little better off.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/harness.h"
#include "bench/reference.h"
#include "bench/report.h"
#include "bench/requests.h"
#include "cache/cache.h"
#include "daemon/reclaim.h"

#define KEYS 2000000u
#define REQUESTS 6000000u
#define REQUESTS_QUICK 2000000u
#define ARENA_BYTES (UINT64_C(128) << 20)
#define OVERHEAD_BYTES 36
#define KEY_SIZE 16
#define VALUE_MAX 4096
#define HOUSE_KEEPING_EVERY 256
#define STALL_MS 1000

struct stage {
	struct cache cache;
	struct cache_thread thread;
	struct reclaim *reclaim;
	uint64_t epoch_ns; /* arena time when the requests begin */
	struct reference_result result;
};

static int stage_open(struct stage *stage, struct fault *fault)
{
	struct arena_plan plan = { .access = LARDER_SHARED_WRITE };
	struct arena arena;
	int control_fd = -1, result;
	int arena_fd = arena_memory(ARENA_BYTES, PAGES_SMALL, &plan.page_bytes, fault);

	if (arena_fd < 0)
		return arena_fd;
	result = arena_format(arena_fd, &plan, &arena, fault);
	close(arena_fd);
	if (result)
		return result;
	control_fd = control_create(arena.segment_count, 0);
	result = control_fd < 0 ? control_fd : cache_adopt(&stage->cache, &arena, control_fd, 0, fault);
	if (control_fd >= 0)
		close(control_fd);
	if (result == 0)
		result = cache_thread_start(&stage->cache, &stage->thread);
	if (result)
		return result;
	stage->reclaim = reclaim_create(&stage->thread, STALL_MS);
	stage->epoch_ns = arena_now_ns(&stage->cache.arena);
	return stage->reclaim ? 0 : -ENOMEM;
}

static void stage_close(struct stage *stage)
{
	reclaim_destroy(stage->reclaim);
	cache_thread_stop(&stage->thread);
	cache_detach(&stage->cache);
}

/* Whatever the real time, arena time is that of the request. */
static void set_clock(struct stage *stage, uint32_t time_s)
{
	struct arena *arena = &stage->cache.arena;

	arena->clock_offset_ns = stage->epoch_ns + time_s * UINT64_C(1000000000) - monotonic_ns();
}

static int store(struct stage *stage, const struct request *request, const char key[KEY_SIZE + 1])
{
	static const char value[VALUE_MAX];
	struct write_result written;
	struct write_request write = {
		.operation = WRITE_SET,
		.key = key,
		.key_size = KEY_SIZE,
		.value = value,
		.value_size = request->bytes - KEY_SIZE < VALUE_MAX ? request->bytes - KEY_SIZE : VALUE_MAX,
		.ttl_ms = request->ttl_s * UINT64_C(1000),
	};
	int result = cache_write(&stage->thread, &write, &written);

	for (int attempt = 0; result == -EAGAIN && attempt < 1000; attempt++) {
		reclaim_run(stage->reclaim);
		result = cache_write(&stage->thread, &write, &written);
	}
	return result;
}

static int handle(struct stage *stage, const struct request *request)
{
	char key[KEY_SIZE + 1];
	int result = LARDER_MISS;

	snprintf(key, sizeof key, "key:%012" PRIu32, request->key);
	if (request->operation == REQUEST_GET) {
		result = cache_get(&stage->thread, key, KEY_SIZE, NULL, 0, NULL);
		stage->result.gets++;
		stage->result.misses += result == LARDER_MISS;
	}
	return result == LARDER_MISS ? store(stage, request, key) : 0;
}

static int run_larder(const struct requests *requests, struct stage *stage, struct fault *fault)
{
	int result = stage_open(stage, fault);

	for (size_t i = 0; result == 0 && i < requests->count; i++) {
		if (i % HOUSE_KEEPING_EVERY == 0) {
			set_clock(stage, requests->request[i].time_s);
			reclaim_run(stage->reclaim);
		}
		result = handle(stage, &requests->request[i]);
	}
	return result;
}

static double ratio_of(struct reference_result result)
{
	return result.gets ? (double)result.misses / (double)result.gets : NAN;
}

/* The sequences, and what came of each. */
struct row {
	double larder, reference[REFERENCE_POLICIES];
};

static int measure(enum request_kind kind, size_t count, struct row *row)
{
	struct stage stage = { 0 };
	struct fault fault = { "" };
	struct requests requests;
	int result = requests_make(kind, KEYS, count, &requests);

	if (result)
		return complain(result, "out of memory");
	result = run_larder(&requests, &stage, &fault);
	if (result)
		complain(result, "%s: %s", requests_name(kind), fault.text[0] ? fault.text : strerror(-result));
	row->larder = ratio_of(stage.result);
	stage_close(&stage);
	for (int policy = 0; result == 0 && policy < REFERENCE_POLICIES; policy++) {
		struct reference_result reference;

		result = reference_run(policy, &requests, ARENA_BYTES, OVERHEAD_BYTES, &reference);
		row->reference[policy] = ratio_of(reference);
	}
	requests_destroy(&requests);
	return result;
}

int bench_missratio(const struct bench_options *options)
{
	static char names[REQUEST_KINDS][REFERENCE_POLICIES + 1][48];
	struct report report = { 0 };
	double worst_s3fifo = 0, worst_lru = 0;
	struct row rows[REQUEST_KINDS];

	for (int kind = 0; kind < REQUEST_KINDS; kind++) {
		int result = measure(kind, options->quick ? REQUESTS_QUICK : REQUESTS, &rows[kind]);

		if (result)
			return result;
		worst_s3fifo = fmax(worst_s3fifo, rows[kind].larder / rows[kind].reference[REFERENCE_S3FIFO]);
		worst_lru = fmax(worst_lru, rows[kind].larder / rows[kind].reference[REFERENCE_LRU]);
	}
	report_ratio(&report, "worst_vs_s3fifo_ref", worst_s3fifo, "larder's misses for one of simulated S3-FIFO");
	report_ratio(&report, "worst_vs_lru", worst_lru, "and of simulated LRU; the sequence where it is highest");
	for (int kind = 0; kind < REQUEST_KINDS; kind++) {
		for (int policy = 0; policy <= REFERENCE_POLICIES; policy++) {
			char *name = names[kind][policy];

			snprintf(name, sizeof names[kind][policy], "%s %s", requests_name(kind),
			         policy ? reference_name(policy - 1) : "larder");
			report_ratio(&report, name, policy ? rows[kind].reference[policy - 1] : rows[kind].larder,
			             policy ? "miss ratio, simulated" : "miss ratio");
		}
	}
	report_print(&report, options->json);
	return 0;
}
