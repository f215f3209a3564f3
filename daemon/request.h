/* SPDX-License-Identifier: MIT */
/* A write that a client asks larderd to do: from the bytes it sent to a request that the cache can trust. */
#ifndef LARDER_DAEMON_REQUEST_H
#define LARDER_DAEMON_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena/arena.h"
#include "base/wire.h"
#include "cache/cache.h"

#define REQUEST_MESSAGE_MAX (sizeof(struct wire_request) + WIRE_INLINE_MAX)
#define PAYLOAD_KEPT (UINT64_C(1) << 20) /* what a buffer for payloads keeps */

/* Bytes that a payload in a memfd can have: the buffer for request_read. */
uint64_t request_payload_max(const struct arena *arena);

/*
 * Checks a message. With fd >= 0 key and value are fetched from that descriptor into payload, else they are in the
 * message. The result points into message or payload.
 * Return: 0; -E2BIG: the value is too large for this arena (answer it); -EPROTO: it breaks the protocol (disconnect).
 */
int request_read(const struct arena *arena, const void *message, size_t message_size, int fd, void *payload,
                 struct wire_request *ret_wire, struct write_request *ret_request);

/* Whether a message asks for another size of the arena; then: return 0, or -EPROTO. */
bool request_is_resize(const void *message, size_t message_size);
int request_read_resize(const void *message, size_t message_size, int fd, struct wire_resize *ret_wire);

/*
 * Gives the memory of a large payload back, else clients could make larderd hold as much as the largest value for ever. The buffer
 * begins on a page and was mapped.
 */
void request_forget(const struct arena *arena, void *payload);

#endif
