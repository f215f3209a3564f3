/* SPDX-License-Identifier: MIT */
/* Writes and the memory they need: what fits, and what happens when there is none. */
#include <errno.h>
#include <sched.h>

#include "base/platform.h"
#include "index/split.h"
#include "tests/unit/support/threads.h"
#include "tests/unit/support/writes.h"

/* ---- sizes ------------------------------------------------------------------------------------------------------------- */

static int set_sized(struct world *world, size_t key_size, size_t value_size, uint64_t ttl_ms, uint32_t flags)
{
	static char key[LARDER_KEY_MAX], value[SEGMENT_BYTES_MAX + 1];
	struct write_request request = {
		.operation = WRITE_SET,
		.key = key,
		.key_size = key_size,
		.value = value,
		.value_size = value_size,
		.ttl_ms = ttl_ms,
		.flags = flags,
	};
	struct larder_item item = { 0 };
	int result;

	memset(key, 'k', sizeof key);
	memset(value, 'v', sizeof value);
	result = write_one(world, &request, NULL);
	ck_assert_int_eq(cache_get(&world->self.thread, key, key_size, NULL, 0, &item), result       ? LARDER_MISS
	                                                                                : value_size ? LARDER_TRUNCATED
	                                                                                             : LARDER_OK);
	ck_assert_uint_eq(item.value_size, result ? 0 : value_size);
	expect_sound(world);
	return result;
}

/* What fits a segment beside a key of that size. */
static uint64_t most_in_segment(const struct arena *arena, size_t key_size, uint32_t flags)
{
	uint64_t value_size = arena_object_max(arena);

	while (object_size(flags, (uint32_t)key_size, (uint32_t)value_size) > arena_object_max(arena))
		value_size--;
	return value_size;
}

/* One byte more needs an extent, for which there must be a keeper (check_large.c). */
START_TEST(test_largest_values_in_a_segment)
{
	static const uint64_t bytes[] = { MIB, 4 * MIB, 64 * MIB };
	static const size_t key_sizes[] = { 1, 2, 7, 100, 1024, 60000 };

	for (size_t b = 0; b < sizeof bytes / sizeof bytes[0]; b++)
		for (size_t k = 0; k < sizeof key_sizes / sizeof key_sizes[0]; k++)
			for (uint32_t extras = 0; extras < 4; extras++) {
				struct world world;
				uint64_t most;

				world_start(&world, bytes[b]);
				most = most_in_segment(world.arena, key_sizes[k],
				                       (extras & 1 ? OBJECT_EXPIRES : 0) |
				                               (extras & 2 ? OBJECT_FLAGS : 0));
				ck_assert_int_eq(
					set_sized(&world, key_sizes[k], most + 1, extras & 1 ? 9999 : 0, extras & 2),
					-EAGAIN);
				for (uint32_t less = 0; less < 8 && less <= most; less++)
					ck_assert_int_eq(set_sized(&world, key_sizes[k], most - less,
					                           extras & 1 ? 9999 : 0, extras & 2),
					                 0);
				world_stop(&world);
			}
}
END_TEST

/* In a small arena a segment has hardly more bytes than the longest key. */
START_TEST(test_keys_that_fit_no_segment)
{
	static const uint32_t extras[] = { OBJECT_EXPIRES | OBJECT_FLAGS, OBJECT_EXPIRES, OBJECT_FLAGS,
		                           0 }; /* most first */
	static char key[LARDER_KEY_MAX];

	memset(key, 'c', sizeof key);
	for (uint32_t key_size = LARDER_KEY_MAX - 100; key_size <= LARDER_KEY_MAX; key_size++) {
		struct write_request counter = {
			.operation = WRITE_INCR, .key = key, .key_size = key_size, .incr_flags = LARDER_INCR_CREATE
		};
		struct world world;
		uint64_t room;

		world_start(&world, MIB);
		room = world.arena->segment_bytes - sizeof(struct chunk_header);
		ck_assert_int_eq(write_one(&world, &counter, NULL),
		                 object_size(OBJECT_COUNTER, key_size, 0) <= room ? 0 : -EAGAIN);
		for (size_t i = 0; i < sizeof extras / sizeof extras[0]; i++)
			ck_assert_int_eq(set_sized(&world, key_size, 0, extras[i] & OBJECT_EXPIRES ? 1000 : 0,
			                           extras[i] & OBJECT_FLAGS),
			                 object_size(extras[i], key_size, 0) <= room ? 0 : -EAGAIN);
		expect_sound(&world);
		world_stop(&world);
	}
}
END_TEST

/* ---- no memory ---------------------------------------------------------------------------------------------------------- */

static uint32_t fill(struct world *world)
{
	static char value[8000];
	uint32_t keys = 0;

	for (;; keys++) {
		char key[16];
		struct write_request request = { .operation = WRITE_SET, .value = value, .value_size = sizeof value };

		snprintf(key, sizeof key, "fill %u", keys);
		request.key = key;
		request.key_size = strlen(key);
		if (write_one(world, &request, NULL) != 0)
			return keys;
	}
}

