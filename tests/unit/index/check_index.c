/* SPDX-License-Identifier: MIT */
#include "index/index.h"

#include "tests/unit/support/objects.h"
#include "tests/unit/support/threads.h"

#define CHAIN_KEYS (BUCKET_SLOTS + (CHAIN_BUCKETS - 1) * (BUCKET_SLOTS - 1)) /* a chain of full length holds */

static uint32_t first_segment(const struct world *world)
{
	return world->arena->system_segments;
}

static uint32_t overflow_used(const struct world *world)
{
	return load_relaxed(&world->arena->table[first_segment(world)].overflow_used);
}

/* ---- one key ------------------------------------------------------------------------------------------------------- */

START_TEST(test_life_of_a_key)
{
	struct world world;
	struct key key, other;
	struct index_chain chain;

	world_start(&world, MIB);
	key = key_of(world.arena, 1);
	other = key_of(world.arena, 2);
	ck_assert(!find_key(world.arena, &key, &chain));
	ck_assert(!remove_key(world.arena, &key));
	ck_assert(put_key(&world.self.thread, &key, 10));
	ck_assert_uint_eq(lookup_version(world.arena, &key), 10);
	ck_assert_uint_eq(lookup_version(world.arena, &other), 0);
	ck_assert(put_key(&world.self.thread, &key, 20));
	ck_assert_uint_eq(lookup_version(world.arena, &key), 20);
	ck_assert_uint_eq(count_key(world.arena, &key), 1);
	ck_assert(find_key(world.arena, &key, &chain));
	ck_assert_uint_eq(chain.object.version, 20);
	ck_assert(remove_key(world.arena, &key));
	ck_assert_uint_eq(lookup_version(world.arena, &key), 0);
	ck_assert(put_key(&world.self.thread, &key, 30));
	ck_assert_uint_eq(lookup_version(world.arena, &key), 30);
	world_stop(&world);
}
END_TEST

/* Whole keys decide, not tags: here all hashes are the same. */
START_TEST(test_keys_of_one_hash)
{
	struct world world;
	struct key keys[20];

	world_start(&world, MIB);
	for (uint32_t i = 0; i < 20; i++) {
		struct index_chain chain;
		struct made made;

		keys[i] = key_of(world.arena, i);
		keys[i].hash = UINT64_C(0x123456789abcdef0);
		made = object_for(&world.self.thread, &keys[i], i + 1);
		do
			ck_assert(!find_key(world.arena, &keys[i], &chain));
		while (index_insert(NULL, world.arena, &chain, made.generation, made.offset) != INDEX_DONE);
	}
	for (uint32_t i = 0; i < 20; i++)
		ck_assert_uint_eq(lookup_version(world.arena, &keys[i]), i + 1);
	for (uint32_t i = 0; i < 20; i += 2)
		ck_assert(remove_key(world.arena, &keys[i]));
	for (uint32_t i = 0; i < 20; i++)
		ck_assert_uint_eq(lookup_version(world.arena, &keys[i]), i % 2 ? i + 1 : 0);
	world_stop(&world);
}
END_TEST

/* ---- changes that come too late ------------------------------------------------------------------------------------- */

START_TEST(test_replace_needs_the_object_that_was_found)
{
	struct world world;
	struct key key;
	struct index_chain stale;
	struct made made;

	world_start(&world, MIB);
	key = key_of(world.arena, 1);
	put_key(&world.self.thread, &key, 1);
	ck_assert(find_key(world.arena, &key, &stale));
	made = object_for(&world.self.thread, &key, 99);
	put_key(&world.self.thread, &key, 2);
	ck_assert_int_eq(index_replace(&stale, made.generation, made.offset, 0), INDEX_AGAIN);
	ck_assert_int_eq(index_remove(&stale), INDEX_AGAIN);
	ck_assert_uint_eq(lookup_version(world.arena, &key), 2);
	remove_key(world.arena, &key);
	ck_assert_int_eq(index_replace(&stale, made.generation, made.offset, 0), INDEX_AGAIN);
	ck_assert_int_eq(index_remove(&stale), INDEX_AGAIN);
	ck_assert_uint_eq(lookup_version(world.arena, &key), 0);
	world_stop(&world);
}
END_TEST

