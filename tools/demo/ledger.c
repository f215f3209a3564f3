/* SPDX-License-Identifier: MIT */
#include "tools/demo/ledger.h"

#include <stddef.h>
#include <sys/mman.h>

struct ledger_entry *ledger_create(uint32_t users)
{
	void *memory = mmap(NULL, users * sizeof(struct ledger_entry), PROT_READ | PROT_WRITE,
	                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

struct ledger_change ledger_begin(struct ledger_entry *entry)
{
	struct ledger_change change = { .entry = entry, .begun_before = entry->begun };

	change.sequence = change.begun_before + 1;
	entry->begun = change.sequence;
	return change;
}

void ledger_complete(const struct ledger_change *change, bool deleted)
{
	/* In this order: while the change is unfinished nobody believes the flag. */
	change->entry->deleted = deleted;
	change->entry->completed = change->sequence;
}

void ledger_cancel(const struct ledger_change *change)
{
	change->entry->begun = change->begun_before;
}

bool ledger_unfinished(struct ledger_entry *entry)
{
	return entry->begun != entry->completed;
}
