/* SPDX-License-Identifier: MIT */
/*
 * memcached on a unix socket. One request is a meta command, the shortest that its protocol has; a batch of gets is one
 * "get" of 32 keys; a batch of sets is 32 commands in one send.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/drivers/loops.h"
#include "bench/drivers/requester.h"

#define ITEM_BYTES 160 /* what an item may take beyond its key and value, with the waste of its slab class */

static int start(const struct driver_setup *setup, void **ret_instance, char why[DRIVER_WHY_BYTES])
{
	const unsigned long mib =
		(unsigned long)((uint64_t)setup->keys * (KEY_BYTES + setup->value_bytes * 5 / 4 + ITEM_BYTES) >> 20) +
		64;
	struct service *service = calloc(1, sizeof *service);
	char path[256], memory[24];
	const char *argv[] = {
		path, "-s",   NULL, "-m",    memory, "-t", "2", "-c", "1024", "-o", "hashpower=21,no_lru_crawler",
		"-u", "root", "-B", "ascii", NULL
	};
	int result = service ? service_find("memcached", "memcached", path, why) : -ENOMEM;

	if (result == 0) {
		snprintf(service->socket, sizeof service->socket, "%s/memcached", setup->directory);
		argv[2] = service->socket;
		snprintf(memory, sizeof memory, "%lu", mib);
		result = service_start(service, argv, "mn\r\n", "MN", why);
	}
	if (result != 0) {
		free(service);
		return result;
	}
	*ret_instance = service;
	return 0;
}

/* A value of the expected size, and the line end behind it. */
static inline int take_value(struct connection *connection, const char *size, unsigned char *buffer, size_t value_bytes)
{
	const char *value = strtoul(size, NULL, 10) == value_bytes ? connection_take(connection, value_bytes + 2)
	                                                           : NULL;

	if (!value)
		return -EPROTO;
	memcpy(buffer, value, value_bytes);
	return 0;
}

static inline int get(void *context, const unsigned char *key, unsigned char *buffer, size_t value_bytes)
{
	struct requester *session = context;
	char *to = APPEND(session->request, "mg ");
	const char *line;

	to = append(to, key, KEY_BYTES);
	to = APPEND(to, " v\r\n");
	if (requester_send(session, to) != 0)
		return -EPIPE;
	line = connection_line(&session->connection);
	if (line && strcmp(line, "EN") == 0)
		return LARDER_MISS;
	if (!line || strncmp(line, "VA ", 3) != 0)
		return -EILSEQ;
	return take_value(&session->connection, line + 3, buffer, value_bytes);
}

/* "VALUE key flags bytes" for each, then "END". */
static inline int get_batch(void *context, const unsigned char *keys, unsigned char *buffers, size_t value_bytes,
                            uint32_t *missing)
{
	struct requester *session = context;
	char *to = APPEND(session->request, "get");
	const char *line;

	(void)missing; /* nothing is ever evicted */
	for (size_t i = 0; i < DRIVER_BATCH; i++) {
		*to++ = ' ';
		to = append(to, keys + i * KEY_BYTES, KEY_BYTES);
	}
	to = APPEND(to, "\r\n");
	if (requester_send(session, to) != 0)
		return -EPIPE;
	for (size_t i = 0; i < DRIVER_BATCH; i++) {
		line = connection_line(&session->connection);
		if (!line || strncmp(line, "VALUE ", 6) != 0)
			return -EILSEQ;
		if (take_value(&session->connection, strrchr(line, ' ') + 1, buffers + i * value_bytes, value_bytes) !=
		    0)
			return -EPROTO;
	}
	line = connection_line(&session->connection);
	return line && strcmp(line, "END") == 0 ? 0 : -EPROTO;
}

static inline char *append_set(char *to, const unsigned char *key, const unsigned char *value, size_t value_bytes)
{
	to = append(APPEND(to, "ms "), key, KEY_BYTES);
	to += sprintf(to, " %zu\r\n", value_bytes);
	to = append(to, value, value_bytes);
	return APPEND(to, "\r\n");
}

static inline int set(void *session, const unsigned char *key, const unsigned char *value, size_t value_bytes)
{
	return requester_set(session, append_set, "HD", key, value, value_bytes, 1);
}

static inline int set_batch(void *session, const unsigned char *keys, const unsigned char *values, size_t value_bytes)
{
	return requester_set(session, append_set, "HD", keys, values, value_bytes, DRIVER_BATCH);
}

static int run(void *session, const struct driver_work *work, struct driver_result *ret_result)
{
	return loop_run(session, work, ret_result,
	                (struct loop_calls){ .get = get, .get_batch = get_batch, .set = set, .set_batch = set_batch });
}

const struct driver driver_memcached = {
	.name = "memcached",
	.use = "memcached on a unix socket, 2 threads, table presized; mg, get of 32 keys, ms",
	.operations = ((1u << DRIVER_OPERATIONS) - 1) & ~(1u << DRIVER_TOUCH),
	.shared = true,
	.waits = true,
	.start = start,
	.stop = requester_stop,
	.open = requester_open,
	.close = requester_close,
	.run = run,
};