START_TEST(test_insert_needs_a_chain_without_newcomers)
{
	struct world world;
	struct key keys[2];
	struct index_chain stale;
	struct made made;
	uint32_t next = 0;

	world_start(&world, MIB);
	keys_of_home(world.arena, 5, 2, &next, keys);
	made = object_for(&world.self.thread, &keys[0], 99);

	/* the same key came */
	ck_assert(!find_key(world.arena, &keys[0], &stale));
	put_key(&world.self.thread, &keys[0], 1);
	ck_assert_int_eq(index_insert(NULL, world.arena, &stale, made.generation, made.offset), INDEX_AGAIN);
	/* and went again */
	remove_key(world.arena, &keys[0]);
	ck_assert_int_eq(index_insert(NULL, world.arena, &stale, made.generation, made.offset), INDEX_AGAIN);
	ck_assert_uint_eq(lookup_version(world.arena, &keys[0]), 0);
	/* another key of the chain came: nobody can tell which it was */
	ck_assert(!find_key(world.arena, &keys[0], &stale));
	put_key(&world.self.thread, &keys[1], 1);
	ck_assert_int_eq(index_insert(NULL, world.arena, &stale, made.generation, made.offset), INDEX_AGAIN);
	/* one that only goes leaves the key as absent as it was */
	ck_assert(!find_key(world.arena, &keys[0], &stale));
	remove_key(world.arena, &keys[1]);
	ck_assert_int_eq(index_insert(NULL, world.arena, &stale, made.generation, made.offset), INDEX_DONE);
	ck_assert_uint_eq(lookup_version(world.arena, &keys[0]), 99);
	ck_assert_uint_eq(count_key(world.arena, &keys[0]), 1);
	world_stop(&world);
}
END_TEST

/* ---- long chains ---------------------------------------------------------------------------------------------------- */

START_TEST(test_chain_grows_to_its_full_length)
{
	struct world world;
	struct key keys[CHAIN_KEYS + 1];
	struct index_chain chain;
	struct made made;
	uint32_t next = 0;

	world_start(&world, MIB);
	keys_of_home(world.arena, 77, CHAIN_KEYS + 1, &next, keys);
	for (uint32_t i = 0; i < CHAIN_KEYS; i++) {
		uint32_t buckets = i < BUCKET_SLOTS ? 1 : (i - BUCKET_SLOTS) / (BUCKET_SLOTS - 1) + 2;

		if (i >= BUCKET_SLOTS && (i - BUCKET_SLOTS) % (BUCKET_SLOTS - 1) == 0) {
			made = object_for(&world.self.thread, &keys[i], 1);
			find_key(world.arena, &keys[i], &chain);
			ck_assert_int_eq(index_insert(NULL, world.arena, &chain, made.generation, made.offset),
			                 INDEX_LONGER);
			ck_assert_uint_eq(lookup_version(world.arena, &keys[i]), 0);
		}
		ck_assert(put_key(&world.self.thread, &keys[i], i + 1));
		find_key(world.arena, &keys[i], &chain);
		ck_assert_uint_eq(chain.buckets, buckets);
		for (uint32_t slot = BUCKET_SLOTS; slot < chain.buckets * BUCKET_SLOTS; slot++)
			ck_assert_uint_ne(chain.words[slot], 0); /* never used is nothing that is linked */
		ck_assert_uint_eq(overflow_used(&world), buckets - 1);
		for (uint32_t k = 0; k <= i; k++) {
			ck_assert_uint_eq(lookup_version(world.arena, &keys[k]), k + 1);
			ck_assert_uint_eq(count_key(world.arena, &keys[k]), 1);
		}
	}
	ck_assert(!put_key(&world.self.thread, &keys[CHAIN_KEYS], 1));
	ck_assert(put_key(&world.self.thread, &keys[3], 1000)); /* replacing needs no room */
	/* what leaves makes room, wherever it was */
	for (uint32_t i = 0; i < CHAIN_KEYS; i++) {
		ck_assert(remove_key(world.arena, &keys[i]));
		ck_assert(put_key(&world.self.thread, &keys[CHAIN_KEYS], 5));
		ck_assert(!put_key(&world.self.thread, &keys[i], 6));
		ck_assert(remove_key(world.arena, &keys[CHAIN_KEYS]));
		ck_assert(put_key(&world.self.thread, &keys[i], 7));
	}
	ck_assert_uint_eq(overflow_used(&world), CHAIN_BUCKETS - 1);
	world_stop(&world);
}
END_TEST

