/* SPDX-License-Identifier: MIT */
#include "arena/ghost.h"

#include "tests/unit/support/world.h"

#define CAPACITY(arena) ((arena)->ghost_lines * GHOSTS_PER_LINE)

START_TEST(test_ghost_is_remembered)
{
	struct world world;
	struct random random = { 1 };
	uint32_t strangers = 0;

	world_start(&world, 2 * MIB);
	ghost_set_window(world.arena, CAPACITY(world.arena));
	for (uint64_t i = 0; i < CAPACITY(world.arena) / 4; i++)
		ghost_add(world.arena, random_next(&random));
	random = (struct random){ 1 };
	for (uint64_t i = 0; i < CAPACITY(world.arena) / 4; i++)
		ck_assert(ghost_contains(world.arena, random_next(&random)));
	for (uint32_t i = 0; i < 10000; i++)
		strangers += ghost_contains(world.arena, random_next(&random));
	ck_assert_uint_lt(strangers, 10000 / 100);
	world_stop(&world);
}
END_TEST

START_TEST(test_ghosts_fade_after_the_window)
{
	struct world world;
	struct random random = { 1 };
	uint64_t window, old = 0x123456789abcdef;
	uint32_t remembered = 0;

	world_start(&world, 2 * MIB);
	window = CAPACITY(world.arena) / 4;
	ghost_set_window(world.arena, window);
	ghost_add(world.arena, old);
	for (uint64_t i = 0; i < window / 2; i++)
		ghost_add(world.arena, random_next(&random));
	ck_assert(ghost_contains(world.arena, old));
	/* the table's clock has a grain of a sixteenth of the table */
	for (uint64_t i = 0; i < window; i++)
		ghost_add(world.arena, random_next(&random));
	ck_assert(!ghost_contains(world.arena, old));
	/* many times the table later, most of what is told apart by its time is still told apart rightly */
	for (uint64_t i = 0; i < 10 * CAPACITY(world.arena); i++)
		ghost_add(world.arena, random_next(&random));
	random = (struct random){ 1 };
	for (uint32_t i = 0; i < 1000; i++)
		remembered += ghost_contains(world.arena, random_next(&random));
	ck_assert_uint_lt(remembered, 50);
	world_stop(&world);
}
END_TEST

START_TEST(test_adding_again_takes_no_second_place)
{
	struct world world;
	uint64_t hash = 0xfeedfacecafebeef;
	uint32_t used = 0;

	world_start(&world, MIB);
	for (int i = 0; i < 100; i++)
		ghost_add(world.arena, hash);
	for (uint64_t line = 0; line < world.arena->ghost_lines; line++)
		for (uint32_t i = 0; i < GHOSTS_PER_LINE; i++)
			used += load_relaxed(&world.arena->ghosts[line].ghosts[i]) != 0;
	ck_assert_uint_eq(used, 1);
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("ghost");

	tcase_add_test(tests, test_ghost_is_remembered);
	tcase_add_test(tests, test_ghosts_fade_after_the_window);
	tcase_add_test(tests, test_adding_again_takes_no_second_place);
	return suite_run("ghost", tests);
}
