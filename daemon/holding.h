/* SPDX-License-Identifier: MIT */
/* What the supervisor holds for everybody: the arena, and the descriptor by which clients wake the keeper. */
#ifndef LARDER_DAEMON_HOLDING_H
#define LARDER_DAEMON_HOLDING_H

#include <stdbool.h>
#include <stdint.h>

#include "arena/arena.h"
#include "base/fault.h"
#include "daemon/config.h"

struct holding {
	struct arena arena; /* mapped writable; keepers get the mapping by fork */
	uint64_t page_bytes;
	int arena_fd;
	int wake_fd;
	int lock_fd;  /* of arena_file; -1: the arena is in no file */
	bool crowded; /* it is, and processes use it that an earlier larderd let in, of whom we know nothing */
};

#define HOLDING_NONE ((struct holding){ .arena_fd = -1, .wake_fd = -1, .lock_fd = -1 })

/*
 * Adopts the arena in arena_file, if one is configured and its arena can be used, else makes a new one. A new one without a file is
 * sealed: in read-only mode so that nobody, not even root, can map it writable any more.
 * Return: 0 or -errno.
 */
int holding_open(const struct config *config, struct holding *ret_holding, struct fault *fault);

/*
 * Maps the arena of a descriptor that an earlier larderd left, and checks that it is what is configured. Return: 0;
 * -EINVAL, -EPROTO: it cannot be used.
 */
int holding_adopt(struct holding *holding, const struct config *config, struct fault *fault);

/* The arena is not to be found by the next larderd. */
void holding_abandon(const struct config *config);

void holding_release(struct holding *holding);

#endif
