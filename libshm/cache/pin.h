/* SPDX-License-Identifier: MIT */
/* View pins: what keeps an object in its place after the section in which it was found. */
#ifndef LARDER_CACHE_PIN_H
#define LARDER_CACHE_PIN_H

#include "cache/cache.h"

/*
 * Pins the segment an object lies in, inside a section. What the pin holds is certain once the section was left in time. Return: where it is
 * noted, for unpin: the thread's line, or if that holds another view already, the counters of its shard. pin_from is for who has the line at
 * hand, and knows the mode of the process.
 */
static inline __attribute__((always_inline)) uint32_t pin_from(struct cache_thread *thread, struct thread_line *line,
                                                               bool fenced, uint32_t segment)
{
	uint32_t shard = PIN_SHARDS + thread->line;

	if (__builtin_expect(!epoch_pin_view(line, fenced, segment), 0)) {
		shard = thread->shard;
		/* A16 <- R16, by the fence with which the section is left: the keeper sees the pin, or this thread that it was revoked before. */
		fetch_add_relaxed(control_pin(&thread->cache->control, shard, segment), 1);
	}
	failpoint("view.pinned");
	return shard;
}

static inline uint32_t pin(struct cache_thread *thread, uint32_t segment)
{
	return pin_from(thread, thread->reader.line, thread->reader.fenced, segment);
}

/* The shard may be anything, and the segment any that there is. */
static inline void unpin(const struct cache *cache, uint32_t shard, uint32_t segment)
{
	failpoint("view.releasing");
	if (__builtin_expect(shard - PIN_SHARDS < THREADS_MAX, 1))
		epoch_unpin_view(&cache->control.page->threads[shard - PIN_SHARDS], cache->fenced);
	else if (shard < PIN_SHARDS)
		/* R17 -> A17: the holder's loads are done when the keeper finds the pin gone. */
		fetch_sub_release(control_pin(&cache->control, shard, segment), 1);
}

#endif
