/* SPDX-License-Identifier: MIT */
/*
 * The hash of keys: XXH3, 64 bits, with the arena's random secret, so that who can choose keys cannot choose where they go.
 * Its bits are used apart: the lowest 9 are the tag in the slot word, the next 32 choose the home bucket, the highest
 * ones are the index of the directory.
 */
#ifndef LARDER_BASE_HASH_H
#define LARDER_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/layout.h"

/* XXH3 of a short key, written out: it is a third of the instructions of the general function. */
#define HASH_SHORT_MIN 17
#define HASH_SHORT_MAX 32

static inline bool hash_is_short(size_t size)
{
	return size >= HASH_SHORT_MIN && size <= HASH_SHORT_MAX;
}

/*
 * A short key, held in registers: its first 16 bytes and its last 16, which overlap. So a lookup loads them once, to hash them and to compare them.
 */
#ifdef __SSE2__
struct short_key {
	__m128i first, last;
};

static inline __attribute__((always_inline)) struct short_key short_key_load(const void *key, size_t size)
{
	const unsigned char *bytes = key;

	return (struct short_key){ _mm_loadu_si128((const __m128i *)(const void *)bytes),
		                   _mm_loadu_si128((const __m128i *)(const void *)(bytes + size - 16)) };
}

static inline __attribute__((always_inline)) bool short_key_equal(struct short_key key, const unsigned char *bytes,
                                                                  size_t size)
{
	struct short_key other = short_key_load(bytes, size);
	__m128i first = _mm_cmpeq_epi8(key.first, other.first), last = _mm_cmpeq_epi8(key.last, other.last);

	return _mm_movemask_epi8(_mm_and_si128(first, last)) == 0xffff;
}

/* 16 bytes of key and of secret, multiplied and folded. */
static inline __attribute__((always_inline)) uint64_t short_key_mix(__m128i key, const uint8_t *secret)
{
	__extension__ typedef unsigned __int128 u128;
	__m128i mixed = _mm_xor_si128(key, _mm_loadu_si128((const __m128i *)(const void *)secret));
	/*
	 * Not _mm_unpackhi_epi64: gcc makes a movhlps of it, which waits for what its other register held before. That may be a piece of
	 * a value that has not come from memory yet, and then no lookup overlaps the one before.
	 */
	u128 product = (u128)(uint64_t)_mm_cvtsi128_si64(mixed) *
	               (uint64_t)_mm_cvtsi128_si64(_mm_shuffle_epi32(mixed, _MM_SHUFFLE(3, 2, 3, 2)));

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}
#else
struct short_key {
	uint64_t first[2], last[2];
};

static inline struct short_key short_key_load(const void *key, size_t size)
{
	const unsigned char *bytes = key;
	struct short_key loaded;

	memcpy(loaded.first, bytes, sizeof loaded.first);
	memcpy(loaded.last, bytes + size - 16, sizeof loaded.last);
	return loaded;
}

static inline bool short_key_equal(struct short_key key, const unsigned char *bytes, size_t size)
{
	struct short_key other = short_key_load(bytes, size);

	return ((key.first[0] ^ other.first[0]) | (key.first[1] ^ other.first[1]) | (key.last[0] ^ other.last[0]) |
	        (key.last[1] ^ other.last[1])) == 0;
}

static inline uint64_t short_key_mix(const uint64_t key[2], const uint8_t *secret)
{
	__extension__ typedef unsigned __int128 u128;
	uint64_t word[2];
	u128 product;

	memcpy(word, secret, sizeof word);
	product = (u128)(word[0] ^ key[0]) * (word[1] ^ key[1]);
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}
#endif

#define SHORT_SECRET_BYTES 32 /* so many of the secret are for short keys */

static inline __attribute__((always_inline)) uint64_t hash_short_key(const uint8_t secret[SHORT_SECRET_BYTES],
                                                                     struct short_key key, size_t size)
{
	uint64_t hash = size * XXH_PRIME64_1 + short_key_mix(key.first, secret) + short_key_mix(key.last, secret + 16);

	hash = (hash ^ hash >> 37) * UINT64_C(0x165667919e3779f9);
	return hash ^ hash >> 32;
}

static inline uint64_t hash_key(const uint8_t secret[SECRET_BYTES], const void *key, size_t size)
{
	return __builtin_expect(hash_is_short(size), 1) ? hash_short_key(secret, short_key_load(key, size), size)
	                                                : XXH3_64bits_withSecret(key, size, secret, SECRET_BYTES);
}

static inline uint64_t hash_tag(uint64_t hash)
{
	return hash & SLOT_TAG_MASK;
}

static inline uint32_t hash_home(uint64_t hash, uint32_t homes)
{
	return (uint32_t)((hash >> 9 & UINT32_MAX) * homes >> 32);
}

static inline uint32_t hash_directory(uint64_t hash, uint32_t directory_bits)
{
	return (uint32_t)(hash >> (64 - directory_bits));
}

#endif
