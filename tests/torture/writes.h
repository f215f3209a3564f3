/* SPDX-License-Identifier: MIT */
/* The writes of a client: to its own keys, which nobody else writes, and to what all write. */
#ifndef LARDER_TORTURE_WRITES_H
#define LARDER_TORTURE_WRITES_H

#include "tests/torture/client.h"

/* Takes over the keys of the hand's actor, in the state in which its last owner left them. */
struct writes *writes_create(const struct hand *hand);
void writes_destroy(struct writes *writes);

/* One write of a random kind. */
void writes_step(struct hand *hand);

#endif
