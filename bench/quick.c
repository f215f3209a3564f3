/* SPDX-License-Identifier: MIT */
/*
 * larder-bench quick: one million keys of 20 bytes, values of 100, everything that can be had in turns, and the ratios that
 * docs/PERFORMANCE.md explains. One worker's times are of independent keys, uniform and random; rates are of processes that
 * work at once for a while.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"
#include "bench/comparison.h"
#include "bench/report.h"
#include "larder.h"

#define KEYS 1000000u
#define STREAM ((size_t)1 << 20)
#define ROUNDS 3

#define READS ((size_t)1 << 17)
#define WRITES ((size_t)1 << 16)
#define SLOW ((size_t)1 << 13) /* where each takes microseconds */
#define SINGLE ((size_t)1 << 17)
#define TOGETHER_NS UINT64_C(250000000)

#define FEW_KEYS 64u
#define VALUE_LARGE ((size_t)1 << 20)
#define VALUE_MIDDLE ((size_t)1 << 12)

/* ---- cases ------------------------------------------------------------------------------------------------------- */

enum quick_stream { UNIFORM, ZIPF, FEW, STREAMS };

enum quick_case {
	LARDER_TOUCH,
	LARDER_GET,
	LARDER_GET32,
	LARDER_SET,
	LARDER_SINGLE,
	INLINED_TOUCH,
	INLINED_GET,
	INLINED_GET32,
	INLINED_SET,
	FLOOR_TOUCH,
	FLOOR_GET,
	FLOOR_GET32,
	FLOOR_SET,
	MINIMAL_TOUCH,
	MINIMAL_GET,
	LFHT_TOUCH,
	LFHT_GET,
	LFHT_SET,
	RTE_TOUCH,
	RTE_GET,
	RTE_GET32,
	RTE_SET,
	CK_TOUCH,
	CK_GET,
	CK_SET,
	LMDB_TOUCH,
	LMDB_GET,
	LMDB_GET32,
	LMDB_SET,
	MEMCACHED_GET,
	MEMCACHED_GET32,
	MEMCACHED_SET,
	REDIS_GET,
	REDIS_GET32,
	REDIS_SET,
	APCU_GET,
	APCU_GET32,
	APCU_SET,
	FEW_GET,
	FEW_TOUCH,
	FEW_TOUCH_MIDDLE,
	FEW_TOUCH_LARGE,
	READS_1,
	READS_2,
	MIX_1,
	MIX_2,
	ZIPF_1,
	ZIPF_2,
	MEMCACHED_READS_2,
	REDIS_READS_2,
	LMDB_READS_2,
	CASES
};

