/* SPDX-License-Identifier: MIT */
/*
 * The problem: any number of processes insert, replace and delete in one bucket, each may be killed between any two
 * instructions, nobody may wait for anybody, readers write nothing, and a key must never be there twice.
 *
 * The idea: replacing and deleting are one compare-and-swap of the slot that holds the key. Only inserting needs more,
 * because "the key is nowhere in the chain" is not a fact about one word. So an insert first writes its intent (which
 * object, into which slot) into the control word of the home bucket, by a compare-and-swap against the control word it read
 * before it looked at the slots. Every insert changes the control word's sequence, so this succeeds only if no key came to
 * the chain since; the key is then still absent. Whoever meets an intent completes it: place the object, clear the intent.
 * An inserter may be killed anywhere; its object was complete before the intent was written.
 *
 * Invariants:
 *  - A key enters a chain only through the control word of its home bucket, so it is in at most one slot, or in none and in
 *    the intent.
 *  - An empty slot holds the sequence of the control word as it was when the slot was emptied (and, against mix-ups after a
 *    long stop, the offset of what was in it). If that is the sequence of the pending intent, then the intent's object was
 *    placed and has been removed again: a late helper must not place it a second time. If it is another, the helper may
 *    place it, and its compare-and-swap fails if anybody else did anything to the slot since.
 *  - A slot that was never used (all zero) exists only in the buckets of a segment that a split is filling, until the
 *    home bucket there is complete; split.c places into such slots only. Overflow buckets that are linked later are sealed first.
 *  - The last slot of a full bucket becomes a link to an overflow bucket that already holds, in its first slot, the object
 *    the link replaces: one compare-and-swap moves the object and attaches the bucket, and no reader can miss it. The
 *    overflow bucket is found in a fixed order of places by whoever looks for it, so two writers who extend a chain at the
 *    same time, or the successors of a killed one, work on the same bucket. Its first slot is brought up to date by
 *    compare-and-swap before the link is made; reading that slot before the one it shall mirror keeps a slow helper from
 *    putting an older object over a newer one. Links stay until the segment is split.
 *
 * Progress: readers wait-free; writers lock-free. tests/model holds SPIN models of all of it.
 */
#include "index/index.h"

#include "base/failpoint.h"
#include "index/split.h"

#define CLAIM_PROBES 64 /* places looked at for an overflow bucket: when 3/4 are taken, 1e-8 of the searches fail */

/* ---- control and empty words --------------------------------------------------------------------------------------- */

static uint64_t control_sequence(uint64_t control)
{
	return control >> CONTROL_SEQUENCE_SHIFT & SEQUENCE_MASK;
}

static uint64_t control_intent(uint64_t control)
{
	return (control & CONTROL_OFFSET_MASK) * OBJECT_UNIT;
}

static uint32_t control_target(uint64_t control)
{
	return (uint32_t)(control >> CONTROL_TARGET_SHIFT & CONTROL_TARGET_MASK);
}

static uint64_t control_without_intent(uint64_t control)
{
	return control & ~(CONTROL_OFFSET_MASK | CONTROL_TARGET_MASK << CONTROL_TARGET_SHIFT);
}

static uint64_t empty_sequence(uint64_t word)
{
	return word >> SLOT_SEQUENCE_SHIFT & SEQUENCE_MASK;
}

/*
 * What was removed is in the word because the sequence alone is not enough: a slow extend() that read a sealed slot must not
 * take a slot emptied under the same sequence for it, and bring back an object that was deleted.
 */
static uint64_t empty_pack(uint64_t sequence, uint64_t removed_word)
{
	return sequence << SLOT_SEQUENCE_SHIFT | (removed_word & SLOT_OFFSET_MASK);
}

/* ---- reading --------------------------------------------------------------------------------------------------------- */

/*
 * A full bucket's last object moves only forward, into the overflow bucket that replaces it, and the last slot is read last; so a
 * key that is there throughout is never missed.
 */