START_TEST(test_only_a_linked_bucket_is_guessed)
{
	struct world world;
	struct key keys[BUCKET_SLOTS + 1];
	uint32_t next = 0;
	uint64_t guess, link;

	world_start(&world, MIB);
	keys_of_home(world.arena, 3, BUCKET_SLOTS + 1, &next, keys);
	for (uint32_t i = 0; i < BUCKET_SLOTS; i++)
		ck_assert(put_key(&world.self.thread, &keys[i], i + 1));
	ck_assert_ptr_nonnull(index_claim_overflow(world.arena, first_segment(&world), 3, 1, &link));
	ck_assert_ptr_null(index_guessed_bucket(world.arena, keys[0].hash, link));
	ck_assert(put_key(&world.self.thread, &keys[BUCKET_SLOTS], BUCKET_SLOTS + 1));
	guess = index_guess(world.arena, keys[BUCKET_SLOTS].hash);
	ck_assert(guess == link || slot_is_object(guess));
	ck_assert_ptr_eq(index_guessed_bucket(world.arena, keys[0].hash, link),
	                 index_linked(world.arena, first_segment(&world), link));
	world_stop(&world);
}
END_TEST

START_TEST(test_displacing_takes_one_other_key)
{
	struct world world;
	struct key keys[CHAIN_KEYS + 1];
	struct index_chain chain;
	uint32_t next = 0, left = 0;

	world_start(&world, MIB);
	keys_of_home(world.arena, 895, CHAIN_KEYS + 1, &next, keys);
	for (uint32_t i = 0; i < CHAIN_KEYS; i++)
		ck_assert(put_key(&world.self.thread, &keys[i], i + 1));
	find_key(world.arena, &keys[CHAIN_KEYS], &chain);
	index_displace(world.arena, &chain);
	ck_assert_uint_eq(load_relaxed(&world.arena->header->displaced_objects), 1);
	for (uint32_t i = 0; i < CHAIN_KEYS; i++)
		left += lookup_version(world.arena, &keys[i]) == i + 1;
	ck_assert_uint_eq(left, CHAIN_KEYS - 1);
	ck_assert(put_key(&world.self.thread, &keys[CHAIN_KEYS], 1));
	world_stop(&world);
}
END_TEST

START_TEST(test_overflow_bucket_is_the_same_for_all_who_ask)
{
	struct world world;
	struct bucket *buckets[3][CHAIN_BUCKETS];
	uint32_t segment;

	world_start(&world, MIB);
	segment = first_segment(&world);
	for (int round = 0; round < 2; round++)
		for (uint32_t home = 0; home < 3; home++)
			for (uint32_t level = 1; level < CHAIN_BUCKETS; level++) {
				uint64_t link;
				struct bucket *bucket = index_claim_overflow(world.arena, segment, home, level, &link);

				ck_assert_ptr_nonnull(bucket);
				ck_assert(slot_is_link(link));
				ck_assert_ptr_eq(index_linked(world.arena, segment, link), bucket);
				for (uint32_t h = 0; round == 0 && h <= home; h++)
					for (uint32_t l = 1; l < (h == home ? level : CHAIN_BUCKETS); l++)
						ck_assert_ptr_ne(buckets[h][l], bucket);
				if (round == 0)
					buckets[home][level] = bucket;
				ck_assert_ptr_eq(buckets[home][level], bucket);
			}
	ck_assert_uint_eq(overflow_used(&world), 3 * (CHAIN_BUCKETS - 1));
	world_stop(&world);
}
END_TEST

