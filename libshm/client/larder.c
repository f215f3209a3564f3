/* SPDX-License-Identifier: MIT */
/*
 * The calls of larder.h beside open and close: each finds the thread and asks the cache, or larderd. What the cache checks
 * itself is not checked here, because a lookup is short enough for that to show.
 */
#include "larder.h"

#include <errno.h>

#include "client/handle.h"
#include "client/options.h"
#include "client/remote.h"
#include "client/thread.h"

/* ---- read -------------------------------------------------------------------------------------------------------- */

/* The first get of a thread. Apart, so that the usual one keeps nothing for after a call. */
static __attribute__((noinline)) int get_as_stranger(larder *cache, const void *key, size_t key_size, void *buffer,
                                                     size_t buffer_size, struct larder_item *ret_item)
{
	struct thread_entry entry = thread_enter_slow(cache);

	return entry.thread ? cache_get(entry.thread, key, key_size, buffer, buffer_size, ret_item) : entry.result;
}

int larder_get(larder *cache, const void *key, size_t key_size, void *buffer, size_t buffer_size,
               struct larder_item *ret_item)
{
	if (!cache)
		return -EINVAL;
	if (__builtin_expect(!thread_is_known(cache), 0))
		return get_as_stranger(cache, key, key_size, buffer, buffer_size, ret_item);
	return cache_get(thread_recent.thread, key, key_size, buffer, buffer_size, ret_item);
}

static __attribute__((noinline)) int view_as_stranger(larder *cache, const void *key, size_t key_size,
                                                      struct larder_view *ret_view)
{
	struct thread_entry entry = thread_enter_slow(cache);

	if (!entry.thread)
		return entry.result;
	ret_view->attachment = thread_recent.token;
	return cache_view(entry.thread, key, key_size, ret_view);
}

int larder_view(larder *cache, const void *key, size_t key_size, struct larder_view *ret_view)
{
	if (!cache || !ret_view)
		return -EINVAL;
	if (__builtin_expect(!thread_is_known(cache), 0))
		return view_as_stranger(cache, key, key_size, ret_view);
	ret_view->attachment = thread_recent.token;
	return cache_view(thread_recent.thread, key, key_size, ret_view);
}

/* Of an attachment in which this thread is not, or of another process. */
static __attribute__((noinline)) void release_elsewhere(larder *cache, struct larder_view *view)
{
	struct attachment *attachment;

	process_lock();
	attachment = handle_find(cache, view->attachment);
	if (attachment) {
		cache_release(&attachment->cache, view);
		handle_tidy(cache, attachment);
	}
	process_unlock();
	view->data = NULL;
}

/* A view that another process's attachment holds, the parent's of this one, is not ours to give back. */
void larder_release(larder *cache, struct larder_view *view)
{
	if (!cache || !view || !view->data)
		return;
	/* Where this thread is nothing is unmapped; the other comparison tells a forked child from its parent. */
	if (__builtin_expect(view->attachment == thread_recent.token &&
	                             view->attachment == load_relaxed(&cache->process->token),
	                     1))
		cache_release(thread_recent.thread->cache, view);
	else
		release_elsewhere(cache, view);
}

/* What all batches begin with. */
static struct thread_entry enter_batch(larder *cache, const void *entries, size_t count)
{
	if (!cache || (!entries && count > 0))
		return (struct thread_entry){ .thread = NULL, .result = -EINVAL };
	if (count > LARDER_BATCH_MAX)
		return (struct thread_entry){ .thread = NULL, .result = -E2BIG };
	return thread_enter(cache);
}

int larder_mget(larder *cache, struct larder_mget_entry *entries, size_t count)
{
	struct thread_entry entry = enter_batch(cache, entries, count);

	if (!entry.thread)
		return entry.result;
	cache_mget(entry.thread, entries, count);
	return 0;
}

int larder_mview(larder *cache, struct larder_mview_entry *entries, size_t count)
{
	struct thread_entry entry = enter_batch(cache, entries, count);

	if (!entry.thread)
		return entry.result;
	cache_mview(entry.thread, entries, count);
	for (size_t i = 0; i < count; i++)
		if (entries[i].result == 0)
			entries[i].view.attachment = thread_recent.token;
	return 0;
}

void larder_mrelease(larder *cache, struct larder_mview_entry *entries, size_t count)
{
	for (size_t i = 0; entries && i < count; i++)
		if (entries[i].result == 0)
			larder_release(cache, &entries[i].view);
}

