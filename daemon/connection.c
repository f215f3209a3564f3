/* SPDX-License-Identifier: MIT */
/*
 * The life of a connection:
 *
 *	GREETING --HELLO--> KEEPING --supervisor has it--> ATTACHED --hang-up--> LEAVING
 *
 * A client is let in in this order: the supervisor keeps its descriptors, so that it survives this keeper; reclaim
 * knows its control page, so that memory it may read is not reused; then only it gets the descriptors.
 *
 * It is forgotten when it cannot use the arena any more, of which there are two proofs: its process is dead (the pidfd
 * is readable), or the address space that it was let into is gone (its lease is over, arena/lease.h). A hang-up is none:
 * a forked child may hold the socket of a dead process, and a living one may have closed its own and read on. So at a
 * hang-up we ask for the lease, and again from time to time and when memory is wanted. A new keeper asks everybody, and
 * hangs up on who has none: he was not let in yet, and begins again (client/session.c), or is gone.
 *
 * What it asks for when it is attached: serve.c.
 */
#include "daemon/connection.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arena/lease.h"
#include "base/failpoint.h"
#include "daemon/connection_internal.h"
#include "daemon/hello.h"
#include "daemon/log.h"
#include "daemon/message.h"
#include "daemon/request.h"

#define GREETING_MS 5000 /* for the HELLO of a client that connected */
#define ASK_MS 20        /* after a hang-up, to ask for the lease again; twice as long each further time, up to */
#define ASK_MS_MAX 5000
#define REQUESTS_PER_TURN 16 /* then it is others' turn */
#define STRANGERS_MAX 16     /* who may wait for their refusal at a time */
#define GREETINGS_MAX 64     /* connections beside those that max_clients allows */
#define DEPOSITS_MAX 16      /* unanswered ones: so few that the answers always have room in the socket */

static void set_timer(struct connection *connection, uint32_t milliseconds)
{
	const struct timeval delay = { milliseconds / 1000, milliseconds % 1000 * 1000 };

	evtimer_add(&connection->timer, &delay);
}

/* ---- end --------------------------------------------------------------------------------------------------------- */

static void close_socket(struct connection *connection)
{
	serve_drop_deferred(connection);
	if (connection->undeposited)
		TAILQ_REMOVE(&connection->keeper->undeposited, connection, waiting);
	connection->undeposited = false;
	debt_settle(connection->debt);
	connection->debt = NULL;
	event_del(&connection->readable);
	event_del(&connection->writable);
	/* The supervisor may have it, too: closing it would not tell the client. */
	shutdown(connection->socket, SHUT_RDWR);
	message_close(&connection->socket, 1);
	connection->socket = -1;
}

/* One more or one less that has the arena or is about to. */
static void count_attached(struct keeper *keeper, int more)
{
	keeper->attached_count += (uint32_t)more;
	if (keeper->resumed)
		connection_publish_count(keeper);
}

void connection_publish_count(const struct keeper *keeper)
{
	store_relaxed(&keeper->cache.arena.header->clients, keeper->attached_count);
}

/* Frees everything. The caller has seen to it that the client cannot be using its control page. */
static void destroy(struct connection *connection)
{
	const int fds[] = { connection->pidfd, connection->control_fd, connection->lease_fd };
	struct keeper *keeper = connection->keeper;

	close_socket(connection);
	event_del(&connection->timer);
	if (connection->pidfd >= 0)
		event_del(&connection->death);
	message_close(fds, sizeof fds / sizeof fds[0]);
	if (connection->control.page) {
		reclaim_remove_client(keeper->reclaim, &connection->control);
		control_unmap(&connection->control);
	}
	keeper->connection_count--;
	if (connection->id)
		count_attached(keeper, -1);
	keeper->stranger_count -= connection->stranger;
	LIST_REMOVE(connection, all);
	free(connection);
}

static bool gone(const struct connection *connection)
{
	return peer_dead(connection->pidfd) || lease_over(connection->lease_fd);
}

