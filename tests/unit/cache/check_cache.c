/* SPDX-License-Identifier: MIT */
#include "cache/cache.h"

#include <errno.h>
#include <sys/mman.h>

#include "tests/unit/support/writes.h"

START_TEST(test_what_cannot_be_attached_is_refused_whole)
{
	struct world world;
	struct cache cache;
	struct fault fault = { "" };
	int control = control_create(16, 9), other = control_create(2000, 9);

	world_start(&world, MIB);
	ck_assert_int_eq(cache_attach(&cache, control, control, true, false, 0, &fault), -EPROTO);
	ck_assert_ptr_nonnull(strstr(fault.text, "arena"));
	ck_assert_int_eq(cache_attach(&cache, world.arena_fd, other, true, false, 0, &fault), -EPROTO);
	ck_assert_ptr_nonnull(strstr(fault.text, "control page"));
	ck_assert_ptr_null(cache.arena.base); /* nothing stays mapped */
	ck_assert_int_eq(cache_attach(&cache, world.arena_fd, control, true, false, 0, &fault), 0);
	cache_detach(&cache);
	world_stop(&world);
}
END_TEST

START_TEST(test_mode_of_sections)
{
	struct world world;
	struct client client;

	world_start(&world, MIB);
	client_start_waiting(&world, &client, true, 0);
	ck_assert(client.cache.fenced && client.thread.reader.fenced);
	ck_assert_uint_eq(load_relaxed(&client.cache.control.page->fenced), 1);
	client_stop(&client);

	world.arena->header->plain_epochs = platform_barrier_register() == 0;
	client_start_waiting(&world, &client, false, 0);
	ck_assert_int_eq(client.cache.fenced, !world.arena->header->plain_epochs);
	ck_assert_int_eq(client.thread.reader.fenced, client.cache.fenced);
	client_stop(&client);

	/* larderd cannot issue barriers, so nobody may rely on them */
	world.arena->header->plain_epochs = 0;
	client_start_waiting(&world, &client, false, 0);
	ck_assert(client.cache.fenced && client.thread.reader.fenced);
	client_stop(&client);
	world_stop(&world);
}
END_TEST

/* What a fenced process reads it reads inside fenced sections, by a way of its own; the keys are those that the usual way is for. */
START_TEST(test_fenced_process_reads)
{
	static const char key[] = "a key of twenty byte", missing[] = "another such key....";
	struct world world;
	struct client client;
	struct larder_item item;
	struct larder_view view;
	char buffer[8];

	world_start(&world, MIB);
	put(&world, key, "value");
	client_start_waiting(&world, &client, true, 0);
	ck_assert_uint_eq(client.thread.near.short_sizes, 0);
	ck_assert_int_eq(cache_get(&client.thread, key, 20, buffer, sizeof buffer, &item), LARDER_OK);
	ck_assert_uint_eq(item.value_size, 5);
	ck_assert_mem_eq(buffer, "value", 5);
	ck_assert_int_eq(cache_get(&client.thread, key, 20, NULL, 0, &item), LARDER_TRUNCATED);
	ck_assert_int_eq(cache_get(&client.thread, key, 20, NULL, 8, &item), -EINVAL);
	ck_assert_int_eq(cache_get(&client.thread, missing, 20, buffer, sizeof buffer, NULL), LARDER_MISS);
	ck_assert_int_eq(cache_view(&client.thread, key, 20, &view), LARDER_OK);
	ck_assert_mem_eq(view.data, "value", 5);
	ck_assert_int_eq(cache_view(&client.thread, missing, 20, &view), LARDER_MISS);
	ck_assert_uint_eq(load_relaxed(&client.thread.reader.line->hits), 3);
	ck_assert_uint_eq(load_relaxed(&client.thread.reader.line->misses), 2);
	ck_assert_uint_eq(load_relaxed(&client.thread.reader.line->epoch), 0);
	client_stop(&client);
	world_stop(&world);
}
END_TEST

START_TEST(test_adopted_mapping)
{
	struct world world;
	struct cache keeper;
	struct cache_thread thread;
	struct arena arena;
	char buffer[8];
	int control_fd;

	world_start(&world, MIB);
	put(&world, "key", "value");
	ck_assert_int_eq(arena_map(world.arena_fd, true, &arena, NULL), 0);
	control_fd = control_create(world.segments, 9);
	ck_assert_int_eq(cache_adopt(&keeper, &arena, control_fd, 0, NULL), 0);
	ck_assert_ptr_eq(keeper.arena.base, arena.base);
	ck_assert(keeper.fenced);
	ck_assert_int_eq(cache_thread_start(&keeper, &thread), 0);
	ck_assert_int_eq(cache_get(&thread, "key", 3, buffer, sizeof buffer, NULL), 0);
	cache_thread_stop(&thread);
	cache_detach(&keeper);
	close(control_fd);
	world_stop(&world);
}
END_TEST

