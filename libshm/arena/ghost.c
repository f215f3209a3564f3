/* SPDX-License-Identifier: MIT */
#include "arena/ghost.h"

#define TIME_MASK (UINT16_MAX >> GHOST_TIME_SHIFT)

static uint64_t mix(uint64_t hash)
{
	return hash * UINT64_C(0x9e3779b97f4a7c15); /* the index uses the hash's own bits */
}

/* How many lines are in use. When the arena gets another size most ghosts are not found any more: they are hints. */
static uint64_t lines(const struct arena *arena)
{
	return (uint64_t)arena_segment_target(arena) << (arena->segment_shift - GHOST_GRAIN_SHIFT);
}

static struct ghost_line *line_of(const struct arena *arena, uint64_t hash)
{
	return &arena->ghosts[(mix(hash) >> 32) * lines(arena) >> 32];
}

static uint32_t fingerprint(uint64_t hash)
{
	return (uint32_t)(mix(hash) & GHOST_FINGERPRINT_MASK);
}

/* Evictions in a unit of time: the table is full after half of the units that the time has, so ages are unambiguous. */
static uint64_t unit(const struct arena *arena)
{
	return lines(arena) * GHOSTS_PER_LINE / ((TIME_MASK + 1) / 2) + 1;
}

static uint32_t age(uint32_t ghost, uint64_t now)
{
	return (uint32_t)(now - (ghost >> GHOST_TIME_SHIFT)) & TIME_MASK;
}

bool ghost_contains(const struct arena *arena, uint64_t hash)
{
	const struct ghost_line *line = line_of(arena, hash);
	uint64_t now = load_relaxed(&arena->header->ghosts) / unit(arena);
	uint64_t window = load_relaxed(&arena->header->ghost_window) / unit(arena);
	bool found = false;

	for (uint32_t i = 0; i < GHOSTS_PER_LINE; i++) {
		uint32_t ghost = load_relaxed(&line->ghosts[i]);

		found |= ghost != 0 && (ghost & GHOST_FINGERPRINT_MASK) == fingerprint(hash) &&
		         age(ghost, now) <= window;
	}
	return found;
}

void ghost_prefetch(const struct arena *arena, uint64_t hash)
{
	__builtin_prefetch(line_of(arena, hash));
}

void ghost_add(const struct arena *arena, uint64_t hash)
{
	struct ghost_line *line = line_of(arena, hash);
	uint64_t now = load_relaxed(&arena->header->ghosts) / unit(arena);
	uint32_t oldest = 0, oldest_age = 0;

	for (uint32_t i = 0; i < GHOSTS_PER_LINE; i++) {
		uint32_t ghost = load_relaxed(&line->ghosts[i]);
		uint32_t ghost_age = ghost == 0 ? TIME_MASK + 1 : age(ghost, now);

		if (ghost != 0 && (ghost & GHOST_FINGERPRINT_MASK) == fingerprint(hash)) {
			oldest = i;
			break;
		}
		if (ghost_age > oldest_age) {
			oldest = i;
			oldest_age = ghost_age;
		}
	}
	store_relaxed(&line->ghosts[oldest], (uint16_t)((now & TIME_MASK) << GHOST_TIME_SHIFT | fingerprint(hash)));
	store_relaxed(&arena->header->ghosts, load_relaxed(&arena->header->ghosts) + 1);
}

void ghost_set_window(const struct arena *arena, uint64_t evictions)
{
	store_relaxed(&arena->header->ghost_window, evictions);
}
