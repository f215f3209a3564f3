/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "cache/internal.h"
#include "tests/unit/support/writes.h"

/* ---- every operation on everything a key can be ------------------------------------------------------------------------ */

enum before { ABSENT, TEXT, DIGITS, EXPIRED, COUNTER, FROZEN, EXPIRED_COUNTER, BEFORES };

static const char *const before_names[BEFORES] = {
	"absent", "text", "digits", "expired", "counter", "frozen counter", "expired counter",
};

static void freeze(struct world *world, const char *key)
{
	struct object_view view;
	int64_t value;
	uint64_t version;

	look_up(world, key, &view);
	epoch_enter(&world->self.thread.reader);
	expect_equal(counter_freeze(&world->self.thread.reader, view.counter, 0, &value, &version), FREEZE_DONE);
	expect(epoch_exit(&world->self.thread.reader));
}

/* Return: the key's version, or 0. */
static uint64_t prepare(struct world *world, const char *key, enum before before)
{
	uint64_t version = 0;

	switch (before) {
	case ABSENT:
	case BEFORES:
		break;
	case TEXT:
		version = put_with(world, key, "text", 0, 7);
		break;
	case DIGITS:
		version = put_with(world, key, "41", 0, 7);
		break;
	case EXPIRED:
		put_with(world, key, "41", 1000, 7);
		world_advance(world, 1000);
		break;
	case EXPIRED_COUNTER:
		create_counter(world, key, 41, 1000, 7);
		world_advance(world, 1000);
		break;
	case COUNTER:
		version = create_counter(world, key, 41, 0, 7);
		break;
	case FROZEN:
		version = create_counter(world, key, 41, 0, 7);
		freeze(world, key);
		break;
	}
	return version;
}

/* What an operation comes to: a value that is stored (GONE: the key is removed), or what is left as it was because of ... */
#define GONE "(miss)"
#define MISS "!miss"
#define EXISTS "!exists"
#define CHANGED "!changed"
#define NO_NUMBER "!no number"
#define TOO_FAR "!too far"

static int result_of(const char *outcome)
{
	static const struct {
		const char *outcome;
		int result;
	} results[] = {
		{ MISS, LARDER_MISS },       { EXISTS, LARDER_EXISTS },
		{ CHANGED, LARDER_CHANGED }, { NO_NUMBER, LARDER_NOT_NUMBER },
		{ TOO_FAR, -EOVERFLOW },
	};

	for (size_t i = 0; i < sizeof results / sizeof results[0]; i++)
		if (strcmp(outcome, results[i].outcome) == 0)
			return results[i].result;
	return LARDER_OK;
}

enum version { ANY_VERSION, RIGHT_VERSION, WRONG_VERSION };

struct row {
	const char *name;
	enum write_operation operation;
	const char *value;
	enum version version;
	int64_t delta;
	bool create;
	const char *outcome[BEFORES]; /* absent, text, digits, expired, counter, frozen counter, expired counter */
};

/* clang-format off */
static const struct row rows[] = {
	{ "set", WRITE_SET, "new", ANY_VERSION, 0, false,
	  { "new", "new", "new", "new", "new", "new", "new" } },
	{ "set nothing", WRITE_SET, NULL, ANY_VERSION, 0, false,
	  { "", "", "", "", "", "", "" } },
	{ "add", WRITE_ADD, "new", ANY_VERSION, 0, false,
	  { "new", EXISTS, EXISTS, "new", EXISTS, EXISTS, "new" } },
	{ "replace", WRITE_REPLACE, "new", ANY_VERSION, 0, false,
	  { MISS, "new", "new", MISS, "new", "new", MISS } },
	{ "cas", WRITE_CAS, "new", RIGHT_VERSION, 0, false,
	  { MISS, "new", "new", MISS, "new", "new", MISS } },
	{ "cas of another version", WRITE_CAS, "new", WRONG_VERSION, 0, false,
	  { MISS, CHANGED, CHANGED, MISS, CHANGED, CHANGED, MISS } },
	{ "cas of version 0", WRITE_CAS, "new", ANY_VERSION, 0, false,
	  { MISS, CHANGED, CHANGED, MISS, CHANGED, CHANGED, MISS } },
	{ "append", WRITE_APPEND, "new", ANY_VERSION, 0, false,
	  { MISS, "textnew", "41new", MISS, "41new", "41new", MISS } },
	{ "append nothing", WRITE_APPEND, NULL, ANY_VERSION, 0, false,
	  { MISS, "text", "41", MISS, "41", "41", MISS } },
	{ "touch", WRITE_TOUCH, NULL, ANY_VERSION, 0, false,
	  { MISS, "text", "41", MISS, "41", "41", MISS } },
	{ "incr", WRITE_INCR, NULL, ANY_VERSION, 2, false,
	  { MISS, NO_NUMBER, "43", MISS, "43", "43", MISS } },
	{ "incr that creates", WRITE_INCR, NULL, ANY_VERSION, 2, true,
	  { "-5", NO_NUMBER, "43", "-5", "43", "43", "-5" } },
	{ "incr too far", WRITE_INCR, NULL, ANY_VERSION, INT64_MAX, false,
	  { MISS, NO_NUMBER, TOO_FAR, MISS, TOO_FAR, TOO_FAR, MISS } },
	{ "delete", WRITE_DELETE, NULL, ANY_VERSION, 0, false,
	  { MISS, GONE, GONE, MISS, GONE, GONE, MISS } },
	{ "delete of a version", WRITE_DELETE, NULL, RIGHT_VERSION, 0, false,
	  { MISS, GONE, GONE, MISS, GONE, GONE, MISS } },
	{ "delete of another version", WRITE_DELETE, NULL, WRONG_VERSION, 0, false,
	  { MISS, CHANGED, CHANGED, MISS, CHANGED, CHANGED, MISS } },
};
/* clang-format on */

