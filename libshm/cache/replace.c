/* SPDX-License-Identifier: MIT */
/*
 * What write.c does for any write, done for the usual one without all that it does not need. The way there is the same: pin the bucket's segment,
 * find the key, reserve and pin room, write the object, put it in the place of the old one by a compare-and-swap of
 * the slot. But since the key is there, its slot's word alone decides whether that succeeds: so the other slots of the chain are not
 * read, nor the control word, and no intent of another key is completed. Nothing is ever tried twice here: whatever is
 * otherwise goes the general way, from the beginning.
 */
#include "cache/replace.h"

#include "base/failpoint.h"
#include "cache/dead.h"
#include "cache/internal.h"
#include "cache/plain.h"
#include "cache/usage.h"

/* What was found of the key. */
struct found {
	atomic_u64 *slot;
	uint64_t word;
	struct plain old;
	uint64_t now_ms;
};

/* Apart, for what a call does not keep in registers. */
static __attribute__((noinline)) uint64_t coarse_ms(const struct arena *arena)
{
	return arena_coarse_ms(arena);
}

/*
 * Finds the key where it is likeliest, inside a section, and pins what it is in. False also: the old object's life is over. Of a
 * bucket that was moved all slots are frozen, so that does not have to be looked at.
 */
static inline __attribute__((always_inline)) bool find(struct epoch_reader *reader, const struct arena *arena,
                                                       uint64_t hash, struct short_key key,
                                                       const struct write_request *request, struct found *ret_found)
{
	const struct arena_near near = arena_near(arena);
	const uint32_t segment = index_segment(arena, hash);
	struct bucket *bucket;
	uint32_t matches;

	if (segment >= arena->segment_count)
		return false;
	bucket = &index_buckets(arena, segment)[hash_home(hash, arena->homes)];
	if (!epoch_pin_index(reader, INDEX_PIN_SEGMENT, segment))
		return false;
	matches = bucket_matches(bucket, hash);
	if (matches == 0)
		return false;
	ret_found->slot = bucket_match(bucket, matches);
	ret_found->word = load_acquire(ret_found->slot); /* A1 <- R1 */
	if (!slot_is_object(ret_found->word) || ret_found->word & SLOT_FROZEN ||
	    !plain_open(&near, ret_found->word, key, request->key_size, &ret_found->old))
		return false;
	return __builtin_expect(ret_found->old.expires_ms == 0, 1) || ret_found->old.expires_ms > arena_now_ms(arena);
}

/* Writes the new object and puts it in the place of the old one. */
static inline __attribute__((always_inline)) bool put(struct cache_thread *thread, struct epoch_reader *reader,
                                                      const struct write_request *request, const struct found *found,
                                                      uint64_t *ret_version)
{
	const struct arena *arena = &thread->cache->arena;
	const uint32_t old_segment = segment_of(arena, slot_offset(found->word)), old_heat = slot_heat(found->word);
	const struct segment_word old_state = segment_load(arena, old_segment);
	const uint64_t now_version = version_at(found->now_ms), next_version = found->old.object->version + 1;
	const struct object_plan plan = {
		.key = request->key,
		.key_size = (uint32_t)request->key_size,
		.value_size = (uint32_t)request->value_size,
		.flags = (request->ttl_ms ? OBJECT_EXPIRES : 0) | (request->flags ? OBJECT_FLAGS : 0),
		.user_flags = request->flags,
		.expires_ms = expiry_of(found->now_ms, request->ttl_ms),
		.version = now_version > next_version ? now_version : next_version,
	};
	const uint64_t size = object_size(plan.flags, plan.key_size, plan.value_size);
	const uint32_t tenant = (uint32_t)load_relaxed(&thread->cache->control.page->tenant) % TENANTS;
	const uint32_t slab = segment_slab_for(arena, tenant, old_state.pool, request->ttl_ms);
	struct allocation room;

	if (!allocate_in_run(thread->allocator, reader, arena, slab, size, plan.expires_ms, &room))
		return false;
	memcpy(object_write(arena, room.offset, &plan), request->value, request->value_size);
	failpoint("replace.written");
	object_complete(arena, room.offset, &plan);
	if (!slot_replace(found->slot, found->word, room.generation, room.offset,
	                  old_heat < HEAT_MAX ? old_heat + 1 : old_heat)) {
		allocate_cancel_last(thread->allocator, &thread->reader, arena, slab, size);
		return false;
	}
	allocate_commit(reader);
	failpoint("replace.committed");
	dead_note(thread, old_segment, old_state.generation, plain_size(&found->old));
	*ret_version = plan.version;
	return true;
}

/* fenced: what thread->reader says. Who knows it, and what of the request is zero, has that compiled for it. */
static inline __attribute__((always_inline)) bool replace(struct cache_thread *thread, bool fenced,
                                                          const struct write_request *request, uint64_t *ret_version)
{
	const struct arena *arena = &thread->cache->arena;
	struct epoch_reader reader = { .line = thread->reader.line, .epoch = thread->reader.epoch, .fenced = fenced };
	struct found found;
	struct short_key key;
	uint64_t hash;
	bool done;

	if (request->operation != WRITE_SET || !hash_is_short(request->key_size) || !request->key || !request->value ||
	    request->value_size > arena->segment_bytes)
		return false;
	/*
	 * The clock is read first, when least has to be kept over a call. What write.c says of the order is of keys that are not there: here
	 * the new version follows that of the object that is replaced, whatever the time is.
	 */
	found.now_ms = request->ttl_ms ? arena_now_ms(arena) : coarse_ms(arena);
	key = short_key_load(request->key, request->key_size);
	hash = hash_short_key(arena->secret, key, request->key_size);
	if (usage_sampled(hash))
		return false;
	epoch_enter(&reader);
	done = find(&reader, arena, hash, key, request, &found) && put(thread, &reader, request, &found, ret_version);
	epoch_unpin_index(&reader, INDEX_PIN_SEGMENT);
	/* Whether the section was revoked does not matter: what is published is, and else nothing is said of the key. */
	epoch_exit(&reader);
	if (!done)
		return false;
	add_own(&reader.line->sets, 1);
	return true;
}

bool cache_replace(struct cache_thread *thread, const struct write_request *request, struct write_result *ret_result)
{
	uint64_t version;

	if (!replace(thread, thread->reader.fenced, request, &version))
		return false;
	*ret_result = (struct write_result){ .version = version };
	return true;
}

/* A set of which cache_set did nothing. */
static __attribute__((noinline)) int set_otherwise(struct cache_thread *thread, const void *key, size_t key_size,
                                                   const void *value, size_t value_size, uint64_t *ret_version)
{
	const struct write_request request = {
		.operation = WRITE_SET,
		.key = key,
		.key_size = key_size,
		.value = value,
		.value_size = value_size,
	};
	struct write_result written;
	int result = thread->reader.fenced ? cache_write(thread, &request, &written)
	                                   : cache_write_any(thread, &request, &written);

	if (result == LARDER_OK && ret_version)
		*ret_version = written.version;
	return result;
}

int cache_set(struct cache_thread *thread, const void *key, size_t key_size, const void *value, size_t value_size,
              uint64_t *ret_version)
{
	const struct write_request request = {
		.operation = WRITE_SET,
		.key = key,
		.key_size = key_size,
		.value = value,
		.value_size = value_size,
	};
	uint64_t version;

	if (__builtin_expect(thread->reader.fenced || !replace(thread, false, &request, &version), 0))
		return set_otherwise(thread, key, key_size, value, value_size, ret_version);
	if (ret_version)
		*ret_version = version;
	return LARDER_OK;
}
