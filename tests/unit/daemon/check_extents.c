/* SPDX-License-Identifier: MIT */
/* Large objects and the keeper's work for them: made, kept, evicted as a whole. */
#include "daemon/extents.h"

#include <errno.h>

#include "index/split.h"
#include "tests/unit/daemon/house.h"

#define PATIENCE_MS 20000u /* until a write must have had its room */
#define LATER_MS 5000u     /* when the keeper looks again at what it left alone */

static void fill(unsigned char *bytes, size_t size, uint64_t seed)
{
	struct random random = { seed };

	random_bytes(&random, bytes, size);
}

static int write_for(struct house *house, const struct write_request *request, uint32_t patience_ms)
{
	uint64_t until_ms = monotonic_ms() + patience_ms;
	int result;

	do {
		result = write_one(&house->world, request, NULL);
		reclaim_run(house->reclaim);
	} while (result == -EAGAIN && monotonic_ms() < until_ms);
	return result;
}

static int write_patiently(struct house *house, const struct write_request *request)
{
	return write_for(house, request, PATIENCE_MS);
}

static int put_large_for(struct house *house, const char *key, size_t size, uint64_t seed, uint32_t patience_ms)
{
	unsigned char *value = malloc(size);
	struct write_request request = write_of(WRITE_SET, key, NULL);
	int result;

	expect(value != NULL);
	fill(value, size, seed);
	request.value = value;
	request.value_size = size;
	result = write_for(house, &request, patience_ms);
	free(value);
	return result;
}

static int put_large(struct house *house, const char *key, size_t size, uint64_t seed)
{
	return put_large_for(house, key, size, seed, PATIENCE_MS);
}

/* By a copy, by a batch and by a view. */
static void expect_large(struct house *house, const char *key, size_t size, uint64_t seed)
{
	struct cache_thread *thread = &house->world.self.thread;
	unsigned char *expected = malloc(size), *copy = malloc(size), *other = malloc(size);
	struct larder_mget_entry entries[2] = {
		{ .key = key, .key_size = strlen(key), .buffer = copy, .buffer_size = size },
		{ .key = "none", .key_size = 4 }
	};
	struct larder_item item;
	struct larder_view view;

	expect(expected && copy && other);
	fill(expected, size, seed);
	ck_assert_int_eq(cache_get(thread, key, strlen(key), other, size, &item), LARDER_OK);
	ck_assert_uint_eq(item.value_size, size);
	ck_assert_mem_eq(other, expected, size);
	ck_assert_int_eq(cache_get(thread, key, strlen(key), other, 10, &item), LARDER_TRUNCATED);
	ck_assert_uint_eq(item.value_size, size);
	cache_mget(thread, entries, 2);
	ck_assert_int_eq(entries[0].result, LARDER_OK);
	ck_assert_uint_eq(entries[0].item.value_size, size);
	ck_assert_int_eq(entries[1].result, LARDER_MISS);
	ck_assert_mem_eq(copy, expected, size);
	ck_assert_int_eq(cache_view(thread, key, strlen(key), &view), LARDER_OK);
	ck_assert_uint_eq(view.size, size);
	ck_assert_mem_eq(view.data, expected, size);
	cache_release(&house->world.self.cache, &view);
	free(expected);
	free(copy);
	free(other);
}

static uint32_t length_of(const struct house *house, uint32_t segment)
{
	return extent_length(house->arena, segment, segment_load(house->arena, segment));
}

/* ---- what they are ------------------------------------------------------------------------------------------------- */