#define ROWS (sizeof rows / sizeof rows[0])

static bool keeps_flags(enum write_operation operation)
{
	return operation == WRITE_APPEND || operation == WRITE_TOUCH || operation == WRITE_INCR;
}

static void check_row(const struct row *row, const char *key, enum before before)
{
	const char *expected = row->outcome[before];
	struct write_request request = write_of(row->operation, key, row->value);
	struct write_result result = { .version = 1 };
	struct larder_item item_before, item;
	char text_before[VALUE_TEXT], text[VALUE_TEXT];
	const char *value_before, *value;
	struct world world;
	uint64_t version;
	int code;

	world_start(&world, MIB);
	version = prepare(&world, key, before);
	request.delta = row->delta;
	request.initial = -5;
	request.incr_flags = row->create ? LARDER_INCR_CREATE : 0;
	request.expected_version = row->version == RIGHT_VERSION ? version : row->version == WRONG_VERSION ? 12345 : 0;
	value_before = get(&world, key, text_before, &item_before);
	ck_assert_uint_eq(item_before.version, version);
	code = cache_write(&world.self.thread, &request, &result);
	ck_assert_msg(code == result_of(expected), "%s, %s: %d, not %d", row->name, before_names[before], code,
	              result_of(expected));
	value = get(&world, key, text, &item);
	ck_assert_msg(strcmp(value, code == 0 ? expected : value_before) == 0, "%s, %s: \"%s\"", row->name,
	              before_names[before], value);
	if (code != 0) {
		ck_assert_uint_eq(item.version, version);
		ck_assert_uint_eq(result.version, 1);
	} else if (row->operation != WRITE_DELETE) {
		ck_assert_uint_eq(item.version, result.version);
		ck_assert_uint_gt(item.version, version);
		ck_assert_uint_eq(item.flags, version && keeps_flags(row->operation) ? 7 : 0);
	}
	if (code == 0 && row->operation == WRITE_INCR)
		ck_assert_int_eq(result.value, strtoll(value, NULL, 10));
	expect_sound(&world);
	world_stop(&world);
}

START_TEST(test_operation)
{
	for (enum before before = ABSENT; before < BEFORES; before++) {
		check_row(&rows[_i], "key", before);
		check_row(&rows[_i], "a key with its own ways", before); /* cache/plain.h */
	}
}
END_TEST

START_TEST(test_arguments_are_checked)
{
	static char key[LARDER_KEY_MAX + 1];
	struct world world;
	struct write_request request;

	world_start(&world, 32 * MIB); /* with segments that the longest key fits */
	for (enum write_operation operation = WRITE_SET; operation < WRITE_OPERATIONS; operation++) {
		request = write_of(operation, "key", "value");
		request.key_size = 0;
		ck_assert_int_eq(write_one(&world, &request, NULL), -EINVAL);
		request.key = NULL;
		request.key_size = 3;
		ck_assert_int_eq(write_one(&world, &request, NULL), -EINVAL);
		request.key = key;
		request.key_size = LARDER_KEY_MAX + 1;
		ck_assert_int_eq(write_one(&world, &request, NULL), -EINVAL);
		request = write_of(operation, "key", NULL);
		request.value_size = 1;
		ck_assert_int_eq(write_one(&world, &request, NULL), -EINVAL);
	}
	request = write_of(WRITE_OPERATIONS, "key", "value");
	ck_assert_int_eq(write_one(&world, &request, NULL), -EINVAL);
	request = write_of((enum write_operation)1000, "key", "value");
	ck_assert_int_eq(write_one(&world, &request, NULL), -EINVAL);
	request = write_of(WRITE_SET, "key", "value");
	request.key = key;
	request.key_size = LARDER_KEY_MAX;
	ck_assert_int_eq(write_one(&world, &request, NULL), 0);
	world_stop(&world);
}
END_TEST

