/* SPDX-License-Identifier: MIT */
/* A write that waits for memory, with its own copy of key and value. */
#ifndef LARDER_DAEMON_DEFERRED_H
#define LARDER_DAEMON_DEFERRED_H

#include <stdint.h>

#include "cache/cache.h"

#define DEFER_MS 500                             /* how long a write may wait, */
#define DEFER_STEP_MS 20                         /* where at most so much counts between two tries */
#define DEFERRED_BYTES_MAX (2 * VALUE_BYTES_MAX) /* of all of them together */

struct deferred {
	struct write_request request;
	uint64_t request_id;
	uint64_t tried_ms;
	uint64_t waited_ms;
	uint64_t bytes; /* that it takes itself */
	unsigned char data[];
};

/* Copies a request, if that takes no more than room. NULL: it does, or there is no memory. free() it. */
struct deferred *deferred_create(const struct write_request *request, uint64_t request_id, uint64_t room);

/*
 * After each try that found no memory: whether it was the last. While the keeper gets no processor nobody makes room, so a long time
 * between two tries is not what the write has waited for.
 */
bool deferred_over(struct deferred *deferred, uint64_t now_ms);

#endif
