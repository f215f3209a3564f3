/* SPDX-License-Identifier: MIT */
#include "bench/plain_table.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/suite.h"

#define ENTRIES 4000
#define KEY_SIZE 8
#define VALUE_SIZE 12

static struct plain_table table;
static char key[KEY_SIZE + 1], value[VALUE_SIZE + 1];
static void *memory;

static void name(int entry, int version)
{
	snprintf(key, sizeof key, "%08d", entry);
	snprintf(value, sizeof value, "%06d%06d", entry, version);
}

static void setup(void)
{
	memory = aligned_alloc(64, (plain_table_bytes(ENTRIES, KEY_SIZE, VALUE_SIZE) + 63) / 64 * 64);
	memset(memory, 0, plain_table_bytes(ENTRIES, KEY_SIZE, VALUE_SIZE));
	plain_table_start(&table, memory, ENTRIES);
	for (int i = 0; i < ENTRIES; i++) {
		name(i, 0);
		plain_table_add(&table, key, KEY_SIZE, value, VALUE_SIZE);
	}
}

static void teardown(void)
{
	free(memory);
}

static void check_all(int (*version_of)(int))
{
	char found[VALUE_SIZE];

	for (int i = 0; i < ENTRIES; i++) {
		name(i, version_of(i));
		ck_assert(plain_table_get(&table, key, KEY_SIZE, found, sizeof found));
		ck_assert_mem_eq(found, value, VALUE_SIZE);
	}
}

static int zero(int entry)
{
	(void)entry;
	return 0;
}

START_TEST(test_all_that_was_added_is_found_and_nothing_else)
{
	size_t size;

	check_all(zero);
	name(ENTRIES, 0);
	ck_assert_ptr_null(plain_table_find(&table, key, KEY_SIZE, &size));
	ck_assert(!plain_table_replace(&table, key, KEY_SIZE, value, VALUE_SIZE));
}
END_TEST

static int replaced(int entry)
{
	return entry % 3 == 0 ? entry : 0;
}

/* More often than there are spares, so that places are used again. */
START_TEST(test_replaced_values_are_found_and_take_no_more_memory)
{
	for (int round = 0; round < 5; round++)
		for (int i = 0; i < ENTRIES; i += 3) {
			name(i, i);
			ck_assert(plain_table_replace(&table, key, KEY_SIZE, value, VALUE_SIZE));
		}
	check_all(replaced);
	ck_assert_uint_le((uintptr_t)table.objects + table.object_bytes,
	                  (uintptr_t)memory + plain_table_bytes(ENTRIES, KEY_SIZE, VALUE_SIZE));
}
END_TEST

START_TEST(test_the_old_value_stays_whole_for_a_while)
{
	size_t size;
	const char *old;

	name(1, 0);
	old = plain_table_find(&table, key, KEY_SIZE, &size);
	for (int i = 0; i < PLAIN_SPARES; i++) {
		name(i + 1, 9);
		ck_assert(plain_table_replace(&table, key, KEY_SIZE, value, VALUE_SIZE));
	}
	name(1, 0);
	ck_assert_mem_eq(old, value, VALUE_SIZE);
}
END_TEST

START_TEST(test_a_batch)
{
	struct plain_entry entries[PLAIN_BATCH_MAX];
	char keys[PLAIN_BATCH_MAX][KEY_SIZE + 1], found[PLAIN_BATCH_MAX][VALUE_SIZE];

	for (int i = 0; i < PLAIN_BATCH_MAX; i++) {
		snprintf(keys[i], sizeof keys[i], "%08d", i == 5 ? ENTRIES : i * 7);
		entries[i] = (struct plain_entry){ keys[i], KEY_SIZE, found[i], VALUE_SIZE, false };
	}
	plain_table_mget(&table, entries, PLAIN_BATCH_MAX);
	for (int i = 0; i < PLAIN_BATCH_MAX; i++) {
		ck_assert(entries[i].found == (i != 5));
		name(i * 7, 0);
		if (i != 5)
			ck_assert_mem_eq(found[i], value, VALUE_SIZE);
	}
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("plain_table");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_all_that_was_added_is_found_and_nothing_else);
	tcase_add_test(tests, test_replaced_values_are_found_and_take_no_more_memory);
	tcase_add_test(tests, test_the_old_value_stays_whole_for_a_while);
	tcase_add_test(tests, test_a_batch);
	return suite_run("plain_table", tests);
}
