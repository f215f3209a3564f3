/* SPDX-License-Identifier: MIT */
/*
 * What a system under comparison looks like to the harness. A driver is one file in bench/drivers. Its operations hold
 * their loops themselves (bench/drivers/loops.h), so that no call through a pointer is part of what is measured.
 *
 * start and stop run in the parent, before and after all workers; open, run and close in a worker process. So what one
 * system does to its process (threads, allocators, a crash) touches no other.
 */
#ifndef LARDER_BENCH_DRIVER_H
#define LARDER_BENCH_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/machine.h"
#include "bench/workload.h"

#define DRIVER_BATCH 32
#define DRIVER_WHY_BYTES 160

enum driver_operation {
	DRIVER_TOUCH, /* find a value and read its first word where it lies */
	DRIVER_GET,   /* copy a value out */
	DRIVER_GET32, /* copy the values of 32 keys that are known together out; counts are multiples of 32 */
	DRIVER_SET,   /* store a value, seen by everybody when the call returns */
	DRIVER_SET32, /* store 32, in the cheapest way there is; counts are multiples of 32 */
	DRIVER_MIXED, /* get or set, as the stream's dice say */
	DRIVER_OPERATIONS
};

/* What an instance is for. */
struct driver_setup {
	uint32_t keys;
	size_t value_bytes;
	uint64_t page_bytes;   /* which the memory of a table in the process should have */
	const char *pages;     /* larderd's --pages, or NULL */
	const char *directory; /* for sockets and files; emptied and removed by the harness */
	unsigned room_percent; /* of what the entries take larder's arena has so much; 0: as usual */
	unsigned arenas;       /* of driver_larder_arenas */
	unsigned workers;      /* how many processes may open it */
	struct machine_cpus cpus;
};

/* A stretch of a stream. */
struct driver_work {
	enum driver_operation operation;
	unsigned write_percent; /* of DRIVER_MIXED */
	const struct stream *stream;
	size_t first, count;
	size_t value_bytes;
	unsigned char *buffer; /* room for DRIVER_BATCH values that are read */
	unsigned char *value;  /* a value to store; its first word is put there for each key */
};

/* What a driver may measure better than who calls it. */
struct driver_result {
	uint64_t sum;    /* over the first words of what was read or written */
	uint64_t missed; /* reads of what had been evicted; the sum is as if it had not */
	uint64_t own_ns; /* how long it took, or 0: as the caller measures */
};

struct driver {
	const char *name;
	const char *use;     /* how it is used here, in a sentence, for the report */
	unsigned operations; /* 1u << each that it has */
	bool shared;         /* between processes; else it has one worker */
	bool waits; /* for another process: elapsed time tells what it costs, not the client's processor time */

	/* why: where a sentence goes when it cannot. Return: 0 or -errno. */
	int (*start)(const struct driver_setup *setup, void **ret_instance, char why[DRIVER_WHY_BYTES]);
	void (*stop)(void *instance);

	int (*open)(const struct driver_setup *setup, void *instance, void **ret_session, char why[DRIVER_WHY_BYTES]);
	void (*close)(void *session);

	/* Return: 0, a negative value, or an unexpected result of larder.h. */
	int (*run)(void *session, const struct driver_work *work, struct driver_result *ret_result);
};

static inline bool driver_can(const struct driver *driver, enum driver_operation operation)
{
	return (driver->operations & 1u << operation) != 0;
}

/* Built in. */
extern const struct driver driver_larder_shared, driver_larder_read_only, driver_larder_arenas, driver_plain,
	driver_inlined, driver_minimal, driver_memcached, driver_redis, driver_apcu;

/* Of an instance of driver_larder_shared or driver_larder_read_only: the size of the pages under the arena. */
uint64_t driver_larder_page_bytes(const void *instance);

/* The one symbol of a driver that needs a library of its own and so is a shared object: LOADED_DRIVER(name). */
#define DRIVER_SYMBOL "larder_bench_driver"

/* Finds a driver by name, loading it where need be. Return: NULL: why says that it was not built. */
const struct driver *driver_find(const char *name, char why[DRIVER_WHY_BYTES]);

#endif
