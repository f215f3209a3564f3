/* SPDX-License-Identifier: MIT */
/*
 * Invariants:
 *  - Only the owner of a run writes between its next and end; who owns it was decided by the compare-and-swap on the
 *    segment's state word that took the chunks.
 *  - Behind the last object of a run stands a zero head, or the end of the run: so a walker knows where to stop.
 *    It is written before the object in front of it is completed.
 *  - All of this is done while the segment is pinned and was seen open in the generation of the run. A run whose
 *    segment was condemned is forgotten.
 */
#include "object/allocate.h"

#include <errno.h>

#include "arena/extent.h"
#include "base/failpoint.h"

#define RUN_OBJECTS 8 /* a run should hold some objects, so that its last, unused bytes weigh little */
#define RUN_CHUNKS_LEAST 4
#define RUN_CHUNKS_MAX 16
#define RUN_ATTEMPTS 100 /* nobody condemns a segment so often just when chunks were taken from it */

static uint64_t chunks_of(uint64_t bytes)
{
	return (bytes + sizeof(struct chunk_header) + CHUNK_BYTES - 1) / CHUNK_BYTES;
}

/*
 * How long a run is taken for an object. The next ones may well be of about the same size: of the numbers of such objects that fit a
 * run, the one that leaves least of it unused. A larger one has a run of its own, for what another one would leave of it weighs more
 * than the rest of a chunk.
 */
static uint32_t chunks_for(const struct arena *arena, uint64_t size)
{
	uint64_t most = arena->chunks < RUN_CHUNKS_MAX ? arena->chunks : RUN_CHUNKS_MAX;
	uint64_t best = chunks_of(size), best_count = 1;

	if (size < RUN_CHUNKS_LEAST * CHUNK_BYTES / RUN_OBJECTS)
		return RUN_CHUNKS_LEAST;
	if (size > RUN_CHUNKS_LEAST * CHUNK_BYTES)
		return (uint32_t)best;
	for (uint64_t count = 2; count <= RUN_OBJECTS && chunks_of(size * count) <= most; count++)
		if (chunks_of(size * count) * best_count <= best * count) {
			best = chunks_of(size * count);
			best_count = count;
		}
	return (uint32_t)best;
}

static void begin_run(const struct arena *arena, uint32_t segment, uint32_t generation, uint32_t chunk, uint32_t chunks,
                      struct allocator_run *ret_run)
{
	uint64_t start = ((uint64_t)segment << arena->segment_shift) + chunk * CHUNK_BYTES;
	struct chunk_header *header = (struct chunk_header *)(void *)(arena->base + start);

	*ret_run = (struct allocator_run){ start + sizeof *header, start + chunks * CHUNK_BYTES, segment, generation };
	allocate_end_objects(arena, ret_run->next);
	failpoint("run.ended");
	/* R15 -> A15: a walker that sees the run must find the zero that ends its objects. */
	store_release(&header->chunks, chunks);
	failpoint("run.begun");
}

static uint64_t life_ms(uint64_t expires_ms, uint64_t now_ms)
{
	if (expires_ms == 0)
		return 0;
	return expires_ms > now_ms ? expires_ms - now_ms : 1;
}

/* Takes a new run and pins its segment. */
static int take_run(struct allocator *allocator, struct epoch_reader *reader, const struct arena *arena, uint32_t slab,
                    uint64_t size, uint64_t now_ms, struct allocator_run *ret_run)
{
	uint32_t chunks = chunks_for(arena, size);
	uint32_t segment, generation, chunk;

	for (int attempt = 0;; attempt++) {
		if (attempt == RUN_ATTEMPTS)
			return -EAGAIN;
		if (!segment_take_chunks(arena, slab, chunks, now_ms, &segment, &generation, &chunk)) {
			if (chunks == chunks_of(size))
				return -EAGAIN;
			chunks = (uint32_t)chunks_of(size); /* there may be room for this one at least */
			continue;
		}
		allocator->took_segment |= chunk == 0;
		if (epoch_pin_write(reader, arena, segment, generation))
			break;
	}
	failpoint("run.pinned");
	begin_run(arena, segment, generation, chunk, chunks, ret_run);
	return 0;
}

int allocate_begin(struct allocator *allocator, struct epoch_reader *reader, const struct arena *arena, enum pool pool,
                   uint64_t size, uint64_t expires_ms, uint64_t now_ms, struct allocation *ret_allocation)
{
	uint32_t slab = segment_slab_for(arena, allocator->tenant, pool, life_ms(expires_ms, now_ms));
	struct allocator_run *current = &allocator->runs[slab], run;
	bool fits = current->end - current->next >= size;
	int result;

	if (allocate_in_run(allocator, reader, arena, slab, size, expires_ms, ret_allocation))
		return 0;
	result = take_run(allocator, reader, arena, slab, size, now_ms, &run);
	if (result)
		return result;
	allocate_reserve(arena, &run, slab, size, expires_ms, ret_allocation);
	/* A run taken for one large object may leave less room than the old one still has. */
	if (fits || run.end - run.next >= current->end - current->next)
		*current = run;
	return 0;
}

int allocate_extent(struct epoch_reader *reader, uint32_t tenant, const struct arena *arena, enum pool pool,
                    uint64_t size, uint64_t expires_ms, uint64_t now_ms, struct allocation *ret_allocation)
{
	uint32_t slab = segment_slab_for(arena, tenant, pool, life_ms(expires_ms, now_ms));
	uint32_t length = extent_length_for(arena, size);
	uint32_t segment, generation;
	struct allocator_run run;

	if (!extent_take(arena, slab, length, now_ms, &segment, &generation)) {
		extent_want(arena, tenant, length);
		return -EAGAIN;
	}
	if (!epoch_pin_write(reader, arena, segment, generation))
		return -ESTALE;
	failpoint("extent.pinned");
	begin_run(arena, segment, generation, 0, length * arena->chunks, &run);
	if (expires_ms)
		segment_raise_expiry(arena, segment, expires_ms);
	*ret_allocation = (struct allocation){ run.next, size, run.end, segment, generation, slab };
	if (run.end > run.next + size)
		allocate_end_objects(arena, run.next + size);
	return 0;
}

void allocate_withdraw(const struct arena *arena, const struct allocation *allocation)
{
	allocate_end_objects(arena, allocation->offset);
}

void allocate_cancel(struct allocator *allocator, struct epoch_reader *reader, const struct arena *arena,
                     const struct allocation *allocation)
{
	struct allocator_run *run = &allocator->runs[allocation->slab];

	failpoint("allocate.cancelling");
	allocate_end_objects(arena, allocation->offset);
	failpoint("allocate.cancelled");
	/* The room goes on as the current run: it is the same one, or one that has at least the object's size. */
	*run = (struct allocator_run){ allocation->offset, allocation->end, allocation->segment,
		                       allocation->generation };
	epoch_unpin_write(reader);
}

void allocate_cancel_last(struct allocator *allocator, struct epoch_reader *reader, const struct arena *arena,
                          uint32_t slab, uint64_t size)
{
	const struct allocator_run *run = &allocator->runs[slab];
	const struct allocation last = {
		run->next - size, size, run->end, run->segment, run->generation, slab,
	};

	allocate_cancel(allocator, reader, arena, &last);
}
