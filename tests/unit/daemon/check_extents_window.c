/* SPDX-License-Identifier: MIT */
/* The window of segments that the keeper empties for a large object, when it comes to nothing. */
#include "daemon/extents.h"
#include "daemon/reclaim_internal.h"
#include "tests/unit/daemon/house.h"

/* What is given up is free for anybody, so the keeper must not think that it still has it for moving objects. */
START_TEST(test_reserve_in_a_window_given_up)
{
	struct house house;
	struct evacuator *evacuator;
	uint32_t first = 8, length = 5;

	house_start(&house, MIB, NEVER_MS);
	evacuator = &house.reclaim->evacuator;
	for (uint32_t segment = house.arena->system_segments; segment < house.world.segments; segment++)
		if (segment < first || segment >= first + length)
			segment_change(house.arena, segment, SEGMENT_FREE, SEGMENT_SYSTEM); /* not to be had */
	expect(segment_change(house.arena, first, SEGMENT_FREE, SEGMENT_ABSENT)); /* of which there is no memory */
	expect(segment_change(house.arena, first + 1, SEGMENT_FREE, SEGMENT_RESERVE));
	evacuator->reserve_count = 0;
	evacuator_give(evacuator, first + 1);
	extent_want(house.arena, 0, length);
	for (int i = 0; i < 10; i++)
		reclaim_run(house.reclaim);
	ck_assert_uint_eq(world_count(&house.world, SEGMENT_READY), 0);
	for (uint32_t i = 0; i < evacuator->reserve_count; i++)
		ck_assert_int_eq(house_state(&house, evacuator->reserve[i]), SEGMENT_RESERVE);
	house_stop(&house);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("extents_window");

	tcase_add_test(tests, test_reserve_in_a_window_given_up);
	return suite_run("extents_window", tests);
}
