/* SPDX-License-Identifier: MIT */
/*
 * Looks for calls that do not come back. A call is too long when its thread has been in it for HANG_MS, not counting
 * the time during which its process was stopped by us, nor the time during which the thread could have run but found no
 * free processor (the kernel counts that: /proc/PID/task/TID/schedstat). What remains is the time it ran or slept: both are
 * a hang, an endless loop or a wait. By as much as we ourselves look too late, the whole machine may have stood still, which the
 * kernel counts for nobody: so that does not count either. Of calls that may wait for larderd (attaching; writes that find no memory, or
 * that larderd does) the time begins anew when the keeper is killed, and what larderd itself waited for a processor does
 * not count either. The kernel adds a wait when it ends, so nothing is judged while one whose waits matter is waiting. So
 * on an overloaded machine no hang is seen that is none, and a real one is seen all the same, later.
 */
#ifndef LARDER_TORTURE_WATCH_H
#define LARDER_TORTURE_WATCH_H

#include "tests/torture/board.h"

#define HANG_MS 1000

/* How a thread fares. */
struct fare {
	uint64_t ran_ns, waited_ns; /* on a processor; for one; in all, as far as the kernel has counted */
	bool starving;              /* it has been waiting since it was last looked at */
};

/* What the director knows of a thread's present call. */
struct watch {
	uint64_t call; /* which it is */
	struct fare fare;
	uint32_t thread, keeper_kills;
	bool reported;
	uint64_t since_ns, excused_ns; /* when it was noticed: now, and what did not count until then */
};

/* The longest call so far. */
struct longest {
	uint64_t ms;
	enum operation operation;
};

extern const char *const watch_names[OPERATIONS];

/* What the director knows of the moment. */
struct moment {
	uint64_t now_ns;     /* before the rest was looked at: what we wait ourselves counts for nobody */
	uint64_t stopped_ns; /* how long the actor's process has been stopped by now, in all */
	uint64_t larderd_ns; /* how long larderd has waited for a processor */
	uint64_t late_ns;    /* how much too late we looked, in all: perhaps nobody ran then, whatever was due */
	bool larderd_starving;
	uint32_t pid; /* of the actor's process */
	uint32_t keeper_kills;
};

/* Looks at the processes of a larderd, and notes in the moment how they fare. */
struct larderd_watch {
	struct fare supervisor, keeper;
};
void watch_larderd(struct larderd_watch *watch, const struct server *server, struct moment *moment);

/* Looks at one actor. */
void watch_actor(struct watch *watch, struct board *board, uint32_t number, const struct moment *moment,
                 struct longest *longest);

#endif
