/* SPDX-License-Identifier: MIT */
/* The keeper: the process that keeps the house and serves the clients, forked by the supervisor and replaceable. */
#ifndef LARDER_DAEMON_KEEPER_H
#define LARDER_DAEMON_KEEPER_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "cache/cache.h"
#include "daemon/config.h"
#include "daemon/debt.h"
#include "daemon/pace.h"
#include "daemon/peer.h"
#include "daemon/reclaim.h"
#include "daemon/vault.h"

/* What the supervisor leaves to each keeper it forks. */
struct keeper_start {
	const struct arena *arena; /* mapped writable before it was sealed */
	const struct config *config;
	const struct vault *vault; /* clients of an earlier keeper */
	struct debt *debts;        /* and what it owed them */
	bool crowded;              /* the arena has users of whom nobody knows, see struct holding */
	int arena_fd;
	int wake_fd;
	int listener_fd;
	int supervisor_fd;
};

/* Runs until told to end. Return: the exit status of the process. */
int keeper_run(const struct keeper_start *start);

/* ---- shared with connection.c ------------------------------------------------------------------------------------ */

LIST_HEAD(connection_list, connection);
TAILQ_HEAD(connection_queue, connection);

struct keeper {
	struct event_base *loop;
	struct config config;
	struct cache cache;
	struct cache_thread thread;
	struct reclaim *reclaim;
	int arena_fd;
	int wake_fd;
	int listener_fd;
	int supervisor_fd;
	int signal_fd;
	struct event listener, supervisor, signal, wake, tick, pause;
	struct pace pace;    /* of reclaim */
	uint64_t tick_us;    /* when tick is due */
	bool crowded;        /* see struct keeper_start */
	uint64_t drain_ms;   /* when to end although clients are not done with their beginning; 0: not told to end */
	uint64_t asked_ms;   /* when all clients were asked for their leases; 0: not since memory is held up */
	uint32_t ask_all_ms; /* how long until they are asked again */
	bool failed;         /* the loop ended because of an error */

	struct connection_list connections;
	struct connection_queue deferred;    /* those whose write waits for memory */
	struct connection_queue undeposited; /* those whose descriptors the supervisor has not been given yet */
	struct debt *debts;
	uint64_t next_id;
	uint64_t deferred_bytes;
	uint32_t deposits; /* VAULT_KEEP messages that have not been answered */
	uint32_t connection_count;
	uint32_t attached_count; /* of them, those that have the arena or are about to */
	bool resumed;            /* the clients of the keeper before are among them */
	uint32_t stranger_count; /* of them, those that will be refused */
	unsigned char *message;  /* buffers for the request in hand */
	unsigned char *payload;  /* its pages are there while a large one is in hand */
};

/* Runs reclaim now, unless it just did: what clients can ask for at will must not eat a processor. */
void keeper_make_room(struct keeper *keeper);

/*
 * Gives the arena another size, if the peer may ask for that. Return: as resize_want; -EPERM: it may not. ret_bytes as there, or 0.
 */
int keeper_resize(struct keeper *keeper, const struct peer *peer, uint64_t bytes, int64_t *ret_bytes);

/* The tenant to which a client belongs. */
uint32_t keeper_tenant_of(const struct keeper *keeper, int socket, const struct peer *peer);

/* A write for a client of a tenant, as cache_write; _now: which makes room once if there is none. */
int keeper_write_now(struct keeper *keeper, uint32_t tenant, const struct write_request *request,
                     struct write_result *ret_result);
int keeper_write(struct keeper *keeper, uint32_t tenant, const struct write_request *request,
                 struct write_result *ret_result);

/* Comes back soon to what waits in deferred and undeposited. */
void keeper_return_soon(struct keeper *keeper);

/* Ends the loop after an error that the next keeper may not meet. */
void keeper_fail(struct keeper *keeper);

#endif
