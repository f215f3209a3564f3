/* SPDX-License-Identifier: MIT */
/*
 * The keeper's side of the socket in this process: the connections of a keeper that has everything but a loop of its own, a
 * supervisor that answers when it is told to, and callers whose end of the line is in the hands of the fuzzer.
 */
#ifndef LARDER_FUZZ_SWITCHBOARD_H
#define LARDER_FUZZ_SWITCHBOARD_H

#include "base/wire.h"
#include "daemon/keeper.h"

#define CALLERS 4

/* One who calls, and what is known of the line. */
struct caller {
	int socket; /* our end; -1: there is no line */
	int death;  /* an eventfd in the place of a pidfd: readable once the caller is dead */
	bool stranger;
	bool welcome;     /* was let in */
	bool odd;         /* sent what is no request of ours: replies cannot be told in advance */
	uint64_t last_id; /* of our requests */
	uint64_t replied; /* id of the last reply */
	struct control control;
};

struct switchboard {
	struct keeper keeper;
	int supervisor; /* our end */
	uint64_t kept[CALLERS * 64];
	uint32_t kept_count; /* asked of the supervisor and not answered */
	struct caller callers[CALLERS];
};

/* As it is before anybody called. */
struct switchboard *switchboard_set(void);

/* Lets the keeper do what is to be done. */
void switchboard_run(struct switchboard *board);

/* Time passes: the keeper tries again what waits. */
void switchboard_tick(struct switchboard *board);

/* The supervisor takes its mail, and answers the oldest question with a result. */
void switchboard_supervise(struct switchboard *board, int result);

void caller_dial(struct switchboard *board, struct caller *caller, bool stranger);

/* Takes what the keeper sent, which must make sense. */
void caller_listen(struct caller *caller);

void caller_hang_up(struct caller *caller);

/* The caller's process ends. */
void caller_die(struct caller *caller);

/* Everybody dies; expects that the keeper has nothing left of them. */
void switchboard_clear(struct switchboard *board);

#endif
