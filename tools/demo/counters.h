/* SPDX-License-Identifier: MIT */
/*
 * Counters that can be checked. Any worker increments any of them; eviction may end one at any time and the next
 * increment begins a new one. So whoever begins a counter gives it an initial value that no other had: a number for this
 * life in the upper half and 1 in the lower. Then within a life a counter never decreases, an increment never gives a
 * number twice, a life that was followed by another never comes back, and at the end the lower half is how many
 * increments all workers together made in this life: none was lost.
 */
#ifndef LARDER_DEMO_COUNTERS_H
#define LARDER_DEMO_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "larder.h"
#include "tools/demo/board.h"

/* What one worker knows of one counter. */
struct counter_note {
	uint64_t life;       /* the one it saw last; 0: none yet */
	uint64_t life_ended; /* the one before */
	uint64_t last;       /* the highest count it saw of the life */
	uint64_t increments; /* how many of them were its own */
};

/* Notes of all workers in shared memory: counters of tally 0, then of tally 1 ... NULL: no memory. */
struct counter_note *counters_create(uint32_t counters);

/* One increment by the worker of this tally, checked. serial is that worker's count of lives begun. */
void counter_increment(larder *cache, struct tally *tally, unsigned tally_number, struct counter_note *notes,
                       uint32_t counter, uint64_t *serial);

/* Reads one, checked. */
void counter_read(larder *cache, struct tally *tally, struct counter_note *notes, uint32_t counter);

struct counter_audit {
	uint64_t counters;   /* still there */
	uint64_t increments; /* that they show */
	uint64_t wrong;      /* counters that do not show what the workers did */
};

/* When all workers have ended. tallies: how many of the board's were used. */
struct counter_audit counters_audit(larder *cache, const struct board *board, unsigned tallies,
                                    const struct counter_note *notes, uint32_t counters);

#endif
