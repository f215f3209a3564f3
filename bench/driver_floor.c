/* SPDX-License-Identifier: MIT */
/*
 * The problem: "a get takes 60 ns" says nothing, because the same code takes 30 or 120 on the next machine. What can
 * be said is how far it is from what a lookup of a value behind an index has to cost here. Two floors say that, over
 * one table (plain_table.c):
 *
 *   - the plain walk calls that table as a library: XXH3, a line of the index, the object, compare, copy, with sizes that
 *     come as arguments. It is what a lookup costs that does all that larder's does but share, change and expire.
 *   - the minimal floor does the same loads in a loop that the compiler knows everything about: all sizes are constants,
 *     and which slot of the line is the right one comes with the key, where a real lookup has to find out.
 *
 * In both the load of the object needs the result of the load of the line, so on a table larger than the caches these
 * are two dependent misses.
 *
 * So that it is the same work and the same memory otherwise:
 *   - the index takes 16 bytes for each key, rounded up to a power of two of 64-byte lines;
 *   - an object is 136 bytes: a header of 16, key and value; in the order in which they were stored;
 *   - the pages are of the size that the arena has, checked in /proc/self/smaps, all touched beforehand;
 *   - successive lookups may overlap in the processor as far as it is able to; that is as true of larder's. The
 *     chained variants take the next key out of the value just read, so nothing overlaps, and they show the latency.
 */
#include "bench/driver_floor.h"

#include <errno.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bench/harness.h"

#define LINE_WORDS (sizeof(struct plain_line) / sizeof(uint32_t))
#define OBJECT_KEY sizeof(struct plain_object)
#define OBJECT_VALUE (OBJECT_KEY + KEY_BYTES)

/* The last byte of the value, a mere letter elsewhere, holds the hint for the next key in the chain. */
#define VALUE_HINT (VALUE_BYTES - 1)

/* ---- building ---------------------------------------------------------------------------------------------------- */

uint64_t driver_floor_bytes(uint32_t keys)
{
	return plain_table_bytes(keys, KEY_BYTES, VALUE_BYTES);
}

/* Which 32-bit word, counted from the start of the line where the search for the key begins, holds its object. */
static int find_hint(const struct plain_table *table, const unsigned char *key, uint8_t *ret_hint)
{
	uint64_t home = plain_table_home(table, key, KEY_BYTES);
	size_t value_size;
	const unsigned char *value = plain_table_find(table, key, KEY_BYTES, &value_size);

	for (uint64_t i = 0; value && i <= UINT8_MAX / LINE_WORDS && home + i <= table->line_mask; i++)
		for (size_t slot = 0; slot < PLAIN_SLOTS; slot++)
			if (table->objects + (uint64_t)table->lines[home + i].objects[slot] * PLAIN_UNIT +
			            OBJECT_VALUE ==
			    value) {
				*ret_hint = (uint8_t)(i * LINE_WORDS +
				                      offsetof(struct plain_line, objects) / sizeof(uint32_t) + slot);
				return 0;
			}
	return -ERANGE;
}

int driver_floor_create(const struct workload *workload, const struct stream *stream, uint64_t page_bytes,
                        struct driver_floor *ret_floor)
{
	struct driver_floor floor = { .stream = stream };
	int result = machine_memory_map(driver_floor_bytes(workload->keys), page_bytes, &floor.memory);

	if (result != 0)
		return result;
	plain_table_start(&floor.table, floor.memory.address, workload->keys);
	floor.hints = malloc(stream->count);
	if (!floor.hints)
		result = -ENOMEM;

	for (uint32_t id = 0; result == 0 && id < workload->keys; id++) {
		unsigned char key[KEY_BYTES], value[VALUE_BYTES];

		workload_key(id, key);
		workload_value(workload, id, value);
		plain_table_add(&floor.table, key, KEY_BYTES, value, VALUE_BYTES);
	}
	for (uint32_t id = 0; result == 0 && id < workload->keys; id++) {
		unsigned char *value = floor.table.objects + floor.table.object_bytes / workload->keys * id +
		                       OBJECT_VALUE;

		result = find_hint(&floor.table, value + VALUE_NEXT_KEY, value + VALUE_HINT);
	}
	for (size_t i = 0; result == 0 && i < stream->count; i++)
		result = find_hint(&floor.table, stream->keys + i * KEY_BYTES, &floor.hints[i]);
	if (result != 0) {
		driver_floor_destroy(&floor);
		return result;
	}
	*ret_floor = floor;
	return 0;
}

void driver_floor_destroy(struct driver_floor *floor)
{
	free(floor->hints);
	floor->hints = NULL;
	machine_memory_unmap(&floor->memory);
}

/* ---- the plain walk ---------------------------------------------------------------------------------------------- */

int driver_floor_get(void *context, size_t first, size_t count, uint64_t *ret_sum)
{
	const struct driver_floor *floor = context;
	const unsigned char *key = floor->stream->keys + first * KEY_BYTES;
	unsigned char buffer[VALUE_BYTES];
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++, key += KEY_BYTES) {
		if (!plain_table_get(&floor->table, key, KEY_BYTES, buffer, sizeof buffer))
			return -EILSEQ;
		keep(buffer);
		sum += value_word(buffer);
	}
	*ret_sum = sum;
	return 0;
}

