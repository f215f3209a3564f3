/* SPDX-License-Identifier: MIT */
/*
 * The walk itself, to be compiled into its caller: by plain_table.c into functions that know no sizes, by a benchmark into a
 * loop that knows all of them.
 */
#ifndef LARDER_BENCH_PLAIN_WALK_H
#define LARDER_BENCH_PLAIN_WALK_H

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bench/plain_table.h"

#define WALK static inline __attribute__((always_inline))

WALK uint64_t walk_object_bytes(uint64_t key_size, uint64_t value_size)
{
	return (sizeof(struct plain_object) + key_size + value_size + PLAIN_UNIT - 1) / PLAIN_UNIT * PLAIN_UNIT;
}

WALK uint16_t walk_tag(uint64_t hash)
{
	return (uint16_t)(hash >> 48 | 1);
}

/* A bit for each slot with the tag; the last one's place is PLAIN_SLOTS - 1. */
WALK unsigned walk_match(const struct plain_line *line, uint16_t tag)
{
#ifdef __SSE2__
	__m128i tags = _mm_load_si128((const __m128i *)(const void *)line->tags);
	__m128i equal = _mm_cmpeq_epi16(tags, _mm_set1_epi16((short)tag));

	return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128()));
#else
	unsigned matches = 0;

	for (unsigned i = 0; i < PLAIN_SLOTS; i++)
		matches |= (unsigned)(line->tags[i] == tag) << i;
	return matches;
#endif
}

/* The slot that names the object of a key, or NULL. */
WALK uint32_t *walk_slot(const struct plain_table *table, uint64_t hash, const void *key, size_t key_size)
{
	for (uint64_t i = hash;; i++) {
		struct plain_line *line = &table->lines[i & table->line_mask];

		for (unsigned matches = walk_match(line, walk_tag(hash)); matches; matches &= matches - 1) {
			uint32_t *slot = &line->objects[__builtin_ctz(matches)];
			const unsigned char *object = table->objects + (uint64_t)*slot * PLAIN_UNIT;
			struct plain_object header;

			memcpy(&header, object, sizeof header);
			if (header.key_size == key_size && memcmp(object + sizeof header, key, key_size) == 0)
				return slot;
		}
		if (line->tags[PLAIN_SLOTS - 1] == 0)
			return NULL;
	}
}

WALK const unsigned char *walk_find(const struct plain_table *table, uint64_t hash, const void *key, size_t key_size,
                                    size_t *ret_value_size)
{
	const uint32_t *slot = walk_slot(table, hash, key, key_size);
	const unsigned char *object;
	struct plain_object header;

	if (!slot)
		return NULL;
	object = table->objects + (uint64_t)*slot * PLAIN_UNIT;
	memcpy(&header, object, sizeof header);
	*ret_value_size = header.value_size;
	return object + sizeof header + key_size;
}

WALK bool walk_get(const struct plain_table *table, uint64_t hash, const void *key, size_t key_size, void *buffer,
                   size_t buffer_size)
{
	size_t value_size;
	const unsigned char *value = walk_find(table, hash, key, key_size, &value_size);

	if (!value || value_size > buffer_size)
		return false;
	memcpy(buffer, value, value_size);
	return true;
}

WALK void walk_write(unsigned char *object, const void *key, size_t key_size, const void *value, size_t value_size)
{
	const struct plain_object header = { .key_size = key_size, .value_size = value_size };

	memcpy(object, &header, sizeof header);
	memcpy(object + sizeof header, key, key_size);
	memcpy(object + sizeof header + key_size, value, value_size);
}

/* See plain_table_replace. */
WALK bool walk_replace(struct plain_table *table, const void *key, size_t key_size, const void *value,
                       size_t value_size)
{
	uint32_t *slot = walk_slot(table, XXH3_64bits(key, key_size), key, key_size);
	uint32_t *spare = &table->spares[table->replaced % PLAIN_SPARES];
	uint32_t old, place = *spare;

	if (!slot)
		return false;
	if (table->replaced++ < PLAIN_SPARES) {
		place = (uint32_t)(table->object_bytes / PLAIN_UNIT);
		table->object_bytes += walk_object_bytes(key_size, value_size);
	}
	old = *slot;
	walk_write(table->objects + (uint64_t)place * PLAIN_UNIT, key, key_size, value, value_size);
	*slot = place;
	*spare = old;
	return true;
}

/* See plain_table_mget. */
WALK void walk_mget(const struct plain_table *table, struct plain_entry *entries, size_t count)
{
	uint64_t hashes[PLAIN_BATCH_MAX];

	for (size_t i = 0; i < count; i++) {
		hashes[i] = XXH3_64bits(entries[i].key, entries[i].key_size);
		__builtin_prefetch(&table->lines[hashes[i] & table->line_mask]);
	}
	for (size_t i = 0; i < count; i++) {
		const struct plain_line *line = &table->lines[hashes[i] & table->line_mask];
		unsigned matches = walk_match(line, walk_tag(hashes[i]));

		if (matches) {
			const unsigned char *object = table->objects +
			                              (uint64_t)line->objects[__builtin_ctz(matches)] * PLAIN_UNIT;

			/* A short entry spans as many lines; a long one's others come by themselves. */
			__builtin_prefetch(object);
			__builtin_prefetch(object + 64);
			__builtin_prefetch(object + 128);
		}
	}
	for (size_t i = 0; i < count; i++)
		entries[i].found = walk_get(table, hashes[i], entries[i].key, entries[i].key_size, entries[i].buffer,
		                            entries[i].buffer_size);
}

#endif
