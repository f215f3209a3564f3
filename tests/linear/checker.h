/* SPDX-License-Identifier: MIT */
/*
 * Decides whether what several processes saw of one key can be explained by operations that each happened at one
 * instant between call and return. Knows nothing of larder's code, only of its promises.
 */
#ifndef LARDER_LINEAR_CHECKER_H
#define LARDER_LINEAR_CHECKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define HISTORY_MAX 64 /* operations in one history: one bit each in a word */

enum operation_kind { OPERATION_GET, OPERATION_SET, OPERATION_ADD, OPERATION_REPLACE, OPERATION_CAS, OPERATION_DELETE };

enum operation_outcome { OUTCOME_OK, OUTCOME_MISS, OUTCOME_EXISTS, OUTCOME_CHANGED };

/* One call. Filled by the process that made it; a cache line, so that processes do not disturb each other's clocks. */
struct operation {
	_Alignas(64) uint64_t invoked; /* ns: before the call */
	uint64_t returned;             /* ns: after the call */
	uint64_t value;                /* written, or read; every value written to a key is another one */
	uint64_t version;              /* of the value read or written */
	uint64_t expected;             /* cas, delete: the version asked for; delete: 0 is any */
	uint32_t process;
	uint8_t kind;
	uint8_t outcome;
};

enum verdict {
	VERDICT_LINEARIZABLE,
	VERDICT_VIOLATION,
	VERDICT_UNDECIDED /* the search took too much memory */
};

struct checker;

struct checker *checker_create(void);
void checker_destroy(struct checker *checker);

/*
 * Checks the history of one key that is absent at the beginning; operations may be in any order and come back sorted by
 * call. may_evict: the key may vanish at any time (but an old value may never return). With a violation *ret_last is
 * the operation whose return is the first that cannot be explained any more: what returned later is not needed to see
 * the fault. Nor is what came before *ret_first.
 */
enum verdict checker_check(struct checker *checker, struct operation *operations, unsigned count, bool may_evict,
                           unsigned *ret_first, unsigned *ret_last);

/* Prints the operations that make up a violation. */
void checker_print(FILE *file, const struct operation *operations, unsigned count, unsigned first, unsigned last);

#endif