START_TEST(test_no_overflow_bucket_left)
{
	struct world world;
	struct key keys[BUCKET_SLOTS + 1];
	struct bucket *buckets;
	uint32_t next = 0;

	world_start(&world, MIB);
	buckets = index_buckets(world.arena, first_segment(&world));
	for (uint32_t i = 0; i < world.arena->overflows; i++)
		store_relaxed(&buckets[world.arena->homes + i].control, UINT64_C(1) << 32 | 700);
	keys_of_home(world.arena, 3, BUCKET_SLOTS + 1, &next, keys);
	for (uint32_t i = 0; i < BUCKET_SLOTS; i++)
		ck_assert(put_key(&world.self.thread, &keys[i], i + 1));
	ck_assert(!index_crowded(world.arena, first_segment(&world)));
	ck_assert(!put_key(&world.self.thread, &keys[BUCKET_SLOTS], 1));
	ck_assert(index_crowded(world.arena, first_segment(&world))); /* so that the keeper sees it */
	for (uint32_t i = 0; i < BUCKET_SLOTS; i++)
		ck_assert_uint_eq(lookup_version(world.arena, &keys[i]), i + 1);
	world_stop(&world);
}
END_TEST

START_TEST(test_crowded_at_three_quarters)
{
	struct world world;
	atomic_u32 *used;

	world_start(&world, MIB);
	used = &world.arena->table[first_segment(&world)].overflow_used;
	store_relaxed(used, world.arena->overflows / 4 * 3);
	ck_assert(!index_crowded(world.arena, first_segment(&world)));
	store_relaxed(used, world.arena->overflows / 4 * 3 + 1);
	ck_assert(index_crowded(world.arena, first_segment(&world)));
	world_stop(&world);
}
END_TEST

/* ---- unlinking ------------------------------------------------------------------------------------------------------ */

START_TEST(test_unlink_takes_that_object_only)
{
	struct world world;
	struct key key;
	struct made old, new;
	struct index_chain chain;
	struct object_view view;

	world_start(&world, MIB);
	key = key_of(world.arena, 1);
	old = object_for(&world.self.thread, &key, 1);
	ck_assert(object_parse(world.arena, old.offset, &view));
	index_unlink(world.arena, &view, old.generation); /* which was never linked */
	find_key(world.arena, &key, &chain);
	ck_assert_int_eq(index_insert(NULL, world.arena, &chain, old.generation, old.offset), INDEX_DONE);
	index_unlink(world.arena, &view, old.generation + 1); /* of another life of the segment */
	ck_assert_uint_eq(lookup_version(world.arena, &key), 1);

	new = object_for(&world.self.thread, &key, 2);
	find_key(world.arena, &key, &chain);
	ck_assert_int_eq(index_replace(&chain, new.generation, new.offset, 0), INDEX_DONE);
	index_unlink(world.arena, &view, old.generation);
	ck_assert_uint_eq(lookup_version(world.arena, &key), 2);
	ck_assert(object_parse(world.arena, new.offset, &view));
	index_unlink(world.arena, &view, new.generation);
	ck_assert_uint_eq(lookup_version(world.arena, &key), 0);
	world_stop(&world);
}
END_TEST

/* ---- against a reference -------------------------------------------------------------------------------------------- */

#define CROWDED_HOMES 8
#define CROWDED_KEYS (CHAIN_KEYS + 7) /* more than a chain can hold */
#define LONE_KEYS 1200
#define KEYS (CROWDED_HOMES * CROWDED_KEYS + LONE_KEYS)
#define OPERATIONS 400000

/* Each key has two objects, made beforehand, which take turns: so memory lasts. */
struct reference {
	struct key key;
	struct made made[2];
	uint64_t version; /* that should be found; 0: none; else 1 + which of the two */
};

