/* SPDX-License-Identifier: MIT */
#include "object/walk.h"

#include "arena/extent.h"

/* Finds the next run. A chunk whose header is zero was taken by someone who did not come as far as to write it: skip it. */
static bool next_run(const struct arena *arena, struct object_walk *walk)
{
	struct segment_word word = segment_load(arena, walk->segment);
	uint32_t length = extent_length(arena, walk->segment, word);
	uint32_t taken = length > 1 || word.next_chunk < arena->chunks ? word.next_chunk : arena->chunks;
	uint32_t first_chunks = length > 1 ? 1 : taken; /* an extent is one run */

	while (walk->chunk < first_chunks) {
		uint64_t start = ((uint64_t)walk->segment << arena->segment_shift) + walk->chunk * CHUNK_BYTES;
		struct chunk_header *header = (struct chunk_header *)(void *)(arena->base + start);
		uint32_t chunks = load_acquire(&header->chunks); /* A15 <- R15 */

		if (chunks == 0 || chunks > taken - walk->chunk) {
			walk->faults += chunks != 0;
			walk->chunk++;
			continue;
		}
		walk->next = start + sizeof *header;
		walk->end = start + chunks * CHUNK_BYTES;
		walk->chunk += chunks;
		return true;
	}
	return false;
}

bool object_walk_next(const struct arena *arena, struct object_walk *walk, struct object_view *ret_object)
{
	for (;;) {
		if (walk->end - walk->next >= sizeof(struct object)) {
			struct object *object = (struct object *)(void *)(arena->base + walk->next);

			if (load_acquire(&object->head) != 0) { /* A10 <- R10 */
				if (object_parse(arena, walk->next, ret_object) &&
				    ret_object->size <= walk->end - walk->next) {
					walk->next += ret_object->size;
					return true;
				}
				walk->faults++;
			}
		}
		if (!next_run(arena, walk))
			return false;
	}
}
