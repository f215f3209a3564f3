/* SPDX-License-Identifier: MIT */
/*
 * Reports of how keys are used, for the keeper's estimate of what more memory or less would bring (daemon/curve.h). Only uses of
 * keys that are in a sample by their hash are reported, one key in 256 or fewer: so the others cost no more than a look at eight bits
 * of a number that is at hand.
 */
#ifndef LARDER_CACHE_USAGE_H
#define LARDER_CACHE_USAGE_H

#include "cache/cache.h"

static inline bool usage_sampled(uint64_t hash)
{
	return __builtin_expect((hash & ((1u << USAGE_SAMPLE_BITS) - 1)) == 0, 0);
}

/* Reports a use of a sampled key: of an object of so many bytes, with so much life left (0: for ever). */
void usage_note(struct cache_thread *thread, enum usage_kind kind, uint64_t hash, uint64_t bytes, uint64_t life_ms);

/* One report, as the keeper reads it. It comes from a client, so it may be anything. */
struct usage_report {
	enum usage_kind kind;
	uint64_t key;
	uint64_t bytes;
	uint64_t life_ms;
};

/*
 * Keeper: the next report of a client. seen: how many of its reports were dealt with so far; ret_lost: how many were
 * written over before. False: there is none now.
 */
bool usage_next(const struct control *client, uint64_t *seen, struct usage_report *ret_report, uint64_t *ret_lost);

#endif
