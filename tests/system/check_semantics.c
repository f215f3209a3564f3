/* SPDX-License-Identifier: MIT */
/*
 * What each call promises, played by two users of one cache: both in this process, each in another one, and with a
 * larderd that lets nobody but itself write. One writes, the other sees it.
 */
#include "tests/support/suite.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "tests/support/actor.h"
#include "tests/support/expect.h"

enum { SAME_PROCESS = 0, OTHER_PROCESS = 1, READ_ONLY = 2, CASTS = 4 };

static struct server server;
static struct actor writer, reader;

/* Each test begins with it; cast is the number of the loop. */
static void play(int cast)
{
	if (cast & READ_ONLY)
		server_start(&server, "16M", "--access", "read-only", NULL);
	else
		server_start(&server, "16M", NULL);
	actor_start(&writer, &server, false);
	actor_start(&reader, &server, cast & OTHER_PROCESS);
}

static void end_play(void)
{
	actor_stop(&reader);
	actor_stop(&writer);
	server_stop(&server);
}

static void expect_read(struct actor *who, const char *key, const char *text, uint32_t flags, uint64_t version)
{
	struct effect copied, viewed;
	struct act get = { .verb = GET }, view = { .verb = VIEW };

	strcpy(get.key, key);
	strcpy(view.key, key);
	copied = actor_do(who, &get);
	viewed = actor_do(who, &view);
	ck_assert_int_eq(copied.result, text == NULL ? LARDER_MISS : 0);
	ck_assert_int_eq(viewed.result, copied.result);
	if (text == NULL)
		return;
	ck_assert_str_eq(copied.text, text);
	ck_assert_str_eq(viewed.text, text);
	ck_assert_uint_eq(copied.item.flags, flags);
	ck_assert_uint_eq(viewed.item.flags, flags);
	ck_assert_uint_eq(copied.item.value_size, strlen(text));
	if (version != 0) {
		ck_assert_uint_eq(copied.item.version, version);
		ck_assert_uint_eq(viewed.item.version, version);
	}
}

START_TEST(set_is_seen_and_grows_versions)
{
	struct effect first, second;

	play(_i);
	expect_read(&reader, "k", NULL, 0, 0);
	first = do_as(&writer, SET, "k", "one", .flags = 0xfeedbeef);
	ck_assert_int_eq(first.result, 0);
	expect_read(&reader, "k", "one", 0xfeedbeef, first.version);
	second = do_as(&reader, SET, "k", "two");
	ck_assert_int_eq(second.result, 0);
	ck_assert_uint_gt(second.version, first.version);
	expect_read(&writer, "k", "two", 0, second.version);
	expect_read(&reader, "K", NULL, 0, 0);
	end_play();
}
END_TEST

START_TEST(add_only_where_absent)
{
	struct effect added, again;

	play(_i);
	added = do_as(&writer, ADD, "k", "one", .flags = 3);
	ck_assert_int_eq(added.result, 0);
	again = do_as(&reader, ADD, "k", "two");
	ck_assert_int_eq(again.result, LARDER_EXISTS);
	ck_assert_uint_eq(again.version, UINT64_MAX);
	expect_read(&reader, "k", "one", 3, added.version);
	ck_assert_int_eq(do_as(&reader, DELETE, "k").result, 0);
	again = do_as(&writer, ADD, "k", "three");
	ck_assert_int_eq(again.result, 0);
	ck_assert_uint_gt(again.version, added.version);
	expect_read(&reader, "k", "three", 0, again.version);
	end_play();
}
END_TEST

START_TEST(replace_only_where_present)
{
	struct effect stored, replaced;

	play(_i);
	ck_assert_int_eq(do_as(&writer, REPLACE, "k", "one").result, LARDER_MISS);
	expect_read(&reader, "k", NULL, 0, 0);
	stored = do_as(&writer, SET, "k", "one", .flags = 1);
	replaced = do_as(&reader, REPLACE, "k", "two", .flags = 2);
	ck_assert_int_eq(replaced.result, 0);
	ck_assert_uint_gt(replaced.version, stored.version);
	expect_read(&writer, "k", "two", 2, replaced.version);
	end_play();
}
END_TEST

START_TEST(cas_only_over_the_expected_version)
{
	struct effect first, second, late;

	play(_i);
	ck_assert_int_eq(do_as(&writer, CAS, "k", "x", .expected = 1).result, LARDER_MISS);
	first = do_as(&writer, SET, "k", "one");
	second = do_as(&reader, CAS, "k", "two", .expected = first.version, .flags = 9);
	ck_assert_int_eq(second.result, 0);
	ck_assert_uint_gt(second.version, first.version);
	late = do_as(&writer, CAS, "k", "three", .expected = first.version);
	ck_assert_int_eq(late.result, LARDER_CHANGED);
	ck_assert_uint_eq(late.version, UINT64_MAX);
	ck_assert_int_eq(do_as(&writer, CAS, "k", "three", .expected = second.version + 1).result, LARDER_CHANGED);
	expect_read(&reader, "k", "two", 9, second.version);
	ck_assert_int_eq(do_as(&writer, CAS, "k", "three", .expected = second.version).result, 0);
	expect_read(&reader, "k", "three", 0, 0);
	end_play();
}
END_TEST

