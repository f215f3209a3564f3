/* SPDX-License-Identifier: MIT */
/*
 * Heat: how often an object was used, two bits in its slot word, for eviction. It is raised only until it is at its highest, so
 * keys that are in use all the time cost no write; and a thread does not raise it again while it remembers having done so, so that a
 * burst of reads by one thread counts once.
 *
 * The slot is changed by a compare-and-swap of the whole word. No load of a lookup goes past one of those, so one in each of a row
 * of lookups would keep the processor from overlapping their misses. That is why a read only notes the word in the thread's own
 * line, and all that are there are dealt with at once when there is no room for more. What stands there meanwhile is not lost: the keeper takes
 * it for its own before it evicts anything, and when the client is gone; but no more of one client at a time than of its reports, for
 * each may be of a long key, and whoever makes the keeper look at many lets others wait.
 *
 * A note is dealt with in a section of its own, in which the object's memory may belong to others by now. The word tells: its segment
 * is open in that generation, and then it stays so while the section lasts; the slot is looked for anew by the object's key. What
 * comes of a note that is wrong all the same, by a chance in billions, is that somebody's heat is one too high: nothing else changes.
 */
#ifndef LARDER_CACHE_HEAT_H
#define LARDER_CACHE_HEAT_H

#include "cache/cache.h"
#include "index/index.h"

/* Whether a use of the object of a slot word is worth noting. */
static inline bool heat_counts(uint64_t word)
{
	return __builtin_expect((word & SLOT_HEAT_MASK) != SLOT_HEAT_MASK, 0);
}

/* Notes that the object was used whose word was read in a slot; outside of sections. */
void heat_note(struct cache_thread *thread, uint64_t word);

/* Deals with what the thread has noted. */
void heat_flush(struct cache_thread *thread);

/* How far the keeper came with a client. */
struct heat_seen {
	uint64_t samples; /* so many were dealt with */
	uint32_t line;    /* whose notes come next */
};

/*
 * Keeper: raises the heat of what the threads of a client have noted, and of what a client that cannot write reported. It goes on from
 * what was seen, which is brought up to date.
 */
void heat_collect(struct cache_thread *keeper, const struct control *client, struct heat_seen *seen);

#endif
