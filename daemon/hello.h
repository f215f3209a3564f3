/* SPDX-License-Identifier: MIT */
/* The first message of a client: whether it speaks our protocol and lays shared memory out as we do. */
#ifndef LARDER_DAEMON_HELLO_H
#define LARDER_DAEMON_HELLO_H

#include <stddef.h>

#include "base/fault.h"

/* Return: 0; -EPROTO, with a sentence for whoever sent it. */
int hello_check(const void *message, size_t size, struct fault *fault);

#endif
