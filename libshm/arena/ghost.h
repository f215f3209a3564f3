/* SPDX-License-Identifier: MIT */
/*
 * Ghosts: what is remembered of keys that were evicted from probation, so that one that comes back soon begins in the main pool.
 * Writers ask, the keeper adds. The table is a set-associative memory of fingerprints, each with the time of its entry, counted
 * in evictions; in a line the oldest makes room. It may forget early and mistake one key for another (1 in 60 when full).
 */
#ifndef LARDER_ARENA_GHOST_H
#define LARDER_ARENA_GHOST_H

#include "arena/arena.h"

/* Whether the key of a hash was evicted not long ago, so far as is known. */
bool ghost_contains(const struct arena *arena, uint64_t hash);

/* Begins to fetch what ghost_contains will look at. */
void ghost_prefetch(const struct arena *arena, uint64_t hash);

/* Keeper: a key was evicted. */
void ghost_add(const struct arena *arena, uint64_t hash);

/* Keeper: for how many evictions a ghost counts. */
void ghost_set_window(const struct arena *arena, uint64_t evictions);

#endif