/* ---- versions and lives ------------------------------------------------------------------------------------------------ */

START_TEST(test_versions_only_grow)
{
	struct world world;
	uint64_t last = 0;

	world_start(&world, 4 * MIB);
	for (uint32_t i = 0; i < 5000; i++) {
		struct write_request request = write_of(
			(enum write_operation[]){ WRITE_SET, WRITE_TOUCH, WRITE_INCR }[i % 3], "key", "5");
		struct write_result result;

		request.delta = 1;
		expect_equal(write_one(&world, &request, &result), 0);
		expect(result.version > last);
		last = result.version;
		/* a key that is made anew does not begin anew */
		if (i % 6 == 5)
			expect_equal(simple_write(&world, WRITE_DELETE, "key", NULL), 0);
	}
	/* as HLC stamps they lie near the clock, in milliseconds above 16 bits */
	ck_assert_uint_le(last >> 16, arena_now_ms(world.arena) + 1);
	world_stop(&world);
}
END_TEST

/* The clock of the writer may be behind that of whoever wrote before. */
START_TEST(test_version_grows_even_when_the_clock_does_not)
{
	struct world world;
	uint64_t version, ahead;

	world_start(&world, MIB);
	world_advance(&world, 1000000);
	ahead = put(&world, "key", "1");
	world.arena->clock_offset_ns -= 1000000 * NS_PER_MS;
	version = put(&world, "key", "2");
	ck_assert_uint_eq(version, ahead + 1);
	ck_assert_int_eq(add(&world, "key", 1, NULL), 0);
	create_counter(&world, "other", 1, 0, 0);
	world_stop(&world);
}
END_TEST

START_TEST(test_life_ends_to_the_millisecond)
{
	struct world world;
	struct larder_item item;
	char text[VALUE_TEXT];

	world_start(&world, MIB);
	put_with(&world, "key", "value", 5000, 0);
	put(&world, "for ever", "value");
	get(&world, "key", text, &item);
	ck_assert_uint_ge(item.ttl_ms, 1);
	ck_assert_uint_le(item.ttl_ms, 5000);
	world_advance(&world, item.ttl_ms);
	expect_value(&world, "key", "(miss)");
	get(&world, "for ever", text, &item);
	ck_assert_uint_eq(item.ttl_ms, 0);
	world_advance(&world, UINT64_C(1) << 40);
	expect_value(&world, "for ever", "value");
	expect_sound(&world);
	world_stop(&world);
}
END_TEST

/* Where the life of a key ends, in arena time. */
static uint64_t end_of(const struct world *world, const char *key)
{
	struct object_view view;

	look_up(world, key, &view);
	return view.expires_ms;
}

START_TEST(test_life_begins_with_the_write)
{
	static const uint64_t lives[] = { 1, 999, 1000, 86400000, UINT64_C(1) << 45, UINT64_MAX };
	struct world world;

	world_start(&world, MIB);
	for (size_t i = 0; i < sizeof lives / sizeof lives[0]; i++) {
		uint64_t life = lives[i] < UINT64_C(1) << 50 ? lives[i] : UINT64_C(1) << 50; /* longer ones are cut */
		uint64_t before = arena_now_ms(world.arena);

		put_with(&world, "key", "value", lives[i], 0);
		ck_assert_uint_ge(end_of(&world, "key"), before + life);
		ck_assert_uint_le(end_of(&world, "key"), arena_now_ms(world.arena) + life);
		expect_sound(&world);
	}
	world_stop(&world);
}
END_TEST

