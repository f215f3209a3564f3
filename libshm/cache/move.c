/* SPDX-License-Identifier: MIT */
/*
 * Relocation: an object is copied first, then its slot is swung from the old place to the new one by one compare-and-swap. If
 * a writer was faster, that fails, and the copy is garbage. A counter is frozen before it is copied, so that no addition is lost:
 * who wants to add meanwhile replaces the object, and again the compare-and-swap fails.
 */
#include <string.h>

#include "cache/internal.h"

bool cache_move(struct cache_thread *thread, const struct index_chain *chain, uint32_t generation, uint64_t offset,
                uint32_t heat)
{
	const struct arena *arena = &thread->cache->arena;
	const struct object_view *object = &chain->object;
	struct object_plan plan = {
		.key = object->key,
		.key_size = object->key_size,
		.value_size = object->value_size,
		.flags = object->flags,
		.user_flags = object->user_flags,
		.expires_ms = object->expires_ms,
		.version = object->version,
	};
	unsigned char *value;

	if (object->counter && counter_freeze(&thread->reader, object->counter, 0, &plan.number, &plan.version))
		return false;
	value = object_write(arena, offset, &plan);
	if (value)
		memmove(value, object->value, object->value_size); /* it may reach in here if it was written over */
	object_complete(arena, offset, &plan);
	return index_replace(chain, generation, offset, heat) == INDEX_DONE;
}
