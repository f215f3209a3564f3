/* SPDX-License-Identifier: MIT */
/*
 * A driver's instance with worker processes that wait for orders. While one crew works, all others sleep. Whatever
 * happens to a worker (it ends, it hangs) is an error of its crew only.
 */
#ifndef LARDER_BENCH_CREW_H
#define LARDER_BENCH_CREW_H

#include <sys/types.h>

#include "bench/driver.h"
#include "bench/histogram.h"

#define CREW_WORKERS_MAX 64

struct crew_worker {
	pid_t pid;
	int fd;
};

struct crew {
	const struct driver *driver;
	struct driver_setup setup;
	void *instance;
	bool started;
	unsigned workers; /* that are running */
	struct crew_worker worker[CREW_WORKERS_MAX];
	struct histogram *histograms; /* one for each worker, shared with it */
	size_t histograms_bytes;
	char directory[96];
	char why[DRIVER_WHY_BYTES]; /* it cannot go on; empty: it can */
};

/* One measurement. */
struct crew_order {
	enum driver_operation operation;
	unsigned write_percent;
	unsigned workers;            /* how many take part, from the first on */
	const struct stream *stream; /* made before crew_start */
	size_t warm;                 /* operations of each worker before the clock starts */
	size_t operations;           /* while it runs, with one worker; 0: as many as duration_ns holds */
	uint64_t duration_ns;
	bool single; /* each operation is timed by itself */
};

struct crew_sample {
	double processor; /* ns of a worker's processor time for one operation; 0: it was not the worker's own */
	double wall;      /* elapsed ns for one operation of one worker */
	double rate;      /* operations of all workers together in a second */
	uint64_t missed;  /* reads of what had been evicted */
};

/*
 * Starts the driver and a first worker that stores the entries 0 to keys - 1; crew_ready waits for it, and starts the others.
 * On failure crew->why says why. Return: 0 or a negative value; after one of crew_start nothing is left to stop.
 */
int crew_start(const struct driver *driver, const struct driver_setup *setup, struct crew *ret_crew);
int crew_ready(struct crew *crew);

/* Stops all that was started. */
void crew_stop(struct crew *crew);

/* ret_histogram: of single operations is added to; may be NULL. Return: 0 or a negative value: crew->why says why. */
int crew_work(struct crew *crew, const struct crew_order *order, struct crew_sample *ret_sample,
              struct histogram *ret_histogram);

#endif
