/* SPDX-License-Identifier: MIT */
/*
 * Objects: finding one's way inside an object, with every length checked, and computing how large one will be.
 *
 *	header 16 | expiry 8 ? | user flags 4 ? | key | padding | value | padding to 8
 *
 * The value is aligned to the largest power of two, up to 8, that divides its size: the size of a C type is always a
 * multiple of its alignment, so any such type can be read in place, and strings cost no padding. How many bytes of padding
 * that makes stands in the head, so that a reader need not compute it.
 */
#ifndef LARDER_OBJECT_OBJECT_H
#define LARDER_OBJECT_OBJECT_H

#include <string.h>

#include "arena/segment.h"
#include "base/failpoint.h"
#include "base/hash.h"

/* One object, looked at once: nothing here is read from shared memory again, and all of it lies inside the arena. */
struct object_view {
	struct object *object;
	uint64_t offset; /* of the header in the arena, in bytes */
	uint64_t size;   /* in all, a multiple of OBJECT_UNIT */
	const unsigned char *key;
	const unsigned char *value; /* NULL for a counter */
	struct counter *counter;    /* NULL otherwise */
	uint32_t value_size;        /* 0 for a counter */
	uint32_t key_size;
	uint32_t flags; /* OBJECT_... */
	uint32_t user_flags;
	uint64_t expires_ms; /* arena time; 0: never */
	uint64_t version;    /* of a counter: the one it began with */
};

static inline uint64_t align_up(uint64_t x, uint64_t alignment)
{
	return (x + alignment - 1) & ~(alignment - 1);
}

/* The lowest bit of the size, or of 8. */
static inline uint64_t object_value_alignment(uint64_t value_size)
{
	return (value_size | OBJECT_UNIT) & (0 - (value_size | OBJECT_UNIT));
}

/* Written without branches: where the key begins is on the way of every lookup. */
static inline uint64_t object_key_start(uint32_t flags)
{
	_Static_assert(OBJECT_EXPIRES == 1 && OBJECT_FLAGS == 2, "the arithmetic relies on it");
	return sizeof(struct object) + (flags & OBJECT_EXPIRES) * sizeof(uint64_t) +
	       (flags & OBJECT_FLAGS) / OBJECT_FLAGS * sizeof(uint32_t);
}

/* The bytes between the key, which ends at this distance from the beginning of the object, and a value of this size. */
static inline uint64_t object_padding(uint64_t key_end, uint64_t value_size)
{
	return (0 - key_end) & (object_value_alignment(value_size) - 1);
}

/* The same, as the head of an object says. */
static inline uint64_t object_head_padding(uint64_t head)
{
	return head >> OBJECT_PADDING_SHIFT & UINT8_MAX;
}

/* The bytes an object takes. A counter's words need a 16-byte boundary, of which it has one wherever it is put. */
static inline uint64_t object_size(uint32_t flags, uint32_t key_size, uint32_t value_size)
{
	uint64_t key_end = object_key_start(flags) + key_size;

	if (flags & OBJECT_COUNTER)
		return align_up(key_end, OBJECT_UNIT) + OBJECT_UNIT + sizeof(struct counter);
	return align_up(key_end + object_padding(key_end, value_size) + value_size, OBJECT_UNIT);
}

/* All that follows from the head of an object at a byte offset. False: it does not fit in the arena. */
static inline __attribute__((always_inline)) bool object_unfold(const struct arena *arena, uint64_t offset,
                                                                uint64_t head, uint32_t key_size,
                                                                struct object_view *ret_view)
{
	unsigned char *start = arena->base + offset;
	uint32_t flags = (uint32_t)(head >> OBJECT_FLAGS_SHIFT & UINT8_MAX);
	uint64_t key_start = object_key_start(flags), end;

	ret_view->object = (struct object *)(void *)start;
	ret_view->offset = offset;
	ret_view->key_size = key_size;
	ret_view->flags = flags;
	ret_view->key = start + key_start;
	if (__builtin_expect(flags & OBJECT_COUNTER, 0)) {
		uint64_t words = align_up(offset + key_start + key_size, sizeof(struct counter));

		end = object_size(flags, key_size, 0);
		ret_view->counter = (struct counter *)(void *)(arena->base + words);
		ret_view->value = NULL;
		ret_view->value_size = 0;
	} else {
		uint32_t value_size = (uint32_t)(head >> OBJECT_VALUE_SIZE_SHIFT);
		uint64_t value_start = key_start + key_size + object_head_padding(head);

		end = value_start + value_size;
		ret_view->counter = NULL;
		ret_view->value = start + value_start;
		ret_view->value_size = value_size;
	}
	if (__builtin_expect(end > arena->bytes - offset, 0)) /* which is a multiple of OBJECT_UNIT */
		return false;
	ret_view->size = align_up(end, OBJECT_UNIT);
	ret_view->version = ret_view->object->version;
	ret_view->expires_ms = 0;
	if (flags & OBJECT_EXPIRES)
		memcpy(&ret_view->expires_ms, start + sizeof(struct object), sizeof ret_view->expires_ms);
	ret_view->user_flags = 0;
	if (flags & OBJECT_FLAGS)
		memcpy(&ret_view->user_flags, start + key_start - sizeof ret_view->user_flags,
		       sizeof ret_view->user_flags);
	return true;
}

/*
 * Looks at the object at a byte offset, which was read with acquire where it was published: so all of the object is seen.
 * False: there is none, or it does not fit in the arena. Inlined always, so that what
 * the caller does not look at is not computed.
 */
static inline __attribute__((always_inline)) bool object_parse(const struct arena *arena, uint64_t offset,
                                                               struct object_view *ret_view)
{
	uint64_t head;

