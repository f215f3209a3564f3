/* SPDX-License-Identifier: MIT */
/* One case: a private larderd, a crowd at work, and a process that is killed or stopped at a failpoint. */
#ifndef LARDER_TESTS_SCENE_H
#define LARDER_TESTS_SCENE_H

#include <stdbool.h>

#include "tests/failpoint/points.h"

enum deed { KILL_IT, STOP_IT };

enum outcome {
	PENDING,
	PASSED,
	FAILED,
	NOT_REACHED /* the point was not passed, so nothing is proved */
};

/* What a case came to, in memory shared with who asked for it. */
struct outcome_of {
	enum outcome outcome;
	uint64_t hits;  /* failpoints that were acted on */
	uint64_t calls; /* of the others */
	uint64_t longest_read_ns, longest_write_ns;
	uint64_t timeouts;       /* writes of others that gave up: while the keeper is stopped */
	uint64_t segments_freed; /* after everything had expired */
};

/* Runs it in this process, which ends with a message where something is not so. */
void scene_play(const struct point *point, enum deed deed, struct outcome_of *ret_outcome);

#endif
