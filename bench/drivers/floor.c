/* SPDX-License-Identifier: MIT */
/*
 * Three floors, filled and driven like everything else. Two walk the same table (bench/plain_table.h): the plain walk calls it as
 * a library that is told all sizes; the inlined walk is compiled into the loop, which knows the size of keys and, where it
 * is VALUE_BYTES, of values, as in a program that was written for them. Their set is the floor of a set: hash, line, old
 * object, compare; then header, key and value are written to another place, and the slot is made to name it. The minimal
 * floor (bench/driver_floor.c) is told the slot as well; it only reads.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/driver_floor.h"
#include "bench/drivers/in_process.h"
#include "bench/drivers/loops.h"
#include "bench/plain_walk.h"

#define STREAMS 2 /* whose hints the minimal floor keeps */

/* ---- the plain walk ---------------------------------------------------------------------------------------------- */

struct plain {
	struct plain_table table;
	struct machine_memory memory;
};

static int open_plain(const struct driver_setup *setup, void *instance, void **ret_session, char why[DRIVER_WHY_BYTES])
{
	const uint64_t bytes = plain_table_bytes(setup->keys, KEY_BYTES, setup->value_bytes);
	struct plain *plain = malloc(sizeof *plain);
	int result;

	(void)instance;
	if (!plain)
		return -ENOMEM;
	result = in_process_map(setup, bytes, &plain->memory, why);
	if (result != 0) {
		free(plain);
		return result;
	}
	plain_table_start(&plain->table, plain->memory.address, setup->keys);
	*ret_session = plain;
	return 0;
}

static void close_plain(void *session)
{
	struct plain *plain = session;

	machine_memory_unmap(&plain->memory);
	free(plain);
}

static inline int touch(void *session, const unsigned char *key, uint64_t *ret_word)
{
	const struct plain *plain = session;
	size_t value_size;
	const void *value = plain_table_find(&plain->table, key, KEY_BYTES, &value_size);

	if (!value)
		return -EILSEQ;
	*ret_word = value_word(value);
	return 0;
}

static inline int get(void *session, const unsigned char *key, unsigned char *buffer, size_t value_bytes)
{
	const struct plain *plain = session;

	return plain_table_get(&plain->table, key, KEY_BYTES, buffer, value_bytes) ? 0 : -EILSEQ;
}

static inline int get_batch(void *session, const unsigned char *keys, unsigned char *buffers, size_t value_bytes,
                            uint32_t *missing)
{
	const struct plain *plain = session;
	struct plain_entry entries[DRIVER_BATCH];
	bool found = true;

	(void)missing; /* nothing is ever evicted */
	for (size_t i = 0; i < DRIVER_BATCH; i++) {
		entries[i].key = keys + i * KEY_BYTES;
		entries[i].key_size = KEY_BYTES;
		entries[i].buffer = buffers + i * value_bytes;
		entries[i].buffer_size = value_bytes;
	}
	plain_table_mget(&plain->table, entries, DRIVER_BATCH);
	for (size_t i = 0; i < DRIVER_BATCH; i++)
		found &= entries[i].found;
	return found ? 0 : -EILSEQ;
}

static inline int set(void *session, const unsigned char *key, const unsigned char *value, size_t value_bytes)
{
	struct plain *plain = session;

	if (!plain_table_replace(&plain->table, key, KEY_BYTES, value, value_bytes))
		plain_table_add(&plain->table, key, KEY_BYTES, value, value_bytes);
	return 0;
}

static int run_plain(void *session, const struct driver_work *work, struct driver_result *ret_result)
{
	return loop_run(session, work, ret_result,
	                (struct loop_calls){ .touch = touch, .get = get, .get_batch = get_batch, .set = set });
}

const struct driver driver_plain = {
	.name = "plain-walk",
	.use = "XXH3, a line of index, the object: a table as a library, without sharing, expiry or eviction",
	.operations = 1u << DRIVER_TOUCH | 1u << DRIVER_GET | 1u << DRIVER_GET32 | 1u << DRIVER_SET |
	              1u << DRIVER_MIXED,
	.start = in_process_start,
	.stop = in_process_stop,
	.open = open_plain,
	.close = close_plain,
	.run = run_plain,
};

/* ---- the inlined walk -------------------------------------------------------------------------------------------- */

static inline int touch_inlined(void *session, const unsigned char *key, uint64_t *ret_word)
{
	const struct plain *plain = session;
	size_t value_size;
	const void *value = walk_find(&plain->table, XXH3_64bits(key, KEY_BYTES), key, KEY_BYTES, &value_size);

	if (!value)
		return -EILSEQ;
	*ret_word = value_word(value);
	return 0;
}

static inline int get_inlined(void *session, const unsigned char *key, unsigned char *buffer, size_t value_bytes)
{
	const struct plain *plain = session;
	size_t value_size;
	const void *value = walk_find(&plain->table, XXH3_64bits(key, KEY_BYTES), key, KEY_BYTES, &value_size);

	if (!value || value_size != value_bytes)
		return -EILSEQ;
	memcpy(buffer, value, value_bytes);
	return 0;
}

