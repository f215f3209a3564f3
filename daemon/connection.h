/* SPDX-License-Identifier: MIT */
/* One client as the keeper sees it: its socket, its control page, and the proof of its death. */
#ifndef LARDER_DAEMON_CONNECTION_H
#define LARDER_DAEMON_CONNECTION_H

#include "daemon/keeper.h"
#include "daemon/vault.h"

/* Takes charge of a socket that was just accepted. */
void connection_accept(struct keeper *keeper, int socket);

/*
 * Goes on with a client of an earlier keeper. Return: 0, -errno: this keeper must not run, for it would not know a
 * client.
 */
int connection_resume(struct keeper *keeper, const struct vault_client *client);

/*
 * Shows how many clients there are. A new keeper says nothing before it has taken over all: they were there the whole time, and
 * people would see clients go that did not.
 */
void connection_publish_count(const struct keeper *keeper);

/* The supervisor's answer to VAULT_KEEP. */
void connection_kept(struct keeper *keeper, uint64_t id, int result);

/* Gives the supervisor descriptors that it had no room for before. */
void connection_deposit_more(struct keeper *keeper);

/* Whether nobody is just being let in, and no write is put aside: what would be lost with this keeper. */
bool connection_none_waits(const struct keeper *keeper);

/* Memory is wanted: asks who could hold it back whether it is still there. */
void connection_ask_all(struct keeper *keeper);

/* The quotas have changed: says to each client whose what it writes is. */
void connection_assign_all(struct keeper *keeper);

/* Tries the writes again that wait for memory. */
void connection_retry_deferred(struct keeper *keeper);

#endif
