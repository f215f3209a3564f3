/* SPDX-License-Identifier: MIT */
#include "bench/connection.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BUFFER_LEAST ((size_t)64 << 10)

int connection_open(struct connection *connection, const char *socket_path, size_t answer_bytes)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int result = 0;

	if (strlen(socket_path) >= sizeof address.sun_path)
		return -ENAMETOOLONG;
	memcpy(address.sun_path, socket_path, strlen(socket_path));
	*connection = (struct connection){
		.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
		.size = answer_bytes > BUFFER_LEAST ? answer_bytes : BUFFER_LEAST,
	};
	if (connection->fd < 0)
		return -errno;
	connection->buffer = malloc(connection->size);
	if (!connection->buffer)
		result = -ENOMEM;
	else if (connect(connection->fd, (const struct sockaddr *)&address, sizeof address) != 0)
		result = -errno;
	if (result != 0)
		connection_close(connection);
	return result;
}

void connection_close(struct connection *connection)
{
	close(connection->fd);
	free(connection->buffer);
	*connection = (struct connection){ .fd = -1 };
}

int connection_send(struct connection *connection, const void *bytes, size_t count)
{
	const char *next = bytes;

	while (count > 0) {
		ssize_t sent = send(connection->fd, next, count, MSG_NOSIGNAL);

		if (sent < 0)
			return -errno;
		next += sent;
		count -= (size_t)sent;
	}
	return 0;
}

/* Receives more, behind what is there. */
static bool receive(struct connection *connection)
{
	ssize_t received;

	if (connection->begin > 0 && connection->end == connection->size) {
		memmove(connection->buffer, connection->buffer + connection->begin,
		        connection->end - connection->begin);
		connection->end -= connection->begin;
		connection->begin = 0;
	}
	if (connection->end == connection->size)
		return false;
	received = recv(connection->fd, connection->buffer + connection->end, connection->size - connection->end, 0);
	if (received <= 0)
		return false;
	connection->end += (size_t)received;
	return true;
}

/* Room at the front again as soon as nothing is left: cheaper than moving it. */
static void rewind_empty(struct connection *connection)
{
	if (connection->begin == connection->end)
		connection->begin = connection->end = 0;
}

const char *connection_take(struct connection *connection, size_t count)
{
	rewind_empty(connection);
	while (connection->end - connection->begin < count)
		if (!receive(connection))
			return NULL;
	connection->begin += count;
	return connection->buffer + connection->begin - count;
}

const char *connection_line(struct connection *connection)
{
	size_t seen = 0;

	rewind_empty(connection);
	for (;;) {
		char *from = connection->buffer + connection->begin;
		char *end = memchr(from + seen, '\n', connection->end - connection->begin - seen);

		if (end && end > from && end[-1] == '\r') {
			end[-1] = '\0';
			connection->begin += (size_t)(end + 1 - from);
			return from;
		}
		if (end)
			return NULL;
		seen = connection->end - connection->begin;
		if (!receive(connection))
			return NULL;
	}
}
