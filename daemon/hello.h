/* SPDX-License-Identifier: MIT */
/* The first message of a client: whether it speaks our protocol and lays shared memory out as we do. */
#ifndef LARDER_DAEMON_HELLO_H
#define LARDER_DAEMON_HELLO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/fault.h"

/* Return: 0; -EPROTO, with a sentence for whoever sent it. */
int hello_check(const void *message, size_t size, struct fault *fault);

/* The sentences for whom nobody listens to. Return: -EACCES; -EBUSY. */
int hello_refuse_stranger(uid_t user, struct fault *fault);
int hello_refuse_one_more(uint64_t clients_max, struct fault *fault);

#endif
