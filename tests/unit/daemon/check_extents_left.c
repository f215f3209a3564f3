/* SPDX-License-Identifier: MIT */
/* What is left of extents, whatever became of their writers and keepers: it is found, and comes back. */
#include "daemon/extents.h"

#include <errno.h>

#include "tests/unit/daemon/house.h"

#define LATER_MS 5000u /* when the keeper looks again at what it left alone */
#define RUNS 50        /* of the keeper, until an extent must be there, or gone */

/* Takes an extent as the guest would. The death of the guest clears its pin. */
static void take_and_die(struct house *house, uint64_t size, uint64_t expires_ms, bool complete)
{
	struct epoch_reader *reader = &house->guest.thread.reader;
	struct object_plan plan = { .key = "dead", .key_size = 4, .expires_ms = expires_ms };
	struct allocation room;
	int result = -EAGAIN;

	for (int run = 0; result == -EAGAIN && run < RUNS; run++) {
		result = allocate_extent(reader, 0, house->arena, POOL_PROBATION, size, expires_ms,
		                         arena_now_ms(house->arena), &room);
		reclaim_run(house->reclaim);
	}
	ck_assert_int_eq(result, 0);
	plan.value_size = (uint32_t)size - 100;
	if (complete) {
		object_write(house->arena, room.offset, &plan);
		object_complete(house->arena, room.offset, &plan);
	}
	world_advance(&house->world, LATER_MS);
	house_work(house);
	ck_assert_int_eq(house_state(house, room.segment),
	                 expires_ms ? SEGMENT_CONDEMNED : SEGMENT_OPEN); /* it is pinned */
	store_relaxed(&reader->line->write_pin, 0);
}

START_TEST(test_dead_writers)
{
	for (int i = 0; i < 4; i++) {
		struct house house;

		house_start(&house, MIB, NEVER_MS);
		take_and_die(&house, 200000, i & 1 ? arena_now_ms(house.arena) + 100 : 0, i & 2);
		world_advance(&house.world, LATER_MS);
		house_work(&house);
		house_expect_all_free(&house);
		expect_sound(&house.world);
		house_stop(&house);
	}
}
END_TEST

START_TEST(test_offer_that_nobody_takes)
{
	struct house house;

	house_start(&house, MIB, NEVER_MS);
	extent_want(house.arena, 0, 5);
	house_work(&house);
	ck_assert_uint_eq(world_count(&house.world, SEGMENT_READY), 1);
	ck_assert_uint_eq(world_count(&house.world, SEGMENT_EXTENT), 4);
	expect_sound(&house.world);
	world_advance(&house.world, LATER_MS);
	house_work(&house);
	house_expect_all_free(&house);
	house_stop(&house);
}
END_TEST

/* What continues an extent need not wait until the keeper looks for what no head covers. */
START_TEST(test_comes_back_as_a_whole)
{
	struct house house;
	uint32_t head, generation;

	house_start(&house, MIB, NEVER_MS);
	extent_want(house.arena, 0, 5);
	house_work(&house);
	ck_assert(extent_take(house.arena, 0, 5, arena_now_ms(house.arena), &head, &generation));
	segment_add_dead(house.arena, head, OBJECT_UNIT);
	for (int run = 0; house_state(&house, head) != SEGMENT_FREE && run < RUNS; run++)
		reclaim_run(house.reclaim);
	house_expect_all_free(&house);
	house_stop(&house);
}
END_TEST

/* A keeper may die between any two steps; the next one finds all segments again. */
START_TEST(test_next_keeper)
{
	for (uint32_t done = 0; done < 6; done++) {
		struct house house;
		uint32_t segment = 8;

		house_start(&house, MIB, NEVER_MS);
		for (uint32_t i = 0; i < 4; i++)
			expect(segment_change(house.arena, segment + i, SEGMENT_FREE, SEGMENT_RESERVE));
		for (uint32_t i = 1; i < done && i < 4; i++)
			expect(segment_change(house.arena, segment + i, SEGMENT_RESERVE, SEGMENT_EXTENT));
		if (done >= 4)
			store_relaxed(&house.arena->table[segment].state,
			              segment_pack((struct segment_word){ .state = done == 4 ? SEGMENT_READY
			                                                                     : SEGMENT_RETIRED,
			                                                  .next_chunk = 4 * house.arena->chunks }));
		reclaim_destroy(house.reclaim);
		house_keeper(&house, NEVER_MS);
		house_work(&house);
		world_advance(&house.world, LATER_MS);
		house_work(&house);
		house_expect_all_free(&house);
		expect_sound(&house.world);
		house_stop(&house);
	}
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("extents_left");

	tcase_add_test(tests, test_dead_writers);
	tcase_add_test(tests, test_offer_that_nobody_takes);
	tcase_add_test(tests, test_comes_back_as_a_whole);
	tcase_add_test(tests, test_next_keeper);
	return suite_run("extents_left", tests);
}
