/* SPDX-License-Identifier: MIT */
/*
 * Where new objects go. A thread owns, for each slab, a run of chunks in some segment and allocates in it by moving a
 * pointer that only it knows; so there is no free list, and nothing that a killed thread could leave locked or lost: the
 * unused rest of its run comes back when the segment is recycled.
 */
#ifndef LARDER_OBJECT_ALLOCATE_H
#define LARDER_OBJECT_ALLOCATE_H

#include "epoch/epoch.h"
#include "object/object.h"

/* Free room of one run, in byte offsets of the arena. */
struct allocator_run {
	uint64_t next, end;
	uint32_t segment, generation;
};

/* One thread's. All zero is a valid empty one. */
struct allocator {
	struct allocator_run runs[SLABS];
	uint32_t tenant;   /* to whom what it allocates belongs; the caller's to set */
	bool took_segment; /* a free segment was begun; the caller may clear it */
};

struct allocation {
	uint64_t offset; /* of the object in the arena */
	uint64_t size;
	uint64_t end; /* of the run it is in */
	uint32_t segment, generation;
	uint32_t slab;
};

/* Behind the last object of a run. */
static inline void allocate_end_objects(const struct arena *arena, uint64_t offset)
{
	struct object *object = (struct object *)(void *)(arena->base + offset);

	store_relaxed(&object->head, 0);
}

/* Reserves the next bytes of a run that has so many, in a segment that is pinned. */
static inline __attribute__((always_inline)) void allocate_reserve(const struct arena *arena, struct allocator_run *run,
                                                                   uint32_t slab, uint64_t size, uint64_t expires_ms,
                                                                   struct allocation *ret_allocation)
{
	failpoint("allocate.pinned");
	if (expires_ms)
		segment_raise_expiry(arena, run->segment, expires_ms);
	*ret_allocation = (struct allocation){ run->next, size, run->end, run->segment, run->generation, slab };
	run->next += size;
	if (run->end > run->next)
		allocate_end_objects(arena, run->next);
	failpoint("allocate.reserved");
}

/* As allocate_begin, where there is room in the thread's run of a slab. False: there is not, and nothing is pinned. */
static inline __attribute__((always_inline)) bool allocate_in_run(struct allocator *allocator,
                                                                  struct epoch_reader *reader,
                                                                  const struct arena *arena, uint32_t slab,
                                                                  uint64_t size, uint64_t expires_ms,
                                                                  struct allocation *ret_allocation)
{
	struct allocator_run *run = &allocator->runs[slab];

	if (run->end - run->next < size || !epoch_pin_write(reader, arena, run->segment, run->generation))
		return false;
	allocate_reserve(arena, run, slab, size, expires_ms, ret_allocation);
	return true;
}

/* As allocate_cancel, of what allocate_in_run gave last, for who keeps no more of it than this. */
void allocate_cancel_last(struct allocator *allocator, struct epoch_reader *reader, const struct arena *arena,
                          uint32_t slab, uint64_t size);

/*
 * Reserves room in a pool for an object of size bytes (object_size) that expires at expires_ms (0: never) and pins its
 * segment for writing. The caller writes the object, and either publishes it and calls allocate_commit, or allocate_cancel.
 * Return: 0; -EAGAIN: no segment is free, or the tenant may have no more. The size fits a segment (arena_object_max).
 */
int allocate_begin(struct allocator *allocator, struct epoch_reader *reader, const struct arena *arena, enum pool pool,
                   uint64_t size, uint64_t expires_ms, uint64_t now_ms, struct allocation *ret_allocation);

/*
 * The same for an object that is larger than a segment: it gets an extent. Return: 0; -EAGAIN: none is ready, or the tenant may not have so much, and the keeper will
 * make it once it is woken; -ESTALE: it had one, but was stopped for so long that the keeper took it back. What is not committed, the keeper finds and takes back.
 */
int allocate_extent(struct epoch_reader *reader, uint32_t tenant, const struct arena *arena, enum pool pool,
                    uint64_t size, uint64_t expires_ms, uint64_t now_ms, struct allocation *ret_allocation);

/* The object was completed, but not published; its room stays reserved. */
void allocate_withdraw(const struct arena *arena, const struct allocation *allocation);

/* The object is published, or may be. */
static inline void allocate_commit(struct epoch_reader *reader)
{
	epoch_unpin_write(reader);
}

/* The object was not published; its room is used again. */
void allocate_cancel(struct allocator *allocator, struct epoch_reader *reader, const struct arena *arena,
                     const struct allocation *allocation);

#endif
