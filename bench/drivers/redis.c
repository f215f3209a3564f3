/* SPDX-License-Identifier: MIT */
/*
 * Redis on a unix socket, without persistence. A batch of gets is one MGET of 32 keys; a batch of sets is 32 SETs in one
 * send.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/drivers/loops.h"
#include "bench/drivers/requester.h"

static int start(const struct driver_setup *setup, void **ret_instance, char why[DRIVER_WHY_BYTES])
{
	struct service *service = calloc(1, sizeof *service);
	char path[256];
	const char *argv[] = {
		path,           "--port", "0",     "--unixsocket",   NULL, "--save", "", "--appendonly", "no",
		"--maxclients", "200",    "--dir", setup->directory, NULL
	};
	int result = service ? service_find("redis-server", "redis-server", path, why) : -ENOMEM;

	if (result == 0) {
		snprintf(service->socket, sizeof service->socket, "%s/redis", setup->directory);
		argv[4] = service->socket;
		result = service_start(service, argv, "PING\r\n", "+PONG", why);
	}
	if (result != 0) {
		free(service);
		return result;
	}
	*ret_instance = service;
	return 0;
}

_Static_assert(KEY_BYTES == 20, "the requests say so");

static inline char *append_key(char *to, const unsigned char *key)
{
	to = APPEND(to, "$20\r\n");
	to = append(to, key, KEY_BYTES);
	return APPEND(to, "\r\n");
}

/* "$bytes", the value, a line end. */
static inline int take_value(struct connection *connection, unsigned char *buffer, size_t value_bytes)
{
	const char *line = connection_line(connection);

	if (!line || line[0] != '$' || strtoul(line + 1, NULL, 10) != value_bytes)
		return -EILSEQ;
	line = connection_take(connection, value_bytes + 2);
	if (!line)
		return -EPROTO;
	memcpy(buffer, line, value_bytes);
	return 0;
}

static inline int get(void *context, const unsigned char *key, unsigned char *buffer, size_t value_bytes)
{
	struct requester *session = context;
	char *to = append_key(APPEND(session->request, "*2\r\n$3\r\nGET\r\n"), key);

	if (requester_send(session, to) != 0)
		return -EPIPE;
	return take_value(&session->connection, buffer, value_bytes);
}

static inline int get_batch(void *context, const unsigned char *keys, unsigned char *buffers, size_t value_bytes,
                            uint32_t *missing)
{
	struct requester *session = context;
	char *to = APPEND(session->request, "*33\r\n$4\r\nMGET\r\n");
	const char *line;
	int result = 0;

	(void)missing; /* nothing is ever evicted */
	_Static_assert(DRIVER_BATCH == 32, "the request says so");
	for (size_t i = 0; i < DRIVER_BATCH; i++)
		to = append_key(to, keys + i * KEY_BYTES);
	if (requester_send(session, to) != 0)
		return -EPIPE;
	line = connection_line(&session->connection);
	if (!line || strcmp(line, "*32") != 0)
		return -EPROTO;
	for (size_t i = 0; result == 0 && i < DRIVER_BATCH; i++)
		result = take_value(&session->connection, buffers + i * value_bytes, value_bytes);
	return result;
}

static inline char *append_set(char *to, const unsigned char *key, const unsigned char *value, size_t value_bytes)
{
	to = append_key(APPEND(to, "*3\r\n$3\r\nSET\r\n"), key);
	to += sprintf(to, "$%zu\r\n", value_bytes);
	to = append(to, value, value_bytes);
	return APPEND(to, "\r\n");
}

static inline int set(void *session, const unsigned char *key, const unsigned char *value, size_t value_bytes)
{
	return requester_set(session, append_set, "+OK", key, value, value_bytes, 1);
}

static inline int set_batch(void *session, const unsigned char *keys, const unsigned char *values, size_t value_bytes)
{
	return requester_set(session, append_set, "+OK", keys, values, value_bytes, DRIVER_BATCH);
}

static int run(void *session, const struct driver_work *work, struct driver_result *ret_result)
{
	return loop_run(session, work, ret_result,
	                (struct loop_calls){ .get = get, .get_batch = get_batch, .set = set, .set_batch = set_batch });
}

const struct driver driver_redis = {
	.name = "redis",
	.use = "Redis on a unix socket, nothing saved; GET, MGET of 32 keys, SET",
	.operations = ((1u << DRIVER_OPERATIONS) - 1) & ~(1u << DRIVER_TOUCH),
	.shared = true,
	.waits = true,
	.start = start,
	.stop = requester_stop,
	.open = requester_open,
	.close = requester_close,
	.run = run,
};
