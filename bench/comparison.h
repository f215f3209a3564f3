/* SPDX-License-Identifier: MIT */
/*
 * Several systems, each with a crew, and cases that are measured in turns: in every round each case once, in an order that is
 * drawn anew. A system that cannot be had, or fails, is left out, with a word; the others go on.
 */
#ifndef LARDER_BENCH_COMPARISON_H
#define LARDER_BENCH_COMPARISON_H

#include "bench/crew.h"
#include "bench/harness.h"

#define COMPARISON_ENTRANTS_MAX 24

struct comparison_entrant {
	const char *label; /* "larder" must be the first: the others take its page size */
	const char *driver;
	struct driver_setup setup;
	bool running; /* else crew.why says why not */
	struct crew crew;
};

struct comparison {
	size_t count;
	struct comparison_entrant entrant[COMPARISON_ENTRANTS_MAX];
};

struct comparison_case {
	const char *label; /* of the entrant */
	struct crew_order order;
	struct histogram *histogram; /* of single operations, over all rounds; or NULL */

	/* Results. time.median is 0 where it was not measured. */
	struct measurement time; /* of one operation; median: processor time where a worker's says all, else elapsed */
	bool processor;          /* median is processor time */
	double rate;             /* operations of all workers in a second; median over the rounds */
	uint64_t missed;         /* reads of what had been evicted, in all rounds; they cost less than others */
	double samples[3][HARNESS_ROUNDS_MAX]; /* private */
	unsigned sampled;
};

/* Starts what was entered (label, driver, setup). Return: 0, even if some are left out; -EINTR, or what larder said. */
int comparison_open(struct comparison *comparison);
void comparison_close(struct comparison *comparison);

/* The entrant of this label, or NULL. */
const struct comparison_entrant *comparison_find(const struct comparison *comparison, const char *label);

/* Return: 0, even if some were left out; -EINTR. */
int comparison_run(struct comparison *comparison, struct comparison_case *cases, size_t count, unsigned rounds);

/* How many times as long the upper takes as the lower; NaN where one of them was not measured. */
double comparison_ratio(const struct comparison_case *upper, const struct comparison_case *lower);

#endif
