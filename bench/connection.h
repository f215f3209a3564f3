/* SPDX-License-Identifier: MIT */
/* A client's end of a stream socket, for text protocols: whole requests out, lines and counted bytes in. */
#ifndef LARDER_BENCH_CONNECTION_H
#define LARDER_BENCH_CONNECTION_H

#include <stddef.h>

struct connection {
	int fd;
	char *buffer;            /* what has come */
	size_t size, begin, end; /* of it, begin to end has not been taken */
};

/* answer_bytes: the longest answer that will ever have to lie in the buffer as a whole. Return: 0 or -errno. */
int connection_open(struct connection *connection, const char *socket_path, size_t answer_bytes);
void connection_close(struct connection *connection);

/* Return: 0 or -errno. */
int connection_send(struct connection *connection, const void *bytes, size_t count);

/* The next count bytes, valid until the next call; NULL: the other end has gone, or they are too many. */
const char *connection_take(struct connection *connection, size_t count);

/* The next line, ended by a zero in place of CR LF. */
const char *connection_line(struct connection *connection);

#endif
