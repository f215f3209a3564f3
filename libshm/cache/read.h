/* SPDX-License-Identifier: MIT */
/* What reads of one key (read.c) and of many (batch.c) share. */
#ifndef LARDER_CACHE_READ_H
#define LARDER_CACHE_READ_H

#include <string.h>

#include "cache/internal.h"
#include "cache/plain.h"

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

/*
 * Reports a lookup of a key that is in the sample: how it ended, and what is known of what was found. Outside of sections.
 */
void read_note_usage(struct cache_thread *thread, uint64_t hash, size_t key_size, int result,
                     const struct larder_item *item);

#endif
