/* SPDX-License-Identifier: MIT */
/* Two segments of the index become one. What merges share with splits, and helpers that die, check_split_helpers.c has. */
#include "index/split.h"
#include "tests/unit/support/objects.h"

#define HOME 123u
#define KEYS 600
#define CHAIN_KEYS (BUCKET_SLOTS + (CHAIN_BUCKETS - 1) * (BUCKET_SLOTS - 1)) /* a chain of full length holds */

/* An index of two segments. */
struct couple {
	struct world world;
	struct arena *arena;
	uint32_t lower, upper, child;
	struct key keys[KEYS];
};

static void divide(const struct arena *arena, uint32_t segment)
{
	expect(split_begin(arena, segment));
	for (uint32_t home = 0; home < arena->homes; home++)
		expect(split_bucket(arena, segment, home));
	expect(split_finish(arena, segment));
}

/* Keys whose versions are their numbers + 1. */
static void put_keys(struct couple *couple, const struct key *keys, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		expect(put_key(&couple->world.self.thread, &keys[i], keys[i].number + 1));
}

static void expect_keys(const struct couple *couple, const struct key *keys, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		expect_equal(lookup_version(couple->arena, &keys[i]), keys[i].number + 1);
		expect_equal(count_key(couple->arena, &keys[i]), 1);
	}
}

static void couple_start(struct couple *couple)
{
	uint64_t children;

	world_start(&couple->world, MIB);
	couple->arena = couple->world.arena;
	divide(couple->arena, couple->arena->system_segments);
	children = load_relaxed(&couple->arena->table[couple->arena->system_segments].children);
	couple->lower = (uint32_t)children;
	couple->upper = (uint32_t)(children >> 32);
	for (uint32_t i = 0; i < KEYS; i++)
		couple->keys[i] = key_of(couple->arena, i);
	put_keys(couple, couple->keys, KEYS);
}

static void begin(struct couple *couple)
{
	expect(split_begin_merge(couple->arena, couple->lower, couple->upper));
	couple->child = (uint32_t)load_relaxed(&couple->arena->table[couple->lower].children);
}

static void expect_sound(struct couple *couple)
{
	expect_equal(cache_verify(&couple->world.self.thread, NULL, NULL, NULL), 0);
}

static bool moved(const struct couple *couple, uint32_t segment, uint32_t home)
{
	return load_relaxed(&index_buckets(couple->arena, segment)[home].control) & CONTROL_MOVED;
}

static bool frozen(const struct couple *couple, uint32_t segment, uint32_t home)
{
	return load_relaxed(&index_buckets(couple->arena, segment)[home].control) & CONTROL_FROZEN;
}

START_TEST(test_begun_merge_has_one_empty_child)
{
	static struct couple couple;
	const struct segment_entry *child, *table;

	couple_start(&couple);
	table = couple.arena->table;
	ck_assert_uint_eq(split_sibling(couple.arena, couple.lower), couple.arena->segment_count);
	begin(&couple);
	child = &table[couple.child];
	ck_assert_uint_eq(load_relaxed(&table[couple.lower].children), (uint64_t)couple.child << 32 | couple.child);
	ck_assert_uint_eq(load_relaxed(&table[couple.upper].children), load_relaxed(&table[couple.lower].children));
	ck_assert_int_eq(segment_load(couple.arena, couple.child).state, SEGMENT_INDEX);
	ck_assert_uint_eq(load_relaxed(&child->depth), 0);
	ck_assert_uint_eq(load_relaxed(&child->prefix), 0);
	ck_assert_uint_eq(split_sibling(couple.arena, couple.lower), couple.upper);
	ck_assert_uint_eq(split_sibling(couple.arena, couple.upper), couple.lower);
	ck_assert(!split_begin_merge(couple.arena, couple.lower, couple.upper));
	ck_assert(!split_begin(couple.arena, couple.lower));
	ck_assert(!split_begin_rebuild(couple.arena, couple.upper));
	for (uint32_t entry = 0; entry < 1u << couple.arena->directory_bits; entry++)
		ck_assert_uint_ne(load_relaxed(&couple.arena->directory[entry]), couple.child);
	expect_keys(&couple, couple.keys, KEYS);
	expect_sound(&couple);
	world_stop(&couple.world);
}
END_TEST

