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
#include "bench/missratio.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/harness.h"
#include "bench/trace.h"
#include "cache/cache.h"
#include "daemon/reclaim.h"

#define KEYS 2000000u
#define REQUESTS 6000000u
#define REQUESTS_QUICK 2000000u
#define ARENA_BYTES (UINT64_C(128) << 20)
#define TRACE_REQUESTS 10000000u
#define TRACE_SHARE 10 /* the arena has room for one part in so many of a trace's keys */
#define TRACE_ARENA_MIN (UINT64_C(8) << 20)
#define OVERHEAD_BYTES 36
#define KEY_SIZE REQUEST_BYTES_MIN
#define VALUE_MAX TRACE_BYTES_MAX
#define HOUSE_KEEPING_EVERY 256
#define STALL_MS 1000

struct stage {
	struct cache cache;
	struct cache_thread thread;
	struct reclaim *reclaim;
	uint64_t epoch_ns; /* arena time when the requests begin */
	struct reference_result result;
};

static int stage_open(struct stage *stage, uint64_t bytes, struct fault *fault)
{
	struct arena_plan plan = { .access = LARDER_SHARED_WRITE };
	struct arena arena;
	int control_fd = -1, result;
	int arena_fd = arena_memory(bytes, PAGES_SMALL, &plan.page_bytes, fault);

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
	return stage->reclaim ? reclaim_add_client(stage->reclaim, &stage->cache.control) : -ENOMEM;
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

static int erase(struct stage *stage, const char key[KEY_SIZE + 1])
{
	const struct write_request write = { .operation = WRITE_DELETE, .key = key, .key_size = KEY_SIZE };
	struct write_result written;
	int result = cache_write(&stage->thread, &write, &written);

	return result == LARDER_MISS ? 0 : result;
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
	} else if (request->operation == REQUEST_DELETE) {
		return erase(stage, key);
	}
	return result == LARDER_MISS ? store(stage, request, key) : 0;
}

static double estimate_of(const struct stage *stage)
{
	uint64_t misses = load_relaxed(&stage->cache.arena.header->estimate_misses[2]); /* for the memory there is */

	return misses == ESTIMATE_UNKNOWN ? NAN : (double)misses / 1e6;
}

static double ratio_of(struct reference_result result)
{
	return result.gets ? (double)result.misses / (double)result.gets : NAN;
}

static int run_larder(const struct requests *requests, uint64_t bytes, struct missratio_row *row, struct fault *fault)
{
	struct stage stage = { 0 };
	int result = stage_open(&stage, bytes, fault);

	for (size_t i = 0; result == 0 && i < requests->count; i++) {
		if (i == 0 || requests->request[i].time_s != requests->request[i - 1].time_s)
			set_clock(&stage, requests->request[i].time_s);
		if (i % HOUSE_KEEPING_EVERY == 0)
			reclaim_run(stage.reclaim);
		result = handle(&stage, &requests->request[i]);
	}
	if (result == 0) {
		row->larder = ratio_of(stage.result);
		row->estimate = estimate_of(&stage);
	}
	stage_close(&stage);
	return result;
}

static int measure(const char *name, const struct requests *requests, uint64_t bytes, struct missratio_row *row)
{
	struct fault fault = { "" };
	int result = run_larder(requests, bytes, row, &fault);

	snprintf(row->name, sizeof row->name, "%s", name);
	if (result)
		return complain(result, "%s: %s", name, fault.text[0] ? fault.text : strerror(-result));
	for (int policy = 0; result == 0 && policy < REFERENCE_POLICIES; policy++) {
		struct reference_result reference;

		result = reference_run(policy, requests, bytes, OVERHEAD_BYTES, &reference);
		row->reference[policy] = ratio_of(reference);
	}
	return result ? complain(result, "out of memory") : harness_interrupted();
}

