/* SPDX-License-Identifier: MIT */
/* The keeper's side of epochs and pins: what it must see before memory may be reused. */
#ifndef LARDER_EPOCH_GRACE_H
#define LARDER_EPOCH_GRACE_H

#include "arena/arena.h"
#include "arena/control.h"

/*
 * Orders everything the keeper did so far before what it will find in the control pages from now on. 0 or -errno: then nothing
 * found afterwards may be relied on. To be called once between condemning, beginning a grace period or revoking, and the first look with
 * the functions below; not before each further look.
 */
int grace_barrier(const struct arena *arena);

/*
 * The keeper counts the epochs itself, and only tells the clients in the arena, where anybody may write: grace_first is where a keeper
 * begins to count, and grace_restore says the epoch again that somebody wrote over.
 */
uint64_t grace_first(const struct arena *arena);
void grace_restore(const struct arena *arena, uint64_t epoch);

/* Begins a grace period: raises the epoch, which was the last one until now. Return: the new one. What it shall free is unlinked. */
uint64_t grace_begin(const struct arena *arena, uint64_t last);

/*
 * The oldest epoch in which a thread of the client is in a section; UINT64_MAX: none is. A grace period is over when for every
 * client this is not below its epoch. Revoked threads do not count.
 */
uint64_t grace_oldest(const struct control *control);

/*
 * Revokes the sections of a client that began before the epoch. Return: how many. The caller calls grace_barrier once more and
 * looks at the pins again before it reuses memory.
 */
uint32_t grace_revoke(const struct control *control, uint64_t epoch);

/* How many threads of a client are revoked and have not noticed yet. */
uint32_t grace_revoked(const struct control *control);

/* Whether a thread of the client is writing into the segment, or about to look whether it may. */
bool grace_write_pinned(const struct control *control, uint32_t segment);

/* Whether a thread of the client is changing the buckets of an index segment, or about to look whether it may. */
bool grace_index_pinned(const struct control *control, uint32_t segment);

/* Whether a view of the client holds the segment. */
bool grace_view_pinned(const struct control *control, uint32_t segment);

/* Whether nothing at all of the client's is in use: no section, no pin. */
bool grace_idle(const struct control *control);

#endif
