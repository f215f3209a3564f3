/* SPDX-License-Identifier: MIT */
/* View pins: what keeps an object in its place after the section in which it was found. */
#ifndef LARDER_CACHE_PIN_H
#define LARDER_CACHE_PIN_H

#include "cache/cache.h"

/* Pins the segment an object lies in, inside a section. What the pin holds is certain once the section was left in time. */
static inline void pin(struct cache_thread *thread, uint32_t segment)
{
	/* A16 <- R16, by the fence with which the section is left: the keeper sees the pin, or this thread that it was revoked before. */
	fetch_add_relaxed(control_pin(&thread->cache->control, thread->shard, segment), 1);
	failpoint("view.pinned");
}

static inline void unpin(const struct cache *cache, uint32_t shard, uint32_t segment)
{
	failpoint("view.releasing");
	/* R17 -> A17: the holder's loads are done when the keeper finds the pin gone. */
	fetch_sub_release(control_pin(&cache->control, shard, segment), 1);
}

#endif
