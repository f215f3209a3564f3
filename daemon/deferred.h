/* SPDX-License-Identifier: MIT */
/* A write that waits for memory, with its own copy of key and value. */
#ifndef LARDER_DAEMON_DEFERRED_H
#define LARDER_DAEMON_DEFERRED_H

#include <stdint.h>

#include "cache/cache.h"

#define DEFER_MS 500                             /* how long a write may wait */
#define DEFERRED_BYTES_MAX (2 * VALUE_BYTES_MAX) /* of all of them together */

struct deferred {
	struct write_request request;
	uint64_t request_id;
	uint64_t until_ms;
	uint64_t bytes; /* that it takes itself */
	unsigned char data[];
};

/* Copies a request, if that takes no more than room. NULL: it does, or there is no memory. free() it. */
struct deferred *deferred_create(const struct write_request *request, uint64_t request_id, uint64_t room);

#endif
