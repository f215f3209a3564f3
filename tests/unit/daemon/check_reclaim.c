/* SPDX-License-Identifier: MIT */
#include "daemon/reclaim.h"

#include "epoch/grace.h"
#include "index/split.h"
#include "tests/unit/daemon/house.h"

static uint64_t expired_segments(const struct house *house)
{
	return load_relaxed(&house->arena->header->expired_segments);
}

static uint64_t evicted_segments(const struct house *house)
{
	return load_relaxed(&house->arena->header->evicted_segments);
}

/* ---- expiry ------------------------------------------------------------------------------------------------------------ */

START_TEST(test_segment_goes_when_all_in_it_has_expired)
{
	struct house house;
	uint32_t segment, sequence;

	house_start(&house, MIB, NEVER_MS);
	put(&house.world, "for ever", "value");
	put_with(&house.world, "first", "value", 4000, 0);
	put_with(&house.world, "last", "value", 7000, 0);
	segment = house_segment(&house, "last");
	ck_assert_uint_eq(house_segment(&house, "first"), segment);
	sequence = load_relaxed(&house.arena->header->free_sequence);
	world_advance(&house.world, 6000);
	house_work(&house);
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_OPEN);
	expect_value(&house.world, "last", "value");
	world_advance(&house.world, 1251); /* the bound is in quarters of a second */
	house_work(&house);
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_FREE);
	ck_assert_uint_eq(segment_load(house.arena, segment).generation, 1);
	ck_assert_uint_eq(expired_segments(&house), 1);
	ck_assert_uint_eq(evicted_segments(&house), 0);
	ck_assert_uint_gt(load_relaxed(&house.arena->header->free_sequence), sequence);
	expect_value(&house.world, "for ever", "value");
	expect_sound(&house.world);
	world_advance(&house.world, UINT64_C(1) << 40);
	house_work(&house);
	expect_value(&house.world, "for ever", "value");
	house_stop(&house);
}
END_TEST

START_TEST(test_expired_objects_are_unlinked_and_others_are_not)
{
	struct house house;
	struct larder_stat stat;

	house_start(&house, MIB, NEVER_MS);
	for (uint32_t i = 0; i < 1000; i++) {
		char key[16];

		snprintf(key, sizeof key, "%u", i);
		put_with(&house.world, key, key, 5000, 0);
		if (i % 3 == 0)
			put(&house.world, key, "lives on"); /* elsewhere; the old object stays where it is */
	}
	world_advance(&house.world, 10000);
	house_work(&house);
	cache_census(&house.world.self.thread, &stat);
	ck_assert_uint_eq(stat.entries, 334);
	ck_assert_uint_eq(stat.expired_objects, 1000 - 334);
	for (uint32_t i = 0; i < 1000; i += 3) {
		char key[16];

		snprintf(key, sizeof key, "%u", i);
		expect_value(&house.world, key, "lives on");
	}
	expect_sound(&house.world);
	house_stop(&house);
}
END_TEST

/* However short a life is, the segment does not outlast it by a second. */
START_TEST(test_short_lives_free_their_segment_soon)
{
	struct house house;
	uint32_t segment;

	house_start(&house, MIB, NEVER_MS);
	put_with(&house.world, "key", "value", 20, 0);
	segment = house_segment(&house, "key");
	world_advance(&house.world, 271);
	house_work(&house);
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_FREE);
	house_stop(&house);
}
END_TEST

START_TEST(test_empty_segment_of_a_class_goes_after_a_while)
{
	struct house house;
	uint32_t segment, generation, chunk;

	house_start(&house, MIB, NEVER_MS);
	ck_assert(segment_take_chunks(house.arena, 3, 1, arena_now_ms(house.arena), &segment, &generation, &chunk));
	house_work(&house); /* whoever took it has not come as far as to raise its bound */
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_OPEN);
	world_advance(&house.world, 60000);
	house_work(&house);
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_FREE);
	house_stop(&house);
}
END_TEST

