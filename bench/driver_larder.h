/* SPDX-License-Identifier: MIT */
/* larder, through its public API: each operation as the run function of a bench_case. */
#ifndef LARDER_BENCH_DRIVER_LARDER_H
#define LARDER_BENCH_DRIVER_LARDER_H

#include <stddef.h>
#include <stdint.h>

#include "bench/workload.h"
#include "larder.h"

#define MGET_KEYS 32

/* The context of the run functions. */
struct driver_larder {
	larder *cache;
	const struct stream *stream;
	uint64_t ttl_ms;                  /* of what is stored; 0: does not expire */
	unsigned char chained[KEY_BYTES]; /* where the chain stands */
};

/* Reads. Their sum is that of the numbers in the values. */
int driver_larder_get(void *context, size_t first, size_t count, uint64_t *ret_sum);
int driver_larder_get_chained(void *context, size_t first, size_t count, uint64_t *ret_sum); /* of 100-byte values */
int driver_larder_view(void *context, size_t first, size_t count, uint64_t *ret_sum);
int driver_larder_mget(void *context, size_t first, size_t count, uint64_t *ret_sum); /* multiples of MGET_KEYS */

/* Lookups of keys that are not there. The sum counts the misses. */
int driver_larder_miss(void *context, size_t first, size_t count, uint64_t *ret_sum);

/* Writes. The sum counts the successes. set needs a stream with values. */
int driver_larder_set(void *context, size_t first, size_t count, uint64_t *ret_sum);
int driver_larder_incr(void *context, size_t first, size_t count, uint64_t *ret_sum);

#endif
