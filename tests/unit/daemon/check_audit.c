/* SPDX-License-Identifier: MIT */
#include "daemon/audit.h"

#include <time.h>

#include "tests/unit/daemon/house.h"

static uint64_t compacted_segments(const struct house *house)
{
	return load_relaxed(&house->arena->header->compacted_segments);
}

/* As a writer that is killed when it has taken what is left of the segment. */
static void take_rest(const struct house *house, uint32_t segment)
{
	struct segment_word word = segment_load(house->arena, segment);
	uint32_t generation, chunk, taken;

	ck_assert(segment_take_chunks(house->arena, segment_slab(word), house->arena->chunks - word.next_chunk,
	                              arena_now_ms(house->arena), &taken, &generation, &chunk));
	ck_assert_uint_eq(taken, segment);
}

static uint32_t put_many(struct house *house, uint32_t begin, uint32_t end)
{
	char key[16], value[512];

	memset(value, 'v', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	for (uint32_t i = begin; i < end; i++) {
		snprintf(key, sizeof key, "%u", i);
		put(&house->world, key, value);
	}
	snprintf(key, sizeof key, "%u", begin);
	return house_segment(house, key);
}

static void delete_many(struct house *house, uint32_t begin, uint32_t end)
{
	for (uint32_t i = begin; i < end; i++) {
		char key[16];

		snprintf(key, sizeof key, "%u", i);
		ck_assert_int_eq(simple_write(&house->world, WRITE_DELETE, key, NULL), 0);
	}
}

static void wait_and_work(struct house *house)
{
	world_advance(&house->world, AUDIT_AGE_MS);
	for (int i = 0; i < 100; i++) {
		world_advance(&house->world, AUDIT_PAUSE_MS);
		house_work(house);
	}
}

START_TEST(test_run_of_a_killed_writer_comes_back)
{
	struct house house;
	uint32_t segment;

	house_start(&house, 8 * MIB, NEVER_MS);
	put(&house.world, "key", "value");
	segment = house_segment(&house, "key");
	take_rest(&house, segment);
	house_work(&house);
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_OPEN); /* its owners may still be at it */
	wait_and_work(&house);
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_FREE);
	ck_assert_uint_eq(compacted_segments(&house), 1);
	expect_value(&house.world, "key", "value");
	expect_sound(&house.world);
	house_stop(&house);
}
END_TEST

/* Who holds a view may do so for hours: what others left comes back all the same. */
START_TEST(test_held_view_keeps_nothing_else)
{
	struct larder_view view;
	struct house house;
	uint32_t segment, viewed;

	house_start(&house, 8 * MIB, NEVER_MS);
	put_with(&house.world, "viewed", "value", 1000, 0);
	viewed = house_segment(&house, "viewed");
	ck_assert_int_eq(cache_view(&house.guest.thread, "viewed", 6, &view), 0);
	put(&house.world, "key", "value");
	segment = house_segment(&house, "key");
	take_rest(&house, segment);
	for (int i = 0; i < 500 && house_state(&house, segment) != SEGMENT_FREE; i++) {
		const struct timespec moment = { 0, NS_PER_MS };

		wait_and_work(&house);
		nanosleep(&moment, NULL); /* at first the view may be released any moment */
	}
	ck_assert_int_eq(house_state(&house, viewed), SEGMENT_CONDEMNED);
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_FREE);
	expect_value(&house.world, "key", "value");
	cache_release(&house.guest.cache, &view);
	house_stop(&house);
}
END_TEST

START_TEST(test_what_is_in_use_stays)
{
	uint32_t segment, objects;
	struct house house;

	house_start(&house, 8 * MIB, NEVER_MS);
	objects = (uint32_t)(house.arena->segment_bytes * 5 / 8 / 540);
	segment = put_many(&house, 0, objects);
	take_rest(&house, segment);
	wait_and_work(&house);
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_OPEN);
	ck_assert_uint_eq(load_relaxed(&house.arena->table[segment].dead_units), 0);
	/* A fifth more makes it less than half, though what is counted is far from that. */
	delete_many(&house, 0, objects * 2 / 5);
	wait_and_work(&house);
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_FREE);
	ck_assert_uint_eq(compacted_segments(&house), 1);
	expect_sound(&house.world);
	house_stop(&house);
}
END_TEST

/* Begins an audit of a segment with more objects than are looked at in a step; "early", the first, has been. Return: the segment. */
static uint32_t stop_half_way(struct house *house, struct audit *audit)
{
	uint32_t segment;

	house_start(house, 64 * MIB, NEVER_MS);
	put(&house->world, "early", "value");
	for (uint64_t bytes = 0; bytes < house->arena->segment_bytes / 2; bytes += 32)
		put(&house->world, "the same", "value");
	segment = house_segment(house, "the same");
	take_rest(house, segment);
	ck_assert_int_eq(audit_init(audit, house->arena), 0);
	world_advance(&house->world, AUDIT_AGE_MS);
	audit_step(audit);
	ck_assert(audit->walking);
	ck_assert_uint_eq(audit->walk.segment, segment);
	return segment;
}

START_TEST(test_segment_that_is_given_back_meanwhile)
{
	struct house house;
	struct audit audit;
	uint32_t segment = stop_half_way(&house, &audit);

	ck_assert(segment_change(house.arena, segment, SEGMENT_OPEN, SEGMENT_CONDEMNED));
	world_advance(&house.world, AUDIT_PAUSE_MS);
	audit_step(&audit);
	ck_assert(!audit.walking);
	audit_destroy(&audit);
	house_stop(&house);
}
END_TEST

START_TEST(test_count_that_changes_meanwhile)
{
	struct house house;
	struct audit audit;
	uint32_t segment = stop_half_way(&house, &audit);
	struct object_view early, same;

	put(&house.world, "early", "seen, and elsewhere now");
	put(&house.world, "the same", "not seen");
	for (int i = 0; i < 20; i++) {
		world_advance(&house.world, 250);
		audit_step(&audit);
	}
	/* What the writers counted was not written over, and the segment looked at again. */
	look_up(&house.world, "early", &early);
	look_up(&house.world, "the same", &same);
	ck_assert_uint_eq(early.offset >> house.arena->segment_shift, segment);
	ck_assert_uint_eq(same.offset >> house.arena->segment_shift, segment);
	ck_assert_uint_eq(load_relaxed(&house.arena->table[segment].dead_units),
	                  (house.arena->segment_bytes - early.size - same.size) / OBJECT_UNIT);
	audit_destroy(&audit);
	house_stop(&house);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("audit");

	tcase_add_test(tests, test_run_of_a_killed_writer_comes_back);
	tcase_add_test(tests, test_held_view_keeps_nothing_else);
	tcase_add_test(tests, test_what_is_in_use_stays);
	tcase_add_test(tests, test_segment_that_is_given_back_meanwhile);
	tcase_add_test(tests, test_count_that_changes_meanwhile);
	return suite_run("audit", tests);
}