/* Nobody will make room; a test that waits for 10 minutes is ended before. */
#define PATIENT_MS 600000u

struct orphan {
	struct world world;
	struct client patient;
	uint32_t asked; /* how often writers had asked for room before */
};

static void orphan_start(struct orphan *orphan)
{
	world_start(&orphan->world, MIB);
	client_start_waiting(&orphan->world, &orphan->patient, WORLD_FENCED, PATIENT_MS);
	fill(&orphan->world);
	orphan->asked = load_relaxed(&orphan->world.arena->header->wake_sequence);
}

static void orphan_stop(struct orphan *orphan)
{
	client_stop(&orphan->patient);
	world_stop(&orphan->world);
}

static void write_without_room(struct orphan *orphan)
{
	static char value[30000];
	struct write_request request = {
		.operation = WRITE_SET, .key = "more", .key_size = 4, .value = value, .value_size = sizeof value
	};
	struct write_result result;

	expect_equal(cache_write(&orphan->patient.thread, &request, &result), -EAGAIN);
}

START_TEST(test_without_larderd_nobody_waits_for_room)
{
	struct orphan orphan;

	orphan_start(&orphan);
	store_relaxed(&orphan.world.arena->header->owner, OWNER_DIED);
	write_without_room(&orphan);
	orphan_stop(&orphan);
}
END_TEST

static void orphan_body(void *context, uint32_t number)
{
	struct orphan *orphan = context;
	struct arena_header *header = orphan->world.arena->header;

	if (number == 0) {
		write_without_room(orphan);
		return;
	}
	while (load_relaxed(&header->wake_sequence) == orphan->asked)
		sched_yield();
	store_relaxed(&header->owner, OWNER_DIED);
}

START_TEST(test_who_waits_sees_that_larderd_ends)
{
	struct orphan orphan;

	orphan_start(&orphan);
	threads_run(2, orphan_body, &orphan);
	orphan_stop(&orphan);
}
END_TEST

START_TEST(test_full_arena_refuses_and_keeps_what_it_has)
{
	struct world world;
	uint32_t keys;
	char value[9000] = "";

	world_start(&world, MIB);
	put(&world, "key", "value");
	create_counter(&world, "counter", 1, 0, 0);
	keys = fill(&world);
	ck_assert_uint_gt(keys, 50);
	struct write_request request = {
		.operation = WRITE_SET, .key = "key", .key_size = 3, .value = value, .value_size = 9000
	};
	ck_assert_int_eq(write_one(&world, &request, NULL), -EAGAIN);
	request.operation = WRITE_APPEND;
	ck_assert_int_eq(write_one(&world, &request, NULL), -EAGAIN);
	expect_value(&world, "key", "value");
	ck_assert_int_eq(add(&world, "counter", 5, NULL), 0); /* in place, so there is no need of memory */
	ck_assert_int_eq(simple_write(&world, WRITE_DELETE, "key", NULL), 0);
	expect_value(&world, "key", "(miss)");
	expect_sound(&world);
	world_stop(&world);
}
END_TEST

struct waiting {
	struct world world;
	struct client client;
	uint32_t calls; /* for the keeper, before it begins */
};

/* One writer waits for memory; when it has asked for it, the keeper gives some. */
static void wait_or_give(void *context, uint32_t number)
{
	struct waiting *waiting = context;
	const struct arena *arena = waiting->world.arena;

	if (number == 0) {
		struct write_request request = write_of(WRITE_SET, "late", "value");
		struct write_result result;

		request.ttl_ms = 3000; /* of a class that has no segment yet */
		expect_equal(cache_write(&waiting->client.thread, &request, &result), 0);
		return;
	}
	while (load_relaxed(&arena->header->wake_sequence) == waiting->calls)
		platform_futex_wait(&arena->header->wake_sequence, waiting->calls, 60000);
	expect(segment_change(arena, 2, SEGMENT_OPEN, SEGMENT_CONDEMNED));
	expect(segment_change(arena, 2, SEGMENT_CONDEMNED, SEGMENT_RETIRED));
	segment_recycle(arena, 2);
	fetch_add_acq_rel(&arena->header->free_sequence, 1);
	platform_futex_wake(&arena->header->free_sequence);
}

START_TEST(test_writer_waits_for_memory)
{
	static struct waiting waiting;

	world_start(&waiting.world, MIB);
	client_start_waiting(&waiting.world, &waiting.client, WORLD_FENCED, 600000);
	fill(&waiting.world);
	waiting.calls = load_relaxed(&waiting.world.arena->header->wake_sequence);
	threads_run(2, wait_or_give, &waiting);
	expect_value(&waiting.world, "late", "value");
	client_stop(&waiting.client);
	world_stop(&waiting.world);
}
END_TEST

