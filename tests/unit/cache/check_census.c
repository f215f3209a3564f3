/* SPDX-License-Identifier: MIT */
#include "index/split.h"
#include "tests/unit/support/writes.h"

START_TEST(test_fresh_arena)
{
	struct world world;
	struct larder_stat stat;

	world_start(&world, MIB);
	cache_census(&world.self.thread, &stat);
	ck_assert_uint_eq(stat.size, sizeof stat);
	ck_assert_uint_eq(stat.arena_bytes, MIB);
	ck_assert_uint_eq(stat.page_bytes, (uint64_t)sysconf(_SC_PAGESIZE));
	ck_assert_uint_eq(stat.segment_bytes, SEGMENT_BYTES_MIN);
	ck_assert_uint_eq(stat.segments, 16);
	ck_assert_uint_eq(stat.segments_system, 1);
	ck_assert_uint_eq(stat.segments_index, 1);
	ck_assert_uint_eq(stat.segments_free, 14);
	ck_assert_uint_eq(stat.segments_data, 0);
	ck_assert_uint_eq(stat.used_bytes, 2 * SEGMENT_BYTES_MIN);
	ck_assert_uint_eq(stat.value_size_max, arena_value_max(world.arena));
	ck_assert_uint_eq(stat.access, LARDER_SHARED_WRITE);
	ck_assert_uint_eq(stat.epoch, 1);
	ck_assert_uint_eq(stat.entries, 0);
	ck_assert_uint_eq(stat.key_bytes, 0);
	ck_assert_uint_eq(stat.value_bytes, 0);
	world_stop(&world);
}
END_TEST

static void expect_totals(struct world *world, uint64_t entries, uint64_t key_bytes, uint64_t value_bytes)
{
	struct larder_stat stat;

	cache_census(&world->self.thread, &stat);
	ck_assert_uint_eq(stat.entries, entries);
	ck_assert_uint_eq(stat.key_bytes, key_bytes);
	ck_assert_uint_eq(stat.value_bytes, value_bytes);
	ck_assert_uint_eq(stat.segments_free + stat.segments_data + stat.segments_index + stat.segments_condemned +
	                          stat.segments_system,
	                  stat.segments);
}

START_TEST(test_totals_follow_every_change)
{
	struct world world;

	world_start(&world, MIB);
	put(&world, "one", "12345");
	put(&world, "three", "");
	expect_totals(&world, 2, 8, 5);
	put(&world, "one", "1");
	expect_totals(&world, 2, 8, 1);
	create_counter(&world, "counter", 1000000, 0, 0);
	expect_totals(&world, 3, 15, 9); /* a counter is a number of 8 bytes, however long its text */
	simple_write(&world, WRITE_DELETE, "three", NULL);
	expect_totals(&world, 2, 10, 9);
	put_with(&world, "short", "life", 1000, 0);
	world_advance(&world, 5000);
	expect_totals(&world, 3, 15, 13); /* expired ones take memory still */
	world_stop(&world);
}
END_TEST

#define KEYS 4000

START_TEST(test_each_key_counts_once_at_any_stage_of_a_split)
{
	struct world world;
	uint64_t key_bytes = 0;
	uint32_t segment;

	world_start(&world, 2 * MIB);
	segment = world.arena->system_segments;
	for (uint32_t i = 0; i < KEYS; i++) {
		char key[16];

		snprintf(key, sizeof key, "%u", i);
		key_bytes += strlen(key);
		put(&world, key, "1234567");
	}
	expect_totals(&world, KEYS, key_bytes, 7 * KEYS);
	ck_assert(split_begin(world.arena, segment));
	for (uint32_t home = 0; home < world.arena->homes; home++) {
		if (home % 128 == 0)
			expect_totals(&world, KEYS, key_bytes, 7 * KEYS);
		expect(split_bucket(world.arena, segment, home));
	}
	expect_totals(&world, KEYS, key_bytes, 7 * KEYS);
	split_finish(world.arena, segment);
	expect_totals(&world, KEYS, key_bytes, 7 * KEYS);
	world_stop(&world);
}
END_TEST

START_TEST(test_segments_by_use)
{
	struct world world;
	struct larder_stat stat;
	uint32_t segment, generation, chunk;

	world_start(&world, MIB);
	for (uint32_t c = 0; c < 3; c++)
		ck_assert(segment_take_chunks(world.arena, c, 2, 1, &segment, &generation, &chunk));
	cache_census(&world.self.thread, &stat);
	ck_assert_uint_eq(stat.segments_data, 3);
	ck_assert_uint_eq(stat.segments_free, 11);
	ck_assert_uint_eq(stat.used_bytes, 2 * SEGMENT_BYTES_MIN + 3 * 2 * CHUNK_BYTES);
	ck_assert(segment_change(world.arena, segment, SEGMENT_OPEN, SEGMENT_CONDEMNED));
	cache_census(&world.self.thread, &stat);
	ck_assert_uint_eq(stat.segments_data, 2);
	ck_assert_uint_eq(stat.segments_condemned, 1);
	ck_assert_uint_eq(stat.used_bytes, 3 * SEGMENT_BYTES_MIN + 2 * 2 * CHUNK_BYTES);
	world_stop(&world);
}
END_TEST

/* The class in which a key's object lies, whichever classes share segments here. */
static const struct larder_stat_class *class_of(const struct world *world, const struct larder_stat *stat,
                                                const char *key, uint64_t *ret_object_bytes)
{
	struct object_view view;
	uint32_t slab;

	look_up(world, key, &view);
	*ret_object_bytes = view.size;
	slab = segment_slab(segment_load(world->arena, segment_of(world->arena, view.offset)));
	return &stat->classes[slab / TTL_CLASSES][slab % TTL_CLASSES];
}

