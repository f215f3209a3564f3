/* SPDX-License-Identifier: MIT */
/* What nearly all objects are: one with a short key, that is no counter and in no extent. Looked at with as few instructions as that allows. */
#ifndef LARDER_CACHE_PLAIN_H
#define LARDER_CACHE_PLAIN_H

#include "index/index.h"

struct plain {
	const struct object *object;
	const unsigned char *value;
	uint64_t value_size;
	uint64_t expires_ms;
	uint32_t user_flags;
};

#define PLAIN_BYTES (sizeof(struct object) + sizeof(uint64_t) + sizeof(uint32_t) + HASH_SHORT_MAX)
#define PLAIN_HEAD_MASK UINT64_C(0xffffff) /* flags and key size */
#define PLAIN_FLAGS ((uint64_t)(OBJECT_EXPIRES | OBJECT_FLAGS) << OBJECT_FLAGS_SHIFT)
_Static_assert(OBJECT_FLAGS_SHIFT == 16, "flags stand above the key size, and nothing between");

/* Whether the object of a slot word is plain and has this key, which is short. */
static inline __attribute__((always_inline)) bool plain_open(const struct arena *arena, uint64_t word, const void *key,
                                                             size_t key_size, struct plain *ret_plain)
{
	const uint64_t offset = slot_offset(word);
	const unsigned char *start = arena->base + offset;
	uint64_t head, key_start = sizeof(struct object), value_start;

	if (__builtin_expect(offset > arena->bytes - PLAIN_BYTES, 0))
		return false;
	ret_plain->object = (const struct object *)(const void *)start;
	head = load_relaxed(&ret_plain->object->head);
	ret_plain->expires_ms = 0;
	ret_plain->user_flags = 0;
	if (__builtin_expect((head & PLAIN_HEAD_MASK) != key_size, 0)) {
		if (__builtin_expect((head & PLAIN_HEAD_MASK & ~PLAIN_FLAGS) != key_size, 0))
			return false;
		key_start = object_key_start((uint32_t)(head >> OBJECT_FLAGS_SHIFT & UINT8_MAX));
		if (head >> OBJECT_FLAGS_SHIFT & OBJECT_EXPIRES)
			memcpy(&ret_plain->expires_ms, start + sizeof(struct object), sizeof ret_plain->expires_ms);
		if (head >> OBJECT_FLAGS_SHIFT & OBJECT_FLAGS)
			memcpy(&ret_plain->user_flags, start + key_start - sizeof ret_plain->user_flags,
			       sizeof ret_plain->user_flags);
	}
	if (__builtin_expect(!bytes_equal(start + key_start, key, key_size), 0))
		return false;
	ret_plain->value_size = head >> OBJECT_VALUE_SIZE_SHIFT;
	value_start = align_up(key_start + key_size, object_value_alignment(ret_plain->value_size));
	ret_plain->value = start + value_start;
	return __builtin_expect(value_start + ret_plain->value_size <= arena->bytes - offset, 1);
}

/* The bytes it takes in all. */
static inline uint64_t plain_size(const struct plain *plain)
{
	return align_up((uint64_t)(plain->value - (const unsigned char *)plain->object) + plain->value_size,
	                OBJECT_UNIT);
}

#endif
