/* SPDX-License-Identifier: MIT */
/*
 * Writes. The life of one: hash the key, enter a section, find the key's chain; decide by what is there whether the write
 * may be; reserve room in the thread's own run of chunks, write the new object there, publish it with one compare-and-swap of
 * a slot (or, for a new key, an intent); leave the section. If somebody was faster, start over.
 *
 * A write that has published is done, whatever happened to its section. One that ends without publishing (a miss, say) must know
 * that its section was not revoked.
 */
#include <errno.h>
#include <string.h>

#include "arena/extent.h"
#include "arena/ghost.h"
#include "base/failpoint.h"
#include "base/platform.h"
#include "cache/dead.h"
#include "cache/internal.h"
#include "cache/large.h"
#include "cache/replace.h"
#include "cache/usage.h"

/* Beside the results of larder.h, what one attempt can come to. */
enum attempt {
	ATTEMPT_AGAIN = 1000, /* somebody was faster */
	ATTEMPT_NO_MEMORY,    /* no segment is free */
	ATTEMPT_NO_SLOT,      /* the index must grow */
	ATTEMPT_NO_EXTENT,    /* a large object has no room yet, */
	ATTEMPT_NO_VALUE      /* or no value in it */
};

/* One attempt at one write. */
struct writer {
	struct cache_thread *thread;
	const struct write_request *request;
	struct write_result *result;
	uint64_t hash;
	uint64_t now_ms, now_version;
	bool published;
	struct index_chain chain;
	struct large large;
	/* What the key has now, when it is there: */
	uint64_t old_version;
	int64_t old_number;
};

#define WRITE_ATTEMPTS 1000u /* so often others may be faster before the time is looked at */
#define SUCCESSION_MS 200u   /* for the next larderd; as long as a pause between two tries to attach */
#define LOOK_MS 100u         /* how often who waits looks whether there is a larderd */

static uint64_t next_version(const struct writer *writer)
{
	return writer->now_version > writer->old_version ? writer->now_version : writer->old_version + 1;
}

/* ---- what eviction knows of the key ---------------------------------------------------------------------------------- */

struct standing {
	enum pool pool;
	uint32_t heat;
};

/* A key keeps its standing when it is written again, which counts as a use; a new one that was evicted not long ago is wanted. */
static struct standing standing_of(const struct writer *writer)
{
	const struct arena *arena = &writer->thread->cache->arena;
	const struct index_chain *chain = &writer->chain;
	uint64_t word;
	uint32_t heat;

	if (chain->found < 0 || object_expired(&chain->object, writer->now_ms))
		return (struct standing){ ghost_contains(arena, writer->hash) ? POOL_MAIN : POOL_PROBATION, 0 };
	word = chain->words[chain->found];
	heat = slot_heat(word);
	return (struct standing){ segment_load(arena, segment_of(arena, slot_offset(word))).pool,
		                  heat < HEAT_MAX ? heat + 1 : heat };
}

static void count_dead(const struct arena *arena, const struct object_view *object)
{
	segment_add_dead(arena, segment_of(arena, object->offset), object->size);
}

/* ---- publishing ---------------------------------------------------------------------------------------------------- */

/* Puts a completed object in the place of the key's old one, or where there was none. Return: 0 or what hindered it. */
static inline __attribute__((always_inline)) int publish(struct writer *writer, uint32_t generation, uint64_t offset,
                                                         uint32_t heat)
{
	enum index_result index = INDEX_AGAIN;

	if (writer->chain.found >= 0)
		index = index_replace(&writer->chain, generation, offset, heat);
	else if (epoch_valid(&writer->thread->reader))
		index = index_insert(&writer->thread->reader, &writer->thread->cache->arena, &writer->chain, generation,
		                     offset);
	if (index == INDEX_DONE)
		return 0;
	if (index == INDEX_LONGER && index_crowded(&writer->thread->cache->arena, writer->chain.segment))
		cache_wake_keeper(writer->thread->cache);
	return index == INDEX_FULL ? ATTEMPT_NO_SLOT : ATTEMPT_AGAIN;
}

/* What is to be done once an object of so many bytes is published. */
static inline __attribute__((always_inline)) int conclude(struct writer *writer, const struct object_plan *plan,
                                                          uint64_t size)
{
	struct cache_thread *thread = writer->thread;

	allocate_commit(&thread->reader);
	if (writer->chain.found >= 0)
		count_dead(&thread->cache->arena, &writer->chain.object);
	failpoint("write.committed");
	if (usage_sampled(writer->hash))
		usage_note(thread, USAGE_STORE, writer->hash, size,
		           plan->expires_ms ? plan->expires_ms - writer->now_ms : 0);
	writer->published = true;
	writer->result->version = plan->version;
	return LARDER_OK;
}

