/* SPDX-License-Identifier: MIT */
#include "daemon/resize.h"

#include <errno.h>
#include <sys/stat.h>

#include "daemon/log.h"
#include "epoch/grace.h"
#include "tests/unit/daemon/house.h"

#define STEPS 2000

static void start(struct house *house, uint64_t bytes, uint64_t most)
{
	log_set_level(LOG_ERROR);
	house_start_within(house, bytes, most, NEVER_MS);
	resize_set_memory(reclaim_resize(house->reclaim), house->world.arena_fd);
}

/* Another keeper, after the first was killed. */
static void replace_keeper(struct house *house)
{
	reclaim_destroy(house->reclaim);
	house_keeper(house, NEVER_MS);
	resize_set_memory(reclaim_resize(house->reclaim), house->world.arena_fd);
}

static int want(struct house *house, uint64_t bytes)
{
	uint64_t given;

	return resize_want(reclaim_resize(house->reclaim), bytes, &given, NULL);
}

static uint64_t size(const struct house *house)
{
	uint64_t now, wanted;

	cache_size(house->arena, &now, &wanted);
	return now;
}

static uint64_t memory(const struct house *house)
{
	struct stat file;

	expect_equal(fstat(house->world.arena_fd, &file), 0);
	return (uint64_t)file.st_blocks * 512;
}

static void work(struct house *house)
{
	for (int i = 0; i < STEPS; i++)
		reclaim_run(house->reclaim);
}

static void fill(struct house *house, uint32_t keys)
{
	char key[16], value[2000] = "";

	memset(value, 'x', sizeof value - 1);
	for (uint32_t i = 0; i < keys; i++) {
		struct write_request request = write_of(WRITE_SET, key, value);

		request.key_size = (size_t)snprintf(key, sizeof key, "key %u", i);
		while (write_one(&house->world, &request, NULL) == -EAGAIN)
			reclaim_run(house->reclaim);
	}
}

START_TEST(test_made_small)
{
	struct house house;

	start(&house, 2 * MIB, 32 * MIB);
	ck_assert_uint_eq(house.arena->bytes, 32 * MIB);
	ck_assert_uint_eq(size(&house), 2 * MIB);
	ck_assert_uint_eq(memory(&house), 2 * MIB);
	expect_sound(&house.world);
	fill(&house, 5000);
	work(&house);
	ck_assert_uint_eq(size(&house), 2 * MIB);
	ck_assert_uint_eq(memory(&house), 2 * MIB);
	expect_sound(&house.world);
	house_stop(&house);
}
END_TEST

START_TEST(test_grows_and_shrinks)
{
	static const uint64_t sizes[] = { 32, 2, 20, 3, 32, 1 };
	struct house house;

	start(&house, 2 * MIB, 32 * MIB);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		ck_assert_int_eq(want(&house, sizes[i] * MIB), 0);
		fill(&house, 3000);
		work(&house);
		ck_assert_uint_eq(size(&house), sizes[i] * MIB);
		ck_assert_uint_eq(memory(&house), sizes[i] * MIB);
		ck_assert_uint_eq(load_relaxed(&house.arena->header->free_low_mark), sizes[i] < 4 ? 1 : sizes[i] / 8);
		expect_sound(&house.world);
	}
	house_stop(&house);
}
END_TEST

/* Whatever was done when a keeper ended, the next one comes to the same end. */
START_TEST(test_every_keeper_goes_on)
{
	struct house house;

	start(&house, 2 * MIB, 48 * MIB);
	for (int round = 0; round < 4; round++) {
		uint64_t wanted = round % 2 ? 2 * MIB : 48 * MIB;

		ck_assert_int_eq(want(&house, wanted), 0);
		for (int i = 0; i < 300; i++) {
			replace_keeper(&house);
			fill(&house, 10);
			for (int step = 0; step < i % 5; step++)
				reclaim_run(house.reclaim);
		}
		work(&house);
		ck_assert_uint_eq(size(&house), wanted);
		ck_assert_uint_eq(memory(&house), wanted);
		expect_sound(&house.world);
	}
	house_stop(&house);
}
END_TEST

