/* SPDX-License-Identifier: MIT */
/* Inserts that were left half done, and helpers that come too late. The words are written by hand. */
#include <errno.h>

#include "index/index.h"
#include "index/split.h"
#include "tests/unit/support/objects.h"

#define HOME 42u
#define KEYS 30

struct scene {
	struct world world;
	struct bucket *bucket;
	uint32_t segment;
	struct key keys[KEYS]; /* all of the one home */
};

static void scene_start(struct scene *scene)
{
	uint32_t next = 0;

	world_start(&scene->world, MIB);
	scene->segment = scene->world.arena->system_segments;
	scene->bucket = &index_buckets(scene->world.arena, scene->segment)[HOME];
	keys_of_home(scene->world.arena, HOME, KEYS, &next, scene->keys);
}

static void scene_stop(struct scene *scene)
{
	world_stop(&scene->world);
}

static uint64_t control(const struct scene *scene)
{
	return load_relaxed(&scene->bucket->control);
}

static uint64_t sequence(const struct scene *scene)
{
	return control(scene) >> CONTROL_SEQUENCE_SHIFT;
}

static uint64_t intent_of(uint64_t seq, uint32_t position, uint64_t offset)
{
	return seq << CONTROL_SEQUENCE_SHIFT | (uint64_t)position << CONTROL_TARGET_SHIFT | offset / OBJECT_UNIT;
}

static uint64_t empty_of(uint64_t seq, uint64_t nonce)
{
	return seq << SLOT_SEQUENCE_SHIFT | nonce;
}

static uint64_t word_of_made(const struct key *key, const struct made *made)
{
	return slot_pack(key->hash, made->generation, made->offset);
}

/* What is left when the inserter of a key is killed right after it has written its intent. Return: the control word. */
static uint64_t leave_intent(struct scene *scene, const struct key *key, uint64_t version, uint32_t position)
{
	struct made made = object_for(&scene->world.self.thread, key, version);
	uint64_t intent = intent_of(sequence(scene) + 1, position, made.offset);

	store_release(&scene->bucket->control, intent);
	return intent;
}

static void expect_no_intent(const struct scene *scene)
{
	ck_assert_uint_eq(control(scene) & CONTROL_OFFSET_MASK, 0);
	ck_assert_uint_eq(control(scene) >> CONTROL_TARGET_SHIFT & CONTROL_TARGET_MASK, 0);
}

/* ---- intents of the dead are completed by whoever comes -------------------------------------------------------------- */

START_TEST(test_reader_sees_nothing_of_an_intent)
{
	struct scene scene;

	scene_start(&scene);
	leave_intent(&scene, &scene.keys[0], 5, 0);
	ck_assert_uint_eq(lookup_version(scene.world.arena, &scene.keys[0]), 0);
	scene_stop(&scene);
}
END_TEST

START_TEST(test_finding_any_key_completes_it)
{
	for (uint32_t finder = 0; finder < 2; finder++) {
		struct scene scene;
		struct index_chain chain;
		uint64_t intent;

		scene_start(&scene);
		intent = leave_intent(&scene, &scene.keys[0], 5, 3);
		ck_assert_int_eq(find_key(scene.world.arena, &scene.keys[finder], &chain), finder == 0);
		expect_no_intent(&scene);
		ck_assert_uint_eq(sequence(&scene), intent >> CONTROL_SEQUENCE_SHIFT);
		ck_assert_uint_eq(lookup_version(scene.world.arena, &scene.keys[0]), 5);
		ck_assert_uint_eq(count_key(scene.world.arena, &scene.keys[0]), 1);
		ck_assert(slot_is_object(load_relaxed(&scene.bucket->slots[3])));
		scene_stop(&scene);
	}
}
END_TEST

START_TEST(test_unlinking_completes_it_first)
{
	struct scene scene;
	struct object_view view;
	uint64_t intent;

	scene_start(&scene);
	intent = leave_intent(&scene, &scene.keys[0], 5, 0);
	ck_assert(object_parse(scene.world.arena, (intent & CONTROL_OFFSET_MASK) * OBJECT_UNIT, &view));
	index_unlink(scene.world.arena, &view, 0);
	expect_no_intent(&scene);
	ck_assert_uint_eq(lookup_version(scene.world.arena, &scene.keys[0]), 0);
	ck_assert_uint_eq(count_key(scene.world.arena, &scene.keys[0]), 0);
	/* nobody who still knows of the intent brings the object back */
	index_help(scene.world.arena, scene.segment, HOME, intent);
	ck_assert_uint_eq(count_key(scene.world.arena, &scene.keys[0]), 0);
	scene_stop(&scene);
}
END_TEST