static const struct {
	const char *name, *label;
	enum driver_operation operation;
	enum quick_stream stream;
	unsigned workers; /* more than 0: at once, for a while */
	size_t operations;
	unsigned write_percent;
	const char *meaning;
} cases[CASES] = {
	[LARDER_TOUCH] = { "larder_view_ns", "larder", DRIVER_TOUCH, UNIFORM, 0, READS, 0,
	                   "view, read a word, release" },
	[LARDER_GET] = { "larder_get_ns", "larder", DRIVER_GET, UNIFORM, 0, READS, 0, "get that copies out" },
	[LARDER_GET32] = { "larder_mget32_ns", "larder", DRIVER_GET32, UNIFORM, 0, READS, 0,
	                   "one key of an mget of 32" },
	[LARDER_SET] = { "larder_set_ns", "larder", DRIVER_SET, UNIFORM, 0, WRITES, 0, "set of a key that is there" },
	[LARDER_SINGLE] = { "larder_get_single_ns", "larder", DRIVER_GET, UNIFORM, 0, SINGLE, 0,
	                    "get, each timed by itself" },
	[FLOOR_TOUCH] = { "floor_touch_ns", "plain-walk", DRIVER_TOUCH, UNIFORM, 0, READS, 0,
	                  "the floor, a word read" },
	[FLOOR_GET] = { "floor_copy_ns", "plain-walk", DRIVER_GET, UNIFORM, 0, READS, 0, "the floor, copied out" },
	[FLOOR_GET32] = { "floor_bulk_ns", "plain-walk", DRIVER_GET32, UNIFORM, 0, READS, 0,
	                  "the floor, 32 at a time" },
	[FLOOR_SET] = { "floor_set_ns", "plain-walk", DRIVER_SET, UNIFORM, 0, WRITES, 0, "the floor of a set" },
	[INLINED_TOUCH] = { "inlined_touch_ns", "inlined-walk", DRIVER_TOUCH, UNIFORM, 0, READS, 0,
	                    "inlined walk, a word read" },
	[INLINED_GET] = { "inlined_copy_ns", "inlined-walk", DRIVER_GET, UNIFORM, 0, READS, 0,
	                  "inlined walk, copied out" },
	[INLINED_GET32] = { "inlined_bulk_ns", "inlined-walk", DRIVER_GET32, UNIFORM, 0, READS, 0,
	                    "inlined walk, 32 at a time" },
	[INLINED_SET] = { "inlined_set_ns", "inlined-walk", DRIVER_SET, UNIFORM, 0, WRITES, 0,
	                  "inlined walk, replace" },
	[MINIMAL_TOUCH] = { "minimal_touch_ns", "minimal-floor", DRIVER_TOUCH, UNIFORM, 0, READS, 0,
	                    "minimal floor, a word read" },
	[MINIMAL_GET] = { "minimal_copy_ns", "minimal-floor", DRIVER_GET, UNIFORM, 0, READS, 0,
	                  "minimal floor, copied out" },
	[LFHT_TOUCH] = { "lfht_touch_ns", "lfht", DRIVER_TOUCH, UNIFORM, 0, READS, 0, "cds_lfht, a word read" },
	[LFHT_GET] = { "lfht_get_ns", "lfht", DRIVER_GET, UNIFORM, 0, READS, 0, "cds_lfht, copied out" },
	[LFHT_SET] = { "lfht_set_ns", "lfht", DRIVER_SET, UNIFORM, 0, WRITES, 0, "cds_lfht, replace" },
	[RTE_TOUCH] = { "rte_hash_touch_ns", "rte_hash", DRIVER_TOUCH, UNIFORM, 0, READS, 0, "rte_hash, a word read" },
	[RTE_GET] = { "rte_hash_get_ns", "rte_hash", DRIVER_GET, UNIFORM, 0, READS, 0, "rte_hash, copied out" },
	[RTE_GET32] = { "rte_hash_bulk_ns", "rte_hash", DRIVER_GET32, UNIFORM, 0, READS, 0,
	                "rte_hash, bulk of 32, copied out" },
	[RTE_SET] = { "rte_hash_set_ns", "rte_hash", DRIVER_SET, UNIFORM, 0, WRITES, 0, "rte_hash, replace" },
	[CK_TOUCH] = { "ck_ht_touch_ns", "ck_ht", DRIVER_TOUCH, UNIFORM, 0, READS, 0, "ck_ht, a word read" },
	[CK_GET] = { "ck_ht_get_ns", "ck_ht", DRIVER_GET, UNIFORM, 0, READS, 0, "ck_ht, copied out" },
	[CK_SET] = { "ck_ht_set_ns", "ck_ht", DRIVER_SET, UNIFORM, 0, WRITES, 0, "ck_ht, replace" },
	[LMDB_TOUCH] = { "lmdb_touch_ns", "lmdb", DRIVER_TOUCH, UNIFORM, 0, WRITES, 0, "LMDB, a word read" },
	[LMDB_GET] = { "lmdb_get_ns", "lmdb", DRIVER_GET, UNIFORM, 0, WRITES, 0, "LMDB, copied out" },
	[LMDB_GET32] = { "lmdb_get32_ns", "lmdb", DRIVER_GET32, UNIFORM, 0, WRITES, 0, "LMDB, 32 in a transaction" },
	[LMDB_SET] = { "lmdb_set_ns", "lmdb", DRIVER_SET, UNIFORM, 0, SLOW, 0, "LMDB, one transaction each" },
	[MEMCACHED_GET] = { "memcached_get_ns", "memcached", DRIVER_GET, UNIFORM, 0, SLOW, 0, "memcached, mg" },
	[MEMCACHED_GET32] = { "memcached_get32_ns", "memcached", DRIVER_GET32, UNIFORM, 0, WRITES, 0,
	                      "memcached, get of 32 keys" },
	[MEMCACHED_SET] = { "memcached_set_ns", "memcached", DRIVER_SET, UNIFORM, 0, SLOW, 0, "memcached, ms" },
	[REDIS_GET] = { "redis_get_ns", "redis", DRIVER_GET, UNIFORM, 0, SLOW, 0, "Redis, GET" },
	[REDIS_GET32] = { "redis_get32_ns", "redis", DRIVER_GET32, UNIFORM, 0, WRITES, 0, "Redis, MGET of 32 keys" },
	[REDIS_SET] = { "redis_set_ns", "redis", DRIVER_SET, UNIFORM, 0, SLOW, 0, "Redis, SET" },
	[APCU_GET] = { "apcu_get_ns", "apcu", DRIVER_GET, UNIFORM, 0, WRITES, 0, "APCu, apcu_fetch" },
	[APCU_GET32] = { "apcu_get32_ns", "apcu", DRIVER_GET32, UNIFORM, 0, WRITES, 0, "APCu, apcu_fetch of 32 keys" },
	[APCU_SET] = { "apcu_set_ns", "apcu", DRIVER_SET, UNIFORM, 0, WRITES, 0, "APCu, apcu_store" },
	[FEW_GET] = { "few_get_ns", "larder-few", DRIVER_GET, FEW, 0, READS, 0, "get, 64 values of 100 bytes" },
	[FEW_TOUCH] = { "few_view_100_ns", "larder-few", DRIVER_TOUCH, FEW, 0, READS, 0,
	                "view, 64 values of 100 bytes" },
	[FEW_TOUCH_MIDDLE] = { "few_view_4k_ns", "larder-few-4k", DRIVER_TOUCH, FEW, 0, READS, 0,
	                       "view, 64 values of 4 KiB" },
	[FEW_TOUCH_LARGE] = { "few_view_1m_ns", "larder-few-1m", DRIVER_TOUCH, FEW, 0, READS, 0,
	                      "view, 64 values of 1 MiB" },
	[READS_1] = { "reads_1", "larder", DRIVER_GET, UNIFORM, 1, 0, 0, "gets, one process" },
	[READS_2] = { "reads_2", "larder", DRIVER_GET, UNIFORM, 2, 0, 0, "gets, two processes" },
	[MIX_1] = { "mix_95_5_1", "larder", DRIVER_MIXED, UNIFORM, 1, 0, 5, "95 gets to 5 sets, one process" },
	[MIX_2] = { "mix_95_5_2", "larder", DRIVER_MIXED, UNIFORM, 2, 0, 5, "95 gets to 5 sets, two processes" },
	[ZIPF_1] = { "zipf_95_5_1", "larder", DRIVER_MIXED, ZIPF, 1, 0, 5, "the same, zipf, one process" },
	[ZIPF_2] = { "zipf_95_5_2", "larder", DRIVER_MIXED, ZIPF, 2, 0, 5, "the same, zipf, two processes" },
	[MEMCACHED_READS_2] = { "memcached_reads_2", "memcached", DRIVER_GET, UNIFORM, 2, 0, 0,
	                        "memcached, two clients" },
	[REDIS_READS_2] = { "redis_reads_2", "redis", DRIVER_GET, UNIFORM, 2, 0, 0, "Redis, two clients" },
	[LMDB_READS_2] = { "lmdb_reads_2", "lmdb", DRIVER_GET, UNIFORM, 2, 0, 0, "LMDB, two processes" },
};

