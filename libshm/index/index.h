/* SPDX-License-Identifier: MIT */
/*
 * The index: an extendible hash table in shared memory. The highest bits of a key's hash choose an entry of the directory,
 * that names an index segment; the next bits choose a home bucket in it; a bucket is one cache line of a control word and
 * seven slot words. A full bucket continues in overflow buckets of its own, at most CHAIN_BUCKETS - 1 of them.
 * index.c explains the writers' protocol, split.c growth.
 *
 * All functions are called inside an epoch section (the keeper, which alone frees memory, needs none).
 */
#ifndef LARDER_INDEX_INDEX_H
#define LARDER_INDEX_INDEX_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/hash.h"
#include "object/object.h"

/* ---- slot words -------------------------------------------------------------------------------------------------- */

#define SLOT_MATCH_MASK (SLOT_OBJECT | SLOT_TAG_MASK << SLOT_TAG_SHIFT)

static inline uint64_t slot_pack(uint64_t hash, uint32_t generation, uint64_t offset)
{
	return SLOT_OBJECT | hash_tag(hash) << SLOT_TAG_SHIFT |
	       (generation & SLOT_GENERATION_MASK) << SLOT_GENERATION_SHIFT | offset / OBJECT_UNIT;
}

static inline uint64_t slot_match(uint64_t hash)
{
	return SLOT_OBJECT | hash_tag(hash) << SLOT_TAG_SHIFT;
}

static inline uint64_t slot_offset(uint64_t word)
{
	return (word & SLOT_OFFSET_MASK) * OBJECT_UNIT;
}

static inline uint32_t slot_generation(uint64_t word)
{
	return (uint32_t)(word >> SLOT_GENERATION_SHIFT & SLOT_GENERATION_MASK);
}

static inline bool slot_is_object(uint64_t word)
{
	return word & SLOT_OBJECT;
}

static inline bool slot_is_link(uint64_t word)
{
	return (word & (SLOT_OBJECT | SLOT_LINK)) == SLOT_LINK;
}

static inline bool slot_is_empty(uint64_t word)
{
	return !(word & (SLOT_OBJECT | SLOT_LINK));
}

/* ---- finding buckets --------------------------------------------------------------------------------------------- */

static inline struct bucket *index_buckets(const struct arena *arena, uint32_t segment)
{
	return (struct bucket *)(void *)segment_base(arena, segment);
}

/* The overflow bucket that a link names, or NULL when it names none (a scribbled word). */
static inline struct bucket *index_linked(const struct arena *arena, uint32_t segment, uint64_t link)
{
	uint64_t bucket = link & SLOT_OFFSET_MASK;

	if (bucket < arena->homes || bucket >= (uint64_t)arena->homes + arena->overflows)
		return NULL;
	return &index_buckets(arena, segment)[bucket];
}

/* The child of a split segment that holds the keys of a hash, or segment_count when there is none. */
static inline uint32_t index_child(const struct arena *arena, uint32_t segment, uint64_t hash)
{
	uint64_t children = load_acquire(&arena->table[segment].children); /* A12 <- R12 */
	uint32_t depth = load_relaxed(&arena->table[segment].depth);
	uint32_t child;

	if (children == 0)
		return arena->segment_count;
	if ((uint32_t)children == children >> 32) /* not split, but built anew */
		depth = 0;
	if (depth >= arena->directory_bits)
		return arena->segment_count;
	child = hash >> (63 - depth) & 1 ? (uint32_t)(children >> 32) : (uint32_t)children;
	return child < arena->segment_count ? child : arena->segment_count;
}

static inline uint32_t index_segment(const struct arena *arena, uint64_t hash)
{
	/* A11 <- R11 */
	return load_acquire(&arena->directory[hash_directory(hash, arena->directory_bits)]);
}

/* ---- lookup ------------------------------------------------------------------------------------------------------ */

/* Looks at the object of a slot word and compares its key. */
static inline __attribute__((always_inline)) bool index_compare(const struct arena *arena, uint64_t word,
                                                                const void *key, size_t key_size,
                                                                struct object_view *ret_view)
{
	return object_parse(arena, slot_offset(word), ret_view) && object_has_key(ret_view, key, key_size);
}

