/* SPDX-License-Identifier: MIT */
/* When what is read is over, and how much life is said to be left. */
#include <string.h>

#include "base/clock.h"
#include "cache/cache.h"
#include "tests/unit/support/world.h"
#include "tests/unit/support/writes.h"

/* Each way to read, of a key that is usual in length (which has a way of its own) and of one that is not, or is a counter. */
static const char *const life_keys[] = { "a key of usual length", "short", "number" };
#define LIFE_MS 5000

static void expect_alive(struct world *world, bool alive, uint64_t expires_ms)
{
	for (int i = 0; i < 3; i++) {
		const char *key = life_keys[i];
		struct larder_mget_entry entry = { .key = key, .key_size = strlen(key) };
		char buffer[16];
		struct larder_view view;
		struct larder_item item = { 0 };
		const int expected = alive ? LARDER_OK : LARDER_MISS;
		const uint64_t coarse_ms = arena_coarse_ms(world->arena);
		const uint64_t left_max = expires_ms - arena_now_ms(world->arena);
		uint64_t coarse_max = left_max, now_ms;
		int results[4];

		entry.buffer = buffer;
		entry.buffer_size = sizeof buffer;
		results[0] = cache_get(&world->self.thread, key, strlen(key), buffer, sizeof buffer, NULL);
		results[1] = cache_get(&world->self.thread, key, strlen(key), buffer, sizeof buffer, &item);
		results[2] = cache_view(&world->self.thread, key, strlen(key), &view);
		cache_mget(&world->self.thread, &entry, 1);
		results[3] = entry.result;
		now_ms = arena_now_ms(world->arena);
		if (alive && now_ms >= expires_ms)
			return; /* we were kept waiting until it was over */
		for (int way = 0; way < 4; way++)
			ck_assert_int_eq(results[way], expected);
		if (!alive)
			continue;
		ck_assert_uint_eq(item.flags, 7);
		ck_assert_uint_eq(view.item.flags, 7);
		ck_assert_uint_eq(entry.item.flags, 7);
		/* A tick may come late on a host that is busy. */
		if (expires_ms > coarse_ms + COARSE_LAG_MS && expires_ms - coarse_ms - COARSE_TICK_MS > left_max)
			coarse_max = expires_ms - coarse_ms - COARSE_TICK_MS;
		ck_assert_uint_le(item.ttl_ms, left_max);
		ck_assert_uint_ge(item.ttl_ms, expires_ms - now_ms);
		ck_assert_uint_le(view.item.ttl_ms, coarse_max);
		ck_assert_uint_ge(view.item.ttl_ms + 2 * COARSE_TICK_MS, expires_ms - now_ms);
		ck_assert_uint_le(entry.item.ttl_ms, item.ttl_ms);
		cache_release(&world->self.cache, &view);
	}
}

START_TEST(test_life_ends_to_the_millisecond)
{
	/* Far from the end the coarse clock decides; it is some milliseconds late, which must not show near the end. */
	static const int left_ms[] = { LIFE_MS, 3000, 990, 30, 0, -1, -2, -100 };
	struct world world;

	world_start(&world, MIB);
	for (size_t i = 0; i < sizeof left_ms / sizeof left_ms[0]; i++) {
		uint64_t begun_ms = arena_now_ms(world.arena), stored_ms;

		put_with(&world, life_keys[0], "value", LIFE_MS, 7);
		put_with(&world, life_keys[1], "value", LIFE_MS, 7);
		simple_write(&world, WRITE_DELETE, life_keys[2], NULL);
		create_counter(&world, life_keys[2], 1, LIFE_MS, 7);
		stored_ms = arena_now_ms(world.arena);
		if (begun_ms != stored_ms) { /* so that all end in the same millisecond */
			i--;
			continue;
		}
		world_advance(&world, (uint64_t)(LIFE_MS - left_ms[i]));
		expect_alive(&world, left_ms[i] > 0, stored_ms + LIFE_MS);
	}
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("read life");

	tcase_add_test(tests, test_life_ends_to_the_millisecond);
	return suite_run("read_life", tests);
}