START_TEST(test_touch_gives_a_new_life_and_nothing_else)
{
	for (int counter = 0; counter < 2; counter++) {
		struct write_request request = write_of(WRITE_TOUCH, "key", NULL);
		struct world world;
		struct larder_item item;
		char text[VALUE_TEXT];
		uint64_t before;

		world_start(&world, MIB);
		if (counter)
			create_counter(&world, "key", 12, 1000, 9);
		else
			put_with(&world, "key", "12", 1000, 9);
		before = arena_now_ms(world.arena);
		request.ttl_ms = 70000;
		ck_assert_int_eq(write_one(&world, &request, NULL), 0);
		ck_assert_uint_ge(end_of(&world, "key"), before + 70000);
		world_advance(&world, 2000);
		ck_assert_str_eq(get(&world, "key", text, &item), "12");
		ck_assert_uint_eq(item.flags, 9);
		request.ttl_ms = 0;
		ck_assert_int_eq(write_one(&world, &request, NULL), 0);
		ck_assert_uint_eq(end_of(&world, "key"), 0);
		ck_assert_str_eq(get(&world, "key", text, &item), "12");
		ck_assert_uint_eq(item.flags, 9);
		ck_assert_int_eq(add(&world, "key", 1, NULL), 0);
		expect_sound(&world);
		world_stop(&world);
	}
}
END_TEST

START_TEST(test_append_and_incr_keep_life_and_flags)
{
	struct world world;
	uint64_t end;
	struct larder_item item;
	char text[VALUE_TEXT];

	world_start(&world, MIB);
	put_with(&world, "key", "1", 50000, 3);
	end = end_of(&world, "key");
	ck_assert_int_eq(simple_write(&world, WRITE_APPEND, "key", "2"), 0);
	ck_assert_uint_eq(end_of(&world, "key"), end);
	ck_assert_int_eq(add(&world, "key", 1, NULL), 0); /* makes a counter of it */
	ck_assert_uint_eq(end_of(&world, "key"), end);
	ck_assert_int_eq(add(&world, "key", 1, NULL), 0); /* adds in place */
	ck_assert_uint_eq(end_of(&world, "key"), end);
	ck_assert_int_eq(simple_write(&world, WRITE_APPEND, "key", "0"), 0); /* makes text of it */
	ck_assert_uint_eq(end_of(&world, "key"), end);
	ck_assert_str_eq(get(&world, "key", text, &item), "140");
	ck_assert_uint_eq(item.flags, 3);
	world_stop(&world);
}
END_TEST

/* The size is refused before any of the bytes are looked at, also where old and new size together would wrap. */
START_TEST(test_append_of_more_than_there_can_be)
{
	static const size_t sizes[] = { SIZE_MAX, SIZE_MAX - 4, SIZE_MAX / 2, UINT32_MAX };
	struct world world;

	world_start(&world, MIB);
	put(&world, "key", "value");
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct write_request request = write_of(WRITE_APPEND, "key", "more");

		request.value_size = sizes[i];
		ck_assert_int_eq(write_one(&world, &request, NULL), -E2BIG);
	}
	expect_value(&world, "key", "value");
	world_stop(&world);
}
END_TEST

/* Somebody wrote a size over that of an object, and now its value reaches into the room of the object that replaces it. */
START_TEST(test_old_value_that_reaches_into_the_new_one)
{
	const uint64_t reach = 4000;
	static const enum write_operation operations[] = { WRITE_APPEND, WRITE_TOUCH };

	for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
		char before[4096], after[4096];
		struct larder_item item;
		struct object_view view;
		struct world world;

		world_start(&world, MIB);
		put(&world, "key", "12345678");
		look_up(&world, "key", &view);
		store_relaxed(&view.object->head,
		              load_relaxed(&view.object->head) + (reach << OBJECT_VALUE_SIZE_SHIFT));
		ck_assert_int_eq(cache_get(&world.self.thread, "key", 3, before, sizeof before, &item), 0);
		ck_assert_uint_eq(item.value_size, reach + 8);
		ck_assert_int_eq(simple_write(&world, operations[i], "key", operations[i] == WRITE_APPEND ? "9" : NULL),
		                 0);
		ck_assert_int_eq(cache_get(&world.self.thread, "key", 3, after, sizeof after, &item), 0);
		ck_assert_uint_eq(item.value_size, reach + 8 + (operations[i] == WRITE_APPEND));
		ck_assert_int_eq(memcmp(before, after, 8), 0);
		world_stop(&world);
	}
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("write");

	tcase_add_loop_test(tests, test_operation, 0, (int)ROWS);
	tcase_add_test(tests, test_arguments_are_checked);
	tcase_add_test(tests, test_versions_only_grow);
	tcase_add_test(tests, test_version_grows_even_when_the_clock_does_not);
	tcase_add_test(tests, test_life_ends_to_the_millisecond);
	tcase_add_test(tests, test_life_begins_with_the_write);
	tcase_add_test(tests, test_touch_gives_a_new_life_and_nothing_else);
	tcase_add_test(tests, test_append_and_incr_keep_life_and_flags);
	tcase_add_test(tests, test_append_of_more_than_there_can_be);
	tcase_add_test(tests, test_old_value_that_reaches_into_the_new_one);
	return suite_run("write", tests);
}
