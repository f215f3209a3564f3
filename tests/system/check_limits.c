/* SPDX-License-Identifier: MIT */
/*
 * Keys and values at and beyond their limits, in an arena clients write into and in one that larderd writes for them.
 */
#include "tests/support/suite.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/client.h"
#include "tests/support/expect.h"

enum { MODES = 2 };

static struct server server;
static larder *cache, *other;

static void start(int read_only)
{
	if (read_only)
		server_start(&server, "64M", "--access", "read-only", NULL);
	else
		server_start(&server, "64M", NULL);
	cache = client_open(&server);
	other = client_open(&server);
}

static void finish(void)
{
	larder_close(other);
	larder_close(cache);
	server_stop(&server);
}

START_TEST(key_sizes)
{
	static const size_t sizes[] = { 1, 2, 3, 7, 8, 9, 249, 250, 251, 4096, 16384, 65534, 65535 };
	static char key[65536];
	char buffer[16];
	struct larder_item item;

	start(_i);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		pattern_fill(key, sizes[i], sizes[i]);
		ck_assert_int_eq(larder_set(cache, key, sizes[i], &sizes[i], sizeof sizes[i], NULL, NULL), 0);
	}
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		size_t got = 0;

		pattern_fill(key, sizes[i], sizes[i]);
		ck_assert_int_eq(larder_get(other, key, sizes[i], &got, sizeof got, &item), 0);
		ck_assert_uint_eq(got, sizes[i]);
		key[sizes[i] - 1] ^= 1;
		ck_assert_int_eq(larder_get(other, key, sizes[i], &got, sizeof got, &item), LARDER_MISS);
		key[sizes[i] - 1] ^= 1;
		ck_assert_int_eq(larder_delete(cache, key, sizes[i], 0), 0);
		ck_assert_int_eq(larder_get(other, key, sizes[i], buffer, sizeof buffer, NULL), LARDER_MISS);
	}
	finish();
}
END_TEST

/* Every call refuses a key of no bytes, and one of too many. */
START_TEST(bad_keys)
{
	static const size_t sizes[] = { 0, 65536, SIZE_MAX };
	static char key[65536];
	struct larder_view view;
	struct larder_cursor cursor = { { 0, 0 } };
	char byte;

	start(_i);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		size_t size = sizes[i];

		ck_assert_int_eq(larder_get(cache, key, size, &byte, 1, NULL), -EINVAL);
		ck_assert_int_eq(larder_view(cache, key, size, &view), -EINVAL);
		ck_assert_int_eq(larder_set(cache, key, size, "v", 1, NULL, NULL), -EINVAL);
		ck_assert_int_eq(larder_add(cache, key, size, "v", 1, NULL, NULL), -EINVAL);
		ck_assert_int_eq(larder_replace(cache, key, size, "v", 1, NULL, NULL), -EINVAL);
		ck_assert_int_eq(larder_cas(cache, key, size, "v", 1, 1, NULL, NULL), -EINVAL);
		ck_assert_int_eq(larder_append(cache, key, size, "v", 1, NULL), -EINVAL);
		ck_assert_int_eq(larder_touch(cache, key, size, 1, NULL), -EINVAL);
		ck_assert_int_eq(larder_delete(cache, key, size, 0), -EINVAL);
		ck_assert_int_eq(larder_incr(cache, key, size, 1, NULL, NULL), -EINVAL);
		ck_assert_int_eq(larder_decr(cache, key, size, 1, NULL, NULL), -EINVAL);
	}
	ck_assert_int_eq(larder_scan(cache, NULL, 0, &cursor, NULL, 0, key, LARDER_KEY_MAX - 1, &(size_t){ 0 }),
	                 -EINVAL);
	ck_assert_uint_eq(client_stat(cache).entries, 0);
	finish();
}
END_TEST

START_TEST(binary_keys)
{
	static const struct {
		size_t size;
		char bytes[8];
	} keys[] = { { 1, "\0" },   { 2, "\0\0" },         { 3, "\0\0\0" },
		     { 3, "a\0b" }, { 3, "a\0c" },         { 1, "a" },
		     { 2, "a\0" },  { 4, "\xff\xfe\0\n" }, { 8, "\0\0\0\0\0\0\0\1" } };
	const size_t count = sizeof keys / sizeof keys[0];

	start(_i);
	for (size_t i = 0; i < count; i++)
		ck_assert_int_eq(larder_add(cache, keys[i].bytes, keys[i].size, &i, sizeof i, NULL, NULL), 0);
	for (size_t i = 0; i < count; i++) {
		size_t got = 99;

		ck_assert_int_eq(larder_get(other, keys[i].bytes, keys[i].size, &got, sizeof got, NULL), 0);
		ck_assert_uint_eq(got, i);
	}
	ck_assert_uint_eq(client_stat(cache).entries, count);
	finish();
}
END_TEST

