/* SPDX-License-Identifier: MIT */
/* Segments that the keeper has in reserve. */
#include "arena/segment.h"
#include "tests/unit/support/world.h"

START_TEST(test_opened_for_a_slab)
{
	struct world world;
	uint32_t slab = POOL_MAIN * TTL_CLASSES + 3, segment;
	struct segment_word word;

	world_start(&world, MIB);
	ck_assert(segment_take_reserve(world.arena, &segment));
	ck_assert(segment_open_reserve(world.arena, segment, slab, 77));
	word = segment_load(world.arena, segment);
	ck_assert_int_eq(word.state, SEGMENT_OPEN);
	ck_assert_uint_eq(segment_slab(word), slab);
	ck_assert_uint_eq(load_relaxed(&world.arena->table[segment].opened_ms), 77);
	ck_assert_uint_eq(load_relaxed(&world.arena->header->open_segment[slab]), segment + 1);
	world_stop(&world);
}
END_TEST

/* Whatever somebody made of it, the keeper takes it from nobody. */
START_TEST(test_not_in_reserve_any_more)
{
	struct world world;
	uint32_t segment;

	world_start(&world, MIB);
	ck_assert(segment_take_reserve(world.arena, &segment));
	for (uint32_t state = 0; state < 16; state++) {
		uint64_t packed = segment_pack(
			(struct segment_word){ .generation = 5, .state = state, .next_chunk = 7 });

		if (state == SEGMENT_RESERVE)
			continue;
		store_relaxed(&world.arena->table[segment].state, packed);
		ck_assert(!segment_open_reserve(world.arena, segment, 0, 77));
		ck_assert_uint_eq(load_relaxed(&world.arena->table[segment].state), packed);
		ck_assert_uint_eq(load_relaxed(&world.arena->header->open_segment[0]), 0);
	}
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("segment reserve");

	tcase_add_test(tests, test_opened_for_a_slab);
	tcase_add_test(tests, test_not_in_reserve_any_more);
	return suite_run("segment reserve", tests);
}