/* The home bucket of a hash, past any finished split; NULL in a scribbled arena. Wait-free: bounded by the depth. */
static inline __attribute__((always_inline)) struct bucket *index_home(const struct arena *arena, uint64_t hash,
                                                                       uint32_t *ret_segment)
{
	uint32_t home = hash_home(hash, arena->homes);
	uint32_t segment = index_segment(arena, hash);

	for (uint32_t steps = 0; segment < arena->segment_count && steps <= DIRECTORY_BITS_MAX; steps++) {
		struct bucket *bucket = &index_buckets(arena, segment)[home];

		if (__builtin_expect(!(load_acquire(&bucket->control) & CONTROL_MOVED), 1)) { /* A18 <- R18 */
			*ret_segment = segment;
			return bucket;
		}
		segment = index_child(arena, segment, hash);
	}
	return NULL;
}

/*
 * Reads the slots of a bucket and returns a bit for each whose tag matches. Without a branch: which slot a key is in
 * cannot be predicted, and a wrong guess would be found out only when the bucket's line has come from memory, which would
 * keep the processor from overlapping one lookup with the next.
 *
 * With SSE2, which every x86-64 has, the upper halves of all eight words are compared at once. The order in which the slots
 * of one bucket are read does not matter to index_lookup, only that links are followed afterwards, and each 8-byte
 * word is read whole; x86 does not reorder loads with other loads.
 */
static inline __attribute__((always_inline)) uint32_t bucket_match(const struct bucket *bucket, uint64_t match,
                                                                   uint64_t words[BUCKET_SLOTS + 1])
{
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
	const __m128i mask = _mm_set1_epi32((int)(SLOT_MATCH_MASK >> 32));
	const __m128i tag = _mm_set1_epi32((int)(match >> 32));
	/* volatile: each word is loaded once, and not before the bucket was found. */
	const volatile __m128i *line = (const volatile __m128i *)(const void *)bucket;
	__m128i a, b, c, d, low, high;

	compiler_barrier();
	a = line[0]; /* A1 <- R1; A19 <- R19 */
	b = line[1];
	c = line[2];
	d = line[3];
	compiler_barrier();
	_mm_storeu_si128((__m128i *)(void *)words, a);
	_mm_storeu_si128((__m128i *)(void *)(words + 2), b);
	_mm_storeu_si128((__m128i *)(void *)(words + 4), c);
	_mm_storeu_si128((__m128i *)(void *)(words + 6), d);
	low = _mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(a), _mm_castsi128_ps(b), 0xdd));
	high = _mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(c), _mm_castsi128_ps(d), 0xdd));
	low = _mm_cmpeq_epi32(_mm_and_si128(low, mask), tag);
	high = _mm_cmpeq_epi32(_mm_and_si128(high, mask), tag);
	/* A bit for each word; the control word's is not one of a slot. */
	return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(_mm_packs_epi32(low, high), _mm_setzero_si128())) & 0xfeu;
#else
	uint32_t matches = 0;

	for (uint32_t i = 0; i < BUCKET_SLOTS; i++) {
		words[i + 1] = load_acquire(&bucket->slots[i]); /* A1 <- R1; A19 <- R19 */
		matches |= (uint32_t)((words[i + 1] & SLOT_MATCH_MASK) == match) << (i + 1);
	}
	return matches;
#endif
}

/*
 * Finds a key. Wait-free: looks at no more than CHAIN_SLOTS slots, and writes nothing. A full bucket's last object moves
 * only forward, into the overflow bucket that replaces it, so a key that is there throughout is never missed.
 */
static inline __attribute__((always_inline)) bool index_lookup(const struct arena *arena, uint64_t hash,
                                                               const void *key, size_t key_size,
                                                               struct object_view *ret_view)
{
	uint64_t match = slot_match(hash);
	uint64_t words[BUCKET_SLOTS + 1]; /* of the bucket, the control word first */
	uint32_t segment;
	struct bucket *bucket = index_home(arena, hash, &segment);