static void expect_reference(const struct arena *arena, const struct reference *reference)
{
	expect_equal(lookup_version(arena, &reference->key), reference->version);
}

/* Learns which of the keys of a home is gone. */
static void learn_displaced(const struct arena *arena, struct reference *references, uint32_t home)
{
	uint32_t gone = 0;

	for (uint32_t i = 0; i < KEYS; i++) {
		struct reference *reference = &references[i];

		if (hash_home(reference->key.hash, arena->homes) != home || reference->version == 0)
			continue;
		if (lookup_version(arena, &reference->key) == 0) {
			reference->version = 0;
			gone++;
		}
	}
	expect_equal(gone, 1);
}

static void put_reference(struct world *world, struct reference *references, struct reference *reference)
{
	const struct arena *arena = world->arena;
	uint64_t version = reference->version == 1 ? 2 : 1;
	const struct made *made = &reference->made[version - 1];

	for (;;) {
		struct index_chain chain;
		bool present = find_key(arena, &reference->key, &chain);
		enum index_result result;

		expect_equal(present, reference->version != 0);
		result = present ? index_replace(&chain, made->generation, made->offset, 0)
		                 : index_insert(NULL, arena, &chain, made->generation, made->offset);
		expect(result != INDEX_AGAIN);
		if (result == INDEX_DONE)
			break;
		if (result == INDEX_FULL) {
			index_displace(arena, &chain);
			learn_displaced(arena, references, chain.home);
		}
	}
	reference->version = version;
}

static void make_references(struct world *world, struct reference *references)
{
	struct key keys[CROWDED_KEYS];
	uint32_t next = 0, count = 0;

	for (uint32_t home = 0; home < CROWDED_HOMES; home++) {
		keys_of_home(world->arena, home * 100, CROWDED_KEYS, &next, keys);
		for (uint32_t i = 0; i < CROWDED_KEYS; i++)
			references[count++].key = keys[i];
	}
	while (count < KEYS)
		references[count++].key = key_of(world->arena, next++);
	for (uint32_t i = 0; i < KEYS; i++)
		for (uint32_t version = 1; version <= 2; version++)
			references[i].made[version - 1] = object_for(&world->self.thread, &references[i].key, version);
}

START_TEST(test_random_operations_agree_with_a_reference)
{
	static struct reference references[KEYS];
	struct random random = { 11 };
	struct world world;

	world_start(&world, MIB);
	make_references(&world, references);
	for (uint32_t i = 0; i < OPERATIONS; i++) {
		struct reference *reference = &references[random_below(&random, KEYS)];

		if (random_below(&random, 3) == 0) {
			expect_equal(remove_key(world.arena, &reference->key), reference->version != 0);
			reference->version = 0;
		} else {
			put_reference(&world, references, reference);
		}
		expect_reference(world.arena, reference);
		expect_reference(world.arena, &references[random_below(&random, KEYS)]);
	}
	for (uint32_t i = 0; i < KEYS; i++) {
		expect_reference(world.arena, &references[i]);
		expect_equal(count_key(world.arena, &references[i].key), references[i].version != 0);
	}
	ck_assert_uint_ge(overflow_used(&world), CROWDED_HOMES * (CHAIN_BUCKETS - 1));
	ck_assert_int_eq(cache_verify(&world.self.thread, NULL, NULL, NULL), 0);
	world_stop(&world);
}
END_TEST

/* ---- many at once ---------------------------------------------------------------------------------------------------- */

#define WRITERS 4
#define OWN_KEYS 4
#define SHARED_KEYS 4
#define ROUNDS 15000

/* All in one chain: each writer knows at any time which of its own keys are there; the shared ones all fight for. */
struct fight {
	struct world world;
	struct client clients[WRITERS];
	struct key own[WRITERS][OWN_KEYS], shared[SHARED_KEYS];
	struct key steady; /* which is there all the time */
	atomic_u32 writers_left;
};

