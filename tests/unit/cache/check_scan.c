/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "index/split.h"
#include "tests/unit/support/writes.h"

#define KEYS 500
#define BUFFER_MIN LARDER_KEY_MAX

struct tally {
	uint32_t seen[KEYS];
	uint32_t entries, calls;
	int result;
};

static void fill(struct world *world)
{
	for (uint32_t i = 0; i < KEYS; i++) {
		char key[16];

		snprintf(key, sizeof key, "%s:%u", i % 5 ? "a" : "b", i);
		if (i % 7)
			put_with(world, key, key, 0, i);
		else
			create_counter(world, key, i, 0, i);
	}
}

static int scan_once(struct world *world, const char *prefix, struct larder_cursor *cursor, size_t max_entries,
                     struct tally *tally)
{
	static char buffer[BUFFER_MIN];
	static struct larder_scan_entry entries[KEYS + 1];
	size_t count = 9999;
	int result = cache_scan(&world->self.thread, prefix, strlen(prefix), cursor, entries, max_entries, buffer,
	                        sizeof buffer, &count);

	expect(result == LARDER_OK || result == LARDER_END);
	expect(count <= max_entries);
	tally->calls++;
	for (size_t i = 0; i < count; i++) {
		const struct larder_scan_entry *entry = &entries[i];
		uint32_t number;
		char key[16] = "";

		expect(entry->key_size < sizeof key && memcmp(entry->key, prefix, strlen(prefix)) == 0);
		expect((const char *)entry->key >= buffer &&
		       (const char *)entry->key + entry->key_size <= buffer + sizeof buffer);
		memcpy(key, entry->key, entry->key_size);
		number = (uint32_t)strtoul(key + 2, NULL, 10);
		expect(number < KEYS && entry->item.flags == number && entry->item.version != 0);
		expect_equal(entry->item.value_size, number % 7 ? strlen(key) : strlen(key) - 2);
		tally->seen[number]++;
		tally->entries++;
	}
	return result;
}

static struct tally scan_all(struct world *world, const char *prefix, size_t max_entries)
{
	struct larder_cursor cursor = { { 0 } };
	struct tally tally = { { 0 }, 0, 0, 0 };

	while (scan_once(world, prefix, &cursor, max_entries, &tally) == LARDER_OK)
		expect(tally.calls < 10000);
	return tally;
}

START_TEST(test_every_key_comes_once)
{
	static const size_t at_once[] = { 1, 2, 7, 100, KEYS - 1, KEYS, KEYS + 1 };
	struct world world;

	world_start(&world, MIB);
	fill(&world);
	for (size_t i = 0; i < sizeof at_once / sizeof at_once[0]; i++) {
		struct tally tally = scan_all(&world, "", at_once[i]);

		ck_assert_uint_eq(tally.entries, KEYS);
		for (uint32_t k = 0; k < KEYS; k++)
			ck_assert_uint_eq(tally.seen[k], 1);
		ck_assert_uint_le(tally.calls, KEYS / at_once[i] + 2);
	}
	world_stop(&world);
}
END_TEST

/*
 * The number of an index segment that was replaced may come back for the same hashes, with its keys elsewhere in their chains: what a cursor
 * knows of the chain that it is in does not hold for a later life of the segment.
 */
START_TEST(test_cursor_is_of_one_life_of_a_segment)
{
	struct larder_cursor cursor = { { 0 } };
	struct tally tally = { { 0 }, 0, 0, 0 };
	struct world world;

	world_start(&world, MIB);
	fill(&world);
	while (scan_once(&world, "", &cursor, 1, &tally) == LARDER_OK) {
		ck_assert_uint_lt(tally.calls, 10 * KEYS);
		if (tally.calls % 3 == 0)
			fetch_add_relaxed(&world.arena->table[load_relaxed(&world.arena->directory[0])].state, 1);
	}
	for (uint32_t i = 0; i < KEYS; i++)
		ck_assert_uint_ge(tally.seen[i], 1);
	ck_assert_uint_gt(tally.entries, KEYS); /* chains were begun again */
	world_stop(&world);
}
END_TEST

START_TEST(test_prefix)
{
	struct world world;
	struct tally tally;

	world_start(&world, MIB);
	fill(&world);
	tally = scan_all(&world, "b:", 3);
	ck_assert_uint_eq(tally.entries, KEYS / 5);
	for (uint32_t k = 0; k < KEYS; k++)
		ck_assert_uint_eq(tally.seen[k], k % 5 == 0);
	ck_assert_uint_eq(scan_all(&world, "b:0", 3).entries, 1);
	ck_assert_uint_eq(scan_all(&world, "c", 3).entries, 0);
	ck_assert_uint_eq(scan_all(&world, "a:1 and longer than any key", 3).entries, 0);
	world_stop(&world);
}
END_TEST

START_TEST(test_empty_cache)
{
	struct world world;
	struct tally tally;

	world_start(&world, MIB);
	tally = scan_all(&world, "", 10);
	ck_assert_uint_eq(tally.entries, 0);
	ck_assert_uint_eq(tally.calls, 1);
	world_stop(&world);
}
END_TEST

START_TEST(test_expired_keys_are_left_out)
{
	struct world world;

	world_start(&world, MIB);
	fill(&world);
	put_with(&world, "x:1", "x:1", 1000, 1);
	ck_assert_uint_eq(scan_all(&world, "", 50).entries, KEYS + 1);
	world_advance(&world, 1000);
	ck_assert_uint_eq(scan_all(&world, "", 50).entries, KEYS);
	world_stop(&world);
}
END_TEST