START_TEST(test_any_size)
{
	static const uint64_t bytes[] = { MIB, 4 * MIB, 64 * MIB };

	for (size_t b = 0; b < sizeof bytes / sizeof bytes[0]; b++) {
		struct house house;
		uint64_t segment, most;

		house_start(&house, bytes[b], NEVER_MS);
		segment = house.arena->segment_bytes;
		most = arena_value_max(house.arena);
		for (uint64_t i = 0; i < 40; i++) {
			uint64_t size = i == 0   ? most
			                : i < 20 ? segment - 32 + i * 2
			                         : segment + (most - segment) / 20 * (i - 19);

			ck_assert_int_eq(put_large(&house, "key", size, i), 0);
			expect_large(&house, "key", size, i);
			expect_sound(&house.world);
		}
		ck_assert_int_eq(put_large(&house, "key", most + 1, 99), -E2BIG);
		ck_assert_int_eq(put_large(&house, "other", most + 1, 99), -E2BIG);
		expect_large(&house, "key", segment + (most - segment) / 20 * 20, 39);
		expect_value(&house.world, "other", "(miss)");
		house_stop(&house);
	}
}
END_TEST

/* In an arena of so small segments a long key alone needs more than one; its value may be a counter. */
START_TEST(test_longest_keys)
{
	static char key[LARDER_KEY_MAX];
	struct write_request request = { .operation = WRITE_INCR,
		                         .key = key,
		                         .key_size = sizeof key,
		                         .incr_flags = LARDER_INCR_CREATE,
		                         .initial = 7 };
	struct house house;
	char text[24] = "";

	memset(key, 'k', sizeof key);
	house_start(&house, MIB, NEVER_MS);
	ck_assert_int_eq(write_patiently(&house, &request), 0);
	request.delta = 3;
	ck_assert_int_eq(write_patiently(&house, &request), 0);
	ck_assert_int_eq(cache_get(&house.world.self.thread, key, sizeof key, text, sizeof text, NULL), 0);
	ck_assert_str_eq(text, "10");
	request.operation = WRITE_APPEND;
	request.value = "!";
	request.value_size = 1;
	ck_assert_int_eq(write_patiently(&house, &request), 0);
	ck_assert_int_eq(cache_get(&house.world.self.thread, key, sizeof key, text, sizeof text, NULL), 0);
	ck_assert_str_eq(text, "10!");
	expect_sound(&house.world);
	house_stop(&house);
}
END_TEST

START_TEST(test_append_and_touch)
{
	struct house house;
	struct write_request request = write_of(WRITE_APPEND, "key", NULL);
	struct larder_item item;
	uint64_t most, size = 0;
	unsigned char *whole, *back;

	house_start(&house, 4 * MIB, NEVER_MS);
	most = arena_value_max(house.arena);
	whole = malloc(most + 1);
	back = malloc(most);
	fill(whole, most + 1, 5);
	put(&house.world, "key", "");
	while (size < most) {
		request.value = whole + size;
		request.value_size = most - size < 100000 ? most - size : 100000;
		ck_assert_int_eq(write_patiently(&house, &request), 0);
		size += request.value_size;
		ck_assert_int_eq(cache_get(&house.world.self.thread, "key", 3, back, most, &item), 0);
		ck_assert_uint_eq(item.value_size, size);
		ck_assert_mem_eq(back, whole, size);
	}
	request.value_size = 1;
	ck_assert_int_eq(write_patiently(&house, &request), -E2BIG);
	request = write_of(WRITE_TOUCH, "key", NULL);
	request.ttl_ms = 60000;
	ck_assert_int_eq(write_patiently(&house, &request), 0);
	ck_assert_int_eq(cache_get(&house.world.self.thread, "key", 3, back, most, &item), 0);
	ck_assert_mem_eq(back, whole, most);
	ck_assert_uint_gt(item.ttl_ms, 0);
	expect_sound(&house.world);
	world_advance(&house.world, 63000);
	house_work(&house);
	expect_value(&house.world, "key", "(miss)");
	ck_assert_uint_eq(world_count(&house.world, SEGMENT_EXTENT), 0);
	free(whole);
	free(back);
	house_stop(&house);
}
END_TEST

