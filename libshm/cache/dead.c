/* SPDX-License-Identifier: MIT */
#include "cache/dead.h"

void dead_tell(struct cache_thread *thread)
{
	const struct arena *arena = &thread->cache->arena;

	for (uint32_t i = 0; i < thread->dead_count; i++) {
		const struct dead_note *note = &thread->dead[i];

		/* It may have been recycled, if the note is old. */
		if (segment_load(arena, note->segment).generation == note->generation)
			segment_add_dead(arena, note->segment, (uint64_t)note->units * OBJECT_UNIT);
	}
	thread->dead_count = 0;
}
