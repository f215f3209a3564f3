/* SPDX-License-Identifier: MIT */
/*
 * Counters change in place: value and version are two words that one 16-byte compare-and-swap changes together.
 *
 * What has to be kept apart is a change in place and the replacement of the whole object by one that carries the value on (cas,
 * touch, append, relocation): an addition in between would be lost. So whoever carries a value on freezes the counter first; from
 * then on nobody adds in place, but makes a new object with the sum and replaces this one, which makes the slow carrier's
 * compare-and-swap of the slot fail. A thread that dies after freezing leaves a counter that costs one replacement more.
 *
 * A replacement that does not look at the old value (set, delete) needs none of this: an addition that ends in the old object
 * while it is replaced counts as having come before.
 *
 * Adding in place writes into a segment, so it is done under a write pin; a condemned segment's counter is frozen and
 * replaced. Freezing needs no pin, only a look, between reading the words and changing them, whether the section was
 * revoked. If not, the words were the counter's own, of which the version makes the pair unique; so the compare-and-swap can
 * succeed later only where they still lie, if only as dead bytes.
 */
#include <errno.h>

#include "base/failpoint.h"
#include "cache/internal.h"

#define ATTEMPTS 1000 /* at a counter: then the whole write begins again, which is bounded by time */

/* Both words; torn or old values are harmless, for every use ends in a compare-and-swap of both. */
static struct pair counter_words(struct counter *counter)
{
	struct pair words = { 0 };

	words.high = load_relaxed(&counter->version);
	words.low = load_relaxed(&counter->value);
	return words;
}

enum freeze counter_freeze(const struct epoch_reader *reader, struct counter *counter, uint64_t expected,
                           int64_t *ret_value, uint64_t *ret_version)
{
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		struct pair words = counter_words(counter);
		struct pair frozen = words;

		if (!epoch_valid(reader))
			return FREEZE_AGAIN;
		*ret_value = (int64_t)words.low;
		*ret_version = words.high >> 1;
		if (expected && *ret_version != expected)
			return FREEZE_CHANGED;
		frozen.high |= COUNTER_FROZEN;
		/* R13 -> A13: also when it is frozen already: then this tells whether the two words belong together. */
		if (pair_cas(counter, words, frozen)) {
			failpoint("counter.frozen");
			return FREEZE_DONE;
		}
	}
	return FREEZE_AGAIN;
}

/* Return: 0; -EOVERFLOW; -EAGAIN: others were faster; -EBUSY: the counter does not change in place (any more). */
static int add_in_place(struct counter *counter, int64_t delta, uint64_t now_version, struct write_result *ret_result)
{
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		struct pair words = counter_words(counter);
		struct pair sum;
		uint64_t version = words.high >> 1;
		int64_t value;

		if (words.high & COUNTER_FROZEN)
			return -EBUSY;
		if (__builtin_add_overflow((int64_t)words.low, delta, &value)) {
			if (pair_cas(counter, words, words)) /* the two words belong together */
				return -EOVERFLOW;
			continue;
		}
		version = now_version > version ? now_version : version + 1;
		sum.low = (uint64_t)value;
		sum.high = version << 1;
		/* R13 -> A13: value and version are one moment's. */
		if (pair_cas(counter, words, sum)) {
			failpoint("counter.added");
			ret_result->value = value;
			ret_result->version = version;
			return 0;
		}
	}
	return -EAGAIN;
}

int counter_add(struct cache_thread *thread, const struct index_chain *chain, int64_t delta, uint64_t now_version,
                struct write_result *ret_result)
{
	const struct arena *arena = &thread->cache->arena;
	uint64_t word = chain->words[chain->found];
	uint32_t segment = (uint32_t)(slot_offset(word) >> arena->segment_shift);
	uint32_t generation = segment_load(arena, segment).generation;
	int result;

	if (!epoch_pin_write(&thread->reader, arena, segment, generation))
		return -EBUSY;
	/* Pinned, and the section was not revoked before: this is still the segment of the slot word. */
	if (!epoch_valid(&thread->reader)) {
		epoch_unpin_write(&thread->reader);
		return -EBUSY;
	}
	result = add_in_place(chain->object.counter, delta, now_version, ret_result);
	epoch_unpin_write(&thread->reader);
	return result;
}