/* What hinders a write is found before anything is made room for. */
START_TEST(test_conditions)
{
	struct house house;
	static char value[200000];
	struct write_request request = write_of(WRITE_ADD, "key", NULL);

	house_start(&house, MIB, NEVER_MS);
	put(&house.world, "key", "small");
	request.value = value;
	request.value_size = sizeof value;
	ck_assert_int_eq(write_one(&house.world, &request, NULL), LARDER_EXISTS);
	request.operation = WRITE_CAS;
	request.expected_version = 1;
	ck_assert_int_eq(write_one(&house.world, &request, NULL), LARDER_CHANGED);
	request.operation = WRITE_REPLACE;
	request.key = "other";
	request.key_size = 5;
	ck_assert_int_eq(write_one(&house.world, &request, NULL), LARDER_MISS);
	for (uint32_t c = 0; c < EXTENT_CLASSES; c++)
		ck_assert_uint_eq(load_relaxed(&house.arena->header->extent_wanted[c]), 0);
	expect_value(&house.world, "key", "small");
	house_stop(&house);
}
END_TEST

/* ---- how they come back -------------------------------------------------------------------------------------------- */

START_TEST(test_replaced_and_deleted)
{
	struct house house;

	house_start(&house, MIB, NEVER_MS);
	ck_assert_int_eq(put_large(&house, "one", 200000, 1), 0);
	ck_assert_int_eq(put_large(&house, "two", 150000, 2), 0);
	ck_assert_uint_eq(length_of(&house, house_segment(&house, "one")), 4);
	put(&house.world, "one", "small");
	expect_equal(simple_write(&house.world, WRITE_DELETE, "two", NULL), 0);
	house_work(&house);
	ck_assert_uint_eq(world_count(&house.world, SEGMENT_EXTENT), 0);
	ck_assert_uint_eq(world_count(&house.world, SEGMENT_OPEN), 1);
	expect_sound(&house.world);
	house_stop(&house);
}
END_TEST

START_TEST(test_view_holds_all_of_it)
{
	struct house house;
	struct larder_view view;
	static unsigned char expected[200000];

	house_start(&house, MIB, NEVER_MS);
	fill(expected, sizeof expected, 1);
	ck_assert_int_eq(put_large(&house, "key", sizeof expected, 1), 0);
	ck_assert_int_eq(cache_view(&house.guest.thread, "key", 3, &view), 0);
	expect_equal(simple_write(&house.world, WRITE_DELETE, "key", NULL), 0);
	for (uint64_t i = 0; i < 20; i++) {
		ck_assert_int_eq(put_large(&house, "other", 200000, i), 0);
		ck_assert_mem_eq(view.data, expected, sizeof expected);
	}
	cache_release(&house.guest.cache, &view);
	expect_equal(simple_write(&house.world, WRITE_DELETE, "other", NULL), 0);
	house_work(&house);
	house_expect_all_free(&house);
	house_stop(&house);
}
END_TEST

/* Stores a key and then much more than fits; reads the key all the time or never. Return: after how many writes it was gone. */
static uint32_t survives(bool read)
{
	struct house house;
	uint32_t writes = 0;

	house_start(&house, 16 * MIB, NEVER_MS);
	ck_assert_int_eq(put_large(&house, "one", 300000, 0), 0);
	for (struct object_view object;
	     index_lookup(house.arena, hash_key(house.arena->secret, "one", 3), "one", 3, &object); writes++) {
		char key[16];

		snprintf(key, sizeof key, "other %u", writes);
		ck_assert_int_eq(put_large(&house, key, 150000 + writes % 100 * 5000, writes), 0);
		memset(house.guest.thread.recent, 0, sizeof house.guest.thread.recent);
		for (int i = 0; read && i < 3; i++)
			cache_get(&house.guest.thread, "one", 3, NULL, 0, NULL);
		world_advance(&house.world, 10);
		expect_sound(&house.world);
		if (writes == 300)
			break;
	}
	house_stop(&house);
	return writes;
}

/* What is used stays, though it cannot be moved. */
START_TEST(test_eviction)
{
	uint32_t unused = survives(false), used = survives(true);

	ck_assert_msg(used > unused * 3, "used: gone after %u writes; unused: after %u", used, unused);
}
END_TEST

