/* SPDX-License-Identifier: MIT */
/* The first words with larderd: who we are, and what it hands out. */
#ifndef LARDER_CLIENT_SESSION_H
#define LARDER_CLIENT_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fault.h"

/* An answered hello. The caller owns all four descriptors. */
struct session {
	int channel;
	int arena_fd;
	int control_fd;
	int wake_fd;
	uint64_t arena_bytes;
	bool read_only;
};

/*
 * Connects to larderd and exchanges hello and welcome.
 * Return: 0; as channel_connect; -EPROTO: no larderd, or one of another version; -errno with which larderd refused.
 */
int session_open(const char *path, uint64_t deadline_ms, struct session *ret_session, struct fault *fault);

#endif
