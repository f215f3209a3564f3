/* SPDX-License-Identifier: MIT */
/*
 * Reads. The life of one: hash the key, enter a section, find the object, copy it out (or pin its segment), leave the
 * section. If leaving tells that the section was revoked, what was read is worthless and the read starts over.
 */
#include <errno.h>
#include <string.h>

#include "base/failpoint.h"
#include "cache/internal.h"

/* Finds a living object, inside a section. Inlined always: then what a caller does not ask of the object is not computed. */
static inline __attribute__((always_inline)) bool find(const struct arena *arena, uint64_t hash, const void *key,
                                                       size_t key_size, struct object_view *ret_object,
                                                       uint64_t *ret_ttl_ms)
{
	return index_lookup(arena, hash, key, key_size, ret_object) && !cache_expired(arena, ret_object, ret_ttl_ms);
}

static inline void describe(const struct object_view *object, uint64_t ttl_ms, uint64_t value_size, uint64_t version,
                            struct larder_item *ret_item)
{
	*ret_item = (struct larder_item){
		.version = version,
		.value_size = value_size,
		.ttl_ms = ttl_ms,
		.flags = object->user_flags,
	};
}

/* One lookup and copy, inside a section. */
static inline __attribute__((always_inline)) int copy_out(const struct arena *arena, uint64_t hash, const void *key,
                                                          size_t key_size, void *buffer, size_t buffer_size,
                                                          struct larder_item *ret_item)
{
	struct object_view object;
	uint64_t ttl_ms, version;
	const void *value;
	char text[NUMBER_TEXT];
	size_t value_size;

	if (!find(arena, hash, key, key_size, &object, &ttl_ms))
		return LARDER_MISS;
	if (__builtin_expect(object.counter != NULL, 0)) {
		value_size = number_format(counter_read(object.counter, &version), text);
		value = text;
	} else {
		value_size = object.value_size;
		value = object.value;
		version = object.version;
	}
	if (buffer_size)
		memcpy(buffer, value, value_size < buffer_size ? value_size : buffer_size);
	if (ret_item)
		describe(&object, ttl_ms, value_size, version, ret_item);
	return value_size <= buffer_size ? LARDER_OK : LARDER_TRUNCATED;
}

int cache_get(struct cache_thread *thread, const void *key, size_t key_size, void *buffer, size_t buffer_size,
              struct larder_item *ret_item)
{
	const struct arena *arena = &thread->cache->arena;
	uint64_t hash;
	int result;

	if (!cache_key_valid(key, key_size) || (!buffer && buffer_size))
		return -EINVAL;
	hash = hash_key(arena->secret, key, key_size);
	do {
		epoch_enter(&thread->reader);
		result = copy_out(arena, hash, key, key_size, buffer, buffer_size, ret_item);
	} while (!epoch_exit(&thread->reader));
	count(&thread->reader.line->gets, 1);
	count(&thread->reader.line->hits, result != LARDER_MISS);
	return result;
}

/* ---- views --------------------------------------------------------------------------------------------------------- */

#define NO_SEGMENT UINT32_MAX /* a view of a counter: its text is in the view itself */

/* Pins the segment an object lies in, inside a section. What the pin holds is certain once the section was left in time. */
static inline void pin(struct cache_thread *thread, uint32_t segment)
{
	/* R6 -> A6: the keeper sees the pin before it reuses the segment, or revoked us before. */
	fetch_add_acq_rel(control_pin(&thread->cache->control, thread->shard, segment), 1);
	failpoint("view.pinned");
}

static inline void unpin(const struct cache *cache, uint32_t shard, uint32_t segment)
{
	failpoint("view.releasing");
	/* R17 -> A17: the holder's loads are done when the keeper finds the pin gone. */
	fetch_sub_release(control_pin(&cache->control, shard, segment), 1);
}

/* One lookup and pin, inside a section. */
static inline __attribute__((always_inline)) int pin_in_place(struct cache_thread *thread, uint64_t hash,
                                                              const void *key, size_t key_size,
                                                              struct larder_view *ret_view)
{
	const struct arena *arena = &thread->cache->arena;
	struct object_view object;
	uint64_t ttl_ms, version;

	ret_view->segment = NO_SEGMENT;
	if (!find(arena, hash, key, key_size, &object, &ttl_ms))
		return LARDER_MISS;
	ret_view->shard = thread->shard;
	if (object.counter) {
		ret_view->size = number_format(counter_read(object.counter, &version), ret_view->text);
		ret_view->data = ret_view->text;
	} else {
		ret_view->segment = (uint32_t)(object.offset >> arena->segment_shift);
		pin(thread, ret_view->segment);
		ret_view->size = object.value_size;
		ret_view->data = object.value;
		version = object.version;
	}
	describe(&object, ttl_ms, ret_view->size, version, &ret_view->item);
	return LARDER_OK;
}

