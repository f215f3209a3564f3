/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "cache/internal.h"
#include "epoch/grace.h"
#include "tests/unit/support/threads.h"
#include "tests/unit/support/writes.h"

static uint64_t place_of(const struct world *world, const char *key)
{
	struct object_view view;

	look_up(world, key, &view);
	return view.offset;
}

START_TEST(test_counter_changes_in_place)
{
	struct world world;
	uint64_t place;
	int64_t value;

	world_start(&world, MIB);
	create_counter(&world, "counter", 10, 0, 0);
	place = place_of(&world, "counter");
	for (int64_t i = 1; i <= 100; i++) {
		ck_assert_int_eq(add(&world, "counter", 1, &value), 0);
		ck_assert_int_eq(value, 10 + i);
	}
	ck_assert_int_eq(add(&world, "counter", -200, &value), 0);
	ck_assert_int_eq(value, -90);
	ck_assert_int_eq(add(&world, "counter", 0, &value), 0);
	ck_assert_int_eq(value, -90);
	expect_value(&world, "counter", "-90");
	ck_assert_uint_eq(place_of(&world, "counter"), place);
	world_stop(&world);
}
END_TEST

START_TEST(test_text_becomes_a_counter_once)
{
	struct world world;
	uint64_t place;

	world_start(&world, MIB);
	put(&world, "key", "-007");
	place = place_of(&world, "key");
	ck_assert_int_eq(add(&world, "key", 1, NULL), 0);
	ck_assert_uint_ne(place_of(&world, "key"), place);
	expect_value(&world, "key", "-6");
	place = place_of(&world, "key");
	ck_assert_int_eq(add(&world, "key", 1, NULL), 0);
	ck_assert_uint_eq(place_of(&world, "key"), place);
	world_stop(&world);
}
END_TEST

