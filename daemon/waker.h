/* SPDX-License-Identifier: MIT */
/*
 * Turns the futex by which clients wake the keeper into a descriptor that its loop can wait for.
 *
 * Clients do not have that descriptor themselves: a program may close all that are open, and the number then belong to a
 * file of its, into which a library must not write. A futex lies in the arena, and nothing a program does to its
 * descriptors changes that.
 */
#ifndef LARDER_DAEMON_WAKER_H
#define LARDER_DAEMON_WAKER_H

#include "base/atomics.h"

/*
 * Starts a thread that signals the eventfd when the word changes, at most once in pause_us, for as long as this process
 * lives. Return: 0, -errno.
 */
int waker_start(atomic_u32 *word, int event_fd, uint32_t pause_us);

/* What that thread does: look at the word, and wait until it is not the number seen; it may also come back before. */
uint32_t waker_look(atomic_u32 *word);
uint32_t waker_wait(atomic_u32 *word, uint32_t seen);

#endif
