/* SPDX-License-Identifier: MIT */
/*
 * larder's own code, run under a memory model.
 *
 * The problem: a release that should be there and is not cannot be seen on x86, where every store is one, and hardly on any
 * other machine, where it takes the right moment. So the code must be run where all that C11 allows does happen.
 *
 * The idea: gcc's ThreadSanitizer pass turns each access to memory into a call, an atomic one with its memory order. What
 * is linked here is not the tool's runtime but ours: it runs a few threads as coroutines of one thread, remembers for each
 * atomic word all that was written to it, and for each thread which of those it may still read. Wherever C11 leaves a choice, which thread
 * goes on or which of several values a load returns, there is a choice to be made; execution after execution all of them are made.
 * Nothing is modelled: what runs is the source of libshm and of the keeper, with the orders that stand in it.
 *
 * The rules (release/acquire as an operational semantics): a word has a history of messages. A message of a release carries the
 * view of its writer, that is, up to where that one had seen each history. Who reads it with acquire joins it to its own
 * view, and reads nothing older from then on. A relaxed load followed by an acquire fence does the same, and so does a relaxed store that
 * follows a release fence. A read-modify-write takes the latest
 * message, and hands on the view it carried; a thread's own plain stores behind its release do not (as in C++20). membarrier(2) joins the views of all threads with the caller's, in both directions.
 * Accesses that are not atomic must be ordered by all this, or it is a race. A thread inside a section may race if
 * it finds afterwards that it was revoked; memory.c says how that is judged.
 *
 * What is left out: a store takes its place in the history when it is executed, and no load takes place after a store
 * that follows it in the program. What could go wrong in that way shows as a race instead.
 *
 * An execution deviates from the plainest one, in which threads run to their end and read what is latest, in a few places. Those with no
 * more than a scenario's number of deviations are searched exhaustively.
 */
#ifndef LARDER_TESTS_WEAK_H
#define LARDER_TESTS_WEAK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"

#define WEAK_THREADS 4

struct weak_scenario {
	const char *name;
	unsigned deviations;                 /* from the plainest execution */
	void (*prepare)(void);               /* once; nothing is watched yet */
	void (*threads[WEAK_THREADS])(void); /* all begin at the same time */
	void (*check)(void);                 /* after each execution; may be NULL */
};

/* ---- for prepare() ------------------------------------------------------------------------------------------------- */

/* Memory that the threads share. same_as: another mapping of the same memory that is known already, or NULL. */
void weak_share(void *memory, size_t bytes, const void *same_as);

/* Memory that is put back before each execution, but otherwise one thread's own. */
void weak_restore(void *memory, size_t bytes);

/* One of the barriers of each execution, counted from 1, fails: membarrier(2) may find no memory. */
void weak_fail_barrier(unsigned number);

/* The word in which a thread says in which section it is. */
void weak_section(unsigned thread, const atomic_u64 *word);

/* ---- for the threads ----------------------------------------------------------------------------------------------- */

/* Lets others go on, for who waits for them. */
void weak_pause(void);

/* Ends the execution as a failure. */
_Noreturn void weak_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define weak_expect(condition) \
	((condition) ? (void)0 : weak_fail("%s:%d: this is not so: %s", __FILE__, __LINE__, #condition))

/* ---- scenarios_*.c -------------------------------------------------------------------------------------------------- */

extern const struct weak_scenario weak_scenarios_index[], weak_scenarios_reclaim[], weak_scenarios_cache[],
	weak_scenarios_litmus[], weak_scenarios_steps[], weak_scenarios_retire[], weak_scenarios_extent[];

#endif
