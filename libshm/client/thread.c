/* SPDX-License-Identifier: MIT */
#include "client/thread.h"

#include <errno.h>

#include "client/guard.h"

__thread struct thread_recent thread_recent = { .token = THREAD_NO_TOKEN, .thread = NULL };

static struct thread_entry use(struct thread_state *state)
{
	thread_recent.token = state->token;
	thread_recent.thread = &state->thread;
	return (struct thread_entry){ .thread = &state->thread, .result = 0 };
}

/* Call it with the lock held. */
static int claim(struct process *process, struct cache *cache, uint64_t token, struct thread_state **ret_state)
{
	for (size_t i = 0; i < THREADS_MAX; i++) {
		struct thread_state *state = &process->threads[i];
		int result;

		if (state->owner)
			continue;
		result = cache_thread_start(cache, &state->thread);
		if (result != 0)
			return result;
		state->token = token;
		state->owner = &thread_recent;
		*ret_state = state;
		return 0;
	}
	return -EUSERS;
}

static int start(struct larder *cache, struct thread_state **ret_state)
{
	struct process *process = cache->process;
	int result = handle_attach(cache, NULL);

	if (result != 0)
		return result;
	process_lock();
	result = claim(process, &cache->attachment->cache, load_relaxed(&process->token), ret_state);
	process_unlock();
	if (result != 0)
		return result;
	result = pthread_setspecific(cache->key, *ret_state);
	if (result != 0)
		thread_end(*ret_state);
	return -result;
}

struct thread_entry thread_enter_slow(struct larder *cache)
{
	uint64_t token = load_relaxed(&cache->process->token);
	struct thread_state *state = pthread_getspecific(cache->key);
	struct guard guard;
	int result;

	/* After a fork the state reads zero, as the token does. */
	if (state && token != 0 && state->token == token)
		return use(state);
	guard = guard_begin();
	result = start(cache, &state);
	guard_end(guard);
	if (result != 0)
		return (struct thread_entry){ .thread = NULL, .result = result };
	return use(state);
}

/*
 * The handle may have been closed meanwhile, and another one been mapped at the same address; or the state may be one of
 * the parent's, which reads zero. Only a state that is enlisted and this thread's own is touched.
 */
void thread_end(void *state)
{
	struct thread_state *own = state;

	/* Destructors of the program that run after this one may call the library again. */
	thread_recent = (struct thread_recent){ .token = THREAD_NO_TOKEN, .thread = NULL };
	process_lock();
	if (process_of(own) && own->owner == &thread_recent) {
		cache_thread_stop(&own->thread);
		own->token = 0;
		own->owner = NULL;
	}
	process_unlock();
}