/* Forgets a client, unless it may be using the arena; then asks again later. */
static void leave(struct connection *connection)
{
	struct keeper *keeper = connection->keeper;
	struct vault_message message = { .kind = VAULT_FORGET, .id = connection->id };

	/* A supervisor that is too busy to listen is a reason to come back, too. */
	if (!gone(connection) || message_send(keeper->supervisor_fd, &message, sizeof message, NULL, 0) != 0) {
		set_timer(connection, connection->ask_ms);
		connection->ask_ms = connection->ask_ms < ASK_MS_MAX / 2 ? connection->ask_ms * 2 : ASK_MS_MAX;
		return;
	}
	log_debug("client %" PRIu64 " is gone", connection->id);
	failpoint("client.forgotten");
	destroy(connection);
	failpoint("client.destroyed");
}

void connection_hang_up(struct connection *connection)
{
	if (connection->state == GREETING) {
		destroy(connection);
		return;
	}
	close_socket(connection);
	connection->state = LEAVING;
	connection->ask_ms = ASK_MS;
	leave(connection);
}

/*
 * Clients that never took a thread line hold nothing back, and may be about to take their lease. The others have it:
 * exec() may have ended it without a hang-up, where a forked child has the socket, too.
 */
void connection_ask_all(struct keeper *keeper)
{
	struct connection *connection = LIST_FIRST(&keeper->connections), *next;

	for (; connection; connection = next) {
		next = LIST_NEXT(connection, all);
		if (connection->state == LEAVING)
			leave(connection);
		else if (connection->state == ATTACHED && control_used(&connection->control) && gone(connection))
			connection_hang_up(connection);
	}
}

void connection_disconnect(struct connection *connection, const char *why)
{
	log_provoked(LOG_WARNING, "disconnected process %d of user %u: %s", (int)connection->peer.pid,
	             (unsigned int)connection->peer.uid, why);
	connection_hang_up(connection);
}

static void on_death(evutil_socket_t fd, short events, void *context)
{
	struct connection *connection = context;

	(void)fd, (void)events;
	/* The pidfd stays readable: without this the loop would spin while leave() has to come back. */
	event_del(&connection->death);
	failpoint("client.dead");
	connection_hang_up(connection);
}

static void on_timer(evutil_socket_t fd, short events, void *context)
{
	struct connection *connection = context;
	char byte;

	(void)fd, (void)events;
	if (connection->state != GREETING)
		leave(connection);
	else if (message_peek(connection->socket, &byte, sizeof byte) <= 0) /* or it was us who had no time for it */
		connection_disconnect(connection, "it connected and said nothing");
}

/* ---- beginning --------------------------------------------------------------------------------------------------- */

static void send_welcome(struct connection *connection, int result, const char *text)
{
	struct keeper *keeper = connection->keeper;
	struct wire_welcome welcome = { .type = WIRE_WELCOME, .result = result };
	int fds[] = { connection->lease_fd, keeper->arena_fd, connection->control_fd };
	int sent;

	snprintf(welcome.text, sizeof welcome.text, "%s", text);
	if (result) {
		log_provoked(LOG_NOTICE, "refused process %d of user %u: %s", (int)connection->peer.pid,
		             (unsigned int)connection->peer.uid, text);
		message_send(connection->socket, &welcome, sizeof welcome, NULL, 0);
		connection_hang_up(connection);
		return;
	}
	welcome.client_id = connection->id;
	welcome.arena_bytes = keeper->cache.arena.bytes;
	welcome.control_bytes = connection->control.bytes;
	welcome.access = keeper->config.access;
	sent = message_send(connection->socket, &welcome, sizeof welcome, fds, (int)(sizeof fds / sizeof fds[0]));
	failpoint("client.welcomed");
	close(connection->control_fd);
	connection->control_fd = -1;
	connection->state = ATTACHED;
	log_debug("client %" PRIu64 " is process %d of user %u", connection->id, (int)connection->peer.pid,
	          (unsigned int)connection->peer.uid);
	if (sent)
		connection_hang_up(connection);
	else
		event_add(&connection->readable, NULL);
}

static void assign(struct connection *connection)
{
	connection->tenant = keeper_tenant_of(connection->keeper, connection->socket, &connection->peer);
	store_relaxed(&connection->control.page->tenant, connection->tenant);
}

