/* SPDX-License-Identifier: MIT */
#include "arena/segment.h"

#include "base/failpoint.h"

#define ATTEMPTS 1000    /* to change a word: only who overwrites it all the time keeps somebody from it for so long */
#define LEFT_SEARCH 1024 /* segments looked at for one that has room left */
#define EXPIRY_GRAIN_MS UINT64_C(250) /* the bound is raised in steps, so that writers seldom touch the table */

void segment_clear_index(const struct arena *arena, uint32_t segment)
{
	struct bucket *buckets = (struct bucket *)(void *)segment_base(arena, segment);

	for (uint32_t b = 0; b < arena->homes + arena->overflows; b++) {
		store_relaxed(&buckets[b].control, b < arena->homes ? UINT64_C(1) << CONTROL_SEQUENCE_SHIFT : 0);
		for (int i = 0; i < BUCKET_SLOTS; i++)
			store_relaxed(&buckets[b].slots[i], 0);
	}
	store_relaxed(&arena->table[segment].overflow_used, 0);
	store_relaxed(&arena->table[segment].children, 0);
}

void segment_format(struct arena *arena)
{
	uint32_t first_index = arena->system_segments, target = arena_segment_target(arena);
	uint32_t system = arena_system_needed(arena, target), end = first_index + target - system;
	struct segment_word word = { .state = SEGMENT_ABSENT };

	for (uint32_t s = end; s < arena->segment_count; s++)
		store_relaxed(&arena->table[s].state, segment_pack(word));
	for (uint32_t s = 0; s < first_index; s++) {
		word.state = s < system ? SEGMENT_SYSTEM : SEGMENT_ABSENT;
		store_relaxed(&arena->table[s].state, segment_pack(word));
	}
	segment_clear_index(arena, first_index);
	word.state = SEGMENT_INDEX;
	store_relaxed(&arena->table[first_index].state, segment_pack(word));
	for (uint32_t d = 0; d < 1u << arena->directory_bits; d++)
		store_relaxed(&arena->directory[d], first_index);
	store_relaxed(&arena->header->free_segments, end - first_index - 1);
	store_relaxed(&arena->header->search_hint, first_index + 1);
	store_relaxed(&arena->header->class_shift, segment_class_shift(target));
	for (uint32_t tenant = 0; tenant < TENANTS; tenant++)
		segment_set_room(arena, tenant, ROOM_UNLIMITED);
}

/*
 * Takes a free segment; the truth is in the state words alone, so there is no list that a killed process could break. Whoever
 * takes one looks at its state again, with acquire, when it has pinned it: that comes before its first byte is written.
 */
static bool take_free(const struct arena *arena, enum segment_state state, uint32_t slab, uint32_t chunks,
                      uint64_t now_ms, uint32_t *ret_segment, uint32_t *ret_generation)
{
	uint32_t start = load_relaxed(&arena->header->search_hint) - arena->system_segments;
	uint32_t candidates = arena->segment_count - arena->system_segments;

	if (chunks > arena->chunks)
		return false;
	for (uint32_t i = 0; i < candidates; i++) {
		uint32_t segment = arena->system_segments + (uint32_t)(((uint64_t)start + i) % candidates);
		struct segment_entry *entry = &arena->table[segment];
		uint64_t packed = load_relaxed(&entry->state);
		struct segment_word word = segment_unpack(packed);

		if (word.state != SEGMENT_FREE)
			continue;
		word.state = state;
		word.tenant = slab / TENANT_SLABS;
		word.pool = slab % TENANT_SLABS / TTL_CLASSES;
		word.ttl_class = slab % TTL_CLASSES;
		word.next_chunk = chunks;
		if (!cas_relaxed(&entry->state, &packed, segment_pack(word)))
			continue;
		failpoint("segment.taken");
		segment_date(arena, segment, now_ms);
		failpoint("segment.dated");
		store_relaxed(&arena->header->search_hint, segment + 1);
		fetch_add_relaxed(&arena->header->free_segments, (uint32_t)-1);
		*ret_segment = segment;
		*ret_generation = word.generation;
		return true;
	}
	return false;
}

/* Takes chunks of a segment that is open for the slab. */
static bool take_from(const struct arena *arena, uint32_t segment, uint32_t slab, uint32_t chunks,
                      uint32_t *ret_generation, uint32_t *ret_chunk)
{
	atomic_u64 *state = &arena->table[segment].state;
	uint64_t packed = load_relaxed(state);

	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		struct segment_word word = segment_unpack(packed);

		if (word.state != SEGMENT_OPEN || segment_slab(word) != slab ||
		    word.next_chunk + chunks > arena->chunks)
			return false;
		*ret_chunk = word.next_chunk;
		*ret_generation = word.generation;
		word.next_chunk += chunks;
		if (!cas_relaxed(state, &packed, segment_pack(word)))
			continue;
		failpoint("segment.chunks_taken");
		return true;
	}
	return false;
}

