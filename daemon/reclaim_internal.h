/* SPDX-License-Identifier: MIT */
/* What reclaim.c, room.c and extents.c share. */
#ifndef LARDER_DAEMON_RECLAIM_INTERNAL_H
#define LARDER_DAEMON_RECLAIM_INTERNAL_H

#include "daemon/audit.h"
#include "daemon/clients.h"
#include "daemon/evacuate.h"
#include "daemon/extents.h"
#include "daemon/growth.h"
#include "daemon/reclaim.h"
#include "daemon/resize.h"
#include "daemon/stall.h"
#include "daemon/tenant.h"

#define HELD_MS 20u /* how long a held segment is expected back any moment */

enum stage { STAGE_NONE, STAGE_DRAINING, STAGE_GRACE, STAGE_PINNED };
enum reason {
	REASON_EXPIRED,
	REASON_EVICTED,
	REASON_QUOTA,
	REASON_CLEARED, /* as evicted, but out of turn: its place is wanted for an extent */
	REASON_COMPACTED,
	REASON_RETIRED /* nothing refers to it any more: an index segment that was split, what is left of an extent */
};

struct work {
	enum stage stage;
	enum reason reason;
	uint64_t epoch;    /* GRACE: which must have been reached */
	uint64_t since_ms; /* in this stage */
	uint64_t held_ms;  /* since when a writer or a view is known to hold it there; 0: none is */
};

struct reclaim {
	struct arena *arena;
	struct stall stall;
	const struct policy *policy;
	struct evacuator evacuator;
	struct growth growth;
	struct extents extents;
	struct resize resize;
	struct tenants tenants;
	struct estimate estimate;
	struct audit audit;
	struct clients clients;
	uint64_t epoch;     /* the one that began last */
	bool unordered;     /* something was condemned, unlinked or revoked since the last barrier */
	bool reopened;      /* something was condemned in vain in this run, */
	bool advanced;      /* or came to its next stage */
	uint32_t in_work;   /* segments in a stage */
	struct work work[]; /* for each segment; of an extent, for its head */
};

/* Whether somebody has held it for so long that it cannot be expected back any moment. */
static inline bool work_held(const struct work *work, uint64_t now_ms)
{
	return work->held_ms != 0 && now_ms - work->held_ms >= HELD_MS;
}

/* Begins to empty a segment or extent. False: it is not open (any more). */
bool reclaim_condemn(struct reclaim *reclaim, uint32_t segment, enum reason reason);

/* Lets a retired segment wait for its last readers. */
void reclaim_retired(struct reclaim *reclaim, uint32_t segment);

#endif
