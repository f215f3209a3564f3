/* SPDX-License-Identifier: MIT */
/* The calls to Linux that have no C library wrapper. Each returns 0 (or a count) or -errno. */
#ifndef LARDER_BASE_PLATFORM_H
#define LARDER_BASE_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomics.h"

/*
 * Makes this process one on which platform_barrier acts. 0.3 us in a process with one thread, some 10 ms in one with
 * more. Inherited over fork, cleared by exec. -EPERM, -ENOSYS: kernel or seccomp refuse.
 */
int platform_barrier_register(void);

/*
 * A full memory barrier on every running thread of every registered process, membarrier(2) GLOBAL_EXPEDITED. -ENOMEM is
 * possible at any time: nothing was ordered, try again later.
 */
int platform_barrier(void);

/* Sleeps while *word is expected, at most timeout_ms. Works across processes. 0, -EAGAIN, -ETIMEDOUT, -EINTR. */
int platform_futex_wait(atomic_u32 *word, uint32_t expected, uint32_t timeout_ms);

/* Wakes all who sleep on the word. */
void platform_futex_wake(atomic_u32 *word);

/* Adds 1 to a non-blocking eventfd. One that is full is as good as signalled. */
void platform_event_signal(int fd);

/*
 * Whether memory behind a descriptor can be mapped without fear: sealed so that nobody can cut it off, which would turn
 * the next access into SIGBUS. Of what is no memory this cannot be said.
 */
bool platform_cannot_shrink(int fd);

#endif
