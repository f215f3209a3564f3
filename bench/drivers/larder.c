/* SPDX-License-Identifier: MIT */
/* larder through its public API, in an arena that clients write, and in one that they only read. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/drivers/loops.h"
#include "bench/server.h"
#include "larder.h"

/* Room for the index, for headers, and for what sets leave behind until the keeper has taken it back. */
#define OVERHEAD_BYTES 64
#define ROOM_PERCENT 200
#define ROOM_LARGE_PERCENT 400 /* a segment holds few large values, and so has much waste */
#define LARGE_BYTES 16384
#define PATIENCE_MS 20000 /* a set that has to wait for memory costs that time, and is no error */
#define ARENA_LEAST_MIB 256

/* A larderd, and the size of the pages under its arena. */
struct instance {
	struct server server;
	uint64_t page_bytes;
};

static int ask_page_bytes(struct instance *instance)
{
	struct larder_stat stat = { .size = sizeof stat };
	larder *cache;
	int result = larder_open(instance->server.socket, NULL, &cache);

	if (result != 0)
		return result;
	result = larder_stat(cache, &stat);
	instance->page_bytes = stat.page_bytes;
	larder_close(cache);
	return result;
}

uint64_t driver_larder_page_bytes(const void *instance)
{
	return ((const struct instance *)instance)->page_bytes;
}

static int start(const struct driver_setup *setup, const char *access, void **ret_instance)
{
	const unsigned usual = setup->value_bytes < LARGE_BYTES ? ROOM_PERCENT : ROOM_LARGE_PERCENT;
	const uint64_t bytes = (uint64_t)setup->keys * (KEY_BYTES + setup->value_bytes + OVERHEAD_BYTES) *
	                       (setup->room_percent > 0 ? setup->room_percent : usual) / 100;
	const uint64_t mib = (bytes >> 20) > ARENA_LEAST_MIB ? bytes >> 20 : ARENA_LEAST_MIB;
	struct instance *instance = malloc(sizeof *instance);
	char size[32];
	int result;

	if (!instance)
		return -ENOMEM;
	snprintf(size, sizeof size, "%lluM", (unsigned long long)mib);
	result = server_start(size, setup->pages, access, &setup->cpus, &instance->server);
	if (result == 0) {
		result = ask_page_bytes(instance);
		if (result != 0)
			server_stop(&instance->server);
	}
	if (result != 0) {
		free(instance);
		return result;
	}
	*ret_instance = instance;
	return 0;
}

static int start_shared(const struct driver_setup *setup, void **ret_instance, char why[DRIVER_WHY_BYTES])
{
	(void)why;
	return start(setup, NULL, ret_instance);
}

static int start_read_only(const struct driver_setup *setup, void **ret_instance, char why[DRIVER_WHY_BYTES])
{
	(void)why;
	return start(setup, "read-only", ret_instance);
}

static void stop(void *instance)
{
	server_stop(&((struct instance *)instance)->server);
	free(instance);
}

static int open_larder(const struct driver_setup *setup, void *instance, void **ret_session, char why[DRIVER_WHY_BYTES])
{
	const struct instance *opened = instance;
	struct larder_open_options options = LARDER_OPEN_OPTIONS;
	larder *cache;
	int result;

	(void)setup;
	options.timeout_ms = PATIENCE_MS;
	options.error = why;
	options.error_size = DRIVER_WHY_BYTES;
	result = larder_open(opened->server.socket, &options, &cache);
	if (result == 0)
		*ret_session = cache;
	return result;
}

static void close_larder(void *session)
{
	larder_close(session);
}

static inline int touch(void *session, const unsigned char *key, uint64_t *ret_word)
{
	struct larder_view view;
	int result = larder_view(session, key, KEY_BYTES, &view);

	if (result == 0) {
		*ret_word = value_word(view.data);
		larder_release(session, &view);
	}
	return result;
}

static inline int get(void *session, const unsigned char *key, unsigned char *buffer, size_t value_bytes)
{
	return larder_get(session, key, KEY_BYTES, buffer, value_bytes, NULL);
}

static inline int get_batch(void *session, const unsigned char *keys, unsigned char *buffers, size_t value_bytes,
                            uint32_t *missing)
{
	struct larder_mget_entry entries[DRIVER_BATCH];
	int result;

	for (size_t i = 0; i < DRIVER_BATCH; i++) {
		entries[i].key = keys + i * KEY_BYTES;
		entries[i].key_size = KEY_BYTES;
		entries[i].buffer = buffers + i * value_bytes;
		entries[i].buffer_size = value_bytes;
	}
	result = larder_mget(session, entries, DRIVER_BATCH);
	for (size_t i = 0; result == 0 && i < DRIVER_BATCH; i++) {
		*missing |= (uint32_t)(entries[i].result == LARDER_MISS) << i;
		if (entries[i].result != LARDER_MISS)
			result = entries[i].result;
	}
	return result;
}

static inline int set(void *session, const unsigned char *key, const unsigned char *value, size_t value_bytes)
{
	return larder_set(session, key, KEY_BYTES, value, value_bytes, NULL, NULL);
}

static inline int set_batch(void *session, const unsigned char *keys, const unsigned char *values, size_t value_bytes)
{
	struct larder_mset_entry entries[DRIVER_BATCH] = { 0 };
	int result;

	for (size_t i = 0; i < DRIVER_BATCH; i++) {
		entries[i].key = keys + i * KEY_BYTES;
		entries[i].key_size = KEY_BYTES;
		entries[i].value = values + i * value_bytes;
		entries[i].value_size = value_bytes;
	}
	result = larder_mset(session, entries, DRIVER_BATCH);
	for (size_t i = 0; result == 0 && i < DRIVER_BATCH; i++)
		result = entries[i].result;
	return result;
}

static int run(void *session, const struct driver_work *work, struct driver_result *ret_result)
{
	return loop_run(
		session, work, ret_result,
		(struct loop_calls){
			.touch = touch, .get = get, .get_batch = get_batch, .set = set, .set_batch = set_batch });
}

#define ALL ((1u << DRIVER_OPERATIONS) - 1)

const struct driver driver_larder_shared = {
	.name = "larder",
	.use = "larder_view and release, larder_get, larder_mget, larder_set, larder_mset; clients write themselves",
	.operations = ALL,
	.shared = true,
	.start = start_shared,
	.stop = stop,
	.open = open_larder,
	.close = close_larder,
	.run = run,
};

const struct driver driver_larder_read_only = {
	.name = "larder-read-only",
	.use = "the same where clients can only read, and larderd writes for them",
	.operations = ALL,
	.shared = true,
	.waits = true,
	.start = start_read_only,
	.stop = stop,
	.open = open_larder,
	.close = close_larder,
	.run = run,
};
