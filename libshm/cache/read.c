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
#include "cache/large.h"
#include "cache/pin.h"
#include "cache/plain.h"
#include "cache/usage.h"

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

/* Copies a living object out, inside a section, with the life that is left to it. */
static inline int copy_out(const struct object_view *object, uint64_t ttl_ms, void *buffer, size_t buffer_size,
                           struct larder_item *ret_item)
{
	const void *value = object->value;
	size_t size = object->value_size;
	uint64_t version = object->version;
	char text[NUMBER_TEXT];

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
 * Lookups in an arena larger than the caches spend their time waiting for memory, and a processor that may look some hundred
 * instructions ahead waits for several at once if they are short. So what nearly all reads are has a way of its own: a short
 * key, where it is likeliest, of an object that is no counter (plain.h). All else goes the general way.
 */

static inline void describe_plain(const struct plain *plain, uint64_t ttl_ms, struct larder_item *ret_item)
{
	*ret_item = (struct larder_item){ .version = plain->object->version,
		                          .value_size = plain->value_size,
		                          .ttl_ms = ttl_ms,
		                          .flags = plain->user_flags };
}

/*
 * Fetching: a prefetch never faults, so it does not matter whether there is an object, or so large a one. gcc takes a function that
 * only prefetches for one without effect and drops the call, unless it is inlined before.
 */
#define FETCH_LINES 3 /* of an object: most are not larger */

static inline __attribute__((always_inline)) void fetch_object(const struct arena *arena, uint64_t word)
{
	for (int i = 0; i < FETCH_LINES; i++)
		__builtin_prefetch(arena->base + slot_offset(word) + i * CACHE_LINE);
}

/* The same but for the first line, for who looks at that next. */
static inline __attribute__((always_inline)) void fetch_value(const struct arena *arena, uint64_t word)
{
	for (int i = 1; i < FETCH_LINES; i++)
		__builtin_prefetch(arena->base + slot_offset(word) + i * CACHE_LINE);
}

/* A lookup of a key that is in the sample, how it ended and what is known of what was found. */
static void note_usage(struct cache_thread *thread, uint64_t hash, size_t key_size, int result,
                       const struct larder_item *item)
{
	uint32_t flags;

	if (result == LARDER_MISS) {
		usage_note(thread, USAGE_MISS, hash, 0, 0);
		return;
	}
	flags = (item->ttl_ms ? OBJECT_EXPIRES : 0) | (item->flags ? OBJECT_FLAGS : 0);
	usage_note(thread, USAGE_HIT, hash, object_size(flags, (uint32_t)key_size, (uint32_t)item->value_size),
	           item->ttl_ms);
}

/* ---- get ----------------------------------------------------------------------------------------------------------- */

/* As index_confirm, but hashes the key once more, and only where it is not as was guessed: that is cheaper than to keep the hash. */
static inline __attribute__((always_inline)) bool confirm(const struct arena *arena, uint64_t *guess, const void *key,
                                                          size_t key_size, struct object_view *ret_object)
{
	if (*guess == 0)
		return false;
	if (slot_is_object(*guess) && __builtin_expect(index_compare(arena, *guess, key, key_size, ret_object), 1))
		return true;
	*guess = SLOT_LINK;
	return index_confirm(arena, guess, hash_key(arena->secret, key, key_size), key, key_size, ret_object);
}

/* For get, which gives exactly how much life is left, if that is wanted. */
static inline __attribute__((always_inline)) bool expired(const struct arena *arena, uint64_t expires_ms,
                                                          const struct larder_item *item, uint64_t *ret_ttl_ms)
{
	uint64_t now_ms = 0;

	return item ? cache_expired(arena, expires_ms, &now_ms, ret_ttl_ms)
	            : cache_expired_coarsely(arena, expires_ms, ret_ttl_ms);
}

/* Does whatever get there is, from inside a section in which index_guess said this. */
static __attribute__((noinline)) int get_any(struct cache_thread *thread, const void *key, size_t key_size,
                                             void *buffer, size_t buffer_size, struct larder_item *ret_item,
                                             uint64_t guess)
{
	const struct arena *arena = &thread->cache->arena;
	struct object_view object;
	uint64_t ttl_ms;
	int result;

	for (int attempt = 1;; attempt++) {
		bool found = confirm(arena, &guess, key, key_size, &object) &&
		             !expired(arena, object.expires_ms, ret_item, &ttl_ms);

		if (__builtin_expect(found && object.flags & OBJECT_LARGE, 0)) {
			if (ret_item)
				describe(&object, ttl_ms, object.value_size, object.version, ret_item);
			result = large_copy_out(thread, &object, buffer, buffer_size);
			if (result >= 0)
				break;
		} else {
			result = found ? copy_out(&object, ttl_ms, buffer, buffer_size, ret_item) : LARDER_MISS;
			if (epoch_exit(&thread->reader))
				break;
		}
		result = LARDER_MISS;
		if (attempt == READ_ATTEMPTS)
			break;
		epoch_enter(&thread->reader);
		guess = SLOT_LINK;
	}
	count(result == LARDER_MISS ? &thread->reader.line->misses : &thread->reader.line->hits, 1);
	if (result != LARDER_MISS && heat_counts(guess))
		heat_note(thread, guess);
	return result;
}

/* A get of a key that is in the sample. */
static __attribute__((noinline)) int get_sampled(struct cache_thread *thread, const void *key, size_t key_size,
                                                 void *buffer, size_t buffer_size, struct larder_item *ret_item)
{
	const struct arena *arena = &thread->cache->arena;
	const uint64_t hash = hash_key(arena->secret, key, key_size);
	struct larder_item item;
	int result;

	epoch_enter(&thread->reader);
	result = get_any(thread, key, key_size, buffer, buffer_size, &item, index_guess(arena, hash));
	if (ret_item && result != LARDER_MISS)
		*ret_item = item;
	note_usage(thread, hash, key_size, result, &item);
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
	if (usage_sampled(hash))
		return get_sampled(thread, key, key_size, buffer, buffer_size, ret_item);
	epoch_enter(&thread->reader);
	return get_any(thread, key, key_size, buffer, buffer_size, ret_item, index_guess(arena, hash));
}

/* A section of the usual read, and the word that was guessed in it. */
struct guess {
	uint64_t entered, word;
};

/* Leaves the section. False: it was revoked, and another one begun, in which nothing is known. */
static inline __attribute__((always_inline)) bool leave(struct cache_thread *thread, struct guess *guess)
{
	struct thread_line *line = thread->reader.line;

	if (__builtin_expect(epoch_leave(line, guess->entered), 1)) {
		count(&line->hits, 1);
		if (heat_counts(guess->word))
			heat_note(thread, guess->word);
		return true;
	}
	*guess = (struct guess){ epoch_begin(&thread->reader, thread->reader.epoch), SLOT_LINK };
	return false;
}

/* A get of an object that is plain, or even bare. False: something is unusual, and the section goes on. */
static inline __attribute__((always_inline)) bool get_plain(struct cache_thread *thread, const struct arena *near,
                                                            struct guess *guess, uint64_t head, bool bare,
                                                            struct short_key key, size_t key_size, void *buffer,
                                                            size_t buffer_size, struct larder_item *ret_item)
{
	struct plain plain;
	uint64_t ttl_ms;

	if (__builtin_expect(!plain_look(near, guess->word, head, bare, key, key_size, &plain), 0) ||
	    __builtin_expect(plain.value_size > buffer_size, 0) ||
	    __builtin_expect(expired(&thread->cache->arena, plain.expires_ms, ret_item, &ttl_ms), 0))
		return false;
	memcpy(buffer, plain.value, plain.value_size);
	if (ret_item)
		describe_plain(&plain, ttl_ms, ret_item);
	return leave(thread, guess);
}

int cache_get(struct cache_thread *thread, const void *key, size_t key_size, void *buffer, size_t buffer_size,
              struct larder_item *ret_item)
{
	const struct arena *arena = &thread->cache->arena;
	struct arena near;
	struct short_key loaded;
	struct guess guess;
	uint64_t hash, head;