static inline int get_batch_inlined(void *session, const unsigned char *keys, unsigned char *buffers,
                                    size_t value_bytes, uint32_t *missing)
{
	const struct plain *plain = session;
	struct plain_entry entries[DRIVER_BATCH];
	bool found = true;

	(void)missing; /* nothing is ever evicted */
	for (size_t i = 0; i < DRIVER_BATCH; i++) {
		entries[i].key = keys + i * KEY_BYTES;
		entries[i].key_size = KEY_BYTES;
		entries[i].buffer = buffers + i * value_bytes;
		entries[i].buffer_size = value_bytes;
	}
	walk_mget(&plain->table, entries, DRIVER_BATCH);
	for (size_t i = 0; i < DRIVER_BATCH; i++)
		found &= entries[i].found;
	return found ? 0 : -EILSEQ;
}

static inline int set_inlined(void *session, const unsigned char *key, const unsigned char *value, size_t value_bytes)
{
	struct plain *plain = session;

	if (!walk_replace(&plain->table, key, KEY_BYTES, value, value_bytes))
		plain_table_add(&plain->table, key, KEY_BYTES, value, value_bytes);
	return 0;
}

/* What the loops below are inlined into knows the size of values. */
LOOP run_sized(void *session, const struct driver_work *given, struct driver_result *ret_result, size_t value_bytes)
{
	struct driver_work work = *given;

	work.value_bytes = value_bytes;
	return loop_run(session, &work, ret_result,
	                (struct loop_calls){ .touch = touch_inlined,
	                                     .get = get_inlined,
	                                     .get_batch = get_batch_inlined,
	                                     .set = set_inlined });
}

static int run_inlined(void *session, const struct driver_work *work, struct driver_result *ret_result)
{
	return work->value_bytes == VALUE_BYTES ? run_sized(session, work, ret_result, VALUE_BYTES)
	                                        : run_sized(session, work, ret_result, work->value_bytes);
}

const struct driver driver_inlined = {
	.name = "inlined-walk",
	.use = "the same table compiled into the loop, which knows the sizes of keys and values",
	.operations = 1u << DRIVER_TOUCH | 1u << DRIVER_GET | 1u << DRIVER_GET32 | 1u << DRIVER_SET |
	              1u << DRIVER_MIXED,
	.start = in_process_start,
	.stop = in_process_stop,
	.open = open_plain,
	.close = close_plain,
	.run = run_inlined,
};

/* ---- the minimal floor ------------------------------------------------------------------------------------------- */

struct minimal {
	struct workload workload;
	uint64_t page_bytes;
	unsigned count;
	struct driver_floor floors[STREAMS]; /* one for each stream that came */
};

static int open_minimal(const struct driver_setup *setup, void *instance, void **ret_session,
                        char why[DRIVER_WHY_BYTES])
{
	struct minimal *minimal = calloc(1, sizeof *minimal);
	int result;

	(void)instance;
	if (!minimal)
		return -ENOMEM;
	if (setup->value_bytes != VALUE_BYTES) {
		snprintf(why, DRIVER_WHY_BYTES, "knows values of %d bytes only", VALUE_BYTES);
		result = -EINVAL;
	} else {
		minimal->page_bytes = setup->page_bytes;
		result = workload_create(setup->keys, &minimal->workload);
	}
	if (result != 0) {
		free(minimal);
		return result;
	}
	*ret_session = minimal;
	return 0;
}

static void close_minimal(void *session)
{
	struct minimal *minimal = session;

	while (minimal->count > 0)
		driver_floor_destroy(&minimal->floors[--minimal->count]);
	workload_destroy(&minimal->workload);
	free(minimal);
}

/* Which slot is the right one comes with the keys of a stream; so a new one needs a table of its own, before the clock starts. */
static int find_floor(struct minimal *minimal, const struct stream *stream, struct driver_floor **ret_floor)
{
	unsigned i = 0;
	int result = 0;

	while (i < minimal->count && minimal->floors[i].stream != stream)
		i++;
	if (i == STREAMS)
		return -ENOSYS;
	if (i == minimal->count) {
		result = driver_floor_create(&minimal->workload, stream, minimal->page_bytes, &minimal->floors[i]);
		minimal->count += result == 0;
	}
	*ret_floor = &minimal->floors[i];
	return result;
}

static int run_minimal(void *session, const struct driver_work *work, struct driver_result *ret_result)
{
	struct driver_floor *floor;
	int result = find_floor(session, work->stream, &floor);

	if (result != 0)
		return result;
	if (work->operation == DRIVER_TOUCH)
		return driver_floor_minimal_touch(floor, work->first, work->count, &ret_result->sum);
	return driver_floor_minimal_get(floor, work->first, work->count, &ret_result->sum);
}

const struct driver driver_minimal = {
	.name = "minimal-floor",
	.use = "the same loads in a loop that knows all sizes and is told the slot; no table can be like that",
	.operations = 1u << DRIVER_TOUCH | 1u << DRIVER_GET,
	.start = in_process_start,
	.stop = in_process_stop,
	.open = open_minimal,
	.close = close_minimal,
	.run = run_minimal,
};
