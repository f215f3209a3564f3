/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "cache/internal.h"
#include "tests/unit/support/threads.h"
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
static uint64_t prepare(struct world *world, enum before before)
{
	uint64_t version = 0;

	switch (before) {
	case ABSENT:
	case BEFORES:
		break;
	case TEXT:
		version = put_with(world, "key", "text", 0, 7);
		break;
	case DIGITS:
		version = put_with(world, "key", "41", 0, 7);
		break;
	case EXPIRED:
		put_with(world, "key", "41", 1000, 7);
		world_advance(world, 1000);
		break;
	case EXPIRED_COUNTER:
		create_counter(world, "key", 41, 1000, 7);
		world_advance(world, 1000);
		break;
	case COUNTER:
		version = create_counter(world, "key", 41, 0, 7);
		break;
	case FROZEN:
		version = create_counter(world, "key", 41, 0, 7);
		freeze(world, "key");
		break;
	}
	return version;
}

/* What an operation comes to, and what the key has then: NULL: the same as before. */
struct outcome {
	int result;
	const char *value;
};

struct row {
	const char *name;
	struct write_request request;
	bool right_version; /* put the key's own version into the request */
	struct outcome outcome[BEFORES];
};

#define MISSES { LARDER_MISS, NULL }
#define STORES(value) { 0, value }

#define REQUEST(operation_, ...) { .operation = operation_, .key = "key", .key_size = 3, __VA_ARGS__ }
#define NEW_VALUE .value = "new", .value_size = 3

static const struct row rows[] = {
	{ "set", REQUEST(WRITE_SET, NEW_VALUE), false,
	  { STORES("new"), STORES("new"), STORES("new"), STORES("new"), STORES("new"), STORES("new"), STORES("new") } },
	{ "set nothing", REQUEST(WRITE_SET, .value = NULL), false,
	  { STORES(""), STORES(""), STORES(""), STORES(""), STORES(""), STORES(""), STORES("") } },
	{ "add", REQUEST(WRITE_ADD, NEW_VALUE), false,
	  { STORES("new"), { LARDER_EXISTS, NULL }, { LARDER_EXISTS, NULL }, STORES("new"), { LARDER_EXISTS, NULL },
	    { LARDER_EXISTS, NULL }, STORES("new") } },
	{ "replace", REQUEST(WRITE_REPLACE, NEW_VALUE), false,
	  { MISSES, STORES("new"), STORES("new"), MISSES, STORES("new"), STORES("new"), MISSES } },
	{ "cas", REQUEST(WRITE_CAS, NEW_VALUE), true,
	  { MISSES, STORES("new"), STORES("new"), MISSES, STORES("new"), STORES("new"), MISSES } },
	{ "cas of another version", REQUEST(WRITE_CAS, NEW_VALUE, .expected_version = 12345), false,
	  { MISSES, { LARDER_CHANGED, NULL }, { LARDER_CHANGED, NULL }, MISSES, { LARDER_CHANGED, NULL },
	    { LARDER_CHANGED, NULL }, MISSES } },
	{ "cas of version 0", REQUEST(WRITE_CAS, NEW_VALUE), false,
	  { MISSES, { LARDER_CHANGED, NULL }, { LARDER_CHANGED, NULL }, MISSES, { LARDER_CHANGED, NULL },
	    { LARDER_CHANGED, NULL }, MISSES } },
	{ "append", REQUEST(WRITE_APPEND, NEW_VALUE), false,
	  { MISSES, STORES("textnew"), STORES("41new"), MISSES, STORES("41new"), STORES("41new"), MISSES } },
	{ "append nothing", REQUEST(WRITE_APPEND, .value = NULL), false,
	  { MISSES, STORES("text"), STORES("41"), MISSES, STORES("41"), STORES("41"), MISSES } },
	{ "touch", REQUEST(WRITE_TOUCH, .ttl_ms = 50000), false,
	  { MISSES, STORES("text"), STORES("41"), MISSES, STORES("41"), STORES("41"), MISSES } },
	{ "incr", REQUEST(WRITE_INCR, .delta = 2), false,
	  { MISSES, { LARDER_NOT_NUMBER, NULL }, STORES("43"), MISSES, STORES("43"), STORES("43"), MISSES } },
	{ "incr that creates", REQUEST(WRITE_INCR, .delta = 2, .initial = -5, .incr_flags = LARDER_INCR_CREATE), false,
	  { STORES("-5"), { LARDER_NOT_NUMBER, NULL }, STORES("43"), STORES("-5"), STORES("43"), STORES("43"),
	    STORES("-5") } },
	{ "incr too far", REQUEST(WRITE_INCR, .delta = INT64_MAX), false,
	  { MISSES, { LARDER_NOT_NUMBER, NULL }, { -EOVERFLOW, NULL }, MISSES, { -EOVERFLOW, NULL }, { -EOVERFLOW, NULL },
	    MISSES } },
	{ "delete", REQUEST(WRITE_DELETE, .value = NULL), false,
	  { MISSES, STORES("(miss)"), STORES("(miss)"), MISSES, STORES("(miss)"), STORES("(miss)"), MISSES } },
	{ "delete of a version", REQUEST(WRITE_DELETE, .value = NULL), true,
	  { MISSES, STORES("(miss)"), STORES("(miss)"), MISSES, STORES("(miss)"), STORES("(miss)"), MISSES } },
	{ "delete of another version", REQUEST(WRITE_DELETE, .expected_version = 12345), false,
	  { MISSES, { LARDER_CHANGED, NULL }, { LARDER_CHANGED, NULL }, MISSES, { LARDER_CHANGED, NULL },
	    { LARDER_CHANGED, NULL }, MISSES } },
};

