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
#include "epoch/epoch.h"
#include "object/object.h"

/* ---- slot words -------------------------------------------------------------------------------------------------- */

/* mark: the bits above everything else, slot_mark in its place. */
static inline uint64_t slot_pack_marked(uint64_t mark, uint32_t generation, uint64_t offset)
{
	return mark | (generation & SLOT_GENERATION_MASK) << SLOT_GENERATION_SHIFT | offset / OBJECT_UNIT;
}

static inline uint64_t slot_pack(uint64_t hash, uint32_t generation, uint64_t offset)
{
	return slot_pack_marked(SLOT_OBJECT | hash_tag(hash) << SLOT_TAG_SHIFT, generation, offset);
}

/* What stands above everything else in the word of an object with a key of this hash: 1, and the tag. */
static inline uint32_t slot_mark(uint64_t hash)
{
	return (uint32_t)(SLOT_OBJECT >> SLOT_TAG_SHIFT | hash_tag(hash));
}

static inline bool slot_matches(uint64_t word, uint64_t hash)
{
	return word >> SLOT_TAG_SHIFT == slot_mark(hash);
}

static inline uint64_t slot_offset(uint64_t word)
{
	_Static_assert(SLOT_OFFSET_MASK == UINT64_MAX >> 28 && OBJECT_UNIT == 8, "two shifts need no constant");
	return word << 28 >> 25;
}

static inline uint32_t slot_heat(uint64_t word)
{
	return (uint32_t)((word & SLOT_HEAT_MASK) >> SLOT_HEAT_SHIFT);
}

static inline uint64_t slot_with_heat(uint64_t word, uint32_t heat)
{
	return (word & ~SLOT_HEAT_MASK) | (uint64_t)heat << SLOT_HEAT_SHIFT;
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

/*
 * Puts the object at a byte offset in the place of the one, of the same key, whose word was read in a slot. Nothing else has to be as it was: no key
 * comes to the chain by it, and the word proves that the old object was still in place. False: it was not.
 */
static inline bool slot_replace(atomic_u64 *slot, uint64_t word, uint32_t generation, uint64_t offset, uint32_t heat)
{
	uint64_t mark = word >> SLOT_TAG_SHIFT << SLOT_TAG_SHIFT; /* of the same hash */
	uint64_t new_word = slot_pack_marked(mark, generation, offset) | (uint64_t)heat << SLOT_HEAT_SHIFT;

	/* R1 -> A1: a reader that finds the slot must find the object complete. */
	if (!cas_acq_rel(slot, &word, new_word))
		return false;
	failpoint("publish.replaced");
	return true;
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

/*
 * The child of a split segment that holds the keys of a hash, or segment_count when there is none. It was published before the
 * bucket was moved, or an entry of the directory led there: whoever asks has seen one of these with acquire.
 */
static inline uint32_t index_child(const struct arena *arena, uint32_t segment, uint64_t hash)
{
	uint64_t children = load_relaxed(&arena->table[segment].children);
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

static inline uint32_t directory_entry(const atomic_u32 *directory, uint32_t shift, uint64_t hash)
{
	return load_acquire(&directory[hash >> shift]); /* A11 <- R11 */
}

static inline uint32_t index_segment(const struct arena *arena, uint64_t hash)
{
	return directory_entry(arena->directory, arena->directory_shift, hash);
}

/*
 * The home bucket of a hash, past any finished split; NULL in a scribbled arena. Wait-free: each segment on the way was made after the one
 * before, and none of them is used again while the section lasts; so however often the bucket moved since the directory was read,
 * they are no more than there are.
 */
static inline struct bucket *index_home(const struct arena *arena, uint64_t hash, uint32_t *ret_segment)
{
	uint32_t home = hash_home(hash, arena->homes);
	uint32_t segment = index_segment(arena, hash);

	for (uint32_t steps = 0; segment < arena->segment_count && steps < arena->segment_count; steps++) {
		struct bucket *bucket = &index_buckets(arena, segment)[home];

		if (!(load_acquire(&bucket->control) & CONTROL_MOVED)) { /* A18 <- R18 */
			*ret_segment = segment;
			return bucket;
		}
		segment = index_child(arena, segment, hash);
	}
	return NULL;
}

/* ---- lookup ------------------------------------------------------------------------------------------------------ */

/* Looks at the object of a slot word and compares its key. */
static inline __attribute__((always_inline)) bool index_compare(const struct arena *arena, uint64_t word,
                                                                const void *key, size_t key_size,
                                                                struct object_view *ret_view)
{
	return object_find(arena, slot_offset(word), key, key_size, ret_view);
}

/*
 * The slots of a bucket whose tag matches, as bits: bit 3 for the first slot, then every other one. Without a branch: which slot a key is in cannot be
 * predicted, and a wrong guess would be found out only when the bucket's line has come from memory, which would keep the
 * processor from overlapping one lookup with the next. It is a hint: whoever acts on a bit reads the slot's word.
 *
 * With SSE2, which every x86-64 has, the upper halves of all eight words are compared at once.
 */
static inline __attribute__((always_inline)) uint32_t bucket_matches(const struct bucket *bucket, uint64_t hash)
{
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
	const __m128i *line = (const __m128i *)(const void *)bucket;
	const __m128i tag = _mm_set1_epi16((short)slot_mark(hash));
	enum { ODD = _MM_SHUFFLE(3, 1, 3, 1), OF_SLOTS = 0xaaa8 }; /* the lowest two bits are of the control word */
	__m128i low, high;

	low = _mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(line[0]), _mm_castsi128_ps(line[1]), ODD));
	high = _mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(line[2]), _mm_castsi128_ps(line[3]), ODD));
	low = _mm_srli_epi32(low, SLOT_TAG_SHIFT - 32);
	high = _mm_srli_epi32(high, SLOT_TAG_SHIFT - 32);
	low = _mm_cmpeq_epi16(_mm_packs_epi32(low, high), tag);
	return (uint32_t)_mm_movemask_epi8(low) & OF_SLOTS;
