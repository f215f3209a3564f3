/* SPDX-License-Identifier: MIT */
/* What connection.c and serve.c share. */
#ifndef LARDER_DAEMON_CONNECTION_INTERNAL_H
#define LARDER_DAEMON_CONNECTION_INTERNAL_H

#include "base/wire.h"
#include "daemon/deferred.h"
#include "daemon/keeper.h"

enum state { GREETING, KEEPING, ATTACHED, LEAVING };

struct connection {
	LIST_ENTRY(connection) all;
	TAILQ_ENTRY(connection) waiting; /* in keeper->undeposited or keeper->deferred */
	struct keeper *keeper;
	enum state state;
	bool stranger, undeposited; /* it is to be refused; the supervisor has not been asked yet */
	uint64_t id;                /* 0: none yet */
	struct peer peer;
	int socket, control_fd, pidfd, lease_fd; /* -1: none */
	uint32_t ask_ms;                         /* LEAVING: when to ask for the lease after this time */
	struct control control;                  /* in use from KEEPING on */
	uint32_t tenant;                         /* whose what it writes is */
	struct event readable, writable, death, timer;
	struct wire_reply reply; /* the one that did not go out, while writable is pending */
	struct debt *debt;       /* note of the request in hand; NULL: none */
	struct deferred *deferred;
};

/* The connection is over, whoever ended it. */
void connection_hang_up(struct connection *connection);

/* The client broke the protocol. */
void connection_disconnect(struct connection *connection, const char *why);

/*
 * Notes that the next request, which is still in the socket, will be owed a reply. In this order nothing is lost when
 * this process is killed: at worst the next keeper gives a request two answers, of which clients take the first.
 */
void serve_note(struct connection *connection);

/* Does one request. False: the connection is gone, or has to wait. */
bool serve_request(struct connection *connection, size_t size, int fd);

/* done: what was written; NULL: nothing. False: the connection is gone, or waits until the client has taken earlier replies. */
bool serve_answer(struct connection *connection, uint64_t request_id, int result, const struct write_result *done);

/* The socket has room again for the reply that did not go out. */
void serve_on_writable(evutil_socket_t fd, short events, void *context);

/* Forgets the write that was put aside, if there is one. */
void serve_drop_deferred(struct connection *connection);

#endif