/* As store, of an object that needs an extent: publishes what was written before (large.h), or says what is missing. */
static __attribute__((noinline)) int store_large(struct writer *writer, struct object_plan *plan,
                                                 const struct value_parts *parts, uint64_t size)
{
	const struct standing standing = standing_of(writer);
	const struct arena *arena = &writer->thread->cache->arena;
	const struct index_chain *chain = &writer->chain;
	struct large *large = &writer->large;
	uint32_t limit = load_relaxed(&arena->header->tenants[writer->thread->allocator->tenant].limit);
	uint64_t source = parts->old_size ? chain->words[chain->found] & ~(SLOT_HEAT_MASK | SLOT_FROZEN) : 0;
	int result;

	if (plan->value_size > arena_value_max(arena) || (limit && extent_length_for(arena, size) > limit))
		return -E2BIG;
	if (!(plan->flags & OBJECT_COUNTER)) /* whose value is short; only its key can be that long */
		plan->flags |= OBJECT_LARGE;
	if (!large_has_room(large, size, plan->expires_ms) || !large_is_filled(large, plan, source)) {
		bool room = large_has_room(large, size, plan->expires_ms);

		large->plan = *plan;
		large->parts = *parts;
		large->size = size;
		large->pool = standing.pool;
		large->now_ms = writer->now_ms;
		if (!room)
			return ATTEMPT_NO_EXTENT;
		large_plan_value(large, writer->thread, &chain->object, source);
		return ATTEMPT_NO_VALUE;
	}
	segment_raise_expiry(arena, large->room.segment, plan->expires_ms);
	object_write(arena, large->room.offset, plan);
	object_complete(arena, large->room.offset, plan);
	result = publish(writer, large->room.generation, large->room.offset, standing.heat);
	if (result) {
		allocate_withdraw(arena, &large->room);
		return result;
	}
	large->state = LARGE_NONE;
	return conclude(writer, plan, size);
}

/* Writes an object of the plan and the parts, and puts it in the place of the key's old one, or where there was none. */
static int store(struct writer *writer, struct object_plan *plan, const struct value_parts *parts)
{
	struct cache_thread *thread = writer->thread;
	const struct arena *arena = &thread->cache->arena;
	size_t value_size = parts->old_size + parts->added_size;
	struct standing standing;
	struct allocation room;
	unsigned char *value;
	uint64_t size;
	int result;

	/* Each by itself: the sum may have wrapped. What a smaller arena cannot hold needs an extent, so it is refused there. */
	if (parts->added_size > VALUE_BYTES_MAX || value_size > VALUE_BYTES_MAX)
		return -E2BIG;
	plan->key = writer->request->key;
	plan->key_size = (uint32_t)writer->request->key_size;
	plan->value_size = (uint32_t)value_size;
	plan->version = next_version(writer);
	if (plan->expires_ms)
		plan->flags |= OBJECT_EXPIRES;
	if (plan->user_flags)
		plan->flags |= OBJECT_FLAGS;
	size = object_size(plan->flags, plan->key_size, plan->value_size);
	thread->allocator->tenant = (uint32_t)load_relaxed(&thread->cache->control.page->tenant) % TENANTS;
	if (__builtin_expect(size > arena_object_max(arena), 0))
		return store_large(writer, plan, parts, size);
	large_give_up(&writer->large, thread);
	standing = standing_of(writer);
	if (allocate_begin(thread->allocator, &thread->reader, arena, standing.pool, size, plan->expires_ms,
	                   writer->now_ms, &room))
		return ATTEMPT_NO_MEMORY;
	value = object_write(arena, room.offset, plan);
	if (parts->old_size)
		memmove(value, parts->old, parts->old_size); /* an old size that was written over may reach in here */
	if (parts->added_size)
		memcpy(value + parts->old_size, parts->added, parts->added_size);
	failpoint("object.written");
	object_complete(arena, room.offset, plan);
	result = publish(writer, room.generation, room.offset, standing.heat);
	if (result) {
		allocate_cancel(thread->allocator, &thread->reader, arena, &room);
		return result;
	}
	return conclude(writer, plan, size);
}

/*
 * Reads the version (and a counter's number) of the object that shall be replaced or removed, so that neither can change
 * under the replacement. Return: 0; LARDER_CHANGED: expected is not 0 and not the version; ATTEMPT_AGAIN.
 */
