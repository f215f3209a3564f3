/* SPDX-License-Identifier: MIT */
/*
 * Counting what is replaced as dead in the segment that it is in. A processor loads nothing past a locked instruction, so a thread
 * notes what it replaces by the short way and tells the segments of some objects at once: when it has so many, waits for memory, or ends, or its
 * handle is closed. The notes stand for less than a chunk. Those of a thread that is killed are lost, as is what it was about to count anyway; the audit finds
 * what nobody counted (daemon/audit.h).
 */
#ifndef LARDER_CACHE_DEAD_H
#define LARDER_CACHE_DEAD_H

#include "cache/cache.h"

#define DEAD_NOTE_BYTES (CHUNK_BYTES / DEAD_NOTES) /* of more than this the segment is told at once */

/* Tells the segments what is noted. */
void dead_tell(struct cache_thread *thread);

/* Notes that an object of so many bytes is dead that was in this segment in this life. */
static inline __attribute__((always_inline)) void dead_note(struct cache_thread *thread, uint32_t segment,
                                                            uint32_t generation, uint64_t size)
{
	thread->dead[thread->dead_count++] = (struct dead_note){ segment, generation, (uint32_t)(size / OBJECT_UNIT) };
	if (__builtin_expect(thread->dead_count == DEAD_NOTES || size > DEAD_NOTE_BYTES, 0))
		dead_tell(thread);
}

#endif