START_TEST(test_reading_needs_no_right_to_write)
{
	struct world world;
	struct cache cache;
	struct cache_thread thread;
	struct larder_view view;
	struct larder_stat stat;
	int control_fd;

	world_start(&world, MIB);
	control_fd = control_create(world.segments, 9);
	put(&world, "key", "value");
	create_counter(&world, "counter", 5, 0, 0);
	ck_assert_int_eq(cache_attach(&cache, world.arena_fd, control_fd, false, false, 0, NULL), 0);
	ck_assert_int_eq(cache_thread_start(&cache, &thread), 0);
	ck_assert_int_eq(cache_view(&thread, "key", 3, &view), 0);
	ck_assert_mem_eq(view.data, "value", 5);
	cache_release(&cache, &view);
	ck_assert_int_eq(cache_view(&thread, "counter", 7, &view), 0);
	ck_assert_str_eq(view.data, "5");
	cache_census(&thread, &stat);
	ck_assert_uint_eq(stat.entries, 2);
	ck_assert_int_eq(cache_verify(&thread, NULL, NULL, NULL), 0);
	cache_thread_stop(&thread);
	cache_detach(&cache);
	close(control_fd);
	world_stop(&world);
}
END_TEST

/* ---- threads ----------------------------------------------------------------------------------------------------------- */

START_TEST(test_each_thread_has_its_line)
{
	struct world world;
	struct cache_thread threads[3];

	world_start(&world, MIB);
	for (uint32_t i = 0; i < 3; i++) {
		ck_assert_int_eq(cache_thread_start(&world.self.cache, &threads[i]), 0);
		ck_assert_uint_eq(threads[i].line, i + 1); /* the first client's own thread has line 0 */
		ck_assert_ptr_eq(threads[i].reader.line, &world.self.cache.control.page->threads[i + 1]);
	}
	ck_assert_uint_eq(load_relaxed(&world.self.cache.control.page->thread_high), 4);
	cache_thread_stop(&threads[1]);
	ck_assert_int_eq(cache_thread_start(&world.self.cache, &threads[1]), 0);
	ck_assert_uint_eq(threads[1].line, 2);
	ck_assert_uint_eq(load_relaxed(&world.self.cache.control.page->thread_high), 4);
	for (uint32_t i = 0; i < 3; i++)
		cache_thread_stop(&threads[i]);
	world_stop(&world);
}
END_TEST

START_TEST(test_no_more_threads_than_lines)
{
	static struct cache_thread threads[THREADS_MAX];
	struct cache_thread extra;
	struct world world;
	bool taken[THREADS_MAX] = { true };

	world_start(&world, MIB);
	for (uint32_t i = 1; i < THREADS_MAX; i++) {
		ck_assert_int_eq(cache_thread_start(&world.self.cache, &threads[i]), 0);
		ck_assert_uint_lt(threads[i].line, THREADS_MAX);
		ck_assert(!taken[threads[i].line]);
		taken[threads[i].line] = true;
		ck_assert_uint_lt(threads[i].shard, PIN_SHARDS);
	}
	ck_assert_int_eq(cache_thread_start(&world.self.cache, &extra), -EUSERS);
	cache_thread_stop(&threads[500]);
	ck_assert_int_eq(cache_thread_start(&world.self.cache, &extra), 0);
	ck_assert_uint_eq(extra.line, threads[500].line);
	world_stop(&world);
}
END_TEST

/* Counts and half-filled runs of a thread that ended are not lost. */
START_TEST(test_next_owner_of_a_line_goes_on_with_it)
{
	struct world world;
	struct cache_thread thread;
	struct write_request request = write_of(WRITE_SET, "key", "value");
	struct write_result result;
	uint32_t taken = 0;
	uint64_t free;

	world_start(&world, MIB);
	for (uint32_t i = 1; i <= 100; i++) {
		uint32_t data = world.arena->system_segments + 1;

		ck_assert_int_eq(cache_thread_start(&world.self.cache, &thread), 0);
		ck_assert_int_eq(cache_write(&thread, &request, &result), 0);
		if (i == 1) {
			free = load_relaxed(&world.arena->header->free_segments);
			taken = segment_load(world.arena, data).next_chunk;
			ck_assert_uint_gt(taken, 0);
		}
		ck_assert_uint_eq(load_relaxed(&thread.reader.line->sets), i);
		ck_assert_uint_eq(load_relaxed(&world.arena->header->free_segments), free);
		ck_assert_uint_eq(segment_load(world.arena, data).next_chunk, taken);
		cache_thread_stop(&thread);
	}
	world_stop(&world);
}
END_TEST

START_TEST(test_stopped_thread_holds_nothing)
{
	struct world world;
	struct cache_thread thread;
	struct thread_line *line;

	world_start(&world, MIB);
	ck_assert_int_eq(cache_thread_start(&world.self.cache, &thread), 0);
	line = thread.reader.line;
	epoch_enter(&thread.reader);
	store_relaxed(&line->write_pin, 3);
	cache_thread_stop(&thread);
	ck_assert_uint_eq(load_relaxed(&line->epoch), 0);
	ck_assert_uint_eq(load_relaxed(&line->write_pin), 0);
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("cache");

	tcase_add_test(tests, test_what_cannot_be_attached_is_refused_whole);
	tcase_add_test(tests, test_mode_of_sections);
	tcase_add_test(tests, test_fenced_process_reads);
	tcase_add_test(tests, test_adopted_mapping);
	tcase_add_test(tests, test_reading_needs_no_right_to_write);
	tcase_add_test(tests, test_each_thread_has_its_line);
	tcase_add_test(tests, test_no_more_threads_than_lines);
	tcase_add_test(tests, test_next_owner_of_a_line_goes_on_with_it);
	tcase_add_test(tests, test_stopped_thread_holds_nothing);
	return suite_run("cache", tests);
}
