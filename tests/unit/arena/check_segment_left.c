/* SPDX-License-Identifier: MIT */
/* Chunks that were left in segments in which their slab does not allocate any more. */
#include "arena/segment.h"
#include "tests/unit/support/world.h"

struct run {
	uint32_t segment, generation, chunk;
};

static uint64_t now_ms = 1000;

static bool take(struct world *world, uint32_t chunks, struct run *ret_run)
{
	return segment_take_chunks(world->arena, 0, chunks, now_ms++, &ret_run->segment, &ret_run->generation,
	                           &ret_run->chunk);
}

/* What a large run left in segments is taken before a free one, of the youngest first. */
START_TEST(test_left_chunks_are_taken_first)
{
	struct world world;
	struct run runs[3], small;
	uint32_t chunks;

	world_start(&world, MIB);
	chunks = world.arena->chunks;
	for (uint32_t i = 0; i < 3; i++) {
		ck_assert(take(&world, chunks - 1, &runs[i]));
		store_relaxed(&world.arena->header->open_segment[0], 0);
	}
	for (uint32_t i = 3; i-- > 0;) {
		store_relaxed(&world.arena->header->open_segment[0], 0);
		ck_assert(take(&world, 1, &small));
		ck_assert_uint_eq(small.segment, runs[i].segment);
		ck_assert_uint_eq(small.chunk, chunks - 1);
	}
	ck_assert(take(&world, 1, &small));
	ck_assert_uint_eq(small.chunk, 0);
	world_stop(&world);
}
END_TEST

/* A segment that is written to again is not evicted as the oldest: what is new is in it. */
START_TEST(test_taken_last_is_youngest)
{
	struct world world;
	struct run runs[3], small;
	uint32_t chunks, last = 0;

	world_start(&world, MIB);
	chunks = world.arena->chunks;
	for (uint32_t i = 0; i < 3; i++)
		ck_assert(take(&world, chunks - 1, &runs[i]));
	store_relaxed(&world.arena->header->open_segment[0], 0);
	for (uint32_t i = 3; i-- > 0; last = small.segment) {
		ck_assert(take(&world, 1, &small));
		ck_assert_uint_eq(small.segment, runs[i].segment);
		for (uint32_t other = 0; other < 3; other++)
			if (other != i)
				ck_assert_uint_gt(load_relaxed(&world.arena->table[small.segment].opened),
				                  load_relaxed(&world.arena->table[runs[other].segment].opened));
	}
	ck_assert_uint_eq(last, runs[0].segment);
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("segment left");

	tcase_add_test(tests, test_left_chunks_are_taken_first);
	tcase_add_test(tests, test_taken_last_is_youngest);
	return suite_run("segment left", tests);
}
