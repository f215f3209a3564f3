/* SPDX-License-Identifier: MIT */
/*
 * Reads. The life of one: hash the key, enter a section, find the object, copy it out (or pin its segment), leave the
 * section. If leaving tells that the section was revoked, what was read is worthless and the read starts over.
 */
#include <errno.h>
#include <string.h>

#include "base/failpoint.h"
#include "cache/heat.h"
#include "cache/internal.h"

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

/* Copies a living object out, inside a section. */
static inline int copy_out(const struct arena *arena, const struct object_view *object, void *buffer,
                           size_t buffer_size, struct larder_item *ret_item)
{
	const void *value = object->value;
	size_t size = object->value_size;
	uint64_t ttl_ms, version = object->version;
	char text[NUMBER_TEXT];

	if (__builtin_expect(cache_expired(arena, object, &ttl_ms), 0))
		return LARDER_MISS;
	if (__builtin_expect(object->counter != NULL, 0)) {
		size = number_format(counter_read(object->counter, &version), text);
		value = text;
	}
	if (buffer_size)
		memcpy(buffer, value, size < buffer_size ? size : buffer_size);
	if (ret_item)
		describe(object, ttl_ms, size, version, ret_item);
	return size <= buffer_size ? LARDER_OK : LARDER_TRUNCATED;
}

/* ---- the usual object ---------------------------------------------------------------------------------------------- */

/*
 * Lookups of an arena larger than the caches spend their time waiting for memory, and a processor that may look some hundred
 * instructions ahead waits for several at once if they are short. So what nearly all reads are has a way of its own: a short
 * key, where it is likeliest, of an object without flags (no expiry, no counter). All else goes the general way.
 */
struct plain {
	const struct object *object;
	const unsigned char *value;
	uint64_t value_size;
	uint64_t value_end; /* from the object on */
};

#define PLAIN_KEY_MAX 32
#define PLAIN_COPY_MIN 32
#define PLAIN_COPY_MAX 128
#define PLAIN_BYTES (sizeof(struct object) + PLAIN_KEY_MAX + OBJECT_UNIT + PLAIN_COPY_MAX)

/*
 * Whether the object of a slot word is plain and has this key, which is short. If so, its value lies in the arena if it is no larger
 * than PLAIN_COPY_MAX; else value_end is to be compared.
 */
static inline __attribute__((always_inline)) bool open_plain(const struct arena *arena, uint64_t word, const void *key,
                                                             size_t key_size, struct plain *ret_plain)
{
	const uint64_t offset = slot_offset(word);
	const unsigned char *start = arena->base + offset;
	uint64_t head, value_start;

	if (__builtin_expect(offset > arena->bytes - PLAIN_BYTES, 0))
		return false;
	ret_plain->object = (const struct object *)(const void *)start;
	head = load_acquire(&ret_plain->object->head); /* A10 <- R10 */
	_Static_assert(OBJECT_FLAGS_SHIFT == 16, "flags stand above the key size");
	if (__builtin_expect(
		    (head & 0xffffff) != key_size || !bytes_equal(start + sizeof(struct object), key, key_size), 0))
		return false;
	ret_plain->value_size = head >> OBJECT_VALUE_SIZE_SHIFT;
	value_start = align_up(sizeof(struct object) + key_size, object_value_alignment(ret_plain->value_size));
	ret_plain->value = start + value_start;
	ret_plain->value_end = value_start + ret_plain->value_size;
	return true;
}

static inline void describe_plain(const struct plain *plain, struct larder_item *ret_item)
{
	*ret_item = (struct larder_item){ .version = plain->object->version, .value_size = plain->value_size };
}

/*
 * Copies a value of PLAIN_COPY_MIN to PLAIN_COPY_MAX bytes by loads and stores that overlap: the size comes out of the object, so each branch
 * on it that is guessed wrong costs a whole cache miss. False: it is larger or smaller.
 */
static inline __attribute__((always_inline)) bool copy_plain(void *to, const struct plain *plain)
{
	typedef uint64_t block __attribute__((vector_size(16)));
	const uint64_t size = plain->value_size;
	const unsigned char *from = plain->value, *end = from + size;
	unsigned char *target = to, *target_end = target + size;
	block b[8];

	if (__builtin_expect(size < PLAIN_COPY_MIN || size > PLAIN_COPY_MAX, 0))
		return false;
	memcpy(&b[0], from, 16);
	memcpy(&b[1], from + 16, 16);
	memcpy(&b[2], end - 32, 16);
	memcpy(&b[3], end - 16, 16);
	if (size > 64) {
		memcpy(&b[4], from + 32, 16);
		memcpy(&b[5], from + 48, 16);
		memcpy(&b[6], end - 64, 16);
		memcpy(&b[7], end - 48, 16);
		memcpy(target + 32, &b[4], 16);
		memcpy(target + 48, &b[5], 16);
		memcpy(target_end - 64, &b[6], 16);
		memcpy(target_end - 48, &b[7], 16);
	}
	memcpy(target, &b[0], 16);
	memcpy(target + 16, &b[1], 16);
	memcpy(target_end - 32, &b[2], 16);
	memcpy(target_end - 16, &b[3], 16);
	return true;
}