START_TEST(test_splitting_completes_it_first)
{
	struct scene scene;

	scene_start(&scene);
	for (uint32_t i = 1; i < 4; i++)
		put_key(&scene.world.self.thread, &scene.keys[i], i);
	leave_intent(&scene, &scene.keys[0], 5, 6);
	ck_assert(split_begin(scene.world.arena, scene.segment));
	ck_assert(split_bucket(scene.world.arena, scene.segment, HOME));
	ck_assert_uint_eq(lookup_version(scene.world.arena, &scene.keys[0]), 5);
	for (uint32_t i = 0; i < 4; i++)
		ck_assert_uint_eq(count_key(scene.world.arena, &scene.keys[i]), 1);
	scene_stop(&scene);
}
END_TEST

START_TEST(test_intent_in_an_overflow_bucket)
{
	struct scene scene;
	struct index_chain chain;

	scene_start(&scene);
	for (uint32_t i = 1; i <= 9; i++)
		put_key(&scene.world.self.thread, &scene.keys[i], i);
	leave_intent(&scene, &scene.keys[0], 5, BUCKET_SLOTS + 4);
	ck_assert(find_key(scene.world.arena, &scene.keys[0], &chain));
	ck_assert_int_eq(chain.found, BUCKET_SLOTS + 4);
	expect_no_intent(&scene);
	scene_stop(&scene);
}
END_TEST

/* The inserter may be killed after the object was placed and before the intent was cleared. */
START_TEST(test_intent_whose_object_is_placed_already)
{
	struct scene scene;
	struct index_chain chain;
	struct made made;

	scene_start(&scene);
	made = object_for(&scene.world.self.thread, &scene.keys[0], 5);
	store_release(&scene.bucket->slots[2], word_of_made(&scene.keys[0], &made));
	store_release(&scene.bucket->control, intent_of(2, 2, made.offset));
	ck_assert(find_key(scene.world.arena, &scene.keys[0], &chain));
	expect_no_intent(&scene);
	ck_assert_uint_eq(count_key(scene.world.arena, &scene.keys[0]), 1);
	scene_stop(&scene);
}
END_TEST

/* ---- the sequence in empty slots ------------------------------------------------------------------------------------ */

/* Placed and removed again while the intent still stands: it must not be placed a second time. */
START_TEST(test_empty_slot_of_the_intents_own_sequence)
{
	struct scene scene;
	uint64_t intent;

	scene_start(&scene);
	intent = leave_intent(&scene, &scene.keys[0], 5, 0);
	store_release(&scene.bucket->slots[0],
	              empty_of(intent >> CONTROL_SEQUENCE_SHIFT, intent & CONTROL_OFFSET_MASK));
	index_help(scene.world.arena, scene.segment, HOME, intent);
	expect_no_intent(&scene);
	ck_assert_uint_eq(count_key(scene.world.arena, &scene.keys[0]), 0);
	scene_stop(&scene);
}
END_TEST

START_TEST(test_empty_slot_of_any_other_sequence)
{
	static const uint64_t sequences[] = { 1, 3, 4, SEQUENCE_MASK };

	for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++) {
		struct scene scene;
		uint64_t intent;

		scene_start(&scene);
		store_release(&scene.bucket->slots[0], empty_of(sequences[i], 12345));
		intent = leave_intent(&scene, &scene.keys[0], 5, 0); /* of sequence 2 */
		index_help(scene.world.arena, scene.segment, HOME, intent);
		expect_no_intent(&scene);
		ck_assert_uint_eq(lookup_version(scene.world.arena, &scene.keys[0]), 5);
		scene_stop(&scene);
	}
}
END_TEST

