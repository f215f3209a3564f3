/* SPDX-License-Identifier: MIT */
/* One process of the web shop: takes requests until it is told to stop, and checks whatever it reads. */
#ifndef LARDER_DEMO_WORKER_H
#define LARDER_DEMO_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "larder.h"
#include "tools/demo/board.h"
#include "tools/demo/counters.h"
#include "tools/demo/ledger.h"
#include "tools/demo/workload.h"

/* What all workers share. */
struct shop {
	struct board *board;
	struct workload workload;
	struct ledger_entry *ledger; /* [users] */
	struct counter_note *notes;  /* [tallies][pages] */
	uint64_t seed;
};

/*
 * worker: whose users it writes; tally: where it counts. Where the two differ it succeeds a worker that was killed.
 * Return: what the process should exit with.
 */
int worker_run(const struct shop *shop, larder *cache, uint32_t worker, unsigned tally);

#endif
