/* SPDX-License-Identifier: MIT */
/* Splits with helpers, writers, readers and walkers at the same time. */
#include <sched.h>

#include "index/split.h"
#include "index/walk.h"
#include "tests/unit/support/objects.h"
#include "tests/unit/support/threads.h"

#define STEADY 3000 /* keys that are there all the time */
#define OWN 300     /* keys of each writer, some of which are there */
#define CROWDED 10  /* keys of each writer in one and the same chain, which has room for all of them */
#define DEPTH 3     /* how often each key is moved on */

enum role { KEEPER, HELPER, WRITER, WRITER_TOO, READER, WALKER, ROLES };

struct crowd {
	struct world world;
	struct client clients[ROLES];
	struct key steady[STEADY];
	struct key own[2][OWN];
	atomic_u32 splitting; /* the segment that is being split */
	atomic_u32 done;
};

static bool done(struct crowd *crowd)
{
	return load_acquire(&crowd->done) != 0;
}

/* Splits every segment, until all have the depth. Split segments stay as they are: nobody waits for their readers here. */
static void keep(struct crowd *crowd)
{
	const struct arena *arena = &crowd->clients[KEEPER].cache.arena;

	for (uint32_t entry = 0; entry < 1u << arena->directory_bits; entry++) {
		uint32_t segment = load_acquire(&arena->directory[entry]);

		while (load_relaxed(&arena->table[segment].depth) < DEPTH) {
			expect(split_begin(arena, segment));
			store_release(&crowd->splitting, segment);
			for (uint32_t home = 0; home < arena->homes; home++) {
				expect(split_bucket(arena, segment, home));
				if (home % 512 == 0)
					sched_yield();
			}
			split_finish(arena, segment);
			segment = load_acquire(&arena->directory[entry]);
		}
	}
	store_release(&crowd->done, 1);
}

static void help(struct crowd *crowd)
{
	const struct arena *arena = &crowd->clients[HELPER].cache.arena;
	struct random random = { 1 };
	uint32_t segment;

	while (!done(crowd))
		if ((segment = load_acquire(&crowd->splitting)) != 0)
			split_bucket(arena, segment, random_below(&random, arena->homes));
}

static void write_own(struct crowd *crowd, enum role role)
{
	struct cache_thread *thread = &crowd->clients[role].thread;
	const struct arena *arena = &crowd->clients[role].cache.arena;
	const struct key *keys = crowd->own[role - WRITER];
	struct random random = { role };
	uint64_t version[OWN] = { 0 };

	for (uint64_t round = 1; !done(crowd); round++) {
		uint32_t i = random_below(&random, random_below(&random, 2) ? CROWDED : OWN);

		/* Memory must last: new objects for a part of the time. */
		if (random_below(&random, 3) == 0 && round < 30000) {
			expect(put_key(thread, &keys[i], round));
			version[i] = round;
		} else if (round < 30000) {
			expect_equal(remove_key(arena, &keys[i]), version[i] != 0);
			version[i] = 0;
		}
		expect_equal(lookup_version(arena, &keys[i]), version[i]);
	}
	for (uint32_t i = 0; i < OWN; i++) {
		expect_equal(lookup_version(arena, &keys[i]), version[i]);
		expect_equal(count_key(arena, &keys[i]), version[i] != 0);
	}
}

static void read_steady(struct crowd *crowd)
{
	const struct arena *arena = &crowd->clients[READER].cache.arena;
	struct random random = { 2 };

	while (!done(crowd))
		for (uint32_t i = 0; i < 100; i++)
			expect_equal(lookup_version(arena, &crowd->steady[random_below(&random, STEADY)]), 1);
}

static uint32_t number_of(const struct object_view *view)
{
	char text[24] = "";

	memcpy(text, view->key + strlen("key-"), view->key_size - strlen("key-"));
	return (uint32_t)strtoul(text, NULL, 10);
}

static void walk(struct crowd *crowd)
{
	const struct arena *arena = &crowd->clients[WALKER].cache.arena;

	while (!done(crowd)) {
		struct index_walk position = { 0 };
		bool seen[STEADY] = { false };
		struct index_chain chain;
		struct object_view view;

		while (index_walk_next(arena, &position, &chain))
			for (uint32_t slot = 0; slot < chain.buckets * BUCKET_SLOTS; slot++)
				if (slot_is_object(chain.words[slot]) &&
				    object_parse(arena, slot_offset(chain.words[slot]), &view) &&
				    number_of(&view) < STEADY)
					seen[number_of(&view)] = true;
		for (uint32_t i = 0; i < STEADY; i++)
			expect(seen[i]);
	}
}

static void crowd_body(void *context, uint32_t number)
{
	struct crowd *crowd = context;

	switch ((enum role)number) {
	case KEEPER:
		keep(crowd);
		break;
	case HELPER:
		help(crowd);
		break;
	case WRITER:
	case WRITER_TOO:
		write_own(crowd, (enum role)number);
		break;
	case READER:
		read_steady(crowd);
		break;
	default:
		walk(crowd);
	}
}

START_TEST(test_splits_in_a_crowd)
{
	static struct crowd crowd;
	struct key together[2 * CROWDED];
	uint32_t next = STEADY;

	world_start(&crowd.world, 8 * MIB);
	for (uint32_t i = 0; i < ROLES; i++)
		client_start(&crowd.world, &crowd.clients[i]);
	for (uint32_t i = 0; i < STEADY; i++) {
		crowd.steady[i] = key_of(crowd.world.arena, i);
		ck_assert(put_key(&crowd.world.self.thread, &crowd.steady[i], 1));
	}
	keys_of_home(crowd.world.arena, 9, 2 * CROWDED, &next, together);
	for (uint32_t writer = 0; writer < 2; writer++) {
		memcpy(crowd.own[writer], &together[writer * CROWDED], CROWDED * sizeof(struct key));
		for (uint32_t i = CROWDED; i < OWN; i++)
			crowd.own[writer][i] = key_of(crowd.world.arena, next++);
	}
	threads_run(ROLES, crowd_body, &crowd);
	for (uint32_t i = 0; i < STEADY; i++) {
		expect_equal(lookup_version(crowd.world.arena, &crowd.steady[i]), 1);
		expect_equal(count_key(crowd.world.arena, &crowd.steady[i]), 1);
	}
	ck_assert_int_eq(cache_verify(&crowd.world.self.thread, NULL, NULL, NULL), 0);
	for (uint32_t i = 0; i < ROLES; i++)
		client_stop(&crowd.clients[i]);
	world_stop(&crowd.world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("split crowd");

	tcase_add_loop_test(tests, test_splits_in_a_crowd, 0, 4);
	return suite_run("split crowd", tests);
}
