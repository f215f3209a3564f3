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

/* From its beginning to the end of its key at most; and to the end of a value of so many bytes. */
#define PLAIN_BYTES (sizeof(struct object) + sizeof(uint64_t) + sizeof(uint32_t) + HASH_SHORT_MAX)
#define PLAIN_BYTES_WITH(value_bytes) (PLAIN_BYTES + UINT8_MAX + (value_bytes)) /* a head may claim so much padding */
#define PLAIN_HEAD_MASK UINT64_C(0xffffff)                                      /* flags and key size */
#define PLAIN_FLAGS ((uint64_t)(OBJECT_EXPIRES | OBJECT_FLAGS) << OBJECT_FLAGS_SHIFT)
_Static_assert(OBJECT_FLAGS_SHIFT == 16, "flags stand above the key size, and nothing between");

/* The head of the object of a slot word, behind which there are so many bytes of the arena at least; 0: there are not. */
static inline __attribute__((always_inline)) uint64_t plain_head(const struct arena_near *near, uint64_t word,
                                                                 uint64_t bytes)
{
	const uint64_t offset = slot_offset(word);

	if (__builtin_expect(offset > near->bytes - bytes, 0))
		return 0;
	return load_relaxed(&((const struct object *)(const void *)(near->base + offset))->head);
}

/* Whether the object with this head is plain, has a key of this size, and neither life nor flags. */
static inline __attribute__((always_inline)) bool plain_is_bare(uint64_t head, size_t key_size)
{
	return __builtin_expect((head & PLAIN_HEAD_MASK) == key_size, 1);
}

/* The same, but whatever life or flags. */
static inline __attribute__((always_inline)) bool plain_is(uint64_t head, size_t key_size)
{
	return (head & PLAIN_HEAD_MASK & ~PLAIN_FLAGS) == key_size;
}

/*
 * Looks at an object that is plain, or if so it is said, bare. False: it has another key. Whether all of the value is in the arena the
 * caller finds out. Where bare is a constant the compiler leaves out what depends on it, so a caller that goes both ways from here on has
 * the shortest for the bare.
 */
static inline __attribute__((always_inline)) bool plain_look(const struct arena_near *near, uint64_t word,
                                                             uint64_t head, bool bare, struct short_key key,
                                                             size_t key_size, struct plain *ret_plain)
{
	const unsigned char *start = near->base + slot_offset(word);
	uint64_t key_start = sizeof(struct object);

	*ret_plain = (struct plain){ .object = (const struct object *)(const void *)start };
	if (!bare) {
		key_start = object_key_start((uint32_t)(head >> OBJECT_FLAGS_SHIFT & UINT8_MAX));
		if (head >> OBJECT_FLAGS_SHIFT & OBJECT_EXPIRES)
			memcpy(&ret_plain->expires_ms, start + sizeof(struct object), sizeof ret_plain->expires_ms);
		if (head >> OBJECT_FLAGS_SHIFT & OBJECT_FLAGS)
			memcpy(&ret_plain->user_flags, start + key_start - sizeof ret_plain->user_flags,
			       sizeof ret_plain->user_flags);
	}
	if (__builtin_expect(!short_key_equal(key, start + key_start, key_size), 0))
		return false;
	ret_plain->value_size = head >> OBJECT_VALUE_SIZE_SHIFT;
	ret_plain->value = start + key_start + key_size + object_head_padding(head);
	return true;
}

/* Whether all of the value is in the arena. */
static inline bool plain_fits(const struct arena_near *near, const struct plain *plain)
{
	return __builtin_expect((uint64_t)(plain->value - near->base) + plain->value_size <= near->bytes, 1);
}

/* Whether the object of a slot word is plain and has this key, which is short. */
static inline __attribute__((always_inline)) bool plain_open(const struct arena_near *near, uint64_t word,
                                                             struct short_key key, size_t key_size,
                                                             struct plain *ret_plain)
{
	uint64_t head = plain_head(near, word, PLAIN_BYTES);

	if (plain_is_bare(head, key_size))
		return plain_look(near, word, head, true, key, key_size, ret_plain) && plain_fits(near, ret_plain);
	return plain_is(head, key_size) && plain_look(near, word, head, false, key, key_size, ret_plain) &&
	       plain_fits(near, ret_plain);
}

/* The bytes it takes in all. */
static inline uint64_t plain_size(const struct plain *plain)
{
	return align_up((uint64_t)(plain->value - (const unsigned char *)plain->object) + plain->value_size,
	                OBJECT_UNIT);
}

#endif
