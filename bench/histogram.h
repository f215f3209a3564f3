/* SPDX-License-Identifier: MIT */
/* How long single operations took: counts in buckets that are at most 1/32 wide. Fixed memory; may be added together. */
#ifndef LARDER_BENCH_HISTOGRAM_H
#define LARDER_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_FINE_BITS 5
#define HISTOGRAM_FINE (1u << HISTOGRAM_FINE_BITS)
#define HISTOGRAM_BUCKETS (HISTOGRAM_FINE * (41 - HISTOGRAM_FINE_BITS)) /* up to 2^40 ns, some 18 minutes */

struct histogram {
	uint64_t total, largest;
	uint64_t counts[HISTOGRAM_BUCKETS];
};

void histogram_record(struct histogram *histogram, uint64_t ns);
void histogram_add(struct histogram *histogram, const struct histogram *other);

/* The least value that a bucket stands for. */
uint64_t histogram_value(unsigned bucket);

/* The value that a share (0 to 1) of all do not exceed, to the width of a bucket. 0 without any. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

/* How many are larger than a value, to the width of a bucket. */
uint64_t histogram_above(const struct histogram *histogram, double ns);

#endif
