/* SPDX-License-Identifier: MIT */
/* What larderd does for a client: the writes of one that may only read the arena, and another size of it. */
#ifndef LARDER_CLIENT_REMOTE_H
#define LARDER_CLIENT_REMOTE_H

#include "client/attachment.h"

/*
 * Return: as cache_write; -EIO: larderd is gone, the write may have happened; -ETIMEDOUT: so far no answer, likewise;
 * -ENOTCONN: larderd is gone, and nothing was sent.
 */
int remote_write(struct attachment *attachment, const struct write_request *request, uint32_t timeout_ms,
                 struct write_result *ret_result);

/* Return: as larder_resize. */
int remote_resize(struct attachment *attachment, uint64_t bytes, uint32_t timeout_ms, uint64_t *ret_bytes);

#endif
