/* SPDX-License-Identifier: MIT */
#include "tools/demo/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define MEBIBYTE 1048576.0

static const char *const call_names[CALL_KINDS] = {
	[CALL_GET] = "get",       [CALL_VIEW] = "view", [CALL_MGET] = "mget",       [CALL_ADD] = "add",
	[CALL_SET] = "set",       [CALL_MSET] = "mset", [CALL_REPLACE] = "replace", [CALL_CAS] = "cas",
	[CALL_APPEND] = "append", [CALL_INCR] = "incr", [CALL_TOUCH] = "touch",     [CALL_DELETE] = "delete",
};

uint64_t report_calls(const struct board *board, unsigned tallies, int except)
{
	uint64_t calls = 0;

	for (unsigned i = 0; i < tallies; i++) {
		if ((int)i != except)
			calls += board->tallies[i].shown_calls;
	}
	return calls;
}

uint64_t report_wrong(const struct board *board, unsigned tallies)
{
	uint64_t wrong = 0;

	for (unsigned i = 0; i < tallies; i++)
		wrong += board->tallies[i].wrong;
	return wrong;
}

uint64_t report_failed(const struct board *board, unsigned tallies)
{
	uint64_t failed = 0;

	for (unsigned i = 0; i < tallies; i++)
		failed += board->tallies[i].failed;
	return failed;
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
}

/* ---- progress ---------------------------------------------------------------------------------------------------- */

void report_progress(struct progress *progress, const struct board *board, unsigned tallies)
{
	uint64_t now = board_clock_ns(), calls = report_calls(board, tallies, -1), lookups = 0, hits = 0;
	double span = (double)(now - progress->time_ns) / 1e9;

	for (unsigned i = 0; i < tallies; i++) {
		lookups += board->tallies[i].shown_lookups;
		hits += board->tallies[i].shown_hits;
	}
	printf("%s%5.1f s %12" PRIu64 " calls %10.0f calls/s   hits %5.1f %%   wrong %" PRIu64 "%s",
	       progress->terminal ? "\r" : "", (double)(now - board->start_ns) / 1e9, calls,
	       (double)(calls - progress->calls) / span, percent(hits - progress->hits, lookups - progress->lookups),
	       report_wrong(board, tallies), progress->terminal ? "\033[K" : "\n");
	fflush(stdout);
	progress->time_ns = now;
	progress->calls = calls;
	progress->lookups = lookups;
	progress->hits = hits;
}

void report_break(const struct progress *progress)
{
	if (progress->terminal)
		printf("\n");
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

/* Three digits and a unit. */
static const char *duration(uint64_t nanoseconds, char *text, size_t size)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	double number = (double)nanoseconds;
	unsigned unit = 0;

	while (number >= 1000 && unit < 3) {
		number /= 1000;
		unit++;
	}
	snprintf(text, size, "%.*f %s", unit == 0 || number >= 100 ? 0 : number >= 10 ? 1 : 2, number, units[unit]);
	return text;
}

/* What reading the clock twice costs here: the least of some trials. */
static uint64_t clock_cost_ns(void)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < 1000; i++) {
		uint64_t before = board_clock_ns(), cost = board_clock_ns() - before;

		if (cost < least)
			least = cost;
	}
	return least;
}

static void print_calls(const struct report *report, const struct tally *sum)
{
	char p50[32], p99[32], p999[32];

	printf("\n  %-9s %12s %12s %11s %11s %11s\n", "operation", "calls", "calls/s", "p50", "p99", "p99.9");
	for (unsigned kind = 0; kind < CALL_KINDS; kind++) {
		const struct histogram *latency = &sum->latency[kind];

		if (sum->calls[kind] == 0)
			continue;
		printf("  %-9s %12" PRIu64 " %12.0f %11s %11s %11s\n", call_names[kind], sum->calls[kind],
		       (double)sum->calls[kind] / report->seconds,
		       duration(histogram_percentile(latency, 500), p50, sizeof p50),
		       duration(histogram_percentile(latency, 990), p99, sizeof p99),
		       duration(histogram_percentile(latency, 999), p999, sizeof p999));
	}
	printf("  %-9s %12" PRIu64 " %12.0f\n", "all", sum->total_calls, (double)sum->total_calls / report->seconds);
	printf("  One call of %d is timed from before to after; nothing is subtracted for the clock (%" PRIu64
	       " ns here) or for\n"
	       "  waiting for a processor. What lies between the calls is the demo's own work: making and checking values%s.\n",
	       BOARD_SAMPLE, clock_cost_ns(), report->trace ? ",\n  reading the trace" : "");
}

