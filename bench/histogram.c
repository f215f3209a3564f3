/* SPDX-License-Identifier: MIT */
#include "bench/histogram.h"

/* Small numbers have a bucket each; above, each power of two is cut into HISTOGRAM_FINE. */
static unsigned bucket_of(uint64_t ns)
{
	unsigned power, bucket;

	if (ns < HISTOGRAM_FINE)
		return (unsigned)ns;
	power = 63 - (unsigned)__builtin_clzll(ns);
	bucket = (power - HISTOGRAM_FINE_BITS + 1) * HISTOGRAM_FINE +
	         (unsigned)(ns >> (power - HISTOGRAM_FINE_BITS) & (HISTOGRAM_FINE - 1));
	return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

uint64_t histogram_value(unsigned bucket)
{
	unsigned power = bucket / HISTOGRAM_FINE;

	if (power == 0)
		return bucket;
	return (uint64_t)(HISTOGRAM_FINE + bucket % HISTOGRAM_FINE) << (power - 1);
}

void histogram_record(struct histogram *histogram, uint64_t ns)
{
	histogram->counts[bucket_of(ns)]++;
	histogram->total++;
	if (ns > histogram->largest)
		histogram->largest = ns;
}

void histogram_add(struct histogram *histogram, const struct histogram *other)
{
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		histogram->counts[i] += other->counts[i];
	histogram->total += other->total;
	if (other->largest > histogram->largest)
		histogram->largest = other->largest;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
	const double wanted = share * (double)histogram->total;
	uint64_t below = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS && histogram->total > 0; i++) {
		below += histogram->counts[i];
		if ((double)below >= wanted && below > 0)
			return histogram_value(i);
	}
	return histogram->largest;
}

uint64_t histogram_above(const struct histogram *histogram, double ns)
{
	uint64_t above = 0;

	for (unsigned i = HISTOGRAM_BUCKETS; i-- > 0 && (double)histogram_value(i) > ns;)
		above += histogram->counts[i];
	return above;
}
