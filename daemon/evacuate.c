/* SPDX-License-Identifier: MIT */
/*
 * An object is alive when a slot refers to it and its time is not over. Of each living one a judge says whether it is moved; what is
 * not moved is unlinked. In the end no slot refers into the segment, and a grace period later it is free.
 *
 * The keeper allocates where writers do. A keeper that dies in the middle leaves some objects moved and some not; the next one opens the
 * condemned segment again.
 */
#include "daemon/evacuate.h"

#include "arena/extent.h"
#include "arena/ghost.h"
#include "base/failpoint.h"
#include "daemon/log.h"
#include "index/index.h"
#include "object/walk.h"

#define LIVING_WEIGHT 16
#define GROUP 16 /* objects whose buckets are fetched together */
#define KEPT_SHARE_MAX(bytes) \
	((bytes) / 4 * 3) /* or nothing would be won by evicting a segment in which all is in use */

void evacuator_init(struct evacuator *evacuator, struct cache_thread *keeper)
{
	*evacuator = (struct evacuator){ .keeper = keeper };
	evacuator_fit(evacuator, arena_segment_target(&keeper->cache->arena));
}

void evacuator_fit(struct evacuator *evacuator, uint32_t segments)
{
	struct arena *arena = &evacuator->keeper->cache->arena;
	uint32_t wanted = segments / 128;

	evacuator->reserve_wanted = wanted < 1 ? 1 : wanted > RESERVE_MAX ? RESERVE_MAX : wanted;
	while (evacuator->reserve_count > evacuator->reserve_wanted)
		if (segment_change(arena, evacuator->reserve[--evacuator->reserve_count], SEGMENT_RESERVE,
		                   SEGMENT_FREE))
			fetch_add_relaxed(&arena->header->free_segments, 1); /* it is as clean */
}

bool evacuator_wants(const struct evacuator *evacuator)
{
	return evacuator->reserve_count < evacuator->reserve_wanted;
}

void evacuator_give(struct evacuator *evacuator, uint32_t segment)
{
	evacuator->reserve[evacuator->reserve_count++] = segment;
}

void evacuator_withdraw(struct evacuator *evacuator, uint32_t segment)
{
	for (uint32_t i = 0; i < evacuator->reserve_count; i++)
		if (evacuator->reserve[i] == segment)
			evacuator->reserve[i--] = evacuator->reserve[--evacuator->reserve_count];
}

uint64_t evacuator_ghost_window(const struct evacuator *evacuator, uint32_t main_segments)
{
	return evacuator->living / LIVING_WEIGHT * main_segments;
}

/* ---- room ---------------------------------------------------------------------------------------------------------- */

/* Why a segment is emptied. */
enum purpose { PURPOSE_EVICT, PURPOSE_COMPACT };

/* One segment being emptied. */
struct evacuation {
	struct evacuator *evacuator;
	const struct arena *arena;
	const struct policy *policy;
	enum purpose purpose;
	uint32_t segment;
	struct segment_word word;
	bool extent;   /* whose object cannot be moved, but */
	bool may_stay; /* where it is */
	uint64_t now_ms;
	uint64_t kept_bytes, living;
};

static struct arena *arena_of(const struct evacuator *evacuator)
{
	return &evacuator->keeper->cache->arena;
}

/* Makes a segment of the reserve the one in which a slab allocates. */
static bool open_reserve(const struct evacuation *evacuation, enum pool pool, uint64_t ttl_ms)
{
	struct evacuator *evacuator = evacuation->evacuator;
	uint32_t slab = segment_slab_for(evacuation->arena, evacuation->word.tenant, pool, ttl_ms);

	while (evacuator->reserve_count > 0)
		if (segment_open_reserve(evacuation->arena, evacuator->reserve[--evacuator->reserve_count], slab,
		                         evacuation->now_ms))
			return true;
	return false;
}

