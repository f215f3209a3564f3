/* SPDX-License-Identifier: MIT */
/*
 * Runs cases in alternating rounds and reduces their times.
 *
 * A case is one operation of one driver. Its run function holds the loop, so that no call through a pointer is part of
 * what is measured, and returns a sum over what it read, so that a case that reads the wrong thing, or nothing, is not
 * a fast one but an error.
 */
#ifndef LARDER_BENCH_HARNESS_H
#define LARDER_BENCH_HARNESS_H

#include <stddef.h>
#include <stdint.h>

struct bench_case {
	const char *name;
	void *context;
	size_t warm;       /* operations before the clock starts, in each round */
	size_t operations; /* operations while it runs */
	uint64_t expected; /* the sum over both */

	/* Readies the context for a round; may be NULL. Return: 0, or a result of larder.h. */
	int (*prepare)(void *context);

	/* Operations first to first + count - 1 of the round. Return: 0, or the unexpected result of larder.h. */
	int (*run)(void *context, size_t first, size_t count, uint64_t *ret_sum);
};

/* Nanoseconds for one operation. */
struct measurement {
	double median; /* of the processor time of this thread, over the rounds */
	double spread; /* (largest - smallest) / median */
	double wall;   /* median of the elapsed time: more than median where the thread waited or was displaced */
};

#define HARNESS_CASES_MAX 16
#define HARNESS_ROUNDS_MAX 31

/*
 * Round by round, runs each case once. Each warms up first, so that none profits from the caches its predecessor left.
 * Return: 0 or a negative value; it has complained by then.
 */
int harness_run(const struct bench_case *cases, size_t count, unsigned rounds, struct measurement *ret_measurements);

/* The median of some values, which are sorted by that. */
double harness_median(double *values, unsigned count);

/* What rounds of processor and elapsed times come to; both are sorted. */
struct measurement harness_reduce(double *processor, double *wall, unsigned rounds);

/* From here on SIGINT, SIGTERM and SIGHUP end the run between two rounds, so that everything is put back. */
void harness_catch_signals(void);

/* Return: 0; -EINTR: one of them came, and it has complained. */
int harness_interrupted(void);

/* Makes the compiler believe that memory is read and written here: a copy into it cannot be left out. */
static inline void keep(const void *memory)
{
	__asm__ volatile("" : : "r"(memory) : "memory");
}

#endif
