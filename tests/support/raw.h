/* SPDX-License-Identifier: MIT */
/* larderd's protocol without the library: for tests that need the descriptors, or that do not keep to it. */
#ifndef LARDER_TESTS_RAW_H
#define LARDER_TESTS_RAW_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/wire.h"
#include "tests/support/server.h"

#define RAW_FDS_MAX 253 /* as many as a message can carry */

enum { RAW_LEASE, RAW_ARENA, RAW_CONTROL, RAW_FDS };

/* A connected socket. */
int raw_connect(const struct server *server);

/* Sends one message without waiting. Return: 0 or -errno. */
int raw_send(int channel, const void *message, size_t size, const int *fds, size_t fd_count);

/*
 * Receives one message. Return: its size; 0: the other side hung up. Whatever takes longer than a generous while ends
 * the process. ret_fds (RAW_FDS_MAX of them) may be NULL: they are closed.
 */
size_t raw_receive(int channel, void *message, size_t size, int *ret_fds, size_t *ret_fd_count);

struct wire_hello raw_hello(void);

/*
 * A right HELLO (without pidfd) and its WELCOME, which must be one. The lease is not taken: a test that uses the arena,
 * or outlives a keeper, does that.
 */
int raw_attach(const struct server *server, struct wire_welcome *ret_welcome, int ret_fds[RAW_FDS]);

/* A memfd of that size, with bytes that follow from the size. */
int raw_memfd(size_t size);

#endif