int cache_view(struct cache_thread *thread, const void *key, size_t key_size, struct larder_view *ret_view)
{
	uint64_t hash;
	int result;

	if (!cache_key_valid(key, key_size) || !ret_view)
		return -EINVAL;
	hash = hash_key(thread->cache->arena.secret, key, key_size);
	for (;;) {
		epoch_enter(&thread->reader);
		result = pin_in_place(thread, hash, key, key_size, ret_view);
		if (epoch_exit(&thread->reader))
			break;
		if (ret_view->segment != NO_SEGMENT)
			unpin(thread->cache, thread->shard, ret_view->segment);
	}
	if (result != LARDER_OK)
		ret_view->data = NULL;
	count(&thread->reader.line->gets, 1);
	count(&thread->reader.line->hits, result == LARDER_OK);
	return result;
}

void cache_release(struct cache *cache, struct larder_view *view)
{
	if (view->data && view->segment < cache->arena.segment_count && view->shard < PIN_SHARDS)
		unpin(cache, view->shard, view->segment);
	view->data = NULL;
	view->segment = NO_SEGMENT;
}

/* ---- batches ------------------------------------------------------------------------------------------------------- */

/*
 * A group of keys is looked up in three passes, so that the memory accesses of all overlap: fetch the buckets, then the
 * objects, then read.
 */
#define GROUP 32

static void prefetch_bucket(const struct arena *arena, uint64_t hash)
{
	uint32_t segment = index_segment(arena, hash);

	if (segment < arena->segment_count)
		__builtin_prefetch(&index_buckets(arena, segment)[hash_home(hash, arena->homes)]);
}

static void prefetch_object(const struct arena *arena, uint64_t hash)
{
	uint64_t match = slot_match(hash);
	uint32_t segment;
	struct bucket *bucket = index_home(arena, hash, &segment);

	for (int i = 0; bucket && i < BUCKET_SLOTS; i++) {
		uint64_t word = load_relaxed(&bucket->slots[i]); /* only to know what to fetch */

		if ((word & SLOT_MATCH_MASK) == match && slot_offset(word) < arena->bytes) {
			__builtin_prefetch(arena->base + slot_offset(word));
			__builtin_prefetch(arena->base + slot_offset(word) + CACHE_LINE);
			return;
		}
	}
}

/* The first two passes for up to GROUP keys; those of no valid size get no attention. */
static void prefetch_group(const struct arena *arena, const uint64_t hashes[GROUP], size_t keys)
{
	for (size_t i = 0; i < keys; i++)
		prefetch_bucket(arena, hashes[i]);
	for (size_t i = 0; i < keys; i++)
		prefetch_object(arena, hashes[i]);
}

void cache_mget(struct cache_thread *thread, struct larder_mget_entry *entries, size_t entry_count)
{
	const struct arena *arena = &thread->cache->arena;
	uint64_t hashes[GROUP];

	for (size_t done = 0; done < entry_count; done += GROUP) {
		size_t keys = entry_count - done < GROUP ? entry_count - done : GROUP;
		struct larder_mget_entry *group = &entries[done];
		size_t hits = 0;

		for (size_t i = 0; i < keys; i++)
			hashes[i] = cache_key_valid(group[i].key, group[i].key_size)
			                    ? hash_key(arena->secret, group[i].key, group[i].key_size)
			                    : 0;
		do {
			epoch_enter(&thread->reader);
			prefetch_group(arena, hashes, keys);
			for (size_t i = 0; i < keys; i++) {
				struct larder_mget_entry *entry = &group[i];

				entry->result = !cache_key_valid(entry->key, entry->key_size) ||
				                                (!entry->buffer && entry->buffer_size)
				                        ? -EINVAL
				                        : copy_out(arena, hashes[i], entry->key, entry->key_size,
				                                   entry->buffer, entry->buffer_size, &entry->item);
			}
		} while (!epoch_exit(&thread->reader));
		for (size_t i = 0; i < keys; i++)
			hits += group[i].result == LARDER_OK || group[i].result == LARDER_TRUNCATED;
		count(&thread->reader.line->gets, keys);
		count(&thread->reader.line->hits, hits);
	}
}

void cache_mview(struct cache_thread *thread, struct larder_mview_entry *entries, size_t entry_count)
{
	uint64_t hashes[GROUP];

	for (size_t done = 0; done < entry_count; done += GROUP) {
		size_t keys = entry_count - done < GROUP ? entry_count - done : GROUP;
		struct larder_mview_entry *group = &entries[done];

		for (size_t i = 0; i < keys; i++)
			hashes[i] = cache_key_valid(group[i].key, group[i].key_size)
			                    ? hash_key(thread->cache->arena.secret, group[i].key, group[i].key_size)
			                    : 0;
		epoch_enter(&thread->reader);
		prefetch_group(&thread->cache->arena, hashes, keys);
		epoch_exit(&thread->reader); /* nothing was read that matters */
		for (size_t i = 0; i < keys; i++)
			group[i].result = cache_view(thread, group[i].key, group[i].key_size, &group[i].view);
	}
}
