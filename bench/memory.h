/* SPDX-License-Identifier: MIT */
/* The parts of larder-bench memory: what each measures, by itself. bench/README.md explains the numbers. */
#ifndef LARDER_BENCH_MEMORY_H
#define LARDER_BENCH_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* ---- expiry.c: from the end of the last life in a segment until it is free ------------------------------------------ */

struct expiry {
	uint64_t segments; /* observed */
	double worst_ms, median_ms;
};

/* So many rounds, each with lives of its own. Return: 0 or a negative value; it has complained by then, as all of these. */
int expiry_measure(unsigned rounds, struct expiry *ret_expiry);

/* ---- mass_expiry.c: most of an arena expires at one moment ------------------------------------------------------------ */

struct mass_expiry {
	uint64_t objects, segments, bytes; /* that expired; the memory of whole segments */
	double lag_ms;                     /* from that moment until all of them were free */
	double longest_write_ms;           /* of other keys, until then; waits for the processor included */
};

/* An arena of that size is filled within so many seconds, or as far as it gets. */
int mass_expiry_measure(const char *size, uint32_t value_size, uint32_t seconds, struct mass_expiry *ret_expiry);

/* ---- growth.c: reads by one process while another makes the index grow ---------------------------------------------- */

/* Reads of present keys during one part of it. */
struct growth_reads {
	uint64_t reads;       /* that were not interrupted */
	uint64_t slow;        /* of these, of more than GROWTH_SLOW times the median */
	double worst_ns;      /* the slowest of these */
	uint64_t interrupted; /* the processor did something else meanwhile */
	double worst_any_ns;  /* the slowest of all */
	uint64_t missed;
};
#define GROWTH_SLOW 10

struct growth_result {
	uint64_t keys, splits;
	uint64_t turns; /* of some milliseconds in which the index grew */
	double median_ns;
	double longest_write_ms;            /* of a new key, waits for the processor included */
	struct growth_reads growing, still; /* still: after it, while keys are written that are there, for as long */
	struct growth_reads filling;        /* while keys are inserted that make nothing grow */
	double worst_ns;                    /* see growth.c */
	double worst_any_ns;                /* the same, of reads that may have been interrupted */
};

int growth_measure(uint32_t keys, const char *size, struct growth_result *ret_result);

/* ---- overload.c: writes into an arena that has room for a tenth of what is written ---------------------------------- */

struct overload {
	uint64_t writes, refused;
	double evicting_ns, roomy_ns; /* for one write, where everything is evicted and where nothing is */
	double evicting_p999_ns, roomy_p999_ns;
};

int overload_measure(uint32_t keys, struct overload *ret_overload);

#endif