static int carry_old(struct writer *writer, uint64_t expected)
{
	struct object_view *old = &writer->chain.object;

	if (old->counter) {
		switch (counter_freeze(&writer->thread->reader, old->counter, expected, &writer->old_number,
		                       &writer->old_version)) {
		case FREEZE_DONE:
			return 0;
		case FREEZE_CHANGED:
			return LARDER_CHANGED;
		case FREEZE_AGAIN:
			return ATTEMPT_AGAIN;
		}
	}
	writer->old_version = old->version;
	return !expected || expected == old->version ? 0 : LARDER_CHANGED;
}

/* ---- the operations ------------------------------------------------------------------------------------------------ */

static int write_value(struct writer *writer)
{
	const struct write_request *request = writer->request;
	struct value_parts parts = { .added = request->value, .added_size = request->value_size };
	struct object_plan plan = {
		.user_flags = request->flags,
		.expires_ms = expiry_of(writer->now_ms, request->ttl_ms),
	};

	return store(writer, &plan, &parts);
}

/* A counter instead of what is there, with the same life and flags. */
static int write_number(struct writer *writer, int64_t number)
{
	const struct object_view *old = &writer->chain.object;
	struct object_plan plan = {
		.flags = OBJECT_COUNTER,
		.user_flags = old->user_flags,
		.expires_ms = old->expires_ms,
		.number = number,
	};

	return store(writer, &plan, &(struct value_parts){ 0 });
}

static int write_append(struct writer *writer)
{
	const struct object_view *old = &writer->chain.object;
	char text[NUMBER_TEXT];
	struct value_parts parts = {
		.old = old->value,
		.old_size = old->value_size,
		.added = writer->request->value,
		.added_size = writer->request->value_size,
	};
	struct object_plan plan = { .user_flags = old->user_flags, .expires_ms = old->expires_ms };

	if (old->counter) {
		parts.old = text;
		parts.old_size = number_format(writer->old_number, text);
	}
	return store(writer, &plan, &parts);
}

static int write_touch(struct writer *writer)
{
	const struct object_view *old = &writer->chain.object;
	struct value_parts parts = { .old = old->value, .old_size = old->value_size };
	struct object_plan plan = {
		.flags = old->flags & OBJECT_COUNTER,
		.user_flags = old->user_flags,
		.expires_ms = expiry_of(writer->now_ms, writer->request->ttl_ms),
		.number = writer->old_number,
	};

	return store(writer, &plan, &parts);
}

static int write_incr(struct writer *writer)
{
	const struct write_request *request = writer->request;
	const struct object_view *old = &writer->chain.object;
	int64_t number;
	int result;

	if (old->counter) {
		large_give_up(&writer->large,
		              writer->thread); /* of an attempt to create it: there is but one write pin */
		result = counter_add(writer->thread, &writer->chain, request->delta, writer->now_version,
		                     writer->result);
		writer->published = result != -EBUSY && result != -EAGAIN;
		if (result == -EAGAIN)
			return ATTEMPT_AGAIN;
		if (result != -EBUSY)
			return result;
	}
	result = carry_old(writer, 0);
	if (result)
		return result;
	if (old->counter)
		number = writer->old_number;
	else if (!number_parse(old->value, old->value_size, &number))
		return LARDER_NOT_NUMBER;
	if (__builtin_add_overflow(number, request->delta, &writer->result->value))
		return -EOVERFLOW;
	return write_number(writer, writer->result->value);
}

static int create_counter(struct writer *writer)
{
	struct object_plan plan = {
		.flags = OBJECT_COUNTER,
		.user_flags = writer->request->flags,
		.expires_ms = expiry_of(writer->now_ms, writer->request->ttl_ms),
		.number = writer->request->initial,
	};

	writer->result->value = plan.number;
	return store(writer, &plan, &(struct value_parts){ 0 });
}

static int write_delete(struct writer *writer)
{
	if (index_remove(&writer->chain) != INDEX_DONE)
		return ATTEMPT_AGAIN;
	count_dead(&writer->thread->cache->arena, &writer->chain.object);
	if (usage_sampled(writer->hash))
		usage_note(writer->thread, USAGE_DELETE, writer->hash, 0, 0);
	writer->published = true;
	return LARDER_OK;
}

/* The key is not there. An expired object may still be, and is replaced then. */
static int write_absent(struct writer *writer)
{
	const struct write_request *request = writer->request;
	int result = 0;

	writer->old_version = 0;
	if (writer->chain.found >= 0)
		result = carry_old(writer, 0);
	if (result)
		return result;
	switch (request->operation) {
	case WRITE_SET:
	case WRITE_ADD:
		return write_value(writer);
	case WRITE_INCR:
		return request->incr_flags & LARDER_INCR_CREATE ? create_counter(writer) : LARDER_MISS;
	default:
		return LARDER_MISS;
	}
}