/* A key that was deleted and stored again must not fool a cas that knew it before. */
START_TEST(cas_tells_a_new_life_from_the_old)
{
	struct effect first;

	play(_i);
	for (int i = 0; i < 100; i++) {
		first = do_as(&writer, SET, "k", "one");
		ck_assert_int_eq(first.result, 0);
		ck_assert_int_eq(do_as(&reader, DELETE, "k").result, 0);
		ck_assert_int_eq(do_as(&reader, ADD, "k", "one").result, 0);
		ck_assert_int_eq(do_as(&writer, CAS, "k", "two", .expected = first.version).result, LARDER_CHANGED);
		ck_assert_int_eq(do_as(&writer, DELETE, "k", .expected = first.version).result, LARDER_CHANGED);
	}
	end_play();
}
END_TEST

START_TEST(append_keeps_flags_and_life)
{
	struct effect stored, appended, read;

	play(_i);
	ck_assert_int_eq(do_as(&writer, APPEND, "k", "x").result, LARDER_MISS);
	stored = do_as(&writer, SET, "k", "one", .flags = 5, .ttl_ms = 3600000);
	appended = do_as(&reader, APPEND, "k", ", two");
	ck_assert_int_eq(appended.result, 0);
	ck_assert_uint_gt(appended.version, stored.version);
	expect_read(&writer, "k", "one, two", 5, appended.version);
	ck_assert_int_eq(do_as(&writer, APPEND, "k", "").result, 0);
	read = do_as(&reader, GET, "k");
	ck_assert_str_eq(read.text, "one, two");
	ck_assert_uint_le(read.item.ttl_ms, 3600000);
	ck_assert_uint_gt(read.item.ttl_ms, 3000000);
	/* A counter becomes text again when something is appended. */
	ck_assert_int_eq(do_as(&writer, INCR, "n", .delta = 1, .initial = -12, .create = true).result, 0);
	ck_assert_int_eq(do_as(&writer, INCR, "n", .delta = 2).number, -10);
	ck_assert_int_eq(do_as(&reader, APPEND, "n", "5").result, 0);
	expect_read(&writer, "n", "-105", 0, 0);
	end_play();
}
END_TEST

START_TEST(touch_changes_life_only)
{
	struct effect stored, touched, read;

	play(_i);
	ck_assert_int_eq(do_as(&writer, TOUCH, "k", .ttl_ms = 1000).result, LARDER_MISS);
	stored = do_as(&writer, SET, "k", "one", .flags = 5);
	ck_assert_uint_eq(do_as(&reader, GET, "k").item.ttl_ms, 0);
	touched = do_as(&reader, TOUCH, "k", .ttl_ms = 7200000);
	ck_assert_int_eq(touched.result, 0);
	ck_assert_uint_gt(touched.version, stored.version);
	expect_read(&writer, "k", "one", 5, touched.version);
	read = do_as(&writer, GET, "k");
	ck_assert_uint_le(read.item.ttl_ms, 7200000);
	ck_assert_uint_gt(read.item.ttl_ms, 7000000);
	ck_assert_int_eq(do_as(&writer, TOUCH, "k").result, 0);
	ck_assert_uint_eq(do_as(&reader, GET, "k").item.ttl_ms, 0);
	expect_read(&reader, "k", "one", 5, 0);
	end_play();
}
END_TEST

START_TEST(delete_any_or_one_version)
{
	struct effect stored;

	play(_i);
	ck_assert_int_eq(do_as(&writer, DELETE, "k").result, LARDER_MISS);
	ck_assert_int_eq(do_as(&writer, DELETE, "k", .expected = 7).result, LARDER_MISS);
	stored = do_as(&writer, SET, "k", "one");
	ck_assert_int_eq(do_as(&reader, DELETE, "k", .expected = stored.version + 1).result, LARDER_CHANGED);
	expect_read(&writer, "k", "one", 0, stored.version);
	ck_assert_int_eq(do_as(&reader, DELETE, "k", .expected = stored.version).result, 0);
	expect_read(&writer, "k", NULL, 0, 0);
	ck_assert_int_eq(do_as(&writer, DELETE, "k").result, LARDER_MISS);
	ck_assert_int_eq(do_as(&writer, SET, "k", "two").result, 0);
	ck_assert_int_eq(do_as(&reader, DELETE, "k").result, 0);
	expect_read(&writer, "k", NULL, 0, 0);
	end_play();
}
END_TEST

