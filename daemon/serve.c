/* SPDX-License-Identifier: MIT */
/*
 * What attached clients ask for by their socket: writes, where the arena is read-only for them, and another size.
 *
 * Nothing here waits for a client. A client that does not take its reply is not asked for its next request; one whose
 * write finds no memory is tried again for a while. What it can make us hold is one reply and one request.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "daemon/connection.h"
#include "daemon/connection_internal.h"
#include "daemon/deferred.h"
#include "daemon/message.h"
#include "daemon/request.h"

/* False: the connection is gone, or waits until the client has taken earlier replies. */
static bool send_reply(struct connection *connection)
{
	int result = message_send(connection->socket, &connection->reply, sizeof connection->reply, NULL, 0);

	if (result == 0) {
		failpoint("request.answered");
		debt_settle(connection->debt);
		connection->debt = NULL;
		return true;
	}
	if (result == -EAGAIN) {
		event_del(&connection->readable);
		event_add(&connection->writable, NULL);
	} else {
		connection_hang_up(connection);
	}
	return false;
}

void serve_on_writable(evutil_socket_t fd, short events, void *context)
{
	struct connection *connection = context;

	(void)fd, (void)events;
	if (send_reply(connection))
		event_add(&connection->readable, NULL);
}

bool serve_answer(struct connection *connection, uint64_t request_id, int result, const struct write_result *done)
{
	const struct write_result none = { 0 }, *told = done ? done : &none;

	connection->reply = (struct wire_reply){ WIRE_REPLY, result, request_id, told->version, told->value };
	failpoint("request.done");
	return send_reply(connection);
}

/* Puts a write aside that found no memory. False: there is no place for it. */
static bool defer(struct connection *connection, uint64_t request_id, const struct write_request *request)
{
	struct keeper *keeper = connection->keeper;

	connection->deferred = deferred_create(request, request_id, DEFERRED_BYTES_MAX - keeper->deferred_bytes);
	if (!connection->deferred)
		return false;
	keeper->deferred_bytes += connection->deferred->bytes;
	TAILQ_INSERT_TAIL(&keeper->deferred, connection, waiting);
	event_del(&connection->readable); /* requests are answered in order */
	keeper_return_soon(keeper);
	return true;
}

void serve_drop_deferred(struct connection *connection)
{
	if (!connection->deferred)
		return;
	TAILQ_REMOVE(&connection->keeper->deferred, connection, waiting);
	connection->keeper->deferred_bytes -= connection->deferred->bytes;
	free(connection->deferred);
	connection->deferred = NULL;
}

void connection_retry_deferred(struct keeper *keeper)
{
	struct connection *connection = TAILQ_FIRST(&keeper->deferred), *next;
	uint64_t now_ms = monotonic_ms();

	for (; connection; connection = next) {
		struct deferred *deferred = connection->deferred;
		uint64_t request_id = deferred->request_id;
		struct write_result done = { 0 };
		int result = keeper_write(keeper, connection->tenant, &deferred->request, &done);

		next = TAILQ_NEXT(connection, waiting);
		if (result == -EAGAIN && !deferred_over(deferred, now_ms))
			continue;
		serve_drop_deferred(connection);
		if (serve_answer(connection, request_id, result, &done))
			event_add(&connection->readable, NULL);
	}
}

void serve_note(struct connection *connection)
{
	struct wire_request head;
	const size_t size = offsetof(struct wire_request, id) + sizeof head.id;

	if (message_peek(connection->socket, &head, size) == (ssize_t)size)
		connection->debt = debt_incur(connection->keeper->debts, connection->id, head.id);
	failpoint("request.noted");
}

/* Another size is wanted. False as serve_request. */
static bool serve_resize(struct connection *connection, size_t size, int fd)
{
	struct wire_resize wire;
	struct write_result done = { 0 };

	if (request_read_resize(connection->keeper->message, size, fd, &wire)) {
		connection_disconnect(connection, "it sent a malformed request");
		return false;
	}
	return serve_answer(connection, wire.id,
	                    keeper_resize(connection->keeper, &connection->peer, wire.bytes, &done.value), &done);
}

bool serve_request(struct connection *connection, size_t size, int fd)
{
	struct keeper *keeper = connection->keeper;
	struct wire_request wire;
	struct write_request request;
	struct write_result done = { 0 };
	int result;

	if (request_is_resize(keeper->message, size))
		return serve_resize(connection, size, fd);
	result = request_read(&keeper->cache.arena, keeper->message, size, fd, keeper->payload, &wire, &request);
	if (result == -EPROTO) {
		connection_disconnect(connection, "it sent a malformed request");
		return false;
	}
	failpoint("request.taken");
	if (result == 0)
		result = keeper_write_now(keeper, connection->tenant, &request, &done);
	if (result == -EAGAIN && defer(connection, wire.id, &request))
		return false;
	return serve_answer(connection, wire.id, result, &done);
}
