/* SPDX-License-Identifier: MIT */
/*
 * Segments: the unit of allocation, expiry, eviction and reuse, and the state word through which they change hands.
 *
 *	FREE -> OPEN -> CONDEMNED -> (unlinked, grace period, no pin) -> RETIRED -> FREE with generation + 1
 *	                                                          RETIRED -> RESERVE -> OPEN, the keeper's own
 *	FREE -> RETIRED -> INDEX -> (split) -> RETIRED -> (grace period)         -> FREE with generation + 1
 *	FREE, or RETIRED with generation + 1, -> ABSENT -> FREE: the arena shrinks and grows
 *
 * A keeper that died leaves CONDEMNED segments, whose memory is untouched and which may be opened again, and RETIRED ones, which
 * nothing in the arena refers to and which only need a grace period.
 *
 * A writer may do FREE -> OPEN and take chunks of an OPEN one; all else is the keeper's. Every change is one
 * compare-and-swap of the whole word, so a change based on an outdated look fails.
 */
#ifndef LARDER_ARENA_SEGMENT_H
#define LARDER_ARENA_SEGMENT_H

#include "arena/arena.h"

/* What a state word says. */
struct segment_word {
	uint32_t generation;
	enum segment_state state;
	uint32_t tenant;
	enum pool pool;
	uint32_t ttl_class;
	uint32_t next_chunk;
};

static inline uint64_t segment_pack(struct segment_word word)
{
	return (uint64_t)word.generation | (uint64_t)word.state << SEGMENT_STATE_SHIFT |
	       (uint64_t)word.tenant << SEGMENT_TENANT_SHIFT | (uint64_t)word.ttl_class << SEGMENT_CLASS_SHIFT |
	       (uint64_t)word.pool << SEGMENT_POOL_SHIFT | (uint64_t)word.next_chunk << SEGMENT_CHUNK_SHIFT;
}

static inline struct segment_word segment_unpack(uint64_t packed)
{
	struct segment_word word = {
		.generation = (uint32_t)packed,
		.state = (enum segment_state)(packed >> SEGMENT_STATE_SHIFT & 0xf),
		.tenant = (uint32_t)(packed >> SEGMENT_TENANT_SHIFT) % TENANTS,
		.pool = (enum pool)(packed >> SEGMENT_POOL_SHIFT & 1),
		.ttl_class = (uint32_t)(packed >> SEGMENT_CLASS_SHIFT & 0x7f),
		.next_chunk = (uint32_t)(packed >> SEGMENT_CHUNK_SHIFT & 0xffff),
	};

	return word;
}

static inline struct segment_word segment_load(const struct arena *arena, uint32_t segment)
{
	return segment_unpack(load_acquire(&arena->table[segment].state)); /* A9 <- R9 */
}

static inline unsigned char *segment_base(const struct arena *arena, uint32_t segment)
{
	return arena->base + ((uint64_t)segment << arena->segment_shift);
}

/* The TTL class of a life in milliseconds (0: for ever). */
static inline uint32_t segment_class(uint64_t ttl_ms)
{
	uint64_t seconds = ttl_ms / 1000;
	uint32_t bits = seconds ? 64 - (uint32_t)__builtin_clzll(seconds) : 0;

	if (ttl_ms == 0)
		return 0;
	return bits == 0 ? 1 : bits < TTL_CLASSES ? bits : TTL_CLASSES - 1;
}

/* The slab to which a segment belongs. */
static inline uint32_t segment_slab(struct segment_word word)
{
	return (word.tenant * POOLS + (uint32_t)word.pool) * TTL_CLASSES + word.ttl_class;
}

/* How many TTL classes in a row shall share a slab where a tenant has so many segments: this power of two. */
static inline uint32_t segment_class_shift(uint32_t segments)
{
	return segments < 256 ? 2 : segments < 1024 ? 1 : 0;
}

/*
 * The slab for objects of a tenant and pool that live so long. Each slab in use takes a segment that is partly empty, so where there
 * are few segments several TTL classes share the slab of the longest-lived of them.
 */
static inline uint32_t segment_slab_for(const struct arena *arena, uint32_t tenant, enum pool pool, uint64_t ttl_ms)
{
	const uint32_t first = (tenant * POOLS + (uint32_t)pool) * TTL_CLASSES;
	uint32_t shift, others, ttl_class;

	if (ttl_ms == 0)
		return first;
	shift = load_relaxed(&arena->header->class_shift) % 4;
	others = (1u << shift) - 1;
	ttl_class = (segment_class(ttl_ms) + others) & ~others;
	return first + (ttl_class < TTL_CLASSES ? ttl_class : TTL_CLASSES - 1);
}

