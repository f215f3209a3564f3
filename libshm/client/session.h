/* SPDX-License-Identifier: MIT */
/* The first words with larderd: who we are, and what it hands out. */
#ifndef LARDER_CLIENT_SESSION_H
#define LARDER_CLIENT_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "arena/lease.h"
#include "base/fault.h"

/* An answered hello. The caller owns the descriptors and the lease. */
struct session {
	struct lease lease;
	int channel;
	int arena_fd;
	int control_fd;
	uint64_t arena_bytes;
	bool read_only;
};

/*
 * Connects to larderd, exchanges hello and welcome, and takes the lease.
 * Return: 0; as channel_connect; -EPROTO: no larderd, or one of another version; -errno with which larderd refused.
 */
int session_open(const char *path, uint64_t deadline_ms, struct session *ret_session, struct fault *fault);

#endif
