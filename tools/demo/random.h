/* SPDX-License-Identifier: MIT */
/* A small generator of random numbers (splitmix64: any seed will do), and its mixing step as a hash of integers. */
#ifndef LARDER_DEMO_RANDOM_H
#define LARDER_DEMO_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

static inline uint64_t random_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static inline uint64_t random_next(uint64_t *state)
{
	*state += UINT64_C(0x9e3779b97f4a7c15);
	return random_mix(*state);
}

/* In [0, limit). */
static inline uint32_t random_below(uint64_t *state, uint32_t limit)
{
	return (uint32_t)(((random_next(state) >> 32) * limit) >> 32);
}

/* In [0, 1). */
static inline double random_unit(uint64_t bits)
{
	return (double)(bits >> 11) * 0x1p-53;
}

static inline bool random_percent(uint64_t *state, uint32_t percent)
{
	return random_below(state, 100) < percent;
}

#endif