static int write_present(struct writer *writer)
{
	const struct write_request *request = writer->request;
	int result;

	if (request->operation == WRITE_ADD)
		return LARDER_EXISTS;
	if (request->operation == WRITE_INCR)
		return write_incr(writer);
	if (request->operation == WRITE_CAS && request->expected_version == 0)
		return LARDER_CHANGED; /* no version is 0 */
	result = carry_old(writer, request->expected_version);
	if (result)
		return result;
	switch (request->operation) {
	case WRITE_APPEND:
		return write_append(writer);
	case WRITE_TOUCH:
		return write_touch(writer);
	case WRITE_DELETE:
		return write_delete(writer);
	default:
		return write_value(writer);
	}
}

/*
 * Where there is an object that does not expire, and its successor will not, the time is only part of a version that must be larger than
 * the object's; next_version sees to that whatever the clock says. Where there is none, versions that the key has had are not known,
 * and only the exact clock is past them: for no key gets 65536 versions in a millisecond.
 */
static bool exact_time_matters(const struct writer *writer)
{
	return writer->chain.found < 0 || writer->chain.object.expires_ms != 0 || writer->request->ttl_ms != 0;
}

static int attempt(struct writer *writer)
{
	const struct arena *arena = &writer->thread->cache->arena;
	const struct write_request *request = writer->request;
	uint64_t now_ns;

	writer->published = false;
	if (!index_find_pinned(&writer->thread->reader, arena, writer->hash, request->key, request->key_size,
	                       &writer->chain))
		return -EUCLEAN;
	/*
	 * The clock is read after the chain. Had the key been written and deleted between a reading of the clock and of the
	 * chain, the new version would be older than one the key has had; so, such a write makes our intent fail.
	 */
	now_ns = exact_time_matters(writer) ? arena_now_ns(arena) : arena_coarse_ns(arena);
	failpoint("write.chain_read");
	writer->now_ms = now_ns / NS_PER_MS;
	writer->now_version = version_of(now_ns);
	if (writer->chain.found < 0 || object_expired(&writer->chain.object, writer->now_ms))
		return write_absent(writer);
	return write_present(writer);
}

/* ---- the call ------------------------------------------------------------------------------------------------------ */

void cache_wake_keeper(const struct cache *cache)
{
	atomic_u32 *word = &cache->arena.header->wake_sequence;

	if (!cache->wakes)
		return;
	/* R22 -> A22: else the keeper could look before it can see why, and lie down again. */
	fetch_add_release(word, 1);
	platform_futex_wake(word);
}

/* How long a write may take that others are always faster than, or that waits for room: counted from when it first fails so. */
struct patience {
	uint64_t began_ms; /* 0: it has not failed yet */
	uint32_t attempts;
};

/* While there is no larderd, nobody makes room: then only one that comes soon is waited for. */
static __attribute__((noinline)) uint64_t deadline_of(const struct cache *cache, struct patience *patience)
{
	bool orphaned = (load_relaxed(&cache->arena.header->owner) & OWNER_DIED) != 0;
	uint32_t most_ms = orphaned && cache->timeout_ms > SUCCESSION_MS ? SUCCESSION_MS : cache->timeout_ms;

	if (!patience->began_ms)
		patience->began_ms = monotonic_ms();
	return patience->began_ms + most_ms;
}

static __attribute__((noinline)) bool exhausted(const struct cache *cache, struct patience *patience)
{
	return ++patience->attempts >= WRITE_ATTEMPTS && monotonic_ms() >= deadline_of(cache, patience);
}

/* Asks the keeper for room and waits for its answer. False: the time is over, or there is nothing to wait for. */
static bool wait_for_room(const struct cache *cache, const struct writer *writer, int wanted, uint32_t seen_sequence,
                          uint64_t deadline_ms)
{
	uint64_t now_ms = monotonic_ms(), wait_ms;

	if (now_ms >= deadline_ms)
		return false;
	if (wanted == ATTEMPT_NO_SLOT && !index_will_grow(&cache->arena, &writer->chain))
		return false;
	dead_tell(writer->thread);
	cache_wake_keeper(cache);
	failpoint("write.waiting");
	/* Nobody wakes those who wait when larderd ends, so they look. */
	wait_ms = deadline_ms - now_ms < LOOK_MS ? deadline_ms - now_ms : LOOK_MS;
	platform_futex_wait(&cache->arena.header->free_sequence, seen_sequence, (uint32_t)wait_ms);
	return true;
}