static void compare(struct missratio *missratio)
{
	missratio->worst_vs_s3fifo = missratio->worst_vs_lru = 0;
	for (uint32_t i = 0; i < missratio->count; i++) {
		const struct missratio_row *row = &missratio->rows[i];

		missratio->worst_vs_s3fifo = fmax(missratio->worst_vs_s3fifo,
		                                  row->larder / row->reference[REFERENCE_S3FIFO]);
		missratio->worst_vs_lru = fmax(missratio->worst_vs_lru, row->larder / row->reference[REFERENCE_LRU]);
	}
}

int missratio_measure(size_t count, struct missratio *ret_missratio)
{
	int result = 0;

	ret_missratio->count = REQUEST_KINDS;
	for (int kind = 0; result == 0 && kind < REQUEST_KINDS; kind++) {
		struct requests requests;

		result = requests_make(kind, KEYS, count, &requests);
		if (result)
			return complain(result, "out of memory");
		result = measure(requests_name(kind), &requests, ARENA_BYTES, &ret_missratio->rows[kind]);
		requests_destroy(&requests);
	}
	compare(ret_missratio);
	return result;
}

static int measure_trace(const char *path, size_t max, struct missratio *ret_missratio, uint64_t *ret_bytes)
{
	struct requests requests;
	struct trace_facts facts;
	char error[256];
	const char *name = strrchr(path, '/');
	int result = trace_read(path, max, &requests, &facts, error);

	if (result)
		return complain(result, "%s", error);
	if (facts.cut)
		complain(0, "%s: %" PRIu64 " of %zu requests are of objects of more than %u bytes, and cut to that",
		         path, facts.cut, requests.count, TRACE_BYTES_MAX);
	*ret_bytes = facts.distinct_bytes / TRACE_SHARE >> 20 << 20;
	if (*ret_bytes < TRACE_ARENA_MIN)
		*ret_bytes = TRACE_ARENA_MIN;
	ret_missratio->count = 1;
	result = measure(name ? name + 1 : path, &requests, *ret_bytes, &ret_missratio->rows[0]);
	requests_destroy(&requests);
	compare(ret_missratio);
	return result;
}

void missratio_report_worst(const struct missratio *missratio, struct report *report)
{
	report_ratio(report, "worst_vs_s3fifo_ref", missratio->worst_vs_s3fifo,
	             "larder's misses for one of simulated S3-FIFO");
	report_ratio(report, "worst_vs_lru", missratio->worst_vs_lru,
	             "and of simulated LRU; the sequence where it is highest");
}

void missratio_report_rows(struct missratio *missratio, struct report *report)
{
	for (uint32_t i = 0; i < missratio->count; i++) {
		struct missratio_row *row = &missratio->rows[i];

		for (int column = 0; column <= REFERENCE_POLICIES; column++) {
			snprintf(row->labels[column], sizeof row->labels[column], "%s %s", row->name,
			         column ? reference_name(column - 1) : "larder");
			report_ratio(report, row->labels[column], column ? row->reference[column - 1] : row->larder,
			             column ? "miss ratio, simulated" : "miss ratio");
		}
		snprintf(row->labels[REFERENCE_POLICIES + 1], sizeof row->labels[0], "%s estimate", row->name);
		report_ratio(report, row->labels[REFERENCE_POLICIES + 1], row->estimate,
		             "what larder stat estimates for it");
	}
}

int bench_missratio(const struct bench_options *options)
{
	static struct missratio missratio;
	struct report report = { 0 };
	uint64_t bytes = ARENA_BYTES;
	int result;

	if (options->trace)
		result = measure_trace(options->trace, options->count ? options->count : TRACE_REQUESTS, &missratio,
		                       &bytes);
	else
		result = missratio_measure(options->quick ? REQUESTS_QUICK : REQUESTS, &missratio);
	if (result)
		return result;
	missratio_report_worst(&missratio, &report);
	report_count(&report, "arena_bytes", bytes, "memory for larder, and for each policy");
	missratio_report_rows(&missratio, &report);
	report_print(&report, options->json);
	return 0;
}