#else
	uint32_t matches = 0;

	for (uint32_t i = 0; i < BUCKET_SLOTS; i++)
		matches |= (uint32_t)slot_matches(load_relaxed(&bucket->slots[i]), hash) << (2 * i + 3);
	return matches;
#endif
}

/* Whether what was in a bucket is in a child; a hint, as bucket_matches. */
static inline __attribute__((always_inline)) bool bucket_moved(const struct bucket *bucket)
{
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
	_Static_assert(CONTROL_MOVED >> 40 && CONTROL_MOVED >> 40 <= UINT8_MAX,
	               "it is in the sixth byte, which one instruction looks at where it lies");

	return ((const unsigned char *)&bucket->control)[5] & CONTROL_MOVED >> 40;
#else
	return load_relaxed(&bucket->control) & CONTROL_MOVED;
#endif
}

/* The first slot that matches, of one at least. */
static inline __attribute__((always_inline)) atomic_u64 *bucket_match(struct bucket *bucket, uint32_t matches)
{
	_Static_assert(offsetof(struct bucket, slots) == 8 && sizeof(atomic_u64) == 8,
	               "two bits of matches are a word");
	return (atomic_u64 *)(void *)((unsigned char *)bucket - 4 + 4 * (uint64_t)(uint32_t)__builtin_ctz(matches));
}

/*
 * Finds a key wherever it may be: the word of its slot, or 0. Wait-free: looks at no more than CHAIN_SLOTS slots, and
 * writes nothing.
 */
uint64_t index_search(const struct arena *arena, uint64_t hash, const void *key, size_t key_size);

/*
 * The slot of the chain of a hash that refers to the object of a word, and the index segment it is in; NULL: none does. The word becomes what
 * is in the slot now: another heat, or frozen.
 */
atomic_u64 *index_locate(const struct arena *arena, uint64_t hash, uint64_t *word, uint32_t *ret_segment);

