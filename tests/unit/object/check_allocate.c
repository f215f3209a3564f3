/* SPDX-License-Identifier: MIT */
#include "object/allocate.h"

#include <errno.h>

#include "object/walk.h"
#include "tests/unit/support/objects.h"
#include "tests/unit/support/threads.h"

static int begin(struct client *client, uint64_t size, uint64_t expires_ms, struct allocation *ret_room)
{
	struct cache_thread *thread = &client->thread;

	return allocate_begin(thread->allocator, &thread->reader, &client->cache.arena, POOL_PROBATION, size,
	                      expires_ms, 1000, ret_room);
}

static void commit(struct client *client)
{
	allocate_commit(&client->thread.reader);
}

static struct allocation room_of(struct client *client, uint64_t size, uint64_t expires_ms)
{
	struct allocation room = { 0 };

	ck_assert_int_eq(begin(client, size, expires_ms, &room), 0);
	commit(client);
	return room;
}

static uint64_t pinned(const struct client *client)
{
	return load_relaxed(&client->thread.reader.line->write_pin);
}

/* Largest object that fits. */
static uint64_t most(const struct arena *arena)
{
	return arena->segment_bytes - sizeof(struct chunk_header);
}

START_TEST(test_objects_of_a_run_follow_each_other)
{
	struct world world;
	struct allocation first, next;

	world_start(&world, MIB);
	first = room_of(&world.self, 64, 0);
	ck_assert_uint_eq(first.offset % CHUNK_BYTES, sizeof(struct chunk_header));
	ck_assert_uint_eq(first.offset >> world.arena->segment_shift, first.segment);
	for (uint64_t end = first.offset + 64; end + 64 <= first.end; end += 64) {
		next = room_of(&world.self, 64, 0);
		ck_assert_uint_eq(next.offset, end);
		ck_assert_uint_eq(next.segment, first.segment);
	}
	next = room_of(&world.self, 64, 0);
	ck_assert_uint_eq(next.offset, first.end + sizeof(struct chunk_header));
	world_stop(&world);
}
END_TEST

START_TEST(test_segment_is_pinned_while_the_object_is_written)
{
	struct world world;
	struct allocation room;

	world_start(&world, MIB);
	for (int i = 0; i < 2; i++) { /* with a new run, and with a run there is */
		ck_assert_int_eq(begin(&world.self, 64, 0, &room), 0);
		ck_assert_uint_eq(pinned(&world.self), room.segment + 1);
		allocate_commit(&world.self.thread.reader);
		ck_assert_uint_eq(pinned(&world.self), 0);
	}
	ck_assert_int_eq(begin(&world.self, 64, 0, &room), 0);
	allocate_cancel(world.self.thread.allocator, &world.self.thread.reader, world.arena, &room);
	ck_assert_uint_eq(pinned(&world.self), 0);
	world_stop(&world);
}
END_TEST

START_TEST(test_what_was_given_last_is_cancelled)
{
	struct world world;
	struct allocation before, room, again;
	struct object *object;

	world_start(&world, MIB);
	before = room_of(&world.self, 64, 0);
	ck_assert_int_eq(begin(&world.self, 96, 0, &room), 0);
	object = (struct object *)(void *)(world.arena->base + room.offset);
	store_relaxed(&object->head, 1);
	allocate_cancel_last(world.self.thread.allocator, &world.self.thread.reader, world.arena, room.slab, 96);
	ck_assert_uint_eq(pinned(&world.self), 0);
	ck_assert_uint_eq(load_relaxed(&object->head), 0);
	again = room_of(&world.self, 32, 0);
	ck_assert_uint_eq(again.offset, before.offset + 64);
	ck_assert_uint_eq(again.end, before.end);
	ck_assert_uint_eq(again.segment, before.segment);
	ck_assert_uint_eq(again.generation, before.generation);
	world_stop(&world);
}
END_TEST