/* A writer that pinned in time may store something that lives longer than the keeper thought. */
START_TEST(test_longer_life_at_the_last_moment)
{
	struct house house;
	uint32_t segment;
	atomic_u64 *pin;

	house_start(&house, MIB, NEVER_MS);
	put_with(&house.world, "key", "value", 1000, 0);
	segment = house_segment(&house, "key");
	pin = &house.guest.thread.reader.line->write_pin;
	store_release(pin, segment + 1);
	world_advance(&house.world, 3000);
	house_work(&house);
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_CONDEMNED);
	segment_raise_expiry(house.arena, segment, arena_now_ms(house.arena) + 60000);
	store_release(pin, 0);
	house_work(&house);
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_OPEN);
	ck_assert_uint_eq(segment_load(house.arena, segment).generation, 0);
	world_advance(&house.world, 120000);
	house_work(&house);
	ck_assert_int_eq(house_state(&house, segment), SEGMENT_FREE);
	house_stop(&house);
}
END_TEST

START_TEST(test_next_call_is_due_when_something_expires)
{
	struct house house;
	uint32_t due, last = UINT32_MAX;

	house_start(&house, MIB, NEVER_MS);
	due = reclaim_run(house.reclaim);
	ck_assert_uint_gt(due, 50);
	put_with(&house.world, "key", "value", 1000, 0);
	for (int i = 0; i < 100000 && reclaim_run(house.reclaim) >= due; i++)
		world_advance(&house.world, 10);
	while (world_count(&house.world, SEGMENT_OPEN) && last > 0) {
		last = reclaim_run(house.reclaim);
		world_advance(&house.world, last);
	}
	house_work(&house);
	ck_assert_uint_eq(expired_segments(&house), 1);
	house_stop(&house);
}
END_TEST

/* ---- eviction ---------------------------------------------------------------------------------------------------------- */

/* Stores values that fill a segment each, each a second older than the next. */
static uint32_t fill_segments(struct house *house)
{
	static char value[50000];
	uint32_t number = 0;
	int result;

	do {
		char key[16];
		struct write_request request = {
			.operation = WRITE_SET, .key = key, .value = value, .value_size = sizeof value
		};

		snprintf(key, sizeof key, "large %u", number);
		request.key_size = strlen(key);
		result = write_one(&house->world, &request, NULL);
		world_advance(&house->world, 1000);
		number += result == 0;
	} while (result == 0);
	expect_equal(world_count(&house->world, SEGMENT_FREE), 0);
	return number;
}

static bool is_there(struct house *house, const char *name, uint32_t number)
{
	char key[24];

	snprintf(key, sizeof key, "%s %u", name, number);
	return cache_get(&house->world.self.thread, key, strlen(key), NULL, 0, NULL) != LARDER_MISS;
}

START_TEST(test_oldest_segments_make_room)
{
	struct house house;
	uint32_t number, low, gone;

	house_start(&house, MIB, NEVER_MS);
	number = fill_segments(&house);
	low = load_relaxed(&house.arena->header->free_low_mark);
	ck_assert_uint_ge(low, 1);
	house_work(&house);
	gone = world_count(&house.world, SEGMENT_FREE);
	ck_assert_uint_ge(gone, low);
	ck_assert_uint_le(gone, 2 * low);
	ck_assert_uint_eq(evicted_segments(&house), gone + world_count(&house.world, SEGMENT_RESERVE));
	for (uint32_t i = 0; i < number; i++)
		ck_assert_int_eq(is_there(&house, "large", i), i >= evicted_segments(&house));
	/* enough is enough */
	house_work(&house);
	ck_assert_uint_eq(world_count(&house.world, SEGMENT_FREE), gone);
	ck_assert_uint_eq(load_relaxed(&house.arena->header->free_segments), gone);
	expect_sound(&house.world);
	house_stop(&house);
}
END_TEST

START_TEST(test_writing_goes_on_for_ever)
{
	struct house house;

	house_start(&house, MIB, NEVER_MS);
	for (uint32_t i = 0; i < 20000; i++) {
		char key[16];

		snprintf(key, sizeof key, "key %u", i);
		put(&house.world, key, "a value of some length, so that memory is used up many times over");
		if (i % 100 == 0)
			house_work(&house);
	}
	ck_assert_uint_gt(evicted_segments(&house), 15);
	for (uint32_t i = 19000; i < 20000; i++)
		ck_assert(is_there(&house, "key", i));
	expect_sound(&house.world);
	house_stop(&house);
}
END_TEST

/* ---- what holds a segment back ----------------------------------------------------------------------------------------- */

/* Keys of several slabs, each in a segment of its own, that have all expired. */
#define CLASSES 4
static const char *const class_keys[CLASSES] = { "class 1", "class 2", "class 3", "class 4" };