atomic_u64 *index_locate(const struct arena *arena, uint64_t hash, uint64_t *word, uint32_t *ret_segment)
{
	struct bucket *bucket = index_home(arena, hash, ret_segment);

	for (int level = 0; bucket && level < CHAIN_BUCKETS; level++) {
		uint64_t last = 0;

		for (int i = 0; i < BUCKET_SLOTS; i++) {
			last = load_relaxed(
				&bucket->slots[i]); /* nothing is read through it, and who changes it compares */
			if (((last ^ *word) & ~(SLOT_HEAT_MASK | SLOT_FROZEN)) == 0) {
				*word = last;
				return &bucket->slots[i];
			}
		}
		bucket = slot_is_link(last) ? index_linked(arena, *ret_segment, last) : NULL;
	}
	return NULL;
}

uint64_t index_search(const struct arena *arena, uint64_t hash, const void *key, size_t key_size)
{
	struct object_view object;
	uint32_t segment;
	struct bucket *bucket = index_home(arena, hash, &segment);

	for (int level = 0; bucket && level < CHAIN_BUCKETS; level++) {
		uint64_t word = 0;

		for (int i = 0; i < BUCKET_SLOTS; i++) {
			word = load_acquire(&bucket->slots[i]); /* A1 <- R1; A19 <- R19 */
			if (slot_matches(word, hash) && index_compare(arena, word, key, key_size, &object))
				return word;
		}
		if (!slot_is_link(word))
			return 0;
		bucket = index_linked(arena, segment, word);
	}
	return 0;
}

/* ---- chains -------------------------------------------------------------------------------------------------------- */

bool index_read_chain(const struct arena *arena, uint32_t segment, uint32_t home, struct index_chain *ret_chain)
{
	struct bucket *bucket = &index_buckets(arena, segment)[home];
	uint64_t all = 0,
		 links = 0; /* what is set in any word; and by its highest bit, whether a link is where none can be */

	ret_chain->segment = segment;
	ret_chain->home = home;
	ret_chain->buckets = 0;
	ret_chain->damaged = false;
	ret_chain->control = load_acquire(&bucket->control); /* A2 <- R2; A18 <- R18 */
	for (int level = 0; bucket && level < CHAIN_BUCKETS; level++) {
		uint64_t *words = &ret_chain->words[level * BUCKET_SLOTS];

		for (int i = 0; i < BUCKET_SLOTS; i++) {
			uint64_t word = load_acquire(&bucket->slots[i]); /* A1 <- R1; A19 <- R19 */

			words[i] = word;
			all |= word;
			if (i < BUCKET_SLOTS - 1)
				links |= ~word & word << 1;
		}
		ret_chain->bucket[level] = bucket;
		ret_chain->buckets++;
		if (!slot_is_link(words[BUCKET_SLOTS - 1]))
			break;
		bucket = index_linked(arena, segment, words[BUCKET_SLOTS - 1]);
		ret_chain->damaged |= !bucket || level == CHAIN_BUCKETS - 1;
	}
	ret_chain->damaged |= links >> 63;
	return !(all & SLOT_FROZEN) && !(ret_chain->control & (CONTROL_FROZEN | CONTROL_MOVED));
}

static uint32_t chain_slots(const struct index_chain *chain)
{
	return chain->buckets * BUCKET_SLOTS;
}

/*
 * The slot at a position of the chain, by following links; NULL when the chain is shorter than that. Who wrote the intent had followed
 * the links, so whoever read it with acquire sees them and what is behind them.
 */
static atomic_u64 *slot_at(const struct arena *arena, uint32_t segment, uint32_t home, uint32_t position)
{
	struct bucket *bucket = &index_buckets(arena, segment)[home];

	for (; bucket && position >= BUCKET_SLOTS; position -= BUCKET_SLOTS) {
		uint64_t link = load_relaxed(&bucket->slots[BUCKET_SLOTS - 1]);

		bucket = slot_is_link(link) ? index_linked(arena, segment, link) : NULL;
	}
	return bucket ? &bucket->slots[position] : NULL;
}

