/* SPDX-License-Identifier: MIT */
/* Processes that work at the same time on memory they share. */
#ifndef LARDER_TESTS_WORKERS_H
#define LARDER_TESTS_WORKERS_H

#include <pthread.h>
#include <stddef.h>
#include <sys/types.h>

#define WORKERS_MAX 64

struct workers {
	unsigned count;
	pid_t pids[WORKERS_MAX];
};

/* Memory, all zero, that processes forked later share with this one. */
void *shared_memory(size_t bytes);

/* A barrier in such memory for so many processes. */
void shared_barrier(pthread_barrier_t *barrier, unsigned count);

typedef void worker_function(void *context, unsigned number);

/* Forks processes that call work(context, 0 ... count - 1) and exit with status 0 when it returns. */
void workers_start(struct workers *workers, unsigned count, worker_function *work, void *context);

/*
 * Waits until all have ended. When one ends otherwise than with status 0, or they take too long, the others are killed
 * and this process ends with a message.
 */
void workers_join(struct workers *workers, unsigned timeout_seconds);

/* One process that runs to its end. */
void worker_run(worker_function *work, void *context);

#endif
