/* SPDX-License-Identifier: MIT */
#include "daemon/evacuate.h"

#include "arena/ghost.h"
#include "cache/heat.h"
#include "tests/unit/daemon/house.h"

#define KEYS 200

/* A segment with KEYS keys of a pool, the way a keeper without reclaim has it before it. */
struct removal {
	struct world world;
	struct arena *arena;
	struct evacuator evacuator;
	uint32_t segment;
};

static const char *key_of(uint32_t number)
{
	static char key[24];

	snprintf(key, sizeof key, "removal key %u", number);
	return key;
}

static void removal_start(struct removal *removal)
{
	struct object_view view;

	world_start(&removal->world, MIB);
	removal->arena = removal->world.arena;
	evacuator_init(&removal->evacuator, &removal->world.self.thread);
	for (uint32_t i = 0; i < KEYS; i++)
		put(&removal->world, key_of(i), key_of(i));
	look_up(&removal->world, key_of(0), &view);
	removal->segment = segment_of(removal->arena, view.offset);
}

static void removal_stop(struct removal *removal)
{
	world_stop(&removal->world);
}

static void condemn(struct removal *removal)
{
	ck_assert(segment_change(removal->arena, removal->segment, SEGMENT_OPEN, SEGMENT_CONDEMNED));
}

static int peek(struct removal *removal, const char *key)
{
	return cache_get(&removal->world.self.thread, key, strlen(key), NULL, 0, NULL);
}

/* Uses a key so often, each time as if by a thread that does not remember having done so. */
static void use(struct removal *removal, const char *key, uint32_t times)
{
	struct cache_thread *thread = &removal->world.self.thread;

	while (times-- > 0) {
		memset(thread->recent, 0, sizeof thread->recent);
		ck_assert_int_eq(peek(removal, key), LARDER_TRUNCATED);
		heat_flush(thread);
	}
}

static uint64_t word_of(struct removal *removal, const char *key)
{
	struct index_chain chain;

	ck_assert(index_find(removal->arena, hash_key(removal->arena->secret, key, strlen(key)), key, strlen(key),
	                     &chain));
	ck_assert_int_ge(chain.found, 0);
	return chain.words[chain.found];
}

static uint32_t segment_with(struct removal *removal, const char *key)
{
	return segment_of(removal->arena, slot_offset(word_of(removal, key)));
}

static uint32_t referred_to(struct removal *removal, uint32_t segment)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < KEYS; i++) {
		struct object_view view;

		if (peek(removal, key_of(i)) == LARDER_MISS)
			continue;
		look_up(&removal->world, key_of(i), &view);
		count += segment_of(removal->arena, view.offset) == segment;
	}
	return count;
}

/* ---- heat ---------------------------------------------------------------------------------------------------------- */

START_TEST(test_heat_grows_with_use_up_to_its_highest)
{
	struct removal removal;

	removal_start(&removal);
	ck_assert_uint_eq(slot_heat(word_of(&removal, key_of(1))), 0);
	for (uint32_t times = 1; times < 6; times++) {
		use(&removal, key_of(1), 1);
		ck_assert_uint_eq(slot_heat(word_of(&removal, key_of(1))), times < HEAT_MAX ? times : HEAT_MAX);
	}
	ck_assert_uint_eq(slot_heat(word_of(&removal, key_of(2))), 0);
	expect_sound(&removal.world);
	removal_stop(&removal);
}
END_TEST

START_TEST(test_burst_of_uses_counts_once)
{
	struct removal removal;

	removal_start(&removal);
	for (int i = 0; i < 100; i++)
		peek(&removal, key_of(1));
	heat_flush(&removal.world.self.thread);
	ck_assert_uint_eq(slot_heat(word_of(&removal, key_of(1))), 1);
	removal_stop(&removal);
}
END_TEST