/* All of it is there before any of it can be used; and if some cannot be had, all of it goes back. */
START_TEST(test_memory_comes_first)
{
	struct house house;
	struct fault fault = { "" };
	uint64_t given = 7;

	start(&house, 2 * MIB, 64 * MIB);
	ck_assert_int_eq(want(&house, 64 * MIB), 0);
	reclaim_run(house.reclaim);
	ck_assert_uint_gt(memory(&house), 2 * MIB);
	ck_assert_uint_eq(size(&house), 2 * MIB);
	resize_set_memory(reclaim_resize(house.reclaim), -1); /* it fails from now on */
	reclaim_run(house.reclaim);
	ck_assert_uint_eq(size(&house), 2 * MIB);
	ck_assert_uint_eq(resize_bytes(reclaim_resize(house.reclaim)), 2 * MIB);
	resize_set_memory(reclaim_resize(house.reclaim), house.world.arena_fd);
	replace_keeper(&house);
	work(&house);
	ck_assert_uint_eq(memory(&house), 2 * MIB);
	ck_assert_int_eq(resize_want(reclaim_resize(house.reclaim), 64 * MIB, &given, &fault), 0);
	ck_assert_uint_eq(given, 64 * MIB);
	work(&house);
	ck_assert_uint_eq(size(&house), 64 * MIB);
	expect_sound(&house.world);
	house_stop(&house);
}
END_TEST

/* Where every fourth segment is absent, a large object has room nevertheless; others become absent for those it takes. */
START_TEST(test_extent_among_absent_segments)
{
	static char value[600000];
	struct write_request request = {
		.operation = WRITE_SET, .key = "key", .key_size = 3, .value = value, .value_size = sizeof value
	};
	uint64_t until_ms = monotonic_ms() + 20000;
	struct house house;
	int result;

	start(&house, 4 * MIB, 4 * MIB);
	for (uint32_t segment = house.arena->system_segments; segment < house.world.segments; segment++)
		if (segment % 4 == 0 && segment_leave(house.arena, segment))
			resize_note_absent(reclaim_resize(house.reclaim), segment);
	ck_assert_int_eq(want(&house, size(&house)), 0);
	do {
		result = write_one(&house.world, &request, NULL);
		reclaim_run(house.reclaim);
	} while (result == -EAGAIN && monotonic_ms() < until_ms);
	ck_assert_int_eq(result, 0);
	work(&house);
	ck_assert_uint_eq(size(&house), resize_bytes(reclaim_resize(house.reclaim)));
	expect_sound(&house.world);
	house_stop(&house);
}
END_TEST

/* While memory is allocated for an arena that grows, segments may be exchanged: then there are more than were to come. */
START_TEST(test_exchange_while_growing)
{
	const uint32_t target = 20 * 16, more = 5;
	struct house house;
	struct resize *resize;
	uint32_t last, missing;

	start(&house, 2 * MIB, 32 * MIB);
	resize = reclaim_resize(house.reclaim);
	last = house.world.segments - 1;
	ck_assert_int_eq(want(&house, 20 * MIB), 0);
	for (int i = 0; i < STEPS && resize->granted <= more; i++)
		reclaim_run(house.reclaim);
	ck_assert_uint_gt(resize->granted, more);
	missing = target - 2 * 16 - resize->granted;
	for (uint32_t i = 0; i < missing + more; i++)
		ck_assert(resize_exchange(resize, last - i));
	for (int i = 0; i < STEPS; i++) {
		reclaim_run(house.reclaim);
		ck_assert_uint_le(size(&house), 20 * MIB + more * (64 << 10));
	}
	house_stop(&house);
}
END_TEST

START_TEST(test_what_cannot_be)
{
	struct house house;
	struct fault fault = { "" };
	uint64_t given;

	start(&house, 2 * MIB, 4 * MIB);
	ck_assert_int_eq(resize_want(reclaim_resize(house.reclaim), 4 * MIB + (64 << 10), &given, &fault), -ERANGE);
	ck_assert_uint_eq(given, 4 * MIB);
	ck_assert_ptr_nonnull(strstr(fault.text, "at the most"));
	ck_assert_int_eq(resize_want(reclaim_resize(house.reclaim), MIB - 1, &given, &fault), -ERANGE);
	ck_assert_uint_eq(given, MIB);
	ck_assert_ptr_nonnull(strstr(fault.text, "at the least"));
	ck_assert_int_eq(resize_want(reclaim_resize(house.reclaim), UINT64_MAX, &given, &fault), -ERANGE);
	ck_assert_int_eq(resize_want(reclaim_resize(house.reclaim), 0, &given, &fault), -ERANGE);
	work(&house);
	ck_assert_uint_eq(size(&house), 2 * MIB);
	house_stop(&house);
}
END_TEST

START_TEST(test_the_index_needs_its_room)
{
	struct house house;
	uint64_t given;

	start(&house, 2 * MIB, 4 * MIB);
	for (uint32_t segment = 10; segment < 28; segment++) /* in the place of a large index */
		ck_assert(segment_change(house.arena, segment, SEGMENT_FREE, SEGMENT_INDEX));
	ck_assert_int_eq(resize_want(reclaim_resize(house.reclaim), MIB, &given, NULL), -ERANGE);
	ck_assert_uint_eq(given, (1 + 1 + 18 + 8) * house.arena->segment_bytes);
	house_stop(&house);
}
END_TEST