int driver_floor_get_chained(void *context, size_t first, size_t count, uint64_t *ret_sum)
{
	struct driver_floor *floor = context;
	unsigned char buffer[VALUE_BYTES];
	uint64_t sum = 0;

	if (first == 0)
		workload_key(0, floor->chained);
	for (size_t i = 0; i < count; i++) {
		if (!plain_table_get(&floor->table, floor->chained, KEY_BYTES, buffer, sizeof buffer))
			return -EILSEQ;
		keep(buffer);
		sum += value_word(buffer);
		memcpy(floor->chained, buffer + VALUE_NEXT_KEY, KEY_BYTES);
	}
	*ret_sum = sum;
	return 0;
}

int driver_floor_touch(void *context, size_t first, size_t count, uint64_t *ret_sum)
{
	const struct driver_floor *floor = context;
	const unsigned char *key = floor->stream->keys + first * KEY_BYTES;
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++, key += KEY_BYTES) {
		size_t value_size;
		const void *value = plain_table_find(&floor->table, key, KEY_BYTES, &value_size);

		if (!value)
			return -EILSEQ;
		sum += value_word(value);
	}
	*ret_sum = sum;
	return 0;
}

int driver_floor_mget(void *context, size_t first, size_t count, uint64_t *ret_sum)
{
	const struct driver_floor *floor = context;
	const unsigned char *key = floor->stream->keys + first * KEY_BYTES;
	unsigned char buffers[PLAIN_BATCH_MAX][VALUE_BYTES];
	struct plain_entry entries[PLAIN_BATCH_MAX];
	uint64_t sum = 0;

	for (size_t i = 0; i < PLAIN_BATCH_MAX; i++)
		entries[i] =
			(struct plain_entry){ .key_size = KEY_BYTES, .buffer = buffers[i], .buffer_size = VALUE_BYTES };
	for (size_t done = 0; done < count; done += PLAIN_BATCH_MAX) {
		for (size_t i = 0; i < PLAIN_BATCH_MAX; i++, key += KEY_BYTES)
			entries[i].key = key;
		plain_table_mget(&floor->table, entries, PLAIN_BATCH_MAX);
		for (size_t i = 0; i < PLAIN_BATCH_MAX; i++) {
			if (!entries[i].found)
				return -EILSEQ;
			keep(buffers[i]);
			sum += value_word(buffers[i]);
		}
	}
	*ret_sum = sum;
	return 0;
}

/* ---- the minimal floor ------------------------------------------------------------------------------------------- */

/* The value of a key, or NULL where the key differs. */
static inline const unsigned char *find(const struct driver_floor *floor, const unsigned char *key, unsigned hint)
{
	uint64_t home = XXH3_64bits(key, KEY_BYTES) & floor->table.line_mask;
	const uint32_t *words = (const uint32_t *)(const void *)floor->table.lines;
	const unsigned char *object = floor->table.objects + (uint64_t)words[home * LINE_WORDS + hint] * PLAIN_UNIT;

	return memcmp(object + OBJECT_KEY, key, KEY_BYTES) == 0 ? object + OBJECT_VALUE : NULL;
}

int driver_floor_minimal_get(void *context, size_t first, size_t count, uint64_t *ret_sum)
{
	const struct driver_floor *floor = context;
	const unsigned char *key = floor->stream->keys + first * KEY_BYTES;
	const uint8_t *hints = floor->hints + first;
	unsigned char buffer[VALUE_BYTES];
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++, key += KEY_BYTES) {
		const unsigned char *value = find(floor, key, hints[i]);

		if (!value)
			return -EILSEQ;
		memcpy(buffer, value, VALUE_BYTES);
		keep(buffer);
		sum += value_word(buffer);
	}
	*ret_sum = sum;
	return 0;
}

int driver_floor_minimal_touch(void *context, size_t first, size_t count, uint64_t *ret_sum)
{
	const struct driver_floor *floor = context;
	const unsigned char *key = floor->stream->keys + first * KEY_BYTES;
	const uint8_t *hints = floor->hints + first;
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++, key += KEY_BYTES) {
		const unsigned char *value = find(floor, key, hints[i]);

		if (!value)
			return -EILSEQ;
		sum += value_word(value);
	}
	*ret_sum = sum;
	return 0;
}

int driver_floor_minimal_get_chained(void *context, size_t first, size_t count, uint64_t *ret_sum)
{
	struct driver_floor *floor = context;
	unsigned char buffer[VALUE_BYTES];
	uint64_t sum = 0;

	if (first == 0) {
		uint8_t hint;
		int result;

		workload_key(0, floor->chained);
		result = find_hint(&floor->table, floor->chained, &hint);
		if (result != 0)
			return result;
		floor->chained[KEY_BYTES] = hint;
	}
	for (size_t i = 0; i < count; i++) {
		const unsigned char *value = find(floor, floor->chained, floor->chained[KEY_BYTES]);

		if (!value)
			return -EILSEQ;
		memcpy(buffer, value, VALUE_BYTES);
		keep(buffer);
		sum += value_word(buffer);
		memcpy(floor->chained, buffer + VALUE_NEXT_KEY, KEY_BYTES);
		floor->chained[KEY_BYTES] = buffer[VALUE_HINT];
	}
	*ret_sum = sum;
	return 0;
}
