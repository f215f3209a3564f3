/* SPDX-License-Identifier: MIT */
/* All that a larderd owns: taken over from an earlier one, or made. */
#ifndef LARDER_DAEMON_ESTATE_H
#define LARDER_DAEMON_ESTATE_H

#include "base/fault.h"
#include "daemon/config.h"
#include "daemon/fdstore.h"
#include "daemon/handover.h"
#include "daemon/holding.h"
#include "daemon/listener.h"
#include "daemon/vault.h"

struct estate {
	struct holding holding;
	struct listener listener;
	struct vault vault;
	struct fdstore store;
};

#define ESTATE_NONE \
	((struct estate){ .holding = HOLDING_NONE, .listener = { .fd = -1, .lock_fd = -1 }, .store = FDSTORE_NONE })

/*
 * Takes over from the larderd that executed us, or from the service manager's store; what there is not, it makes. Return: 0 or
 * -errno; also on an error there may be something to release.
 */
int estate_open(const struct config *config, struct estate *ret_estate, struct fault *fault);

/* Finds out whether estate_open would take over all there is. Leaves everything as it was. Return: 0 or -errno. */
int estate_try(const struct config *config, struct fault *fault);

/* What the next larderd needs of it. The descriptors are only lent. */
struct handover estate_lend(const struct estate *estate);

/* Closes everything, but leaves all files in their place: another larderd goes on with them. */
void estate_release(struct estate *estate);

/* Removes the socket and the locks, and closes everything. An arena in a file stays. */
void estate_close(struct estate *estate, const struct config *config);

#endif
