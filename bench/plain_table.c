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

#include "bench/plain_walk.h"

#define INDEX_BYTES_PER_ENTRY 16

static uint64_t line_count(uint64_t entries)
{
	uint64_t lines = 1;

	while (lines * sizeof(struct plain_line) < entries * INDEX_BYTES_PER_ENTRY)
		lines *= 2;
	return lines;
}

uint64_t plain_table_bytes(uint64_t entries, uint64_t key_size, uint64_t value_size)
{
	return line_count(entries) * sizeof(struct plain_line) +
	       (entries + PLAIN_SPARES) * walk_object_bytes(key_size, value_size);
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

uint64_t plain_table_home(const struct plain_table *table, const void *key, size_t key_size)
{
	return XXH3_64bits(key, key_size) & table->line_mask;
}

void plain_table_add(struct plain_table *table, const void *key, size_t key_size, const void *value, size_t value_size)
{
	uint64_t hash = XXH3_64bits(key, key_size);
	struct plain_line *line;
	int slot = 0;

	for (uint64_t i = hash;; i++) {
		line = &table->lines[i & table->line_mask];
		for (slot = 0; slot < PLAIN_SLOTS && line->tags[slot] != 0;)
			slot++;
		if (slot < PLAIN_SLOTS)
			break;
	}
	line->objects[slot] = (uint32_t)(table->object_bytes / PLAIN_UNIT);
	line->tags[slot] = walk_tag(hash);
	walk_write(table->objects + table->object_bytes, key, key_size, value, value_size);
	table->object_bytes += walk_object_bytes(key_size, value_size);
}

const void *plain_table_find(const struct plain_table *table, const void *key, size_t key_size, size_t *ret_value_size)
{
	return walk_find(table, XXH3_64bits(key, key_size), key, key_size, ret_value_size);
}

bool plain_table_get(const struct plain_table *table, const void *key, size_t key_size, void *buffer,
                     size_t buffer_size)
{
	return walk_get(table, XXH3_64bits(key, key_size), key, key_size, buffer, buffer_size);
}

bool plain_table_replace(struct plain_table *table, const void *key, size_t key_size, const void *value,
                         size_t value_size)
{
	return walk_replace(table, key, key_size, value, value_size);
}

void plain_table_mget(const struct plain_table *table, struct plain_entry *entries, size_t count)
{
	walk_mget(table, entries, count);
}