/* ---- write ------------------------------------------------------------------------------------------------------- */

static int perform_here(larder *cache, struct cache_thread *thread, const struct write_request *request,
                        struct write_result *ret_result)
{
	if (thread->cache->arena.writable)
		return cache_write(thread, request, ret_result);
	return remote_write(attachment_of(thread), request, cache->source.timeout_ms, ret_result);
}

static int perform(larder *cache, const struct write_request *request, struct write_result *ret_result)
{
	struct thread_entry entry;
	const struct cache *before;
	int result;

	if (!cache || !cache_key_valid(request->key, request->key_size) || (!request->value && request->value_size > 0))
		return -EINVAL;
	entry = thread_enter(cache);
	if (!entry.thread)
		return entry.result;
	before = entry.thread->cache;
	result = perform_here(cache, entry.thread, request, ret_result);
	if (result != -ENOTCONN)
		return result;
	/* Nothing was sent: another larderd may do it. */
	entry = thread_enter_slow(cache);
	if (!entry.thread || entry.thread->cache == before)
		return -ENOTCONN;
	return perform_here(cache, entry.thread, request, ret_result);
}

static int perform_for_version(larder *cache, const struct write_request *request, uint64_t *ret_version)
{
	struct write_result written;
	int result = perform(cache, request, &written);

	if (result == 0 && ret_version)
		*ret_version = written.version;
	return result;
}

static __attribute__((noinline)) int store(larder *cache, enum write_operation operation, const void *key,
                                           size_t key_size, const void *value, size_t value_size,
                                           uint64_t expected_version, const struct larder_set_options *options,
                                           uint64_t *ret_version)
{
	struct write_request request = {
		.operation = operation,
		.key = key,
		.key_size = key_size,
		.value = value,
		.value_size = value_size,
		.expected_version = expected_version,
	};

	if (options) {
		struct larder_set_options known;

		if (options_read(options, &known, sizeof known) != 0 || known.reserved != 0)
			return -EINVAL;
		request.ttl_ms = known.ttl_ms;
		request.flags = known.flags;
	}
	return perform_for_version(cache, &request, ret_version);
}

int larder_set(larder *cache, const void *key, size_t key_size, const void *value, size_t value_size,
               const struct larder_set_options *options, uint64_t *ret_version)
{
	if (!cache)
		return -EINVAL;
	if (__builtin_expect(!options && thread_is_known(cache) && thread_recent.thread->cache->arena.writable, 1))
		return cache_set(thread_recent.thread, key, key_size, value, value_size, ret_version);
	return store(cache, WRITE_SET, key, key_size, value, value_size, 0, options, ret_version);
}

int larder_add(larder *cache, const void *key, size_t key_size, const void *value, size_t value_size,
               const struct larder_set_options *options, uint64_t *ret_version)
{
	return store(cache, WRITE_ADD, key, key_size, value, value_size, 0, options, ret_version);
}

int larder_replace(larder *cache, const void *key, size_t key_size, const void *value, size_t value_size,
                   const struct larder_set_options *options, uint64_t *ret_version)
{
	return store(cache, WRITE_REPLACE, key, key_size, value, value_size, 0, options, ret_version);
}

int larder_cas(larder *cache, const void *key, size_t key_size, const void *value, size_t value_size,
               uint64_t expected_version, const struct larder_set_options *options, uint64_t *ret_version)
{
	return store(cache, WRITE_CAS, key, key_size, value, value_size, expected_version, options, ret_version);
}

int larder_append(larder *cache, const void *key, size_t key_size, const void *bytes, size_t byte_count,
                  uint64_t *ret_version)
{
	const struct write_request request = {
		.operation = WRITE_APPEND,
		.key = key,
		.key_size = key_size,
		.value = bytes,
		.value_size = byte_count,
	};

	return perform_for_version(cache, &request, ret_version);
}

int larder_delete(larder *cache, const void *key, size_t key_size, uint64_t expected_version)
{
	const struct write_request request = {
		.operation = WRITE_DELETE,
		.key = key,
		.key_size = key_size,
		.expected_version = expected_version,
	};

	return perform_for_version(cache, &request, NULL);
}

int larder_touch(larder *cache, const void *key, size_t key_size, uint64_t ttl_ms, uint64_t *ret_version)
{
	const struct write_request request = {
		.operation = WRITE_TOUCH,
		.key = key,
		.key_size = key_size,
		.ttl_ms = ttl_ms,
	};

	return perform_for_version(cache, &request, ret_version);
}