/* Who has a limit gives its own for a large object, never what is another's; and none is made for what would exceed the limit. */
START_TEST(test_limit)
{
	struct config_quotas quotas = { 1, { { .kind = TENANT_USER, .id = 7, .limit = MIB / 2 } } };
	struct house house;
	uint64_t evicted;
	uint32_t tenant, limit;

	house_start(&house, 4 * MIB, NEVER_MS);
	ck_assert_int_eq(put_large(&house, "other", 300000, 1), 0);
	limit = (uint32_t)(MIB / 2 / house.arena->segment_bytes);
	tenants_configure(reclaim_tenants(house.reclaim), &quotas);
	tenant = tenants_number_of(reclaim_tenants(house.reclaim), &quotas.quota[0]);
	store_relaxed(&house.world.self.cache.control.page->tenant, tenant);
	house_work(&house);
	evicted = load_relaxed(&house.arena->header->evicted_segments);
	ck_assert_int_eq(put_large_for(&house, "beyond", 600000, 2, 0), -E2BIG);
	house_work(&house);
	ck_assert_uint_eq(world_count(&house.world, SEGMENT_READY), 0);
	ck_assert_uint_eq(load_relaxed(&house.arena->header->evicted_segments), evicted);
	for (uint32_t i = 0; i < 20; i++) {
		char key[16];

		snprintf(key, sizeof key, "own %u", i);
		ck_assert_int_eq(put_large(&house, key, 300000, i), 0);
		house_work(&house);
		ck_assert_uint_le(load_relaxed(&house.arena->header->tenants[tenant].used), limit);
	}
	expect_large(&house, "own 19", 300000, 19);
	expect_large(&house, "other", 300000, 1);
	expect_sound(&house.world);
	house_stop(&house);
}
END_TEST

/* ---- what outlasts its writer or its keeper -------------------------------------------------------------------------- */

/* A shorter one of the same class is cut from it; one of another class is not. */
START_TEST(test_length_and_class)
{
	struct house house;
	uint32_t segment, generation;

	house_start(&house, 4 * MIB, NEVER_MS);
	extent_want(house.arena, 0, 8);
	house_work(&house);
	ck_assert(!extent_take(house.arena, 0, 4, 1, &segment, &generation));
	ck_assert(!extent_take(house.arena, 0, 9, 1, &segment, &generation));
	ck_assert(extent_take(house.arena, 0, 5, 1, &segment, &generation));
	ck_assert_uint_eq(length_of(&house, segment), 5);
	ck_assert_uint_eq(world_count(&house.world, SEGMENT_EXTENT), 7);
	expect_sound(&house.world);
	for (uint32_t i = 0; i < 2; i++)
		reclaim_run(house.reclaim);
	ck_assert_uint_eq(world_count(&house.world, SEGMENT_EXTENT), 4);
	expect_sound(&house.world);
	house_stop(&house);
}
END_TEST

START_TEST(test_stored_ones_outlive_the_keeper)
{
	struct house house;

	house_start(&house, MIB, NEVER_MS);
	ck_assert_int_eq(put_large(&house, "key", 200000, 1), 0);
	expect(segment_change(house.arena, house_segment(&house, "key"), SEGMENT_OPEN, SEGMENT_CONDEMNED));
	reclaim_destroy(house.reclaim);
	house_keeper(&house, NEVER_MS);
	world_advance(&house.world, LATER_MS);
	house_work(&house);
	expect_large(&house, "key", 200000, 1);
	expect_sound(&house.world);
	house_stop(&house);
}
END_TEST

/* Builds an index segment anew where the next free segment is. */
static void rebuild(struct house *house, uint32_t segment)
{
	expect(split_begin_rebuild(house->arena, segment));
	house_work(house);
	ck_assert_int_eq(house_state(house, segment), SEGMENT_FREE);
}

/* ---- what is in the way -------------------------------------------------------------------------------------------- */

