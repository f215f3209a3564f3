/* SPDX-License-Identifier: MIT */
/*
 * What a handle knows of the process that uses it. It stands in memory that reads zero in a forked child
 * (MADV_WIPEONFORK), whatever the other threads of the parent were doing: there the handle has no attachment, no thread,
 * and its locks are free.
 */
#ifndef LARDER_CLIENT_PROCESS_H
#define LARDER_CLIENT_PROCESS_H

#include <pthread.h>
#include <stdint.h>

#include "cache/cache.h"

/* One thread's use of one handle. */
struct thread_state {
	struct cache_thread thread;
	uint64_t token;              /* the attachment for which it was started */
	_Atomic(const void *) owner; /* an address that only this thread has; NULL: not in use */
};

struct larder;

struct process {
	atomic_u64 token;          /* number of the current attachment; 0: none. No two of one process are equal */
	pthread_mutex_t attaching; /* held to attach */

	struct larder *handle; /* whose this is, once it is enlisted */

	/* Under the lock of process_lock: */
	struct process *next;
	struct thread_state threads[THREADS_MAX];
};

/* Return: 0, -ENOMEM, -errno. */
int process_create(struct process **ret_process);
void process_destroy(struct process *process);

/*
 * A thread may end at any time, also while another closes the handle. So whoever ends looks for its state among the
 * processes that are enlisted, under a lock of all handles, and touches it only if it is there.
 */
void process_lock(void);
void process_unlock(void);
void process_enlist(struct process *process);
void process_delist(struct process *process);

/* The enlisted one to which the address of a state belongs, or NULL. Call it with the lock held. */
struct process *process_of(const struct thread_state *state);

#endif
