/* SPDX-License-Identifier: MIT */
/* Writes of a client that may only read the arena: larderd does them. */
#ifndef LARDER_CLIENT_REMOTE_H
#define LARDER_CLIENT_REMOTE_H

#include "client/attachment.h"

/*
 * Return: as cache_write; -EIO: larderd is gone, the write may have happened; -ETIMEDOUT: so far no answer, likewise;
 * -ENOTCONN: larderd is gone, and nothing was sent.
 */
int remote_write(struct attachment *attachment, const struct write_request *request, uint32_t timeout_ms,
                 struct write_result *ret_result);

#endif
