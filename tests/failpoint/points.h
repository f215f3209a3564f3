/* SPDX-License-Identifier: MIT */
/* Every failpoint of the sources (tools/lint/check_failpoints.sh compares), and how a process is brought to pass it. */
#ifndef LARDER_TESTS_POINTS_H
#define LARDER_TESTS_POINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The world in which a case plays. */
enum scene {
	ROOMY,  /* the index grows, some values expire, nothing is evicted: no completed write may be lost */
	CHURN,  /* the same, but the index is built anew for keys that come and go */
	EBB,    /* the same, but the index grows for keys that are deleted again, and shrinks then */
	TIGHT,  /* memory for a few seconds of writing: the oldest is evicted all the time */
	LARGE,  /* as TIGHT, and some values are larger than a segment */
	REMOTE, /* as ROOMY, but the arena is read-only to clients: the keeper writes */
	SIZED,  /* as TIGHT, but the arena gets another size all the time, and has a limit for all who write */
	SCENES
};

/* Who passes the point. */
enum role {
	READER,
	WRITER,
	CHURNER,  /* a writer of nothing but what expires soon */
	LINGERER, /* a reader that now and then writes something of a life that nobody else uses */
	ATTACHER, /* a reader that attaches and leaves all the time */
	SIZER,    /* a reader that asks for another size all the time */
	KEEPER,
	ROLES
};

struct point {
	const char *name;
	enum role role;
	enum scene scene;
	uint32_t nth; /* the passage at which it happens */
	/* Who has to be stopped first, where the point is on the way of those only who meet it; NULL: nobody. */
	const char *accomplice; /* a client's LARDER_FAILPOINT */
	enum role accomplice_role;
	bool resumed;       /* the accomplice goes on before the point can be reached */
	const char *keeper; /* the first keeper's */
};

extern const struct point points[];
extern const size_t point_count;

const char *scene_name(enum scene scene);
const char *role_name(enum role role);

#endif
