/* SPDX-License-Identifier: MIT */
/*
 * Whether one thing makes operations slower than another, on a machine that does other things besides. Both are measured in turns, short
 * enough that there are many and that what the machine does meets both alike; and what it does in one turn counts once, however many operations
 * of it were slow. So a single turn shows nothing, and what happens in many turns of the one and in few of the other shows.
 */
#ifndef LARDER_BENCH_CONTRAST_H
#define LARDER_BENCH_CONTRAST_H

#include "bench/histogram.h"

struct contrast {
	double these, those; /* operations, in all turns together */
	struct {
		double these, those;                          /* that took at least a bucket's value */
		double these_squared, those_squared, product; /* of each turn, added up */
	} tails[HISTOGRAM_BUCKETS];
};

/* One more turn of each, or of one of them, if there are none of the other. */
void contrast_add(struct contrast *contrast, const struct histogram *these, const struct histogram *those);

/*
 * The longest time that is reached more often in these than in those, were there as many of both, by more than four
 * standard errors, which the turns themselves tell; 0: there is none. So it must be so in 16 turns at the least.
 */
uint64_t contrast_excess(const struct contrast *contrast);

#endif
