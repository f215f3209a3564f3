/* SPDX-License-Identifier: MIT */
/* Miss ratios of larder and of simulated policies on the same requests. */
#ifndef LARDER_BENCH_MISSRATIO_H
#define LARDER_BENCH_MISSRATIO_H

#include "bench/reference.h"
#include "bench/report.h"
#include "bench/requests.h"

struct missratio {
	struct missratio_row {
		char name[32];
		double larder, reference[REFERENCE_POLICIES];
		/* larder's own estimate of the miss ratio that it has (larder stat), NAN: it had too few lookups for one. */
		double estimate;
		char labels[REFERENCE_POLICIES + 2][64]; /* for the report */
	} rows[REQUEST_KINDS];
	uint32_t count;
	double worst_vs_s3fifo, worst_vs_lru;
};

/* The generated sequences. Return: 0 or a negative value; it has complained by then. */
int missratio_measure(size_t requests, struct missratio *ret_missratio);

/* The ratios of the worst, and all of them. missratio must outlive the report. */
void missratio_report_worst(const struct missratio *missratio, struct report *report);
void missratio_report_rows(struct missratio *missratio, struct report *report);

#endif