/*
 * Does for a large object what an attempt found missing. Return: what the attempt came to instead. Who loses its room again begins
 * to wait anew: it had waited successfully, and then was stopped.
 */
static int go_on(struct writer *writer, int missing, bool valid, struct patience *patience)
{
	int result;

	if (missing == ATTEMPT_NO_VALUE) {
		large_fill(&writer->large, writer->thread, valid);
		return ATTEMPT_AGAIN;
	}
	if (!valid)
		return ATTEMPT_AGAIN;
	result = large_take_room(&writer->large, writer->thread);
	if (result == -ESTALE)
		*patience = (struct patience){ 0 };
	return result == -EAGAIN ? ATTEMPT_NO_MEMORY : ATTEMPT_AGAIN;
}

static int check(const struct write_request *request)
{
	if (!cache_key_valid(request->key, request->key_size) || request->operation >= WRITE_OPERATIONS)
		return -EINVAL;
	return !request->value && request->value_size ? -EINVAL : 0;
}

static void count_write(struct cache_thread *thread, const struct write_request *request)
{
	struct thread_line *line = thread->reader.line;

	add_own(request->operation == WRITE_DELETE ? &line->deletes : &line->sets, 1);
	if (!thread->allocator->took_segment)
		return;
	thread->allocator->took_segment = false;
	if (load_relaxed(&thread->cache->arena.header->free_segments) <
	            load_relaxed(&thread->cache->arena.header->free_low_mark) ||
	    segment_room_low(&thread->cache->arena, thread->allocator->tenant))
		cache_wake_keeper(thread->cache);
}

__attribute__((noinline)) int cache_write_any(struct cache_thread *thread, const struct write_request *request,
                                              struct write_result *ret_result)
{
	const struct cache *cache = thread->cache;
	struct write_result written = { 0 };
	struct writer writer; /* its chain is large, and filled when it is found */
	struct patience patience = { 0 };
	bool confirmed = false;
	int result = check(request);

	if (result)
		return result;
	writer.thread = thread;
	writer.request = request;
	writer.result = &written;
	writer.old_version = 0;
	writer.old_number = 0;
	writer.large.state = LARGE_NONE;
	writer.hash = hash_key(cache->arena.secret, request->key, request->key_size);
	for (;;) {
		/* A21 <- R21, by the fence with which the bucket is pinned, before room is looked for. */
		uint32_t sequence = load_relaxed(&cache->arena.header->free_sequence);
		bool valid;

		epoch_enter(&thread->reader);
		result = attempt(&writer);
		epoch_unpin_index(&thread->reader, INDEX_PIN_SEGMENT);
		valid = epoch_exit(&thread->reader);
		if (result >= ATTEMPT_NO_EXTENT)
			result = go_on(&writer, result, valid, &patience);
		if (result == ATTEMPT_AGAIN || (!valid && !writer.published)) {
			if (exhausted(cache, &patience)) {
				result = -EAGAIN;
				break;
			}
			continue;
		}
		if (result != ATTEMPT_NO_MEMORY && result != ATTEMPT_NO_SLOT)
			break;
		if (wait_for_room(cache, &writer, result, sequence, deadline_of(cache, &patience)))
			continue;
		/* The keeper may have done its part since the attempt: that there is no slot must be found twice. */
		if (result == ATTEMPT_NO_SLOT && !confirmed) {
			confirmed = true;
			continue;
		}
		/* Where there will be a slot, no other key is driven out because the keeper, or the time that we have, is short of it. */
		if (result == ATTEMPT_NO_MEMORY || index_will_grow(&cache->arena, &writer.chain) ||
		    exhausted(cache, &patience)) {
			result = -EAGAIN;
			break;
		}
		epoch_enter(&thread->reader);
		if (index_find_pinned(&thread->reader, &cache->arena, writer.hash, request->key, request->key_size,
		                      &writer.chain))
			index_displace(&cache->arena, &writer.chain);
		epoch_unpin_index(&thread->reader, INDEX_PIN_SEGMENT);
		epoch_exit(&thread->reader);
	}
	large_give_up(&writer.large, thread);
	if (result == LARDER_OK) {
		count_write(thread, request);
		*ret_result = written;
	}
	return result;
}

int cache_write(struct cache_thread *thread, const struct write_request *request, struct write_result *ret_result)
{
	if (__builtin_expect(cache_replace(thread, request, ret_result), 1))
		return LARDER_OK;
	return cache_write_any(thread, request, ret_result);
}
