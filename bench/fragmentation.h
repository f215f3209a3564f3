/* SPDX-License-Identifier: MIT */
/* How much of a full arena is living objects after a long time of writes of all sizes, overwrites and deletes. */
#ifndef LARDER_BENCH_FRAGMENTATION_H
#define LARDER_BENCH_FRAGMENTATION_H

#include <stdint.h>

/* In shares of the arena's bytes: means of looks during the last round, the last one at the end. */
struct fragmentation {
	double live;       /* objects that can be read: header, key and value */
	double least_live; /* of all looks */
	double dead;       /* objects that were replaced or deleted, as far as is counted */
	double unfilled;   /* of data segments: chunks that nobody took */
	double unused;     /* the rest of them: what is left over in runs of chunks */
	double free_share; /* segments that are free, in reserve or on their way */
	double fixed;      /* header, tables and index */
	double set_ns, set_p999_ns;
	uint64_t writes, refused, moved, evicted;
	uint64_t faults; /* what verification found */
};

/* Return: 0 or a negative value; it has complained by then. */
int fragmentation_measure(struct fragmentation *ret_fragmentation);

#endif