/* The slot word that will stand for an object, or 0 when there is no such object (a scribbled arena). */
static uint64_t word_of(const struct arena *arena, uint64_t offset)
{
	struct object_view object;
	uint32_t segment = (uint32_t)(offset >> arena->segment_shift);

	if (segment >= arena->segment_count || !object_parse(arena, offset, &object))
		return 0;
	return slot_pack(hash_key(arena->secret, object.key, object.key_size), segment_load(arena, segment).generation,
	                 offset);
}

/* Places the object of an intent, whose slot word is given, and clears the intent. */
static void complete(const struct arena *arena, uint32_t segment, uint32_t home, uint64_t control, uint64_t word)
{
	struct bucket *bucket = &index_buckets(arena, segment)[home];
	atomic_u64 *slot = slot_at(arena, segment, home, control_target(control));
	uint64_t seen = slot ? load_acquire(slot) : 0; /* A1 <- R1 */

	/*
	 * Only while the intent stands does what was read of slot and object belong to it. Besides, the compare-and-swap proves that it
	 * stood until then: who clears an intent has changed the slot before. So it does not matter that nothing keeps the bytes of
	 * the key from being read after this look at the control word; they are read before the compare-and-swap.
	 */
	if (load_relaxed(&bucket->control) != control)
		return;
	if (slot && word && slot_is_empty(seen) && empty_sequence(seen) != control_sequence(control))
		/* R1 -> A1: a reader that finds the slot must find the object complete. */
		cas_acq_rel(slot, &seen, word);
	failpoint("publish.intent_placed");
	/* R2 -> A2: who finds the intent gone must find the object placed. */
	cas_acq_rel(&bucket->control, &control, control_without_intent(control));
	failpoint("publish.intent_cleared");
}

void index_help(const struct arena *arena, uint32_t segment, uint32_t home, uint64_t control)
{
	failpoint("publish.intent_met");
	complete(arena, segment, home, control, word_of(arena, control_intent(control)));
}

/*
 * Whether a segment is one to write buckets into. In a scribbled arena the directory may lead to the segment table or
 * to data, where a "bucket" changes with every attempt, and attempts would have no end.
 */
static bool holds_buckets(const struct arena *arena, uint32_t segment)
{
	enum segment_state state = segment_load(arena, segment).state;

	return segment >= arena->system_segments && (state == SEGMENT_INDEX || state == SEGMENT_RETIRED);
}

bool index_find_pinned(struct epoch_reader *reader, const struct arena *arena, uint64_t hash, const void *key,
                       size_t key_size, struct index_chain *ret_chain)
{
	uint32_t segment, attempts = 0;

	ret_chain->hash = hash;
	ret_chain->found = -1;
	for (;;) {
		struct bucket *bucket = index_home(arena, hash, &segment);
		bool whole;

		if (!bucket || (reader && !epoch_pin_index(reader, INDEX_PIN_SEGMENT, segment)) ||
		    !holds_buckets(arena, segment))
			return false;
		whole = index_read_chain(arena, segment, hash_home(hash, arena->homes), ret_chain);
		if (whole && ret_chain->damaged)
			return false;
		if (whole && !control_intent(ret_chain->control))
			break;
		if (++attempts == INDEX_ATTEMPTS)
			return false;
		if (whole)
			index_help(arena, segment, ret_chain->home, ret_chain->control);
		else if (!split_bucket_pinned(reader, arena, segment, ret_chain->home))
			return false;
		if (reader) /* the next segment may be another */
			epoch_unpin_index(reader, INDEX_PIN_SEGMENT);
	}
	for (uint32_t position = 0; position < chain_slots(ret_chain); position++) {
		uint64_t word = ret_chain->words[position];

		if (slot_matches(word, hash) && index_compare(arena, word, key, key_size, &ret_chain->object)) {
			ret_chain->found = (int32_t)position;
			break;
		}
	}
	return true;
}

