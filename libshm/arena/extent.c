/* SPDX-License-Identifier: MIT */
#include "arena/extent.h"

#include "base/failpoint.h"

uint32_t extent_length_for(const struct arena *arena, uint64_t size)
{
	return (uint32_t)((size + sizeof(struct chunk_header) + arena->segment_bytes - 1) >> arena->segment_shift);
}

uint32_t extent_length_max(const struct arena *arena)
{
	uint64_t beside = sizeof(struct object) + sizeof(uint64_t) + sizeof(uint32_t) + UINT16_MAX + 2 * OBJECT_UNIT;

	return extent_length_for(arena, beside + arena_value_max(arena));
}

/* Finds one that is ready and takes it. */
static bool take_ready(const struct arena *arena, uint32_t slab, uint32_t length, uint64_t now_ms,
                       uint32_t *ret_segment, uint32_t *ret_generation)
{
	for (uint32_t segment = arena->system_segments; segment < arena->segment_count; segment++) {
		struct segment_entry *entry = &arena->table[segment];
		uint64_t packed = load_relaxed(&entry->state);
		struct segment_word word = segment_unpack(packed);
		uint32_t ready;

		if (word.state != SEGMENT_READY)
			continue;
		ready = extent_length(arena, segment, word);
		if (ready < length || extent_class(ready) != extent_class(length))
			continue;
		word.state = SEGMENT_OPEN;
		word.tenant = slab / TENANT_SLABS;
		word.pool = slab % TENANT_SLABS / TTL_CLASSES;
		word.ttl_class = slab % TTL_CLASSES;
		word.next_chunk = length * arena->chunks;
		if (!cas_relaxed(&entry->state, &packed, segment_pack(word)))
			continue;
		failpoint("extent.taken");
		segment_date(arena, segment, now_ms);
		*ret_segment = segment;
		*ret_generation = word.generation;
		return true;
	}
	return false;
}

bool extent_take(const struct arena *arena, uint32_t slab, uint32_t length, uint64_t now_ms, uint32_t *ret_segment,
                 uint32_t *ret_generation)
{
	uint32_t tenant = slab / TENANT_SLABS;

	if (!segment_take_room(arena, tenant, length))
		return false;
	if (take_ready(arena, slab, length, now_ms, ret_segment, ret_generation))
		return true;
	segment_add_room(arena, tenant, length);
	return false;
}

static void raise(atomic_u32 *wanted, uint32_t length)
{
	uint32_t most = load_relaxed(wanted);

	while (most < length && !cas_relaxed(wanted, &most, length))
		;
}

void extent_want(const struct arena *arena, uint32_t tenant, uint32_t length)
{
	/* What wakes the keeper (R22) comes after both. */
	raise(&arena->header->tenants[tenant].wanted, length);
	raise(&arena->header->extent_wanted[extent_class(length)], length);
}

void extent_offer(const struct arena *arena, uint32_t segment, uint32_t length, uint64_t now_ms)
{
	struct segment_entry *entry = &arena->table[segment];
	struct segment_word word = segment_load(arena, segment);

	for (uint32_t i = 1; i < length; i++) {
		segment_change(arena, segment + i, SEGMENT_RESERVE, SEGMENT_EXTENT);
		failpoint("extent.continued");
	}
	segment_date(arena, segment, now_ms);
	word.state = SEGMENT_READY;
	word.next_chunk = length * arena->chunks;
	/* R9 -> A9: whoever takes it finds its first chunk header zero, and the rest of it in its place. */
	store_release(&entry->state, segment_pack(word));
	failpoint("extent.offered");
}
