/* SPDX-License-Identifier: MIT */
/*
 * The hash of keys: XXH3, 64 bits, with the arena's random secret, so that who can choose keys cannot choose where they go.
 * Its bits are used apart: the lowest 11 are the tag in the slot word, the next 32 choose the home bucket, the highest
 * ones are the index of the directory.
 */
#ifndef LARDER_BASE_HASH_H
#define LARDER_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/layout.h"

static inline uint64_t hash_key(const uint8_t secret[SECRET_BYTES], const void *key, size_t size)
{
	return XXH3_64bits_withSecret(key, size, secret, SECRET_BYTES);
}

static inline uint64_t hash_tag(uint64_t hash)
{
	return hash & SLOT_TAG_MASK;
}

static inline uint32_t hash_home(uint64_t hash, uint32_t homes)
{
	return (uint32_t)((hash >> 11 & UINT32_MAX) * homes >> 32);
}

static inline uint32_t hash_directory(uint64_t hash, uint32_t directory_bits)
{
	return (uint32_t)(hash >> (64 - directory_bits));
}

#endif
