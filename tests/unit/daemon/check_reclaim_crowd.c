/* SPDX-License-Identifier: MIT */
/* A keeper at work while others read, hold views and write far more than there is memory for. */
#include <sched.h>

#include "tests/unit/daemon/house.h"
#include "tests/unit/support/threads.h"

#define WRITERS 2
#define READERS 2
#define ROUNDS 40000
#define KEYS 3000
#define VIEWS 4 /* held by each reader at a time */

struct crowd {
	struct world world;
	struct client clients[WRITERS + READERS];
	struct reclaim *reclaim;
	atomic_u32 writers_left;
};

/* A value tells which key it belongs to in each of its words, so that no other bytes can pass for it. */
static size_t value_of(uint32_t key, uint32_t round, uint64_t value[64])
{
	size_t words = 1 + (key + round) % 60;

	for (size_t i = 0; i < words; i++)
		value[i] = (uint64_t)key << 32 | round;
	return words * sizeof(uint64_t);
}

static void expect_value_of(uint32_t key, const void *data, size_t size)
{
	const uint64_t *value = data;
	uint64_t expected[64];

	expect(size >= 8 && value[0] >> 32 == key);
	expect(size == value_of(key, (uint32_t)value[0], expected));
	expect(memcmp(value, expected, size) == 0);
}

static void crowd_write(struct crowd *crowd, uint32_t number)
{
	struct cache_thread *thread = &crowd->clients[number].thread;
	struct random random = { number };
	struct write_result result;

	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint32_t key = random_below(&random, KEYS);
		uint64_t value[64];
		struct write_request request = {
			.operation = random_below(&random, 8) ? WRITE_SET : WRITE_DELETE,
			.key = &key,
			.key_size = sizeof key,
			.value = value,
			.value_size = value_of(key, round, value),
			.ttl_ms = random_below(&random, 3) ? 0 : 1 + random_below(&random, 3000),
		};
		int code = cache_write(thread, &request, &result);

		expect(code == 0 || (request.operation == WRITE_DELETE && code == LARDER_MISS));
	}
	fetch_sub_release(&crowd->writers_left, 1);
}

static void crowd_read(struct crowd *crowd, uint32_t number)
{
	struct client *client = &crowd->clients[number];
	struct random random = { number };
	struct larder_view views[VIEWS] = { { .data = NULL } };
	uint32_t keys[VIEWS] = { 0 };

	while (load_acquire(&crowd->writers_left) > 0) {
		uint32_t key = random_below(&random, KEYS), i = random_below(&random, VIEWS);
		uint64_t value[64];
		struct larder_item item;
		int code = cache_get(&client->thread, &key, sizeof key, value, sizeof value, &item);

		expect(code == LARDER_OK || code == LARDER_MISS);
		if (code == LARDER_OK)
			expect_value_of(key, value, item.value_size);
		/* one view goes, having been right all the time, another comes */
		if (views[i].data)
			expect_value_of(keys[i], views[i].data, views[i].size);
		cache_release(&client->cache, &views[i]);
		if (cache_view(&client->thread, &key, sizeof key, &views[i]) == LARDER_OK)
			expect_value_of(key, views[i].data, views[i].size);
		keys[i] = key;
	}
	for (uint32_t i = 0; i < VIEWS; i++)
		cache_release(&client->cache, &views[i]);
}

static void crowd_body(void *context, uint32_t number)
{
	struct crowd *crowd = context;

	if (number < WRITERS)
		crowd_write(crowd, number);
	else if (number < WRITERS + READERS)
		crowd_read(crowd, number);
	else
		while (load_acquire(&crowd->writers_left) > 0)
			if (reclaim_run(crowd->reclaim) > 0)
				sched_yield();
}

static void crowd_run(uint32_t stall_ms)
{
	static struct crowd crowd;

	world_start(&crowd.world, MIB);
	crowd.reclaim = reclaim_create(&crowd.world.self.thread, stall_ms);
	expect_equal(reclaim_add_client(crowd.reclaim, &crowd.world.self.cache.control), 0);
	for (uint32_t i = 0; i < WRITERS + READERS; i++) {
		client_start_waiting(&crowd.world, &crowd.clients[i], WORLD_FENCED || i % 2, 600000);
		expect_equal(reclaim_add_client(crowd.reclaim, &crowd.clients[i].cache.control), 0);
	}
	store_relaxed(&crowd.writers_left, WRITERS);
	threads_run(WRITERS + READERS + 1, crowd_body, &crowd);
	ck_assert_uint_gt(load_relaxed(&crowd.world.arena->header->evicted_segments), 20);
	expect_sound(&crowd.world);
	for (int i = 0; i < 50; i++)
		reclaim_run(crowd.reclaim);
	ck_assert_uint_eq(world_count(&crowd.world, SEGMENT_CONDEMNED), 0);
	ck_assert_uint_eq(world_count(&crowd.world, SEGMENT_RETIRED), 0);
	expect_sound(&crowd.world);
	reclaim_destroy(crowd.reclaim);
	for (uint32_t i = 0; i < WRITERS + READERS; i++)
		client_stop(&crowd.clients[i]);
	world_stop(&crowd.world);
}

START_TEST(test_nobody_sees_recycled_memory)
{
	crowd_run(NEVER_MS);
}
END_TEST

/* What a revoked section reads is thrown away, but ThreadSanitizer would hear of the reading. */
#ifndef LARDER_FORCE_FENCED
/* Whoever does not leave its section at once is revoked, again and again, and still never sees anything wrong. */
START_TEST(test_nobody_reports_recycled_memory)
{
	crowd_run(0);
}
END_TEST
#endif

int main(void)
{
	TCase *tests = tcase_create("reclaim crowd");

	tcase_add_test(tests, test_nobody_sees_recycled_memory);
#ifndef LARDER_FORCE_FENCED
	tcase_add_test(tests, test_nobody_reports_recycled_memory);
#endif
	return suite_run("reclaim crowd", tests);
}
