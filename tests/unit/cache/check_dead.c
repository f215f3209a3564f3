/* SPDX-License-Identifier: MIT */
#include "cache/dead.h"

#include <errno.h>

#include "tests/unit/support/writes.h"

#define KEY "a key of the usual size"

static uint32_t counted(const struct world *world, uint32_t segment)
{
	return load_relaxed(&world->arena->table[segment].dead_units);
}

/* The segment in which the next object of this class will be, which has room for more. */
static uint32_t begun_segment(struct world *world)
{
	put(world, KEY, "value");
	return world->self.thread.allocator->runs[0].segment;
}

static uint32_t generation_of(const struct world *world, uint32_t segment)
{
	return segment_load(world->arena, segment).generation;
}

START_TEST(test_told_when_there_are_so_many)
{
	struct world world;
	uint32_t segment, generation, before;

	world_start(&world, MIB);
	segment = begun_segment(&world);
	generation = generation_of(&world, segment);
	before = counted(&world, segment);
	for (uint32_t round = 0; round < 2; round++, before += DEAD_NOTES * 3) {
		for (uint32_t i = 1; i < DEAD_NOTES; i++)
			dead_note(&world.self.thread, segment, generation, 3 * OBJECT_UNIT);
		ck_assert_uint_eq(counted(&world, segment), before);
		dead_note(&world.self.thread, segment, generation, 3 * OBJECT_UNIT);
		ck_assert_uint_eq(counted(&world, segment), before + DEAD_NOTES * 3);
	}
	world_stop(&world);
}
END_TEST

START_TEST(test_large_one_is_told_at_once)
{
	struct world world;
	uint32_t segment, generation, before;

	world_start(&world, MIB);
	segment = begun_segment(&world);
	generation = generation_of(&world, segment);
	before = counted(&world, segment);
	dead_note(&world.self.thread, segment, generation, DEAD_NOTE_BYTES);
	ck_assert_uint_eq(counted(&world, segment), before);
	dead_note(&world.self.thread, segment, generation, DEAD_NOTE_BYTES + OBJECT_UNIT);
	ck_assert_uint_eq(counted(&world, segment), before + 2 * DEAD_NOTE_BYTES / OBJECT_UNIT + 1);
	world_stop(&world);
}
END_TEST

START_TEST(test_told_when_the_thread_ends)
{
	struct client client;
	struct world world;
	uint32_t segment, before;

	world_start(&world, MIB);
	client_start(&world, &client);
	segment = begun_segment(&world);
	before = counted(&world, segment);
	dead_note(&client.thread, segment, generation_of(&world, segment), OBJECT_UNIT);
	cache_thread_stop(&client.thread);
	ck_assert_uint_eq(counted(&world, segment), before + 1);
	ck_assert_int_eq(cache_thread_start(&client.cache, &client.thread), 0);
	client_stop(&client);
	ck_assert_uint_eq(counted(&world, segment), before + 1);
	world_stop(&world);
}
END_TEST

/* Whoever waits for memory has told what there is to be had. */
START_TEST(test_told_before_waiting)
{
	struct write_request request = write_of(WRITE_SET, "another", "value");
	struct write_result result;
	struct client client;
	struct world world;
	uint32_t segment, before, taken, index;

	world_start(&world, MIB);
	client_start_waiting(&world, &client, false, 1);
	segment = begun_segment(&world);
	before = counted(&world, segment);
	while (segment_take_reserve(world.arena, &taken))
		;
	for (index = 0; index < world.arena->segment_count; index++)
		segment_change(world.arena, index, SEGMENT_OPEN, SEGMENT_CONDEMNED);
	dead_note(&client.thread, segment, generation_of(&world, segment), OBJECT_UNIT);
	ck_assert_int_eq(cache_write(&client.thread, &request, &result), -EAGAIN);
	ck_assert_uint_eq(counted(&world, segment), before + 1);
	client_stop(&client);
	world_stop(&world);
}
END_TEST

START_TEST(test_next_life_is_not_told)
{
	struct world world;
	uint32_t segment, before;

	world_start(&world, MIB);
	segment = begun_segment(&world);
	before = counted(&world, segment);
	dead_note(&world.self.thread, segment, generation_of(&world, segment) - 1, OBJECT_UNIT);
	dead_tell(&world.self.thread);
	ck_assert_uint_eq(counted(&world, segment), before);
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("dead");

	tcase_add_test(tests, test_told_when_there_are_so_many);
	tcase_add_test(tests, test_large_one_is_told_at_once);
	tcase_add_test(tests, test_told_when_the_thread_ends);
	tcase_add_test(tests, test_told_before_waiting);
	tcase_add_test(tests, test_next_life_is_not_told);
	return suite_run("dead", tests);
}
