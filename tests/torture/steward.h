/* SPDX-License-Identifier: MIT */
/*
 * A process that nobody kills: it verifies the arena again and again while the storm goes on, and tells clients when memory
 * runs low, so that nothing need be evicted.
 */
#ifndef LARDER_TORTURE_STEWARD_H
#define LARDER_TORTURE_STEWARD_H

#include "larder.h"
#include "tests/torture/board.h"

/* Never returns. Forked by the director; ends when the board says stop. */
_Noreturn void steward_run(struct board *board);

/* Opens the cache, again and again while there is no keeper. */
larder *steward_open(const struct board *board);

/* One verification; faults are noted on the board. */
bool steward_verify(struct board *board, larder *cache);

#endif