/* ---- objects ------------------------------------------------------------------------------------------------------- */

/* What comes of moving an object: it is done, there is no room for it, or somebody was faster and it must be found again. */
enum moved { MOVED, NO_ROOM, MOVE_AGAIN };

static enum moved move(struct evacuation *evacuation, const struct index_chain *chain, enum pool pool, uint32_t heat)
{
	const struct arena *arena = evacuation->arena;
	struct cache_thread *keeper = evacuation->evacuator->keeper;
	const struct object_view *object = &chain->object;
	uint64_t ttl_ms = object->expires_ms ? object->expires_ms - evacuation->now_ms : 0;
	struct allocation room;

	keeper->allocator->tenant = evacuation->word.tenant;
	while (allocate_begin(keeper->allocator, &keeper->reader, arena, pool, object->size, object->expires_ms,
	                      evacuation->now_ms, &room))
		if (!open_reserve(evacuation, pool, ttl_ms))
			return NO_ROOM;
	if (!cache_move(keeper, chain, room.generation, room.offset, heat)) {
		allocate_cancel(keeper->allocator, &keeper->reader, arena, &room);
		return MOVE_AGAIN;
	}
	failpoint("evacuate.moved");
	allocate_commit(&keeper->reader);
	evacuation->kept_bytes += object->size;
	fetch_add_relaxed(&arena->header->moved_objects, 1);
	return MOVED;
}

static bool judge(const struct evacuation *evacuation, const struct object_view *object, enum pool *pool,
                  uint32_t *heat)
{
	if (object_expired(object, evacuation->now_ms))
		return false;
	*pool = evacuation->word.pool;
	if (evacuation->purpose == PURPOSE_COMPACT)
		return true;
	if (!evacuation->policy->keep(*pool, heat))
		return false;
	if (evacuation->extent)
		return evacuation->may_stay;
	if (evacuation->kept_bytes + object->size > KEPT_SHARE_MAX(evacuation->arena->segment_bytes))
		return false;
	*pool = POOL_MAIN;
	return true;
}

/* How long it had been there since it was written: that is in its version. */
static void count_age(const struct evacuation *evacuation, const struct object_view *object)
{
	struct arena_header *header = evacuation->arena->header;
	uint64_t written_ms = object->version >> 16;
	uint64_t age_ms = written_ms < evacuation->now_ms ? evacuation->now_ms - written_ms : 0;
	uint32_t bits = age_ms ? 64 - (uint32_t)__builtin_clzll(age_ms) : 0;

	fetch_add_relaxed(&header->evicted_age_ms, age_ms);
	fetch_add_relaxed(&header->evicted_ages[bits < EVICTED_AGES ? bits : EVICTED_AGES - 1], 1);
}

/* Whether writers shall know its objects again. */
static bool leaves_ghosts(const struct evacuation *evacuation)
{
	return evacuation->purpose == PURPOSE_EVICT && evacuation->word.pool == POOL_PROBATION &&
	       evacuation->policy->ghosts;
}

static void evict(const struct evacuation *evacuation, const struct index_chain *chain)
{
	if (object_expired(&chain->object, evacuation->now_ms)) {
		fetch_add_relaxed(&evacuation->arena->header->expired_objects, 1);
		return;
	}
	fetch_add_relaxed(&evacuation->arena->header->evicted_objects, 1);
	count_age(evacuation, &chain->object);
	if (leaves_ghosts(evacuation))
		ghost_add(evacuation->arena, chain->hash);
}