#define ROWS (sizeof rows / sizeof rows[0])

static bool keeps_flags(enum write_operation operation)
{
	return operation == WRITE_APPEND || operation == WRITE_TOUCH || operation == WRITE_INCR;
}

static void check_row(const struct row *row, enum before before)
{
	const struct outcome *expected = &row->outcome[before];
	struct write_request request = row->request;
	struct write_result result = { .version = 1 };
	struct larder_item item_before, item;
	char text_before[VALUE_TEXT], text[VALUE_TEXT];
	const char *value_before, *value;
	struct world world;
	uint64_t version;
	int code;

	world_start(&world, MIB);
	version = prepare(&world, before);
	if (row->right_version && version)
		request.expected_version = version;
	value_before = get(&world, "key", text_before, &item_before);
	ck_assert_uint_eq(item_before.version, version);
	code = cache_write(&world.self.thread, &request, &result);
	ck_assert_msg(code == expected->result, "%s, %s: %d, not %d", row->name, before_names[before], code,
	              expected->result);
	value = get(&world, "key", text, &item);
	ck_assert_msg(strcmp(value, expected->value ? expected->value : value_before) == 0, "%s, %s: \"%s\"", row->name,
	              before_names[before], value);
	if (code != 0) {
		ck_assert_uint_eq(item.version, version);
		ck_assert_uint_eq(result.version, 1);
	} else if (request.operation != WRITE_DELETE) {
		ck_assert_uint_eq(item.version, result.version);
		ck_assert_uint_gt(item.version, version);
		ck_assert_uint_eq(item.flags, version && keeps_flags(request.operation) ? 7 : 0);
	}
	if (code == 0 && request.operation == WRITE_INCR)
		ck_assert_int_eq(result.value, strtoll(value, NULL, 10));
	expect_sound(&world);
	world_stop(&world);
}

START_TEST(test_operation)
{
	for (enum before before = ABSENT; before < BEFORES; before++)
		check_row(&rows[_i], before);
}
END_TEST

START_TEST(test_arguments_are_checked)
{
	static char key[LARDER_KEY_MAX + 1];
	struct world world;
	struct write_request request;

	world_start(&world, 4 * MIB);
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
	ck_assert_int_eq(cache_get(&world->self.thread, key, key_size, NULL, 0, &item),
	                 result ? LARDER_MISS : value_size ? LARDER_TRUNCATED : LARDER_OK);
	ck_assert_uint_eq(item.value_size, result ? 0 : value_size);
	expect_sound(world);
	return result;
}

START_TEST(test_largest_values)
{
	static const uint64_t bytes[] = { MIB, 4 * MIB, 64 * MIB };
	static const size_t key_sizes[] = { 1, 2, 7, 100, 1024, 60000 };

	for (size_t b = 0; b < sizeof bytes / sizeof bytes[0]; b++)
		for (size_t k = 0; k < sizeof key_sizes / sizeof key_sizes[0]; k++)
			for (uint32_t extras = 0; extras < 4; extras++) {
				struct world world;
				uint64_t most;

				world_start(&world, bytes[b]);
				most = arena_value_max(world.arena, key_sizes[k]);
				ck_assert_int_eq(set_sized(&world, key_sizes[k], most + 1, extras & 1 ? 9999 : 0, extras & 2), -E2BIG);
				for (uint32_t less = 0; less < 8; less++)
					ck_assert_int_eq(
					        set_sized(&world, key_sizes[k], most - less, extras & 1 ? 9999 : 0, extras & 2), 0);
				world_stop(&world);
			}
}
END_TEST

