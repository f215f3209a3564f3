/* SPDX-License-Identifier: MIT */
#include "cache/large.h"

#include <errno.h>

#include "base/failpoint.h"
#include "cache/internal.h"
#include "cache/pin.h"

int large_copy_out(struct cache_thread *thread, const struct object_view *object, void *buffer, size_t buffer_size)
{
	uint32_t segment = segment_of(&thread->cache->arena, object->offset), shard;
	size_t size = object->value_size < buffer_size ? object->value_size : buffer_size;
	bool valid;

	shard = pin(thread, segment);
	valid = epoch_exit(&thread->reader);
	if (valid && size)
		memcpy(buffer, object->value, size);
	unpin(thread->cache, shard, segment);
	if (!valid)
		return -EAGAIN;
	return object->value_size <= buffer_size ? LARDER_OK : LARDER_TRUNCATED;
}

bool large_has_room(const struct large *large, uint64_t size, uint64_t expires_ms)
{
	return large->state != LARGE_NONE && large->room.size == size &&
	       (large->room.slab % TTL_CLASSES != 0) == (expires_ms != 0);
}

bool large_is_filled(const struct large *large, const struct object_plan *plan, uint64_t source)
{
	return large->state == LARGE_FILLED && large->source == source && large->plan.flags == plan->flags &&
	       large->plan.value_size == plan->value_size;
}

int large_take_room(struct large *large, struct cache_thread *thread)
{
	int result;

	large_give_up(large, thread);
	result = allocate_extent(&thread->reader, thread->allocator->tenant, &thread->cache->arena, large->pool,
	                         large->size, large->plan.expires_ms, large->now_ms, &large->room);
	if (result == 0)
		large->state = LARGE_ROOM;
	return result;
}

void large_plan_value(struct large *large, struct cache_thread *thread, const struct object_view *old, uint64_t source)
{
	large->source = source;
	large->pinned = 0;
	if (large->parts.old_size == 0)
		return;
	if (old->counter) {
		memcpy(large->text, large->parts.old, large->parts.old_size);
		large->parts.old = large->text;
		return;
	}
	large->pinned = segment_of(&thread->cache->arena, old->offset) + 1;
	large->shard = pin(thread, large->pinned - 1);
}

void large_fill(struct large *large, struct cache_thread *thread, bool valid)
{
	if (valid) {
		unsigned char *value = object_write(&thread->cache->arena, large->room.offset, &large->plan);

		if (large->parts.old_size)
			memmove(value, large->parts.old, large->parts.old_size);
		if (large->parts.added_size)
			memcpy(value + large->parts.old_size, large->parts.added, large->parts.added_size);
		failpoint("large.filled");
		large->state = LARGE_FILLED;
	}
	if (large->pinned)
		unpin(thread->cache, large->shard, large->pinned - 1);
}

void large_let_go(struct large *large, struct cache_thread *thread)
{
	large->state = LARGE_NONE;
	epoch_unpin_write(&thread->reader);
	cache_wake_keeper(thread->cache);
}
