/* SPDX-License-Identifier: MIT */
/* Visiting every chain of the index, in pieces, while it changes and grows. */
#ifndef LARDER_INDEX_WALK_H
#define LARDER_INDEX_WALK_H

#include "index/index.h"

/* Where a walk stands. All zero: at the beginning. */
struct index_walk {
	uint32_t directory; /* entry whose segment is being walked */
	uint32_t depth;     /* deepest segment met for it */
	uint32_t home;      /* the next home bucket */
	uint32_t life;      /* tells the segment of the chain read last from others, and from itself in a later life */
};

/*
 * Reads the next chain (inside an epoch section). False: the walk is over. Every key that is there all the time is in at
 * least one chain; splits between the steps may show some twice.
 */
bool index_walk_next(const struct arena *arena, struct index_walk *walk, struct index_chain *ret_chain);

#endif