/* Only a new size in the configuration counts. */
START_TEST(test_configured)
{
	struct house house;

	start(&house, 2 * MIB, 8 * MIB);
	resize_configure(reclaim_resize(house.reclaim), 2 * MIB);
	ck_assert_int_eq(want(&house, 8 * MIB), 0);
	replace_keeper(&house);
	resize_configure(reclaim_resize(house.reclaim), 2 * MIB);
	ck_assert_uint_eq(resize_bytes(reclaim_resize(house.reclaim)), 8 * MIB);
	resize_configure(reclaim_resize(house.reclaim), 4 * MIB + 5);
	ck_assert_uint_eq(resize_bytes(reclaim_resize(house.reclaim)), 4 * MIB);
	resize_configure(reclaim_resize(house.reclaim), 16 * MIB);
	ck_assert_uint_eq(resize_bytes(reclaim_resize(house.reclaim)), 4 * MIB);
	work(&house);
	ck_assert_uint_eq(size(&house), 4 * MIB);
	resize_configure(reclaim_resize(house.reclaim), 2 * MIB);
	work(&house);
	ck_assert_uint_eq(size(&house), 2 * MIB);
	house_stop(&house);
}
END_TEST

/* A thread in a revoked section may still look at what is absent: a hole in which somebody looks is one no more. */
START_TEST(test_revoked_threads_are_waited_for)
{
	struct house house;

	start(&house, 4 * MIB, 4 * MIB);
	fill(&house, 1000);
	epoch_enter(&house.guest.thread.reader);
	ck_assert_uint_eq(grace_revoke(&house.guest.cache.control, UINT64_MAX - 1), 1);
	ck_assert_int_eq(want(&house, 2 * MIB), 0);
	work(&house);
	ck_assert_uint_eq(size(&house), 2 * MIB);
	ck_assert_uint_eq(memory(&house), 4 * MIB);
	ck_assert(!epoch_exit(&house.guest.thread.reader));
	work(&house);
	ck_assert_uint_eq(memory(&house), 2 * MIB);
	expect_sound(&house.world);
	house_stop(&house);
}
END_TEST

/* A view keeps its segment, not the arena its size. */
START_TEST(test_views_are_in_nobodys_way)
{
	struct house house;
	struct larder_view view;
	char value[2000] = "";

	start(&house, 2 * MIB, 4 * MIB);
	memset(value, 'v', sizeof value - 1);
	put(&house.world, "viewed", value);
	ck_assert_int_eq(cache_view(&house.guest.thread, "viewed", 6, &view), 0);
	fill(&house, 3000);
	ck_assert_int_eq(want(&house, MIB), 0);
	work(&house);
	ck_assert_uint_eq(size(&house), MIB);
	ck_assert_mem_eq(view.data, value, sizeof value - 1);
	cache_release(&house.guest.cache, &view);
	house_stop(&house);
}
END_TEST

/* Somebody who may write everywhere writes over what tells of the size. */
START_TEST(test_scribbles)
{
	struct house house;

	start(&house, 2 * MIB, 4 * MIB);
	fill(&house, 200);
	store_relaxed(&house.arena->header->segment_target, 3);
	work(&house);
	ck_assert_uint_eq(size(&house), 2 * MIB);
	replace_keeper(&house);
	work(&house);
	ck_assert_uint_eq(size(&house), 2 * MIB);
	store_relaxed(&house.arena->header->segment_target, UINT32_MAX);
	replace_keeper(&house);
	work(&house);
	ck_assert_uint_eq(size(&house), 4 * MIB);
	/* The tables are never given back, whatever their states say. */
	store_relaxed(&house.arena->table[0].state, (uint64_t)SEGMENT_ABSENT << SEGMENT_STATE_SHIFT);
	replace_keeper(&house);
	work(&house);
	ck_assert_uint_eq(house.arena->header->magic, ARENA_MAGIC);
	ck_assert_uint_eq(size(&house), 4 * MIB);
	expect_sound(&house.world);
	house_stop(&house);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("resize");

	tcase_add_test(tests, test_made_small);
	tcase_add_test(tests, test_grows_and_shrinks);
	tcase_add_test(tests, test_every_keeper_goes_on);
	tcase_add_test(tests, test_memory_comes_first);
	tcase_add_test(tests, test_extent_among_absent_segments);
	tcase_add_test(tests, test_exchange_while_growing);
	tcase_add_test(tests, test_what_cannot_be);
	tcase_add_test(tests, test_the_index_needs_its_room);
	tcase_add_test(tests, test_configured);
	tcase_add_test(tests, test_revoked_threads_are_waited_for);
	tcase_add_test(tests, test_views_are_in_nobodys_way);
	tcase_add_test(tests, test_scribbles);
	return suite_run("resize", tests);
}