START_TEST(test_removed_object_leaves_sequence_and_place)
{
	struct scene scene;
	struct index_chain chain;
	uint64_t word;

	scene_start(&scene);
	put_key(&scene.world.self.thread, &scene.keys[0], 5);
	find_key(scene.world.arena, &scene.keys[0], &chain);
	word = chain.words[chain.found];
	remove_key(scene.world.arena, &scene.keys[0]);
	ck_assert_uint_eq(load_relaxed(&scene.bucket->slots[chain.found]),
	                  empty_of(sequence(&scene), word & SLOT_OFFSET_MASK));
	scene_stop(&scene);
}
END_TEST

START_TEST(test_every_insert_changes_the_sequence)
{
	struct scene scene;
	uint64_t last;

	scene_start(&scene);
	last = sequence(&scene);
	ck_assert_uint_eq(last, 1);
	for (uint32_t i = 0; i < 100; i++) {
		put_key(&scene.world.self.thread, &scene.keys[0], 1);
		ck_assert_uint_gt(sequence(&scene), last);
		last = sequence(&scene);
		put_key(&scene.world.self.thread, &scene.keys[0], 2); /* replacing does not */
		remove_key(scene.world.arena, &scene.keys[0]);        /* nor does removing */
		ck_assert_uint_eq(sequence(&scene), last);
	}
	scene_stop(&scene);
}
END_TEST

/* What an insert chooses when the sequence is seq and the only empty slot was emptied under slot_seq. */
static uint64_t chosen_sequence(uint64_t seq, uint64_t slot_seq)
{
	struct scene scene;
	uint64_t chosen;

	scene_start(&scene);
	for (uint32_t i = 0; i < BUCKET_SLOTS; i++)
		put_key(&scene.world.self.thread, &scene.keys[i], i + 1);
	store_relaxed(&scene.bucket->control, seq << CONTROL_SEQUENCE_SHIFT);
	store_relaxed(&scene.bucket->slots[4], empty_of(slot_seq, 777));
	ck_assert(put_key(&scene.world.self.thread, &scene.keys[7], 99));
	ck_assert_uint_eq(lookup_version(scene.world.arena, &scene.keys[7]), 99);
	expect_no_intent(&scene);
	chosen = sequence(&scene);
	scene_stop(&scene);
	return chosen;
}

/* Neither 0, which means "never used", nor that of the slot, which would mean "placed and removed again". */
START_TEST(test_sequence_skips_what_has_a_meaning)
{
	ck_assert_uint_eq(chosen_sequence(5, 3), 6);
	ck_assert_uint_eq(chosen_sequence(5, 5), 6);
	ck_assert_uint_eq(chosen_sequence(5, 6), 7);
	ck_assert_uint_eq(chosen_sequence(SEQUENCE_MASK - 1, 9), SEQUENCE_MASK);
	ck_assert_uint_eq(chosen_sequence(SEQUENCE_MASK - 1, SEQUENCE_MASK), 1);
	ck_assert_uint_eq(chosen_sequence(SEQUENCE_MASK, 9), 1);
	ck_assert_uint_eq(chosen_sequence(SEQUENCE_MASK, 1), 2);
	ck_assert_uint_eq(chosen_sequence(SEQUENCE_MASK, 0), 1);
}
END_TEST

START_TEST(test_sequence_wraps_without_losing_a_key)
{
	struct scene scene;

	scene_start(&scene);
	store_relaxed(&scene.bucket->control, (SEQUENCE_MASK - 500) << CONTROL_SEQUENCE_SHIFT);
	for (uint32_t i = 1; i < 2000; i++) {
		const struct key *key = &scene.keys[i % 9];

		expect(put_key(&scene.world.self.thread, key, i));
		expect_equal(lookup_version(scene.world.arena, key), i);
		if (i % 3)
			expect(remove_key(scene.world.arena, key));
	}
	ck_assert_uint_lt(sequence(&scene), 5000);
	scene_stop(&scene);
}
END_TEST

/* ---- helpers that come too late --------------------------------------------------------------------------------------- */

static void expect_late_help_does_nothing(struct scene *scene, uint64_t outdated)
{
	static unsigned char before[SEGMENT_BYTES_MIN];
	unsigned char *segment = segment_base(scene->world.arena, scene->segment);

	memcpy(before, segment, sizeof before);
	index_help(scene->world.arena, scene->segment, HOME, outdated);
	ck_assert_mem_eq(segment, before, sizeof before);
}