	if (__builtin_expect(!hash_is_short(key_size) || !key || !buffer, 0))
		return get_other(thread, key, key_size, buffer, buffer_size, ret_item);
	loaded = short_key_load(key, key_size);
	hash = hash_short_key(arena->secret, loaded, key_size);
	if (usage_sampled(hash))
		return get_sampled(thread, key, key_size, buffer, buffer_size, ret_item);
	near = arena_near(arena);
	guess.entered = epoch_begin(&thread->reader, &near.header->epoch);
	guess.word = index_guess(&near, hash);
	if (__builtin_expect(slot_is_object(guess.word), 1)) {
		fetch_value(&near, guess.word); /* where the value begins is known only when the first line has come */
		head = plain_head(&near, guess.word);
		if (plain_is_bare(head, key_size)) {
			if (get_plain(thread, &near, &guess, head, true, loaded, key_size, buffer, buffer_size,
			              ret_item))
				return LARDER_OK;
		} else if (plain_is(head, key_size)) {
			if (get_plain(thread, &near, &guess, head, false, loaded, key_size, buffer, buffer_size,
			              ret_item))
				return LARDER_OK;
		}
	}
	thread->reader.entered = guess.entered;
	return get_any(thread, key, key_size, buffer, buffer_size, ret_item, guess.word);
}

/* ---- views --------------------------------------------------------------------------------------------------------- */

#define NO_SEGMENT UINT32_MAX /* a view of a counter: its text is in the view itself */

/* Pins a living object in its place, inside a section. */
static inline int pin_in_place(struct cache_thread *thread, const struct object_view *object,
                               struct larder_view *ret_view)
{
	const struct arena *arena = &thread->cache->arena;
	uint64_t ttl_ms, version = object->version;