int larder_incr(larder *cache, const void *key, size_t key_size, int64_t delta,
                const struct larder_incr_options *options, int64_t *ret_value)
{
	struct write_request request = {
		.operation = WRITE_INCR,
		.key = key,
		.key_size = key_size,
		.delta = delta,
	};
	struct write_result written;
	int result;

	if (options) {
		struct larder_incr_options known;

		if (options_read(options, &known, sizeof known) != 0 || (known.flags & ~LARDER_INCR_CREATE) ||
		    known.reserved != 0)
			return -EINVAL;
		request.initial = known.initial;
		request.ttl_ms = known.ttl_ms;
		request.incr_flags = known.flags;
	}
	result = perform(cache, &request, &written);
	if (result == 0 && ret_value)
		*ret_value = written.value;
	return result;
}

int larder_decr(larder *cache, const void *key, size_t key_size, int64_t delta,
                const struct larder_incr_options *options, int64_t *ret_value)
{
	if (delta == INT64_MIN)
		return -EOVERFLOW; /* it has no negative */
	return larder_incr(cache, key, key_size, -delta, options, ret_value);
}

static void fetch_group(larder *cache, const struct larder_mset_entry *entries, size_t count)
{
	struct thread_entry entry = thread_enter(cache); /* which may be on another arena than before */

	if (entry.thread && entry.thread->cache->arena.writable)
		cache_fetch(entry.thread, entries, count < CACHE_GROUP ? count : CACHE_GROUP);
}

int larder_mset(larder *cache, struct larder_mset_entry *entries, size_t count)
{
	struct thread_entry entry = enter_batch(cache, entries, count); /* what would fail for every key fails once */

	if (!entry.thread)
		return entry.result;
	for (size_t i = 0; i < count; i++) {
		const struct write_request request = {
			.operation = WRITE_SET,
			.key = entries[i].key,
			.key_size = entries[i].key_size,
			.value = entries[i].value,
			.value_size = entries[i].value_size,
			.ttl_ms = entries[i].ttl_ms,
			.flags = entries[i].flags,
		};

		if (i % CACHE_GROUP == 0)
			fetch_group(cache, &entries[i], count - i);
		entries[i].result = perform_for_version(cache, &request, &entries[i].version);
	}
	return 0;
}

/* ---- look around ------------------------------------------------------------------------------------------------- */

int larder_scan(larder *cache, const void *prefix, size_t prefix_size, struct larder_cursor *cursor,
                struct larder_scan_entry *entries, size_t max_entries, void *buffer, size_t buffer_size,
                size_t *ret_count)
{
	struct thread_entry entry;

	if (!cache || (!prefix && prefix_size > 0) || prefix_size > LARDER_KEY_MAX || !cursor || !entries ||
	    max_entries == 0 || !buffer || buffer_size < LARDER_KEY_MAX || !ret_count)
		return -EINVAL;
	entry = thread_enter(cache);
	if (!entry.thread)
		return entry.result;
	return cache_scan(entry.thread, prefix, prefix_size, cursor, entries, max_entries, buffer, buffer_size,
	                  ret_count);
}

int larder_resize(larder *cache, uint64_t bytes, uint64_t *ret_bytes)
{
	struct thread_entry entry;
	const struct cache *before;
	uint64_t possible;
	int result;

	if (!cache)
		return -EINVAL;
	ret_bytes = ret_bytes ? ret_bytes : &possible;
	entry = thread_enter(cache);
	if (!entry.thread)
		return entry.result;
	before = entry.thread->cache;
	result = remote_resize(attachment_of(entry.thread), bytes, cache->source.timeout_ms, ret_bytes);
	if (result != -ENOTCONN)
		return result;
	/* Nothing was sent: another larderd may do it. */
	entry = thread_enter_slow(cache);
	if (!entry.thread || entry.thread->cache == before)
		return -ENOTCONN;
	return remote_resize(attachment_of(entry.thread), bytes, cache->source.timeout_ms, ret_bytes);
}

int larder_stat(larder *cache, struct larder_stat *ret_stat)
{
	struct larder_stat counted = { .size = sizeof counted };
	struct thread_entry entry;

	if (!cache || !ret_stat)
		return -EINVAL;
	entry = thread_enter(cache);
	if (!entry.thread)
		return entry.result;
	cache_census(entry.thread, &counted);
	return options_write(&counted, sizeof counted, ret_stat);
}