START_TEST(test_late_helper_changes_nothing)
{
	struct scene scene;
	struct cache_thread *thread = &scene.world.self.thread;
	const struct arena *arena;
	struct index_chain chain;
	uint64_t outdated;

	scene_start(&scene);
	arena = scene.world.arena;
	outdated = leave_intent(&scene, &scene.keys[0], 5, 0);
	find_key(arena, &scene.keys[0], &chain); /* somebody completes it */
	expect_late_help_does_nothing(&scene, outdated);
	put_key(thread, &scene.keys[0], 6); /* replaced */
	expect_late_help_does_nothing(&scene, outdated);
	remove_key(arena, &scene.keys[0]); /* removed */
	expect_late_help_does_nothing(&scene, outdated);
	put_key(thread, &scene.keys[1], 7); /* its slot taken by another */
	expect_late_help_does_nothing(&scene, outdated);
	remove_key(arena, &scene.keys[1]);
	expect_late_help_does_nothing(&scene, outdated);
	put_key(thread, &scene.keys[0], 8); /* there again */
	expect_late_help_does_nothing(&scene, outdated);
	remove_key(arena, &scene.keys[0]);
	leave_intent(&scene, &scene.keys[2], 9, 0); /* another intent for the same slot */
	expect_late_help_does_nothing(&scene, outdated);
	store_relaxed(&scene.bucket->control, control(&scene) | CONTROL_FROZEN);
	expect_late_help_does_nothing(&scene, outdated);
	scene_stop(&scene);
}
END_TEST

START_TEST(test_late_helper_of_a_split_bucket_changes_nothing)
{
	struct scene scene;
	uint64_t outdated;

	scene_start(&scene);
	outdated = leave_intent(&scene, &scene.keys[0], 5, 0);
	ck_assert(split_begin(scene.world.arena, scene.segment));
	ck_assert(split_bucket(scene.world.arena, scene.segment, HOME));
	expect_late_help_does_nothing(&scene, outdated);
	remove_key(scene.world.arena, &scene.keys[0]);
	expect_late_help_does_nothing(&scene, outdated);
	ck_assert_uint_eq(lookup_version(scene.world.arena, &scene.keys[0]), 0);
	scene_stop(&scene);
}
END_TEST

/* ---- a chain whose lengthening was left half done ---------------------------------------------------------------------- */

enum stage { CLAIMED, SEALED, MIRRORED, MIRRORED_WRONG, LINKED, STAGES };

static void extend_to(struct scene *scene, enum stage stage, const struct made *other)
{
	uint64_t link, last = load_relaxed(&scene->bucket->slots[BUCKET_SLOTS - 1]);
	struct bucket *overflow = index_claim_overflow(scene->world.arena, scene->segment, HOME, 1, &link);

	ck_assert_ptr_nonnull(overflow);
	if (stage >= SEALED)
		index_seal(overflow);
	if (stage == MIRRORED_WRONG)
		store_relaxed(&overflow->slots[0],
		              word_of_made(&scene->keys[6], other)); /* an older object of that key */
	else if (stage >= MIRRORED)
		store_relaxed(&overflow->slots[0], last);
	if (stage == LINKED)
		store_release(&scene->bucket->slots[BUCKET_SLOTS - 1], link);
}

START_TEST(test_chain_left_half_lengthened)
{
	for (enum stage stage = CLAIMED; stage < STAGES; stage++) {
		struct scene scene;
		struct made other;

		scene_start(&scene);
		other = object_for(&scene.world.self.thread, &scene.keys[6], 1000);
		for (uint32_t i = 0; i < BUCKET_SLOTS; i++)
			put_key(&scene.world.self.thread, &scene.keys[i], i + 1);
		extend_to(&scene, stage, &other);
		for (uint32_t i = BUCKET_SLOTS; i < 10; i++)
			ck_assert(put_key(&scene.world.self.thread, &scene.keys[i], i + 1));
		for (uint32_t i = 0; i < 10; i++) {
			ck_assert_uint_eq(lookup_version(scene.world.arena, &scene.keys[i]), i + 1);
			ck_assert_uint_eq(count_key(scene.world.arena, &scene.keys[i]), 1);
		}
		ck_assert_uint_eq(load_relaxed(&scene.world.arena->table[scene.segment].overflow_used), 1);
		scene_stop(&scene);
	}
}
END_TEST