	if (__builtin_expect(cache_expired_coarsely(arena, object->expires_ms, &ttl_ms), 0))
		return LARDER_MISS;
	if (__builtin_expect(object->counter != NULL, 0)) {
		ret_view->size = number_format(counter_read(object->counter, &version), ret_view->text);
		ret_view->data = ret_view->text;
	} else {
		ret_view->segment = (uint32_t)(object->offset >> arena->segment_shift);
		ret_view->shard = pin(thread, ret_view->segment);
		ret_view->size = object->value_size;
		ret_view->data = object->value;
	}
	describe(object, ttl_ms, ret_view->size, version, &ret_view->item);
	return LARDER_OK;
}

/* Does whatever view there is, from inside a section in which this was guessed. */
static __attribute__((noinline)) int view_any(struct cache_thread *thread, const void *key, size_t key_size,
                                              struct larder_view *ret_view, uint64_t guess)
{
	const struct arena *arena = &thread->cache->arena;
	struct object_view object;
	int result;

	for (int attempt = 1;; attempt++) {
		ret_view->segment = NO_SEGMENT;
		result = confirm(arena, &guess, key, key_size, &object) ? pin_in_place(thread, &object, ret_view)
		                                                        : LARDER_MISS;
		if (epoch_exit(&thread->reader))
			break;
		if (ret_view->segment != NO_SEGMENT)
			unpin(thread->cache, ret_view->shard, ret_view->segment);
		result = LARDER_MISS;
		if (attempt == READ_ATTEMPTS)
			break;
		epoch_enter(&thread->reader);
		guess = SLOT_LINK;
	}
	if (result != LARDER_OK)
		ret_view->data = NULL;
	else if (heat_counts(guess))
		heat_note(thread, guess);
	count(result == LARDER_MISS ? &thread->reader.line->misses : &thread->reader.line->hits, 1);
	return result;
}

/* A view of a key that is in the sample. */
static __attribute__((noinline)) int view_sampled(struct cache_thread *thread, const void *key, size_t key_size,
                                                  struct larder_view *ret_view)
{
	const struct arena *arena = &thread->cache->arena;
	const uint64_t hash = hash_key(arena->secret, key, key_size);
	int result;

