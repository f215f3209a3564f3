/* SPDX-License-Identifier: MIT */
#include "cache/internal.h"

#include <sched.h>

#include "epoch/grace.h"
#include "tests/support/views.h"
#include "tests/unit/support/threads.h"
#include "tests/unit/support/writes.h"

START_TEST(test_view_is_the_value_in_place)
{
	struct world world;
	struct larder_view view;
	uint64_t version;

	world_start(&world, MIB);
	version = put_with(&world, "key", "12345678", 0, 4);
	ck_assert_int_eq(cache_view(&world.self.thread, "key", 3, &view), 0);
	ck_assert((const unsigned char *)view.data > world.arena->base);
	ck_assert((const unsigned char *)view.data < world.arena->base + world.arena->bytes);
	ck_assert_uint_eq((uintptr_t)view.data % 8, 0);
	ck_assert_uint_eq(view.size, 8);
	ck_assert_uint_eq(view.item.version, version);
	ck_assert_uint_eq(view.item.flags, 4);
	ck_assert_uint_eq(view.item.value_size, 8);
	put(&world, "key", "new");
	simple_write(&world, WRITE_DELETE, "key", NULL);
	ck_assert_mem_eq(view.data, "12345678", 8);
	cache_release(&world.self.cache, &view);
	ck_assert_ptr_null(view.data);
	world_stop(&world);
}
END_TEST

START_TEST(test_view_pins_its_segment_until_released)
{
	struct world world;
	struct larder_view views[3];
	uint32_t segment;

	world_start(&world, MIB);
	put(&world, "key", "value");
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(cache_view(&world.self.thread, "key", 3, &views[i]), 0);
	segment = views[0].segment;
	ck_assert_uint_eq(views_held(&world.self.cache.control), 3);
	ck_assert_uint_eq(views_in_lines(&world.self.cache.control), 1);
	ck_assert_uint_eq(load_relaxed(&world.self.thread.reader.line->view_pin), segment + 1);
	for (int i = 0; i < 3; i++) {
		ck_assert(grace_view_pinned(&world.self.cache.control, segment));
		cache_release(&world.self.cache, &views[i]);
		cache_release(&world.self.cache, &views[i]); /* once more does nothing */
		ck_assert_uint_eq(views_held(&world.self.cache.control), 2 - i);
	}
	ck_assert(!grace_view_pinned(&world.self.cache.control, segment));
	ck_assert_uint_eq(load_relaxed(&world.self.thread.reader.line->epoch), 0);
	world_stop(&world);
}
END_TEST

START_TEST(test_view_of_a_counter_holds_nothing)
{
	struct world world;
	struct larder_view view;

	world_start(&world, MIB);
	create_counter(&world, "counter", -42, 0, 6);
	ck_assert_int_eq(cache_view(&world.self.thread, "counter", 7, &view), 0);
	ck_assert_uint_eq(views_held(&world.self.cache.control), 0);
	add(&world, "counter", 1, NULL);
	ck_assert_str_eq(view.data, "-42");
	ck_assert_uint_eq(view.size, 3);
	ck_assert_uint_eq(view.item.flags, 6);
	cache_release(&world.self.cache, &view);
	ck_assert_ptr_null(view.data);
	world_stop(&world);
}
END_TEST

START_TEST(test_view_of_nothing)
{
	struct world world;
	struct larder_view view = { .data = "x", .segment = 3 };

	world_start(&world, MIB);
	put_with(&world, "old", "value", 1000, 0);
	world_advance(&world, 1000);
	ck_assert_int_eq(cache_view(&world.self.thread, "key", 3, &view), LARDER_MISS);
	ck_assert_ptr_null(view.data);
	ck_assert_int_eq(cache_view(&world.self.thread, "old", 3, &view), LARDER_MISS);
	ck_assert_ptr_null(view.data);
	cache_release(&world.self.cache, &view);
	ck_assert_uint_eq(views_held(&world.self.cache.control), 0);
	world_stop(&world);
}
END_TEST

