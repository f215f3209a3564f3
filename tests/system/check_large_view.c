/* SPDX-License-Identifier: MIT */
/* A view of the largest value that there can be: its bytes stay as they are until it is released, whatever becomes of its key; then its memory comes back. */
#include "tests/support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/client.h"
#include "tests/support/expect.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif
#define ARENA "321M" /* a quarter is more than the value; odd, for huge pages are not set aside for so much */
#define VALUE_BYTES ((size_t)64 << 20)
#define OTHER_BYTES ((size_t)8 << 20)
#define SMALL_BYTES ((size_t)256 << 10) /* that are for one segment: for extents, what a view holds is let alone */
#define OTHERS 3                        /* that find room beside it */
#define SEED 7
#define PATIENCE_MS 60000

static struct server server;
static unsigned char *value;

static void setup(void)
{
	value = malloc(VALUE_BYTES);
	expect(value != NULL);
	server_start(&server, ARENA, NULL);
}

static void teardown(void)
{
	server_stop(&server);
	free(value);
}

static void write_other(larder *cache, unsigned number, size_t bytes)
{
	char key[24];
	int size = snprintf(key, sizeof key, "other %u", number), result;

	result = larder_set(cache, key, (size_t)size, value, bytes, NULL, NULL);
	ck_assert_msg(result == 0, "%s: %s", key, larder_strerror(result));
}

static void use_other(larder *cache, unsigned number)
{
	char key[24];
	int size = snprintf(key, sizeof key, "other %u", number);

	expect_equal(larder_get(cache, key, (size_t)size, NULL, 0, NULL), LARDER_TRUNCATED);
}

static struct larder_view view_large(larder *cache)
{
	struct larder_view view;

	pattern_fill(value, VALUE_BYTES, SEED);
	expect_equal(larder_set(cache, "large", 5, value, VALUE_BYTES, NULL, NULL), 0);
	expect_equal(larder_view(cache, "large", 5, &view), 0);
	expect_equal(view.size, VALUE_BYTES);
	return view;
}

static void expect_unchanged(const struct larder_view *view)
{
	ck_assert_uint_eq(view->size, VALUE_BYTES);
	ck_assert(pattern_holds(view->data, view->size, SEED));
}

static void expect_free(larder *cache, uint64_t segments_free)
{
	for (struct patience patience = patience_start(PATIENCE_MS);;) {
		struct larder_stat stat = client_stat(cache);

		if (stat.segments_free >= segments_free)
			break;
		ck_assert_msg(patience_left(patience), "%u segments are free, not %u", (unsigned)stat.segments_free,
		              (unsigned)segments_free);
	}
}

/* The key is gone; the memory is not, though others write. */
static void expect_held(larder *cache, struct larder_view *view, uint64_t segments_free)
{
	const uint64_t segments = VALUE_BYTES / client_stat(cache).segment_bytes;

	for (unsigned i = 0; i < OTHERS; i++)
		write_other(cache, i, OTHER_BYTES);
	for (unsigned i = 0; i < OTHERS; i++) {
		char key[24];
		int size = snprintf(key, sizeof key, "other %u", i);

		expect_equal(larder_delete(cache, key, (size_t)size, 0), 0);
	}
	expect_free(cache, segments_free - segments -
	                           2); /* what is held and its last segment; and the one in which others are written */
	ck_assert_uint_lt(client_stat(cache).segments_free, segments_free - segments);
	expect_unchanged(view);
	larder_release(cache, view);
	expect_free(cache, segments_free - 1);
}

START_TEST(deleted)
{
	larder *cache = client_open(&server);
	uint64_t segments_free = client_stat(cache).segments_free;
	struct larder_view view = view_large(cache);

	expect_equal(larder_delete(cache, "large", 5, 0), 0);
	client_expect(cache, "large", NULL);
	expect_held(cache, &view, segments_free);
	larder_close(cache);
}
END_TEST

START_TEST(replaced)
{
	larder *cache = client_open(&server);
	uint64_t segments_free = client_stat(cache).segments_free;
	struct larder_view view = view_large(cache);

	client_put(cache, "large", "small");
	client_expect(cache, "large", "small");
	expect_held(cache, &view, segments_free);
	client_expect(cache, "large", "small");
	larder_close(cache);
}
END_TEST

START_TEST(evicted)
{
	larder *cache = client_open(&server);
	struct larder_view view = view_large(cache);
	uint64_t segments_free;
	unsigned number = 0;
	int result;

	/* A delete of another version tells whether it is there, and is no use of it. The others are used as often as it was. */
	for (struct patience patience = patience_start(PATIENCE_MS);;) {
		write_other(cache, number, SMALL_BYTES);
		use_other(cache, number++);
		result = larder_delete(cache, "large", 5, view.item.version + 1);
		if (result == LARDER_MISS)
			break;
		expect_equal(result, LARDER_CHANGED);
		ck_assert(patience_left(patience));
	}
	expect_unchanged(&view);
	segments_free = client_stat(cache).segments_free;
	larder_release(cache, &view);
	/* Nobody writes any more and nothing is deleted, so it is this memory; a few segments may be taken to move others' objects to. */
	expect_free(cache, segments_free + VALUE_BYTES / client_stat(cache).segment_bytes / 2);
	larder_close(cache);
}
END_TEST

int main(void)
{
	TCase *tests;

	if (SANITIZED) {
		puts("skipped: values of 64 MiB take a sanitizer too long");
		return 77;
	}
	tests = tcase_create("large view");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, deleted);
	tcase_add_test(tests, replaced);
	tcase_add_test(tests, evicted);
	return suite_run("large view", tests);
}