	epoch_enter(&thread->reader);
	result = view_any(thread, key, key_size, ret_view, index_guess(arena, hash));
	note_usage(thread, hash, key_size, result, &ret_view->item);
	return result;
}

static __attribute__((noinline)) int view_other(struct cache_thread *thread, const void *key, size_t key_size,
                                                struct larder_view *ret_view)
{
	const struct arena *arena = &thread->cache->arena;
	uint64_t hash;

	if (!cache_key_valid(key, key_size) || !ret_view)
		return -EINVAL;
	hash = hash_key(arena->secret, key, key_size);
	if (usage_sampled(hash))
		return view_sampled(thread, key, key_size, ret_view);
	epoch_enter(&thread->reader);
	return view_any(thread, key, key_size, ret_view, index_guess(arena, hash));
}

/* As get_plain. */
static inline __attribute__((always_inline)) bool view_plain(struct cache_thread *thread, const struct arena *near,
                                                             struct guess *guess, uint64_t head, bool bare,
                                                             struct short_key key, size_t key_size,
                                                             struct larder_view *ret_view)
{
	struct plain plain;
	uint64_t ttl_ms;
	uint32_t segment;

	if (__builtin_expect(!plain_look(near, guess->word, head, bare, key, key_size, &plain), 0) ||
	    __builtin_expect(cache_expired_coarsely(&thread->cache->arena, plain.expires_ms, &ttl_ms), 0))
		return false;
	segment = (uint32_t)(slot_offset(guess->word) >> near->segment_shift);
	ret_view->shard = pin(thread, segment);
	ret_view->data = plain.value;
	ret_view->size = plain.value_size;
	ret_view->segment = segment;
	describe_plain(&plain, ttl_ms, &ret_view->item);
	if (__builtin_expect(leave(thread, guess), 1))
		return true;
	unpin(thread->cache, ret_view->shard, segment);
	return false;
}

/* As cache_get. */
int cache_view(struct cache_thread *thread, const void *key, size_t key_size, struct larder_view *ret_view)
{
	const struct arena *arena = &thread->cache->arena;
	struct arena near;
	struct short_key loaded;
	struct guess guess;
	uint64_t hash, head;

	if (__builtin_expect(!hash_is_short(key_size) || !key || !ret_view, 0))
		return view_other(thread, key, key_size, ret_view);
	loaded = short_key_load(key, key_size);
	hash = hash_short_key(arena->secret, loaded, key_size);
	if (usage_sampled(hash))
		return view_sampled(thread, key, key_size, ret_view);
	near = arena_near(arena);
	guess.entered = epoch_begin(&thread->reader, &near.header->epoch);
	guess.word = index_guess(&near, hash);
	if (__builtin_expect(slot_is_object(guess.word), 1)) {
		fetch_value(&near, guess.word);
		head = plain_head(&near, guess.word);
		if (plain_is_bare(head, key_size)) {
			if (view_plain(thread, &near, &guess, head, true, loaded, key_size, ret_view))
				return LARDER_OK;
		} else if (plain_is(head, key_size)) {
			if (view_plain(thread, &near, &guess, head, false, loaded, key_size, ret_view))
				return LARDER_OK;
		}
	}
	thread->reader.entered = guess.entered;
	return view_any(thread, key, key_size, ret_view, guess.word);
}

void cache_release(struct cache *cache, struct larder_view *view)
{
	if (view->data && view->segment < cache->arena.segment_count)
		unpin(cache, view->shard, view->segment);
	view->data = NULL;
	view->segment = NO_SEGMENT;
}

/* ---- batches ------------------------------------------------------------------------------------------------------- */

/*
 * A group of keys is looked up in passes, so that the memory accesses of all overlap: fetch the buckets; then the objects,
 * or the overflow buckets of the few that have one, and then theirs; then read.
 */
#define GROUP CACHE_GROUP
#define READ_BY_ITSELF 1000 /* the result of a key whose value is too large for the section of the group */

static inline __attribute__((always_inline)) void fetch_bucket(const struct arena *arena, uint64_t hash)
{
	uint32_t segment = index_segment(arena, hash);

	if (__builtin_expect(segment < arena->segment_count, 1))
		__builtin_prefetch(&index_buckets(arena, segment)[hash_home(hash, arena->homes)]);
}

/* Inside a section, once the buckets are fetched. */
static inline __attribute__((always_inline)) void guess_group(const struct arena *arena, const uint64_t hashes[GROUP],
                                                              size_t keys, uint64_t guesses[GROUP])
{
	uint32_t elsewhere[GROUP], count = 0;

	for (uint32_t i = 0; i < keys; i++) {
		guesses[i] = index_guess(arena, hashes[i]);
		if (__builtin_expect(slot_is_link(guesses[i]), 0)) {
			__builtin_prefetch(index_guessed_bucket(arena, hashes[i], guesses[i]));
			elsewhere[count++] = i;
		} else {
			fetch_object(arena, guesses[i]);
		}
	}
	for (uint32_t j = 0; j < count; j++) {
		uint32_t i = elsewhere[j];
		struct bucket *bucket = index_guessed_bucket(arena, hashes[i], guesses[i]);
		uint64_t guess = bucket ? bucket_guess(bucket, bucket_look(bucket, hashes[i])) : 0;

		if (slot_is_object(guess)) {
			guesses[i] = guess;
			fetch_object(arena, guess);
		}
	}
}

static __attribute__((noinline)) int read_any(const struct arena *arena, uint64_t *guess, uint64_t hash,
                                              uint64_t *now_ms, struct larder_mget_entry *entry)
{
	struct object_view object;
	uint64_t ttl_ms;

	if (!cache_key_valid(entry->key, entry->key_size) || (!entry->buffer && entry->buffer_size))
		return -EINVAL;
	if (!index_confirm(arena, guess, hash, entry->key, entry->key_size, &object) ||
	    cache_expired(arena, object.expires_ms, now_ms, &ttl_ms))
		return LARDER_MISS;
	if (object.flags & OBJECT_LARGE)
		return READ_BY_ITSELF;
	return copy_out(&object, ttl_ms, entry->buffer, entry->buffer_size, &entry->item);
}

/* How many keys of a group came to what. */
struct group_sum {
	size_t hits, large;
};

/* Inside a section. The guesses become the words that led to the hits. */
static struct group_sum read_group(const struct arena *arena, const uint64_t hashes[GROUP], uint64_t guesses[GROUP],
                                   struct larder_mget_entry *group, size_t keys)
{
	uint64_t now_ms = 0, ttl_ms;
	struct group_sum sum = { 0 };

