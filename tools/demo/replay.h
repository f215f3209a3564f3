/* SPDX-License-Identifier: MIT */
/*
 * Replays a trace: one process's share of it, chosen by the hash of the key, so that the requests for one key keep their
 * order. Every process reads the whole file, which needs neither memory nor a distributor. Values are made up: of the
 * size that the trace names, and such that they can be checked. Replayed is what the trace says, with these differences:
 *
 *   - A get that misses is followed by a set of value_size bytes (unless that is 0), as by an application that fetches
 *     what it lacks.
 *   - cas reads the version first; prepend is replayed as append, incr and decr change by 1 and create what is missing.
 */
#ifndef LARDER_DEMO_REPLAY_H
#define LARDER_DEMO_REPLAY_H

#include <stdint.h>

#include "larder.h"
#include "tools/demo/board.h"

struct replay {
	struct board *board;
	const char *path;
	double speed; /* 2: twice as fast as it was recorded; 0: as fast as possible */
	uint32_t workers;
};

/* Return: what the process should exit with. */
int replay_run(const struct replay *replay, larder *cache, uint32_t worker);

#endif