/* ---- get ----------------------------------------------------------------------------------------------------------- */

/* Does whatever get there is, from inside a section in which index_guess said this. */
static __attribute__((noinline)) int get_any(struct cache_thread *thread, const void *key, size_t key_size,
                                             void *buffer, size_t buffer_size, struct larder_item *ret_item,
                                             uint64_t guess)
{
	const struct arena *arena = &thread->cache->arena;
	const uint64_t hash = hash_key(arena->secret, key, key_size); /* cache_get has no register to spare for it */
	struct object_view object;
	int result;

	for (;;) {
		result = index_confirm(arena, &guess, hash, key, key_size, &object)
		                 ? copy_out(arena, &object, buffer, buffer_size, ret_item)
		                 : LARDER_MISS;
		if (epoch_exit(&thread->reader))
			break;
		epoch_enter(&thread->reader);
		guess = SLOT_LINK;
	}
	count(result == LARDER_MISS ? &thread->reader.line->misses : &thread->reader.line->hits, 1);
	if (result != LARDER_MISS && heat_counts(guess))
		heat_note(thread, key, key_size, guess);
	return result;
}

/* A get of a key that is not short, or of nothing that can be. */
static __attribute__((noinline)) int get_other(struct cache_thread *thread, const void *key, size_t key_size,
                                               void *buffer, size_t buffer_size, struct larder_item *ret_item)
{
	const struct arena *arena = &thread->cache->arena;
	uint64_t hash;

	if (!cache_key_valid(key, key_size) || (!buffer && buffer_size))
		return -EINVAL;
	hash = hash_key(arena->secret, key, key_size);
	epoch_enter(&thread->reader);
	return get_any(thread, key, key_size, buffer, buffer_size, ret_item, index_guess(arena, hash));
}

static __attribute__((noinline)) int note_and_return(struct cache_thread *thread, const void *key, size_t key_size,
                                                     uint64_t word)
{
	heat_note(thread, key, key_size, word);
	return LARDER_OK;
}

/* Calls nothing before all is decided, so nothing has to be kept for after a call. */
int cache_get(struct cache_thread *thread, const void *key, size_t key_size, void *buffer, size_t buffer_size,
              struct larder_item *ret_item)
{
	const struct arena *arena = &thread->cache->arena;
	struct thread_line *line = thread->reader.line;
	struct plain plain;
	uint64_t entered;
	uint64_t guess;

	if (__builtin_expect(!hash_is_short(key_size) || !key || !buffer, 0))
		return get_other(thread, key, key_size, buffer, buffer_size, ret_item);
	guess = hash_short_key(arena->secret, key, key_size);
	entered = epoch_enter(&thread->reader);
	guess = index_guess(arena, guess);
	if (__builtin_expect(slot_is_object(guess), 1) &&
	    __builtin_expect(open_plain(arena, guess, key, key_size, &plain), 1) &&
	    __builtin_expect(plain.value_size <= buffer_size, 1) && __builtin_expect(copy_plain(buffer, &plain), 1)) {
		if (ret_item)
			describe_plain(&plain, ret_item);
		if (__builtin_expect(epoch_leave(line, entered), 1)) {
			count(&line->hits, 1);
			return heat_counts(guess) ? note_and_return(thread, key, key_size, guess) : LARDER_OK;
		}
		epoch_enter(&thread->reader);
		guess = SLOT_LINK;
	}
	return get_any(thread, key, key_size, buffer, buffer_size, ret_item, guess);
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

/* Pins a living object in its place, inside a section. */
static inline __attribute__((always_inline)) int pin_in_place(struct cache_thread *thread,
                                                              const struct object_view *object,
                                                              struct larder_view *ret_view)
{
	const struct arena *arena = &thread->cache->arena;
	uint64_t ttl_ms, version = object->version;

