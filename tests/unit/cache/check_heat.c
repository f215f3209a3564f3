/* SPDX-License-Identifier: MIT */
#include "cache/heat.h"

#include <stdio.h>

#include "tests/unit/support/writes.h"

static atomic_u64 *slot_of(const struct world *world, const char *key)
{
	static struct index_chain chain;

	expect(index_find(world->arena, hash_key(world->arena->secret, key, strlen(key)), key, strlen(key), &chain));
	expect(chain.found >= 0);
	return index_slot_at(&chain, (uint32_t)chain.found);
}

static uint32_t heat_of(const struct world *world, const char *key)
{
	return slot_heat(load_relaxed(slot_of(world, key)));
}

static void use(struct world *world, const char *key)
{
	ck_assert_int_eq(cache_get(&world->self.thread, key, strlen(key), NULL, 0, NULL), LARDER_TRUNCATED);
}

static void use_and_flush(struct world *world, const char *key)
{
	use(world, key);
	heat_flush(&world->self.thread);
}

static const char *key_of(uint32_t number)
{
	static char key[20];

	snprintf(key, sizeof key, "key %u", number);
	return key;
}

/* Uses so many keys, all different. */
static void use_keys(struct world *world, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		put(world, key_of(i), "value");
	for (uint32_t i = 0; i < count; i++)
		use(world, key_of(i));
}

static uint32_t heat_of_keys(const struct world *world, uint32_t count)
{
	uint32_t heat = 0;

	for (uint32_t i = 0; i < count; i++)
		heat += heat_of(world, key_of(i));
	return heat;
}

static uint32_t notes_of(const struct world *world)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < USES; i++)
		count += load_relaxed(&world->self.thread.reader.line->uses[i]) != 0;
	return count;
}

START_TEST(test_burst_counts_once)
{
	struct world world;

	world_start(&world, MIB);
	put(&world, "key", "value");
	put(&world, "other", "value");
	ck_assert_uint_eq(heat_of(&world, "key"), 0);
	for (int i = 0; i < 10; i++)
		use_and_flush(&world, "key");
	ck_assert_uint_eq(heat_of(&world, "key"), 1);
	ck_assert_uint_eq(heat_of(&world, "other"), 0);
	memset(world.self.thread.recent, 0, sizeof world.self.thread.recent); /* much later */
	use_and_flush(&world, "key");
	ck_assert_uint_eq(heat_of(&world, "key"), 2);
	world_stop(&world);
}
END_TEST

START_TEST(test_heat_has_a_limit)
{
	struct world world;

	world_start(&world, MIB);
	put(&world, "key", "value");
	for (uint32_t i = 0; i < 2 * HEAT_MAX; i++) {
		memset(world.self.thread.recent, 0, sizeof world.self.thread.recent);
		use_and_flush(&world, "key");
		ck_assert_uint_eq(heat_of(&world, "key"), i < HEAT_MAX ? i + 1 : HEAT_MAX);
	}
	world_stop(&world);
}
END_TEST

/* A segment that was used again has another generation; a thread that remembers what was there has not used what is there now. */
START_TEST(test_new_object_in_old_memory)
{
	struct world world;
	atomic_u64 *slot, *state;
	uint64_t word;

	world_start(&world, MIB);
	put(&world, "key", "value");
	use_and_flush(&world, "key");
	slot = slot_of(&world, "key");
	word = load_relaxed(slot) & ~SLOT_HEAT_MASK;
	store_relaxed(slot, word);
	use_and_flush(&world, "key");
	ck_assert_uint_eq(heat_of(&world, "key"), 0); /* the same object */
	state = &world.arena->table[segment_of(world.arena, slot_offset(word))].state;
	store_relaxed(state, load_relaxed(state) + 1);
	store_relaxed(slot, word + (UINT64_C(1) << SLOT_GENERATION_SHIFT));
	use_and_flush(&world, "key");
	ck_assert_uint_eq(heat_of(&world, "key"), 1);
	world_stop(&world);
}
END_TEST

START_TEST(test_notes_are_dealt_with_together)
{
	struct world world;

	world_start(&world, MIB);
	use_keys(&world, USES - 1);
	ck_assert_uint_eq(notes_of(&world), USES - 1);
	ck_assert_uint_eq(heat_of_keys(&world, USES - 1), 0);
	put(&world, "last", "value");
	use(&world, "last");
	ck_assert_uint_eq(notes_of(&world), 0);
	ck_assert_uint_eq(heat_of_keys(&world, USES - 1), USES - 1);
	ck_assert_uint_eq(heat_of(&world, "last"), 1);
	world_stop(&world);
}
END_TEST