/* Every window has an index segment or a view in it. The index segment moves. */
START_TEST(test_index_in_the_way)
{
	struct house house;
	uint32_t first, middle = 5;

	house_start(&house, MIB, NEVER_MS);
	first = house.arena->system_segments;
	for (uint32_t i = 0; i < 100; i++) {
		char key[16];

		snprintf(key, sizeof key, "key %u", i);
		put(&house.world, key, key);
	}
	ck_assert_uint_eq(house_segment(&house, "key 0"), 2);
	store_relaxed(&house.arena->header->search_hint, middle);
	rebuild(&house, first);
	ck_assert_int_eq(house_state(&house, middle), SEGMENT_INDEX);
	fetch_add_acq_rel(control_pin(&house.guest.cache.control, 0, 9), 1);
	fetch_add_acq_rel(control_pin(&house.guest.cache.control, 0, 12), 1);
	ck_assert_int_eq(put_large(&house, "large", arena_value_max(house.arena), 1), 0);
	ck_assert_int_ne(house_state(&house, middle), SEGMENT_INDEX);
	expect_large(&house, "large", arena_value_max(house.arena), 1);
	expect_sound(&house.world);
	house_stop(&house);
}
END_TEST

/* A view that is held in every window: the write gives up, and nothing is lost. */
START_TEST(test_views_in_every_way)
{
	static char value[250000];
	struct write_request request = write_of(WRITE_SET, "large", NULL);
	struct house house;

	request.value = value;
	request.value_size = sizeof value;
	house_start(&house, MIB, NEVER_MS);
	for (uint32_t segment = 4; segment < house.world.segments; segment += 4)
		fetch_add_acq_rel(control_pin(&house.guest.cache.control, 0, segment), 1);
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(write_one(&house.world, &request, NULL), -EAGAIN);
		reclaim_run(house.reclaim);
	}
	put(&house.world, "small", "still written");
	for (uint32_t segment = 4; segment < house.world.segments; segment += 4)
		fetch_sub_release(control_pin(&house.guest.cache.control, 0, segment), 1);
	ck_assert_int_eq(put_large(&house, "large", 250000, 1), 0);
	expect_large(&house, "large", 250000, 1);
	expect_sound(&house.world);
	house_stop(&house);
}
END_TEST

/* Whatever somebody writes over what is said of extents: the keeper and verification come to an end, and stay inside. */
START_TEST(test_scribbled)
{
	struct random random = { (uint64_t)_i + 1 };
	struct house house;

	house_start(&house, MIB, NEVER_MS);
	for (uint32_t round = 0; round < 60; round++) {
		uint32_t segment = house.arena->system_segments + 1 +
		                   random_below(&random, house.world.segments - house.arena->system_segments - 1);
		struct segment_word word = segment_load(house.arena, segment);

		put_large_for(&house, "key", 70000 + random_below(&random, 180000), round, 10);
		if (random_below(&random, 2))
			word.state = (enum segment_state)random_below(&random, 9);
		if (word.state == SEGMENT_INDEX || word.state == SEGMENT_SYSTEM)
			word.state = SEGMENT_EXTENT;
		word.next_chunk = random_below(&random, 20) * house.arena->chunks + random_below(&random, 2);
		store_relaxed(&house.arena->table[segment].state, segment_pack(word));
		store_relaxed(&house.arena->header->extent_wanted[random_below(&random, EXTENT_CLASSES)],
		              random_below(&random, 40) ? random_below(&random, 40) : UINT32_MAX);
		for (int i = 0; i < 5; i++)
			reclaim_run(house.reclaim);
		cache_verify(&house.world.self.thread, NULL, NULL, NULL);
	}
	house_stop(&house);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("extents");

	tcase_add_test(tests, test_any_size);
	tcase_add_test(tests, test_longest_keys);
	tcase_add_test(tests, test_append_and_touch);
	tcase_add_test(tests, test_conditions);
	tcase_add_test(tests, test_replaced_and_deleted);
	tcase_add_test(tests, test_view_holds_all_of_it);
	tcase_add_test(tests, test_eviction);
	tcase_add_test(tests, test_limit);
	tcase_add_test(tests, test_length_and_class);
	tcase_add_test(tests, test_stored_ones_outlive_the_keeper);
	tcase_add_test(tests, test_index_in_the_way);
	tcase_add_test(tests, test_views_in_every_way);
	tcase_add_loop_test(tests, test_scribbled, 0, 10);
	return suite_run("extents", tests);
}