struct quick {
	const struct bench_options *options;
	unsigned rounds;
	uint32_t keys;
	struct machine_cpus cpus;
	struct stream streams[STREAMS];
	struct histogram single;
	struct comparison comparison;
	struct comparison_case cases[CASES];
};

static void enter(struct quick *quick, const char *label, const char *driver, uint32_t keys, size_t value_bytes,
                  unsigned workers)
{
	quick->comparison.entrant[quick->comparison.count++] = (struct comparison_entrant){
		.label = label,
		.driver = driver,
		.setup = {
			.keys = keys,
			.value_bytes = value_bytes,
			.pages = quick->options->pages,
			.workers = workers,
			.cpus = quick->cpus,
		},
	};
}

static void enter_all(struct quick *quick)
{
	static const char *const in_process[] = { "plain-walk", "inlined-walk", "minimal-floor", "lfht",
		                                  "rte_hash",   "ck_ht",        "apcu" };
	static const char *const shared[] = { "lmdb", "memcached", "redis" };

	enter(quick, "larder", "larder", quick->keys, VALUE_BYTES, 2);
	for (size_t i = 0; i < sizeof in_process / sizeof in_process[0]; i++)
		enter(quick, in_process[i], in_process[i], quick->keys, VALUE_BYTES, 1);
	for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++)
		enter(quick, shared[i], shared[i], quick->keys, VALUE_BYTES, 2);
	enter(quick, "larder-few", "larder", FEW_KEYS, VALUE_BYTES, 1);
	enter(quick, "larder-few-4k", "larder", FEW_KEYS, VALUE_MIDDLE, 1);
	enter(quick, "larder-few-1m", "larder", FEW_KEYS, VALUE_LARGE, 1);
}