START_TEST(value_sizes)
{
	static const size_t sizes[] = { 0,     1,     7,     8,     9,     255,   4095,   4096,    16383,  16384,
		                        16385, 32768, 65536, 98303, 98304, 98305, 262144, 1048575, 1048576 };
	const size_t largest = 1048576;
	unsigned char *value = malloc(largest), *back = malloc(largest + 1);
	struct larder_item item;
	struct larder_view view;

	ck_assert(value != NULL && back != NULL);
	start(_i);
	ck_assert_uint_ge(client_stat(cache).value_size_max, largest);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		size_t size = sizes[i];

		pattern_fill(value, size, size);
		ck_assert_int_eq(larder_set(cache, "k", 1, value, size, NULL, NULL), 0);
		ck_assert_int_eq(larder_get(other, "k", 1, back, largest + 1, &item), 0);
		ck_assert_uint_eq(item.value_size, size);
		ck_assert_int_eq(memcmp(value, back, size), 0);
		ck_assert_int_eq(larder_view(other, "k", 1, &view), 0);
		ck_assert_uint_eq(view.size, size);
		ck_assert(pattern_holds(view.data, size, size));
		ck_assert_ptr_nonnull(view.data);
		larder_release(other, &view);
	}
	finish();
	free(value);
	free(back);
}
END_TEST

START_TEST(truncated_gets)
{
	char buffer[16];
	struct larder_item item;

	start(_i);
	client_put(cache, "k", "0123456789");
	for (size_t room = 0; room <= 10; room++) {
		memset(buffer, '.', sizeof buffer);
		memset(&item, 0xff, sizeof item);
		ck_assert_int_eq(larder_get(other, "k", 1, buffer, room, &item), room < 10 ? LARDER_TRUNCATED : 0);
		ck_assert_uint_eq(item.value_size, 10);
		ck_assert_mem_eq(buffer, "0123456789", room);
		ck_assert_int_eq(buffer[room], '.');
	}
	ck_assert_int_eq(larder_get(other, "k", 1, NULL, 0, NULL), LARDER_TRUNCATED);
	ck_assert_int_eq(larder_incr(cache, "n", 1, 0,
	                             &(struct larder_incr_options){ sizeof(struct larder_incr_options), -1234, 0,
	                                                            LARDER_INCR_CREATE, 0 },
	                             NULL),
	                 0);
	memset(buffer, '.', sizeof buffer);
	ck_assert_int_eq(larder_get(other, "n", 1, buffer, 3, &item), LARDER_TRUNCATED);
	ck_assert_mem_eq(buffer, "-12.", 4);
	ck_assert_uint_eq(item.value_size, 5);
	finish();
}
END_TEST

/* What is too large changes nothing: neither where there is a value nor where there is none. */
START_TEST(too_large)
{
	struct larder_stat stat;
	unsigned char *value;
	size_t sizes[4];
	uint64_t version;

	start(_i);
	stat = client_stat(cache);
	sizes[0] = stat.value_size_max + 1024 * 1024;
	sizes[1] = stat.segment_bytes;
	sizes[2] = stat.arena_bytes;
	sizes[3] = stat.arena_bytes + 1;
	value = calloc(1, stat.arena_bytes + 1);
	ck_assert_ptr_nonnull(value);
	client_put(cache, "old", "still here");
	for (size_t i = 0; i < 4; i++) {
		if (sizes[i] <= stat.value_size_max)
			continue;
		version = 77;
		ck_assert_int_eq(larder_set(cache, "old", 3, value, sizes[i], NULL, &version), -E2BIG);
		ck_assert_int_eq(larder_replace(cache, "old", 3, value, sizes[i], NULL, &version), -E2BIG);
		ck_assert_int_eq(larder_append(cache, "old", 3, value, sizes[i], &version), -E2BIG);
		ck_assert_int_eq(larder_set(cache, "new", 3, value, sizes[i], NULL, &version), -E2BIG);
		ck_assert_int_eq(larder_add(cache, "new", 3, value, sizes[i], NULL, &version), -E2BIG);
		ck_assert_uint_eq(version, 77);
		client_expect(other, "old", "still here");
		client_expect(other, "new", NULL);
	}
	/* Exactly the largest fits, with any key; and one byte more does not. */
	ck_assert_int_eq(larder_set(cache, value, LARDER_KEY_MAX, value, stat.value_size_max, NULL, NULL), 0);
	ck_assert_int_eq(larder_set(cache, value, LARDER_KEY_MAX, value, stat.value_size_max + 1, NULL, NULL), -E2BIG);
	ck_assert_int_eq(larder_append(cache, value, LARDER_KEY_MAX, value, 1, NULL), -E2BIG);
	free(value);
	finish();
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("limits");

	tcase_add_loop_test(tcase, key_sizes, 0, MODES);
	tcase_add_loop_test(tcase, bad_keys, 0, MODES);
	tcase_add_loop_test(tcase, binary_keys, 0, MODES);
	tcase_add_loop_test(tcase, value_sizes, 0, MODES);
	tcase_add_loop_test(tcase, truncated_gets, 0, MODES);
	tcase_add_loop_test(tcase, too_large, 0, MODES);
	return suite_run("limits", tcase);
}
