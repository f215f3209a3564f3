/* SPDX-License-Identifier: MIT */
/*
 * The problem: a lookup in larder is to be compared with "the plain walk": XXH3, the line of the index, the object. The
 * fastest loop that does this (driver_floor.c has one, too) knows all sizes when it is compiled and is told in which
 * slot the key is; no table that anybody could use is like that.
 *
 * So this is a table that somebody could use: its functions are in a file of their own, so the compiler knows neither the
 * sizes nor the caller; a slot is found by its tag, eight compared at once; the key is compared; the value is copied. It is
 * as fast as we could make it, and there is nothing in it that a table without sharing, change and expiry does not need.
 */
#include "bench/plain_table.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define XXH_INLINE_ALL
#include <xxhash.h>

#define INDEX_BYTES_PER_ENTRY 16
#define OBJECT_UNIT 8

static uint64_t object_bytes(uint64_t key_size, uint64_t value_size)
{
	return (sizeof(struct plain_object) + key_size + value_size + OBJECT_UNIT - 1) / OBJECT_UNIT * OBJECT_UNIT;
}

static uint64_t line_count(uint64_t entries)
{
	uint64_t lines = 1;

	while (lines * sizeof(struct plain_line) < entries * INDEX_BYTES_PER_ENTRY)
		lines *= 2;
	return lines;
}

uint64_t plain_table_bytes(uint64_t entries, uint64_t key_size, uint64_t value_size)
{
	return line_count(entries) * sizeof(struct plain_line) + entries * object_bytes(key_size, value_size);
}

void plain_table_start(struct plain_table *table, void *memory, uint64_t entries)
{
	uint64_t lines = line_count(entries);

	*table = (struct plain_table){
		.lines = memory,
		.objects = (unsigned char *)memory + lines * sizeof(struct plain_line),
		.line_mask = lines - 1,
	};
}

static uint16_t hash_tag(uint64_t hash)
{
	return (uint16_t)(hash >> 48 | 1);
}

uint64_t plain_table_home(const struct plain_table *table, const void *key, size_t key_size)
{
	return XXH3_64bits(key, key_size) & table->line_mask;
}

void plain_table_add(struct plain_table *table, const void *key, size_t key_size, const void *value, size_t value_size)
{
	uint64_t hash = XXH3_64bits(key, key_size);
	unsigned char *object = table->objects + table->object_bytes;
	const struct plain_object header = { .key_size = key_size, .value_size = value_size };
	struct plain_line *line;
	int slot = 0;

	for (uint64_t i = hash;; i++) {
		line = &table->lines[i & table->line_mask];
		for (slot = 0; slot < PLAIN_SLOTS && line->tags[slot] != 0;)
			slot++;
		if (slot < PLAIN_SLOTS)
			break;
	}
	memcpy(object, &header, sizeof header);
	memcpy(object + sizeof header, key, key_size);
	memcpy(object + sizeof header + key_size, value, value_size);
	line->objects[slot] = (uint32_t)table->object_bytes;
	line->tags[slot] = hash_tag(hash);
	table->object_bytes += object_bytes(key_size, value_size);
}

/* A bit for each slot with the tag; the last one's place is PLAIN_SLOTS - 1. */
static inline unsigned match(const struct plain_line *line, uint16_t tag)
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

static inline const unsigned char *find(const struct plain_table *table, uint64_t hash, const void *key,
                                        size_t key_size, size_t *ret_value_size)
{
	for (uint64_t i = hash;; i++) {
		const struct plain_line *line = &table->lines[i & table->line_mask];

		for (unsigned matches = match(line, hash_tag(hash)); matches; matches &= matches - 1) {
			const unsigned char *object = table->objects + line->objects[__builtin_ctz(matches)];
			struct plain_object header;

			memcpy(&header, object, sizeof header);
			if (header.key_size == key_size && memcmp(object + sizeof header, key, key_size) == 0) {
				*ret_value_size = header.value_size;
				return object + sizeof header + key_size;
			}
		}
		if (line->tags[PLAIN_SLOTS - 1] == 0)
			return NULL;
	}
}

static inline bool get(const struct plain_table *table, uint64_t hash, const void *key, size_t key_size, void *buffer,
                       size_t buffer_size)
{
	size_t value_size;
	const unsigned char *value = find(table, hash, key, key_size, &value_size);

	if (!value || value_size > buffer_size)
		return false;
	memcpy(buffer, value, value_size);
	return true;
}

const void *plain_table_find(const struct plain_table *table, const void *key, size_t key_size, size_t *ret_value_size)
{
	return find(table, XXH3_64bits(key, key_size), key, key_size, ret_value_size);
}

bool plain_table_get(const struct plain_table *table, const void *key, size_t key_size, void *buffer,
                     size_t buffer_size)
{
	return get(table, XXH3_64bits(key, key_size), key, key_size, buffer, buffer_size);
}

void plain_table_mget(const struct plain_table *table, struct plain_entry *entries, size_t count)
{
	uint64_t hashes[PLAIN_BATCH_MAX];

	for (size_t i = 0; i < count; i++) {
		hashes[i] = XXH3_64bits(entries[i].key, entries[i].key_size);
		__builtin_prefetch(&table->lines[hashes[i] & table->line_mask]);
	}
	for (size_t i = 0; i < count; i++) {
		const struct plain_line *line = &table->lines[hashes[i] & table->line_mask];
		unsigned matches = match(line, hash_tag(hashes[i]));

		if (matches) {
			const unsigned char *object = table->objects + line->objects[__builtin_ctz(matches)];

			/* A short entry spans as many lines; a long one's others come by themselves. */
			__builtin_prefetch(object);
			__builtin_prefetch(object + 64);
			__builtin_prefetch(object + 128);
		}
	}
	for (size_t i = 0; i < count; i++)
		entries[i].found = get(table, hashes[i], entries[i].key, entries[i].key_size, entries[i].buffer,
		                       entries[i].buffer_size);
}
