/* SPDX-License-Identifier: MIT */
#include "daemon/survey.h"

#include "daemon/policy.h"
#include "tests/unit/support/writes.h"

static uint32_t open_data(struct world *world, enum pool pool, uint64_t opened, uint32_t dead_bytes)
{
	uint32_t slab = (uint32_t)pool * TTL_CLASSES, segment, generation, taken, chunk;

	ck_assert(segment_take_reserve(world->arena, &segment));
	ck_assert(segment_open_reserve(world->arena, segment, slab, 1));
	/* No room is left in it. */
	ck_assert(segment_take_chunks(world->arena, slab, world->arena->chunks, 1, &taken, &generation, &chunk));
	ck_assert_uint_eq(taken, segment);
	store_relaxed(&world->arena->table[segment].opened, opened);
	segment_add_dead(world->arena, segment, dead_bytes);
	return segment;
}

START_TEST(test_survey_orders_segments)
{
	struct world world;
	struct survey survey;
	uint32_t old, young, wasted, main;

	world_start(&world, MIB);
	young = open_data(&world, POOL_PROBATION, 30, 800);
	old = open_data(&world, POOL_PROBATION, 10, 0);
	wasted = open_data(&world, POOL_PROBATION, 20, 8000);
	main = open_data(&world, POOL_MAIN, 5, 1u << 30); /* a hint that cannot be */
	survey_take(world.arena, &survey);
	ck_assert_uint_eq(survey.free, world_count(&world, SEGMENT_FREE));
	ck_assert_uint_eq(survey.shares[0].data[POOL_PROBATION], 3);
	ck_assert_uint_eq(survey.shares[0].data[POOL_MAIN], 1);
	ck_assert_uint_eq(survey.shares[0].oldest[POOL_PROBATION].count, 3);
	ck_assert_uint_eq(survey.shares[0].oldest[POOL_PROBATION].segments[0], old);
	ck_assert_uint_eq(survey.shares[0].oldest[POOL_PROBATION].segments[1], wasted);
	ck_assert_uint_eq(survey.shares[0].oldest[POOL_PROBATION].segments[2], young);
	ck_assert_uint_eq(survey.shares[0].oldest[POOL_MAIN].segments[0], main);
	ck_assert_uint_eq(survey.wasted.count, 3);
	ck_assert_uint_eq(survey.wasted.segments[0], main);
	ck_assert_uint_eq(survey.wasted.segments[1], wasted);
	ck_assert_uint_eq(survey.wasted.segments[2], young);
	ck_assert_uint_eq(survey.shares[0].filling.count, 0);
	put(&world, "key", "value"); /* in a segment that has room for more */
	survey_take(world.arena, &survey);
	ck_assert_uint_eq(survey.shares[0].data[POOL_PROBATION], 3);
	ck_assert_uint_eq(survey.shares[0].filling.count, 1);
	world_stop(&world);
}
END_TEST

START_TEST(test_only_the_first_are_kept)
{
	struct world world;
	struct survey survey;

	world_start(&world, 2 * MIB);
	for (uint32_t i = 0; i < SURVEY_QUEUE + 8; i++)
		open_data(&world, POOL_PROBATION, 1000 - i, 0);
	survey_take(world.arena, &survey);
	ck_assert_uint_eq(survey.shares[0].data[POOL_PROBATION], SURVEY_QUEUE + 8);
	ck_assert_uint_eq(survey.shares[0].oldest[POOL_PROBATION].count, SURVEY_QUEUE);
	for (uint32_t i = 0; i < SURVEY_QUEUE; i++)
		ck_assert_uint_eq(survey.shares[0].oldest[POOL_PROBATION].keys[i], 1000 - (SURVEY_QUEUE + 8) + 1 + i);
	world_stop(&world);
}
END_TEST

START_TEST(test_s3fifo_keeps_probation_at_a_tenth)
{
	struct survey_share share = { .data = { 1, 0 } };
	uint32_t heat;

	ck_assert_int_eq(policy_s3fifo.choose(&share), POOL_PROBATION);
	share = (struct survey_share){ .data = { 10, 90 }, .open = 100 };
	ck_assert_int_eq(policy_s3fifo.choose(&share), POOL_MAIN);
	share = (struct survey_share){ .data = { 11, 90 }, .open = 101 };
	ck_assert_int_eq(policy_s3fifo.choose(&share), POOL_PROBATION);
	/* what is on its way to main is not missing there */
	share = (struct survey_share){ .data = { 10, 30 }, .open = 45, .condemned = 55 };
	ck_assert_int_eq(policy_s3fifo.choose(&share), POOL_MAIN);
	ck_assert(!policy_s3fifo.keep(POOL_PROBATION, &(uint32_t){ 0 }));
	for (uint32_t uses = 1; uses <= 3; uses++) {
		heat = uses;
		ck_assert(policy_s3fifo.keep(POOL_PROBATION, &heat));
		ck_assert_uint_eq(heat, 0);
	}
	heat = 3;
	ck_assert(policy_s3fifo.keep(POOL_MAIN, &heat));
	ck_assert_uint_eq(heat, 2);
	heat = 0;
	ck_assert(!policy_s3fifo.keep(POOL_MAIN, &heat));
}
END_TEST

START_TEST(test_fifo_takes_the_oldest_of_both_pools)
{
	struct survey_share share = { .data = { 1, 1 } };

	share.oldest[POOL_PROBATION] = (struct survey_queue){ .count = 1, .keys = { 10 } };
	share.oldest[POOL_MAIN] = (struct survey_queue){ .count = 1, .keys = { 9 } };
	ck_assert_int_eq(policy_fifo.choose(&share), POOL_MAIN);
	share.oldest[POOL_MAIN].keys[0] = 11;
	ck_assert_int_eq(policy_fifo.choose(&share), POOL_PROBATION);
	share.oldest[POOL_PROBATION].count = 0;
	ck_assert_int_eq(policy_fifo.choose(&share), POOL_MAIN);
	ck_assert_ptr_eq(policy_of(0), &policy_s3fifo);
	ck_assert_ptr_eq(policy_of(1), &policy_fifo);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("survey");

	tcase_add_test(tests, test_survey_orders_segments);
	tcase_add_test(tests, test_only_the_first_are_kept);
	tcase_add_test(tests, test_s3fifo_keeps_probation_at_a_tenth);
	tcase_add_test(tests, test_fifo_takes_the_oldest_of_both_pools);
	return suite_run("survey", tests);
}