START_TEST(test_longest_keys_come_one_by_one)
{
	static char key[LARDER_KEY_MAX], buffer[BUFFER_MIN];
	struct world world;
	struct larder_cursor cursor = { { 0 } };
	struct larder_scan_entry entries[8];
	size_t count, found = 0;
	int result;

	world_start(&world, 64 * MIB);
	for (int i = 0; i < 5; i++) {
		struct write_request request = { .operation = WRITE_SET, .key = key, .key_size = sizeof key };

		memset(key, 'a' + i, sizeof key);
		ck_assert_int_eq(write_one(&world, &request, NULL), 0);
	}
	do {
		result = cache_scan(&world.self.thread, NULL, 0, &cursor, entries, 8, buffer, sizeof buffer, &count);
		ck_assert_uint_le(count, 1);
		found += count;
		if (count)
			ck_assert_uint_eq(entries[0].key_size, LARDER_KEY_MAX);
	} while (result == LARDER_OK);
	ck_assert_int_eq(result, LARDER_END);
	ck_assert_uint_eq(found, 5);
	world_stop(&world);
}
END_TEST

START_TEST(test_arguments_are_checked)
{
	static char buffer[BUFFER_MIN];
	struct larder_cursor cursor = { { 0 } };
	struct larder_scan_entry entry;
	struct world world;
	struct cache_thread *thread = &world.self.thread;
	size_t count;

	world_start(&world, MIB);
	ck_assert_int_eq(cache_scan(thread, "a", 1, NULL, &entry, 1, buffer, BUFFER_MIN, &count), -EINVAL);
	ck_assert_int_eq(cache_scan(thread, "a", 1, &cursor, NULL, 1, buffer, BUFFER_MIN, &count), -EINVAL);
	ck_assert_int_eq(cache_scan(thread, "a", 1, &cursor, &entry, 0, buffer, BUFFER_MIN, &count), -EINVAL);
	ck_assert_int_eq(cache_scan(thread, "a", 1, &cursor, &entry, 1, NULL, BUFFER_MIN, &count), -EINVAL);
	ck_assert_int_eq(cache_scan(thread, "a", 1, &cursor, &entry, 1, buffer, BUFFER_MIN - 1, &count), -EINVAL);
	ck_assert_int_eq(cache_scan(thread, "a", 1, &cursor, &entry, 1, buffer, BUFFER_MIN, NULL), -EINVAL);
	ck_assert_int_eq(cache_scan(thread, NULL, 1, &cursor, &entry, 1, buffer, BUFFER_MIN, &count), -EINVAL);
	ck_assert_int_eq(cache_scan(thread, NULL, 0, &cursor, &entry, 1, buffer, BUFFER_MIN, &count), LARDER_END);
	world_stop(&world);
}
END_TEST

static void split_one(const struct world *world, struct random *random)
{
	const struct arena *arena = world->arena;
	uint32_t segment = load_relaxed(&arena->directory[random_below(random, 1u << arena->directory_bits)]);

	if (!split_begin(arena, segment))
		return;
	for (uint32_t home = 0; home < arena->homes; home++)
		expect(split_bucket(arena, segment, home));
	split_finish(arena, segment);
}

/* Between the calls keys are replaced, others come and go, and the index grows: what stays is found. */
START_TEST(test_lasting_keys_are_found_while_all_else_changes)
{
	for (uint32_t seed = 0; seed < 20; seed++) {
		struct world world;
		struct random random = { seed };
		struct larder_cursor cursor = { { 0 } };
		struct tally tally = { { 0 }, 0, 0, 0 };

		world_start(&world, 4 * MIB);
		fill(&world);
		while (scan_once(&world, "", &cursor, 1 + seed % 5, &tally) == LARDER_OK) {
			char key[32];
			uint32_t number = random_below(&random, KEYS);

			expect(tally.calls < 10000);
			if (random_below(&random, 40) == 0)
				split_one(&world, &random);
			snprintf(key, sizeof key, "%s:%u", number % 5 ? "a" : "b", number);
			if (number % 7)
				put_with(&world, key, key, 0, number);
			else
				add(&world, key, 0, NULL);
		}
		for (uint32_t k = 0; k < KEYS; k++)
			expect(tally.seen[k] >= 1);
		world_stop(&world);
	}
}
END_TEST

START_TEST(test_made_up_cursors_end)
{
	struct world world;
	struct random random = { 3 };
	struct tally tally;

	world_start(&world, MIB);
	fill(&world);
	for (int i = 0; i < 500; i++) {
		struct larder_cursor cursor;

		memset(&tally, 0, sizeof tally);
		cursor.position[0] = random_next(&random) >> random_below(&random, 64);
		cursor.position[1] = random_next(&random) >> random_below(&random, 64);
		while (scan_once(&world, "", &cursor, 100, &tally) == LARDER_OK)
			expect(tally.calls < 1000);
		expect(tally.entries <= 8 * KEYS);
	}
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("scan");

	tcase_add_test(tests, test_every_key_comes_once);
	tcase_add_test(tests, test_cursor_is_of_one_life_of_a_segment);
	tcase_add_test(tests, test_prefix);
	tcase_add_test(tests, test_empty_cache);
	tcase_add_test(tests, test_expired_keys_are_left_out);
	tcase_add_test(tests, test_longest_keys_come_one_by_one);
	tcase_add_test(tests, test_arguments_are_checked);
	tcase_add_test(tests, test_lasting_keys_are_found_while_all_else_changes);
	tcase_add_test(tests, test_made_up_cursors_end);
	return suite_run("scan", tests);
}