static void expire_all(struct house *house)
{
	world_advance(&house->world, 10000000);
	house_work(house);
}

static void fill_classes(struct house *house, uint32_t ret_segments[CLASSES])
{
	for (uint32_t c = 0; c < CLASSES; c++) {
		put_with(&house->world, class_keys[c], "value", UINT64_C(1000) << 4 * c, 0);
		ret_segments[c] = house_segment(house, class_keys[c]);
	}
}

static void expect_free_but(const struct house *house, const uint32_t segments[CLASSES], uint32_t held)
{
	for (uint32_t c = 0; c < CLASSES; c++)
		ck_assert_int_eq(house_state(house, segments[c]), c == held ? SEGMENT_CONDEMNED : SEGMENT_FREE);
}

START_TEST(test_view_holds_its_segment_only)
{
	struct house house;
	struct larder_view view, late;
	uint32_t segments[CLASSES];

	house_start(&house, MIB, 0); /* views are not subject to stalls */
	fill_classes(&house, segments);
	ck_assert_int_eq(cache_view(&house.guest.thread, class_keys[2], strlen(class_keys[2]), &view), 0);
	expire_all(&house);
	expect_free_but(&house, segments, 2);
	ck_assert_mem_eq(view.data, "value", 5);
	ck_assert_int_eq(cache_view(&house.guest.thread, class_keys[2], strlen(class_keys[2]), &late), LARDER_MISS);
	cache_release(&house.guest.cache, &view);
	house_work(&house);
	expect_free_but(&house, segments, CLASSES);
	house_stop(&house);
}
END_TEST

START_TEST(test_writer_holds_its_segment_only)
{
	struct house house;
	uint32_t segments[CLASSES];
	struct larder_stat stat;

	house_start(&house, MIB, 0);
	fill_classes(&house, segments);
	ck_assert(epoch_pin_write(&house.guest.thread.reader, house.arena, segments[1], 0));
	expire_all(&house);
	expect_free_but(&house, segments, 1);
	for (int i = 0; i < 100; i++)
		house_work(&house);
	expect_free_but(&house, segments, 1);
	cache_census(&house.world.self.thread, &stat);
	ck_assert_uint_eq(stat.entries,
	                  1); /* what the writer is about to publish must be unlinked too: so nothing is yet */
	epoch_unpin_write(&house.guest.thread.reader);
	house_work(&house);
	expect_free_but(&house, segments, CLASSES);
	cache_census(&house.world.self.thread, &stat);
	ck_assert_uint_eq(stat.entries, 0);
	house_stop(&house);
}
END_TEST

START_TEST(test_section_holds_what_was_unlinked_during_it)
{
	struct house house;
	uint32_t segments[CLASSES];

	house_start(&house, MIB, NEVER_MS);
	fill_classes(&house, segments);
	epoch_enter(&house.guest.thread.reader);
	expire_all(&house);
	for (uint32_t c = 0; c < CLASSES; c++)
		ck_assert_int_eq(house_state(&house, segments[c]), SEGMENT_CONDEMNED);
	ck_assert(epoch_exit(&house.guest.thread.reader));
	epoch_enter(&house.guest.thread.reader); /* one that begins later cannot see them */
	house_work(&house);
	expect_free_but(&house, segments, CLASSES);
	ck_assert(epoch_exit(&house.guest.thread.reader));
	house_stop(&house);
}
END_TEST

START_TEST(test_stalled_section_is_revoked)
{
	struct house house;
	uint32_t segments[CLASSES];

	house_start(&house, MIB, NEVER_MS);
	fill_classes(&house, segments);
	epoch_enter(&house.guest.thread.reader);
	expire_all(&house);
	ck_assert_int_eq(house_state(&house, segments[0]), SEGMENT_CONDEMNED);
	ck_assert(epoch_valid(&house.guest.thread.reader));
	reclaim_set_stall(house.reclaim, 1);
	while (house_state(&house, segments[0]) != SEGMENT_FREE)
		reclaim_run(house.reclaim);
	expect_free_but(&house, segments, CLASSES);
	ck_assert(!epoch_exit(&house.guest.thread.reader));
	house_stop(&house);
}
END_TEST

