/* SPDX-License-Identifier: MIT */
/* The least a lookup of an out-of-line value can cost here; see driver_floor.c. Run functions of a bench_case. */
#ifndef LARDER_BENCH_DRIVER_FLOOR_H
#define LARDER_BENCH_DRIVER_FLOOR_H

#include <stddef.h>
#include <stdint.h>

#include "bench/machine.h"
#include "bench/workload.h"

struct driver_floor {
	const struct workload *workload;
	const struct stream *stream;
	struct machine_memory memory;
	uint64_t *slots; /* SLOTS_PER_LINE in a line: where an object begins in objects; 0: empty */
	unsigned char *objects;
	uint64_t line_mask;
	uint8_t *steps; /* for each key of the stream: its slot, counted from the first of its line */
	unsigned char chained[KEY_BYTES + 1]; /* where the chain stands: key and steps */
};

/* Bytes of memory for so many keys. */
uint64_t driver_floor_bytes(uint32_t keys);

/*
 * Stores the workload's entries in memory of this page size, in ascending order. The stream's ids must be among them.
 * Return: 0; -ENOMEM: no memory on such pages; -ERANGE: a line has so many overflows that steps cannot hold them.
 */
int driver_floor_create(const struct workload *workload, const struct stream *stream, uint64_t page_bytes,
                        struct driver_floor *ret_floor);
void driver_floor_destroy(struct driver_floor *floor);

int driver_floor_get(void *context, size_t first, size_t count, uint64_t *ret_sum);
int driver_floor_get_chained(void *context, size_t first, size_t count, uint64_t *ret_sum);

/* As get, but reads the first word of the value in place instead of copying it: the floor of a view. */
int driver_floor_touch(void *context, size_t first, size_t count, uint64_t *ret_sum);

#endif