	for (size_t i = 0; i < keys; i++) {
		struct larder_mget_entry *entry = &group[i];
		struct plain plain;

		if (__builtin_expect(slot_is_object(guesses[i]) && hash_is_short(entry->key_size) && entry->key &&
		                             entry->buffer &&
		                             plain_open(arena, guesses[i], short_key_load(entry->key, entry->key_size),
		                                        entry->key_size, &plain) &&
		                             plain.value_size <= entry->buffer_size &&
		                             !cache_expired(arena, plain.expires_ms, &now_ms, &ttl_ms),
		                     1)) {
			memcpy(entry->buffer, plain.value, plain.value_size);
			describe_plain(&plain, ttl_ms, &entry->item);
			entry->result = LARDER_OK;
		} else {
			entry->result = read_any(arena, &guesses[i], hashes[i], &now_ms, entry);
			sum.large += entry->result == READ_BY_ITSELF;
		}
		sum.hits += entry->result == LARDER_OK || entry->result == LARDER_TRUNCATED;
	}
	return sum;
}

/* Nothing of what was read can be used. */
static struct group_sum miss_group(struct larder_mget_entry *group, size_t keys)
{
	for (size_t i = 0; i < keys; i++)
		if (group[i].result != -EINVAL)
			group[i].result = LARDER_MISS;
	return (struct group_sum){ 0 };
}

static __attribute__((noinline)) void note_entry(struct cache_thread *thread, const struct larder_mget_entry *entry,
                                                 uint64_t hash, uint64_t word)
{
	bool found = entry->result == LARDER_OK || entry->result == LARDER_TRUNCATED;

	if (found && heat_counts(word))
		heat_note(thread, word);
	if (usage_sampled(hash) && entry->result >= 0 && entry->result != READ_BY_ITSELF)
		note_usage(thread, hash, entry->key_size, entry->result, &entry->item);
}

/* Notes how the keys were used. */
static void note_group(struct cache_thread *thread, const struct larder_mget_entry *group, size_t keys,
                       const uint64_t hashes[GROUP], const uint64_t words[GROUP])
{
	for (size_t i = 0; i < keys; i++)
		if (heat_counts(words[i]) || usage_sampled(hashes[i]))
			note_entry(thread, &group[i], hashes[i], words[i]);
}

void cache_mget(struct cache_thread *thread, struct larder_mget_entry *entries, size_t entry_count)
{
	const struct arena *arena = &thread->cache->arena;
	uint64_t hashes[GROUP], guesses[GROUP];

	for (size_t done = 0; done < entry_count; done += GROUP) {
		size_t keys = entry_count - done < GROUP ? entry_count - done : GROUP;
		struct larder_mget_entry *group = &entries[done];
		struct group_sum sum;

		for (size_t i = 0; i < keys; i++) {
			hashes[i] = cache_key_valid(group[i].key, group[i].key_size)
			                    ? hash_key(arena->secret, group[i].key, group[i].key_size)
			                    : 0;
			fetch_bucket(arena, hashes[i]);
		}
		for (int attempt = 1;; attempt++) {
			epoch_enter(&thread->reader);
			guess_group(arena, hashes, keys, guesses);
			sum = read_group(arena, hashes, guesses, group, keys);
			if (__builtin_expect(epoch_exit(&thread->reader), 1))
				break;
			if (attempt == READ_ATTEMPTS) {
				sum = miss_group(group, keys);
				break;
			}
		}
		count(&thread->reader.line->misses, keys - sum.hits - sum.large);
		count(&thread->reader.line->hits, sum.hits);
		note_group(thread, group, keys, hashes, guesses);
		for (size_t i = 0; sum.large && i < keys; i++)
			if (group[i].result == READ_BY_ITSELF)
				group[i].result = cache_get(thread, group[i].key, group[i].key_size, group[i].buffer,
				                            group[i].buffer_size, &group[i].item);
	}
}

void cache_mview(struct cache_thread *thread, struct larder_mview_entry *entries, size_t entry_count)
{
	const struct arena *arena = &thread->cache->arena;
	uint64_t hashes[GROUP], guesses[GROUP];

	for (size_t done = 0; done < entry_count; done += GROUP) {
		size_t keys = entry_count - done < GROUP ? entry_count - done : GROUP;
		struct larder_mview_entry *group = &entries[done];

		for (size_t i = 0; i < keys; i++) {
			hashes[i] = cache_key_valid(group[i].key, group[i].key_size)
			                    ? hash_key(arena->secret, group[i].key, group[i].key_size)
			                    : 0;
			fetch_bucket(arena, hashes[i]);
		}
		epoch_enter(&thread->reader);
		guess_group(arena, hashes, keys, guesses);
		epoch_exit(&thread->reader); /* nothing was read that matters */
		for (size_t i = 0; i < keys; i++)
			group[i].result = cache_view(thread, group[i].key, group[i].key_size, &group[i].view);
	}
}

void cache_fetch(struct cache_thread *thread, const struct larder_mset_entry *group, size_t keys)
{
	const struct arena *arena = &thread->cache->arena;
	uint64_t hashes[GROUP], guesses[GROUP];

	for (size_t i = 0; i < keys; i++) {
		hashes[i] = cache_key_valid(group[i].key, group[i].key_size)
		                    ? hash_key(arena->secret, group[i].key, group[i].key_size)
		                    : 0;
		fetch_bucket(arena, hashes[i]);
	}
	epoch_enter(&thread->reader);
	guess_group(arena, hashes, keys, guesses);
	epoch_exit(&thread->reader); /* nothing was read that matters */
}
