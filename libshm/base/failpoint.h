/* SPDX-License-Identifier: MIT */
/*
 * Failpoints: named places, most of them between two writes to shared memory, at which a test can have a process killed,
 * stopped or delayed. They are there with `make FAILPOINTS=1` only; else the macros expand to nothing.
 *
 *	LARDER_FAILPOINT=name:nth:action[,...][;...]
 *
 * At the nth passage of that name in the process it is killed (kill), stopped until somebody continues it (stop), or held up for
 * some milliseconds (delay), and says so on stderr before. A client reads the variable when it attaches; of larderd only
 * keepers do: what stands before the first semicolon is the first keeper's, what follows the second's, and so on.
 */
#ifndef LARDER_BASE_FAILPOINT_H
#define LARDER_BASE_FAILPOINT_H

#ifdef LARDER_FAILPOINTS

#include "base/atomics.h"

extern atomic_u32 failpoint_armed; /* how many entries the variable has */

/* The place itself; the name is a literal, and no other place has it (tools/lint/check_failpoints.sh). */
#define failpoint(name) (__builtin_expect(load_relaxed(&failpoint_armed) != 0, 0) ? failpoint_pass(name) : (void)0)
void failpoint_pass(const char *name);

/* Reads the variable, once in each process. What it does not understand ends the process. */
void failpoint_arm(void);

/* Supervisor, after a fork: the next keeper gets the next part. */
void failpoint_next_keeper(void);

#else

#define failpoint(name) ((void)0)
#define failpoint_arm() ((void)0)
#define failpoint_next_keeper() ((void)0)

#endif

#endif
