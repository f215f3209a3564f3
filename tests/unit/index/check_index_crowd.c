/* SPDX-License-Identifier: MIT */
/* Chains that grow, shrink, are unlinked from and split, by many at the same moment: each home bucket is a new chance. */
#include <sched.h>

#include "index/split.h"
#include "tests/unit/support/objects.h"
#include "tests/unit/support/threads.h"

#define HOMES 40u /* each may need three of the 128 overflow buckets */
#define WRITERS 3
#define OWN 8 /* keys of each writer in each home, at most: together with the doomed ones fewer than a chain holds */
#define OWN_BESIDE_DOOMED 5
#define ROUNDS 60

struct crowd {
	struct world world;
	struct client clients[WRITERS + 1];
	struct key keys[HOMES][WRITERS][OWN];
	uint64_t versions[HOMES][WRITERS][OWN]; /* what is there in the end */
	struct made doomed[HOMES][BUCKET_SLOTS];
	struct key doomed_keys[HOMES][BUCKET_SLOTS];
	atomic_u32 at[WRITERS + 1]; /* home at which each is */
	bool splitting, unlinking;
	uint32_t own;
};

static void meet(struct crowd *crowd, uint32_t number, uint32_t count, uint32_t home)
{
	store_release(&crowd->at[number], home);
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t spins = 0; load_acquire(&crowd->at[i]) < home; spins++)
			if (spins % 256 == 255)
				sched_yield();
}

static void churn(struct crowd *crowd, uint32_t number, uint32_t home)
{
	struct cache_thread *thread = &crowd->clients[number].thread;
	const struct arena *arena = &crowd->clients[number].cache.arena;
	struct random random = { home * 10 + number };
	uint64_t *versions = crowd->versions[home][number];

	for (uint32_t round = 1; round <= ROUNDS; round++) {
		uint32_t i = round <= crowd->own ? round - 1 : random_below(&random, crowd->own);
		const struct key *key = &crowd->keys[home][number][i];

		if (round > crowd->own && random_below(&random, 3) == 0) {
			expect_equal(remove_key(arena, key), versions[i] != 0);
			versions[i] = 0;
		} else {
			expect(put_key(thread, key, round));
			versions[i] = round;
		}
		expect_equal(lookup_version(arena, key), versions[i]);
	}
}

/* The last one splits each home, or takes the objects out that were there first, in the middle of it. */
static void disturb(struct crowd *crowd, uint32_t home)
{
	const struct arena *arena = &crowd->clients[WRITERS].cache.arena;

	for (uint32_t i = 0; crowd->unlinking && i < BUCKET_SLOTS; i++) {
		const struct made *made =
			&crowd->doomed[home][BUCKET_SLOTS - 1 - i]; /* the one that will be moved first */
		struct object_view view;

		expect(object_parse(arena, made->offset, &view));
		index_unlink(arena, &view, made->generation);
		expect_equal(count_key(arena, &crowd->doomed_keys[home][BUCKET_SLOTS - 1 - i]), 0);
	}
	if (crowd->splitting)
		expect(split_bucket(arena, arena->system_segments, home));
}

static void crowd_body(void *context, uint32_t number)
{
	struct crowd *crowd = context;

	for (uint32_t home = 0; home < HOMES; home++) {
		meet(crowd, number, WRITERS + 1, home + 1);
		if (number < WRITERS)
			churn(crowd, number, home);
		else
			disturb(crowd, home);
	}
}

/* Fills the home buckets with objects that will be unlinked. */
static void doom(struct crowd *crowd, uint32_t *next)
{
	for (uint32_t home = 0; home < HOMES; home++) {
		keys_of_home(crowd->world.arena, home, BUCKET_SLOTS, next, crowd->doomed_keys[home]);
		for (uint32_t i = 0; i < BUCKET_SLOTS; i++) {
			const struct key *key = &crowd->doomed_keys[home][i];
			struct index_chain chain;
			struct made made = object_for(&crowd->world.self.thread, key, 1);

			expect(!find_key(crowd->world.arena, key, &chain));
			expect_equal(index_insert(NULL, crowd->world.arena, &chain, made.generation, made.offset),
			             INDEX_DONE);
			crowd->doomed[home][i] = made;
		}
	}
}

static void crowd_run(bool unlinking, bool splitting)
{
	static struct crowd crowd;
	uint32_t next = 0;

	memset(&crowd, 0, sizeof crowd);
	crowd.own = unlinking ? OWN_BESIDE_DOOMED : OWN;
	crowd.unlinking = unlinking;
	crowd.splitting = splitting;
	world_start(&crowd.world, 4 * MIB);
	for (uint32_t i = 0; i <= WRITERS; i++)
		client_start(&crowd.world, &crowd.clients[i]);
	for (uint32_t home = 0; home < HOMES; home++)
		for (uint32_t writer = 0; writer < WRITERS; writer++)
			keys_of_home(crowd.world.arena, home, crowd.own, &next, crowd.keys[home][writer]);
	if (unlinking)
		doom(&crowd, &next);
	if (splitting)
		ck_assert(split_begin(crowd.world.arena, crowd.world.arena->system_segments));
	threads_run(WRITERS + 1, crowd_body, &crowd);
	for (uint32_t home = 0; home < HOMES; home++)
		for (uint32_t writer = 0; writer < WRITERS; writer++)
			for (uint32_t i = 0; i < crowd.own; i++) {
				const struct key *key = &crowd.keys[home][writer][i];

				expect_equal(lookup_version(crowd.world.arena, key), crowd.versions[home][writer][i]);
				expect_equal(count_key(crowd.world.arena, key), crowd.versions[home][writer][i] != 0);
			}
	for (uint32_t home = 0; unlinking && home < HOMES; home++)
		for (uint32_t i = 0; i < BUCKET_SLOTS; i++)
			expect_equal(count_key(crowd.world.arena, &crowd.doomed_keys[home][i]), 0);
	ck_assert_int_eq(cache_verify(&crowd.world.self.thread, NULL, NULL, NULL), 0);
	for (uint32_t i = 0; i <= WRITERS; i++)
		client_stop(&crowd.clients[i]);
	world_stop(&crowd.world);
}

START_TEST(test_chains_are_lengthened_by_many)
{
	crowd_run(false, false);
}
END_TEST

START_TEST(test_chains_are_split_while_they_are_lengthened)
{
	crowd_run(false, true);
}
END_TEST

START_TEST(test_objects_are_unlinked_while_chains_are_lengthened)
{
	crowd_run(true, false);
}
END_TEST

START_TEST(test_objects_are_unlinked_while_chains_are_split)
{
	crowd_run(true, true);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("index crowd");

	tcase_add_loop_test(tests, test_chains_are_lengthened_by_many, 0, 5);
	tcase_add_loop_test(tests, test_chains_are_split_while_they_are_lengthened, 0, 5);
	tcase_add_loop_test(tests, test_objects_are_unlinked_while_chains_are_lengthened, 0, 5);
	tcase_add_loop_test(tests, test_objects_are_unlinked_while_chains_are_split, 0, 5);
	return suite_run("index crowd", tests);
}