START_TEST(test_each_class_has_its_own_run)
{
	struct world world;
	struct allocation forever, second, hour;

	world_start(&world, MIB);
	forever = room_of(&world.self, 64, 0);
	second = room_of(&world.self, 64, 1000 + 500);
	hour = room_of(&world.self, 64, 1000 + 3600000);
	ck_assert_uint_eq(forever.slab, 0);
	ck_assert_uint_eq(second.slab, segment_slab_for(world.arena, 0, POOL_PROBATION, 500));
	ck_assert_uint_eq(hour.slab, segment_slab_for(world.arena, 0, POOL_PROBATION, 3600000));
	ck_assert_uint_ne(forever.segment, second.segment);
	ck_assert_uint_ne(forever.segment, hour.segment);
	ck_assert_uint_ne(second.segment, hour.segment);
	ck_assert_uint_eq(room_of(&world.self, 64, 0).offset, forever.offset + 64);
	ck_assert_uint_eq(room_of(&world.self, 64, 1000 + 10).offset, second.offset + 64);
	/* one whose life is over already, or just now, still has an end */
	ck_assert_uint_eq(room_of(&world.self, 64, 1000).slab, second.slab);
	ck_assert_uint_eq(room_of(&world.self, 64, 1).slab, second.slab);
	world_stop(&world);
}
END_TEST

START_TEST(test_segment_outlives_its_objects)
{
	struct world world;
	struct allocation room;

	world_start(&world, MIB);
	ck_assert_int_eq(begin(&world.self, 64, 1000 + 300, &room), 0);
	ck_assert_uint_ge(load_relaxed(&world.arena->table[room.segment].expires_ms), 1300);
	commit(&world.self);
	room = room_of(&world.self, 64, 1000 + 1999);
	ck_assert_uint_ge(load_relaxed(&world.arena->table[room.segment].expires_ms), 2999);
	world_stop(&world);
}
END_TEST

START_TEST(test_runs_grow_with_their_objects)
{
	struct world world;
	static const uint64_t sizes[] = { 16, 24, 1000, 2048, 4000, 16376, 16384, 50000 };

	world_start(&world, 64 * MIB);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct client client;
		struct allocation room;

		client_start(&world, &client);
		room = room_of(&client, sizes[i], 0);
		ck_assert_uint_ge(room.end - room.offset, sizes[i]);
		ck_assert_uint_ge(room.end - room.offset, sizes[i] < 15000 ? sizes[i] * 4 : sizes[i]);
		ck_assert_uint_le(room.end - room.offset, sizes[i] < 2048 ? 16384 : 131072);
		if (sizes[i] > 16384)
			ck_assert_uint_lt(room.end - room.offset - sizes[i], CHUNK_BYTES);
		client_stop(&client);
	}
	world_stop(&world);
}
END_TEST

START_TEST(test_objects_as_large_as_a_segment)
{
	static const uint64_t bytes[] = { MIB, 4 * MIB, 64 * MIB };

	for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++) {
		struct world world;
		struct allocation room;

		world_start(&world, bytes[i]);
		room = room_of(&world.self, most(world.arena), 0);
		ck_assert_uint_eq(room.offset + most(world.arena), room.end);
		ck_assert_uint_eq(room.end, (uint64_t)(room.segment + 1) << world.arena->segment_shift);
		room = room_of(&world.self, most(world.arena), 0);
		ck_assert_uint_eq(room.offset + most(world.arena), room.end);
		world_stop(&world);
	}
}
END_TEST

START_TEST(test_large_object_leaves_the_run_of_small_ones)
{
	struct world world;
	struct allocation small, large;

	world_start(&world, MIB);
	small = room_of(&world.self, 64, 0);
	large = room_of(&world.self, most(world.arena), 0);
	ck_assert_uint_ne(large.segment, small.segment);
	ck_assert_uint_eq(room_of(&world.self, 64, 0).offset, small.offset + 64);
	world_stop(&world);
}
END_TEST

