/* SPDX-License-Identifier: MIT */
/* larder-bench memory: how well memory is used, and how soon it comes back. */
#include "bench/memory.h"

#include <errno.h>

#include "bench/bench.h"
#include "bench/fragmentation.h"
#include "bench/missratio.h"
#include "bench/report.h"

/* Each part with what fits a minute in all, or with more. */
static const struct effort {
	size_t requests;
	unsigned expiry_rounds;
	uint32_t growth_keys;
	const char *growth_arena;
	uint32_t overload_keys;
	const char *expiry_arena;
	uint32_t expiry_seconds; /* to fill it in */
} quick = { 2000000, 6, 4000000, "640M", 1000000, "256M", 4 },
  usual = { 6000000, 12, 8000000, "1280M", 2000000, "1G", 12 },
  full = { 6000000, 40, 40000000, "8G", 4000000, "8G", 90 };

static void report_reads(const struct growth_reads *reads, const char *const names[5], struct report *report)
{
	report_count(report, names[0], reads->reads, "reads that were not interrupted");
	report_count(report, names[1], reads->slow, "of these, of more than 10 times the median");
	report_ratio(report, names[2], reads->worst_ns, "the slowest of these, ns");
	report_count(report, names[3], reads->interrupted, "reads during which the processor did something else");
	report_ratio(report, names[4], reads->worst_any_ns, "the slowest of all, ns");
}

static uint64_t missed_of(const struct growth_result *growth)
{
	return growth->growing.missed + growth->still.missed + growth->filling.missed;
}

static void report_growth(const struct growth_result *growth, struct report *report)
{
	static const char *const growing[] = { "growth_reads", "growth_slow", "growth_slowest_ns", "growth_interrupted",
		                               "growth_slowest_any_ns" };
	static const char *const still[] = { "still_reads", "still_slow", "still_slowest_ns", "still_interrupted",
		                             "still_slowest_any_ns" };

	static const char *const filling[] = { "filling_reads", "filling_slow", "filling_slowest_ns",
		                               "filling_interrupted", "filling_slowest_any_ns" };

	report_count(report, "growth_keys", growth->keys, "keys inserted while another process reads");
	report_count(report, "growth_splits", growth->splits, "segments of the index that became two");
	report_count(report, "growth_turns", growth->turns, "turns of some milliseconds in which the index grew");
	report_count(report, "growth_missed", missed_of(growth), "keys that were there, but not found");
	report_ratio(report, "growth_median_ns", growth->median_ns, "a read");
	report_ratio(
		report, "growth_worst_ns", growth->worst_ns,
		"the longest time reads take more often than while nothing grows, of those that were not interrupted");
	report_ratio(report, "growth_worst_any_ns", growth->worst_any_ns, "the same, of all");
	report_ratio(report, "growth_longest_write_ms", growth->longest_write_ms,
	             "the longest insert, waits for the processor included");
	report_reads(&growth->growing, growing, report);
	report_reads(&growth->still, still, report);
	report_reads(&growth->filling, filling, report);
}

static void report_growth_headline(const struct growth_result *growth, struct report *report)
{
	report_ratio(report, "growth_worst_over_median", growth->worst_ns / growth->median_ns,
	             "growth_worst_ns / growth_median_ns: what growth does to reads");
}

static void report_overload(const struct overload *overload, struct report *report)
{
	report_ratio(report, "overload_rate_ratio", overload->roomy_ns / overload->evicting_ns,
	             "writes where as much is evicted, for one where nothing is");
	report_ratio(report, "overload_set_ns", overload->evicting_ns, "a write there");
	report_ratio(report, "overload_set_p999_ns", overload->evicting_p999_ns, "99.9 % of the writes take at most");
	report_ratio(report, "roomy_set_ns", overload->roomy_ns, "a write where nothing is evicted");
	report_ratio(report, "roomy_set_p999_ns", overload->roomy_p999_ns, "99.9 % of them take at most");
	report_count(report, "overload_refused", overload->refused, "writes for which there was no memory in time");
}

static void report_expiry_headline(const struct expiry *expiry, struct report *report)
{
	report_ratio(report, "expiry_lag_ms", expiry->worst_ms,
	             "from the last end of a life in a segment until it is free");
}

static void report_expiry(const struct expiry *expiry, struct report *report)
{
	report_ratio(report, "expiry_lag_median_ms", expiry->median_ms, "the same, in the middle");
	report_count(report, "expiry_segments", expiry->segments, "segments that it was measured on");
}

