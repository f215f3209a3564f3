/* SPDX-License-Identifier: MIT */
/* Threads that do the same thing at the same time. */
#ifndef LARDER_TESTS_THREADS_H
#define LARDER_TESTS_THREADS_H

#include <pthread.h>
#include <stdint.h>

#include "tests/support/expect.h"

#define THREADS_AT_ONCE_MAX 32

typedef void thread_body(void *context, uint32_t number);

struct thread_start {
	thread_body *body;
	void *context;
	uint32_t number;
	pthread_barrier_t *gate;
	pthread_t thread;
};

static inline void *thread_main(void *argument)
{
	struct thread_start *start = argument;

	pthread_barrier_wait(start->gate);
	start->body(start->context, start->number);
	return NULL;
}

/* Calls body(context, 0 ... count - 1), each in a thread of its own, and returns when all have ended. */
static inline void threads_run(uint32_t count, thread_body *body, void *context)
{
	struct thread_start starts[THREADS_AT_ONCE_MAX];
	pthread_barrier_t gate;

	expect(count <= THREADS_AT_ONCE_MAX);
	pthread_barrier_init(&gate, NULL, count);
	for (uint32_t i = 0; i < count; i++) {
		starts[i] = (struct thread_start){ .body = body, .context = context, .number = i, .gate = &gate };
		expect_equal(pthread_create(&starts[i].thread, NULL, thread_main, &starts[i]), 0);
	}
	for (uint32_t i = 0; i < count; i++)
		pthread_join(starts[i].thread, NULL);
	pthread_barrier_destroy(&gate);
}

#endif
