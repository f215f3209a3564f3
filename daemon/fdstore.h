/* SPDX-License-Identifier: MIT */
/*
 * The service manager's descriptor store: where arena and clients outlive larderd itself. Everything in the vault is
 * kept there, too, and a larderd that is started anew goes on with it.
 */
#ifndef LARDER_DAEMON_FDSTORE_H
#define LARDER_DAEMON_FDSTORE_H

#include <stdbool.h>

#include "base/atomics.h"
#include "base/fault.h"
#include "daemon/config.h"
#include "daemon/handover.h"
#include "daemon/holding.h"
#include "daemon/vault.h"

struct roster; /* which clients there are, in memory that is in the store, too */

struct fdstore {
	struct roster *roster; /* NULL: there is no store, or none is used */
	int roster_fd;
};

#define FDSTORE_NONE ((struct fdstore){ .roster_fd = -1 })

/* Takes the descriptors that the environment tells of: the socket of a .socket unit, and what was in the store. */
void fdstore_receive(struct handover *ret_handover);

/*
 * Goes on with what an earlier larderd left. All or nothing: an arena may only be adopted together with every client
 * that uses it. On 0 holding, vault and store are filled from the handover, which gives them up.
 * Return: 0; -ENOENT: nothing was left; -EINVAL: it cannot be used, and the fault says why.
 */
int fdstore_adopt(struct handover *handover, const struct config *config, struct holding *ret_holding,
                  struct vault *ret_vault, struct fdstore *ret_store, struct fault *fault);

/* Begins to keep a new arena in the store, where there is one. In read-only mode nobody could ever map it again. */
void fdstore_begin(struct fdstore *ret_store, const struct config *config, const struct holding *holding);

/*
 * In a new keeper: waits until a keeper of an earlier larderd is gone that goes on with the same arena. It follows its
 * supervisor into death, but the service manager may have been quicker.
 */
void fdstore_await_keeper(const struct fdstore *store);

/* Return: 0, also where there is no store; -errno: the client is not safe there. */
int fdstore_keep(struct fdstore *store, const struct vault_client *client);
void fdstore_forget(struct fdstore *store, uint64_t id);

/* Takes everything out of the store: what is there is of no use to the next larderd. */
void fdstore_clear(struct fdstore *store, const struct vault *vault);

void fdstore_release(struct fdstore *store);

#endif
