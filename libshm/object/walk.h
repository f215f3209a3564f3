/* SPDX-License-Identifier: MIT */
/* Visiting every completed object of a data segment, or of the extent that it is the head of, in the order of memory, reachable from the index or not. */
#ifndef LARDER_OBJECT_WALK_H
#define LARDER_OBJECT_WALK_H

#include "object/object.h"

/* Where a walk stands; begin with only segment set. Trusts nothing it reads: ends in bounded time on any contents. */
struct object_walk {
	uint32_t segment;
	uint32_t chunk;     /* the next chunk at which a run may begin */
	uint64_t next, end; /* within the current run: where the next object would be, and the run's end */
	uint32_t faults;    /* places where the walk met what cannot be */
};

/* The next object. False: there are no more. */
bool object_walk_next(const struct arena *arena, struct object_walk *walk, struct object_view *ret_object);

#endif
