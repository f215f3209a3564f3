/* SPDX-License-Identifier: MIT */
#include "arena/extent.h"

#include "tests/unit/support/world.h"

#define FIRST 8
#define TENANT 3

/* As the keeper does. */
static void offer(const struct world *world, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		ck_assert(segment_change(world->arena, FIRST + i, SEGMENT_FREE, SEGMENT_RESERVE));
	extent_offer(world->arena, FIRST, length, 1);
}

static bool take(const struct world *world, uint32_t length)
{
	uint32_t segment, generation;
	bool taken = extent_take(world->arena, TENANT * TENANT_SLABS + TTL_CLASSES + 5, length, 2, &segment,
	                         &generation);

	if (taken)
		ck_assert_uint_eq(segment, FIRST);
	return taken;
}

START_TEST(test_words_of_an_extent)
{
	struct segment_word word;
	struct world world;

	world_start(&world, 2 * MIB);
	offer(&world, 5);
	word = segment_load(world.arena, FIRST);
	ck_assert_int_eq(word.state, SEGMENT_READY);
	ck_assert_uint_eq(extent_length(world.arena, FIRST, word), 5);
	ck_assert(take(&world, 5));
	word = segment_load(world.arena, FIRST);
	ck_assert_int_eq(word.state, SEGMENT_OPEN);
	ck_assert_uint_eq(word.tenant, TENANT);
	ck_assert_uint_eq(word.pool, POOL_MAIN);
	ck_assert_uint_eq(word.ttl_class, 5);
	ck_assert_uint_eq(extent_length(world.arena, FIRST, word), 5);
	for (uint32_t i = 1; i < 5; i++)
		ck_assert_int_eq(segment_load(world.arena, FIRST + i).state, SEGMENT_EXTENT);
	ck_assert(!take(&world, 5)); /* once is all */
	world_stop(&world);
}
END_TEST

/* One that is too short would reach into what comes after it. */
START_TEST(test_only_what_is_long_enough)
{
	struct world world;

	world_start(&world, 2 * MIB);
	offer(&world, 6);
	ck_assert(!take(&world, 7));
	ck_assert(!take(&world, 8));
	ck_assert(!take(&world, 4)); /* another class */
	ck_assert(!take(&world, 9));
	ck_assert_int_eq(segment_load(world.arena, FIRST).state, SEGMENT_READY);
	ck_assert(take(&world, 5));
	ck_assert_uint_eq(extent_length(world.arena, FIRST, segment_load(world.arena, FIRST)), 5);
	world_stop(&world);
}
END_TEST

START_TEST(test_only_what_the_tenant_may_have)
{
	struct world world;
	atomic_u32 *room;

	world_start(&world, 2 * MIB);
	room = &world.arena->header->tenants[TENANT].room;
	offer(&world, 5);
	segment_set_room(world.arena, TENANT, 4);
	ck_assert(!take(&world, 5));
	ck_assert_uint_eq(load_relaxed(room), 4);
	segment_set_room(world.arena, TENANT, 7);
	ck_assert(take(&world, 5));
	ck_assert_uint_eq(load_relaxed(room), 2);
	segment_set_room(world.arena, TENANT, 10);
	ck_assert(!take(&world, 5)); /* there is none */
	ck_assert_uint_eq(load_relaxed(room), 10);
	world_stop(&world);
}
END_TEST

START_TEST(test_wishes_only_grow)
{
	struct world world;

	world_start(&world, 2 * MIB);
	extent_want(world.arena, TENANT, 6);
	extent_want(world.arena, TENANT, 5);
	extent_want(world.arena, TENANT, 3);
	ck_assert_uint_eq(load_relaxed(&world.arena->header->extent_wanted[extent_class(5)]), 6);
	ck_assert_uint_eq(load_relaxed(&world.arena->header->extent_wanted[extent_class(3)]), 3);
	ck_assert_uint_eq(load_relaxed(&world.arena->header->tenants[TENANT].wanted), 6);
	world_stop(&world);
}
END_TEST

/* Whatever the word says, what it covers lies in the arena. */
START_TEST(test_any_word)
{
	struct world world;

	world_start(&world, 2 * MIB);
	for (uint32_t state = 0; state < 16; state++)
		for (uint32_t chunks = 0; chunks <= UINT16_MAX; chunks += 7) {
			struct segment_word word = { .state = (enum segment_state)state, .next_chunk = chunks };
			uint32_t length = extent_length(world.arena, FIRST, word);

			ck_assert_uint_ge(length, 1);
			ck_assert_uint_le(length, world.segments - FIRST);
			ck_assert(length == 1 || length * world.arena->chunks == chunks);
		}
	world_stop(&world);
}
END_TEST

START_TEST(test_lengths)
{
	struct world world;
	uint64_t bytes;

	world_start(&world, 2 * MIB);
	bytes = world.arena->segment_bytes;
	ck_assert_uint_eq(extent_length_for(world.arena, bytes - sizeof(struct chunk_header)), 1);
	ck_assert_uint_eq(extent_length_for(world.arena, bytes), 2);
	ck_assert_uint_eq(extent_length_for(world.arena, 3 * bytes - sizeof(struct chunk_header)), 3);
	ck_assert_uint_eq(extent_class(2), 0);
	ck_assert_uint_eq(extent_class(3), 1);
	ck_assert_uint_eq(extent_class(4), 1);
	ck_assert_uint_eq(extent_class(5), 2);
	ck_assert_uint_eq(extent_class(UINT32_MAX), EXTENT_CLASSES - 1);
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("extent");

	tcase_add_test(tests, test_words_of_an_extent);
	tcase_add_test(tests, test_only_what_is_long_enough);
	tcase_add_test(tests, test_only_what_the_tenant_may_have);
	tcase_add_test(tests, test_wishes_only_grow);
	tcase_add_test(tests, test_any_word);
	tcase_add_test(tests, test_lengths);
	return suite_run("extent", tests);
}
