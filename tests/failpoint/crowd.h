/* SPDX-License-Identifier: MIT */
/*
 * Processes that work on one arena and check each other. Everything a member writes follows from a number, and for each key
 * the ledger, in memory they share, holds the number of the last write that was begun and of the last that was completed: whoever
 * reads the key must find one that lies between what was completed before the read and what was begun after it.
 */
#ifndef LARDER_TESTS_CROWD_H
#define LARDER_TESTS_CROWD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomics.h"
#include "larder.h"
#include "tests/failpoint/points.h"
#include "tests/support/server.h"

#define MEMBERS 6
#define LASTING_MEMBERS 3 /* the first, who stay from beginning to end */
#define KEPT_KEYS 24      /* of each member, which alone writes them */
#define COUNTERS 4        /* to which all add */
#define GROWTH_KEYS 5000  /* of each member, written once: they make the index grow */

/* Numbers of writes of one key; 0: none. */
struct entry {
	atomic_u32 begun, completed;
};

struct member {
	struct entry kept[KEPT_KEYS], journal;
	struct entry growth; /* its growth keys, from the first on */
	atomic_u64 calls;
	atomic_u64 longest_read_ns, longest_write_ns, longest_resize_ns;
	atomic_u64 timeouts; /* calls that gave up after their time */
};

struct crowd {
	const struct server *server;
	enum scene scene;
	bool keeper_hurt;    /* the keeper is stopped or killed: a call may time out, or lose its answer */
	uint32_t timeout_ms; /* of the handles of those who are not eager */
	atomic_u32 quiet;    /* members that are not eager write nothing for the time being */
	atomic_u32 settled;  /* nobody adds keys: the index cannot grow without a keeper */
	atomic_u32 over;
	atomic_u32 attached; /* lasting members that are clients */
	atomic_u64 late_ms;  /* what the watchman saw */
	struct entry counters[COUNTERS];
	struct member members[MEMBERS];
};

/* Whether what was completed may be gone, because memory is short. */
bool crowd_evicts(const struct crowd *crowd);

/* Does the work of a role as member number until the crowd is over. eager: is about to be stopped, and hurries there. */
void crowd_work(struct crowd *crowd, uint32_t number, enum role role, bool eager);

/* When all is over: whether everything that was completed is there, and right. */
void crowd_check(struct crowd *crowd);

#endif
