/* SPDX-License-Identifier: MIT */
/*
 * What write.c does for any write, done for the usual one without all that it does not need. The way there is the same: pin the bucket's segment,
 * find the key, read the clock, reserve and pin room, write the object, put it in the place of the old one by a compare-and-swap of
 * the slot. But since the key is there, its slot's word alone decides whether that succeeds: so the other slots of the chain are not
 * read, nor the control word, and no intent of another key is completed. Nothing is ever tried twice here: whatever is
 * otherwise goes the general way, from the beginning.
 */
#include "cache/replace.h"

#include "base/failpoint.h"
#include "cache/internal.h"
#include "cache/plain.h"
#include "cache/usage.h"

/* What was found of the key, and what shall be in its place. */
struct replacement {
	atomic_u64 *slot;
	uint64_t word;
	struct plain old;
	struct object_plan plan;
	uint64_t now_ms;
};

/* Finds the key where it is likeliest, inside a section, and pins what it is in. */
static inline __attribute__((always_inline)) bool find(struct epoch_reader *reader, const struct arena *arena,
                                                       uint64_t hash, const struct write_request *request,
                                                       struct replacement *ret_replacement)
{
	uint32_t segment, matches;
	struct bucket *bucket = index_home(arena, hash, &segment);

	if (!bucket || !epoch_pin_index(reader, INDEX_PIN_SEGMENT, segment))
		return false;
	matches = bucket_match(bucket, hash);
	if (matches == 0)
		return false;
	ret_replacement->slot = &bucket->slots[__builtin_ctz(matches) - 1];
	ret_replacement->word = load_acquire(ret_replacement->slot); /* A1 <- R1 */
	return slot_is_object(ret_replacement->word) && !(ret_replacement->word & SLOT_FROZEN) &&
	       plain_open(arena, ret_replacement->word, request->key, request->key_size, &ret_replacement->old);
}

/* Plans the object, once the old one was found (write.c says why not before). False: the old one's life is over. */
static inline __attribute__((always_inline)) bool plan(const struct arena *arena, const struct write_request *request,
                                                       struct replacement *replacement)
{
	const struct plain *old = &replacement->old;
	uint64_t old_version = old->object->version;
	uint64_t now_ns = old->expires_ms || request->ttl_ms ? arena_now_ns(arena) : arena_coarse_ns(arena);
	uint64_t now_ms = now_ns / NS_PER_MS, version = version_of(now_ns);

	if (old->expires_ms && old->expires_ms <= now_ms)
		return false;
	replacement->now_ms = now_ms;
	replacement->plan = (struct object_plan){
		.key = request->key,
		.key_size = (uint32_t)request->key_size,
		.value_size = (uint32_t)request->value_size,
		.flags = (request->ttl_ms ? OBJECT_EXPIRES : 0) | (request->flags ? OBJECT_FLAGS : 0),
		.user_flags = request->flags,
		.expires_ms = expiry_of(now_ms, request->ttl_ms),
		.version = version > old_version ? version : old_version + 1,
	};
	return true;
}

/* Writes the object and puts it in the place of the old one. */
static inline __attribute__((always_inline)) bool put(struct cache_thread *thread, uint64_t hash,
                                                      const struct write_request *request,
                                                      const struct replacement *replacement)
{
	const struct arena *arena = &thread->cache->arena;
	struct allocator *allocator = thread->allocator;
	const struct object_plan *plan = &replacement->plan;
	const uint64_t old_offset = slot_offset(replacement->word);
	const uint32_t old_segment = segment_of(arena, old_offset), old_heat = slot_heat(replacement->word);
	const uint64_t size = object_size(plan->flags, plan->key_size, plan->value_size);
	struct allocation room;
	unsigned char *value;
	uint32_t slab;

	allocator->tenant = (uint32_t)load_relaxed(&thread->cache->control.page->tenant) % TENANTS;
	slab = segment_slab_for(arena, allocator->tenant, segment_load(arena, old_segment).pool, request->ttl_ms);
	if (!allocate_in_run(allocator, &thread->reader, arena, slab, size, plan->expires_ms, &room))
		return false;
	value = object_write(arena, room.offset, plan);
	if (request->value_size)
		memcpy(value, request->value, request->value_size);
	failpoint("replace.written");
	object_complete(arena, room.offset, plan);
	if (!slot_replace(replacement->slot, replacement->word, hash, room.generation, room.offset,
	                  old_heat < HEAT_MAX ? old_heat + 1 : old_heat)) {
		allocate_cancel(allocator, &thread->reader, arena, &room);
		return false;
	}
	allocate_commit(&thread->reader);
	failpoint("replace.committed");
	segment_add_dead(arena, old_segment, plain_size(&replacement->old));
	return true;
}

bool cache_replace(struct cache_thread *thread, const struct write_request *request, struct write_result *ret_result)
{
	const struct arena *arena = &thread->cache->arena;
	struct epoch_reader *reader = &thread->reader;
	struct replacement replacement;
	uint64_t hash;
	bool done;

	if (request->operation != WRITE_SET || !hash_is_short(request->key_size) || !request->key ||
	    (!request->value && request->value_size) || request->value_size > arena->segment_bytes)
		return false;
	hash = hash_short_key(arena->secret, request->key, request->key_size);
	if (usage_sampled(hash))
		return false;
	epoch_enter(reader);
	done = find(reader, arena, hash, request, &replacement) && plan(arena, request, &replacement) &&
	       put(thread, hash, request, &replacement);
	epoch_unpin_index(reader, INDEX_PIN_SEGMENT);
	/* Whether the section was revoked does not matter: what is published is, and else nothing is said of the key. */
	epoch_exit(reader);
	if (!done)
		return false;
	count(&reader->line->sets, 1);
	*ret_result = (struct write_result){ .version = replacement.plan.version };
	return true;
}
