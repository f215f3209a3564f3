/* SPDX-License-Identifier: MIT */
/* What the drivers of servers on a unix socket share: a connection and room for the requests of a batch, each answered by a line. */
#ifndef LARDER_BENCH_DRIVERS_REQUESTER_H
#define LARDER_BENCH_DRIVERS_REQUESTER_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/connection.h"
#include "bench/driver.h"
#include "bench/service.h"

#define REQUEST_BYTES 64 /* of a request beyond key and value */

struct requester {
	struct connection connection;
	char *request; /* room for DRIVER_BATCH requests */
};

static inline int requester_open(const struct driver_setup *setup, void *instance, void **ret_session,
                                 char why[DRIVER_WHY_BYTES])
{
	const size_t bytes = DRIVER_BATCH * (REQUEST_BYTES + KEY_BYTES + setup->value_bytes);
	const struct service *service = instance;
	struct requester *requester = calloc(1, sizeof *requester);
	int result;

	(void)why;
	if (!requester)
		return -ENOMEM;
	requester->request = malloc(bytes);
	result = requester->request ? connection_open(&requester->connection, service->socket, bytes) : -ENOMEM;
	if (result != 0) {
		free(requester->request);
		free(requester);
		return result;
	}
	*ret_session = requester;
	return 0;
}

static inline void requester_close(void *session)
{
	struct requester *requester = session;

	connection_close(&requester->connection);
	free(requester->request);
	free(requester);
}

static inline void requester_stop(void *instance)
{
	service_stop(instance);
	free(instance);
}

static inline char *append(char *to, const void *bytes, size_t count)
{
	memcpy(to, bytes, count);
	return to + count;
}

#define APPEND(to, text) append((to), (text), sizeof(text) - 1)

/* Sends what stands in the room for requests, up to end. */
static inline int requester_send(struct requester *requester, const char *end)
{
	return connection_send(&requester->connection, requester->request, (size_t)(end - requester->request)) == 0
	               ? 0
	               : -EPIPE;
}

/* Writes the request to store a value behind those that are there already. Return: its end. */
typedef char *append_set_function(char *to, const unsigned char *key, const unsigned char *value, size_t value_bytes);

/* Stores some, and expects an answer to each. */
static inline __attribute__((always_inline)) int requester_set(struct requester *requester,
                                                               append_set_function *append_set, const char *answer,
                                                               const unsigned char *keys, const unsigned char *values,
                                                               size_t value_bytes, size_t count)
{
	char *to = requester->request;

	for (size_t i = 0; i < count; i++)
		to = append_set(to, keys + i * KEY_BYTES, values + i * value_bytes, value_bytes);
	if (requester_send(requester, to) != 0)
		return -EPIPE;
	for (size_t i = 0; i < count; i++) {
		const char *line = connection_line(&requester->connection);

		if (!line || strcmp(line, answer) != 0)
			return -EILSEQ;
	}
	return 0;
}

#endif
