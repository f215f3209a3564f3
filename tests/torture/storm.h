/* SPDX-License-Identifier: MIT */
/* The director: starts clients, kills and stops them and the keeper at moments that nobody expects, and puts new ones in their place. */
#ifndef LARDER_TORTURE_STORM_H
#define LARDER_TORTURE_STORM_H

#include "tests/torture/board.h"
#include "tests/torture/watch.h"

struct storm_counts {
	uint64_t client_kills, keeper_kills, stops;
	struct longest longest;
};

/* Goes on for as long as the settings say, or until something is wrong. Then the clients have ended, or are stopped where they are. */
void storm_run(struct board *board, struct storm_counts *ret_counts);

/* Ends the clients that were stopped where they are. */
void storm_bury(struct board *board);

#endif