	if (__builtin_expect(cache_expired(arena, object, &ttl_ms), 0))
		return LARDER_MISS;
	ret_view->shard = thread->shard;
	if (__builtin_expect(object->counter != NULL, 0)) {
		ret_view->size = number_format(counter_read(object->counter, &version), ret_view->text);
		ret_view->data = ret_view->text;
	} else {
		ret_view->segment = (uint32_t)(object->offset >> arena->segment_shift);
		pin(thread, ret_view->segment);
		ret_view->size = object->value_size;
		ret_view->data = object->value;
	}
	describe(object, ttl_ms, ret_view->size, version, &ret_view->item);
	return LARDER_OK;
}

int cache_view(struct cache_thread *thread, const void *key, size_t key_size, struct larder_view *ret_view)
{
	const struct arena *arena = &thread->cache->arena;
	struct object_view object;
	uint64_t hash, word;
	int result;

	if (!cache_key_valid(key, key_size) || !ret_view)
		return -EINVAL;
	hash = hash_key(arena->secret, key, key_size);
	for (;;) {
		ret_view->segment = NO_SEGMENT;
		epoch_enter(&thread->reader);
		word = index_guess(arena, hash);
		result = index_confirm(arena, &word, hash, key, key_size, &object)
		                 ? pin_in_place(thread, &object, ret_view)
		                 : LARDER_MISS;
		if (__builtin_expect(epoch_exit(&thread->reader), 1))
			break;
		if (ret_view->segment != NO_SEGMENT)
			unpin(thread->cache, thread->shard, ret_view->segment);
	}
	if (result != LARDER_OK)
		ret_view->data = NULL;
	else if (heat_counts(word))
		heat_note(thread, key, key_size, word);
	count(result == LARDER_MISS ? &thread->reader.line->misses : &thread->reader.line->hits, 1);
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
#define FETCH_LINES 3 /* of an object: most are not larger */

static inline __attribute__((always_inline)) void prefetch_bucket(const struct arena *arena, uint64_t hash)
{
	uint32_t segment = index_segment(arena, hash);

	if (__builtin_expect(segment < arena->segment_count, 1))
		__builtin_prefetch(&index_buckets(arena, segment)[hash_home(hash, arena->homes)]);
}

static inline __attribute__((always_inline)) void prefetch_object(const struct arena *arena, uint64_t word)
{
	/* A prefetch never faults, so it matters neither whether there is an object nor whether it is that large. */
	for (int i = 0; i < FETCH_LINES; i++)
		__builtin_prefetch(arena->base + slot_offset(word) + i * CACHE_LINE);
}

static void hash_group(const struct arena *arena, const struct larder_mget_entry *group, size_t keys,
                       uint64_t hashes[GROUP])
{
	for (size_t i = 0; i < keys; i++) {
		hashes[i] = cache_key_valid(group[i].key, group[i].key_size)
		                    ? hash_key(arena->secret, group[i].key, group[i].key_size)
		                    : 0;
		prefetch_bucket(arena, hashes[i]);
	}
}

/* Inside a section. Return: the hits, and the words of their slots. */
static size_t copy_group(const struct arena *arena, const uint64_t hashes[GROUP], struct larder_mget_entry *group,
                         size_t keys, uint64_t ret_words[GROUP])
{
	size_t hits = 0;

	for (size_t i = 0; i < keys; i++) {
		ret_words[i] = index_guess(arena, hashes[i]);
		prefetch_object(arena, ret_words[i]);
	}
	for (size_t i = 0; i < keys; i++) {
		struct larder_mget_entry *entry = &group[i];
		struct object_view object;

		if (__builtin_expect(!cache_key_valid(entry->key, entry->key_size) ||
		                             (!entry->buffer && entry->buffer_size),
		                     0)) {
			entry->result = -EINVAL;
			continue;
		}
		entry->result = index_confirm(arena, &ret_words[i], hashes[i], entry->key, entry->key_size, &object)
		                        ? copy_out(arena, &object, entry->buffer, entry->buffer_size, &entry->item)
		                        : LARDER_MISS;
		hits += entry->result != LARDER_MISS;
	}
	return hits;
}

/* Notes the use of what was found. */
static void note_group(struct cache_thread *thread, const struct larder_mget_entry *group, size_t keys,
                       const uint64_t words[GROUP])
{
	for (size_t i = 0; i < keys; i++)
		if (heat_counts(words[i]) && (group[i].result == LARDER_OK || group[i].result == LARDER_TRUNCATED))
			heat_note(thread, group[i].key, group[i].key_size, words[i]);
}

void cache_mget(struct cache_thread *thread, struct larder_mget_entry *entries, size_t entry_count)
{
	const struct arena *arena = &thread->cache->arena;
	uint64_t hashes[GROUP], words[GROUP];

	for (size_t done = 0; done < entry_count; done += GROUP) {
		size_t keys = entry_count - done < GROUP ? entry_count - done : GROUP;
		struct larder_mget_entry *group = &entries[done];
		size_t hits;

		hash_group(arena, group, keys, hashes);
		do {
			epoch_enter(&thread->reader);
			hits = copy_group(arena, hashes, group, keys, words);
		} while (!epoch_exit(&thread->reader));
		count(&thread->reader.line->misses, keys - hits);
		count(&thread->reader.line->hits, hits);
		note_group(thread, group, keys, words);
	}
}

void cache_mview(struct cache_thread *thread, struct larder_mview_entry *entries, size_t entry_count)
{
	const struct arena *arena = &thread->cache->arena;
	uint64_t hashes[GROUP];

	for (size_t done = 0; done < entry_count; done += GROUP) {
		size_t keys = entry_count - done < GROUP ? entry_count - done : GROUP;
		struct larder_mview_entry *group = &entries[done];

		for (size_t i = 0; i < keys; i++) {
			hashes[i] = cache_key_valid(group[i].key, group[i].key_size)
			                    ? hash_key(arena->secret, group[i].key, group[i].key_size)
			                    : 0;
			prefetch_bucket(arena, hashes[i]);
		}
		epoch_enter(&thread->reader);
		for (size_t i = 0; i < keys; i++)
			prefetch_object(arena, index_guess(arena, hashes[i]));
		epoch_exit(&thread->reader); /* nothing was read that matters */
		for (size_t i = 0; i < keys; i++)
			group[i].result = cache_view(thread, group[i].key, group[i].key_size, &group[i].view);
	}
}
