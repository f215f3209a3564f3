/* SPDX-License-Identifier: MIT */
#include "bench/inside.h"

#include "client/thread.h"

const struct arena *inside_arena(larder *cache)
{
	struct thread_entry entry = thread_enter(cache);

	return entry.thread ? &entry.thread->cache->arena : NULL;
}
