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

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/layout.h"

/* 16 bytes of key and of secret, multiplied and folded. */
static inline uint64_t hash_mix(const uint8_t *secret, const unsigned char *bytes)
{
	__extension__ typedef unsigned __int128 u128;
	uint64_t word[2], key[2];
	u128 product;

	memcpy(word, bytes, sizeof word);
	memcpy(key, secret, sizeof key);
	product = (u128)(word[0] ^ key[0]) * (word[1] ^ key[1]);
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* XXH3 of a short key, written out: it is a third of the instructions of the general function. */
#define HASH_SHORT_MIN 17
#define HASH_SHORT_MAX 32

static inline bool hash_is_short(size_t size)
{
	return size >= HASH_SHORT_MIN && size <= HASH_SHORT_MAX;
}

static inline uint64_t hash_short_key(const uint8_t secret[SECRET_BYTES], const void *key, size_t size)
{
	const unsigned char *bytes = key;
	uint64_t hash = size * XXH_PRIME64_1 + hash_mix(secret, bytes) + hash_mix(secret + 16, bytes + size - 16);

	hash = (hash ^ hash >> 37) * UINT64_C(0x165667919e3779f9);
	return hash ^ hash >> 32;
}

static inline uint64_t hash_key(const uint8_t secret[SECRET_BYTES], const void *key, size_t size)
{
	return __builtin_expect(hash_is_short(size), 1) ? hash_short_key(secret, key, size)
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