static void plan(struct quick *quick)
{
	for (int i = 0; i < CASES; i++) {
		quick->cases[i] = (struct comparison_case){
			.label = cases[i].label,
			.histogram = i == LARDER_SINGLE ? &quick->single : NULL,
			.order = {
				.operation = cases[i].operation,
				.write_percent = cases[i].write_percent,
				.workers = cases[i].workers > 0 ? cases[i].workers : 1,
				.stream = &quick->streams[cases[i].stream],
				.warm = cases[i].workers > 0 ? SLOW : cases[i].operations / 4,
				.operations = cases[i].operations,
				.duration_ns = TOGETHER_NS,
				.single = i == LARDER_SINGLE,
			},
		};
	}
}

/* ---- what comes out ---------------------------------------------------------------------------------------------- */

static double ratio(const struct quick *quick, enum quick_case upper, enum quick_case lower)
{
	return comparison_ratio(&quick->cases[upper], &quick->cases[lower]);
}

/* NaN where the lower was not measured. */
static double rate_ratio(const struct quick *quick, enum quick_case upper, enum quick_case lower)
{
	return quick->cases[lower].rate > 0 ? quick->cases[upper].rate / quick->cases[lower].rate : NAN;
}

/* fmin and fmax pass over what was not measured. */
static double view_any_size(const struct quick *quick)
{
	return fmax(ratio(quick, FEW_TOUCH, FEW_GET),
	            fmax(ratio(quick, FEW_TOUCH_MIDDLE, FEW_GET), ratio(quick, FEW_TOUCH_LARGE, FEW_GET)));
}

