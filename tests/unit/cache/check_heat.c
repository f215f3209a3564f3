/* SPDX-License-Identifier: MIT */
#include "cache/heat.h"

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

START_TEST(test_burst_counts_once)
{
	struct world world;

	world_start(&world, MIB);
	put(&world, "key", "value");
	put(&world, "other", "value");
	ck_assert_uint_eq(heat_of(&world, "key"), 0);
	for (int i = 0; i < 10; i++)
		use(&world, "key");
	ck_assert_uint_eq(heat_of(&world, "key"), 1);
	ck_assert_uint_eq(heat_of(&world, "other"), 0);
	memset(world.self.thread.recent, 0, sizeof world.self.thread.recent); /* much later */
	use(&world, "key");
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
		use(&world, "key");
		ck_assert_uint_eq(heat_of(&world, "key"), i < HEAT_MAX ? i + 1 : HEAT_MAX);
	}
	world_stop(&world);
}
END_TEST

/* A segment that was used again has another generation; a thread that remembers what was there has not used what is there now. */
START_TEST(test_new_object_in_old_memory)
{
	struct world world;
	atomic_u64 *slot;
	uint64_t word;

	world_start(&world, MIB);
	put(&world, "key", "value");
	use(&world, "key");
	slot = slot_of(&world, "key");
	word = load_relaxed(slot) & ~SLOT_HEAT_MASK;
	store_relaxed(slot, word);
	use(&world, "key");
	ck_assert_uint_eq(heat_of(&world, "key"), 0); /* the same object */
	store_relaxed(slot, word + (UINT64_C(1) << SLOT_GENERATION_SHIFT));
	use(&world, "key");
	ck_assert_uint_eq(heat_of(&world, "key"), 1);
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("heat");

	tcase_add_test(tests, test_burst_counts_once);
	tcase_add_test(tests, test_heat_has_a_limit);
	tcase_add_test(tests, test_new_object_in_old_memory);
	return suite_run("heat", tests);
}