/* ---- several ----------------------------------------------------------------------------------------------------------- */

#define KEYS 3

static const char *const keys[KEYS] = { "one", "two", "three" };

/* Views of objects in a segment each, by one thread: the first is in its line. */
static void view_all(struct world *world, bool fenced, struct larder_view views[KEYS])
{
	static const uint64_t ttls_ms[KEYS] = { 0, 10000, 1000000 };

	world_start(world, MIB);
	world->self.thread.reader.fenced = world->self.cache.fenced = fenced;
	for (int i = 0; i < KEYS; i++) {
		put_with(world, keys[i], keys[i], ttls_ms[i], 0);
		ck_assert_int_eq(cache_view(&world->self.thread, keys[i], strlen(keys[i]), &views[i]), 0);
	}
	ck_assert_uint_eq(views_in_lines(&world->self.cache.control), 1);
	ck_assert_uint_eq(views_counted(&world->self.cache.control), KEYS - 1);
}

static void expect_held(const struct world *world, const struct larder_view views[KEYS], const bool held[KEYS])
{
	for (int i = 0; i < KEYS; i++)
		ck_assert_int_eq(grace_view_pinned(&world->self.cache.control, views[i].segment), held[i]);
}

START_TEST(test_views_are_released_in_any_order)
{
	static const int orders[][KEYS] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 }
	};
	struct larder_view views[KEYS], copies[KEYS];
	struct world world;

	for (size_t i = 0; i < 2 * sizeof orders / sizeof orders[0]; i++) {
		bool held[KEYS] = { true, true, true };

		view_all(&world, i % 2 != 0, views);
		memcpy(copies, views, sizeof copies);
		expect_held(&world, copies, held);
		for (int j = 0; j < KEYS; j++) {
			cache_release(&world.self.cache, &views[orders[i / 2][j]]);
			held[orders[i / 2][j]] = false;
			expect_held(&world, copies, held);
		}
		ck_assert(grace_idle(&world.self.cache.control));
		world_stop(&world);
	}
}
END_TEST

/* Once the view in it is released, the line takes another, while the others are still held. */
START_TEST(test_line_is_used_again)
{
	struct larder_view views[KEYS];
	struct world world;

	view_all(&world, _i, views);
	for (int i = 0; i < 5; i++) {
		cache_release(&world.self.cache, &views[0]);
		ck_assert_uint_eq(views_in_lines(&world.self.cache.control), 0);
		ck_assert_int_eq(cache_view(&world.self.thread, keys[i % KEYS], strlen(keys[i % KEYS]), &views[0]), 0);
		ck_assert_uint_eq(load_relaxed(&world.self.thread.reader.line->view_pin), views[0].segment + 1);
		ck_assert_uint_eq(views_counted(&world.self.cache.control), KEYS - 1);
	}
	for (int i = 0; i < KEYS; i++)
		cache_release(&world.self.cache, &views[i]);
	ck_assert(grace_idle(&world.self.cache.control));
	world_stop(&world);
}
END_TEST

/* The line has a new owner; the view is still held, and can be released. */
START_TEST(test_view_outlives_its_thread)
{
	struct world world;
	struct cache_thread first, next;
	struct larder_view views[2];

	world_start(&world, MIB);
	put(&world, "key", "value");
	ck_assert_int_eq(cache_thread_start(&world.self.cache, &first), 0);
	ck_assert_int_eq(cache_view(&first, "key", 3, &views[0]), 0);
	cache_thread_stop(&first);
	ck_assert_int_eq(cache_thread_start(&world.self.cache, &next), 0);
	ck_assert_ptr_eq(next.reader.line, first.reader.line);
	ck_assert_uint_eq(load_relaxed(&next.reader.line->view_pin), views[0].segment + 1);
	ck_assert_int_eq(cache_view(&next, "key", 3, &views[1]), 0);
	ck_assert_uint_eq(views_counted(&world.self.cache.control), 1);
	cache_release(&world.self.cache, &views[0]);
	ck_assert_uint_eq(views_in_lines(&world.self.cache.control), 0);
	ck_assert(grace_view_pinned(&world.self.cache.control, views[1].segment));
	cache_release(&world.self.cache, &views[1]);
	ck_assert(grace_idle(&world.self.cache.control));
	cache_thread_stop(&next);
	world_stop(&world);
}
END_TEST

