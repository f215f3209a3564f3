/* SPDX-License-Identifier: MIT */
/*
 * What may be read of a session, by whomever and whenever.
 *
 * Each user has exactly one writing worker. It numbers its writes and deletes, and notes here the number it begins with
 * before the call and the number it has completed after it. So whoever reads a session must find a number that is neither
 * less than what was completed before the read began (that would be stale) nor more than what was begun before the read
 * ended (that was never written). For the writer itself both are the same number: it must find exactly its last write.
 * A miss is always right: this is a cache. A value after a completed delete is not, because the delete has a number too.
 *
 * The ledger lies in memory that the workers share and outlives a killed one: its successor inherits it, with at most one
 * entry begun and not completed.
 */
#ifndef LARDER_DEMO_LEDGER_H
#define LARDER_DEMO_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct ledger_entry {
	_Atomic uint64_t begun;
	_Atomic uint64_t completed;
	bool deleted; /* the completed change was a delete; the writer's own knowledge */
};

/* A change under way. */
struct ledger_change {
	struct ledger_entry *entry;
	uint64_t sequence;
	uint64_t begun_before;
};

/* One entry per user in shared memory. NULL: no memory. */
struct ledger_entry *ledger_create(uint32_t users);

struct ledger_change ledger_begin(struct ledger_entry *entry);
void ledger_complete(const struct ledger_change *change, bool deleted);

/* The call said that nothing has changed. */
void ledger_cancel(const struct ledger_change *change);

/* Whether a change was begun and never completed: its writer was killed. */
bool ledger_unfinished(struct ledger_entry *entry);

#endif
