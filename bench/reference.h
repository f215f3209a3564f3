/* SPDX-License-Identifier: MIT */
/* Simulations of textbook eviction policies, to compare larder's miss ratio with. They know of no overhead but what is given. */
#ifndef LARDER_BENCH_REFERENCE_H
#define LARDER_BENCH_REFERENCE_H

#include "bench/requests.h"

enum reference_policy { REFERENCE_LRU, REFERENCE_CLOCK, REFERENCE_S3FIFO, REFERENCE_BELADY, REFERENCE_POLICIES };

struct reference_result {
	uint64_t gets, misses;
};

const char *reference_name(enum reference_policy policy);

/*
 * Runs requests against a cache of so many bytes, of which each object takes overhead bytes besides its key and value.
 * Return: 0 or -ENOMEM.
 */
int reference_run(enum reference_policy policy, const struct requests *requests, uint64_t capacity, uint32_t overhead,
                  struct reference_result *ret_result);

#endif