START_TEST(test_writing_again_is_a_use_and_keeps_the_pool)
{
	struct removal removal;

	removal_start(&removal);
	put(&removal.world, key_of(1), "again");
	ck_assert_uint_eq(slot_heat(word_of(&removal, key_of(1))), 1);
	ck_assert_int_eq(segment_load(removal.arena, segment_with(&removal, key_of(1))).pool, POOL_PROBATION);
	removal_stop(&removal);
}
END_TEST

START_TEST(test_heat_of_a_bucket_that_is_being_split_stays)
{
	struct removal removal;
	struct index_chain chain;
	atomic_u64 *slot;
	uint64_t frozen;

	removal_start(&removal);
	ck_assert(index_find(removal.arena, hash_key(removal.arena->secret, key_of(1), strlen(key_of(1))), key_of(1),
	                     strlen(key_of(1)), &chain));
	slot = index_slot_at(&chain, (uint32_t)chain.found);
	frozen = load_relaxed(slot) | SLOT_FROZEN;
	store_relaxed(slot, frozen);
	use(&removal, key_of(1), 3);
	ck_assert_uint_eq(load_relaxed(slot), frozen);
	removal_stop(&removal);
}
END_TEST

/* ---- eviction ------------------------------------------------------------------------------------------------------ */

START_TEST(test_the_ages_of_what_is_evicted)
{
	struct removal removal;
	struct arena_header *header;

	removal_start(&removal);
	header = removal.arena->header;
	world_advance(&removal.world, 100000); /* between 2^16 and 2^17 ms */
	condemn(&removal);
	evacuate_evicted(&removal.evacuator, &policy_fifo, removal.segment, true);
	ck_assert_uint_eq(load_relaxed(&header->evicted_objects), KEYS);
	ck_assert_uint_eq(load_relaxed(&header->evicted_ages[17]), KEYS);
	ck_assert_uint_ge(load_relaxed(&header->evicted_age_ms), KEYS * UINT64_C(100000));
	ck_assert_uint_le(load_relaxed(&header->evicted_age_ms), KEYS * UINT64_C(130000));
	removal_stop(&removal);
}
END_TEST

START_TEST(test_what_was_used_goes_to_main_and_the_rest_becomes_ghosts)
{
	struct removal removal;

	removal_start(&removal);
	ghost_set_window(removal.arena, 1000000);
	use(&removal, key_of(7), 1);
	condemn(&removal);
	evacuate_evicted(&removal.evacuator, &policy_s3fifo, removal.segment, true);
	ck_assert_uint_eq(referred_to(&removal, removal.segment), 0);
	expect_value(&removal.world, key_of(7), key_of(7));
	ck_assert_int_eq(segment_load(removal.arena, segment_with(&removal, key_of(7))).pool, POOL_MAIN);
	ck_assert_int_eq(peek(&removal, key_of(8)), LARDER_MISS);
	ck_assert_uint_eq(load_relaxed(&removal.arena->header->evicted_objects), KEYS - 1);
	ck_assert_uint_eq(load_relaxed(&removal.arena->header->moved_objects), 1);
	/* what comes back soon is wanted */
	put(&removal.world, key_of(8), "back again");
	ck_assert_int_eq(segment_load(removal.arena, segment_with(&removal, key_of(8))).pool, POOL_MAIN);
	put(&removal.world, "never seen", "before");
	ck_assert_int_eq(segment_load(removal.arena, segment_with(&removal, "never seen")).pool, POOL_PROBATION);
	expect_sound(&removal.world);
	removal_stop(&removal);
}
END_TEST

START_TEST(test_what_was_used_in_main_goes_round_once_more_for_each_use)
{
	struct removal removal;

	removal_start(&removal);
	use(&removal, key_of(7), 2);
	condemn(&removal);
	evacuate_evicted(&removal.evacuator, &policy_s3fifo, removal.segment, true);
	ck_assert_uint_eq(slot_heat(word_of(&removal, key_of(7))), 0);
	use(&removal, key_of(7), 2);
	for (uint32_t round = 2; round > 0; round--) {
		removal.segment = segment_with(&removal, key_of(7));
		condemn(&removal);
		evacuate_evicted(&removal.evacuator, &policy_s3fifo, removal.segment, true);
		ck_assert_uint_ne(segment_with(&removal, key_of(7)), removal.segment);
		ck_assert_uint_eq(slot_heat(word_of(&removal, key_of(7))), round - 1);
	}
	removal.segment = segment_with(&removal, key_of(7));
	condemn(&removal);
	evacuate_evicted(&removal.evacuator, &policy_s3fifo, removal.segment, true);
	ck_assert_int_eq(peek(&removal, key_of(7)), LARDER_MISS);
	removal_stop(&removal);
}
END_TEST