/* In a small arena a segment has fewer bytes than the longest key. */
START_TEST(test_keys_that_fit_no_segment)
{
	static char key[LARDER_KEY_MAX];
	struct world world;

	world_start(&world, MIB);
	memset(key, 'c', sizeof key);
	ck_assert_int_eq(set_sized(&world, LARDER_KEY_MAX, 0, 0, 0), -E2BIG);
	ck_assert_int_eq(set_sized(&world, LARDER_KEY_MAX, 0, 1000, 1), -E2BIG);
	for (size_t key_size = LARDER_KEY_MAX - 100; key_size <= LARDER_KEY_MAX; key_size++) {
		struct write_request counter = {
			.operation = WRITE_INCR, .key = key, .key_size = key_size, .incr_flags = LARDER_INCR_CREATE
		};
		int result = write_one(&world, &counter, NULL);

		ck_assert(result == 0 || result == -E2BIG);
		result = set_sized(&world, key_size, 0, 0, 0);
		ck_assert(result == 0 || result == -E2BIG);
		expect_sound(&world);
	}
	world_stop(&world);
}
END_TEST

START_TEST(test_append_up_to_the_largest_value)
{
	static char bytes[SEGMENT_BYTES_MIN];
	struct world world;
	struct write_request request = write_of(WRITE_APPEND, "key", NULL);
	struct larder_item item;
	uint64_t most;

	world_start(&world, MIB);
	most = arena_value_max(world.arena, 3);
	put(&world, "key", "12345");
	request.value = bytes;
	request.value_size = most - 5 + 1;
	ck_assert_int_eq(write_one(&world, &request, NULL), -E2BIG);
	expect_value(&world, "key", "12345");
	request.value_size = most - 5;
	ck_assert_int_eq(write_one(&world, &request, NULL), 0);
	ck_assert_int_eq(cache_get(&world.self.thread, "key", 3, NULL, 0, &item), LARDER_TRUNCATED);
	ck_assert_uint_eq(item.value_size, most);
	request.value_size = 1;
	ck_assert_int_eq(write_one(&world, &request, NULL), -E2BIG);
	request.value_size = 0;
	ck_assert_int_eq(write_one(&world, &request, NULL), 0);
	expect_sound(&world);
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
		struct write_request request = write_of((enum write_operation[]){ WRITE_SET, WRITE_TOUCH, WRITE_INCR }[i % 3],
		                                        "key", "5");
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
	struct write_request request = { .operation = WRITE_SET, .key = "key", .key_size = 3, .value = value, .value_size = 9000 };
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
	int wake_fd;
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
	struct pollfd event = { .fd = waiting->wake_fd, .events = POLLIN };
	expect_equal(poll(&event, 1, -1), 1);
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
	waiting.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	client_start_waiting(&waiting.world, &waiting.client, WORLD_FENCED, waiting.wake_fd, 600000);
	fill(&waiting.world);
	threads_run(2, wait_or_give, &waiting);
	expect_value(&waiting.world, "late", "value");
	client_stop(&waiting.client);
	close(waiting.wake_fd);
	world_stop(&waiting.world);
}
END_TEST

START_TEST(test_keeper_is_woken_when_free_segments_run_low)
{
	struct world world;
	struct client client;
	int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct write_request request = write_of(WRITE_SET, "key", "value");
	struct write_result result;
	uint64_t signals;

	world_start(&world, MIB);
	client_start_waiting(&world, &client, WORLD_FENCED, wake_fd, 0);
	store_relaxed(&world.arena->header->free_low_mark, load_relaxed(&world.arena->header->free_segments));
	ck_assert_int_eq(cache_write(&client.thread, &request, &result), 0);
	ck_assert_int_eq(read(wake_fd, &signals, sizeof signals), sizeof signals);
	/* not by every write, but by one that took a segment */
	ck_assert_int_eq(cache_write(&client.thread, &request, &result), 0);
	ck_assert_int_eq(read(wake_fd, &signals, sizeof signals), -1);
	client_stop(&client);
	close(wake_fd);
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("write");

	tcase_add_loop_test(tests, test_operation, 0, (int)ROWS);
	tcase_add_test(tests, test_arguments_are_checked);
	tcase_add_test(tests, test_largest_values);
	tcase_add_test(tests, test_keys_that_fit_no_segment);
	tcase_add_test(tests, test_append_up_to_the_largest_value);
	tcase_add_test(tests, test_versions_only_grow);
	tcase_add_test(tests, test_version_grows_even_when_the_clock_does_not);
	tcase_add_test(tests, test_life_ends_to_the_millisecond);
	tcase_add_test(tests, test_life_begins_with_the_write);
	tcase_add_test(tests, test_touch_gives_a_new_life_and_nothing_else);
	tcase_add_test(tests, test_append_and_incr_keep_life_and_flags);
	tcase_add_test(tests, test_full_arena_refuses_and_keeps_what_it_has);
	tcase_add_test(tests, test_writer_waits_for_memory);
	tcase_add_test(tests, test_keeper_is_woken_when_free_segments_run_low);
	return suite_run("write", tests);
}
