/* SPDX-License-Identifier: MIT */
/* Shared memory in units of four bytes: what is kept of each during an execution, and from one to the next. */
#ifndef LARDER_TESTS_WEAK_PLACES_H
#define LARDER_TESTS_WEAK_PLACES_H

#include "tests/weak/weak.h"

#define UNIT 4 /* bytes */
#define PLACES_HISTORIES 128

struct view;
struct word;

struct access {
	uint32_t clock, sequence, attempt;
};

/* During one execution. */
struct unit {
	bool touched;
	uint8_t writer, atomic_writer; /* thread + 1 */
	uint32_t write_clock, atomic_write_clock;
	const struct view *write_view; /* what the writer had acquired */
	struct access reads[WEAK_THREADS], atomic_reads[WEAK_THREADS];
	struct word *word;
};

/* From execution to execution. */
struct usage {
	uint16_t history; /* 0: none */
	uint8_t users, writers;
	uint8_t others_write; /* for each thread: whether others do; as it was when this was learned */
};

extern struct unit *places_units;
extern struct usage *places_usage;
extern int64_t places_sections[WEAK_THREADS]; /* the unit of each thread's section word; -1: none */

/* The unit in which an address lies; -1: that is not shared memory. */
int64_t places_unit_of(const void *address);

/* A unit that is about to be used: it is put back after the execution. */
struct unit *places_touch(void *address, int64_t number);
void places_restore(void);

#endif
