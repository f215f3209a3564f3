/* SPDX-License-Identifier: MIT */
/* The reads of a client: copies, views held for a while, batches, scans, counters. */
#ifndef LARDER_TORTURE_READS_H
#define LARDER_TORTURE_READS_H

#include "tests/torture/client.h"

struct reads *reads_create(void);

/* One read of a random kind, of a random key of anybody's. */
void reads_step(struct hand *hand);

/* Lets go of all views that are held. */
void reads_finish(struct hand *hand);

#endif