START_TEST(test_overflow_either_way)
{
	static const struct {
		int64_t number, delta;
		int result;
	} cases[] = {
		{ INT64_MAX, 1, -EOVERFLOW },
		{ INT64_MAX, 0, 0 },
		{ INT64_MAX - 1, 1, 0 },
		{ INT64_MAX, INT64_MAX, -EOVERFLOW },
		{ INT64_MAX, INT64_MIN, 0 },
		{ INT64_MIN, -1, -EOVERFLOW },
		{ INT64_MIN, INT64_MIN, -EOVERFLOW },
		{ INT64_MIN, INT64_MAX, 0 },
		{ INT64_MIN + 1, -1, 0 },
		{ 0, INT64_MIN, 0 },
		{ -1, INT64_MIN, -EOVERFLOW },
		{ 1, INT64_MAX, -EOVERFLOW },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		for (int text = 0; text < 2; text++) { /* the number begins as text, or as a counter */
			char digits[NUMBER_TEXT];
			struct world world;
			struct larder_item before, after;
			char value[VALUE_TEXT];

			world_start(&world, MIB);
			number_format(cases[i].number, digits);
			if (text)
				put(&world, "key", digits);
			else
				create_counter(&world, "key", cases[i].number, 0, 0);
			get(&world, "key", value, &before);
			ck_assert_int_eq(add(&world, "key", cases[i].delta, NULL), cases[i].result);
			if (cases[i].result == 0)
				number_format(cases[i].number + cases[i].delta, digits);
			ck_assert_str_eq(get(&world, "key", value, &after), digits);
			ck_assert_int_eq(after.version == before.version, cases[i].result != 0);
			world_stop(&world);
		}
}
END_TEST

START_TEST(test_version_belongs_to_the_value)
{
	struct write_request request = write_of(WRITE_CAS, "counter", "7");
	struct world world;
	struct larder_item item;
	char text[VALUE_TEXT];

	world_start(&world, MIB);
	create_counter(&world, "counter", 1, 0, 0);
	get(&world, "counter", text, &item);
	ck_assert_int_eq(add(&world, "counter", 1, NULL), 0);
	request.expected_version = item.version;
	ck_assert_int_eq(write_one(&world, &request, NULL), LARDER_CHANGED);
	expect_value(&world, "counter", "2");
	get(&world, "counter", text, &item);
	request.expected_version = item.version;
	ck_assert_int_eq(write_one(&world, &request, NULL), 0);
	expect_value(&world, "counter", "7");
	world_stop(&world);
}
END_TEST

START_TEST(test_frozen_counter_is_replaced)
{
	struct world world;
	struct object_view view;
	uint64_t version, place;
	int64_t value;

	world_start(&world, MIB);
	create_counter(&world, "counter", 41, 0, 3);
	look_up(&world, "counter", &view);
	place = view.offset;
	epoch_enter(&world.self.thread.reader);
	/* one that has another version than the expected one stays as it is */
	ck_assert_int_eq(counter_freeze(&world.self.thread.reader, view.counter, 12345, &value, &version),
	                 FREEZE_CHANGED);
	ck_assert_uint_eq(load_relaxed(&view.counter->version) & COUNTER_FROZEN, 0);
	ck_assert_int_eq(counter_freeze(&world.self.thread.reader, view.counter, version, &value, &version),
	                 FREEZE_DONE);
	ck_assert_int_eq(value, 41);
	ck_assert_uint_eq(version, view.version);
	/* freezing it again tells the same */
	ck_assert_int_eq(counter_freeze(&world.self.thread.reader, view.counter, version, &value, &version),
	                 FREEZE_DONE);
	ck_assert_int_eq(value, 41);
	ck_assert_uint_eq(version, view.version);
	epoch_exit(&world.self.thread.reader);

	expect_value(&world, "counter", "41");
	ck_assert_int_eq(add(&world, "counter", 1, NULL), 0);
	ck_assert_uint_ne(place_of(&world, "counter"), place);
	ck_assert_int_eq(load_relaxed(&view.counter->value), 41); /* the old one never changed */
	expect_value(&world, "counter", "42");
	world_stop(&world);
}
END_TEST

/* A revoked thread cannot know that what it sees is a counter still. */
START_TEST(test_revoked_thread_freezes_nothing)
{
	struct world world;
	struct object_view view;
	struct epoch_reader *reader = &world.self.thread.reader;
	uint64_t version;
	int64_t value;

	world_start(&world, MIB);
	create_counter(&world, "counter", 41, 0, 0);
	look_up(&world, "counter", &view);
	epoch_enter(reader);
	grace_revoke(&world.self.cache.control, grace_begin(world.arena, load_relaxed(&world.arena->header->epoch)));
	ck_assert_int_eq(counter_freeze(reader, view.counter, 0, &value, &version), FREEZE_AGAIN);
	ck_assert_uint_eq(load_relaxed(&view.counter->version) & COUNTER_FROZEN, 0);
	ck_assert(!epoch_exit(reader));
	world_stop(&world);
}
END_TEST

/* Nor does it add to what may be another's bytes by now, even though the segment can be pinned. */
START_TEST(test_revoked_thread_adds_nothing)
{
	struct world world;
	struct cache_thread *thread = &world.self.thread;
	struct write_result result;
	struct index_chain chain;
	uint64_t hash;

	world_start(&world, MIB);
	create_counter(&world, "counter", 41, 0, 0);
	hash = hash_key(world.arena->secret, "counter", 7);
	epoch_enter(&thread->reader);
	ck_assert(index_find(world.arena, hash, "counter", 7, &chain));
	ck_assert_int_eq(counter_add(thread, &chain, 1, 1, &result), 0);
	grace_revoke(&world.self.cache.control, grace_begin(world.arena, load_relaxed(&world.arena->header->epoch)));
	ck_assert_int_eq(counter_add(thread, &chain, 1, 1, &result), -EBUSY);
	ck_assert_uint_eq(load_relaxed(&thread->reader.line->write_pin), 0);
	ck_assert(!epoch_exit(&thread->reader));
	expect_value(&world, "counter", "42");
	world_stop(&world);
}
END_TEST

START_TEST(test_counter_of_a_condemned_segment_moves)
{
	struct world world;
	uint64_t place;

	world_start(&world, MIB);
	create_counter(&world, "counter", 41, 0, 0);
	place = place_of(&world, "counter");
	ck_assert(segment_change(world.arena, (uint32_t)(place >> world.arena->segment_shift), SEGMENT_OPEN,
	                         SEGMENT_CONDEMNED));
	ck_assert_int_eq(add(&world, "counter", 1, NULL), 0);
	ck_assert_uint_ne(place_of(&world, "counter") >> world.arena->segment_shift,
	                  place >> world.arena->segment_shift);
	expect_value(&world, "counter", "42");
	world_stop(&world);
}
END_TEST

/* ---- no addition is lost ------------------------------------------------------------------------------------------------ */

#define ADDERS 16
#define CARRIERS 4
#define ADDITIONS 3000
#define CARRIES 1500

struct bank {
	struct world world;
	struct client clients[ADDERS + CARRIERS];
	atomic_u64 carried;
};

static void add_many(struct cache_thread *thread)
{
	struct write_request request = write_of(WRITE_INCR, "counter", NULL);
	struct write_result result;
	uint64_t last = 0;

	request.delta = 1;
	for (uint32_t i = 0; i < ADDITIONS; i++) {
		expect_equal(cache_write(thread, &request, &result), 0);
		expect(result.version > last);
		last = result.version;
	}
}

/* Carries the value on into a new object, without changing it. */
static void carry_many(struct bank *bank, struct cache_thread *thread, uint32_t how)
{
	static const enum write_operation operations[CARRIERS] = { WRITE_TOUCH, WRITE_APPEND, WRITE_CAS, WRITE_CAS };
	struct write_request request = write_of(operations[how], "counter", NULL);
	struct write_result result;

	for (uint32_t i = 0; i < CARRIES; i++) {
		char text[VALUE_TEXT];
		struct larder_item item;
		int code;

		expect_equal(cache_get(thread, "counter", 7, text, sizeof text, &item), 0);
		if (operations[how] == WRITE_CAS) {
			request.value = text;
			request.value_size = item.value_size;
			request.expected_version = item.version;
		}
		request.ttl_ms = i % 2 ? 1000000 : 0;
		code = cache_write(thread, &request, &result);
		expect(code == 0 || (operations[how] == WRITE_CAS && code == LARDER_CHANGED));
		if (code == 0)
			fetch_add_relaxed(&bank->carried, 1);
	}
}

static void bank_body(void *context, uint32_t number)
{
	struct bank *bank = context;
	struct cache_thread *thread = &bank->clients[number].thread;

	if (number < ADDERS)
		add_many(thread);
	else
		carry_many(bank, thread, number - ADDERS);
}

START_TEST(test_no_addition_is_lost)
{
	static struct bank bank;
	char expected[32];

	world_start(&bank.world, 32 * MIB);
	create_counter(&bank.world, "counter", 0, 0, 0);
	for (uint32_t i = 0; i < ADDERS + CARRIERS; i++)
		client_start(&bank.world, &bank.clients[i]);
	threads_run(ADDERS + CARRIERS, bank_body, &bank);
	snprintf(expected, sizeof expected, "%d", ADDERS * ADDITIONS);
	expect_value(&bank.world, "counter", expected);
	ck_assert_uint_ge(load_relaxed(&bank.carried), 2 * CARRIES);
	expect_sound(&bank.world);
	for (uint32_t i = 0; i < ADDERS + CARRIERS; i++)
		client_stop(&bank.clients[i]);
	world_stop(&bank.world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("counter");

	tcase_add_test(tests, test_counter_changes_in_place);
	tcase_add_test(tests, test_text_becomes_a_counter_once);
	tcase_add_test(tests, test_overflow_either_way);
	tcase_add_test(tests, test_version_belongs_to_the_value);
	tcase_add_test(tests, test_frozen_counter_is_replaced);
	tcase_add_test(tests, test_revoked_thread_freezes_nothing);
	tcase_add_test(tests, test_revoked_thread_adds_nothing);
	tcase_add_test(tests, test_counter_of_a_condemned_segment_moves);
	tcase_add_test(tests, test_no_addition_is_lost);
	return suite_run("counter", tests);
}
