/* SPDX-License-Identifier: MIT */
#include "client/thread.h"

#include <errno.h>

#include "client/guard.h"

__thread struct thread_recent thread_recent = { .token = THREAD_NO_TOKEN, .thread = NULL };

static struct thread_entry use(struct thread_state *state)
{
	const struct attachment *attachment = attachment_of(&state->thread);

	thread_recent.token = state->token;
	thread_recent.thread = &state->thread;
	thread_recent.owner_word = &attachment->cache.arena.header->owner;
	thread_recent.owner = load_relaxed(&attachment->owner);
	return (struct thread_entry){ .thread = &state->thread, .result = 0 };
}

/*
 * In a forked child the thread still finds the state it had in the parent. That reads zero, as the token does, until another thread
 * of the child takes it for its own: so first it must be this thread's. Only the thread itself writes its own address there.
 */
static bool is_current(const struct larder *cache, const struct thread_state *state)
{
	uint64_t token = load_relaxed(&cache->process->token);

	return state && load_relaxed(&state->owner) == &thread_recent && token != 0 && state->token == token;
}

/* Gives back what the thread holds in the attachment of the state. Call it with the lock held. */
static void give_back(struct larder *cache, struct thread_state *state)
{
	struct attachment *attachment;

	if (load_relaxed(&state->owner) != &thread_recent)
		return;
	attachment = attachment_of(&state->thread);
	cache_thread_stop(&state->thread);
	state->token = 0;
	store_relaxed(&state->owner, NULL);
	attachment->threads--;
	handle_tidy(cache, attachment);
}

/* Call it with the lock held. */
static int claim(struct larder *cache, struct thread_state **ret_state)
{
	struct process *process = cache->process;
	struct attachment *attachment = load_relaxed(&cache->current);

	for (size_t i = 0; i < THREADS_MAX; i++) {
		struct thread_state *state = &process->threads[i];
		int result;

		if (load_relaxed(&state->owner))
			continue;
		result = cache_thread_start(&attachment->cache, &state->thread);
		if (result != 0)
			return result;
		attachment->threads++;
		state->token = load_relaxed(&attachment->token);
		store_relaxed(&state->owner, &thread_recent);
		*ret_state = state;
		return 0;
	}
	return -EUSERS;
}

static int start(struct larder *cache, struct thread_state **state)
{
	int result = handle_attach(cache, NULL);

	if (result != 0 || is_current(cache, *state))
		return result;
	process_lock();
	if (*state)
		give_back(cache, *state);
	result = claim(cache, state);
	process_unlock();
	if (result != 0) {
		pthread_setspecific(cache->key, NULL);
		return result;
	}
	result = pthread_setspecific(cache->key, *state);
	if (result != 0)
		thread_end(*state);
	return -result;
}

struct thread_entry thread_enter_slow(struct larder *cache)
{
	struct thread_state *state = pthread_getspecific(cache->key);
	struct guard guard;
	int result;

	if (is_current(cache, state) && !attachment_stale(attachment_of(&state->thread)))
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
	struct process *process;

	/* Destructors of the program that run after this one may call the library again. */
	thread_recent = (struct thread_recent){ .token = THREAD_NO_TOKEN, .thread = NULL };
	process_lock();
	process = process_of(state);
	if (process)
		give_back(process->handle, state);
	process_unlock();
}