/* The last object may be replaced or removed between the time it was mirrored and the time it is linked. */
START_TEST(test_mirrored_object_is_removed_meanwhile)
{
	struct scene scene;

	scene_start(&scene);
	for (uint32_t i = 0; i < BUCKET_SLOTS; i++)
		put_key(&scene.world.self.thread, &scene.keys[i], i + 1);
	extend_to(&scene, MIRRORED, NULL);
	ck_assert(remove_key(scene.world.arena, &scene.keys[6]));
	ck_assert(put_key(&scene.world.self.thread, &scene.keys[7], 8));
	ck_assert(put_key(&scene.world.self.thread, &scene.keys[8], 9));
	ck_assert_uint_eq(lookup_version(scene.world.arena, &scene.keys[6]), 0);
	ck_assert_uint_eq(count_key(scene.world.arena, &scene.keys[6]), 0);
	ck_assert_uint_eq(lookup_version(scene.world.arena, &scene.keys[7]), 8);
	ck_assert_uint_eq(count_key(scene.world.arena, &scene.keys[7]), 1);
	scene_stop(&scene);
}
END_TEST

/* ---- scribbled words --------------------------------------------------------------------------------------------------- */

START_TEST(test_impossible_intents_are_dropped)
{
	struct scene scene;
	struct index_chain chain;
	const struct arena *arena;
	struct made made;

	scene_start(&scene);
	arena = scene.world.arena;
	made = object_for(&scene.world.self.thread, &scene.keys[0], 1);
	const uint64_t intents[] = {
		intent_of(2, 0, arena->bytes),                            /* beyond the arena */
		intent_of(2, 0, arena->bytes - 8),                        /* at its very end */
		intent_of(2, 0, SLOT_OFFSET_MASK * OBJECT_UNIT),          /* far beyond */
		intent_of(2, 0, made.offset + 512),                       /* where no object is */
		intent_of(2, BUCKET_SLOTS, made.offset),                  /* into a bucket that the chain has not */
		intent_of(2, (uint32_t)CONTROL_TARGET_MASK, made.offset), /* into a slot that no chain has */
	};
	for (size_t i = 0; i < sizeof intents / sizeof intents[0]; i++) {
		store_release(&scene.bucket->control, intents[i]);
		ck_assert(!find_key(arena, &scene.keys[0], &chain));
		expect_no_intent(&scene);
		for (int slot = 0; slot < BUCKET_SLOTS; slot++)
			ck_assert(slot_is_empty(load_relaxed(&scene.bucket->slots[slot])));
	}
	ck_assert(put_key(&scene.world.self.thread, &scene.keys[0], 9));
	scene_stop(&scene);
}
END_TEST

/* There is no empty slot, and no bucket behind the link. A write says so, and does not try for ever. */
START_TEST(test_full_chain_with_a_link_to_nowhere)
{
	struct scene scene;
	struct write_request request = { .operation = WRITE_SET, .value = "value", .value_size = 5 };
	struct write_result result;

	scene_start(&scene);
	for (uint32_t i = 0; i < BUCKET_SLOTS - 1; i++)
		put_key(&scene.world.self.thread, &scene.keys[i], i + 1);
	store_relaxed(&scene.bucket->slots[BUCKET_SLOTS - 1], SLOT_LINK | 1);
	request.key = scene.keys[9].text;
	request.key_size = scene.keys[9].size;
	ck_assert_int_eq(cache_write(&scene.world.self.thread, &request, &result), -EUCLEAN);
	scene_stop(&scene);
}
END_TEST

