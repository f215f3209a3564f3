/* SPDX-License-Identifier: MIT */
/* The judge must let pass what can be, and nothing else. */
#include "tests/torture/judge.h"

#include <errno.h>

#include "tests/support/suite.h"
#include "tests/torture/value.h"

#define OWNER 4
#define KEY 1
#define FAR_MS 100000

static struct board *board;
static struct record *record;
static struct inquiry inquiry;

/* The newest write that was completed is 10, and none is under way. */
static void setup(void)
{
	const struct settings settings = { .keys = 3 };

	board = board_create(&settings);
	record = board_record(board, OWNER, KEY);
	store_relaxed(&record->begun, 10);
	store_relaxed(&record->done, 10 << 1 | 1);
	store_relaxed(&record->life_ms, monotonic_ms() + FAR_MS);
}

static void begin(void)
{
	judge_begin(&inquiry, board, 0, OWNER, KEY);
}

static bool sees(uint64_t sequence)
{
	char value[100];

	value_write(value, (struct block){ .key = inquiry.name.id, .sequence = sequence, .size = sizeof value });
	return judge_value(&inquiry, value, sizeof value);
}

START_TEST(test_only_the_last_write_when_none_is_under_way)
{
	begin();
	ck_assert(sees(10));
	ck_assert_uint_eq(load_relaxed(&board->wrong), 0);
	ck_assert(!sees(9));
	ck_assert(!sees(11));
	ck_assert_uint_eq(load_relaxed(&board->wrong), 2);
}
END_TEST

START_TEST(test_old_or_new_when_one_was_begun)
{
	store_relaxed(&record->begun, 11);
	begin();
	ck_assert(sees(10) && sees(11));
	ck_assert(!sees(9));
	ck_assert(!sees(12));
}
END_TEST

START_TEST(test_writes_during_the_read)
{
	begin();
	store_relaxed(&record->begun, 14);
	store_relaxed(&record->done, 13 << 1 | 1);
	ck_assert(sees(10) && sees(12) && sees(14));
	ck_assert(!sees(9));
	ck_assert(!sees(15));
}
END_TEST

START_TEST(test_value_of_before_a_completed_delete)
{
	store_relaxed(&record->begun, 11);
	store_relaxed(&record->deleted, 11);
	store_relaxed(&record->done, 11 << 1);
	begin();
	ck_assert(judge_miss(&inquiry));
	ck_assert(!sees(10));
}
END_TEST

START_TEST(test_miss_of_what_must_be_there)
{
	begin();
	ck_assert(!judge_miss(&inquiry));
	ck_assert_uint_eq(load_relaxed(&board->lost), 1);
}
END_TEST

START_TEST(test_miss_when_a_delete_was_begun)
{
	begin();
	store_relaxed(&record->deleted, 11);
	ck_assert(judge_miss(&inquiry));
}
END_TEST

START_TEST(test_miss_when_an_old_delete_was_begun)
{
	store_relaxed(&record->deleted, 9);
	begin();
	ck_assert(!judge_miss(&inquiry));
}
END_TEST

START_TEST(test_miss_of_what_may_have_expired)
{
	store_relaxed(&record->life_ms, monotonic_ms());
	begin();
	ck_assert(judge_miss(&inquiry));
	/* Also when a write gave it a new life just after it was missed, or a shorter one just before. */
	store_relaxed(&record->life_ms, monotonic_ms() + FAR_MS);
	ck_assert(judge_miss(&inquiry));
	begin();
	store_relaxed(&record->life_ms, 1);
	ck_assert(judge_miss(&inquiry));
}
END_TEST

START_TEST(test_miss_where_memory_is_short)
{
	board->settings.evict = true;
	begin();
	ck_assert(judge_miss(&inquiry));
	ck_assert(!sees(9));
}
END_TEST

START_TEST(test_errors)
{
	begin();
	ck_assert(judge_error(&inquiry, -EPROTO) && judge_error(&inquiry, -EAGAIN));
	ck_assert(!judge_error(&inquiry, -EIO));
	board->settings.read_only = true;
	ck_assert(judge_error(&inquiry, -EIO));
	ck_assert(!judge_error(&inquiry, -EUCLEAN));
	ck_assert(!judge_error(&inquiry, LARDER_NOT_NUMBER));
}
END_TEST

START_TEST(test_counters)
{
	store_relaxed(&board->actors[0].tally[2].begun, 30);
	store_relaxed(&board->actors[0].tally[2].completed, 20);
	store_relaxed(&board->actors[ACTORS - 1].tally[2].begun, 5);
	store_relaxed(&board->actors[ACTORS - 1].tally[2].completed, 5);
	ck_assert_uint_eq(judge_counter_least(board, 2), 25);
	ck_assert_uint_eq(judge_counter_most(board, 2), 35);
	ck_assert_uint_eq(judge_counter_most(board, 1), 0);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("judge");

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_test(tests, test_only_the_last_write_when_none_is_under_way);
	tcase_add_test(tests, test_old_or_new_when_one_was_begun);
	tcase_add_test(tests, test_writes_during_the_read);
	tcase_add_test(tests, test_value_of_before_a_completed_delete);
	tcase_add_test(tests, test_miss_of_what_must_be_there);
	tcase_add_test(tests, test_miss_when_a_delete_was_begun);
	tcase_add_test(tests, test_miss_when_an_old_delete_was_begun);
	tcase_add_test(tests, test_miss_of_what_may_have_expired);
	tcase_add_test(tests, test_miss_where_memory_is_short);
	tcase_add_test(tests, test_errors);
	tcase_add_test(tests, test_counters);
	return suite_run("judge", tests);
}