void connection_assign_all(struct keeper *keeper)
{
	struct connection *connection;

	LIST_FOREACH(connection, &keeper->connections, all)
	if (connection->control.page && connection->socket >= 0)
		assign(connection);
}

/* Gives a client its number, control page and watch. */
static int prepare(struct connection *connection, int offered_pidfd, struct fault *fault)
{
	struct keeper *keeper = connection->keeper;
	int result = peer_pidfd(connection->socket, &connection->peer, offered_pidfd, fault);

	if (result < 0)
		return result;
	connection->pidfd = result;
	event_assign(&connection->death, keeper->loop, connection->pidfd, EV_READ | EV_PERSIST, on_death, connection);
	connection->control_fd = control_create(keeper->cache.arena.segment_count, keeper->next_id);
	connection->lease_fd = lease_create();
	result = connection->control_fd < 0 ? connection->control_fd : connection->lease_fd;
	if (result < 0)
		return fault_set(fault, result, "larderd cannot make a control page: %s", strerror(-result));
	result = control_map(connection->control_fd, keeper->cache.arena.segment_count, false, &connection->control,
	                     fault);
	if (result)
		return result;
	failpoint("client.mapped");
	result = reclaim_add_client(keeper->reclaim, &connection->control);
	if (result) {
		control_unmap(&connection->control);
		return fault_set(fault, result, "larderd cannot add a client: %s", strerror(-result));
	}
	assign(connection);
	connection->id = keeper->next_id++;
	count_attached(keeper, +1);
	connection->state = KEEPING;
	event_add(&connection->death, NULL);
	event_del(&connection->timer);
	event_del(&connection->readable);
	return 0;
}

/* Asks the supervisor to keep a client's descriptors. False: not now. */
static bool deposit(struct connection *connection)
{
	struct keeper *keeper = connection->keeper;
	struct vault_message message = { .kind = VAULT_KEEP, .id = connection->id };
	int fds[VAULT_FDS] = { connection->socket, connection->control_fd, connection->pidfd, connection->lease_fd };

	if (keeper->deposits == DEPOSITS_MAX ||
	    message_send(keeper->supervisor_fd, &message, sizeof message, fds, VAULT_FDS) != 0)
		return false;
	failpoint("client.deposited");
	keeper->deposits++;
	return true;
}

void connection_deposit_more(struct keeper *keeper)
{
	struct connection *connection;

	while ((connection = TAILQ_FIRST(&keeper->undeposited)) && deposit(connection)) {
		TAILQ_REMOVE(&keeper->undeposited, connection, waiting);
		connection->undeposited = false;
	}
}

static void greet(struct connection *connection, size_t size, int offered_pidfd)
{
	struct keeper *keeper = connection->keeper;
	struct fault fault = { "" };
	int result;

	/* Nothing that a stranger says is looked at. */
	if (connection->stranger)
		result = hello_refuse_stranger(connection->peer.uid, &fault);
	else if (keeper->attached_count >= keeper->config.max_clients)
		result = hello_refuse_one_more(keeper->config.max_clients, &fault);
	else
		result = hello_check(keeper->message, size, &fault);
	if (result == 0)
		result = prepare(connection, offered_pidfd, &fault);
	if (result) {
		send_welcome(connection, result, fault.text);
		return;
	}
	TAILQ_INSERT_TAIL(&keeper->undeposited, connection, waiting);
	connection->undeposited = true;
	connection_deposit_more(keeper);
	if (connection->undeposited)
		keeper_return_soon(keeper);
}

void connection_kept(struct keeper *keeper, uint64_t id, int result)
{
	struct connection *connection;

	failpoint("client.kept");
	keeper->deposits--;
	connection_deposit_more(keeper);
	connection = LIST_FIRST(&keeper->connections);
	while (connection && connection->id != id)
		connection = LIST_NEXT(connection, all);
	/* It may have died meanwhile. */
	if (connection && connection->state == KEEPING)
		send_welcome(connection, result, result ? "larderd has no place for one more client" : "");
}

bool connection_none_waits(const struct keeper *keeper)
{
	const struct connection *connection;

	LIST_FOREACH(connection, &keeper->connections, all)
	if (connection->state == GREETING || connection->state == KEEPING)
		return false;
	return TAILQ_EMPTY(&keeper->deferred);
}