START_TEST(test_only_siblings_are_merged)
{
	static struct couple couple;
	uint32_t quarters[2], halves = 1u << 3;
	uint64_t children;

	couple_start(&couple);
	ck_assert(!split_begin_merge(couple.arena, couple.upper, couple.lower));
	ck_assert(!split_begin_merge(couple.arena, couple.lower, couple.lower));
	divide(couple.arena, couple.upper);
	children = load_relaxed(&couple.arena->table[couple.upper].children);
	quarters[0] = (uint32_t)children;
	quarters[1] = (uint32_t)(children >> 32);
	ck_assert(!split_begin_merge(couple.arena, couple.lower, quarters[0])); /* of another depth */
	divide(couple.arena, couple.lower);
	children = load_relaxed(&couple.arena->table[couple.lower].children);
	/* next to each other and as deep, but not of one parent */
	ck_assert(!split_begin_merge(couple.arena, (uint32_t)(children >> 32), quarters[0]));
	store_relaxed(&couple.arena->table[quarters[0]].depth, couple.arena->directory_bits + halves);
	store_relaxed(&couple.arena->table[quarters[1]].depth, couple.arena->directory_bits + halves);
	ck_assert(!split_begin_merge(couple.arena, quarters[0], quarters[1]));
	ck_assert_uint_eq(world_count(&couple.world, SEGMENT_RETIRED), 3); /* nothing was taken for these */
	world_stop(&couple.world);
}
END_TEST

START_TEST(test_keys_are_found_at_every_stage)
{
	static struct couple couple;
	uint32_t entries;

	couple_start(&couple);
	entries = 1u << couple.arena->directory_bits;
	begin(&couple);
	for (uint32_t home = 0; home < couple.arena->homes; home++) {
		expect(split_bucket(couple.arena, home % 2 ? couple.lower : couple.upper, home));
		expect(moved(&couple, couple.lower, home) && moved(&couple, couple.upper, home));
		if (home % 50 == 0)
			expect_keys(&couple, couple.keys, KEYS);
	}
	expect_keys(&couple, couple.keys, KEYS);
	for (uint32_t i = 0; i < KEYS; i++)
		couple.keys[i].number += KEYS;
	put_keys(&couple, couple.keys, KEYS);
	/* a part of the directory is switched when the keeper dies */
	for (uint32_t entry = 0; entry < entries / 2 + 1; entry++)
		store_release(&couple.arena->directory[entry], couple.child);
	expect_keys(&couple, couple.keys, KEYS);
	expect_sound(&couple);
	ck_assert(split_finish(couple.arena, couple.upper));
	for (uint32_t entry = 0; entry < entries; entry++)
		ck_assert_uint_eq(load_relaxed(&couple.arena->directory[entry]), couple.child);
	ck_assert_int_eq(segment_load(couple.arena, couple.lower).state, SEGMENT_RETIRED);
	ck_assert_int_eq(segment_load(couple.arena, couple.upper).state, SEGMENT_RETIRED);
	expect_keys(&couple, couple.keys, KEYS);
	expect_sound(&couple);
	/* and it can grow again */
	divide(couple.arena, couple.child);
	expect_keys(&couple, couple.keys, KEYS);
	expect_sound(&couple);
	world_stop(&couple.world);
}
END_TEST

