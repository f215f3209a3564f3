/* SPDX-License-Identifier: MIT */
/*
 * The memory that the demo's own processes share (it has nothing to do with larder's): what each worker counted, and the
 * word that makes them stop. A worker writes its own tally only; the parent reads the atomic words at any time and the
 * rest once the worker has ended, so a killed worker's figures count as well.
 */
#ifndef LARDER_DEMO_BOARD_H
#define LARDER_DEMO_BOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "tools/demo/histogram.h"

#define BOARD_WORKERS_MAX 64
#define BOARD_TALLIES (BOARD_WORKERS_MAX + 1) /* one more for the worker that takes the place of the killed one */
#define BOARD_SAMPLE 16                       /* of so many calls of a kind one is timed */

enum call_kind {
	CALL_GET,
	CALL_VIEW,
	CALL_MGET,
	CALL_ADD,
	CALL_SET,
	CALL_MSET,
	CALL_REPLACE,
	CALL_CAS,
	CALL_APPEND,
	CALL_INCR,
	CALL_TOUCH,
	CALL_DELETE,
	CALL_KINDS
};

enum unfinished { UNFINISHED_NONE, UNFINISHED_DONE, UNFINISHED_UNDONE, UNFINISHED_GONE };

struct tally {
	_Atomic uint64_t shown_calls, shown_lookups, shown_hits; /* copies, renewed now and then */
	_Atomic uint64_t wrong;                                  /* values that could not be right */
	_Atomic uint64_t failed;                                 /* results that should not have been */
	_Atomic uint32_t counting; /* the counter that is being incremented + 1; 0: none */

	uint64_t calls[CALL_KINDS];
	struct histogram latency[CALL_KINDS];
	uint64_t total_calls;
	uint64_t lookups, hits;     /* keys looked up, and found */
	uint64_t checked_bytes;     /* bytes of values checked */
	uint64_t refused;           /* writes that found no room in time (-EAGAIN) */
	uint64_t retries;           /* cas that had to be repeated because the key had changed */
	uint64_t held_views;        /* views kept over other operations, and checked again before release */
	uint64_t too_large;         /* trace: writes of values that the arena cannot hold */
	uint64_t fills;             /* trace: misses followed by a set */
	enum unfinished unfinished; /* what became of the write in which the predecessor was killed */
};

struct board {
	_Atomic bool stop;
	_Atomic bool complained; /* trace: one worker has printed the error that they all find */
	uint64_t start_ns;
	struct tally tallies[BOARD_TALLIES];
};

/* NULL: no memory. The parent makes it before it forks. */
struct board *board_create(void);

uint64_t board_clock_ns(void);

/* Around every call of larder: counts it, and times one of BOARD_SAMPLE. Nothing is subtracted for the clock. */
static inline uint64_t tally_begin(struct tally *tally, enum call_kind kind)
{
	return tally->calls[kind]++ % BOARD_SAMPLE == 0 ? board_clock_ns() : 0;
}

void tally_end(struct tally *tally, enum call_kind kind, uint64_t begun);

/* Brings the copies for the progress line up to date. */
void tally_show(struct tally *tally);

/* A value that cannot be right, or a result that should not have been: counts it and prints the first few. */
void tally_wrong(struct tally *tally, const char *format, ...) __attribute__((format(printf, 2, 3)));
void tally_failed(struct tally *tally, const char *call, int result);

#endif