START_TEST(test_full_arena)
{
	struct world world;
	struct allocation room;
	uint32_t objects = 0;

	world_start(&world, MIB);
	while (begin(&world.self, most(world.arena), 0, &room) == 0) {
		commit(&world.self);
		objects++;
	}
	ck_assert_uint_eq(objects, world.segments - world.arena->system_segments - 1);
	ck_assert_int_eq(begin(&world.self, most(world.arena), 0, &room), -EAGAIN);
	ck_assert_uint_eq(pinned(&world.self), 0);
	ck_assert_int_eq(begin(&world.self, 16, 5000, &room), -EAGAIN);
	world_stop(&world);
}
END_TEST

START_TEST(test_new_segment_is_told_to_the_caller)
{
	struct world world;
	struct allocator *allocator;

	world_start(&world, MIB);
	allocator = world.self.thread.allocator;
	room_of(&world.self, 64, 0);
	ck_assert(allocator->took_segment);
	allocator->took_segment = false;
	room_of(&world.self, 64, 0);
	ck_assert(!allocator->took_segment);
	room_of(&world.self, most(world.arena), 0);
	ck_assert(allocator->took_segment);
	world_stop(&world);
}
END_TEST

START_TEST(test_run_of_a_condemned_segment_is_forgotten)
{
	struct world world;
	struct allocation first, second;

	world_start(&world, MIB);
	first = room_of(&world.self, 64, 0);
	ck_assert(segment_change(world.arena, first.segment, SEGMENT_OPEN, SEGMENT_CONDEMNED));
	second = room_of(&world.self, 64, 0);
	ck_assert_uint_ne(second.segment, first.segment);
	ck_assert_uint_eq(room_of(&world.self, 64, 0).offset, second.offset + 64);
	world_stop(&world);
}
END_TEST

START_TEST(test_run_of_a_former_life_is_forgotten)
{
	struct world world;
	struct allocation first, second;

	world_start(&world, MIB);
	first = room_of(&world.self, 64, 0);
	ck_assert(segment_change(world.arena, first.segment, SEGMENT_OPEN, SEGMENT_CONDEMNED));
	ck_assert(segment_change(world.arena, first.segment, SEGMENT_CONDEMNED, SEGMENT_RETIRED));
	segment_recycle(world.arena, first.segment);
	store_relaxed(&world.arena->header->search_hint, first.segment);
	second = room_of(&world.self, 64, 0);
	ck_assert_uint_eq(second.segment, first.segment);
	ck_assert_uint_eq(second.offset, first.offset);
	ck_assert_uint_eq(second.generation, first.generation + 1);
	world_stop(&world);
}
END_TEST

START_TEST(test_cancelled_room_is_used_again)
{
	struct world world;
	struct cache_thread *thread = &world.self.thread;
	struct allocation first, cancelled;
	struct object_walk walk;
	struct object_view view;
	struct key key;

	world_start(&world, MIB);
	first = room_of(&world.self, 64, 0);
	key = key_of(world.arena, 1);
	for (int i = 0; i < 3; i++) {
		struct object_plan plan = { .key = key.text, .key_size = key.size, .value_size = 40 };

		ck_assert_int_eq(begin(&world.self, 64, 0, &cancelled), 0);
		ck_assert_uint_eq(cancelled.offset, first.offset + 64);
		object_write(world.arena, cancelled.offset, &plan);
		object_complete(world.arena, cancelled.offset, &plan);
		allocate_cancel(thread->allocator, &thread->reader, world.arena, &cancelled);
		/* the first, which the test never wrote, has no head either */
		walk = (struct object_walk){ .segment = first.segment };
		ck_assert(!object_parse(world.arena, cancelled.offset, &view));
	}
	ck_assert_uint_eq(room_of(&world.self, 24, 0).offset, first.offset + 64);
	ck_assert(!object_walk_next(world.arena, &walk, &view));
	world_stop(&world);
}
END_TEST

