/* SPDX-License-Identifier: MIT */
/* The search: threads as coroutines, and the choices that an execution consists of. */
#ifndef LARDER_TESTS_WEAK_EXPLORE_H
#define LARDER_TESTS_WEAK_EXPLORE_H

#include "tests/weak/weak.h"

extern unsigned explore_thread; /* which one runs */
extern bool explore_running;    /* one does: accesses are watched */
extern bool explore_tracing;

/* One of count; 0 is the plain choice, and any other is a deviation. */
unsigned explore_choose(unsigned count);

/* Here another thread may go on. */
void explore_point(void);

/* Sleeps on a word until somebody wakes those who do. Nobody doing so any more is a failure. */
void explore_sleep(const void *word);
void explore_wake(const void *word);

/* Runs every execution of a scenario with at most so many deviations. Return: how many there were; 0: one failed, which has been described. */
uint64_t explore_scenario(const struct weak_scenario *scenario, unsigned most);

#endif