START_TEST(test_fifo_keeps_nothing)
{
	struct removal removal;

	removal_start(&removal);
	use(&removal, key_of(7), 3);
	condemn(&removal);
	evacuate_evicted(&removal.evacuator, &policy_fifo, removal.segment, true);
	for (uint32_t i = 0; i < KEYS; i++)
		ck_assert_int_eq(peek(&removal, key_of(i)), LARDER_MISS);
	removal_stop(&removal);
}
END_TEST

/* ---- compaction ---------------------------------------------------------------------------------------------------- */

START_TEST(test_compaction_moves_all_that_lives_with_all_that_belongs_to_it)
{
	struct removal removal;
	struct write_request incr = { .operation = WRITE_INCR,
		                      .key = "counter",
		                      .key_size = 7,
		                      .initial = 41,
		                      .delta = 1,
		                      .incr_flags = LARDER_INCR_CREATE };
	struct larder_item item, moved;

	removal_start(&removal);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(write_one(&removal.world, &incr, NULL), 0);
	use(&removal, key_of(3), 2);
	ck_assert_int_eq(cache_get(&removal.world.self.thread, key_of(3), strlen(key_of(3)), NULL, 0, &item),
	                 LARDER_TRUNCATED);
	for (uint32_t i = 0; i < KEYS; i += 2)
		simple_write(&removal.world, WRITE_DELETE, key_of(i), NULL);
	ck_assert_uint_gt(load_relaxed(&removal.arena->table[removal.segment].dead_units) * OBJECT_UNIT, KEYS / 2 * 32);
	condemn(&removal);
	ck_assert(evacuate_compacted(&removal.evacuator, removal.segment));
	ck_assert_uint_eq(referred_to(&removal, removal.segment), 0);
	for (uint32_t i = 1; i < KEYS; i += 2)
		expect_value(&removal.world, key_of(i), key_of(i));
	ck_assert_int_eq(cache_get(&removal.world.self.thread, key_of(3), strlen(key_of(3)), NULL, 0, &moved),
	                 LARDER_TRUNCATED);
	ck_assert_uint_eq(moved.version, item.version);
	ck_assert_uint_ge(slot_heat(word_of(&removal, key_of(3))), 2);
	ck_assert_int_eq(segment_load(removal.arena, segment_with(&removal, key_of(3))).pool, POOL_PROBATION);
	expect_value(&removal.world, "counter", "42");
	ck_assert_int_eq(write_one(&removal.world, &incr, NULL), 0);
	expect_value(&removal.world, "counter", "43");
	ck_assert_uint_eq(load_relaxed(&removal.arena->header->evicted_objects), 0);
	expect_sound(&removal.world);
	removal_stop(&removal);
}
END_TEST

START_TEST(test_expired_objects_are_not_moved)
{
	struct removal removal;

	removal_start(&removal);
	put_with(&removal.world, "short", "life", 1000, 0);
	put_with(&removal.world, "longer", "life", 1900, 0);
	removal.segment = segment_with(&removal, "short");
	ck_assert_uint_eq(segment_with(&removal, "longer"), removal.segment);
	world_advance(&removal.world, 1500);
	condemn(&removal);
	ck_assert(evacuate_compacted(&removal.evacuator, removal.segment));
	expect_value(&removal.world, "longer", "life");
	ck_assert_int_eq(peek(&removal, "short"), LARDER_MISS);
	ck_assert_uint_eq(load_relaxed(&removal.arena->header->moved_objects), 1);
	expect_sound(&removal.world);
	removal_stop(&removal);
}
END_TEST

