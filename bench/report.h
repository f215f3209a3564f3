/* SPDX-License-Identifier: MIT */
/* What a subcommand found out, in the order in which it says so; printed as a table or as one JSON object. */
#ifndef LARDER_BENCH_REPORT_H
#define LARDER_BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/harness.h"

#define REPORT_ROWS_MAX 160

enum report_kind { REPORT_RATIO, REPORT_TIME, REPORT_COUNT, REPORT_TEXT };

struct report_row {
	enum report_kind kind;
	const char *name;        /* the JSON name */
	const char *meaning;     /* for the table */
	struct measurement time; /* median 0: was not measured; null in JSON */
	double ratio;            /* not finite: not to be had; null in JSON */
	uint64_t count;
	char text[96];
};

struct report {
	size_t rows;
	struct report_row row[REPORT_ROWS_MAX];
};

/* Names and meanings must outlive the report. time may be NULL: was not measured. */
void report_ratio(struct report *report, const char *name, double ratio, const char *meaning);
void report_time(struct report *report, const char *name, const struct measurement *time, const char *meaning);
void report_count(struct report *report, const char *name, uint64_t count, const char *meaning);
void report_text(struct report *report, const char *name, const char *text, const char *meaning);

/* A time becomes three JSON members: name, name_spread, name_wall. */
void report_print(const struct report *report, bool json);

#endif