/* Without anybody who waits for memory, a section may take as long as it likes. */
START_TEST(test_nobody_is_revoked_in_vain)
{
	struct house house;

	house_start(&house, MIB, 0);
	put(&house.world, "key", "value");
	epoch_enter(&house.guest.thread.reader);
	house_work(&house);
	ck_assert(epoch_exit(&house.guest.thread.reader));
	house_stop(&house);
}
END_TEST

/* A thread that pinned a view just before it was revoked: the pin counts, in the line as in the counters. */
START_TEST(test_pin_of_a_revoked_section_counts)
{
	struct house house;
	uint32_t segments[CLASSES];
	atomic_u32 *count;
	atomic_u64 *pin;

	house_start(&house, MIB, 0);
	fill_classes(&house, segments);
	epoch_enter(&house.guest.thread.reader);
	pin = &house.guest.thread.reader.line->view_pin;
	count = control_pin(&house.guest.cache.control, 3, segments[1]);
	if (_i)
		store_release(pin, (uint64_t)segments[1] + 1);
	else
		store_release(count, 1);
	expire_all(&house);
	while (house_state(&house, segments[0]) != SEGMENT_FREE)
		reclaim_run(house.reclaim);
	expect_free_but(&house, segments, 1);
	store_release(pin, 0);
	store_release(count, 0);
	house_work(&house);
	expect_free_but(&house, segments, CLASSES);
	house_stop(&house);
}
END_TEST

/* Eviction does not count on a segment that somebody holds, once it was held for longer than a stall. */
START_TEST(test_eviction_goes_on_past_a_held_segment)
{
	struct house house;
	struct larder_view view;

	house_start(&house, MIB, 0);
	fill_segments(&house);
	ck_assert_int_eq(cache_view(&house.guest.thread, "large 0", 7, &view), 0);
	house_work(&house);
	ck_assert_int_eq(house_state(&house, view.segment), SEGMENT_CONDEMNED);
	ck_assert_uint_ge(world_count(&house.world, SEGMENT_FREE), load_relaxed(&house.arena->header->free_low_mark));
	ck_assert_uint_eq(view.size, 50000);
	cache_release(&house.guest.cache, &view);
	house_work(&house);
	ck_assert_uint_eq(world_count(&house.world, SEGMENT_CONDEMNED), 0);
	house_stop(&house);
}
END_TEST

/* A keeper that cannot keep up with writers condemns what they need, and not once more what it has not come to yet. */
START_TEST(test_what_waits_for_its_turn_is_coming)
{
	struct house house;

	house_start(&house, 2 * MIB, NEVER_MS);
	fill_segments(&house);
	ck_assert_uint_eq(world_count(&house.world, SEGMENT_FREE), 0);
	store_relaxed(&house.arena->header->free_low_mark, 6);
	epoch_enter(&house.guest.thread.reader); /* nothing becomes free meanwhile */
	for (int i = 0; i < 4; i++) {
		reclaim_run(house.reclaim);
		nanosleep(&(struct timespec){ .tv_nsec = 25 * NS_PER_MS }, NULL);
	}
	ck_assert_uint_eq(world_count(&house.world, SEGMENT_CONDEMNED), 9);
	epoch_exit(&house.guest.thread.reader);
	house_stop(&house);
}
END_TEST

/* ---- clients ----------------------------------------------------------------------------------------------------------- */

START_TEST(test_counters_of_clients_are_added_up)
{
	struct house house;
	struct arena_header *header;
	struct client clients[20];
	uint64_t base;

	house_start(&house, MIB, NEVER_MS);
	header = house.arena->header;
	put(&house.world, "key", "value");
	reclaim_run(house.reclaim);
	ck_assert_uint_eq(load_relaxed(&header->sets), 1);
	base = load_relaxed(&header->gets);
	for (uint32_t i = 0; i < 20; i++) {
		client_start(&house.world, &clients[i]);
		ck_assert_int_eq(reclaim_add_client(house.reclaim, &clients[i].cache.control), 0);
		for (uint32_t n = 0; n <= i; n++)
			cache_get(&clients[i].thread, n % 2 ? "none" : "key", n % 2 ? 4 : 3, NULL, 0, NULL);
	}
	for (int round = 0; round < 3; round++) {
		reclaim_run(house.reclaim);
		ck_assert_uint_eq(load_relaxed(&header->gets) - base, 210);
		ck_assert_uint_eq(load_relaxed(&header->hits), 110);
	}
	/* what a client did before it went counts, and is counted once */
	for (uint32_t i = 0; i < 20; i += 2) {
		cache_get(&clients[i].thread, "key", 3, NULL, 0, NULL);
		reclaim_remove_client(house.reclaim, &clients[i].cache.control);
		client_stop(&clients[i]);
	}
	reclaim_run(house.reclaim);
	ck_assert_uint_eq(load_relaxed(&header->gets) - base, 220);
	for (uint32_t i = 1; i < 20; i += 2) {
		reclaim_remove_client(house.reclaim, &clients[i].cache.control);
		client_stop(&clients[i]);
	}
	reclaim_run(house.reclaim);
	ck_assert_uint_eq(load_relaxed(&header->gets) - base, 220);
	house_stop(&house);
}
END_TEST

