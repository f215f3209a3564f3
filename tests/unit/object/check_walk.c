/* SPDX-License-Identifier: MIT */
#include "object/walk.h"

#include "tests/unit/support/objects.h"

static uint32_t walk_count(const struct world *world, uint32_t segment, uint32_t *ret_faults)
{
	struct object_walk walk = { .segment = segment };
	struct object_view view;
	uint32_t count = 0;

	while (object_walk_next(world->arena, &walk, &view)) {
		expect(view.offset >> world->arena->segment_shift == segment);
		expect((view.offset + view.size - 1) >> world->arena->segment_shift == segment);
		expect(++count < 10000);
	}
	*ret_faults = walk.faults;
	return count;
}

static void expect_walk(const struct world *world, uint32_t segment, uint32_t objects, uint32_t faults)
{
	uint32_t met;

	ck_assert_uint_eq(walk_count(world, segment, &met), objects);
	ck_assert_uint_eq(met, faults);
}

static struct chunk_header *chunk_of(const struct world *world, uint32_t segment, uint32_t chunk)
{
	return (struct chunk_header *)(void *)(segment_base(world->arena, segment) + chunk * CHUNK_BYTES);
}

static uint32_t take(const struct world *world, uint32_t chunks, uint32_t *ret_chunk)
{
	uint32_t segment, generation;

	ck_assert(segment_take_chunks(world->arena, 0, chunks, 1, &segment, &generation, ret_chunk));
	return segment;
}

START_TEST(test_objects_come_in_order)
{
	struct made made[1000];
	struct world world;
	struct object_walk walk;
	struct object_view view;
	uint32_t number = 0;

	world_start(&world, MIB);
	for (uint32_t i = 0; i < 1000; i++) {
		struct key key = key_of(world.arena, i);

		made[i] = object_for(&world.self.thread, &key, i + 1);
	}
	while (number < 1000) {
		walk = (struct object_walk){ .segment = made[number].segment };
		while (object_walk_next(world.arena, &walk, &view)) {
			ck_assert_uint_lt(number, 1000);
			ck_assert_uint_eq(view.offset, made[number].offset);
			ck_assert_uint_eq(view.version, ++number);
		}
		ck_assert_uint_eq(walk.faults, 0);
		ck_assert(!object_walk_next(world.arena, &walk, &view));
	}
	world_stop(&world);
}
END_TEST

/* Segments come back with all the bytes of their former life, but for the lengths of the runs. */
START_TEST(test_bytes_of_a_former_life_are_no_objects)
{
	static const uint32_t sizes[] = { 0, 8, 100, 3000, 40000 };
	struct world world;
	uint32_t objects = 0, found = 0, faults;

	world_start(&world, MIB);
	for (uint32_t segment = world.arena->system_segments + 1; segment < world.segments; segment++)
		for (uint32_t chunk = 0; chunk < world.arena->chunks; chunk++)
			memset(chunk_of(&world, segment, chunk) + 1, 0x11, CHUNK_BYTES - sizeof(struct chunk_header));
	for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
		for (uint32_t i = 0; i < 3; i++) {
			struct object_plan plan = { .key = "key", .key_size = 3, .value_size = sizes[s] };

			object_make(&world.self.thread, &plan, 0x22);
			objects++;
			found = 0;
			for (uint32_t segment = 0; segment < world.segments; segment++) {
				if (segment_load(world.arena, segment).state == SEGMENT_OPEN) {
					found += walk_count(&world, segment, &faults);
					ck_assert_uint_eq(faults, 0);
				}
			}
			ck_assert_uint_eq(found, objects);
		}
	world_stop(&world);
}
END_TEST

START_TEST(test_segments_without_objects)
{
	struct world world;
	uint32_t segment, chunk;

	world_start(&world, MIB);
	expect_walk(&world, world.segments - 1, 0, 0);
	segment = take(&world, 1, &chunk);
	expect_walk(&world, segment, 0, 0);
	store_relaxed(&chunk_of(&world, segment, 0)->chunks, 1);
	expect_walk(&world, segment, 0, 0); /* a run whose owner has not stored anything */
	world_stop(&world);
}
END_TEST

/* Who is killed after taking chunks and before writing the length of the run hides nobody else's objects. */
START_TEST(test_runs_of_the_dead_are_passed_over)
{
	struct key key;
	struct world world;
	struct made made;
	uint32_t segment, chunk;

	world_start(&world, MIB);
	key = key_of(world.arena, 1);
	segment = take(&world, 2, &chunk);
	made = object_for(&world.self.thread, &key, 1);
	ck_assert_uint_eq(made.segment, segment);
	expect_walk(&world, segment, 1, 0);
	world_stop(&world);
}
END_TEST

