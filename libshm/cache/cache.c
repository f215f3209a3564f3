/* SPDX-License-Identifier: MIT */
#include "cache/cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/platform.h"
#include "cache/dead.h"
#include "cache/heat.h"

static int attach_control(struct cache *cache, int control_fd, bool force_fenced, uint32_t timeout_ms,
                          struct fault *fault)
{
	int result = control_map(control_fd, cache->arena.segment_count, true, &cache->control, fault);

	if (result)
		return result;
	cache->allocators = calloc(THREADS_MAX, sizeof *cache->allocators); /* untouched ones cost no memory */
	if (!cache->allocators) {
		control_unmap(&cache->control);
		return fault_set(fault, -ENOMEM, "out of memory");
	}
	cache->timeout_ms = timeout_ms;
	/* Plain sections need larderd to be able to issue barriers, and this process to receive them. */
	cache->fenced = force_fenced || !cache->arena.plain_epochs || platform_barrier_register() != 0;
	failpoint("attach.mapped");
	store_relaxed(&cache->control.page->fenced, cache->fenced);
	return 0;
}

int cache_attach(struct cache *cache, int arena_fd, int control_fd, bool writable, bool force_fenced,
                 uint32_t timeout_ms, struct fault *fault)
{
	int result;

	memset(cache, 0, sizeof *cache);
	result = arena_map(arena_fd, writable, &cache->arena, fault);
	if (result)
		return result;
	cache->wakes = writable;
	result = attach_control(cache, control_fd, force_fenced, timeout_ms, fault);
	if (result)
		arena_unmap(&cache->arena);
	return result;
}

int cache_adopt(struct cache *cache, const struct arena *arena, int control_fd, uint32_t timeout_ms,
                struct fault *fault)
{
	memset(cache, 0, sizeof *cache);
	cache->arena = *arena;
	cache->wakes = true;
	return attach_control(cache, control_fd, true, timeout_ms, fault);
}

void cache_detach(struct cache *cache)
{
	free(cache->allocators);
	control_unmap(&cache->control);
	arena_unmap(&cache->arena);
}

/* Takes a free line of the control page; -1: there is none. */
static int take_line(struct cache *cache)
{
	for (int word = 0; word < THREADS_MAX / 64; word++) {
		uint64_t taken = load_relaxed(&cache->lines_in_use[word]);

		while (~taken != 0) {
			int bit = __builtin_ctzll(~taken);

			if (cas_acq_rel(&cache->lines_in_use[word], &taken,
			                taken | UINT64_C(1) << bit)) /* A20 <- R20 */
				return word * 64 + bit;
		}
	}
	return -1;
}

int cache_thread_start(struct cache *cache, struct cache_thread *ret_thread)
{
	int line = take_line(cache);
	atomic_u64 *high = &cache->control.page->thread_high;
	uint64_t seen = load_acquire(high); /* A16 <- R16 */

	if (line < 0)
		return -EUSERS;
	memset(ret_thread, 0, sizeof *ret_thread);
	ret_thread->near = arena_near(&cache->arena);
	if (cache->fenced)
		ret_thread->near.short_sizes = 0;
	ret_thread->cache = cache;
	ret_thread->allocator = &cache->allocators[line];
	ret_thread->line = (uint32_t)line;
	ret_thread->shard = (uint32_t)line % PIN_SHARDS;
	ret_thread->reader = (struct epoch_reader){
		.line = &cache->control.page->threads[line],
		.epoch = &cache->arena.header->epoch,
		.fenced = cache->fenced,
	};
	/*
	 * A16 <- R16: either the keeper looks at the line, or it looked before, and this thread sees what it had unlinked then; also
	 * if it was another thread that came after the keeper's look, and raised the number for both.
	 */
	while (seen < (uint64_t)line + 1 && !cas_acq_rel(high, &seen, (uint64_t)line + 1))
		;
	failpoint("attach.line_taken");
	return 0;
}

void cache_thread_stop(struct cache_thread *thread)
{
	atomic_u64 *word = &thread->cache->lines_in_use[thread->line / 64];
	uint64_t bit = UINT64_C(1) << thread->line % 64;

	dead_tell(thread);
	heat_flush(thread);
	store_relaxed(&thread->reader.line->epoch, 0);
	store_relaxed(&thread->reader.line->write_pin, 0);
	for (int i = 0; i < INDEX_PINS; i++)
		store_relaxed(&thread->reader.line->index_pins[i], 0);
	fetch_sub_release(word, bit); /* R20 -> A20: the next owner continues this one's counters and runs */
}