/* What somebody made of a view harms nobody's memory. */
START_TEST(test_release_of_nonsense)
{
	static const uint32_t numbers[] = { PIN_SHARDS + THREADS_MAX, PIN_SHARDS + THREADS_MAX + 1, 1U << 31,
		                            UINT32_MAX };
	struct world world;
	struct larder_view mine;

	world_start(&world, MIB);
	put(&world, "key", "value");
	ck_assert_int_eq(cache_view(&world.self.thread, "key", 3, &mine), 0);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		struct larder_view views[] = { { .data = "x", .shard = numbers[i], .segment = mine.segment },
			                       { .data = "x", .shard = mine.shard, .segment = numbers[i] } };

		for (int j = 0; j < 2; j++) {
			cache_release(&world.self.cache, &views[j]);
			ck_assert_ptr_null(views[j].data);
			ck_assert_uint_eq(views_held(&world.self.cache.control), 1);
		}
	}
	cache_release(&world.self.cache, &mine);
	ck_assert_uint_eq(views_held(&world.self.cache.control), 0);
	world_stop(&world);
}
END_TEST

/* ---- released by others ------------------------------------------------------------------------------------------------ */

#define ROUNDS 20000
#define IN_HAND 4

/* Views go from the thread that takes them to another, which releases them, some late. */
struct relay {
	struct world world;
	struct larder_view views[IN_HAND];
	struct {
		_Alignas(PRIVATE_LINE) atomic_u64 number;
	} taken, released;
};

static void relay_body(void *context, uint32_t number)
{
	struct relay *relay = context;

	for (uint64_t round = 0; round < ROUNDS; round++) {
		struct larder_view *view = &relay->views[round % IN_HAND];

		if (number == 0) {
			while (load_acquire(&relay->released.number) + IN_HAND <= round)
				sched_yield();
			expect_equal(cache_view(&relay->world.self.thread, "key", 3, view), 0);
			store_release(&relay->taken.number, round + 1);
			continue;
		}
		while (load_acquire(&relay->taken.number) <= round)
			sched_yield();
		expect(memcmp(view->data, "value", 5) == 0);
		expect(grace_view_pinned(&relay->world.self.cache.control, view->segment));
		cache_release(&relay->world.self.cache, view);
		store_release(&relay->released.number, round + 1);
	}
}

START_TEST(test_another_thread_releases)
{
	static struct relay relay;

	world_start(&relay.world, MIB);
	relay.world.self.thread.reader.fenced = relay.world.self.cache.fenced = relay.world.self.cache.fenced || _i;
	put(&relay.world, "key", "value");
	threads_run(2, relay_body, &relay);
	ck_assert(grace_idle(&relay.world.self.cache.control));
	world_stop(&relay.world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("view");

	tcase_add_test(tests, test_view_is_the_value_in_place);
	tcase_add_test(tests, test_view_pins_its_segment_until_released);
	tcase_add_test(tests, test_view_of_a_counter_holds_nothing);
	tcase_add_test(tests, test_view_of_nothing);
	tcase_add_test(tests, test_views_are_released_in_any_order);
	tcase_add_loop_test(tests, test_line_is_used_again, 0, 2);
	tcase_add_test(tests, test_view_outlives_its_thread);
	tcase_add_test(tests, test_release_of_nonsense);
	tcase_add_loop_test(tests, test_another_thread_releases, 0, 2);
	return suite_run("view", tests);
}
