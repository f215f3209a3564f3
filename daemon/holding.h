/* SPDX-License-Identifier: MIT */
/* What the supervisor holds for everybody: the arena, and the descriptor by which clients wake the keeper. */
#ifndef LARDER_DAEMON_HOLDING_H
#define LARDER_DAEMON_HOLDING_H

#include <stdint.h>

#include "arena/arena.h"
#include "base/fault.h"
#include "daemon/config.h"

struct holding {
	struct arena arena; /* mapped writable; keepers get the mapping by fork */
	uint64_t page_bytes;
	int arena_fd;
	int wake_fd;
};

/*
 * Makes a new arena as configured and seals it: in read-only mode so that nobody, not even root, can map it writable
 * any more.
 * Return: 0 or -errno.
 */
int holding_create(const struct config *config, struct holding *ret_holding, struct fault *fault);

void holding_release(struct holding *holding);

#endif
