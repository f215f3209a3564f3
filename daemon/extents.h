/* SPDX-License-Identifier: MIT */
/*
 * The keeper's part of extents (arena/extent.h). Segments that lie side by side do not become free by themselves: it chooses a
 * window of as many as are wanted, empties what is in it, keeps what becomes free as reserve so that no writer takes it, and
 * offers the whole.
 *
 * What others left is found by looking: orphans, extents that are offered and that nobody wants any more, and those whose object is
 * not in the index, because it was replaced or deleted, or its writer died or gave up. All is in the arena, so a new keeper
 * finds the same.
 */
#ifndef LARDER_DAEMON_EXTENTS_H
#define LARDER_DAEMON_EXTENTS_H

#include "arena/extent.h"

struct reclaim;

struct extents {
	uint32_t first, length;             /* the window that is being emptied; length 0: none is */
	uint64_t since_ms;                  /* when it was chosen, or none could be */
	bool refused;                       /* every window is blocked; to be looked at again soon */
	bool spoilt;                        /* something in the window was kept */
	uint32_t kept;                      /* how often that was so since the last offer */
	uint64_t looked_ms;                 /* when all extents were looked at */
	uint32_t next_class;                /* which class has its turn */
	uint64_t wanted_ms[EXTENT_CLASSES]; /* since when (arena time) something is wanted in each; 0: nothing */
	uint32_t *costs;                    /* of each segment, for choosing */
};

int extents_init(struct extents *extents, const struct arena *arena);
void extents_destroy(struct extents *extents);

/* Whether a segment is in the window, so that it becomes reserve and not free. */
static inline bool extents_claims(const struct extents *extents, uint32_t segment)
{
	return segment - extents->first < extents->length;
}

/* Whether an extent or a segment is in the window, and be it in part. */
static inline bool extents_overlap(const struct extents *extents, uint32_t segment, uint32_t length)
{
	return segment < extents->first + extents->length && extents->first < segment + length && extents->length != 0;
}

/* Whether there is something to be done that nobody tells us of. */
static inline bool extents_busy(const struct extents *extents)
{
	return extents->length != 0 || extents->refused;
}

/* Whether a large object in the window may be kept, as the policy wants; not for ever, so that a window is had at last. */
bool extents_may_keep(const struct extents *extents);

/* It was kept, so another window must be chosen. */
void extents_kept(struct extents *extents);

/* Finds what is of no use any more and sends it on its way to free. */
void extents_sweep(struct reclaim *reclaim);

/* Goes on with the window, or begins one if somebody waits. Return: whether segments became free or an extent ready. */
bool extents_run(struct reclaim *reclaim);

#endif