/* One home has moved, the other has not, when the helper dies. Keys of the one change in the child, those of the other are where they were. */
START_TEST(test_one_parent_has_moved)
{
	for (uint32_t which = 0; which < 2; which++) {
		static struct couple couple;
		uint32_t segments[2];
		struct bucket *bucket;
		struct key keys[16];
		uint32_t next = 0;

		couple_start(&couple);
		segments[0] = couple.lower;
		segments[1] = couple.upper;
		keys_of_home(couple.arena, HOME, 16, &next, keys);
		put_keys(&couple, keys, 12);
		begin(&couple);
		ck_assert(split_bucket(couple.arena, couple.lower, HOME));
		bucket = &index_buckets(couple.arena, segments[which])[HOME];
		store_relaxed(&bucket->control, load_relaxed(&bucket->control) & ~CONTROL_MOVED);
		expect_keys(&couple, keys, 12);
		for (uint32_t i = 0; i < 16; i++)
			if (keys[i].hash >> 63 != which) {
				keys[i].number += 1000;
				put_keys(&couple, &keys[i], 1);
			}
		ck_assert(!moved(&couple, segments[which], HOME));
		expect_keys(&couple, keys, 12);
		for (uint32_t i = 0; i < 16; i++)
			if (keys[i].hash >> 63 == which) {
				keys[i].number += 1000;
				put_keys(&couple, &keys[i], 1);
			}
		ck_assert(moved(&couple, segments[which], HOME));
		expect_keys(&couple, keys, 16);
		world_stop(&couple.world);
	}
}
END_TEST

/* The keeper died when one parent had been told. Until the next one has told the other, nobody does anything. */
START_TEST(test_merge_that_has_begun_for_one_parent)
{
	static struct couple couple;
	struct segment_entry *table;

	couple_start(&couple);
	table = couple.arena->table;
	begin(&couple);
	store_relaxed(&table[couple.upper].children, 0);
	ck_assert(!split_bucket(couple.arena, couple.lower, HOME));
	ck_assert(!split_bucket(couple.arena, couple.upper, HOME));
	ck_assert(!split_finish(couple.arena, couple.lower));
	ck_assert(!frozen(&couple, couple.lower, HOME));
	expect_keys(&couple, couple.keys, KEYS);
	expect_sound(&couple);
	split_resume_merge(couple.arena, couple.upper);
	ck_assert_uint_eq(load_relaxed(&table[couple.upper].children), 0);
	split_resume_merge(couple.arena, couple.lower);
	ck_assert_uint_eq(load_relaxed(&table[couple.upper].children), load_relaxed(&table[couple.lower].children));
	ck_assert(split_bucket(couple.arena, couple.upper, HOME));
	ck_assert(moved(&couple, couple.lower, HOME));
	/* of a split or rebuild there is nothing to be resumed */
	store_relaxed(&table[couple.child].parents, 0);
	store_relaxed(&table[couple.upper].children, 0);
	split_resume_merge(couple.arena, couple.lower);
	ck_assert_uint_eq(load_relaxed(&table[couple.upper].children), 0);
	world_stop(&couple.world);
}
END_TEST

/* More than a chain can hold come together: what does not fit is lost, and nothing is there twice. */
START_TEST(test_two_long_chains)
{
	static struct couple couple;
	static struct key keys[2 * CHAIN_KEYS];
	uint32_t next = 0, count[2] = { 0, 0 }, all = 0, found = 0;

	couple_start(&couple);
	for (uint32_t i = 0; i < KEYS; i++)
		expect(remove_key(couple.arena, &couple.keys[i]));
	while (all < 2 * CHAIN_KEYS) {
		keys_of_home(couple.arena, HOME, 1, &next, &keys[all]);
		if (count[keys[all].hash >> 63]++ < CHAIN_KEYS)
			all++;
	}
	put_keys(&couple, keys, 2 * CHAIN_KEYS);
	begin(&couple);
	for (int round = 0; round < 2; round++)
		ck_assert(split_bucket(couple.arena, couple.upper, HOME));
	for (uint32_t i = 0; i < 2 * CHAIN_KEYS; i++) {
		ck_assert_uint_le(count_key(couple.arena, &keys[i]), 1);
		found += lookup_version(couple.arena, &keys[i]) != 0;
	}
	ck_assert_uint_eq(found, CHAIN_KEYS);
	expect_sound(&couple);
	world_stop(&couple.world);
}
END_TEST