START_TEST(counters)
{
	struct effect before, after;

	play(_i);
	ck_assert_int_eq(do_as(&writer, INCR, "n", .delta = 1).result, LARDER_MISS);
	ck_assert_int_eq(do_as(&writer, INCR, "n", .delta = 5, .initial = 40, .create = true).number, 40);
	ck_assert_int_eq(do_as(&reader, INCR, "n", .delta = 2, .initial = 7, .create = true).number, 42);
	expect_read(&reader, "n", "42", 0, 0);
	ck_assert_int_eq(do_as(&writer, DECR, "n", .delta = 50).number, -8);
	expect_read(&reader, "n", "-8", 0, 0);
	before = do_as(&reader, GET, "n");
	ck_assert_int_eq(do_as(&writer, INCR, "n", .delta = 0).number, -8);
	ck_assert_int_eq(do_as(&writer, INCR, "n", .delta = -2).number, -10);
	after = do_as(&reader, GET, "n");
	ck_assert_uint_gt(after.item.version, before.item.version);
	ck_assert_int_eq(do_as(&reader, CAS, "n", "0", .expected = before.item.version).result, LARDER_CHANGED);
	ck_assert_int_eq(do_as(&reader, CAS, "n", "100", .expected = after.item.version).result, 0);
	ck_assert_int_eq(do_as(&writer, INCR, "n", .delta = 1).number, 101);
	ck_assert_int_eq(do_as(&writer, DELETE, "n").result, 0);
	expect_read(&reader, "n", NULL, 0, 0);
	end_play();
}
END_TEST

START_TEST(counters_from_text)
{
	static const char *const not_numbers[] = { "",
		                                   "x",
		                                   "1x",
		                                   " 1",
		                                   "1 ",
		                                   "1.5",
		                                   "--1",
		                                   "9223372036854775808",
		                                   "-9223372036854775809",
		                                   "99999999999999999999999" };
	struct effect before, after;

	play(_i);
	ck_assert_int_eq(do_as(&writer, SET, "n", "17", .flags = 4, .ttl_ms = 3600000).result, 0);
	ck_assert_int_eq(do_as(&reader, INCR, "n", .delta = 3).number, 20);
	after = do_as(&writer, GET, "n");
	ck_assert_str_eq(after.text, "20");
	ck_assert_uint_eq(after.item.flags, 4);
	ck_assert_uint_gt(after.item.ttl_ms, 3000000);
	ck_assert_uint_le(after.item.ttl_ms, 3600000);
	for (size_t i = 0; i < sizeof not_numbers / sizeof not_numbers[0]; i++) {
		struct act set = { .verb = SET, .key = "t" };

		strcpy(set.value, not_numbers[i]);
		ck_assert_int_eq(actor_do(&writer, &set).result, 0);
		before = do_as(&writer, GET, "t");
		ck_assert_msg(do_as(&reader, INCR, "t", .delta = 1).result == LARDER_NOT_NUMBER, "\"%s\"",
		              not_numbers[i]);
		ck_assert_int_eq(do_as(&reader, DECR, "t", .delta = 1, .create = true).result, LARDER_NOT_NUMBER);
		expect_read(&reader, "t", not_numbers[i], 0, before.item.version);
	}
	end_play();
}
END_TEST

START_TEST(counters_do_not_overflow)
{
	play(_i);
	ck_assert_int_eq(do_as(&writer, SET, "n", "9223372036854775806").result, 0);
	ck_assert_int_eq(do_as(&writer, INCR, "n", .delta = 1).number, INT64_MAX);
	ck_assert_int_eq(do_as(&reader, INCR, "n", .delta = 1).result, -EOVERFLOW);
	expect_read(&reader, "n", "9223372036854775807", 0, 0);
	ck_assert_int_eq(do_as(&writer, INCR, "n", .delta = INT64_MIN).number, -1);
	/* What has no negative cannot be subtracted. */
	ck_assert_int_eq(do_as(&writer, DECR, "n", .delta = INT64_MIN).result, -EOVERFLOW);
	expect_read(&reader, "n", "-1", 0, 0);
	ck_assert_int_eq(do_as(&writer, SET, "n", "-9223372036854775808").result, 0);
	ck_assert_int_eq(do_as(&writer, DECR, "n", .delta = 1).result, -EOVERFLOW);
	ck_assert_int_eq(do_as(&writer, INCR, "n", .delta = 0).number, INT64_MIN);
	expect_read(&reader, "n", "-9223372036854775808", 0, 0);
	end_play();
}
END_TEST

int main(void)
{
	static const TTest *tests[16];
	TCase *tcase = tcase_create("semantics");
	size_t count = 0;

	tests[count++] = set_is_seen_and_grows_versions;
	tests[count++] = add_only_where_absent;
	tests[count++] = replace_only_where_present;
	tests[count++] = cas_only_over_the_expected_version;
	tests[count++] = cas_tells_a_new_life_from_the_old;
	tests[count++] = append_keeps_flags_and_life;
	tests[count++] = touch_changes_life_only;
	tests[count++] = delete_any_or_one_version;
	tests[count++] = counters;
	tests[count++] = counters_from_text;
	tests[count++] = counters_do_not_overflow;
	for (size_t i = 0; i < count; i++)
		tcase_add_loop_test(tcase, tests[i], 0, CASTS);
	return suite_run("semantics", tcase);
}
