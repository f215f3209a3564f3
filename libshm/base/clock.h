/* SPDX-License-Identifier: MIT */
/* Time. Arena time is CLOCK_MONOTONIC plus an offset kept in the arena: it looks like the wall clock and never jumps. */
#ifndef LARDER_BASE_CLOCK_H
#define LARDER_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_MS UINT64_C(1000000)

/*
 * The coarse clock is CLOCK_MONOTONIC as it was at the last tick of the kernel's timer, at the cost of a few loads instead of reading
 * a hardware counter. A tick lasts COARSE_TICK_MS at most. Late ticks are made up for within some ticks by whichever processor
 * runs, so the clock is never COARSE_LAG_MS behind.
 */
#define COARSE_TICK_MS 10
#define COARSE_LAG_MS 1000

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static inline uint64_t monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static inline uint64_t coarse_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC_COARSE);
}

static inline uint64_t monotonic_ms(void)
{
	return monotonic_ns() / NS_PER_MS;
}

#endif
