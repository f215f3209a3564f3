/* SPDX-License-Identifier: MIT */
/* A connection to larderd: whole messages with descriptors beside them, and a deadline on every step. */
#ifndef LARDER_CLIENT_CHANNEL_H
#define LARDER_CLIENT_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/fault.h"

#define CHANNEL_PARTS_MAX 4
#define CHANNEL_FDS_MAX 3

/* The moment (monotonic, in ms) that is timeout_ms from now. */
uint64_t channel_deadline(uint32_t timeout_ms);
bool channel_too_late(uint64_t deadline_ms);

/* Return: a descriptor; -ENAMETOOLONG, -ENOENT, -ECONNREFUSED, -EACCES, -ETIMEDOUT, -EPROTO, -errno. */
int channel_connect(const char *path, uint64_t deadline_ms, struct fault *fault);

/*
 * Sends the parts as one message. passed_fd: a descriptor that goes with it, or -1.
 * Return: 0; -ETIMEDOUT: not sent; -ECONNRESET: the other side is gone; -errno.
 */
int channel_send(int channel, const struct iovec *parts, size_t part_count, int passed_fd, uint64_t deadline_ms);

/*
 * Receives one message of exactly that size and at most CHANNEL_FDS_MAX descriptors (ret_fds NULL: none). The caller
 * owns the descriptors after 0; on any other result there are none.
 * Return: 0; -EPROTO: another size or too many descriptors; -EMFILE: no room for them; -ECONNRESET: the other side
 * hung up; -ETIMEDOUT; -errno.
 */
int channel_receive(int channel, void *ret_message, size_t size, int *ret_fds, size_t *ret_fd_count,
                    uint64_t deadline_ms);

#endif