/* What was taken of it in vain comes back when the keeper counts. */
bool segment_take_room(const struct arena *arena, uint32_t tenant, uint32_t count)
{
	atomic_u32 *room = &arena->header->tenants[tenant].room;
	uint32_t now = load_relaxed(room);

	while (now != ROOM_UNLIMITED && now >= count)
		if (cas_relaxed(room, &now, now - count)) {
			failpoint("segment.room_taken");
			return true;
		}
	return now == ROOM_UNLIMITED;
}

void segment_set_room(const struct arena *arena, uint32_t tenant, uint32_t room)
{
	store_relaxed(&arena->header->tenants[tenant].room, room);
}

void segment_add_room(const struct arena *arena, uint32_t tenant, uint32_t count)
{
	atomic_u32 *room = &arena->header->tenants[tenant].room;
	uint32_t now = load_relaxed(room);

	while (now < ROOM_UNLIMITED - count && !cas_relaxed(room, &now, now + count))
		;
}

/*
 * Takes chunks of the youngest segment of a slab that has so many left, though the slab allocates in another by now: one in which a
 * large object did not fit any more has room for smaller ones. The search is bounded, and begins where segments were taken last.
 *
 * Such a segment goes behind all others in the order of eviction: when no segment is free, whatever is written goes to what is left of
 * older ones, and the first of them to be emptied would be the one that was written to last.
 */
static bool take_left(const struct arena *arena, uint32_t slab, uint32_t chunks, uint32_t *ret_segment,
                      uint32_t *ret_generation, uint32_t *ret_chunk)
{
	uint32_t candidates = arena->segment_count - arena->system_segments;
	uint32_t start = load_relaxed(&arena->header->search_hint) - arena->system_segments;
	uint32_t most = candidates < LEFT_SEARCH ? candidates : LEFT_SEARCH, best = 0;
	uint64_t youngest = 0;

	if (chunks > arena->chunks)
		return false;
	for (uint32_t i = 1; i <= most; i++) {
		uint32_t segment = arena->system_segments + (uint32_t)(((uint64_t)start + candidates - i) % candidates);
		struct segment_word word = segment_unpack(load_relaxed(&arena->table[segment].state));
		uint64_t opened;

		if (word.state != SEGMENT_OPEN || segment_slab(word) != slab ||
		    word.next_chunk + chunks > arena->chunks)
			continue;
		opened = load_relaxed(&arena->table[segment].opened);
		if (best && opened <= youngest)
			continue;
		youngest = opened;
		best = segment;
	}
	if (!best || !take_from(arena, best, slab, chunks, ret_generation, ret_chunk))
		return false;
	segment_number(arena, best);
	*ret_segment = best;
	return true;
}

bool segment_take_chunks(const struct arena *arena, uint32_t slab, uint32_t chunks, uint64_t now_ms,
                         uint32_t *ret_segment, uint32_t *ret_generation, uint32_t *ret_chunk)
{
	atomic_u32 *open = &arena->header->open_segment[slab];
	uint32_t current = load_relaxed(open); /* a hint: take_from checks what it names */
	struct segment_word kept = { .state = SEGMENT_FREE };

	if (current > arena->system_segments && current <= arena->segment_count) {
		if (take_from(arena, current - 1, slab, chunks, ret_generation, ret_chunk)) {
			*ret_segment = current - 1;
			return true;
		}
		kept = segment_load(arena, current - 1);
	}
	if (take_left(arena, slab, chunks, ret_segment, ret_generation, ret_chunk))
		return true;
	if (!segment_take_room(arena, slab / TENANT_SLABS, 1) ||
	    !take_free(arena, SEGMENT_OPEN, slab, chunks, now_ms, ret_segment, ret_generation))
		return false;
	*ret_chunk = 0;
	failpoint("segment.unnamed");
	/* The slab goes on in whichever has more room left; when two writers came at once, the later one decides. */
	if (kept.state != SEGMENT_OPEN || segment_slab(kept) != slab || kept.next_chunk >= chunks)
		store_relaxed(open, *ret_segment + 1);
	return true;
}

void segment_raise_expiry(const struct arena *arena, uint32_t segment, uint64_t expires_ms)
{
	atomic_u64 *bound = &arena->table[segment].expires_ms;
	uint64_t now = load_relaxed(bound);

	/* A writer holds the segment by its pin and gives that up with release, so the keeper sees the bound it left. */
	for (int attempt = 0; now < expires_ms && attempt < ATTEMPTS; attempt++)
		if (cas_relaxed(bound, &now, (expires_ms + EXPIRY_GRAIN_MS - 1) / EXPIRY_GRAIN_MS * EXPIRY_GRAIN_MS)) {
			failpoint("segment.bound_raised");
			return;
		}
}