/* Whether a tenant may take hardly any more segments: the keeper should look. */
static inline bool segment_room_low(const struct arena *arena, uint32_t tenant)
{
	return load_relaxed(&arena->header->tenants[tenant % TENANTS].room) == 0;
}

/* The segment in which the byte at an offset lies. */
static inline uint32_t segment_of(const struct arena *arena, uint64_t offset)
{
	return (uint32_t)(offset >> arena->segment_shift);
}

/* Gives a fresh table its first states, and the index its first segment. */
void segment_format(struct arena *arena);

/* Fills an index segment with empty buckets. Its state must not be one from which it can be reached. */
void segment_clear_index(const struct arena *arena, uint32_t segment);

/*
 * Takes chunks in a row for a slab: from the segment where the slab allocates, or a free one. Returns false when no
 * segment is free, or the tenant may have no more. Lock-free; a writer killed in it loses at most the chunks until their segment is recycled.
 */
bool segment_take_chunks(const struct arena *arena, uint32_t slab, uint32_t chunks, uint64_t now_ms,
                         uint32_t *ret_segment, uint32_t *ret_generation, uint32_t *ret_chunk);

/* Counts so many segments towards what a tenant may have. False: it may not have so many. */
bool segment_take_room(const struct arena *arena, uint32_t tenant, uint32_t count);

/* Keeper: sets how many segments a tenant may take, or gives back what it lost. */
void segment_set_room(const struct arena *arena, uint32_t tenant, uint32_t room);
void segment_add_room(const struct arena *arena, uint32_t tenant, uint32_t count);

/* Raises the time before which the keeper must not expire the segment. Comes before an object is published in it. */
void segment_raise_expiry(const struct arena *arena, uint32_t segment, uint64_t expires_ms);

/* Notes that an object of a data segment is dead: size bytes that compaction could bring back. A hint. */
static inline void segment_add_dead(const struct arena *arena, uint32_t segment, uint64_t size)
{
	fetch_add_relaxed(&arena->table[segment].dead_units, (uint32_t)(size / OBJECT_UNIT));
}

/* Keeper: turns one state into another. False: it was not in the first, or changed meanwhile. */
bool segment_change(const struct arena *arena, uint32_t segment, enum segment_state from, enum segment_state to);

/* Keeper: opens a condemned segment again, as one of a pool that was opened now. */
void segment_keep(const struct arena *arena, uint32_t segment, enum pool pool, uint64_t now_ms);

/* Puts a segment behind all that were opened before. */
static inline void segment_number(const struct arena *arena, uint32_t segment)
{
	store_relaxed(&arena->table[segment].opened, fetch_add_relaxed(&arena->header->segments_opened, 1) + 1);
}

/* Says of a segment that is opened since when it is, and puts it behind all that were opened before. */
static inline void segment_date(const struct arena *arena, uint32_t segment, uint64_t now_ms)
{
	store_relaxed(&arena->table[segment].opened_ms, now_ms);
	segment_number(arena, segment);
}

/* Keeper: takes a free segment for the index. The caller clears it. */
bool segment_take_index(const struct arena *arena, uint32_t *ret_segment);

/*
 * Keeper: gives a retired segment its next generation, having zeroed what it must not show in its next life. It is free then, or
 * the keeper's reserve.
 */
void segment_recycle(const struct arena *arena, uint32_t segment);
void segment_recycle_to_reserve(const struct arena *arena, uint32_t segment);
void segment_recycle_to_absent(const struct arena *arena, uint32_t segment);

/* Keeper: takes a free segment out of the arena. False: it is not free. */
bool segment_leave(const struct arena *arena, uint32_t segment);

/* Keeper: an absent segment has memory, and is free, or if it is one of the system's, the system's. */
void segment_join(const struct arena *arena, uint32_t segment);

/* Keeper: takes a free segment as reserve. False: none is free. */
bool segment_take_reserve(const struct arena *arena, uint32_t *ret_segment);

/* Keeper: makes a segment of the reserve the one in which a slab allocates. False: somebody wrote over its state. */
bool segment_open_reserve(const struct arena *arena, uint32_t segment, uint32_t slab, uint64_t now_ms);

#endif