START_TEST(test_classes)
{
	const struct larder_stat_class *lasting, *mortal;
	uint64_t lasting_bytes, mortal_bytes, segments = 0;
	struct world world;
	struct larder_stat stat;

	world_start(&world, MIB);
	put(&world, "lasting", "1");
	put(&world, "lasting", "2");
	put(&world, "another", "3");
	simple_write(&world, WRITE_DELETE, "another", NULL);
	put_with(&world, "mortal", "4", 1000, 0);
	put_with(&world, "longer", "5", 2000, 0);
	cache_census(&world.self.thread, &stat);
	lasting = class_of(&world, &stat, "lasting", &lasting_bytes);
	mortal = class_of(&world, &stat, "mortal", &mortal_bytes);
	ck_assert_ptr_ne(lasting, mortal);
	ck_assert_uint_eq(lasting->segments, 1);
	ck_assert_uint_eq(lasting->used_bytes, 4 * CHUNK_BYTES);
	ck_assert_uint_eq(lasting->objects, 1);
	ck_assert_uint_eq(lasting->live_bytes, lasting_bytes);
	ck_assert_uint_eq(lasting->dead_bytes, 2 * lasting_bytes);
	ck_assert_uint_eq(lasting->expired_bytes, 0);
	ck_assert_uint_eq(mortal->objects, 2);
	ck_assert_uint_eq(mortal->live_bytes, 2 * mortal_bytes);
	world_advance(&world, 1500);
	cache_census(&world.self.thread, &stat);
	ck_assert_uint_eq(mortal->objects, 1);
	ck_assert_uint_eq(mortal->live_bytes, mortal_bytes);
	ck_assert_uint_eq(mortal->expired_bytes, mortal_bytes);
	ck_assert_uint_eq(mortal->dead_bytes, 0);
	for (uint32_t pool = 0; pool < LARDER_STAT_POOLS; pool++)
		for (uint32_t ttl_class = 0; ttl_class < LARDER_STAT_CLASSES; ttl_class++)
			segments += stat.classes[pool][ttl_class].segments;
	ck_assert_uint_eq(segments, stat.segments_data);
	world_stop(&world);
}
END_TEST

START_TEST(test_numbers_of_the_keeper)
{
	struct world world;
	struct arena_header *header;
	struct larder_stat stat;

	world_start(&world, MIB);
	header = world.arena->header;
	store_relaxed(&header->epoch, 11);
	store_relaxed(&header->clients, 12);
	store_relaxed(&header->gets, 13);
	store_relaxed(&header->hits, 14);
	store_relaxed(&header->sets, 15);
	store_relaxed(&header->deletes, 16);
	store_relaxed(&header->expired_segments, 17);
	store_relaxed(&header->evicted_segments, 18);
	store_relaxed(&header->compacted_segments, 19);
	store_relaxed(&header->expired_objects, 20);
	store_relaxed(&header->evicted_objects, 21);
	store_relaxed(&header->moved_objects, 22);
	store_relaxed(&header->evicted_age_ms, 23);
	store_relaxed(&header->index_splits, 24);
	store_relaxed(&header->index_rebuilds, 25);
	store_relaxed(&header->index_merges, 28);
	store_relaxed(&header->displaced_objects, 29);
	store_relaxed(&header->estimate_keys, 26);
	store_relaxed(&header->estimate_samples, 27);
	for (uint32_t i = 0; i < ESTIMATES; i++)
		store_relaxed(&header->estimate_misses[i], 200 + i);
	for (uint32_t age = 0; age < EVICTED_AGES; age++)
		store_relaxed(&header->evicted_ages[age], 100 + age);
	world_advance(&world, 100000);
	cache_census(&world.self.thread, &stat);
	ck_assert_uint_eq(stat.epoch, 11);
	ck_assert_uint_eq(stat.clients, 12);
	ck_assert_uint_eq(stat.gets, 13);
	ck_assert_uint_eq(stat.hits, 14);
	ck_assert_uint_eq(stat.sets, 15);
	ck_assert_uint_eq(stat.deletes, 16);
	ck_assert_uint_eq(stat.expired_segments, 17);
	ck_assert_uint_eq(stat.evicted_segments, 18);
	ck_assert_uint_eq(stat.compacted_segments, 19);
	ck_assert_uint_eq(stat.expired_objects, 20);
	ck_assert_uint_eq(stat.evicted_objects, 21);
	ck_assert_uint_eq(stat.moved_objects, 22);
	ck_assert_uint_eq(stat.evicted_age_ms, 23);
	ck_assert_uint_eq(stat.index_splits, 24);
	ck_assert_uint_eq(stat.index_rebuilds, 25);
	ck_assert_uint_eq(stat.index_merges, 28);
	ck_assert_uint_eq(stat.displaced_objects, 29);
	ck_assert_uint_eq(stat.estimate_keys, 26);
	ck_assert_uint_eq(stat.estimate_samples, 27);
	for (uint32_t i = 0; i < ESTIMATES; i++)
		ck_assert_uint_eq(stat.estimated_misses[i], 200 + i);
	for (uint32_t age = 0; age < EVICTED_AGES; age++)
		ck_assert_uint_eq(stat.evicted_ages[age], 100 + age);
	ck_assert_uint_ge(stat.uptime_ms, 100000);
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("census");

	tcase_add_test(tests, test_fresh_arena);
	tcase_add_test(tests, test_totals_follow_every_change);
	tcase_add_test(tests, test_each_key_counts_once_at_any_stage_of_a_split);
	tcase_add_test(tests, test_segments_by_use);
	tcase_add_test(tests, test_classes);
	tcase_add_test(tests, test_numbers_of_the_keeper);
	return suite_run("census", tests);
}