bool index_find(const struct arena *arena, uint64_t hash, const void *key, size_t key_size,
                struct index_chain *ret_chain)
{
	return index_find_pinned(NULL, arena, hash, key, key_size, ret_chain);
}

/* ---- changes ------------------------------------------------------------------------------------------------------- */

enum index_result index_replace(const struct index_chain *chain, uint32_t generation, uint64_t offset, uint32_t heat)
{
	atomic_u64 *slot = index_slot_at(chain, (uint32_t)chain->found);

	return slot_replace(slot, chain->words[chain->found], generation, offset, heat) ? INDEX_DONE : INDEX_AGAIN;
}

static bool empty_slot(const struct index_chain *chain, uint32_t position)
{
	uint64_t word = chain->words[position];
	/* Read after the object was seen in the slot, with acquire, so it is not older than the intent that brought it there. */
	uint64_t control = load_relaxed(&chain->bucket[0]->control);

	/* R1 -> A1: for the sake of whoever later compares against this empty word. */
	if (!cas_acq_rel(index_slot_at(chain, position), &word, empty_pack(control_sequence(control), word)))
		return false;
	failpoint("publish.emptied");
	return true;
}

enum index_result index_remove(const struct index_chain *chain)
{
	return empty_slot(chain, (uint32_t)chain->found) ? INDEX_DONE : INDEX_AGAIN;
}

void index_displace(const struct arena *arena, const struct index_chain *chain)
{
	/* The first slots are the likeliest to be old: a slot keeps its key, and free ones are filled in order. */
	for (uint32_t position = 0; position < chain_slots(chain); position++)
		if (slot_is_object(chain->words[position]) && empty_slot(chain, position)) {
			index_count_displaced(arena, 1);
			return;
		}
}

struct bucket *index_claim_overflow(const struct arena *arena, uint32_t segment, uint32_t home, uint32_t level,
                                    uint64_t *ret_link)
{
	uint64_t owner = (uint64_t)level << 32 | (home + 1);
	uint64_t mixed = owner * UINT64_C(0x9e3779b97f4a7c15);
	/* Double hashing: the number of places is a power of two, so any odd step comes to all of them. */
	uint32_t start = (uint32_t)(mixed >> 32), step = (uint32_t)(mixed >> 8) | 1;

	for (uint32_t probe = 0; probe < CLAIM_PROBES && probe < arena->overflows; probe++) {
		uint32_t number = arena->homes + ((start + probe * step) & (arena->overflows - 1));
		struct bucket *bucket = &index_buckets(arena, segment)[number];
		uint64_t current = load_relaxed(&bucket->control);

		/* Nothing is published by a claim: what the bucket holds is, by the link to it. */
		if (current == 0 && cas_relaxed(&bucket->control, &current, owner)) {
			failpoint("overflow.claimed");
			fetch_add_relaxed(&arena->table[segment].overflow_used, 1);
			current = owner;
		}
		if (current == owner) {
			*ret_link = SLOT_LINK | number;
			return bucket;
		}
	}
	return NULL;
}

void index_seal(struct bucket *bucket)
{
	for (int i = 0; i < BUCKET_SLOTS; i++) {
		uint64_t never_used = 0;

		cas_relaxed(&bucket->slots[i], &never_used, empty_pack(1, 0));
		failpoint("overflow.slot_sealed");
	}
}

/* Gives a chain of full buckets one more. */
static enum index_result extend(const struct arena *arena, const struct index_chain *chain)
{
	atomic_u64 *last = index_slot_at(chain, chain_slots(chain) - 1);
	struct bucket *overflow;
	uint64_t link;