START_TEST(test_keeper_is_woken_when_free_segments_run_low)
{
	struct world world;
	struct client client;
	struct write_request request = write_of(WRITE_SET, "key", "value");
	struct write_result result;
	const atomic_u32 *calls;
	uint32_t before;

	world_start(&world, MIB);
	client_start_waiting(&world, &client, WORLD_FENCED, 0);
	calls = &world.arena->header->wake_sequence;
	before = load_relaxed(calls);
	store_relaxed(&world.arena->header->free_low_mark, load_relaxed(&world.arena->header->free_segments));
	ck_assert_int_eq(cache_write(&client.thread, &request, &result), 0);
	ck_assert_uint_eq(load_relaxed(calls), before + 1);
	/* not by every write, but by one that took a segment */
	ck_assert_int_eq(cache_write(&client.thread, &request, &result), 0);
	ck_assert_uint_eq(load_relaxed(calls), before + 1);
	client_stop(&client);
	world_stop(&world);
}
END_TEST

/* More keys than an index segment has room for, without a keeper: where its split was begun, writers do what is needed of it. */
START_TEST(test_buckets_of_a_split_segment_are_moved_by_writers)
{
	const uint32_t keys = 5000;
	struct world world;
	char key[16];

	world_start(&world, MIB);
	ck_assert(split_begin(world.arena, world.arena->system_segments));
	for (uint32_t i = 0; i < keys; i++) {
		snprintf(key, sizeof key, "%u", i);
		put(&world, key, key);
	}
	ck_assert_uint_eq(load_relaxed(&world.arena->table[world.arena->system_segments].overflow_used), 0);
	ck_assert_uint_eq(load_relaxed(&world.arena->header->displaced_objects), 0);
	for (uint32_t i = 0; i < keys; i++) {
		snprintf(key, sizeof key, "%u", i);
		expect_value(&world, key, key);
	}
	expect_sound(&world);
	world_stop(&world);
}
END_TEST

/* Who does not wait, or has waited long enough, comes again; nobody else's key is driven out when there will be room. */
START_TEST(test_nobody_is_driven_out_where_there_will_be_room)
{
	struct world world;
	uint32_t keys = 0;
	char key[16];

	world_start(&world, MIB);
	world.self.cache.timeout_ms = _i ? 20 : 0;
	for (;; keys++) {
		struct write_request request = write_of(WRITE_SET, key, "value");

		snprintf(key, sizeof key, "%u", keys);
		request.key_size = strlen(key);
		if (write_one(&world, &request, NULL) == -EAGAIN)
			break;
	}
	ck_assert(index_crowded(world.arena, world.arena->system_segments));
	ck_assert_uint_eq(load_relaxed(&world.arena->header->displaced_objects), 0);
	ck_assert(split_begin(world.arena, world.arena->system_segments));
	put(&world, key, "value");
	for (uint32_t i = 0; i <= keys; i++) {
		snprintf(key, sizeof key, "%u", i);
		expect_value(&world, key, "value");
	}
	expect_sound(&world);
	world_stop(&world);
}
END_TEST

START_TEST(test_full_arena_is_sound)
{
	struct world world;
	struct random random = { 1 };
	int result = 0;

	world_start(&world, 2 * MIB);
	for (uint32_t i = 0; result == 0; i++) {
		static char value[20000];
		char key[16];
		struct write_request request = {
			.operation = WRITE_SET,
			.key = key,
			.value = value,
			.value_size = random_below(&random, i % 50 ? 200 : sizeof value),
			.ttl_ms = random_below(&random, 2) ? random_below(&random, 20000) : 0,
			.flags = random_below(&random, 2),
		};

		snprintf(key, sizeof key, "%u", random_below(&random, 100000));
		request.key_size = strlen(key);
		result = write_one(&world, &request, NULL);
	}
	ck_assert_int_eq(result, -EAGAIN);
	expect_sound(&world);
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("write room");

	tcase_add_test(tests, test_full_arena_is_sound);
	tcase_add_test(tests, test_largest_values_in_a_segment);
	tcase_add_test(tests, test_keys_that_fit_no_segment);
	tcase_add_test(tests, test_without_larderd_nobody_waits_for_room);
	tcase_add_test(tests, test_who_waits_sees_that_larderd_ends);
	tcase_add_test(tests, test_full_arena_refuses_and_keeps_what_it_has);
	tcase_add_test(tests, test_writer_waits_for_memory);
	tcase_add_test(tests, test_keeper_is_woken_when_free_segments_run_low);
	tcase_add_test(tests, test_buckets_of_a_split_segment_are_moved_by_writers);
	tcase_add_loop_test(tests, test_nobody_is_driven_out_where_there_will_be_room, 0, 2);
	return suite_run("write room", tests);
}