bool segment_change(const struct arena *arena, uint32_t segment, enum segment_state from, enum segment_state to)
{
	atomic_u64 *state = &arena->table[segment].state;
	uint64_t packed = load_relaxed(state);

	/* Whatever somebody wrote into the table, header and tables themselves get no other use. */
	if (segment < arena->system_segments && to != SEGMENT_SYSTEM)
		return false;
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		struct segment_word word = segment_unpack(packed);

		if (word.state != from)
			return false;
		word.state = to;
		if (cas_relaxed(state, &packed, segment_pack(word)))
			return true;
	}
	return false;
}

void segment_keep(const struct arena *arena, uint32_t segment, enum pool pool, uint64_t now_ms)
{
	atomic_u64 *state = &arena->table[segment].state;
	uint64_t packed = load_relaxed(state);
	struct segment_word word = segment_unpack(packed);

	word.state = SEGMENT_OPEN;
	word.pool = pool;
	segment_date(arena, segment, now_ms);
	cas_relaxed(state, &packed, segment_pack(word)); /* nobody changes a condemned segment but the keeper */
}

bool segment_take_index(const struct arena *arena, uint32_t *ret_segment)
{
	uint32_t generation;

	return take_free(arena, SEGMENT_RETIRED, 0, 0, 0, ret_segment, &generation);
}

static void recycle(const struct arena *arena, uint32_t segment, enum segment_state state)
{
	struct segment_entry *entry = &arena->table[segment];
	struct segment_word word = segment_load(arena, segment);

	/* R14 -> A14: who reads what is written here from now on finds, when it leaves its section, that it was revoked. */
	fence_release();
	for (uint32_t chunk = 0; chunk < arena->chunks; chunk++) {
		unsigned char *start = segment_base(arena, segment) + chunk * CHUNK_BYTES;
		struct chunk_header *header = (struct chunk_header *)(void *)start;

		store_relaxed(&header->chunks, 0);
		failpoint("recycle.chunk_cleared");
	}
	store_relaxed(&entry->expires_ms, 0);
	store_relaxed(&entry->children, 0);
	store_relaxed(&entry->parents, 0);
	store_relaxed(&entry->dead_units, 0);
	failpoint("recycle.cleared");
	word = (struct segment_word){ .generation = word.generation + 1, .state = state };
	/* R9 -> A9: who takes the segment must find the chunk headers zero, or a walker would follow old runs. */
	store_release(&entry->state, segment_pack(word));
}

void segment_recycle(const struct arena *arena, uint32_t segment)
{
	recycle(arena, segment, SEGMENT_FREE);
	failpoint("recycle.freed");
	fetch_add_relaxed(&arena->header->free_segments, 1);
}

bool segment_take_reserve(const struct arena *arena, uint32_t *ret_segment)
{
	uint32_t generation;

	return take_free(arena, SEGMENT_RESERVE, 0, 0, 0, ret_segment, &generation);
}

void segment_recycle_to_reserve(const struct arena *arena, uint32_t segment)
{
	recycle(arena, segment, SEGMENT_RESERVE);
}

bool segment_open_reserve(const struct arena *arena, uint32_t segment, uint32_t slab, uint64_t now_ms)
{
	struct segment_entry *entry = &arena->table[segment];
	uint64_t packed = load_relaxed(&entry->state);
	struct segment_word word = segment_unpack(packed);

	if (word.state != SEGMENT_RESERVE)
		return false;
	segment_date(arena, segment, now_ms);
	failpoint("reserve.dated");
	word.state = SEGMENT_OPEN;
	word.tenant = slab / TENANT_SLABS;
	word.pool = slab % TENANT_SLABS / TTL_CLASSES;
	word.ttl_class = slab % TTL_CLASSES;
	/* Who reads this acquires what the segment was recycled with: a read-modify-write continues that release (R9). */
	if (!cas_relaxed(&entry->state, &packed, segment_pack(word)))
		return false;
	failpoint("reserve.opened");
	store_relaxed(&arena->header->open_segment[slab], segment + 1);
	return true;
}

void segment_recycle_to_absent(const struct arena *arena, uint32_t segment)
{
	recycle(arena, segment, SEGMENT_ABSENT);
	failpoint("recycle.absent");
}

bool segment_leave(const struct arena *arena, uint32_t segment)
{
	if (!segment_change(arena, segment, SEGMENT_FREE, SEGMENT_ABSENT))
		return false;
	failpoint("segment.left");
	fetch_add_relaxed(&arena->header->free_segments, (uint32_t)-1);
	return true;
}

void segment_join(const struct arena *arena, uint32_t segment)
{
	bool system = segment < arena->system_segments;

	/* Its chunk headers are zero: it was recycled, or its memory is new. */
	if (!segment_change(arena, segment, SEGMENT_ABSENT, system ? SEGMENT_SYSTEM : SEGMENT_FREE))
		return;
	failpoint("segment.joined");
	if (!system)
		fetch_add_relaxed(&arena->header->free_segments, 1);
}
