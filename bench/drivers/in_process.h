/* SPDX-License-Identifier: MIT */
/*
 * What tables in the process share: nothing to start, and a pool where they keep their entries: one mapping, on pages of the
 * size that larder's arena has. What was replaced waits until a good number has come together, so that one grace period
 * serves all of them, as it would in a program that cares for speed.
 */
#ifndef LARDER_BENCH_DRIVERS_IN_PROCESS_H
#define LARDER_BENCH_DRIVERS_IN_PROCESS_H

#include <errno.h>
#include <stdio.h>

#include "bench/driver.h"

#define POOL_RETIRED 1024
#define POOL_QUIET_EVERY 32 /* operations between two quiescent states that a reader announces */

static inline int in_process_start(const struct driver_setup *setup, void **ret_instance, char why[DRIVER_WHY_BYTES])
{
	(void)setup;
	(void)why;
	*ret_instance = NULL;
	return 0;
}

static inline void in_process_stop(void *instance)
{
	(void)instance;
}

/* Memory for entries, or a sentence about it. */
static inline int in_process_map(const struct driver_setup *setup, uint64_t bytes, struct machine_memory *ret_memory,
                                 char why[DRIVER_WHY_BYTES])
{
	if (machine_memory_map(bytes, setup->page_bytes, ret_memory) == 0)
		return 0;
	snprintf(why, DRIVER_WHY_BYTES, "no %llu MiB of memory on pages of %llu bytes", (unsigned long long)bytes >> 20,
	         (unsigned long long)setup->page_bytes);
	return -ENOMEM;
}

struct pool {
	struct machine_memory memory;
	size_t object_bytes;
	uint64_t taken; /* of the memory, in objects */
	unsigned recyclable, retired;
	void *recycle[POOL_RETIRED], *retire[POOL_RETIRED];
};

static inline int pool_create(const struct driver_setup *setup, size_t object_bytes, struct pool *pool,
                              char why[DRIVER_WHY_BYTES])
{
	const size_t rounded = (object_bytes + 7) / 8 * 8;

	*pool = (struct pool){ .object_bytes = rounded };
	return in_process_map(setup, ((uint64_t)setup->keys + 2 * POOL_RETIRED) * rounded, &pool->memory, why);
}

static inline void pool_destroy(struct pool *pool)
{
	machine_memory_unmap(&pool->memory);
}

static inline void *pool_take(struct pool *pool)
{
	if (pool->recyclable > 0)
		return pool->recycle[--pool->recyclable];
	return (unsigned char *)pool->memory.address + pool->taken++ * pool->object_bytes;
}

/* Return: a grace period is due; pool_recycle after it. */
static inline bool pool_retire(struct pool *pool, void *object)
{
	pool->retire[pool->retired++] = object;
	return pool->retired == POOL_RETIRED;
}

/* What was retired may be taken again. Nothing recyclable is left by then: for each that was retired one was taken. */
static inline void pool_recycle(struct pool *pool)
{
	memcpy(pool->recycle, pool->retire, sizeof pool->recycle);
	pool->recyclable = POOL_RETIRED;
	pool->retired = 0;
}

#endif