static void fight_write(struct fight *fight, uint32_t number)
{
	struct cache_thread *thread = &fight->clients[number].thread;
	const struct arena *arena = &fight->clients[number].cache.arena;
	struct random random = { number };
	uint64_t version[OWN_KEYS] = { 0 };

	for (uint32_t round = 1; round <= ROUNDS; round++) {
		uint32_t own = random_below(&random, OWN_KEYS);
		const struct key *shared = &fight->shared[random_below(&random, SHARED_KEYS)];

		if (random_below(&random, 3) == 0) {
			expect_equal(remove_key(arena, &fight->own[number][own]), version[own] != 0);
			version[own] = 0;
		} else {
			version[own] = round;
			expect(put_key(thread, &fight->own[number][own], round));
		}
		for (uint32_t i = 0; i < OWN_KEYS; i++)
			expect_equal(lookup_version(arena, &fight->own[number][i]), version[i]);
		if (random_below(&random, 2))
			remove_key(arena, shared);
		else
			expect(put_key(thread, shared, round));
		if (number == 0 && round % 16 == 0)
			expect(put_key(thread, &fight->steady, round));
	}
	fetch_sub_release(&fight->writers_left, 1);
}

static void fight_read(struct fight *fight)
{
	const struct arena *arena = fight->world.arena;

	while (load_acquire(&fight->writers_left) > 0)
		expect(lookup_version(arena, &fight->steady) != 0);
}

static void fight_body(void *context, uint32_t number)
{
	if (number < WRITERS)
		fight_write(context, number);
	else
		fight_read(context);
}

START_TEST(test_writers_in_one_chain)
{
	static struct fight fight;
	struct key keys[WRITERS * OWN_KEYS + SHARED_KEYS + 1];
	uint32_t next = 0;

	world_start(&fight.world, 8 * MIB);
	keys_of_home(fight.world.arena, 1, WRITERS * OWN_KEYS + SHARED_KEYS + 1, &next, keys);
	for (uint32_t i = 0; i < WRITERS; i++) {
		client_start(&fight.world, &fight.clients[i]);
		memcpy(fight.own[i], &keys[i * OWN_KEYS], sizeof fight.own[i]);
	}
	memcpy(fight.shared, &keys[WRITERS * OWN_KEYS], sizeof fight.shared);
	fight.steady = keys[WRITERS * OWN_KEYS + SHARED_KEYS];
	ck_assert(put_key(&fight.world.self.thread, &fight.steady, 1));
	store_relaxed(&fight.writers_left, WRITERS);
	threads_run(WRITERS + 1, fight_body, &fight);
	for (uint32_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		ck_assert_uint_le(count_key(fight.world.arena, &keys[i]), 1);
	ck_assert_int_eq(cache_verify(&fight.world.self.thread, NULL, NULL, NULL), 0);
	for (uint32_t i = 0; i < WRITERS; i++)
		client_stop(&fight.clients[i]);
	world_stop(&fight.world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("index");

	tcase_add_test(tests, test_life_of_a_key);
	tcase_add_test(tests, test_keys_of_one_hash);
	tcase_add_test(tests, test_replace_needs_the_object_that_was_found);
	tcase_add_test(tests, test_insert_needs_a_chain_without_newcomers);
	tcase_add_test(tests, test_chain_grows_to_its_full_length);
	tcase_add_test(tests, test_only_a_linked_bucket_is_guessed);
	tcase_add_test(tests, test_displacing_takes_one_other_key);
	tcase_add_test(tests, test_overflow_bucket_is_the_same_for_all_who_ask);
	tcase_add_test(tests, test_no_overflow_bucket_left);
	tcase_add_test(tests, test_crowded_at_three_quarters);
	tcase_add_test(tests, test_unlink_takes_that_object_only);
	tcase_add_test(tests, test_random_operations_agree_with_a_reference);
	tcase_add_test(tests, test_writers_in_one_chain);
	return suite_run("index", tests);
}