static const struct effort *effort_of(const struct bench_options *options)
{
	return options->full ? &full : options->quick ? &quick : &usual;
}

static int judge_growth(const struct growth_result *growth)
{
	return missed_of(growth) ? complain(-EIO, "growth: keys were missed") : 0;
}

static int measure_mass_expiry(const struct effort *effort, struct mass_expiry expiry[2])
{
	static const uint32_t value_sizes[] = { 100, 1000 };
	int result = 0;

	for (int i = 0; result == 0 && i < 2; i++)
		result = mass_expiry_measure(effort->expiry_arena, value_sizes[i], effort->expiry_seconds, &expiry[i]);
	return result;
}

static void report_mass_expiry(const struct mass_expiry expiry[2], struct report *report)
{
	static const char *const names[][4] = {
		{ "mass_expiry_100b_lag_ms", "mass_expiry_100b_objects", "mass_expiry_100b_bytes",
		  "mass_expiry_100b_longest_write_ms" },
		{ "mass_expiry_1k_lag_ms", "mass_expiry_1k_objects", "mass_expiry_1k_bytes",
		  "mass_expiry_1k_longest_write_ms" },
	};

	for (int i = 0; i < 2; i++) {
		report_ratio(report, names[i][0], expiry[i].lag_ms,
		             "until all is free that expired at one moment, while others write");
		report_count(report, names[i][1], expiry[i].objects, "objects that did");
		report_count(report, names[i][2], expiry[i].bytes, "the memory that came back");
		report_ratio(report, names[i][3], expiry[i].longest_write_ms,
		             "the longest write meanwhile, waits for the processor included");
	}
}

int bench_expiry(const struct bench_options *options)
{
	const struct effort *effort = effort_of(options);
	struct report report = { 0 };
	struct expiry expiry;
	struct mass_expiry mass[2];
	int result = expiry_measure(effort->expiry_rounds, &expiry);

	if (result == 0)
		result = measure_mass_expiry(effort, mass);
	if (result)
		return result;
	report_expiry_headline(&expiry, &report);
	report_expiry(&expiry, &report);
	report_mass_expiry(mass, &report);
	report_print(&report, options->json);
	return 0;
}

int bench_growth(const struct bench_options *options)
{
	const struct effort *effort = effort_of(options);
	struct report report = { 0 };
	struct growth_result growth;
	int result = growth_measure(effort->growth_keys, effort->growth_arena, &growth);

	if (result)
		return result;
	report_growth_headline(&growth, &report);
	report_growth(&growth, &report);
	report_print(&report, options->json);
	return judge_growth(&growth);
}

int bench_overload(const struct bench_options *options)
{
	struct report report = { 0 };
	struct overload overload;
	int result = overload_measure(effort_of(options)->overload_keys, &overload);

	if (result)
		return result;
	report_overload(&overload, &report);
	report_print(&report, options->json);
	return 0;
}

int bench_memory(const struct bench_options *options)
{
	const struct effort *effort = effort_of(options);
	static struct missratio missratio;
	struct report report = { 0 };
	struct growth_result growth;
	struct overload overload;
	struct expiry expiry;
	struct mass_expiry mass[2];
	struct fragmentation fragmentation;
	int result = missratio_measure(effort->requests, &missratio);

	if (result == 0)
		result = fragmentation_measure(&fragmentation);
	if (result == 0)
		result = expiry_measure(effort->expiry_rounds, &expiry);
	if (result == 0)
		result = measure_mass_expiry(effort, mass);
	if (result == 0)
		result = growth_measure(effort->growth_keys, effort->growth_arena, &growth);
	if (result == 0)
		result = overload_measure(effort->overload_keys, &overload);
	if (result)
		return result;
	missratio_report_worst(&missratio, &report);
	report_ratio(&report, "utilisation", fragmentation.live,
	             "living objects, of the bytes of a full arena, as of fragmentation");
	report_expiry_headline(&expiry, &report);
	report_growth_headline(&growth, &report);
	report_overload(&overload, &report);
	report_expiry(&expiry, &report);
	report_mass_expiry(mass, &report);
	report_growth(&growth, &report);
	missratio_report_rows(&missratio, &report);
	report_print(&report, options->json);
	if (fragmentation.faults)
		return complain(-EIO, "fragmentation: the arena is damaged");
	return judge_growth(&growth);
}
