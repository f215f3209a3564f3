/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/guarded.h"

#include <sys/mman.h>

#include "tests/fuzz/fuzz.h"

#define GUARD_BYTES (UINT64_C(4) << 20) /* on either side: as far as a length of an object can lead astray, and more */

static void *move(void *base, uint64_t bytes)
{
	unsigned char *room = mmap(NULL, bytes + 2 * GUARD_BYTES, PROT_NONE,
	                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	void *moved;

	FUZZ_EXPECT(room != MAP_FAILED);
	moved = mremap(base, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, room + GUARD_BYTES);
	FUZZ_EXPECT(moved == room + GUARD_BYTES);
	return moved;
}

void guarded_arena(struct arena *arena)
{
	const uint64_t table = (uint64_t)((unsigned char *)arena->table - arena->base);
	const uint64_t directory = (uint64_t)((unsigned char *)arena->directory - arena->base);
	const uint64_t ghosts = (uint64_t)((unsigned char *)arena->ghosts - arena->base);

	arena->base = move(arena->base, arena->bytes);
	arena->header = (struct arena_header *)(void *)arena->base;
	arena->table = (struct segment_entry *)(void *)(arena->base + table);
	arena->directory = (atomic_u32 *)(void *)(arena->base + directory);
	arena->ghosts = (struct ghost_line *)(void *)(arena->base + ghosts);
}

void guarded_control(struct control *control)
{
	const uint64_t pins = (uint64_t)((unsigned char *)control->pins - (unsigned char *)control->page);

	control->page = move(control->page, control->bytes);
	control->pins = (atomic_u32 *)(void *)((unsigned char *)control->page + pins);
}