	for (int level = 0; bucket && level < CHAIN_BUCKETS; level++) {
		for (uint32_t matches = bucket_match(bucket, match, words); matches; matches &= matches - 1)
			if (index_compare(arena, words[__builtin_ctz(matches)], key, key_size, ret_view))
				return true;
		if (!slot_is_link(words[BUCKET_SLOTS]))
			return false;
		bucket = index_linked(arena, segment, words[BUCKET_SLOTS]);
	}
	return false;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/*
 * What a writer saw of the chain in which a key belongs. The words are the ones it decided by: each change is a
 * compare-and-swap against them.
 */
struct index_chain {
	uint64_t hash;
	uint32_t segment, home;
	uint64_t control;
	uint32_t buckets; /* in the chain */
	bool damaged;     /* a link is where none can be, or leads nowhere: somebody wrote over the arena */
	struct bucket *bucket[CHAIN_BUCKETS];
	uint64_t words[CHAIN_SLOTS]; /* BUCKET_SLOTS for each bucket */
	/* Where the key was found: */
	int32_t found; /* position in words; -1: nowhere */
	struct object_view object;
};

/* What a change came to. */
enum index_result {
	INDEX_DONE,
	INDEX_AGAIN,  /* somebody was faster: find the key again */
	INDEX_LONGER, /* the chain got one more bucket: find the key again; the segment may want to be split */
	INDEX_FULL    /* the chain has no room for one more key: growth is needed */
};

/*
 * Reads the chain of a key and finds the key in it, having completed whatever others left pending. False: the arena is
 * scribbled on, and there is no chain or not one that can be written to.
 */
bool index_find(const struct arena *arena, uint64_t hash, const void *key, size_t key_size,
                struct index_chain *ret_chain);

/* Puts the object at a byte offset in the place of the one that was found. */
enum index_result index_replace(const struct index_chain *chain, uint32_t generation, uint64_t offset);

/* Empties the slot of the one that was found. */
enum index_result index_remove(const struct index_chain *chain);

/*
 * Adds an object whose key was not found. The caller has made sure, after index_find, that its section was not revoked
 * (epoch_valid): the control word tells whether a key came to the chain, but not whether the keys that were compared were still
 * the real ones. Replacing and removing need no such check: their slot word proves that the object was still in place.
 */
enum index_result index_insert(const struct arena *arena, const struct index_chain *chain, uint32_t generation,
                               uint64_t offset);

/*
 * Makes room in a chain for which there can be no growth, by emptying one slot of another key. Bounded chains keep every
 * operation bounded even if somebody finds many keys of one hash; this is its price, paid in hit ratio.
 */
void index_displace(const struct index_chain *chain);

/*
 * Keeper: makes sure that nothing refers to an object any more. The object is one of a condemned segment without writers.
 */
void index_unlink(const struct arena *arena, const struct object_view *object, uint32_t generation);

/* Whether so many overflow buckets are in use that the segment should be split soon. */
static inline bool index_crowded(const struct arena *arena, uint32_t segment)
{
	return load_relaxed(&arena->table[segment].overflow_used) > arena->overflows / 4 * 3;
}

/* Completes the pending intent of a bucket, if it has one; control is what was read of it. */
void index_help(const struct arena *arena, uint32_t segment, uint32_t home, uint64_t control);

/* Reads the words of a chain, without helping. False: frozen in whole or in part. */
bool index_read_chain(const struct arena *arena, uint32_t segment, uint32_t home, struct index_chain *ret_chain);

/*
 * The overflow bucket of a home at a level (1...), claimed for it if need be; NULL: there is none to be had. However many
 * writers ask at once or die, all get the same one.
 */
struct bucket *index_claim_overflow(const struct arena *arena, uint32_t segment, uint32_t home, uint32_t level,
                                    uint64_t *ret_link);

/* Turns every never-used slot of an overflow bucket that is not linked yet into an empty one. */
void index_seal(struct bucket *bucket);

#endif