/* Who is gone holds nothing back: its section, its write pin and its views end with it. */
START_TEST(test_removed_client_holds_nothing)
{
	struct house house;
	struct client dead;
	struct larder_view view;
	uint32_t segments[CLASSES];

	house_start(&house, MIB, NEVER_MS);
	client_start(&house.world, &dead);
	ck_assert_int_eq(reclaim_add_client(house.reclaim, &dead.cache.control), 0);
	fill_classes(&house, segments);
	ck_assert_int_eq(cache_view(&dead.thread, class_keys[0], strlen(class_keys[0]), &view), 0);
	ck_assert(epoch_pin_write(&dead.thread.reader, house.arena, segments[1], 0));
	epoch_enter(&dead.thread.reader);
	expire_all(&house);
	for (uint32_t c = 0; c < CLASSES; c++)
		ck_assert_int_eq(house_state(&house, segments[c]), SEGMENT_CONDEMNED);
	reclaim_remove_client(house.reclaim, &dead.cache.control);
	house_work(&house);
	expect_free_but(&house, segments, CLASSES);
	client_stop(&dead);
	house_stop(&house);
}
END_TEST

/* Scribbled counters and lines are only numbers. */
START_TEST(test_scribbled_control_page)
{
	struct house house;
	uint32_t segments[CLASSES];
	struct random random = { 8 };

	house_start(&house, MIB, 0);
	fill_classes(&house, segments);
	random_bytes(&random, &house.guest.cache.control.page->fenced,
	             sizeof(struct control_page) - offsetof(struct control_page, fenced));
	for (int i = 0; i < THREADS_MAX; i++)
		store_relaxed(&house.guest.cache.control.page->threads[i].write_pin, random_next(&random) | 1024);
	expire_all(&house);
	while (house_state(&house, segments[0]) != SEGMENT_FREE)
		reclaim_run(house.reclaim);
	expect_free_but(&house, segments, CLASSES);
	memset((void *)&house.guest.cache.control.page->threads[0], 0, sizeof(struct thread_line));
	house_stop(&house);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("reclaim");

	tcase_add_test(tests, test_segment_goes_when_all_in_it_has_expired);
	tcase_add_test(tests, test_expired_objects_are_unlinked_and_others_are_not);
	tcase_add_test(tests, test_short_lives_free_their_segment_soon);
	tcase_add_test(tests, test_empty_segment_of_a_class_goes_after_a_while);
	tcase_add_test(tests, test_longer_life_at_the_last_moment);
	tcase_add_test(tests, test_next_call_is_due_when_something_expires);
	tcase_add_test(tests, test_oldest_segments_make_room);
	tcase_add_test(tests, test_writing_goes_on_for_ever);
	tcase_add_test(tests, test_view_holds_its_segment_only);
	tcase_add_test(tests, test_writer_holds_its_segment_only);
	tcase_add_test(tests, test_section_holds_what_was_unlinked_during_it);
	tcase_add_test(tests, test_stalled_section_is_revoked);
	tcase_add_test(tests, test_nobody_is_revoked_in_vain);
	tcase_add_loop_test(tests, test_pin_of_a_revoked_section_counts, 0, 2);
	tcase_add_test(tests, test_eviction_goes_on_past_a_held_segment);
	tcase_add_test(tests, test_what_waits_for_its_turn_is_coming);
	tcase_add_test(tests, test_counters_of_clients_are_added_up);
	tcase_add_test(tests, test_removed_client_holds_nothing);
	tcase_add_test(tests, test_scribbled_control_page);
	return suite_run("reclaim", tests);
}