/* Makes sure that no slot refers to an object any more. False: it must be kept, and there is no room for it. */
static bool take_away(struct evacuation *evacuation, const struct object_view *object)
{
	struct index_chain chain;
	bool counted = false;

	for (int attempt = 0; attempt < INDEX_ATTEMPTS &&
	                      index_find_object(evacuation->arena, object, evacuation->word.generation, &chain);
	     attempt++) {
		uint32_t heat = slot_heat(chain.words[chain.found]);
		enum pool pool;

		evacuation->living += !counted;
		counted = true;
		if (judge(evacuation, object, &pool, &heat)) {
			enum moved moved;

			if (evacuation->extent &&
			    index_replace(&chain, evacuation->word.generation, object->offset, heat) != INDEX_DONE)
				continue;
			if (evacuation->extent)
				return false;
			moved = move(evacuation, &chain, pool, heat);
			if (moved == MOVED)
				return true;
			if (moved == MOVE_AGAIN)
				continue;
			if (evacuation->purpose == PURPOSE_COMPACT)
				return false;
		}
		if (index_remove(&chain) == INDEX_DONE) {
			evict(evacuation, &chain);
			return true;
		}
	}
	return true;
}

static void warn_of_faults(const struct object_walk *walk)
{
	if (walk->faults)
		log_line(LOG_WARNING, "segment %u holds what no writer leaves there: some process wrote over it",
		         walk->segment);
}

/*
 * The next objects of a segment. Their buckets lie anywhere, and so do their ghosts: to take one object away after the other would be to
 * wait for one cache miss after the other.
 */
static uint32_t next_group(const struct arena *arena, struct object_walk *walk, bool ghosts,
                           struct object_view objects[GROUP])
{
	uint32_t count;

	for (count = 0; count < GROUP && object_walk_next(arena, walk, &objects[count]); count++) {
		uint64_t hash = index_fetch(arena, &objects[count]);

		if (ghosts)
			ghost_prefetch(arena, hash);
	}
	return count;
}

static bool evacuate(struct evacuation *evacuation)
{
	struct epoch_reader *reader = &evacuation->evacuator->keeper->reader;
	struct object_walk walk = { .segment = evacuation->segment };
	struct object_view objects[GROUP];
	bool done = true;
	uint32_t count;

	evacuation->arena = arena_of(evacuation->evacuator);
	evacuation->word = segment_load(evacuation->arena, evacuation->segment);
	evacuation->extent = extent_length(evacuation->arena, evacuation->segment, evacuation->word) > 1;
	evacuation->now_ms = arena_now_ms(evacuation->arena);
	epoch_enter(reader);
	do {
		count = next_group(evacuation->arena, &walk, leaves_ghosts(evacuation), objects);
		for (uint32_t i = 0; done && i < count; i++)
			done = take_away(evacuation, &objects[i]);
	} while (done && count == GROUP);
	epoch_exit(reader);
	warn_of_faults(&walk);
	return done;
}

void evacuate_expired(const struct arena *arena, uint32_t segment)
{
	uint32_t generation = segment_load(arena, segment).generation, count, unlinked = 0;
	struct object_walk walk = { .segment = segment };
	struct object_view objects[GROUP];

	do {
		count = next_group(arena, &walk, false, objects);
		for (uint32_t i = 0; i < count; i++)
			unlinked += index_unlink(arena, &objects[i], generation);
	} while (count == GROUP);
	fetch_add_relaxed(&arena->header->expired_objects, unlinked);
	warn_of_faults(&walk);
}

bool evacuate_evicted(struct evacuator *evacuator, const struct policy *policy, uint32_t segment, bool may_stay)
{
	struct evacuation evacuation = { .evacuator = evacuator,
		                         .policy = policy,
		                         .purpose = PURPOSE_EVICT,
		                         .segment = segment,
		                         .may_stay = may_stay };
	bool emptied = evacuate(&evacuation);

	if (!evacuation.extent)
		evacuator->living += evacuation.living - evacuator->living / LIVING_WEIGHT;
	return emptied;
}

bool evacuate_compacted(struct evacuator *evacuator, uint32_t segment)
{
	struct evacuation evacuation = { .evacuator = evacuator, .purpose = PURPOSE_COMPACT, .segment = segment };

	return evacuate(&evacuation);
}