	if (offset > arena->bytes - sizeof(struct object))
		return false;
	head = load_relaxed(&((struct object *)(void *)(arena->base + offset))->head);
	return (uint16_t)head != 0 && object_unfold(arena, offset, head, (uint16_t)head, ret_view);
}

/* memcmp for the sizes that keys have, inline where they are short. */
static inline __attribute__((always_inline)) bool bytes_equal(const void *a, const void *b, size_t size)
{
	if (__builtin_expect(!hash_is_short(size), 0))
		return memcmp(a, b, size) == 0;
	return short_key_equal(short_key_load(a, size), b, size);
}

static inline __attribute__((always_inline)) bool object_has_key(const struct object_view *view, const void *key,
                                                                 size_t key_size)
{
	return view->key_size == key_size && bytes_equal(view->key, key, key_size);
}

/* As object_parse, of an object with this key. False also: it has another. */
static inline __attribute__((always_inline)) bool object_find(const struct arena *arena, uint64_t offset,
                                                              const void *key, size_t key_size,
                                                              struct object_view *ret_view)
{
	uint64_t head;

	if (__builtin_expect(offset > arena->bytes - sizeof(struct object), 0))
		return false;
	head = load_relaxed(&((struct object *)(void *)(arena->base + offset))->head);
	return (uint16_t)head == key_size && object_unfold(arena, offset, head, (uint32_t)key_size, ret_view) &&
	       object_has_key(ret_view, key, key_size);
}

/* Whether the value begins where it does in what object_write writes. */
static inline bool object_is_aligned(const struct object_view *view)
{
	uint64_t key_end = (uint64_t)(view->key - (const unsigned char *)view->object) + view->key_size;

	return !view->value ||
	       (uint64_t)(view->value - view->key) == view->key_size + object_padding(key_end, view->value_size);
}

static inline bool object_expired(const struct object_view *view, uint64_t now_ms)
{
	return view->expires_ms != 0 && view->expires_ms <= now_ms;
}

/* What a new object will be. */
struct object_plan {
	const void *key;
	uint32_t key_size;
	uint32_t value_size; /* 0 for a counter */
	uint32_t flags;
	uint32_t user_flags;
	uint64_t expires_ms;
	uint64_t version;
	int64_t number; /* of a counter */
};

/* memmove for the sizes that keys have, inline up to 32 bytes: all is read before any is written. */
static inline __attribute__((always_inline)) void bytes_copy(unsigned char *to, const void *from, size_t size)
{
	unsigned char first[16], last[16];

	if (__builtin_expect(size < 16 || size > 32, 0)) {
		memmove(to, from, size);
		return;
	}
	memcpy(first, from, 16);
	memcpy(last, (const unsigned char *)from + size - 16, 16);
	memcpy(to, first, 16);
	memcpy(to + size - 16, last, 16);
}

/*
 * Writes header and key into reserved memory, and a counter's words. Return: where the value's bytes go. Nobody sees the
 * object before it is published. The key may be another object's.
 */
static inline __attribute__((always_inline)) unsigned char *object_write(const struct arena *arena, uint64_t offset,
                                                                         const struct object_plan *plan)
{
	unsigned char *start = arena->base + offset;
	struct object *object = (struct object *)(void *)start;
	uint64_t key_start = object_key_start(plan->flags);

	object->version = plan->version;
	failpoint("object.begun");
	if (plan->flags & OBJECT_EXPIRES)
		memcpy(start + sizeof *object, &plan->expires_ms, sizeof plan->expires_ms);
	if (plan->flags & OBJECT_FLAGS)
		memcpy(start + key_start - sizeof plan->user_flags, &plan->user_flags, sizeof plan->user_flags);
	bytes_copy(start + key_start, plan->key, plan->key_size);
	if (plan->flags & OBJECT_COUNTER) {
		uint64_t words = align_up(offset + key_start + plan->key_size, sizeof(struct counter));
		struct counter *counter = (struct counter *)(void *)(arena->base + words);

		store_relaxed(&counter->value, (uint64_t)plan->number);
		store_relaxed(&counter->version, plan->version << 1);
		return NULL;
	}
	return start + key_start + plan->key_size + object_padding(key_start + plan->key_size, plan->value_size);
}

/* The head of the object that is planned. */
static inline uint64_t object_head(const struct object_plan *plan)
{
	uint64_t padding = 0;

	if (!(plan->flags & OBJECT_COUNTER))
		padding = object_padding(object_key_start(plan->flags) + plan->key_size, plan->value_size);
	return (uint64_t)plan->value_size << OBJECT_VALUE_SIZE_SHIFT | padding << OBJECT_PADDING_SHIFT |
	       (uint64_t)plan->flags << OBJECT_FLAGS_SHIFT | plan->key_size;
}

/* Lets walkers of the segment see the object: everything in it is written. */
static inline void object_complete(const struct arena *arena, uint64_t offset, const struct object_plan *plan)
{
	struct object *object = (struct object *)(void *)(arena->base + offset);

	/* R10 -> A10: a walker that sees a key size must find the rest of the object. */
	store_release(&object->head, object_head(plan));
	failpoint("object.completed");
}

/* A counter's two words of one moment, or of two: then the version is older than the value, which is safe for cas. */
static inline int64_t counter_read(struct counter *counter, uint64_t *ret_version)
{
	uint64_t version, value;

	for (int attempt = 0; attempt < 8; attempt++) {
		version = load_acquire(&counter->version); /* A13 <- R13 */
		value = load_acquire(&counter->value);     /* A13 <- R13 */
		if (load_relaxed(&counter->version) == version)
			break;
	}
	*ret_version = version >> 1;
	return (int64_t)value;
}

#endif