/* Where a key probably is, if in this bucket; as index_guess. */
static inline __attribute__((always_inline)) uint64_t bucket_guess(struct bucket *bucket, uint32_t matches)
{
	uint64_t word;

	if (__builtin_expect(matches == 0, 0)) {
		word = load_relaxed(&bucket->slots[BUCKET_SLOTS - 1]); /* of a link only that there is one */
		return slot_is_link(word) ? word : 0;
	}
	/*
	 * Meanwhile the slot may have got another object, and so even one with another tag: then the key was not in it all the time,
	 * and comparing it shows that.
	 */
	word = load_acquire(bucket_match(bucket, matches)); /* A1 <- R1 */
	return __builtin_expect(slot_is_object(word), 1) ? word : SLOT_LINK;
}

/*
 * Where a key probably is: the word of a slot with an object; 0: it is not there; a link: in another bucket, which index_search
 * finds. Nearly always a key is in its home bucket and in the only slot there that has its tag, or there is none such and no
 * overflow bucket.
 */
static inline __attribute__((always_inline)) uint64_t index_guess_near(const struct arena_near *near, uint64_t hash)
{
	const atomic_u32 *directory = (const atomic_u32 *)(const void *)(near->base + DIRECTORY_OFFSET);
	uint64_t offset = (uint64_t)directory_entry(directory, near->directory_shift, hash) << near->segment_shift;
	struct bucket *bucket;
	uint32_t matches;

	if (__builtin_expect(offset >= near->bytes, 0))
		return SLOT_LINK;
	bucket = (struct bucket *)(void *)(near->base + offset) + hash_home(hash, near->homes);
	matches = bucket_matches(bucket, hash);
	/*
	 * Who goes to a child reads this word again, with acquire. Else it does not matter which is read first, this or the slots: a bucket
	 * that has moved keeps its words, so what is not in it was in neither bucket at some moment in between.
	 */
	if (__builtin_expect(bucket_moved(bucket), 0))
		return SLOT_LINK;
	return bucket_guess(bucket, matches);
}

static inline __attribute__((always_inline)) uint64_t index_guess(const struct arena *arena, uint64_t hash)
{
	const struct arena_near near = arena_near(arena);

	return index_guess_near(&near, hash);
}

/*
 * The overflow bucket that a guess names, or NULL when the chain has changed. In a segment that the directory names only now, the bucket may be
 * claimed and not be linked yet; what it holds then nobody may believe.
 */
static inline struct bucket *index_guessed_bucket(const struct arena *arena, uint64_t hash, uint64_t guess)
{
	uint32_t segment = index_segment(arena, hash);
	struct bucket *bucket;

	if (segment >= arena->segment_count)
		return NULL;
	bucket = &index_buckets(arena, segment)[hash_home(hash, arena->homes)];
	if (load_acquire(&bucket->slots[BUCKET_SLOTS - 1]) != guess) /* A19 <- R19 */
		return NULL;
	return index_linked(arena, segment, guess);
}

/*
 * Finds a key, beginning with what was guessed in the same section, and looks at its object. The word becomes the one that led
 * to it.
 */
static inline __attribute__((always_inline)) bool index_confirm(const struct arena *arena, uint64_t *word,
                                                                uint64_t hash, const void *key, size_t key_size,
                                                                struct object_view *ret_view)
{
	if (*word == 0)
		return false;
	if (slot_is_object(*word) && __builtin_expect(index_compare(arena, *word, key, key_size, ret_view), 1))
		return true;
	*word = index_search(arena, hash, key, key_size);
	return *word != 0 && index_compare(arena, *word, key, key_size, ret_view);
}

/* Finds a key. Wait-free, as index_search is. */
static inline bool index_lookup(const struct arena *arena, uint64_t hash, const void *key, size_t key_size,
                                struct object_view *ret_view)
{
	uint64_t word = index_guess(arena, hash);

