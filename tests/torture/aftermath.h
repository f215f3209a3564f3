/* SPDX-License-Identifier: MIT */
/*
 * When the storm is over: the last word on every key and counter; then all of it is deleted or made to expire, and nothing
 * may be left: no segment that is not free again, no descriptor or mapping of a client in larderd.
 */
#ifndef LARDER_TORTURE_AFTERMATH_H
#define LARDER_TORTURE_AFTERMATH_H

#include "tests/torture/board.h"

/* What larderd's processes hold while no client is attached. */
struct holdings {
	unsigned supervisor_fds, keeper_fds, control_pages;
};
struct holdings aftermath_holdings(const struct server *server);

/* The least of what they hold within a moment. */
struct holdings aftermath_settled(const struct server *server);

struct leaks {
	uint64_t bytes;      /* of segments that did not become free */
	struct holdings now; /* when as much had been given back as was going to be */
};

/* Checks and clears the arena, and waits. False: something is wrong, which has been noted on the board. */
bool aftermath_run(struct board *board, struct holdings before, struct leaks *ret_leaks);

#endif
