/* SPDX-License-Identifier: MIT */
/* A process that uses the cache until it is killed. */
#ifndef LARDER_TORTURE_CLIENT_H
#define LARDER_TORTURE_CLIENT_H

#include "larder.h"
#include "tests/torture/board.h"

/* One of its threads. */
struct hand {
	struct board *board;
	struct actor *actor;
	larder *cache;
	uint32_t number; /* of the actor */
	struct random random;
	struct reads *reads;
	struct writes *writes;
};

/* Marks the beginning and the end of a call, so that one that takes too long is noticed. */
static inline void hand_begin(const struct hand *hand, enum operation operation)
{
	fetch_add_relaxed(&hand->actor->calls, 1);
	store_release(&hand->actor->operation, operation);
}

static inline void hand_end(const struct hand *hand)
{
	store_release(&hand->actor->operation, OPERATION_NONE);
}

/* Never returns. Forked by the director. */
_Noreturn void client_run(struct board *board, uint32_t slot);

#endif