	return index_confirm(arena, &word, hash, key, key_size, ret_view);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/*
 * Who fails to change a word fails because somebody else changed it, so that all together make progress; and nobody fails so often in a
 * row but where words are overwritten by one who does not keep to the protocol.
 */
#define INDEX_ATTEMPTS 10000

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
 * Reads the chain of a key and finds the key in it, having completed whatever others left pending. The segment of the chain stays
 * pinned (INDEX_PIN_SEGMENT): whoever changes the chain does so before taking the pin away. False: the section was
 * revoked; or the arena is scribbled on, and there is no chain or not one that can be written to.
 */
bool index_find_pinned(struct epoch_reader *reader, const struct arena *arena, uint64_t hash, const void *key,
                       size_t key_size, struct index_chain *ret_chain);

/* The same for the keeper, from which nothing has to be held. */
bool index_find(const struct arena *arena, uint64_t hash, const void *key, size_t key_size,
                struct index_chain *ret_chain);

/* Puts the object at a byte offset in the place of the one that was found. heat: what is known of the key's use. */
enum index_result index_replace(const struct index_chain *chain, uint32_t generation, uint64_t offset, uint32_t heat);

/* Empties the slot of the one that was found. */
enum index_result index_remove(const struct index_chain *chain);

/*
 * Adds an object whose key was not found. The caller has made sure, after index_find, that its section was not revoked
 * (epoch_valid): the control word tells whether a key came to the chain, but not whether the keys that were compared were still
 * the real ones. Replacing and removing need no such check: their slot word proves that the object was still in place.
 * reader: whose section it is; NULL for the keeper.
 */
enum index_result index_insert(struct epoch_reader *reader, const struct arena *arena, const struct index_chain *chain,
                               uint32_t generation, uint64_t offset);

/*
 * Makes room in a chain for which there can be no growth, by emptying one slot of another key. Bounded chains keep every
 * operation bounded even if somebody finds many keys of one hash; this is its price, paid in hit ratio.
 */
void index_displace(const struct arena *arena, const struct index_chain *chain);

/* Counts keys that there was no slot for. */
static inline void index_count_displaced(const struct arena *arena, uint32_t keys)
{
	if (keys)
		fetch_add_relaxed(&arena->header->displaced_objects, keys);
}

/*
 * Finds the slot that refers to an object, not merely to its key. False: none does, and none will, if nobody can publish it
 * any more: it is one of a condemned segment without writers.
 */
bool index_find_object(const struct arena *arena, const struct object_view *object, uint32_t generation,
                       struct index_chain *ret_chain);

/* Makes sure that nothing refers to such an object any more. Return: whether something did. */
bool index_unlink(const struct arena *arena, const struct object_view *object, uint32_t generation);

/* Has the processor fetch the bucket that an object's key is in, or would be. Return: the key's hash. */
static inline uint64_t index_fetch(const struct arena *arena, const struct object_view *object)
{
	uint64_t hash = hash_key(arena->secret, object->key, object->key_size);
	uint32_t segment = index_segment(arena, hash);

	if (segment < arena->segment_count)
		__builtin_prefetch(&index_buckets(arena, segment)[hash_home(hash, arena->homes)]);
	return hash;
}

/* Whether so many overflow buckets are in use that the segment should be split soon. */
static inline bool index_crowded(const struct arena *arena, uint32_t segment)
{
	return load_relaxed(&arena->table[segment].overflow_used) > arena->overflows / 4 * 3;
}

/* Whether a chain is in a child that keeps what overflow buckets it has for what its parent still has. split.c tells why. */
static inline bool index_keeps_room(const struct arena *arena, const struct index_chain *chain)
{
	return load_relaxed(&arena->table[chain->segment].overflow_used) > arena->overflows / 2 &&
	       index_segment(arena, chain->hash) != chain->segment;
}

/* Whether a chain that was full will have room when the keeper has done its part. */
static inline bool index_will_grow(const struct arena *arena, const struct index_chain *chain)
{
	/* One long chain in a segment that is not full is no reason to grow, and one as deep as the directory cannot be split. */
	return index_keeps_room(arena, chain) ||
	       (index_crowded(arena, chain->segment) &&
	        load_relaxed(&arena->table[chain->segment].depth) < arena->directory_bits);
}

/* Completes the pending intent of a bucket, if it has one; control is what was read of it. */
void index_help(const struct arena *arena, uint32_t segment, uint32_t home, uint64_t control);

/* The slot at a position of a chain that was read. */
static inline atomic_u64 *index_slot_at(const struct index_chain *chain, uint32_t position)
{
	return &chain->bucket[position / BUCKET_SLOTS]->slots[position % BUCKET_SLOTS];
}

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
