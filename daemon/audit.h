/* SPDX-License-Identifier: MIT */
/*
 * Finds the segments that hold less than their count of dead bytes says. Writers count what they replace and delete, but nobody counts
 * the rest of a run whose owner was killed, or the object that somebody was killed over. So when there is time, every full segment is
 * walked once, and again when a good part more of it is dead; of one that is more than half unused the count is put right, and compaction
 * gives it back like any other.
 *
 * Any other is left alone, for the moved objects would leave much the same unused at the ends of new runs.
 */
#ifndef LARDER_DAEMON_AUDIT_H
#define LARDER_DAEMON_AUDIT_H

#include <stdbool.h>

#include "object/walk.h"

#define AUDIT_AGE_MS 5000u /* so long the owners of a new segment's runs have for filling them */
#define AUDIT_PAUSE_MS \
	20u /* between two steps of one in progress, where there are not very many segments to look through */

struct audit {
	struct arena *arena;
	bool walking;
	struct object_walk walk; /* of the present segment */
	uint32_t generation, dead_units;
	uint64_t living_bytes;
	uint32_t next_segment;   /* at which to look for one that is due */
	uint64_t next_ms;        /* arena time: when the next step is due */
	struct audited *audited; /* for each segment */
};

/* Return: 0, or -ENOMEM. */
int audit_init(struct audit *audit, struct arena *arena);
void audit_destroy(struct audit *audit);

/* Goes on, for a fraction of a millisecond, if it is time. */
void audit_step(struct audit *audit);

/* In how many milliseconds the next step of one in progress is due. */
uint32_t audit_pause_ms(const struct audit *audit);

#endif