static void print_ratios(const struct quick *quick, struct report *report)
{
	const struct {
		const char *name;
		double value;
		const char *meaning;
	} rows[] = {
		{ "get_touch_vs_floor", ratio(quick, LARDER_TOUCH, FLOOR_TOUCH), "larder_view_ns / floor_touch_ns" },
		{ "get_copy_vs_floor", ratio(quick, LARDER_GET, FLOOR_GET), "larder_get_ns / floor_copy_ns" },
		{ "get_touch_vs_inlined", ratio(quick, LARDER_TOUCH, INLINED_TOUCH),
		  "larder_view_ns / inlined_touch_ns" },
		{ "get_copy_vs_inlined", ratio(quick, LARDER_GET, INLINED_GET), "larder_get_ns / inlined_copy_ns" },
		{ "get_touch_vs_minimal", ratio(quick, LARDER_TOUCH, MINIMAL_TOUCH),
		  "larder_view_ns / minimal_touch_ns" },
		{ "get_copy_vs_minimal", ratio(quick, LARDER_GET, MINIMAL_GET), "larder_get_ns / minimal_copy_ns" },
		{ "get_vs_lfht", ratio(quick, LARDER_GET, LFHT_GET), "larder_get_ns / lfht_get_ns" },
		{ "get_vs_rte_hash", ratio(quick, LARDER_GET, RTE_GET), "larder_get_ns / rte_hash_get_ns" },
		{ "get_vs_ck_ht", ratio(quick, LARDER_GET, CK_GET), "larder_get_ns / ck_ht_get_ns" },
		{ "view_vs_lfht", ratio(quick, LARDER_TOUCH, LFHT_TOUCH), "larder_view_ns / lfht_touch_ns" },
		{ "view_vs_rte_hash", ratio(quick, LARDER_TOUCH, RTE_TOUCH), "larder_view_ns / rte_hash_touch_ns" },
		{ "view_vs_ck_ht", ratio(quick, LARDER_TOUCH, CK_TOUCH), "larder_view_ns / ck_ht_touch_ns" },
		{ "mget32_vs_bulk_floor", ratio(quick, LARDER_GET32, FLOOR_GET32), "larder_mget32_ns / floor_bulk_ns" },
		{ "mget32_vs_rte_bulk", ratio(quick, LARDER_GET32, RTE_GET32), "larder_mget32_ns / rte_hash_bulk_ns" },
		{ "view_any_size_vs_get", view_any_size(quick), "the dearest of few_view_... / few_get_ns" },
		{ "set_vs_floor_set", ratio(quick, LARDER_SET, FLOOR_SET), "larder_set_ns / floor_set_ns" },
		{ "set_vs_lfht", ratio(quick, LARDER_SET, LFHT_SET), "larder_set_ns / lfht_set_ns" },
		{ "set_vs_rte_hash", ratio(quick, LARDER_SET, RTE_SET), "larder_set_ns / rte_hash_set_ns" },
		{ "set_vs_ck_ht", ratio(quick, LARDER_SET, CK_SET), "larder_set_ns / ck_ht_set_ns" },
		{ "set_vs_lmdb", ratio(quick, LMDB_SET, LARDER_SET), "lmdb_set_ns / larder_set_ns" },
		{ "set_vs_redis", ratio(quick, REDIS_SET, LARDER_SET), "redis_set_ns / larder_set_ns" },
		{ "set_vs_memcached", ratio(quick, MEMCACHED_SET, LARDER_SET), "memcached_set_ns / larder_set_ns" },
		{ "get_vs_memcached", ratio(quick, MEMCACHED_GET, LARDER_GET), "memcached_get_ns / larder_get_ns" },
		{ "get_vs_redis", ratio(quick, REDIS_GET, LARDER_GET), "redis_get_ns / larder_get_ns" },
		{ "mget32_vs_pipelined32",
		  fmin(ratio(quick, MEMCACHED_GET32, LARDER_GET32), ratio(quick, REDIS_GET32, LARDER_GET32)),
		  "the faster of memcached_get32_ns and redis_get32_ns / larder_mget32_ns" },
		{ "two_clients_vs_servers",
		  fmin(rate_ratio(quick, READS_2, MEMCACHED_READS_2), rate_ratio(quick, READS_2, REDIS_READS_2)),
		  "reads_2 / the faster of memcached_reads_2 and redis_reads_2" },
		{ "get_vs_lmdb", ratio(quick, LMDB_GET, LARDER_GET), "lmdb_get_ns / larder_get_ns" },
		{ "get_vs_apcu", ratio(quick, APCU_GET, LARDER_GET), "apcu_get_ns / larder_get_ns" },
		{ "two_process_scaling_reads", rate_ratio(quick, READS_2, READS_1), "reads_2 / reads_1" },
		{ "two_process_scaling_95_5", rate_ratio(quick, MIX_2, MIX_1), "mix_95_5_2 / mix_95_5_1" },
		{ "two_process_scaling_95_5_zipf", rate_ratio(quick, ZIPF_2, ZIPF_1), "zipf_95_5_2 / zipf_95_5_1" },
		{ "get_p999_vs_p50",
		  (double)histogram_quantile(&quick->single, 0.999) / (double)histogram_quantile(&quick->single, 0.5),
		  "of single gets" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		report_ratio(report, rows[i].name, rows[i].value, rows[i].meaning);
}

static void print(const struct quick *quick)
{
	static struct report report;
	uint64_t missed = 0;
	char cpu_model[96];

	report_text(&report, "benchmark", "quick", "larder beside what else could be used");
	print_ratios(quick, &report);
	for (int i = 0; i < CASES; i++)
		if (cases[i].workers == 0)
			report_time(&report, cases[i].name,
			            quick->cases[i].time.median > 0 ? &quick->cases[i].time : NULL, cases[i].meaning);
	for (int i = 0; i < CASES; i++)
		if (cases[i].workers > 0)
			report_count(&report, cases[i].name, (uint64_t)quick->cases[i].rate, cases[i].meaning);
	report_count(&report, "larder_get_p50_ns", histogram_quantile(&quick->single, 0.5), "of single gets");
	report_count(&report, "larder_get_p99_ns", histogram_quantile(&quick->single, 0.99), "of single gets");
	report_count(&report, "larder_get_p999_ns", histogram_quantile(&quick->single, 0.999), "of single gets");
	for (int i = 0; i < CASES; i++)
		missed += quick->cases[i].missed;
	report_count(&report, "missed", missed, "reads of what had been evicted");
	machine_cpu_model(cpu_model, sizeof cpu_model);
	report_count(&report, "keys", quick->keys, "entries, keys of 20 bytes, values of 100");
	report_count(&report, "rounds", quick->rounds, "behind each median");
	report_count(&report, "page_bytes", quick->comparison.entrant[0].setup.page_bytes,
	             "page size of arena and tables");
	report_text(&report, "larderd_cpu", quick->cpus.shared ? "the same" : "another", "where larderd ran");
	report_text(&report, "cpu_model", cpu_model, "processor");
	report_text(&report, "larder_version", larder_version(), "version of the library");
	report_print(&report, quick->options->json);
}

int bench_quick(const struct bench_options *options)
{
	static struct quick quick;
	int result = machine_choose(&quick.cpus);

	quick.options = options;
	quick.keys = options->keys > 0 ? (uint32_t)options->keys : KEYS;
	quick.rounds = options->rounds > 0 ? options->rounds : ROUNDS;
	if (result == 0)
		result = stream_create(STREAM_UNIFORM, 0, quick.keys, STREAM, NULL, &quick.streams[UNIFORM]);
	if (result == 0)
		result = stream_create(STREAM_ZIPF, 0, quick.keys, STREAM, NULL, &quick.streams[ZIPF]);
	if (result == 0)
		result = stream_create(STREAM_UNIFORM, 0, FEW_KEYS, STREAM, NULL, &quick.streams[FEW]);
	if (result != 0)
		return complain(result, "cannot begin: %s", larder_strerror(result));
	enter_all(&quick);
	plan(&quick);
	result = comparison_open(&quick.comparison);
	if (result == 0)
		result = comparison_run(&quick.comparison, quick.cases, CASES, quick.rounds);
	if (result == 0)
		print(&quick);
	comparison_close(&quick.comparison);
	for (int i = 0; i < STREAMS; i++)
		stream_destroy(&quick.streams[i]);
	return result;
}