START_TEST(test_merge_needs_a_free_segment)
{
	static struct couple couple;
	uint32_t segment, generation, chunk;

	couple_start(&couple);
	while (segment_take_chunks(couple.arena, 0, couple.arena->chunks, 1, &segment, &generation, &chunk))
		;
	ck_assert(!split_begin_merge(couple.arena, couple.lower, couple.upper));
	ck_assert_uint_eq(load_relaxed(&couple.arena->table[couple.lower].children), 0);
	segment_recycle(couple.arena, segment);
	ck_assert(split_begin_merge(couple.arena, couple.lower, couple.upper));
	world_stop(&couple.world);
}
END_TEST

START_TEST(test_scribbled_table_is_refused)
{
	static struct couple couple;
	struct segment_entry *table;
	uint64_t children;

	couple_start(&couple);
	table = couple.arena->table;
	begin(&couple);
	children = load_relaxed(&table[couple.lower].children);
	const uint64_t parents[] = {
		(uint64_t)couple.lower << 32 | couple.lower,
		(uint64_t)couple.upper << 32 | couple.upper,
		(uint64_t)couple.child << 32 | couple.lower,
		(uint64_t)couple.lower << 32 | couple.child,
		(uint64_t)couple.world.segments << 32 | couple.lower,
		UINT64_MAX,
		couple.lower, /* and the header */
		5,
	};

	for (size_t i = 0; i < sizeof parents / sizeof parents[0]; i++) {
		store_relaxed(&table[couple.child].parents, parents[i]);
		ck_assert(!split_bucket(couple.arena, couple.lower, HOME));
		ck_assert(!split_finish(couple.arena, couple.lower));
		ck_assert_uint_eq(split_sibling(couple.arena, couple.lower), couple.arena->segment_count);
		store_relaxed(&table[couple.upper].children, 0);
		split_resume_merge(couple.arena, couple.lower);
		ck_assert_int_eq(segment_load(couple.arena, 0).state, SEGMENT_SYSTEM);
		store_relaxed(&table[couple.upper].children, children);
	}
	store_relaxed(&table[couple.child].parents, (uint64_t)couple.upper << 32 | couple.lower);
	store_relaxed(&table[couple.upper].depth, 2);
	ck_assert(!split_bucket(couple.arena, couple.lower, HOME));
	store_relaxed(&table[couple.lower].depth, 0);
	store_relaxed(&table[couple.upper].depth, 0);
	ck_assert(!split_bucket(couple.arena, couple.lower, HOME));
	store_relaxed(&table[couple.lower].depth, 1);
	store_relaxed(&table[couple.upper].depth, 1);
	store_relaxed(&table[couple.lower].prefix, 1);
	ck_assert(!split_bucket(couple.arena, couple.upper, HOME));
	ck_assert(!frozen(&couple, couple.lower, HOME) && !frozen(&couple, couple.upper, HOME));
	store_relaxed(&table[couple.lower].prefix, 0);
	ck_assert(split_bucket(couple.arena, couple.upper, HOME));
	world_stop(&couple.world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("merge");

	tcase_add_test(tests, test_begun_merge_has_one_empty_child);
	tcase_add_test(tests, test_only_siblings_are_merged);
	tcase_add_test(tests, test_keys_are_found_at_every_stage);
	tcase_add_test(tests, test_one_parent_has_moved);
	tcase_add_test(tests, test_merge_that_has_begun_for_one_parent);
	tcase_add_test(tests, test_two_long_chains);
	tcase_add_test(tests, test_merge_needs_a_free_segment);
	tcase_add_test(tests, test_scribbled_table_is_refused);
	return suite_run("merge", tests);
}