START_TEST(test_cancelled_large_object)
{
	struct world world;
	struct cache_thread *thread = &world.self.thread;
	struct allocation small, large;

	world_start(&world, MIB);
	small = room_of(&world.self, 64, 0);
	ck_assert_int_eq(begin(&world.self, most(world.arena), 0, &large), 0);
	allocate_cancel(thread->allocator, &thread->reader, world.arena, &large);
	ck_assert_uint_eq(room_of(&world.self, most(world.arena), 0).offset, large.offset);
	ck_assert_uint_ne(room_of(&world.self, 64, 0).segment, large.segment);
	ck_assert_uint_ne(small.segment, large.segment);
	world_stop(&world);
}
END_TEST

/* ---- many at once -------------------------------------------------------------------------------------------------- */

#define WRITERS 4
#define OBJECTS 2000

struct crowd {
	struct world world;
	struct client clients[WRITERS];
};

static void write_objects(void *context, uint32_t number)
{
	struct crowd *crowd = context;
	struct cache_thread *thread = &crowd->clients[number].thread;
	struct random random = { number };
	unsigned char key[200];

	memset(key, (int)number + 1, sizeof key);
	for (uint32_t i = 0; i < OBJECTS; i++) {
		struct object_plan plan = {
			.key = key,
			.key_size = 1 + random_below(&random, sizeof key),
			.value_size = random_below(&random, random_below(&random, 50) ? 300 : 30000),
		};

		object_make(thread, &plan, (int)number + 1);
	}
}

/* Had two writers been given the same bytes, one's object would have been spoilt by the other. */
START_TEST(test_no_two_objects_overlap)
{
	static struct crowd crowd;
	uint32_t found[WRITERS] = { 0 };

	world_start(&crowd.world, 16 * MIB);
	for (int i = 0; i < WRITERS; i++)
		client_start(&crowd.world, &crowd.clients[i]);
	threads_run(WRITERS, write_objects, &crowd);
	for (uint32_t segment = 0; segment < crowd.world.segments; segment++) {
		struct object_walk walk = { .segment = segment };
		struct object_view view;

		if (segment_load(crowd.world.arena, segment).state != SEGMENT_OPEN)
			continue;
		while (object_walk_next(crowd.world.arena, &walk, &view)) {
			uint32_t writer = view.key[0] - 1u;

			expect(writer < WRITERS);
			found[writer]++;
			for (uint32_t i = 0; i < view.key_size; i++)
				expect(view.key[i] == writer + 1);
			for (uint32_t i = 0; i < view.value_size; i++)
				expect(view.value[i] == writer + 1);
		}
		ck_assert_uint_eq(walk.faults, 0);
	}
	for (int i = 0; i < WRITERS; i++) {
		ck_assert_uint_eq(found[i], OBJECTS);
		client_stop(&crowd.clients[i]);
	}
	world_stop(&crowd.world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("allocate");

	tcase_add_test(tests, test_objects_of_a_run_follow_each_other);
	tcase_add_test(tests, test_segment_is_pinned_while_the_object_is_written);
	tcase_add_test(tests, test_what_was_given_last_is_cancelled);
	tcase_add_test(tests, test_each_class_has_its_own_run);
	tcase_add_test(tests, test_segment_outlives_its_objects);
	tcase_add_test(tests, test_runs_grow_with_their_objects);
	tcase_add_test(tests, test_objects_as_large_as_a_segment);
	tcase_add_test(tests, test_large_object_leaves_the_run_of_small_ones);
	tcase_add_test(tests, test_full_arena);
	tcase_add_test(tests, test_new_segment_is_told_to_the_caller);
	tcase_add_test(tests, test_run_of_a_condemned_segment_is_forgotten);
	tcase_add_test(tests, test_run_of_a_former_life_is_forgotten);
	tcase_add_test(tests, test_cancelled_room_is_used_again);
	tcase_add_test(tests, test_cancelled_large_object);
	tcase_add_test(tests, test_no_two_objects_overlap);
	return suite_run("allocate", tests);
}
