/* SPDX-License-Identifier: MIT */
/* From a handle to the calling thread's state for it, at the cost of one comparison. */
#ifndef LARDER_CLIENT_THREAD_H
#define LARDER_CLIENT_THREAD_H

#include "client/handle.h"

/* The thread, or NULL and a result below zero. Returned by value so that calls stay free of stack traffic. */
struct thread_entry {
	struct cache_thread *thread;
	int result;
};

/*
 * What this thread used last. Tokens number the attachments of a process, so an equal token means the same handle, the same
 * attachment and no fork since; and it was this thread that stored both words, so no order with others is needed.
 */
extern __thread struct thread_recent {
	uint64_t token;
	struct cache_thread *thread;
	const atomic_u64 *owner_word; /* of the arena: who looks after it */
	uint64_t owner;               /* what stood there when that was found out */
} thread_recent;

#define THREAD_NO_TOKEN UINT64_MAX /* not 0, which is what a handle has in a forked child */

/*
 * The way of a thread's first call, of a child's first call, of a thread that changes between handles, and of all while
 * no larderd looks after the arena.
 */
struct thread_entry thread_enter_slow(struct larder *cache);

/* Whether thread_recent.thread is the one for this handle, and nothing happened to larderd since. */
static inline bool thread_is_known(struct larder *cache)
{
	return thread_recent.token == load_relaxed(&cache->process->token) &&
	       thread_recent.owner == load_relaxed(thread_recent.owner_word);
}

static inline struct thread_entry thread_enter(struct larder *cache)
{
	if (__builtin_expect(thread_is_known(cache), 1))
		return (struct thread_entry){ .thread = thread_recent.thread, .result = 0 };
	return thread_enter_slow(cache);
}

/* The destructor for the key of a handle: gives back what the ending thread holds. */
void thread_end(void *state);

#endif
