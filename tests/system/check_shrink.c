/* SPDX-License-Identifier: MIT */
/* The index grows for many keys, becomes small again when they are gone, and grows once more, while others read and write. */
#include "tests/support/suite.h"

#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "base/atomics.h"
#include "tests/support/client.h"
#include "tests/support/expect.h"
#include "tests/support/workers.h"

#define PASSING_KEYS 40000u
#define LASTING_KEYS 500u
#define READERS 2
#define SHRINK_MS 60000 /* at the most */
#define ROUNDS 2u
#define LIFE_MS 4000
#define REST_NS 100000 /* between two writes of lasting keys: what they leave behind shall not fill the arena */

static struct server server;

struct scene {
	atomic_u32 over;
	atomic_u64 reads;
	_Alignas(64) atomic_u32 begun[LASTING_KEYS], completed[LASTING_KEYS]; /* which values a lasting key may have */
};

static size_t name_of(char name[32], const char *kind, uint32_t number)
{
	return (size_t)snprintf(name, 32, "%s %u", kind, number);
}

/* A lasting key is there all the time, with the value that was written last. */
static void read_one(struct scene *scene, larder *cache, uint32_t number)
{
	uint32_t value, completed = load_acquire(&scene->completed[number]);
	char name[32];
	size_t size = name_of(name, "lasting", number);

	expect_equal(larder_get(cache, name, size, &value, sizeof value, NULL), 0);
	expect(value >= completed && value <= load_acquire(&scene->begun[number]));
}

static void read_all_the_time(void *context, unsigned reader)
{
	struct scene *scene = context;
	larder *cache = client_open(&server);

	for (uint32_t i = reader; !load_acquire(&scene->over); i++) {
		read_one(scene, cache, i % LASTING_KEYS);
		fetch_add_relaxed(&scene->reads, 1);
	}
	larder_close(cache);
}

static void write_one(struct scene *scene, larder *cache, uint32_t number)
{
	uint32_t value = load_relaxed(&scene->begun[number]) + 1;
	char name[32];
	size_t size = name_of(name, "lasting", number);

	store_release(&scene->begun[number], value);
	expect_equal(larder_set(cache, name, size, &value, sizeof value, NULL, NULL), 0);
	store_release(&scene->completed[number], value);
}

static void write_all_the_time(void *context, unsigned number)
{
	struct scene *scene = context;
	const struct timespec rest = { 0, REST_NS };
	larder *cache = client_open(&server);

	(void)number;
	for (uint32_t i = 0; !load_acquire(&scene->over); i++) {
		write_one(scene, cache, i * 7 % LASTING_KEYS);
		nanosleep(&rest, NULL);
	}
	larder_close(cache);
}

/* In every second round they are not deleted, but expire. */
static void come(larder *cache, uint64_t ttl_ms)
{
	struct larder_set_options options = LARDER_SET_OPTIONS;
	char name[32];

	options.ttl_ms = ttl_ms;
	for (uint32_t i = 0; i < PASSING_KEYS; i++)
		expect_equal(larder_set(cache, name, name_of(name, "passing", i), &i, sizeof i, &options, NULL), 0);
}

static void go(larder *cache)
{
	char name[32];

	for (uint32_t i = 0; i < PASSING_KEYS; i++)
		expect_equal(larder_delete(cache, name, name_of(name, "passing", i), 0), 0);
}

/* Grown: more segments were split than so many. Else: the index has one segment. */
static void await_index(larder *cache, bool grown, uint64_t splits)
{
	struct patience patience = patience_start(SHRINK_MS);
	struct larder_stat stat;

	for (;;) {
		stat = client_stat(cache);
		if (grown ? stat.index_splits > splits : stat.segments_index == 1)
			return;
		if (!patience_left(patience))
			expect_failed("after %d ms the index has %u segments", SHRINK_MS,
			              (unsigned)stat.segments_index);
	}
}

START_TEST(index_grows_and_shrinks_and_grows)
{
	struct scene *scene = shared_memory(sizeof *scene);
	struct workers readers, writer;
	struct larder_stat stat;
	uint64_t reads;
	larder *cache;

	server_start(&server, "8M", NULL);
	cache = client_open(&server);
	for (uint32_t i = 0; i < LASTING_KEYS; i++)
		write_one(scene, cache, i);
	workers_start(&readers, READERS, read_all_the_time, scene);
	workers_start(&writer, 1, write_all_the_time, scene);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		stat = client_stat(cache);
		come(cache, round % 2 ? LIFE_MS : 0);
		await_index(cache, true, stat.index_splits + 1);
		if (round % 2 == 0)
			go(cache);
		reads = load_relaxed(&scene->reads);
		await_index(cache, false, 0);
		/* Where all was so slow that the last round's keys had expired already, the readers may have had no time since. */
		for (struct patience patience = patience_start(SHRINK_MS); load_relaxed(&scene->reads) <= reads;)
			ck_assert(patience_left(patience));
	}
	store_release(&scene->over, 1);
	workers_join(&readers, 60);
	workers_join(&writer, 60);
	for (uint32_t i = 0; i < LASTING_KEYS; i++)
		read_one(scene, cache, i);
	stat = client_stat(cache);
	ck_assert_uint_ge(stat.index_splits, 2 * ROUNDS);
	ck_assert_uint_eq(stat.index_merges, stat.index_splits);
	ck_assert_uint_eq(stat.index_splitting, 0);
	ck_assert_uint_eq(stat.evicted_segments, 0);
	larder_close(cache);
	server_stop(&server);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("shrink");

	tcase_add_test(tests, index_grows_and_shrinks_and_grows);
	return suite_run("shrink", tests);
}
