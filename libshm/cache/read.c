/* SPDX-License-Identifier: MIT */
/*
 * Reads. The life of one: hash the key, enter a section, find the object, copy it out (or pin its segment), leave the
 * section. If leaving tells that the section was revoked, what was read is worthless and the read starts over.
 */
#include "cache/read.h"

#include <errno.h>

#include "base/failpoint.h"
#include "cache/heat.h"
#include "cache/large.h"
#include "cache/pin.h"
#include "cache/usage.h"

/* ---- the usual object ---------------------------------------------------------------------------------------------- */

/*
 * Lookups in an arena larger than the caches spend their time waiting for memory, and a processor that may look some hundred
 * instructions ahead waits for several at once if they are short. So what nearly all reads are has a way of its own: a short
 * key, where it is likeliest, of an object that is no counter (plain.h). All else goes the general way.
 */

/* As fetch_object but for the first line, which is looked at next. */
static inline __attribute__((always_inline)) void fetch_value(const struct arena_near *near, uint64_t word)
{
	for (int i = 1; i < FETCH_LINES; i++)
		__builtin_prefetch(near->base + slot_offset(word) + i * CACHE_LINE);
}

void read_note_usage(struct cache_thread *thread, uint64_t hash, size_t key_size, int result,
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
	add_own(result == LARDER_MISS ? &thread->reader.line->misses : &thread->reader.line->hits, 1);
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
	read_note_usage(thread, hash, key_size, result, &item);
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

/* Two blocks, which overlap unless the size is that of both. */
#define COPY_ENDS(to, from, size, block) \
	(memcpy((to), (from), (block)), memcpy((to) + (size) - (block), (from) + (size) - (block), (block)))

#define VALUE_USUAL_MAX 128

/*
 * Copies values of usual sizes where it stands: what has to be kept over a call of memcpy takes longer than that. False: it is another size.
 */
static inline __attribute__((always_inline)) bool copy_usual(unsigned char *to, const unsigned char *from,
                                                             uint64_t size)
{
	if (__builtin_expect(size - 64 <= VALUE_USUAL_MAX - 64, 1))
		COPY_ENDS(to, from, size, 64);
	else if (size - 32 <= 32)
		COPY_ENDS(to, from, size, 32);
	else if (size - 16 <= 16)
		COPY_ENDS(to, from, size, 16);
	else
		return false;
	return true;
}

/*
 * Whether a key goes the usual way. In a fenced process none does: there a section begins by an exchange, and what a store before that wrote
 * would hide from the exchange what the keeper did (docs/MEMORY-ORDER.md).
 */
static inline __attribute__((always_inline)) bool is_short(const struct arena_near *near, size_t key_size)
{
	return __builtin_expect(key_size - HASH_SHORT_MIN < near->short_sizes, 1);
}

/* Enters a section, in a process that is not fenced. */
static inline __attribute__((always_inline)) void enter(struct cache_thread *thread)
{
	const struct arena_header *header = (const struct arena_header *)(const void *)thread->near.base;

	thread->reader.entered = epoch_begin(thread->reader.line, &header->epoch, false);
}

/* A get whose section was revoked: it begins anew, in another one. */
static __attribute__((noinline)) int get_revoked(struct cache_thread *thread, const void *key, size_t key_size,
                                                 void *buffer, size_t buffer_size, struct larder_item *ret_item)
{
	epoch_enter(&thread->reader);
	return get_any(thread, key, key_size, buffer, buffer_size, ret_item, SLOT_LINK);
}

/* A get of a key that is in the sample, which is known only in a section. */
static __attribute__((noinline)) int get_sampled_after(struct cache_thread *thread, const void *key, size_t key_size,
                                                       void *buffer, size_t buffer_size, struct larder_item *ret_item)
{
	epoch_exit(&thread->reader);
	return get_sampled(thread, key, key_size, buffer, buffer_size, ret_item);
}

/* A get that is not of the usual kind, from inside the section in which thread->guessed was guessed. */
static __attribute__((noinline)) int get_unusual(struct cache_thread *thread, const void *key, size_t key_size,
                                                 void *buffer, size_t buffer_size, struct larder_item *ret_item)
{
	if (__builtin_expect(!buffer, 0)) {
		epoch_exit(&thread->reader);
		return get_other(thread, key, key_size, buffer, buffer_size, ret_item);
	}
	return get_any(thread, key, key_size, buffer, buffer_size, ret_item, thread->guessed);
}

/* The end of a get or view, for what is noted of it. */
static __attribute__((noinline)) int noted(struct cache_thread *thread)
{
	heat_note(thread, thread->guessed);
	return LARDER_OK;
}

/* A get of the object of a word, that of thread->guessed, and with this head; it is plain, or even bare. */
static inline __attribute__((always_inline)) int get_plain(struct cache_thread *thread, uint64_t word, uint64_t head,
                                                           bool bare, const void *key, struct short_key loaded,
                                                           size_t key_size, void *buffer, size_t buffer_size,
                                                           struct larder_item *ret_item)
{
	const struct arena_near *near = &thread->near;
	struct thread_line *line;
	struct plain plain;
	uint64_t ttl_ms;

	if (__builtin_expect(!plain_look(near, word, head, bare, loaded, key_size, &plain), 0) ||
	    __builtin_expect(plain.value_size > buffer_size, 0) ||
	    __builtin_expect(expired(&thread->cache->arena, plain.expires_ms, ret_item, &ttl_ms), 0))
		return get_unusual(thread, key, key_size, buffer, buffer_size, ret_item);
	if (!copy_usual(buffer, plain.value, plain.value_size)) {
		if (!plain_fits(near, &plain))
			return get_unusual(thread, key, key_size, buffer, buffer_size, ret_item);
		memcpy(buffer, plain.value, plain.value_size);
	}
	if (ret_item)
		describe_plain(&plain, ttl_ms, ret_item);
	line = thread->reader.line;
	if (__builtin_expect(!epoch_leave(line, thread->reader.entered), 0))
		return get_revoked(thread, key, key_size, buffer, buffer_size, ret_item);
	add_own(&line->hits, 1);
	return heat_counts(word) ? noted(thread) : LARDER_OK;
}

int cache_get(struct cache_thread *thread, const void *key, size_t key_size, void *buffer, size_t buffer_size,
              struct larder_item *ret_item)
{
	const struct arena_near *near = &thread->near;
	struct short_key loaded;
	uint64_t hash, word, head;

	if (!is_short(near, key_size) || __builtin_expect(!key, 0))
		return get_other(thread, key, key_size, buffer, buffer_size, ret_item);
	loaded = short_key_load(key, key_size);
	hash = hash_short_key(near->secret, loaded, key_size);
	enter(thread);
	word = index_guess_near(near, hash);
	thread->guessed = word;
	if (__builtin_expect(!buffer, 0))
		return get_unusual(thread, key, key_size, buffer, buffer_size, ret_item);
	if (usage_sampled(hash))
		return get_sampled_after(thread, key, key_size, buffer, buffer_size, ret_item);
	if (__builtin_expect(!slot_is_object(word), 0))
		return get_unusual(thread, key, key_size, buffer, buffer_size, ret_item);
	fetch_value(near, word); /* where the value begins is known only when the first line has come */
	head = plain_head(near, word, PLAIN_BYTES_WITH(VALUE_USUAL_MAX));
	if (plain_is_bare(head, key_size))
		return get_plain(thread, word, head, true, key, loaded, key_size, buffer, buffer_size, ret_item);
	if (plain_is(head, key_size))
		return get_plain(thread, word, head, false, key, loaded, key_size, buffer, buffer_size, ret_item);
	return get_unusual(thread, key, key_size, buffer, buffer_size, ret_item);
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
	add_own(result == LARDER_MISS ? &thread->reader.line->misses : &thread->reader.line->hits, 1);
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
	read_note_usage(thread, hash, key_size, result, &ret_view->item);
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

/* A view whose section was revoked: it begins anew, in another one. */
static __attribute__((noinline)) int view_revoked(struct cache_thread *thread, const void *key, size_t key_size,
                                                  struct larder_view *ret_view)
{
	unpin(thread->cache, ret_view->shard, ret_view->segment);
	epoch_enter(&thread->reader);
	return view_any(thread, key, key_size, ret_view, SLOT_LINK);
}

/* As get_sampled_after. */
static __attribute__((noinline)) int view_sampled_after(struct cache_thread *thread, const void *key, size_t key_size,
                                                        struct larder_view *ret_view)
{
	epoch_exit(&thread->reader);
	return view_sampled(thread, key, key_size, ret_view);
}

/* As get_plain. */
static inline __attribute__((always_inline)) int view_plain(struct cache_thread *thread, uint64_t word, uint64_t head,
                                                            bool bare, const void *key, struct short_key loaded,
                                                            size_t key_size, struct larder_view *ret_view)
{
	const struct arena_near *near = &thread->near;
	const uint32_t segment = (uint32_t)(slot_offset(word) >> near->segment_shift);
	struct thread_line *line = thread->reader.line;
	struct plain plain;
	uint64_t ttl_ms;

	if (__builtin_expect(!plain_look(near, word, head, bare, loaded, key_size, &plain), 0) ||
	    !plain_fits(near, &plain) ||
	    __builtin_expect(cache_expired_coarsely(&thread->cache->arena, plain.expires_ms, &ttl_ms), 0))
		return view_any(thread, key, key_size, ret_view, thread->guessed);
	ret_view->shard = pin_from(thread, line, false, segment);
	ret_view->data = plain.value;
	ret_view->size = plain.value_size;
	ret_view->segment = segment;
	describe_plain(&plain, ttl_ms, &ret_view->item);
	if (__builtin_expect(!epoch_leave(line, thread->reader.entered), 0))
		return view_revoked(thread, key, key_size, ret_view);
	add_own(&line->hits, 1);
	return heat_counts(word) ? noted(thread) : LARDER_OK;
}

/* As cache_get. */
int cache_view(struct cache_thread *thread, const void *key, size_t key_size, struct larder_view *ret_view)
{
	const struct arena_near *near = &thread->near;
	struct short_key loaded;
	uint64_t hash, word, head;

	if (!is_short(near, key_size) || __builtin_expect(!key || !ret_view, 0))
		return view_other(thread, key, key_size, ret_view);
	loaded = short_key_load(key, key_size);
	hash = hash_short_key(near->secret, loaded, key_size);
	enter(thread);
	word = index_guess_near(near, hash);
	thread->guessed = word;
	if (usage_sampled(hash))
		return view_sampled_after(thread, key, key_size, ret_view);
	if (__builtin_expect(!slot_is_object(word), 0))
		return view_any(thread, key, key_size, ret_view, thread->guessed);
	fetch_value(near, word);
	head = plain_head(near, word, PLAIN_BYTES);
	if (plain_is_bare(head, key_size))
		return view_plain(thread, word, head, true, key, loaded, key_size, ret_view);
	if (plain_is(head, key_size))
		return view_plain(thread, word, head, false, key, loaded, key_size, ret_view);
	return view_any(thread, key, key_size, ret_view, thread->guessed);
}

void cache_release(struct cache *cache, struct larder_view *view)
{
	if (view->data && view->segment < cache->arena.segment_count)
		unpin(cache, view->shard, view->segment);
	view->data = NULL;
	view->segment = NO_SEGMENT;
}