static void print_results(const struct report *report, const struct tally *sum)
{
	uint64_t reads = sum->calls[CALL_GET] + sum->calls[CALL_VIEW] + sum->calls[CALL_MGET];

	printf("\n  reads     %.1f %% of the calls; %" PRIu64
	       " keys looked up, %.1f %% found; %.0f MiB of values checked\n",
	       percent(reads, sum->total_calls), sum->lookups, percent(sum->hits, sum->lookups),
	       (double)sum->checked_bytes / MEBIBYTE);
	if (!report->trace)
		printf("  views     %" PRIu64
		       " held over later operations and found unchanged when released, unless counted as wrong\n"
		       "  cas       %" PRIu64 " repeated because another process had touched the key\n",
		       sum->held_views, sum->retries);
	if (!report->trace)
		printf("  counters  %" PRIu64 " alive with %" PRIu64 " increments by all workers; %" PRIu64
		       " with a false sum\n",
		       report->audit.counters, report->audit.increments, report->audit.wrong);
	if (report->trace)
		printf("  fills     %" PRIu64 " gets that missed, followed by a set\n", sum->fills);
	if (sum->too_large > 0)
		printf("  too large %" PRIu64 " writes of values that this arena cannot hold\n", sum->too_large);
	printf("  refused   %" PRIu64 " writes that found no room in time\n", sum->refused);
}

static void print_kill(const struct report *report, const struct tally *sum)
{
	static const char *const found[] = {
		[UNFINISHED_NONE] = "found no write unfinished",
		[UNFINISHED_DONE] = "found its last write done, though it was killed before that returned",
		[UNFINISHED_UNDONE] = "found its last write not done, and the value before it whole",
		[UNFINISHED_GONE] = "found no value for the key that it was writing",
	};

	if (report->kill.tally < 0)
		return;
	printf("  killed    worker %d after %.1f s; the others and its successor made %" PRIu64 " calls from then on;\n"
	       "            the successor %s\n",
	       report->kill.tally, report->kill.seconds, report->kill.calls_after, found[sum->unfinished]);
}

static void print_arena(const struct larder_stat *stat)
{
	double page = (double)stat->page_bytes;

	printf("\n  arena     %.0f MiB on %s pages of %.0f KiB; %" PRIu64 " segments of %.0f KiB: %" PRIu64
	       " data, %" PRIu64 " index,\n            %" PRIu64 " free, %" PRIu64 " on their way to free, %" PRIu64
	       " header and tables\n",
	       (double)stat->arena_bytes / MEBIBYTE, stat->page_bytes > 65536 ? "huge" : "ordinary", page / 1024,
	       stat->segments, (double)stat->segment_bytes / 1024, stat->segments_data, stat->segments_index,
	       stat->segments_free, stat->segments_condemned, stat->segments_system);
	printf("  contents  %" PRIu64 " entries: %.1f MiB of keys and values", stat->entries,
	       (double)(stat->key_bytes + stat->value_bytes) / MEBIBYTE);
	if (stat->entries > 0)
		printf(" in %.1f MiB of used memory; the rest, %.1f bytes per entry,\n"
		       "            is headers, index and what was replaced or deleted and is not yet reclaimed",
		       (double)stat->used_bytes / MEBIBYTE,
		       ((double)stat->used_bytes - (double)stat->key_bytes - (double)stat->value_bytes) /
		               (double)stat->entries);
	printf("\n  reclaimed %" PRIu64 " segments whose values had all expired, %" PRIu64 " to make room\n",
	       stat->expired_segments, stat->evicted_segments);
}

void report_print(const struct report *report)
{
	struct tally *sum = calloc(1, sizeof *sum);

	if (sum == NULL)
		return;
	for (unsigned i = 0; i < report->tallies; i++) {
		const struct tally *tally = &report->board->tallies[i];

		for (unsigned kind = 0; kind < CALL_KINDS; kind++) {
			sum->calls[kind] += tally->calls[kind];
			histogram_merge(&sum->latency[kind], &tally->latency[kind]);
		}
		sum->total_calls += tally->total_calls;
		sum->lookups += tally->lookups;
		sum->hits += tally->hits;
		sum->checked_bytes += tally->checked_bytes;
		sum->refused += tally->refused;
		sum->retries += tally->retries;
		sum->held_views += tally->held_views;
		sum->too_large += tally->too_large;
		sum->fills += tally->fills;
		if (tally->unfinished != UNFINISHED_NONE)
			sum->unfinished = tally->unfinished;
	}
	print_calls(report, sum);
	print_results(report, sum);
	print_kill(report, sum);
	print_arena(report->stat);
	printf("\n  wrong values: %" PRIu64 "\n", report_wrong(report->board, report->tallies) + report->audit.wrong);
	if (report_failed(report->board, report->tallies) > 0)
		printf("  failed calls: %" PRIu64 "\n", report_failed(report->board, report->tallies));
	free(sum);
}