static void on_readable(evutil_socket_t fd, short events, void *context)
{
	struct connection *connection = context;
	struct keeper *keeper = connection->keeper;
	bool more = true;

	(void)events;
	for (int i = 0; i < REQUESTS_PER_TURN && more; i++) {
		int fds[MESSAGE_FDS_MAX], count = 0;
		ssize_t size;

		if (connection->state == ATTACHED)
			serve_note(connection);
		size = message_receive(fd, keeper->message, REQUEST_MESSAGE_MAX, fds, &count);
		if (size == -EAGAIN)
			return;
		more = false;
		if (size == -EPROTO || count > 1)
			connection_disconnect(connection,
			                      "it sent a message or more descriptors than the protocol knows");
		else if (size <= 0)
			connection_hang_up(connection);
		else if (connection->state == GREETING)
			greet(connection, (size_t)size, count ? fds[0] : -1);
		else
			more = serve_request(connection, (size_t)size, count ? fds[0] : -1);
		message_close(fds, count);
		if (count)
			request_forget(&keeper->cache.arena, keeper->payload);
	}
}

static struct connection *create(struct keeper *keeper, int socket, enum state state)
{
	struct connection *connection = calloc(1, sizeof *connection);

	if (!connection)
		return NULL;
	*connection = (struct connection){
		.keeper = keeper, .state = state, .socket = socket, .control_fd = -1, .pidfd = -1, .lease_fd = -1
	};
	event_assign(&connection->readable, keeper->loop, socket, EV_READ | EV_PERSIST, on_readable, connection);
	event_assign(&connection->writable, keeper->loop, socket, EV_WRITE, serve_on_writable, connection);
	evtimer_assign(&connection->timer, keeper->loop, on_timer, connection);
	LIST_INSERT_HEAD(&keeper->connections, connection, all);
	keeper->connection_count++;
	return connection;
}

void connection_accept(struct keeper *keeper, int socket)
{
	struct connection *connection;
	struct peer peer;
	bool stranger = peer_of(socket, &peer) != 0 || !peer_admitted(socket, &peer, &keeper->config);

	if (stranger
	            ? keeper->stranger_count >= STRANGERS_MAX
	            : keeper->connection_count - keeper->stranger_count >= keeper->config.max_clients + GREETINGS_MAX) {
		log_provoked(LOG_WARNING, "too many connections at a time");
		close(socket);
		return;
	}
	connection = create(keeper, socket, GREETING);
	if (!connection) {
		close(socket);
		return;
	}
	connection->peer = peer;
	connection->stranger = stranger;
	keeper->stranger_count += stranger;
	event_add(&connection->readable, NULL);
	set_timer(connection, GREETING_MS);
}

int connection_resume(struct keeper *keeper, const struct vault_client *client)
{
	struct connection *connection = create(keeper, client->fds[VAULT_SOCKET], ATTACHED);
	struct fault fault;
	int result;

	if (!connection)
		return -ENOMEM;
	connection->id = client->id;
	connection->pidfd = client->fds[VAULT_PIDFD];
	connection->lease_fd = client->fds[VAULT_LEASE];
	connection->debt = debt_find(keeper->debts, connection->id);
	count_attached(keeper, +1);
	result = control_map(client->fds[VAULT_CONTROL], keeper->cache.arena.segment_count, false, &connection->control,
	                     &fault);
	if (result == 0)
		result = reclaim_add_client(keeper->reclaim, &connection->control);
	if (result)
		return result;
	failpoint("client.resumed");
	close(client->fds[VAULT_CONTROL]);
	event_assign(&connection->death, keeper->loop, connection->pidfd, EV_READ | EV_PERSIST, on_death, connection);
	event_add(&connection->death, NULL);
	peer_of(connection->socket, &connection->peer);
	assign(connection);
	if (gone(connection)) {
		connection_hang_up(connection);
		return 0;
	}
	event_add(&connection->readable, NULL);
	if (connection->debt)
		serve_answer(connection, load_relaxed(&connection->debt->request_id), -EIO, NULL);
	return 0;
}
