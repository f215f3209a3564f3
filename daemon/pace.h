/* SPDX-License-Identifier: MIT */
/*
 * How soon the keeper looks at the arena again. Writers that wait for memory wait for that, so it must be soon; but clients can ask
 * for it at will, and what they ask for must not eat a processor. So the pause is short while each look brings memory nearer, but as
 * long as the look took, and becomes twice as long with each look that does not. A millisecond is always enough: in an arena so large that
 * a look takes several, memory must come back all the same.
 */
#ifndef LARDER_DAEMON_PACE_H
#define LARDER_DAEMON_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_SHORTEST_US 100u
#define PACE_LONGEST_US 1000u

/* All zero at first: the first look is due. */
struct pace {
	uint64_t looked_us; /* when the last look ended */
	uint32_t pause_us;
};

/* Tells of a look, by a monotonic clock. */
void pace_note(struct pace *pace, uint64_t began_us, uint64_t ended_us, bool progress);

/* How long to wait before the next. */
uint32_t pace_left_us(const struct pace *pace, uint64_t now_us);

#endif
