/* SPDX-License-Identifier: MIT */
/*
 * The problem: "a get takes 60 ns" says nothing, because the same code takes 30 or 120 on the next machine. What can
 * be said is how far it is from the least that any lookup of a value behind an index has to do here.
 *
 * The least: hash the key (XXH3), load a line of the index, load the object it names, compare the key, copy the value.
 * The second load needs the first one's result, so on a table larger than the caches these are two dependent misses.
 * Nothing else is in the loop: the line is not searched (the stream brings along which slot is the right one), nothing
 * can change meanwhile, and all sizes are constants.
 *
 * So that it is the same work and the same memory otherwise:
 *   - the index takes 16 bytes for each key, rounded up to a power of two of 64-byte lines;
 *   - an object is 136 bytes: a header of 16 that is not read, key and value; in the order in which they were stored;
 *   - the pages are of the size that the arena has, checked in /proc/self/smaps, all touched beforehand;
 *   - successive lookups may overlap in the processor as far as it is able to; that is as true of larder's. The
 *     chained variant takes the next key out of the value just read, so nothing overlaps, and it shows the latency.
 */
#include "bench/driver_floor.h"

#include <errno.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bench/harness.h"

#define LINE_BYTES 64
#define SLOTS_PER_LINE (LINE_BYTES / sizeof(uint64_t))
#define INDEX_BYTES_PER_KEY 16

#define OBJECT_KEY 16
#define OBJECT_VALUE (OBJECT_KEY + KEY_BYTES)
#define OBJECT_BYTES (OBJECT_VALUE + VALUE_BYTES)
#define OBJECTS_BEGIN LINE_BYTES /* 0 means an empty slot */

/* The last byte of the value, a mere letter elsewhere, holds the steps of the next key in the chain. */
#define VALUE_STEPS (VALUE_BYTES - 1)

/* ---- building ---------------------------------------------------------------------------------------------------- */

static uint64_t index_lines(uint32_t keys)
{
	uint64_t lines = 1;

	while (lines * LINE_BYTES < (uint64_t)keys * INDEX_BYTES_PER_KEY)
		lines *= 2;
	return lines;
}

uint64_t driver_floor_bytes(uint32_t keys)
{
	return index_lines(keys) * LINE_BYTES + OBJECTS_BEGIN + (uint64_t)keys * OBJECT_BYTES;
}

static uint64_t first_slot(const struct driver_floor *floor, const unsigned char *key)
{
	return (XXH3_64bits(key, KEY_BYTES) & floor->line_mask) * SLOTS_PER_LINE;
}

/* A full line overflows into the next one. */
static void store(struct driver_floor *floor, uint32_t id)
{
	const uint64_t last = (floor->line_mask + 1) * SLOTS_PER_LINE - 1;
	const uint64_t offset = OBJECTS_BEGIN + (uint64_t)id * OBJECT_BYTES;
	unsigned char *object = floor->objects + offset;
	uint64_t slot;

	workload_key(id, object + OBJECT_KEY);
	workload_value(floor->workload, id, object + OBJECT_VALUE);
	for (slot = first_slot(floor, object + OBJECT_KEY); floor->slots[slot] != 0;)
		slot = slot == last ? 0 : slot + 1;
	floor->slots[slot] = offset;
}

static int find_steps(const struct driver_floor *floor, const unsigned char *key, uint8_t *ret_steps)
{
	const uint64_t slots = (floor->line_mask + 1) * SLOTS_PER_LINE, first = first_slot(floor, key);

	/* The lookup does not wrap around at the end of the table. */
	for (uint64_t steps = 0; steps <= UINT8_MAX && first + steps < slots; steps++) {
		uint64_t offset = floor->slots[first + steps];

		if (offset != 0 && memcmp(floor->objects + offset + OBJECT_KEY, key, KEY_BYTES) == 0) {
			*ret_steps = (uint8_t)steps;
			return 0;
		}
	}
	return -ERANGE;
}