START_TEST(test_thread_that_ends_leaves_no_note)
{
	struct world world;

	world_start(&world, MIB);
	use_keys(&world, 3);
	cache_thread_stop(&world.self.thread);
	ck_assert_uint_eq(heat_of_keys(&world, 3), 3);
	ck_assert_int_eq(cache_thread_start(&world.self.cache, &world.self.thread), 0);
	ck_assert_uint_eq(notes_of(&world), 0);
	world_stop(&world);
}
END_TEST

/* What the keeper took the thread does not count again, and the other way round. */
START_TEST(test_keeper_takes_notes)
{
	struct world world;
	struct cache_thread keeper;
	struct heat_seen seen = { 0 };

	world_start(&world, MIB);
	ck_assert_int_eq(cache_thread_start(&world.self.cache, &keeper), 0);
	use_keys(&world, 3);
	heat_collect(&keeper, &world.self.cache.control, &seen);
	ck_assert_uint_eq(heat_of_keys(&world, 3), 3);
	ck_assert_uint_eq(notes_of(&world), 0);
	heat_flush(&world.self.thread);
	heat_collect(&keeper, &world.self.cache.control, &seen);
	ck_assert_uint_eq(heat_of_keys(&world, 3), 3);
	cache_thread_stop(&keeper);
	world_stop(&world);
}
END_TEST

/* Of an object that has been replaced since, or that never was. */
START_TEST(test_note_of_nothing)
{
	struct world world;
	struct cache_thread keeper;
	struct thread_line *line;
	struct heat_seen seen = { 0 };
	uint64_t word;

	world_start(&world, MIB);
	ck_assert_int_eq(cache_thread_start(&world.self.cache, &keeper), 0);
	line = world.self.thread.reader.line;
	put(&world, "key", "value");
	use(&world, "key");
	word = load_relaxed(&line->uses[0]);
	put(&world, "key", "another");
	heat_flush(&world.self.thread);
	ck_assert_uint_eq(heat_of(&world, "key"), 1); /* of the write alone */
	store_relaxed(&line->uses[0], UINT64_MAX);
	store_relaxed(&line->uses[1], 1);
	store_relaxed(&line->uses[2], word | SLOT_OFFSET_MASK);
	store_relaxed(&line->uses[3], word + 1);
	store_relaxed(&line->uses[4], SLOT_OBJECT);
	store_relaxed(&line->uses[USES - 1], word);
	heat_collect(&keeper, &world.self.cache.control, &seen);
	ck_assert_uint_eq(notes_of(&world), 0);
	ck_assert_uint_eq(heat_of(&world, "key"), 1);
	expect_sound(&world);
	cache_thread_stop(&keeper);
	world_stop(&world);
}
END_TEST

/* A client may have it look at no more than so many at once, and cannot keep it from the lines that come later. */
START_TEST(test_keeper_takes_some_notes_at_a_time)
{
	struct world world;
	struct cache_thread keeper;
	struct heat_seen seen = { 0 };
	struct control_page *page;

	world_start(&world, MIB);
	ck_assert_int_eq(cache_thread_start(&world.self.cache, &keeper), 0);
	page = world.self.cache.control.page;
	store_relaxed(&page->thread_high, UINT64_MAX);
	for (uint32_t round = 0; round < THREADS_MAX * USES / SAMPLES; round++) {
		uint32_t left = 0;

		for (uint32_t j = 0; j < USES; j++)
			store_relaxed(&page->threads[0].uses[j], SLOT_OBJECT);
		for (uint32_t i = 1; round == 0 && i < THREADS_MAX; i++)
			for (uint32_t j = 0; j < USES; j++)
				store_relaxed(&page->threads[i].uses[j], SLOT_OBJECT);
		heat_collect(&keeper, &world.self.cache.control, &seen);
		for (uint32_t i = 0; i < THREADS_MAX; i++)
			for (uint32_t j = 0; j < USES; j++)
				left += i > 0 && load_relaxed(&page->threads[i].uses[j]) != 0;
		ck_assert_uint_eq(left, THREADS_MAX * USES - (round + 1) * SAMPLES);
	}
	store_relaxed(&page->thread_high, 2);
	heat_collect(&keeper, &world.self.cache.control, &seen); /* fewer lines than there were */
	ck_assert_uint_eq(notes_of(&world), 0);
	cache_thread_stop(&keeper);
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("heat");

	tcase_add_test(tests, test_burst_counts_once);
	tcase_add_test(tests, test_heat_has_a_limit);
	tcase_add_test(tests, test_new_object_in_old_memory);
	tcase_add_test(tests, test_notes_are_dealt_with_together);
	tcase_add_test(tests, test_thread_that_ends_leaves_no_note);
	tcase_add_test(tests, test_keeper_takes_notes);
	tcase_add_test(tests, test_note_of_nothing);
	tcase_add_test(tests, test_keeper_takes_some_notes_at_a_time);
	return suite_run("heat", tests);
}