	if (chain->buckets == CHAIN_BUCKETS || index_keeps_room(arena, chain))
		return INDEX_FULL;
	overflow = index_claim_overflow(arena, chain->segment, chain->home, chain->buckets, &link);
	if (!overflow) {
		store_relaxed(&arena->table[chain->segment].overflow_used,
		              arena->overflows); /* so that the keeper sees it */
		return INDEX_FULL;
	}
	index_seal(overflow);
	for (int attempt = 0; attempt < INDEX_ATTEMPTS; attempt++) {
		uint64_t mirrored = load_acquire(&overflow->slots[0]); /* A1 <- R1; before the slot it mirrors */
		uint64_t moving = load_relaxed(last); /* the compare-and-swap that makes the link acquires it */

		/* Linked by another, emptied, or frozen: in each case the chain is no longer as it was read. */
		if (!slot_is_object(moving) || moving & SLOT_FROZEN)
			return INDEX_AGAIN;
		/* R1 -> A1: the object comes along. */
		if (mirrored != moving && !cas_acq_rel(&overflow->slots[0], &mirrored, moving))
			continue;
		failpoint("overflow.mirrored");
		/* R19 -> A19: who follows the link must find the object in the first slot. */
		if (cas_acq_rel(last, &moving, link)) {
			failpoint("overflow.linked");
			return INDEX_LONGER;
		}
	}
	return INDEX_AGAIN;
}

/* The sequence that follows, but neither 0 (never used) nor the one the slot was emptied under. */
static uint64_t next_sequence(uint64_t control, uint64_t empty_word)
{
	uint64_t next = control_sequence(control);

	do
		next = (next + 1) & SEQUENCE_MASK;
	while (next == 0 || next == empty_sequence(empty_word));
	return next;
}

enum index_result index_insert(struct epoch_reader *reader, const struct arena *arena, const struct index_chain *chain,
                               uint32_t generation, uint64_t offset)
{
	uint64_t expected = chain->control;
	uint64_t word, control;
	uint32_t position = 0;

	/* Nothing is added to what is to be moved. Where it cannot be moved, the table says what cannot be, or not yet all. */
	if (load_relaxed(&arena->table[chain->segment].children) != 0 &&
	    split_bucket_pinned(reader, arena, chain->segment, chain->home))
		return INDEX_AGAIN;
	while (position < chain_slots(chain) && !slot_is_empty(chain->words[position]))
		position++;
	if (position == chain_slots(chain))
		return extend(arena, chain);
	word = chain->words[position];
	control = next_sequence(chain->control, word) << CONTROL_SEQUENCE_SHIFT |
	          (uint64_t)position << CONTROL_TARGET_SHIFT | offset / OBJECT_UNIT;
	/* R2 -> A2: who finds the intent must find the object complete. */
	if (!cas_acq_rel(&chain->bucket[0]->control, &expected, control))
		return INDEX_AGAIN;
	failpoint("publish.intent_set");
	complete(arena, chain->segment, chain->home, control, slot_pack(chain->hash, generation, offset));
	return INDEX_DONE;
}

bool index_find_object(const struct arena *arena, const struct object_view *object, uint32_t generation,
                       struct index_chain *ret_chain)
{
	uint64_t hash = hash_key(arena->secret, object->key, object->key_size);
	uint64_t word = slot_pack(hash, generation, object->offset);

	/* An object is referred to by one slot at the most; an intent that names it is completed by index_find. */
	if (!index_find(arena, hash, object->key, object->key_size, ret_chain))
		return false;
	for (uint32_t position = 0; position < chain_slots(ret_chain); position++)
		if (slot_with_heat(ret_chain->words[position], 0) == word) {
			ret_chain->found = (int32_t)position;
			ret_chain->object = *object;
			return true;
		}
	return false;
}

bool index_unlink(const struct arena *arena, const struct object_view *object, uint32_t generation)
{
	struct index_chain chain;

	for (int attempt = 0; attempt < INDEX_ATTEMPTS; attempt++) {
		if (!index_find_object(arena, object, generation, &chain))
			return false;
		if (empty_slot(&chain, (uint32_t)chain.found))
			return true;
	}
	return false;
}