START_TEST(test_without_room_compaction_gives_up_and_loses_nothing)
{
	struct removal removal;
	uint32_t segment;

	removal_start(&removal);
	while (segment_take_reserve(removal.arena, &segment))
		;
	condemn(&removal);
	ck_assert(!evacuate_compacted(&removal.evacuator, removal.segment));
	ck_assert(segment_change(removal.arena, removal.segment, SEGMENT_CONDEMNED, SEGMENT_OPEN));
	for (uint32_t i = 0; i < KEYS; i++)
		expect_value(&removal.world, key_of(i), key_of(i));
	expect_sound(&removal.world);
	removal_stop(&removal);
}
END_TEST

START_TEST(test_without_room_eviction_drops_what_it_would_keep)
{
	struct removal removal;
	uint32_t segment;

	removal_start(&removal);
	while (segment_take_reserve(removal.arena, &segment))
		;
	use(&removal, key_of(7), 3);
	condemn(&removal);
	evacuate_evicted(&removal.evacuator, &policy_s3fifo, removal.segment, true);
	ck_assert_uint_eq(referred_to(&removal, removal.segment), 0);
	ck_assert_int_eq(peek(&removal, key_of(7)), LARDER_MISS);
	removal_stop(&removal);
}
END_TEST

/* ---- read-only clients --------------------------------------------------------------------------------------------- */

START_TEST(test_samples_of_those_who_cannot_write_raise_heat)
{
	struct removal removal;
	struct cache *cache = &removal.world.self.cache;
	struct heat_seen seen = { 0 };

	removal_start(&removal);
	cache->arena.writable = false;
	use(&removal, key_of(5), 1);
	ck_assert_uint_eq(slot_heat(word_of(&removal, key_of(5))), 0);
	use(&removal, key_of(5), 1);
	store_relaxed(&cache->control.page->samples[2], UINT64_MAX); /* no such object */
	store_relaxed(&cache->control.page->samples[3], 0);
	store_relaxed(&cache->control.page->sample_count, 4);
	heat_collect(&removal.world.self.thread, &cache->control, &seen);
	ck_assert_uint_eq(slot_heat(word_of(&removal, key_of(5))), 2);
	heat_collect(&removal.world.self.thread, &cache->control, &seen);
	ck_assert_uint_eq(slot_heat(word_of(&removal, key_of(5))), 2);
	/* far more than there is room for: only the last ones are looked at */
	store_relaxed(&cache->control.page->sample_count, UINT64_C(1) << 40);
	heat_collect(&removal.world.self.thread, &cache->control, &seen);
	ck_assert_uint_eq(seen.samples, UINT64_C(1) << 40);
	expect_sound(&removal.world);
	removal_stop(&removal);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("evacuate");

	tcase_add_test(tests, test_heat_grows_with_use_up_to_its_highest);
	tcase_add_test(tests, test_burst_of_uses_counts_once);
	tcase_add_test(tests, test_writing_again_is_a_use_and_keeps_the_pool);
	tcase_add_test(tests, test_heat_of_a_bucket_that_is_being_split_stays);
	tcase_add_test(tests, test_the_ages_of_what_is_evicted);
	tcase_add_test(tests, test_what_was_used_goes_to_main_and_the_rest_becomes_ghosts);
	tcase_add_test(tests, test_what_was_used_in_main_goes_round_once_more_for_each_use);
	tcase_add_test(tests, test_fifo_keeps_nothing);
	tcase_add_test(tests, test_compaction_moves_all_that_lives_with_all_that_belongs_to_it);
	tcase_add_test(tests, test_expired_objects_are_not_moved);
	tcase_add_test(tests, test_without_room_compaction_gives_up_and_loses_nothing);
	tcase_add_test(tests, test_without_room_eviction_drops_what_it_would_keep);
	tcase_add_test(tests, test_samples_of_those_who_cannot_write_raise_heat);
	return suite_run("evacuate", tests);
}
