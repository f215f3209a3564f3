/* SPDX-License-Identifier: MIT */
/*
 * Torture of grace periods across processes, with the functions of epoch/ themselves.
 *
 * Readers in several processes follow a published number to an element, inside a section, and look how old it is: how many grace
 * periods have passed since another one was published in its place. A keeper does the publishing and the grace periods, and
 * raises the age of what it unlinked only when one is over. So in a section that was not revoked the age is 0; anything else
 * means memory that could be reused under a reader. The same holds for an element pinned in such a section, for as long as the
 * pin lasts. Readers are stopped and killed wherever they are, and stopped ones are revoked.
 */
#ifndef LARDER_TORTURE_GRACE_H
#define LARDER_TORTURE_GRACE_H

#include <sched.h>

#include "base/layout.h"
#include "tests/unit/support/random.h"

#define GRACE_PLACES 4 /* where elements are published */
#define GRACE_BALLAST 16
#define GRACE_AGES 8 /* an element of that age may be published again */
#define GRACE_PROCESSES 5
#define GRACE_THREADS 2

/* What can be left out, to see whether it is missed. */
enum breakage {
	BREAK_NOTHING,
	BREAK_MEMBARRIER, /* the keeper issues no barriers */
	BREAK_EPOCH,      /* the epoch is not raised */
	BREAK_WAIT,       /* a grace period is over as soon as it has begun */
	BREAK_VALIDITY,   /* readers do not ask whether they were revoked */
	BREAK_PINS,       /* pins are not looked at */
	BREAK_RECHECK,    /* pins are looked at before stopped readers are revoked, not after */
	BREAKAGES
};

/* On lines of their own. */
struct element {
	_Alignas(PRIVATE_LINE) atomic_u64 age;
};
struct place {
	_Alignas(PRIVATE_LINE) atomic_u64 element;
};

/* What all processes share. A segment of the arena stands for an element, so that it can be pinned. */
struct stage {
	uint64_t seed;
	enum breakage breakage;
	int arena_fd;
	cpu_set_t processors; /* on which we may run */
	uint32_t elements;
	atomic_u32 stop;
	atomic_u32 duel; /* one reader alone against the keeper, nobody is stopped: for what takes a few nanoseconds */
	atomic_u64 sections, views;
	atomic_u64 ages[GRACE_AGES + 1];         /* seen in sections that were not revoked, and in views */
	atomic_u64 revoked_ages[GRACE_AGES + 1]; /* seen in revoked ones */
	struct place published[GRACE_PLACES];
	/*
	 * Both sides write here, a reader in front of its section: while the processor waits for these lines, the store that
	 * announces the section waits behind them, and only a barrier of the keeper's brings it out in time.
	 */
	struct place ballast[GRACE_BALLAST];
	struct element element[];
};

/*
 * The calling thread runs on one processor only, the first (0) or the second (1), where there are two; on any (-1). The two of a
 * duel must not be on the same: one of them would never see the other in the middle of something.
 */
void grace_run_on(const struct stage *stage, int place);

/* A reader process. Never returns. */
_Noreturn void grace_read(struct stage *stage, uint32_t number, uint32_t incarnation, int control_fd);

/* The whole program: larder-torture grace. Return: its exit status. */
int grace_main(int argc, char **argv);

#endif