int driver_floor_create(const struct workload *workload, const struct stream *stream, uint64_t page_bytes,
                        struct driver_floor *ret_floor)
{
	struct driver_floor floor = { .workload = workload, .stream = stream };
	int result = machine_memory_map(driver_floor_bytes(workload->keys), page_bytes, &floor.memory);

	if (result != 0)
		return result;
	floor.line_mask = index_lines(workload->keys) - 1;
	floor.slots = floor.memory.address;
	floor.objects = (unsigned char *)floor.memory.address + (floor.line_mask + 1) * LINE_BYTES;
	floor.steps = malloc(stream->count);
	if (!floor.steps)
		result = -ENOMEM;

	for (uint32_t id = 0; result == 0 && id < workload->keys; id++)
		store(&floor, id);
	for (uint32_t id = 0; result == 0 && id < workload->keys; id++) {
		unsigned char *value = floor.objects + OBJECTS_BEGIN + (uint64_t)id * OBJECT_BYTES + OBJECT_VALUE;

		result = find_steps(&floor, value + VALUE_NEXT_KEY, value + VALUE_STEPS);
	}
	for (size_t i = 0; result == 0 && i < stream->count; i++)
		result = find_steps(&floor, stream->keys + i * KEY_BYTES, &floor.steps[i]);
	if (result != 0) {
		driver_floor_destroy(&floor);
		return result;
	}
	*ret_floor = floor;
	return 0;
}

void driver_floor_destroy(struct driver_floor *floor)
{
	free(floor->steps);
	floor->steps = NULL;
	machine_memory_unmap(&floor->memory);
}

/* ---- the loops --------------------------------------------------------------------------------------------------- */

/* The value of a key, or NULL where the key differs. */
static inline const unsigned char *find(const struct driver_floor *floor, const unsigned char *key, unsigned steps)
{
	const unsigned char *object = floor->objects + floor->slots[first_slot(floor, key) + steps];

	return memcmp(object + OBJECT_KEY, key, KEY_BYTES) == 0 ? object + OBJECT_VALUE : NULL;
}

int driver_floor_get(void *context, size_t first, size_t count, uint64_t *ret_sum)
{
	const struct driver_floor *floor = context;
	const unsigned char *key = floor->stream->keys + first * KEY_BYTES;
	const uint8_t *steps = floor->steps + first;
	unsigned char buffer[VALUE_BYTES];
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++, key += KEY_BYTES) {
		const unsigned char *value = find(floor, key, steps[i]);

		if (!value)
			return -EILSEQ;
		memcpy(buffer, value, VALUE_BYTES);
		keep(buffer);
		sum += value_word(buffer);
	}
	*ret_sum = sum;
	return 0;
}

int driver_floor_touch(void *context, size_t first, size_t count, uint64_t *ret_sum)
{
	const struct driver_floor *floor = context;
	const unsigned char *key = floor->stream->keys + first * KEY_BYTES;
	const uint8_t *steps = floor->steps + first;
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++, key += KEY_BYTES) {
		const unsigned char *value = find(floor, key, steps[i]);

		if (!value)
			return -EILSEQ;
		sum += value_word(value);
	}
	*ret_sum = sum;
	return 0;
}

int driver_floor_get_chained(void *context, size_t first, size_t count, uint64_t *ret_sum)
{
	struct driver_floor *floor = context;
	unsigned char buffer[VALUE_BYTES];
	uint64_t sum = 0;

	if (first == 0) {
		uint8_t steps;
		int result;

		workload_key(0, floor->chained);
		result = find_steps(floor, floor->chained, &steps);
		if (result != 0)
			return result;
		floor->chained[KEY_BYTES] = steps;
	}
	for (size_t i = 0; i < count; i++) {
		const unsigned char *value = find(floor, floor->chained, floor->chained[KEY_BYTES]);

		if (!value)
			return -EILSEQ;
		memcpy(buffer, value, VALUE_BYTES);
		keep(buffer);
		sum += value_word(buffer);
		memcpy(floor->chained, buffer + VALUE_NEXT_KEY, KEY_BYTES);
		floor->chained[KEY_BYTES] = buffer[VALUE_STEPS];
	}
	*ret_sum = sum;
	return 0;
}
