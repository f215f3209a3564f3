/* SPDX-License-Identifier: MIT */
/*
 * Heat: how often an object was used, two bits in its slot word, for eviction. A reader raises it only until it is at its highest, so
 * keys that are in use all the time cost no write; and not again while it remembers having done so, so that a burst of reads by one
 * thread counts once.
 *
 * The slot is changed by a compare-and-swap of the whole word, inside a section, so that it is a slot at all. Who comes late finds
 * another word, and if by a chance in billions he does not, somebody's heat is one too high: nothing else changes.
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

/* Notes that the object was used whose word was read in a slot, inside the section in which it was. */
void heat_raise(struct cache_thread *thread, atomic_u64 *slot, uint64_t word);

/* The same for a key whose slot held the word in an earlier section; outside of sections. */
void heat_note(struct cache_thread *thread, const void *key, size_t key_size, uint64_t word);

/*
 * Keeper: raises the heat of what a client that cannot write reported. seen: how many of its samples were dealt with so far; it is
 * brought up to date.
 */
void heat_collect(struct cache_thread *keeper, const struct control *client, uint64_t *seen);

#endif