START_TEST(test_object_that_was_never_completed_ends_its_run)
{
	struct key keys[2];
	struct world world;
	struct made made;
	struct allocation room;

	world_start(&world, MIB);
	for (uint32_t i = 0; i < 2; i++)
		keys[i] = key_of(world.arena, i);
	made = object_for(&world.self.thread, &keys[0], 1);
	ck_assert_int_eq(allocate_begin(world.self.thread.allocator, &world.self.thread.reader, world.arena,
	                                POOL_PROBATION, 48, 0, 1, &room),
	                 0);
	memset(world.arena->base + room.offset + 8, 0xff,
	       40); /* all but the head is written, then its writer is killed */
	expect_walk(&world, made.segment, 1, 0);
	world_stop(&world);
}
END_TEST

START_TEST(test_impossible_run_lengths_are_faults)
{
	static const uint32_t lengths[] = { 5, 6, 1000, UINT32_MAX };
	struct key key;
	struct world world;
	struct made made;

	world_start(&world, MIB);
	key = key_of(world.arena, 1);
	made = object_for(&world.self.thread, &key, 1);
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		store_relaxed(&chunk_of(&world, made.segment, 0)->chunks, lengths[i]);
		expect_walk(&world, made.segment, 0, 1);
	}
	world_stop(&world);
}
END_TEST

START_TEST(test_object_beyond_its_run_is_a_fault)
{
	struct key keys[3];
	struct world world;
	struct made made;
	struct object *object;

	world_start(&world, MIB);
	for (uint32_t i = 0; i < 3; i++) {
		keys[i] = key_of(world.arena, i);
		made = object_for(&world.self.thread, &keys[i], i + 1);
	}
	object = (struct object *)(void *)(world.arena->base + made.offset);
	store_relaxed(&object->head, UINT64_C(20000) << OBJECT_VALUE_SIZE_SHIFT | keys[2].size); /* over a chunk */
	expect_walk(&world, made.segment, 2, 1);
	store_relaxed(&object->head, (uint64_t)UINT32_MAX << OBJECT_VALUE_SIZE_SHIFT | keys[2].size);
	expect_walk(&world, made.segment, 2, 1);
	world_stop(&world);
}
END_TEST

START_TEST(test_chunks_not_taken_are_not_looked_at)
{
	struct key key;
	struct world world;
	struct made made;

	world_start(&world, MIB);
	key = key_of(world.arena, 1);
	made = object_for(&world.self.thread, &key, 1);
	memset(chunk_of(&world, made.segment, segment_load(world.arena, made.segment).next_chunk), 0xff, CHUNK_BYTES);
	expect_walk(&world, made.segment, 1, 0);
	world_stop(&world);
}
END_TEST

START_TEST(test_any_bytes_end_the_walk)
{
	struct random random = { 6 };
	struct world world;
	uint32_t segment, chunk, faults, met = 0;

	world_start(&world, MIB);
	segment = take(&world, world.arena->chunks, &chunk);
	for (int round = 0; round < 100; round++) {
		random_bytes(&random, segment_base(world.arena, segment), world.arena->segment_bytes);
		for (uint32_t c = 0; c < world.arena->chunks; c++)
			if (random_below(&random, 4))
				store_relaxed(&chunk_of(&world, segment, c)->chunks, random_below(&random, 6));
		/* a state word that says there are more chunks than there can be */
		store_relaxed(&world.arena->table[segment].state,
		              segment_pack((struct segment_word){ .state = SEGMENT_OPEN, .next_chunk = 0xffff }));
		walk_count(&world, segment, &faults);
		met += faults;
	}
	ck_assert_uint_gt(met, 0);
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("object walk");

	tcase_add_test(tests, test_objects_come_in_order);
	tcase_add_test(tests, test_bytes_of_a_former_life_are_no_objects);
	tcase_add_test(tests, test_segments_without_objects);
	tcase_add_test(tests, test_runs_of_the_dead_are_passed_over);
	tcase_add_test(tests, test_object_that_was_never_completed_ends_its_run);
	tcase_add_test(tests, test_impossible_run_lengths_are_faults);
	tcase_add_test(tests, test_object_beyond_its_run_is_a_fault);
	tcase_add_test(tests, test_chunks_not_taken_are_not_looked_at);
	tcase_add_test(tests, test_any_bytes_end_the_walk);
	return suite_run("object walk", tests);
}
