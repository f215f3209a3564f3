/* SPDX-License-Identifier: MIT */
/* What a lookup of an out-of-line value has to cost here; see driver_floor.c. Run functions of a bench_case. */
#ifndef LARDER_BENCH_DRIVER_FLOOR_H
#define LARDER_BENCH_DRIVER_FLOOR_H

#include <stddef.h>
#include <stdint.h>

#include "bench/machine.h"
#include "bench/plain_table.h"
#include "bench/workload.h"

struct driver_floor {
	const struct stream *stream;
	struct machine_memory memory;
	struct plain_table table;
	uint8_t *hints; /* for each key of the stream: where the index has its object; for the minimal floor */
	unsigned char chained[KEY_BYTES + 1]; /* where the chain stands: key and hint */
};

/* Bytes of memory for so many keys. */
uint64_t driver_floor_bytes(uint32_t keys);

/*
 * Stores the workload's entries in memory of this page size, in ascending order. The stream's ids must be among them.
 * Return: 0; -ENOMEM: no memory on such pages; -ERANGE: a line has so many overflows that a hint cannot tell.
 */
int driver_floor_create(const struct workload *workload, const struct stream *stream, uint64_t page_bytes,
                        struct driver_floor *ret_floor);
void driver_floor_destroy(struct driver_floor *floor);

/* The plain walk. touch reads the first word of the value in place instead of copying it: the floor of a view. */
int driver_floor_get(void *context, size_t first, size_t count, uint64_t *ret_sum);
int driver_floor_get_chained(void *context, size_t first, size_t count, uint64_t *ret_sum);
int driver_floor_touch(void *context, size_t first, size_t count, uint64_t *ret_sum);
int driver_floor_mget(void *context, size_t first, size_t count, uint64_t *ret_sum); /* multiples of PLAIN_BATCH_MAX */

/* The minimal floor. */
int driver_floor_minimal_get(void *context, size_t first, size_t count, uint64_t *ret_sum);
int driver_floor_minimal_get_chained(void *context, size_t first, size_t count, uint64_t *ret_sum);
int driver_floor_minimal_touch(void *context, size_t first, size_t count, uint64_t *ret_sum);

#endif
