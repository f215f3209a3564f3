/* SPDX-License-Identifier: MIT */
/*
 * A log-linear histogram of nanoseconds: every power of two is divided in 32, so a percentile is at most 1/32 too high.
 * Of fixed size and without pointers, so that it may lie in memory shared with the process that reads it.
 */
#ifndef LARDER_DEMO_HISTOGRAM_H
#define LARDER_DEMO_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEP_BITS 5
#define HISTOGRAM_VALUE_BITS 40 /* 18 minutes; longer ones are counted there */
#define HISTOGRAM_BUCKETS ((HISTOGRAM_VALUE_BITS - HISTOGRAM_STEP_BITS + 1) << HISTOGRAM_STEP_BITS)

struct histogram {
	uint64_t count;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t nanoseconds);
void histogram_merge(struct histogram *histogram, const struct histogram *other);

/* The time that per_mille / 10 % of the values did not exceed, rounded up to its bucket's end; 0 when there are none. */
uint64_t histogram_percentile(const struct histogram *histogram, unsigned per_mille);

#endif
