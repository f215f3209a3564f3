/* SPDX-License-Identifier: MIT */
/*
 * What outlives a keeper. The supervisor holds a second descriptor of everything an attached client needs to go on;
 * the keeper deposits and withdraws them over a socket pair. A keeper that is forked later finds them all in its copy
 * of the table.
 */
#ifndef LARDER_DAEMON_VAULT_H
#define LARDER_DAEMON_VAULT_H

#include <stdint.h>

#include "daemon/config.h"

enum vault_fd { VAULT_SOCKET, VAULT_CONTROL, VAULT_PIDFD, VAULT_LEASE, VAULT_FDS };

struct vault_client {
	uint64_t id;
	int fds[VAULT_FDS]; /* -1: none (yet) */
};

struct vault {
	struct vault_client *clients;
	uint32_t count, capacity;
	uint64_t next_id; /* no client ever had this id or a higher one */
};

/* Return: 0; -ENOMEM, and the descriptors are still the caller's. */
int vault_put(struct vault *vault, const struct vault_client *client);

/* Closes a client's descriptors and forgets it. An unknown id is none of our business. */
void vault_drop(struct vault *vault, uint64_t id);

/* The client of that id, or NULL. */
struct vault_client *vault_find(struct vault *vault, uint64_t id);

void vault_free(struct vault *vault);

/* ---- the socket pair between supervisor and keeper --------------------------------------------------------------- */

enum vault_kind {
	VAULT_READY = 1, /* keeper: house-keeping runs, clients are served */
	VAULT_KEEP,      /* keeper: keep these descriptors (VAULT_FDS of them) for client id */
	VAULT_KEPT,      /* supervisor: done, or result < 0: not kept */
	VAULT_FORGET,    /* keeper: client id is gone */
	VAULT_CONFIG,    /* supervisor: new settings */
	VAULT_PING,      /* supervisor: are you alive? */
	VAULT_PONG,      /* keeper: yes */
	VAULT_DRAIN      /* supervisor: let nobody in any more, finish what you began, and end */
};

struct vault_message {
	uint32_t kind;
	int32_t result;
	uint64_t id;
	struct config config;
};

#endif
