/* SPDX-License-Identifier: MIT */
/*
 * The arena: making the memory, formatting it, mapping it, and this process's private copy of its geometry.
 *
 * Its size may change while it is used. Mapping, tables and offsets are made for the largest size that it can have, once and for
 * all; so a client never maps anything anew. Which segments have memory is in their states (arena/segment.h), and those that have
 * none are holes in the file.
 */
#ifndef LARDER_ARENA_ARENA_H
#define LARDER_ARENA_ARENA_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/hash.h"
#include "base/layout.h"

/*
 * A mapping. The numbers were checked when it was made and are this process's own, so that what other processes later
 * write into the header cannot mislead it. Any number of threads may use it.
 */
struct arena {
	unsigned char *base;
	uint64_t bytes; /* at its largest */
	struct arena_header *header;
	struct segment_entry *table;
	atomic_u32 *directory;
	struct ghost_line *ghosts;
	uint64_t ghost_lines;
	uint64_t segment_bytes;
	uint32_t segment_shift;
	uint32_t segment_count;
	uint32_t system_segments;
	uint32_t directory_bits;
	uint32_t directory_shift; /* 64 - directory_bits */
	uint32_t chunks;          /* in a segment */
	uint32_t homes;           /* home buckets in an index segment; the rest of its buckets are for overflow */
	uint32_t overflows;       /* overflow buckets in an index segment */
	uint64_t clock_offset_ns;
	uint64_t id;
	bool writable;
	bool plain_epochs; /* larderd can issue memory barriers */
	_Alignas(16) uint8_t secret[SECRET_BYTES];
};

/*
 * What a lookup needs of an arena, for who keeps it together, at hand: each instruction before the bucket is asked for lets a processor
 * overlap less of one lookup with the next (docs/PERFORMANCE.md).
 */
struct arena_near {
	unsigned char *base;
	uint64_t bytes; /* nothing is looked at beyond */
	uint32_t homes;
	uint32_t directory_shift;
	uint32_t segment_shift;
	uint32_t short_sizes; /* keys of so many sizes, from HASH_SHORT_MIN on, are looked up with nothing but this */
	_Alignas(16) uint8_t secret[SHORT_SECRET_BYTES];
};

static inline __attribute__((always_inline)) struct arena_near arena_near(const struct arena *arena)
{
	struct arena_near near = { .base = arena->base,
		                   .bytes = arena->bytes,
		                   .homes = arena->homes,
		                   .directory_shift = arena->directory_shift,
		                   .segment_shift = arena->segment_shift,
		                   .short_sizes = HASH_SHORT_MAX - HASH_SHORT_MIN + 1 };

	memcpy(near.secret, arena->secret, sizeof near.secret);
	return near;
}

enum page_choice { PAGES_AUTO, PAGES_HUGE, PAGES_SMALL };

/* How much memory an arena has when it is made, and how much it can come to have. */
struct arena_size {
	uint64_t bytes, most;
};

/*
 * Makes the memory of an arena: a memfd, on 2 MiB pages when choice allows and they can be had (every page is touched
 * to know), else on ordinary ones, which PAGES_AUTO has the kernel join where it can. Seals it against shrinking and growing. On ordinary pages there is memory for size.bytes
 * only; huge ones, which a process dies of when it meets a hole in them, are all taken at once, and PAGES_AUTO takes none for an
 * arena that may grow.
 * Return: the descriptor; -EINVAL: size out of range; -ENOMEM: not so much memory. ret_page_bytes says what it got.
 */
int arena_memory_of(struct arena_size size, enum page_choice choice, uint64_t *ret_page_bytes, struct fault *fault);

/* The same for an arena that never has another size. */
int arena_memory(uint64_t bytes, enum page_choice choice, uint64_t *ret_page_bytes, struct fault *fault);

/*
 * As arena_memory_of, in a file that was just made, on tmpfs or hugetlbfs, whose page size it has. Nothing is sealed.
 * Return: 0; -EINVAL: another filesystem, or size or choice do not go with its page size; -ENOMEM.
 */
int arena_memory_in(int fd, struct arena_size size, enum page_choice choice, uint64_t *ret_page_bytes,
                    struct fault *fault);

/* Whether the host can give so many bytes more. Return: 0, -ENOMEM. */
int arena_memory_available(uint64_t bytes, struct fault *fault);

/* Gives so many segments memory, or takes it from them. Return: 0 or -errno. */
int arena_allocate(const struct arena *arena, int fd, uint32_t segment, uint32_t count);
int arena_release(const struct arena *arena, int fd, uint32_t segment, uint32_t count);

struct arena_plan {
	uint64_t page_bytes;
	uint64_t bytes;    /* as arena_size; 0: all of the memory */
	uint32_t access;   /* enum larder_access */
	bool plain_epochs; /* larderd can issue membarrier(2) */
};

/* Rounds a wish down to what an arena can be: a multiple of the segment size that belongs to it, or 0: out of range. */
uint64_t arena_round_bytes(uint64_t bytes);

/* Formats fresh memory (all zero) of a descriptor and maps it writable. Return: 0 or -errno. */
int arena_format(int fd, const struct arena_plan *plan, struct arena *ret_arena, struct fault *fault);

/*
 * Maps an arena that exists and checks its header. Return: 0; -EPROTO: not an arena of this layout, or it contradicts
 * itself; -errno of fstat or mmap.
 */
int arena_map(int fd, bool writable, struct arena *ret_arena, struct fault *fault);

void arena_unmap(struct arena *arena);

/* How many segments the arena has, or shall have: its size at the moment. */
static inline uint32_t arena_segment_target(const struct arena *arena)
{
	uint32_t target = load_relaxed(&arena->header->segment_target);

	return target < arena->segment_count ? target : arena->segment_count;
}

/* How many of the system segments an arena of so many segments needs: the ghosts at their end grow with its size. */
uint32_t arena_system_needed(const struct arena *arena, uint32_t segments);

/* The largest object that fits in a segment; one beyond that gets an extent. */
static inline uint64_t arena_object_max(const struct arena *arena)
{
	return arena->segment_bytes - sizeof(struct chunk_header);
}

/* The largest value that can be stored, whatever its key: now, and if the arena is given its largest size. */
uint64_t arena_value_max(const struct arena *arena);
uint64_t arena_value_ever(const struct arena *arena);

static inline uint64_t arena_now_ns(const struct arena *arena)
{
	return monotonic_ns() + arena->clock_offset_ns;
}

static inline uint64_t arena_now_ms(const struct arena *arena)
{
	return arena_now_ns(arena) / NS_PER_MS;
}

/* By the coarse clock. */
static inline uint64_t arena_coarse_ns(const struct arena *arena)
{
	return coarse_monotonic_ns() + arena->clock_offset_ns;
}

static inline uint64_t arena_coarse_ms(const struct arena *arena)
{
	return arena_coarse_ns(arena) / NS_PER_MS;
}

#endif
