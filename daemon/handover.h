/* SPDX-License-Identifier: MIT */
/* What one larderd leaves to the next: through the service manager's store, or by executing it over itself. */
#ifndef LARDER_DAEMON_HANDOVER_H
#define LARDER_DAEMON_HANDOVER_H

#include <stdbool.h>

#include "daemon/vault.h"

struct handover {
	int listener;            /* -1: none */
	int lock;                /* of the listener's path; -1: none */
	int arena, wake, roster; /* -1: none */
	int arena_lock;          /* of arena_file; -1: none */
	struct vault clients;    /* some may lack descriptors */
	bool whole; /* there is no client but these: a larderd at work wrote them down, rather than a store kept them */
};

#define HANDOVER_NONE \
	((struct handover){ .listener = -1, .lock = -1, .arena = -1, .wake = -1, .roster = -1, .arena_lock = -1 })

/* Calls act with every descriptor there is. */
void handover_each(const struct handover *handover, void (*act)(int fd));

/* Closes what is left of it. */
void handover_discard(struct handover *handover);

#endif
