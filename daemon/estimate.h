/* SPDX-License-Identifier: MIT */
/* What the keeper tells in the arena's header of the misses that more memory or less would bring: reports of clients in, curve out. */
#ifndef LARDER_DAEMON_ESTIMATE_H
#define LARDER_DAEMON_ESTIMATE_H

#include <stdbool.h>

#include "arena/control.h"
#include "daemon/curve.h"
#include "daemon/survey.h"

struct estimate {
	struct arena *arena;
	struct curve *curve; /* made when there is the first report */
	uint64_t second_ms;  /* when the present second began */
	uint64_t reports;    /* read in it */
	bool crowded;        /* some were lost in it */
};

void estimate_init(struct estimate *estimate, struct arena *arena);
void estimate_destroy(struct estimate *estimate);

/* Takes over what a client reported. seen: as of usage_next. */
void estimate_read(struct estimate *estimate, const struct control *client, uint64_t *seen);

/* So many lookups were counted by all clients since the last time. */
void estimate_count_lookups(struct estimate *estimate, uint64_t lookups);

/* Brings the header up to date. */
void estimate_tell(struct estimate *estimate, const struct survey *survey);

#endif
