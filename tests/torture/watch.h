/* SPDX-License-Identifier: MIT */
/*
 * Looks for calls that do not come back. A call is too long when its thread has been in it for HANG_MS, not counting
 * the time during which its process was stopped by us, nor the time during which the thread could have run but found no
 * free processor (the kernel counts that: /proc/PID/task/TID/schedstat). What remains is the time it ran or slept: both are
 * a hang, an endless loop or a wait. Of calls that may wait for larderd (attaching; writes that find no memory, or
 * that larderd does) the time begins anew when the keeper is killed.
 */
#ifndef LARDER_TORTURE_WATCH_H
#define LARDER_TORTURE_WATCH_H

#include "tests/torture/board.h"

#define HANG_MS 1000

/* What the director knows of a thread's present call. */
struct watch {
	uint64_t call; /* which it is */
	uint32_t thread, keeper_kills;
	bool reported;
	uint64_t since_ns, waited_ns, stopped_ns; /* when it was noticed: now, and the totals until then */
};

/* The longest call so far. */
struct longest {
	uint64_t ms;
	enum operation operation;
};

extern const char *const watch_names[OPERATIONS];

/* Looks at one actor. stopped_ns: how long its process has been stopped by now, in all. */
void watch_actor(struct watch *watch, struct board *board, uint32_t number, uint32_t pid, uint64_t stopped_ns,
                 uint32_t keeper_kills, struct longest *longest);

#endif
