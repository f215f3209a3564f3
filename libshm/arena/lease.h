/* SPDX-License-Identifier: MIT */
/*
 * The lease: how the keeper learns that the address space into which it let a client map the arena is gone, without
 * the client having a say in it.
 *
 * A lease is an empty memfd that one client maps, before anything else and until after everything else, and that
 * nobody else maps. The kernel grants F_SEAL_WRITE only to a file of which there is no shared writable mapping. So the
 * keeper asks for that seal: EBUSY means that the mapping is there, and success that it ended with its address space
 * (exit, exec) or was given up. A descriptor says less: a program may close all it has (closefrom) and go on reading
 * the arena, and a child may keep the socket of a process that is long gone. Children do not inherit the mapping.
 *
 * The answer is final, because the seal is: no mapping can be made after it. So an attachment that the keeper believes
 * gone cannot begin, either: its client finds that it cannot map the lease.
 *
 * What a client can do to its lease only hurts itself. Sealed against further seals, it cannot be asked about any more
 * and holds until the process ends; mapped by others, too, likewise; never mapped, or unmapped early, it lets the
 * keeper reuse memory under the client that did so.
 */
#ifndef LARDER_ARENA_LEASE_H
#define LARDER_ARENA_LEASE_H

#include <stdbool.h>

#include "base/fault.h"

struct lease {
	void *mapping; /* NULL: none */
};

/* Keeper: makes one. Return: the descriptor or -errno. */
int lease_create(void);

/* Keeper: whether the lease is over, for good. A client that never had the descriptor has none to hold. */
bool lease_over(int fd);

/*
 * Client: takes the lease; the descriptor may be closed afterwards. Return: 0; -ECONNRESET: the keeper asked before
 * and gave the attachment up; -errno.
 */
int lease_take(int fd, struct lease *ret_lease, struct fault *fault);

/* Client: nothing that came with the lease is used any more. */
void lease_give_up(struct lease *lease);

#endif
