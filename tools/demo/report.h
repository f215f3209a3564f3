/* SPDX-License-Identifier: MIT */
/* What the demo prints: a line of progress now and then, and the table at the end. */
#ifndef LARDER_DEMO_REPORT_H
#define LARDER_DEMO_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "larder.h"
#include "tools/demo/board.h"
#include "tools/demo/counters.h"

/* What the progress line showed last. */
struct progress {
	bool terminal; /* refresh one line rather than add lines */
	uint64_t time_ns, calls, lookups, hits;
};

/* Sums up what the workers show. killed: the tally of a killed worker, not counted; -1: none. */
uint64_t report_calls(const struct board *board, unsigned tallies, int except);
uint64_t report_wrong(const struct board *board, unsigned tallies);
uint64_t report_failed(const struct board *board, unsigned tallies);

void report_progress(struct progress *progress, const struct board *board, unsigned tallies);

/* Ends the progress line, so that something else can be printed. */
void report_break(const struct progress *progress);

/* About the worker that was killed. */
struct report_kill {
	int tally;            /* -1: none was killed */
	double seconds;       /* when */
	uint64_t calls_then;  /* of the others */
	uint64_t calls_after; /* of the others and the successor, from then to the end */
};

struct report {
	const struct board *board;
	unsigned tallies; /* used */
	double seconds;   /* for which the workers worked */
	bool trace;
	const struct larder_stat *stat;
	struct counter_audit audit;
	struct report_kill kill;
};

void report_print(const struct report *report);

#endif
