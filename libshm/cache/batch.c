/* SPDX-License-Identifier: MIT */
/*
 * A group of keys is looked up in passes, so that the memory accesses of all overlap: fetch the buckets; then the objects,
 * or the overflow buckets of the few that have one, and then theirs; then read.
 */
#include <errno.h>

#include "cache/heat.h"
#include "cache/read.h"
#include "cache/usage.h"

#define GROUP CACHE_GROUP
#define READ_BY_ITSELF 1000 /* the result of a key whose value is too large for the section of the group */

/* The hash of a key, whose bucket is fetched; of what can be no key, 0. */
static inline __attribute__((always_inline)) uint64_t hash_and_fetch(const struct arena *arena, const void *key,
                                                                     size_t key_size)
{
	uint64_t hash = cache_key_valid(key, key_size) ? hash_key(arena->secret, key, key_size) : 0;
	uint32_t segment = index_segment(arena, hash);

	if (__builtin_expect(segment < arena->segment_count, 1))
		__builtin_prefetch(&index_buckets(arena, segment)[hash_home(hash, arena->homes)]);
	return hash;
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
		uint64_t guess = bucket ? bucket_guess(bucket, bucket_matches(bucket, hashes[i])) : 0;

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
	const struct arena_near near = arena_near(arena);
	uint64_t now_ms = 0, ttl_ms;
	struct group_sum sum = { 0 };

	for (size_t i = 0; i < keys; i++) {
		struct larder_mget_entry *entry = &group[i];
		struct plain plain;

		if (__builtin_expect(slot_is_object(guesses[i]) && hash_is_short(entry->key_size) && entry->key &&
		                             entry->buffer &&
		                             plain_open(&near, guesses[i], short_key_load(entry->key, entry->key_size),
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
		read_note_usage(thread, hash, entry->key_size, entry->result, &entry->item);
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

		for (size_t i = 0; i < keys; i++)
			hashes[i] = hash_and_fetch(arena, group[i].key, group[i].key_size);
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
		add_own(&thread->reader.line->misses, keys - sum.hits - sum.large);
		add_own(&thread->reader.line->hits, sum.hits);
		note_group(thread, group, keys, hashes, guesses);
		for (size_t i = 0; sum.large && i < keys; i++)
			if (group[i].result == READ_BY_ITSELF)
				group[i].result = cache_get(thread, group[i].key, group[i].key_size, group[i].buffer,
				                            group[i].buffer_size, &group[i].item);
	}
}

/* Fetches the objects of a group whose buckets are fetched. */
static inline __attribute__((always_inline)) void fetch_group(struct cache_thread *thread, const uint64_t hashes[GROUP],
                                                              size_t keys)
{
	uint64_t guesses[GROUP];

	epoch_enter(&thread->reader);
	guess_group(&thread->cache->arena, hashes, keys, guesses);
	epoch_exit(&thread->reader); /* nothing was read that matters */
}

void cache_mview(struct cache_thread *thread, struct larder_mview_entry *entries, size_t entry_count)
{
	const struct arena *arena = &thread->cache->arena;
	uint64_t hashes[GROUP];

	for (size_t done = 0; done < entry_count; done += GROUP) {
		size_t keys = entry_count - done < GROUP ? entry_count - done : GROUP;
		struct larder_mview_entry *group = &entries[done];

		for (size_t i = 0; i < keys; i++)
			hashes[i] = hash_and_fetch(arena, group[i].key, group[i].key_size);
		fetch_group(thread, hashes, keys);
		for (size_t i = 0; i < keys; i++)
			group[i].result = cache_view(thread, group[i].key, group[i].key_size, &group[i].view);
	}
}

void cache_fetch(struct cache_thread *thread, const struct larder_mset_entry *group, size_t keys)
{
	const struct arena *arena = &thread->cache->arena;
	uint64_t hashes[GROUP];

	for (size_t i = 0; i < keys; i++)
		hashes[i] = hash_and_fetch(arena, group[i].key, group[i].key_size);
	fetch_group(thread, hashes, keys);
}
