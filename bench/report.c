/* SPDX-License-Identifier: MIT */
#include "bench/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"
#include "bench/json.h"

static struct report_row *add(struct report *report, enum report_kind kind, const char *name, const char *meaning)
{
	struct report_row *row = &report->row[report->rows];

	if (report->rows == REPORT_ROWS_MAX)
		abort(); /* a mistake in this program */
	report->rows++;
	*row = (struct report_row){ .kind = kind, .name = name, .meaning = meaning };
	return row;
}

void report_ratio(struct report *report, const char *name, double ratio, const char *meaning)
{
	add(report, REPORT_RATIO, name, meaning)->ratio = ratio;
}

void report_time(struct report *report, const char *name, const struct measurement *time, const char *meaning)
{
	struct report_row *row = add(report, REPORT_TIME, name, meaning);

	if (time)
		row->time = *time;
}

void report_count(struct report *report, const char *name, uint64_t count, const char *meaning)
{
	add(report, REPORT_COUNT, name, meaning)->count = count;
}

void report_text(struct report *report, const char *name, const char *text, const char *meaning)
{
	struct report_row *row = add(report, REPORT_TEXT, name, meaning);

	snprintf(row->text, sizeof row->text, "%s", text);
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

static void print_json_row(const struct report_row *row)
{
	printf("\"%s\": ", row->name);
	switch (row->kind) {
	case REPORT_RATIO:
		if (isfinite(row->ratio))
			printf("%.3f", row->ratio);
		else
			printf("null");
		break;
	case REPORT_TIME:
		if (row->time.median > 0)
			printf("%.2f, \"%s_spread\": %.3f, \"%s_wall\": %.2f", row->time.median, row->name,
			       row->time.spread, row->name, row->time.wall);
		else
			printf("null, \"%s_spread\": null, \"%s_wall\": null", row->name, row->name);
		break;
	case REPORT_COUNT:
		printf("%" PRIu64, row->count);
		break;
	case REPORT_TEXT:
		json_write_text(row->text);
		break;
	}
}

/* ---- table ------------------------------------------------------------------------------------------------------- */

static void print_table_row(const struct report_row *row)
{
	switch (row->kind) {
	case REPORT_RATIO:
		if (isfinite(row->ratio))
			printf("%-26s %10.3f  %s\n", row->name, row->ratio, row->meaning);
		else
			printf("%-26s %10s  %s\n", row->name, "-", row->meaning);
		break;
	case REPORT_TIME:
		if (row->time.median > 0)
			printf("%-26s %10.1f %8.1f %% %10.1f  %s\n", row->name, row->time.median,
			       row->time.spread * 100, row->time.wall, row->meaning);
		else
			printf("%-26s %10s %10s %10s  %s\n", row->name, "-", "-", "-", row->meaning);
		break;
	case REPORT_COUNT:
		printf("%-26s %10" PRIu64 "  %s\n", row->name, row->count, row->meaning);
		break;
	case REPORT_TEXT:
		printf("%-26s %s  (%s)\n", row->name, row->text, row->meaning);
		break;
	}
}

void report_print(const struct report *report, bool json)
{
	for (size_t i = 0; i < report->rows; i++) {
		const struct report_row *row = &report->row[i];
		bool first_time = row->kind == REPORT_TIME && (i == 0 || row[-1].kind != REPORT_TIME);

		if (json) {
			printf("%s", i == 0 ? "{ " : ", ");
			print_json_row(row);
			continue;
		}
		if (first_time)
			printf("\n%-26s %10s %10s %10s\n", "", "median ns", "spread", "wall ns");
		print_table_row(row);
		if (row->kind == REPORT_TIME && i + 1 < report->rows && row[1].kind != REPORT_TIME)
			putchar('\n');
	}
	if (json)
		puts(" }");
}
