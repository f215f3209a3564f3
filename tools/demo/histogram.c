/* SPDX-License-Identifier: MIT */
#include "tools/demo/histogram.h"

#define STEPS (UINT64_C(1) << HISTOGRAM_STEP_BITS)

/* The first STEPS buckets hold one value each; then each power of two has STEPS buckets. */
static unsigned bucket_of(uint64_t value)
{
	unsigned shift;

	if (value < STEPS)
		return (unsigned)value;
	if (value >> HISTOGRAM_VALUE_BITS)
		return HISTOGRAM_BUCKETS - 1;
	shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_STEP_BITS;
	return (shift << HISTOGRAM_STEP_BITS) + (unsigned)(value >> shift);
}

static uint64_t bucket_end(unsigned bucket)
{
	unsigned shift;

	if (bucket < STEPS)
		return bucket;
	shift = (bucket >> HISTOGRAM_STEP_BITS) - 1;
	return (((bucket & (STEPS - 1)) + STEPS + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t nanoseconds)
{
	histogram->buckets[bucket_of(nanoseconds)]++;
	histogram->count++;
}

void histogram_merge(struct histogram *histogram, const struct histogram *other)
{
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		histogram->buckets[i] += other->buckets[i];
	histogram->count += other->count;
}

uint64_t histogram_percentile(const struct histogram *histogram, unsigned per_mille)
{
	uint64_t wanted = (histogram->count * per_mille + 999) / 1000, below = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		below += histogram->buckets[i];
		if (histogram->buckets[i] != 0 && below >= wanted)
			return bucket_end(i);
	}
	return 0;
}