START_TEST(test_impossible_chains_end)
{
	struct scene scene;
	const struct arena *arena;
	struct index_chain chain;
	const struct key *key = &scene.keys[0];

	scene_start(&scene);
	arena = scene.world.arena;
	const uint64_t words[] = {
		SLOT_LINK | 0,                                 /* to a home bucket */
		SLOT_LINK | (arena->homes + arena->overflows), /* beyond the segment */
		SLOT_LINK | SLOT_OFFSET_MASK,
		SLOT_LINK | arena->homes, /* to a bucket that leads to itself */
		slot_pack(key->hash, 0, arena->bytes),
		slot_pack(key->hash, 0, SLOT_OFFSET_MASK * OBJECT_UNIT),
	};
	store_relaxed(&index_buckets(arena, scene.segment)[arena->homes].slots[BUCKET_SLOTS - 1],
	              SLOT_LINK | arena->homes);
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		store_relaxed(&scene.bucket->slots[BUCKET_SLOTS - 1], words[i]);
		ck_assert_uint_eq(lookup_version(arena, key), 0);
		if (slot_is_link(words[i]))
			ck_assert(
				!index_find(arena, key->hash, key->text, key->size, &chain)); /* not to be written to */
		else
			ck_assert(!find_key(arena, key, &chain));
		ck_assert_uint_le(chain.buckets, CHAIN_BUCKETS);
	}
	store_relaxed(&scene.bucket->slots[BUCKET_SLOTS - 1], 0);

	/* frozen or moved without a split that could go on */
	store_relaxed(&scene.bucket->slots[0], SLOT_FROZEN);
	ck_assert(!index_find(arena, key->hash, key->text, key->size, &chain));
	store_relaxed(&scene.bucket->slots[0], 0);
	store_relaxed(&scene.bucket->control, CONTROL_FROZEN);
	ck_assert(!index_find(arena, key->hash, key->text, key->size, &chain));
	ck_assert_uint_eq(lookup_version(arena, key), 0);
	store_relaxed(&scene.bucket->control, CONTROL_MOVED);
	ck_assert(!index_find(arena, key->hash, key->text, key->size, &chain));
	ck_assert_uint_eq(lookup_version(arena, key), 0);
	/* moved in a circle */
	store_relaxed(&arena->table[scene.segment].children, (uint64_t)scene.segment << 32 | scene.segment);
	ck_assert(!index_find(arena, key->hash, key->text, key->size, &chain));
	ck_assert_uint_eq(lookup_version(arena, key), 0);
	store_relaxed(&arena->table[scene.segment].children, UINT64_MAX);
	ck_assert_uint_eq(lookup_version(arena, key), 0);
	/* a directory that leads to the segment table, and to a free segment */
	for (uint32_t segment = 0; segment < 3; segment += 2) {
		for (uint32_t entry = 0; entry < 1u << arena->directory_bits; entry++)
			store_relaxed(&arena->directory[entry], segment);
		ck_assert(!index_find(arena, key->hash, key->text, key->size, &chain));
	}
	/* a directory that leads nowhere */
	for (uint32_t entry = 0; entry < 1u << arena->directory_bits; entry++)
		store_relaxed(&arena->directory[entry], entry % 2 ? UINT32_MAX : arena->segment_count);
	ck_assert(!index_find(arena, key->hash, key->text, key->size, &chain));
	ck_assert_uint_eq(lookup_version(arena, key), 0);
	scene_stop(&scene);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("intent");

	tcase_add_test(tests, test_reader_sees_nothing_of_an_intent);
	tcase_add_test(tests, test_finding_any_key_completes_it);
	tcase_add_test(tests, test_unlinking_completes_it_first);
	tcase_add_test(tests, test_splitting_completes_it_first);
	tcase_add_test(tests, test_intent_in_an_overflow_bucket);
	tcase_add_test(tests, test_intent_whose_object_is_placed_already);
	tcase_add_test(tests, test_empty_slot_of_the_intents_own_sequence);
	tcase_add_test(tests, test_empty_slot_of_any_other_sequence);
	tcase_add_test(tests, test_removed_object_leaves_sequence_and_place);
	tcase_add_test(tests, test_every_insert_changes_the_sequence);
	tcase_add_test(tests, test_sequence_skips_what_has_a_meaning);
	tcase_add_test(tests, test_sequence_wraps_without_losing_a_key);
	tcase_add_test(tests, test_late_helper_changes_nothing);
	tcase_add_test(tests, test_late_helper_of_a_split_bucket_changes_nothing);
	tcase_add_test(tests, test_chain_left_half_lengthened);
	tcase_add_test(tests, test_mirrored_object_is_removed_meanwhile);
	tcase_add_test(tests, test_impossible_intents_are_dropped);
	tcase_add_test(tests, test_full_chain_with_a_link_to_nowhere);
	tcase_add_test(tests, test_impossible_chains_end);
	return suite_run("intent", tests);
}
