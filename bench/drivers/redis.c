/* SPDX-License-Identifier: MIT */
/*
 * Redis on a unix socket, without persistence. A batch of gets is one MGET of 32 keys; a batch of sets is 32 SETs in one
 * send.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/connection.h"
#include "bench/drivers/loops.h"
#include "bench/service.h"

#define REQUEST_BYTES 64 /* of a request beyond key and value */

struct session {
	struct connection connection;
	char *request; /* room for DRIVER_BATCH requests */
};

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

static void stop(void *instance)
{
	service_stop(instance);
	free(instance);
}

static int open_session(const struct driver_setup *setup, void *instance, void **ret_session,
                        char why[DRIVER_WHY_BYTES])
{
	const struct service *service = instance;
	struct session *session = calloc(1, sizeof *session);
	int result;

	(void)why;
	if (!session)
		return -ENOMEM;
	session->request = malloc(DRIVER_BATCH * (REQUEST_BYTES + KEY_BYTES + setup->value_bytes));
	result = session->request ? connection_open(&session->connection, service->socket,
	                                            DRIVER_BATCH * (REQUEST_BYTES + setup->value_bytes))
	                          : -ENOMEM;
	if (result != 0) {
		free(session->request);
		free(session);
		return result;
	}
	*ret_session = session;
	return 0;
}

static void close_session(void *context)
{
	struct session *session = context;

	connection_close(&session->connection);
	free(session->request);
	free(session);
}

static inline char *append(char *to, const void *bytes, size_t count)
{
	memcpy(to, bytes, count);
	return to + count;
}

#define APPEND(to, text) append((to), (text), sizeof(text) - 1)
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
	struct session *session = context;
	char *to = append_key(APPEND(session->request, "*2\r\n$3\r\nGET\r\n"), key);

	if (connection_send(&session->connection, session->request, (size_t)(to - session->request)) != 0)
		return -EPIPE;
	return take_value(&session->connection, buffer, value_bytes);
}

static inline int get_batch(void *context, const unsigned char *keys, unsigned char *buffers, size_t value_bytes,
                            uint32_t *missing)
{
	struct session *session = context;
	char *to = APPEND(session->request, "*33\r\n$4\r\nMGET\r\n");
	const char *line;
	int result = 0;

	(void)missing; /* nothing is ever evicted */
	_Static_assert(DRIVER_BATCH == 32, "the request says so");
	for (size_t i = 0; i < DRIVER_BATCH; i++)
		to = append_key(to, keys + i * KEY_BYTES);
	if (connection_send(&session->connection, session->request, (size_t)(to - session->request)) != 0)
		return -EPIPE;
	line = connection_line(&session->connection);
	if (!line || strcmp(line, "*32") != 0)
		return -EPROTO;
	for (size_t i = 0; result == 0 && i < DRIVER_BATCH; i++)
		result = take_value(&session->connection, buffers + i * value_bytes, value_bytes);
	return result;
}

static inline int set_some(struct session *session, const unsigned char *keys, const unsigned char *values,
                           size_t value_bytes, size_t count)
{
	char *to = session->request;

	for (size_t i = 0; i < count; i++) {
		to = append_key(APPEND(to, "*3\r\n$3\r\nSET\r\n"), keys + i * KEY_BYTES);
		to += sprintf(to, "$%zu\r\n", value_bytes);
		to = append(to, values + i * value_bytes, value_bytes);
		to = APPEND(to, "\r\n");
	}
	if (connection_send(&session->connection, session->request, (size_t)(to - session->request)) != 0)
		return -EPIPE;
	for (size_t i = 0; i < count; i++) {
		const char *line = connection_line(&session->connection);

		if (!line || strcmp(line, "+OK") != 0)
			return -EILSEQ;
	}
	return 0;
}

static inline int set(void *session, const unsigned char *key, const unsigned char *value, size_t value_bytes)
{
	return set_some(session, key, value, value_bytes, 1);
}

static inline int set_batch(void *session, const unsigned char *keys, const unsigned char *values, size_t value_bytes)
{
	return set_some(session, keys, values, value_bytes, DRIVER_BATCH);
}

static int run(void *session, const struct driver_work *work, struct driver_result *ret_result)
{
	switch (work->operation) {
	case DRIVER_GET:
		return loop_get(session, work, ret_result, get);
	case DRIVER_GET32:
		return loop_get_batch(session, work, ret_result, get_batch);
	case DRIVER_SET:
		return loop_set(session, work, ret_result, set);
	case DRIVER_SET32:
		return loop_set_batch(session, work, ret_result, set_batch);
	case DRIVER_MIXED:
		return loop_mixed(session, work, ret_result, get, set);
	default:
		return -ENOSYS;
	}
}

const struct driver driver_redis = {
	.name = "redis",
	.use = "Redis on a unix socket, nothing saved; GET, MGET of 32 keys, SET",
	.operations = ((1u << DRIVER_OPERATIONS) - 1) & ~(1u << DRIVER_TOUCH),
	.shared = true,
	.waits = true,
	.start = start,
	.stop = stop,
	.open = open_session,
	.close = close_session,
	.run = run,
};
