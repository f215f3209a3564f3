/* SPDX-License-Identifier: MIT */
/* When a segment was opened, and before and after which others. */
#include "arena/segment.h"
#include "tests/unit/support/world.h"

struct run {
	uint32_t segment, generation, chunk;
};

START_TEST(test_opened_time_is_kept)
{
	struct world world;
	struct run run;

	world_start(&world, MIB);
	ck_assert(segment_take_chunks(world.arena, 1, 1, 12345, &run.segment, &run.generation, &run.chunk));
	ck_assert_uint_eq(load_relaxed(&world.arena->table[run.segment].opened_ms), 12345);
	ck_assert(segment_take_chunks(world.arena, 1, 1, 99999, &run.segment, &run.generation, &run.chunk));
	ck_assert_uint_eq(load_relaxed(&world.arena->table[run.segment].opened_ms), 12345);
	world_stop(&world);
}
END_TEST

/* A millisecond is a long time: which was opened first is known for any two segments. */
START_TEST(test_order_of_opening)
{
	struct world world;
	struct run run;
	uint64_t last = 0;

	world_start(&world, MIB);
	for (uint32_t slab = 1; slab < 5; slab++) {
		atomic_u64 *opened;

		ck_assert(segment_take_chunks(world.arena, slab, 1, 12345, &run.segment, &run.generation, &run.chunk));
		opened = &world.arena->table[run.segment].opened;
		ck_assert_uint_gt(load_relaxed(opened), last);
		last = load_relaxed(opened);
		ck_assert(segment_take_chunks(world.arena, slab, 1, 12345, &run.segment, &run.generation, &run.chunk));
		ck_assert_uint_eq(load_relaxed(opened), last);
	}
	ck_assert(segment_change(world.arena, run.segment, SEGMENT_OPEN, SEGMENT_CONDEMNED));
	segment_keep(world.arena, run.segment, POOL_MAIN, 12345);
	ck_assert_uint_gt(load_relaxed(&world.arena->table[run.segment].opened), last);
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("segment date");

	tcase_add_test(tests, test_opened_time_is_kept);
	tcase_add_test(tests, test_order_of_opening);
	return suite_run("segment date", tests);
}
