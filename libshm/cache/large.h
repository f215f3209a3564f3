/* SPDX-License-Identifier: MIT */
/*
 * Objects that are larger than a segment. To copy tens of megabytes takes milliseconds, and a section must not: so a value is copied
 * out under a view pin and in under a write pin, and sections only find the object, and publish it.
 */
#ifndef LARDER_CACHE_LARGE_H
#define LARDER_CACHE_LARGE_H

#include "cache/cache.h"
#include "object/allocate.h"
#include "object/object.h"

/*
 * Leaves the section, which found this object, and copies its value out. Return: what was copied, at most buffer_size;
 * -EAGAIN: the section was revoked.
 */
int large_copy_out(struct cache_thread *thread, const struct object_view *object, void *buffer, size_t buffer_size);

/* Bytes a new value consists of: those of old, then those of new. */
struct value_parts {
	const void *old;
	size_t old_size;
	const void *added;
	size_t added_size;
};

/*
 * A large object that is being written. Each attempt to publish it finds it further: first it has no room, then no value; what
 * is missing is done between two attempts.
 */
struct large {
	enum large_state { LARGE_NONE, LARGE_ROOM, LARGE_FILLED } state;
	struct allocation room;
	/* What the last attempt wanted to publish: */
	struct object_plan plan;
	uint64_t size;
	enum pool pool;
	uint64_t now_ms;
	/* The value: first that of the object that this word refers to (0: of none), or its text if that is a counter; then more. */
	uint64_t source;
	struct value_parts parts;
	char text[24];
	uint32_t pinned; /* segment + 1 in which the old value is */
	uint32_t shard;  /* of that pin */
};

/* Inside a section: whether the room suits what is wanted now, and whether the value is in it. */
bool large_has_room(const struct large *large, uint64_t size, uint64_t expires_ms);
bool large_is_filled(const struct large *large, const struct object_plan *plan, uint64_t source);

/* Outside: gets room. Return: 0; -EAGAIN: there is none yet; -ESTALE: it was taken away again. */
int large_take_room(struct large *large, struct cache_thread *thread);

/* Inside: notes what the value is made of, and pins the old one. */
void large_plan_value(struct large *large, struct cache_thread *thread, const struct object_view *old, uint64_t source);

/* Outside: writes the value, if the section that planned it was valid. */
void large_fill(struct large *large, struct cache_thread *thread, bool valid);

/* Lets the room go, if there is any; the keeper takes it back. */
void large_let_go(struct large *large, struct cache_thread *thread);

static inline void large_give_up(struct large *large, struct cache_thread *thread)
{
	if (__builtin_expect(large->state != LARGE_NONE, 0))
		large_let_go(large, thread);
}

#endif
