/* SPDX-License-Identifier: MIT */
/* A client stays stopped while the index is built anew again and again: what it holds back does not become more. */
#include "tests/unit/daemon/house.h"

#define REBUILDS 2000u
#define KEYS 500u /* alive at a time */
#define TEXT 16

static uint32_t index_segment_of(const struct house *house)
{
	return load_relaxed(&house->arena->directory[0]);
}

static void name(uint32_t number, char key[TEXT])
{
	snprintf(key, TEXT, "key %u", number);
}

/* Keys come and go, and there are always the newest so many of them. */
static void churn(struct house *house, uint32_t *next, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++, (*next)++) {
		char key[TEXT];

		name(*next, key);
		put(&house->world, key, key);
		if (*next < KEYS)
			continue;
		name(*next - KEYS, key);
		expect_equal(cache_write(&house->world.self.thread,
		                         &(struct write_request){
						 .operation = WRITE_DELETE, .key = key, .key_size = strlen(key) },
		                         &(struct write_result){ 0 }),
		             LARDER_OK);
	}
}

static void expect_newest(struct house *house, uint32_t next)
{
	for (uint32_t i = next - KEYS; i < next; i++) {
		char key[TEXT], text[VALUE_TEXT];

		name(i, key);
		expect(strcmp(get(&house->world, key, text, NULL), key) == 0);
	}
}

/* Segments that are neither to be written into nor in use. */
static uint32_t held(const struct house *house)
{
	return world_count(&house->world, SEGMENT_RETIRED) + world_count(&house->world, SEGMENT_CONDEMNED);
}

/* Lets the index be built anew many times. Return: the most that was held. */
static uint32_t rebuild(struct house *house, uint32_t times)
{
	uint32_t next = 0, most = 0;

	churn(house, &next, KEYS);
	for (uint32_t i = 0; i < times; i++) {
		uint32_t before = index_segment_of(house);

		churn(house, &next, 10);
		store_relaxed(&house->arena->table[before].overflow_used, house->arena->overflows);
		for (int run = 0; run < 10; run++)
			reclaim_run(house->reclaim);
		expect(index_segment_of(house) != before);
		most = held(house) > most ? held(house) : most;
		if (i % 100 == 0)
			expect_newest(house, next);
	}
	expect_newest(house, next);
	expect_sound(&house->world);
	return most;
}

START_TEST(test_stopped_reader_holds_nothing_of_the_index)
{
	struct house house;

	house_start(&house, MIB, 0);
	epoch_enter(&house.guest.thread.reader);
	ck_assert_uint_eq(rebuild(&house, REBUILDS), 0);
	ck_assert_uint_eq(load_relaxed(&house.guest.thread.reader.line->epoch), EPOCH_REVOKED);
	ck_assert(!epoch_exit(&house.guest.thread.reader));
	house_stop(&house);
}
END_TEST

START_TEST(test_stopped_writer_holds_what_it_pinned)
{
	struct house house;
	struct epoch_reader *reader;
	uint32_t parent, child;

	house_start(&house, MIB, 0);
	reader = &house.guest.thread.reader;
	parent = index_segment_of(&house);
	epoch_enter(reader);
	ck_assert(epoch_pin_index(reader, INDEX_PIN_SEGMENT, parent));
	ck_assert_uint_eq(rebuild(&house, 1), 1);
	child = index_segment_of(&house);
	store_relaxed(&reader->line->epoch, 0); /* it is where it was stopped, or has noticed and begun again */
	epoch_enter(reader);
	ck_assert(epoch_pin_index(reader, INDEX_PIN_OTHER, child));
	ck_assert_uint_eq(rebuild(&house, REBUILDS), 2);
	ck_assert_int_eq(house_state(&house, parent), SEGMENT_RETIRED);
	ck_assert_int_eq(house_state(&house, child), SEGMENT_RETIRED);
	ck_assert(!epoch_exit(reader));
	for (int which = 0; which < INDEX_PINS; which++)
		epoch_unpin_index(reader, (enum index_pin)which);
	house_work(&house);
	ck_assert_uint_eq(held(&house), 0);
	house_stop(&house);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("reclaim, with somebody stopped");

	tcase_add_test(tests, test_stopped_reader_holds_nothing_of_the_index);
	tcase_add_test(tests, test_stopped_writer_holds_what_it_pinned);
	return suite_run("reclaim, with somebody stopped", tests);
}
