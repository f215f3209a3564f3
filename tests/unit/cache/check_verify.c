/* SPDX-License-Identifier: MIT */
/* Breaks each invariant by writing into the arena, and sees that it is found and named. */
#include <errno.h>

#include "index/split.h"
#include "tests/unit/support/objects.h"
#include "tests/unit/support/writes.h"

#define HOME 50u
#define LONG_CHAIN 20 /* keys of one home, so that there are links */

/* An arena with something of everything. */
struct patient {
	struct world world;
	struct arena *arena;
	struct key keys[LONG_CHAIN];
	struct bucket *bucket; /* their home bucket */
	uint32_t index;        /* the index segment */
	uint32_t data;         /* a segment of class 0 with objects */
	uint32_t free;         /* one that nobody has taken */
	const char *phrase;    /* expected in some sentence */
	bool said;
	uint32_t sentences;
};

static void patient_start(struct patient *patient)
{
	uint32_t next = 0;

	memset(patient, 0, sizeof *patient);
	world_start(&patient->world, MIB);
	patient->arena = patient->world.arena;
	patient->index = patient->arena->system_segments;
	patient->bucket = &index_buckets(patient->arena, patient->index)[HOME];
	keys_of_home(patient->arena, HOME, LONG_CHAIN, &next, patient->keys);
	for (uint32_t i = 0; i < LONG_CHAIN; i++)
		put(&patient->world, patient->keys[i].text, "value");
	for (uint32_t i = 0; i < 500; i++) {
		char key[16];

		snprintf(key, sizeof key, "other %u", i);
		put_with(&patient->world, key, key, i % 4 * 3000, i % 2);
	}
	create_counter(&patient->world, "counter", 5, 0, 0);
	simple_write(&patient->world, WRITE_DELETE, "other 3", NULL);
	patient->data = (uint32_t)(slot_offset(load_relaxed(&patient->bucket->slots[0])) >>
	                           patient->arena->segment_shift);
	patient->free = patient->world.segments - 1;
}

static void listen(void *context, const char *sentence)
{
	struct patient *patient = context;

	patient->sentences++;
	patient->said |= patient->phrase && strstr(sentence, patient->phrase) != NULL;
}

static int verify(struct patient *patient, struct cache_verify_counts *ret_counts)
{
	return cache_verify(&patient->world.self.thread, listen, patient, ret_counts);
}

START_TEST(test_sound_arena)
{
	struct patient patient;
	struct cache_verify_counts counts;

	patient_start(&patient);
	ck_assert_int_eq(verify(&patient, &counts), 0);
	ck_assert_uint_eq(patient.sentences, 0);
	ck_assert_uint_eq(counts.faults, 0);
	ck_assert_uint_eq(counts.segments, patient.world.segments);
	ck_assert_uint_eq(counts.entries, LONG_CHAIN + 500 + 1 - 1);
	ck_assert_uint_eq(counts.objects, LONG_CHAIN + 500 + 1); /* the deleted one still lies there */
	ck_assert_uint_ge(counts.buckets, patient.arena->homes + 3);
	ck_assert_uint_eq(counts.intents, 0);
	ck_assert_int_eq(cache_verify(&patient.world.self.thread, NULL, NULL, NULL), 0);
	world_stop(&patient.world);
}
END_TEST

START_TEST(test_arena_is_sound_at_every_stage_of_a_split)
{
	struct patient patient;

	patient_start(&patient);
	ck_assert(split_begin(patient.arena, patient.index));
	ck_assert_int_eq(verify(&patient, NULL), 0);
	for (uint32_t home = 0; home < patient.arena->homes; home++) {
		expect(split_bucket(patient.arena, patient.index, home));
		if (home % 100 == 50)
			ck_assert_int_eq(verify(&patient, NULL), 0);
	}
	ck_assert_int_eq(verify(&patient, NULL), 0);
	split_finish(patient.arena, patient.index);
	ck_assert_int_eq(verify(&patient, NULL), 0);
	ck_assert_uint_eq(patient.sentences, 0);
	world_stop(&patient.world);
}
END_TEST

START_TEST(test_pending_intents_are_counted)
{
	struct patient patient;
	struct cache_verify_counts counts;
	struct key key;
	struct made made;

	patient_start(&patient);
	key = key_of(patient.arena, 100000);
	made = object_for(&patient.world.self.thread, &key, 1);
	store_relaxed(&patient.bucket->control, load_relaxed(&patient.bucket->control) +
	                                                (UINT64_C(1) << CONTROL_SEQUENCE_SHIFT) + made.offset / 8);
	ck_assert_int_eq(verify(&patient, &counts), 0);
	ck_assert_uint_eq(counts.intents, 1);
	world_stop(&patient.world);
}
END_TEST

/* ---- one wound each ---------------------------------------------------------------------------------------------------- */

typedef void wound(struct patient *patient);

static void set_word(struct patient *patient, uint32_t segment, struct segment_word word)
{
	store_relaxed(&patient->arena->table[segment].state, segment_pack(word));
}

static void set_state(struct patient *patient, uint32_t segment, enum segment_state state)
{
	struct segment_word word = segment_load(patient->arena, segment);

	word.state = state;
	set_word(patient, segment, word);
}

static void set_slot(struct patient *patient, uint32_t slot, uint64_t word)
{
	store_relaxed(&patient->bucket->slots[slot], word);
}

static uint64_t slot(const struct patient *patient, uint32_t number)
{
	return load_relaxed(&patient->bucket->slots[number]);
}

static void wrong_magic(struct patient *patient)
{
	patient->arena->header->magic++;
}

static void wrong_version(struct patient *patient)
{
	patient->arena->header->layout_version++;
}

static void wrong_stamp(struct patient *patient)
{
	patient->arena->header->layout_stamp++;
}

static void wrong_bytes(struct patient *patient)
{
	patient->arena->header->arena_bytes++;
}

static void wrong_segment_bytes(struct patient *patient)
{
	patient->arena->header->segment_bytes *= 2;
}

static void wrong_segment_count(struct patient *patient)
{
	patient->arena->header->segment_count--;
}

static void wrong_system_segments(struct patient *patient)
{
	patient->arena->header->system_segments++;
}

static void wrong_directory_bits(struct patient *patient)
{
	patient->arena->header->directory_bits++;
}

static void wrong_secret(struct patient *patient)
{
	patient->arena->header->secret[SECRET_BYTES - 1] ^= 1;
}

static void epoch_zero(struct patient *patient)
{
	store_relaxed(&patient->arena->header->epoch, 0);
}

static void epoch_revoked(struct patient *patient)
{
	store_relaxed(&patient->arena->header->epoch, EPOCH_REVOKED);
}

static void wrong_open_segment(struct patient *patient)
{
	store_relaxed(&patient->arena->header->open_segment[SLABS - 1], patient->world.segments + 1);
}

static void no_state(struct patient *patient)
{
	set_state(patient, patient->free, (enum segment_state)(SEGMENT_READY + 1));
}

static void system_misplaced(struct patient *patient)
{
	set_state(patient, patient->free, SEGMENT_SYSTEM);
}

static void system_missing(struct patient *patient)
{
	set_state(patient, 0, SEGMENT_FREE);
}

static void too_many_chunks(struct patient *patient)
{
	struct segment_word word = { .state = SEGMENT_OPEN, .next_chunk = patient->arena->chunks + 1 };

	store_relaxed(&patient->arena->table[patient->free].state, segment_pack(word));
}

static void ready_without_length(struct patient *patient)
{
	set_state(patient, patient->free, SEGMENT_READY);
}

static void make_head(struct patient *patient, uint32_t segment, enum segment_state state, uint32_t length)
{
	struct segment_word word = { .state = state, .next_chunk = length * patient->arena->chunks };

	store_relaxed(&patient->arena->table[segment].state, segment_pack(word));
	for (uint32_t i = 1; i < length && segment + i < patient->world.segments; i++)
		set_state(patient, segment + i, SEGMENT_EXTENT);
}

static void extent_beyond_the_arena(struct patient *patient)
{
	make_head(patient, patient->free, SEGMENT_READY, 2);
}

static void extent_too_long(struct patient *patient)
{
	make_head(patient, 5, SEGMENT_READY, 10);
}

static void extent_not_continued(struct patient *patient)
{
	make_head(patient, patient->free - 2, SEGMENT_READY, 3);
	set_state(patient, patient->free, SEGMENT_FREE);
}

static void no_class(struct patient *patient)
{
	struct segment_word word = { .state = SEGMENT_OPEN, .ttl_class = TTL_CLASSES };

	store_relaxed(&patient->arena->table[patient->free].state, segment_pack(word));
}

static void directory_nowhere(struct patient *patient)
{
	store_relaxed(&patient->arena->directory[3], patient->world.segments);
}

static void directory_to_data(struct patient *patient)
{
	store_relaxed(&patient->arena->directory[3], patient->data);
}

static void directory_wrong_prefix(struct patient *patient)
{
	store_relaxed(&patient->arena->table[patient->index].depth, 1);
}

static void directory_too_deep(struct patient *patient)
{
	store_relaxed(&patient->arena->table[patient->index].depth, patient->arena->directory_bits + 1);
}

static void frozen(struct patient *patient)
{
	store_relaxed(&patient->bucket->control, load_relaxed(&patient->bucket->control) | CONTROL_FROZEN);
}

static void object_beyond_the_arena(struct patient *patient)
{
	set_slot(patient, 0, slot_pack(patient->keys[0].hash, 0, patient->arena->bytes));
}

static atomic_u64 *head(const struct patient *patient)
{
	return &((struct object *)(void *)(patient->arena->base + slot_offset(slot(patient, 0))))->head;
}

static void object_missing(struct patient *patient)
{
	store_relaxed(head(patient), 0);
}

static void object_in_a_free_segment(struct patient *patient)
{
	unsigned char *to = segment_base(patient->arena, patient->free) + sizeof(struct chunk_header);

	memcpy(to, patient->arena->base + slot_offset(slot(patient, 0)), 64);
	set_slot(patient, 0, slot_pack(patient->keys[0].hash, 0, (uint64_t)(to - patient->arena->base)));
}

static void object_of_another_generation(struct patient *patient)
{
	set_slot(patient, 0, slot(patient, 0) ^ UINT64_C(1) << SLOT_GENERATION_SHIFT);
}

static void object_beyond_its_segment(struct patient *patient)
{
	store_relaxed(head(patient), UINT64_C(70000) << OBJECT_VALUE_SIZE_SHIFT | patient->keys[0].size);
}

static void object_with_more_padding(struct patient *patient)
{
	store_relaxed(head(patient), load_relaxed(head(patient)) + (UINT64_C(1) << OBJECT_PADDING_SHIFT));
}

static void object_of_another_tag(struct patient *patient)
{
	set_slot(patient, 0, slot(patient, 0) ^ UINT64_C(1) << SLOT_TAG_SHIFT);
}

static void object_of_another_bucket(struct patient *patient)
{
	store_relaxed(&patient->bucket[1].slots[0], slot(patient, 0));
}

static void split(struct patient *patient)
{
	ck_assert(split_begin(patient->arena, patient->index));
	for (uint32_t home = 0; home < patient->arena->homes; home++)
		expect(split_bucket(patient->arena, patient->index, home));
	split_finish(patient->arena, patient->index);
}

/* Exchanges the children of a split, so that all their keys are in the wrong one. */
static void object_of_another_segment(struct patient *patient)
{
	uint32_t entries = 1u << patient->arena->directory_bits, low, high;

	split(patient);
	low = load_relaxed(&patient->arena->directory[0]);
	high = load_relaxed(&patient->arena->directory[entries - 1]);
	for (uint32_t entry = 0; entry < entries; entry++)
		store_relaxed(&patient->arena->directory[entry], entry < entries / 2 ? high : low);
	store_relaxed(&patient->arena->table[low].prefix, entries / 2);
	store_relaxed(&patient->arena->table[high].prefix, 0);
}

static void child_of_another_depth(struct patient *patient)
{
	ck_assert(split_begin_rebuild(patient->arena, patient->index));
	store_relaxed(&patient->arena->table[patient->index].depth, 1);
}

static void child_of_other_parents(struct patient *patient)
{
	struct segment_entry *table = patient->arena->table;
	uint32_t lower, upper, child;

	split(patient);
	lower = (uint32_t)load_relaxed(&table[patient->index].children);
	upper = (uint32_t)(load_relaxed(&table[patient->index].children) >> 32);
	ck_assert(split_begin_merge(patient->arena, lower, upper));
	ck_assert_int_eq(verify(patient, NULL), 0);
	child = (uint32_t)load_relaxed(&table[lower].children);
	store_relaxed(&table[child].parents, (uint64_t)upper << 32 | child);
}

static void segment_of_another_class(struct patient *patient)
{
	struct segment_word word = segment_load(patient->arena, patient->data);

	word.ttl_class = 3;
	set_word(patient, patient->data, word);
}

static void life_longer_than_the_segments(struct patient *patient)
{
	for (uint32_t segment = 0; segment < patient->world.segments; segment++)
		store_relaxed(&patient->arena->table[segment].expires_ms, 1000);
}

static void link_in_the_middle(struct patient *patient)
{
	set_slot(patient, 2, slot(patient, BUCKET_SLOTS - 1));
}

static void link_to_nowhere(struct patient *patient)
{
	set_slot(patient, BUCKET_SLOTS - 1, SLOT_LINK | 1);
}

static void link_to_anothers_bucket(struct patient *patient)
{
	struct bucket *overflow = index_linked(patient->arena, patient->index, slot(patient, BUCKET_SLOTS - 1));

	store_relaxed(&overflow->control, load_relaxed(&overflow->control) + 1);
}

static void chain_too_long(struct patient *patient)
{
	struct bucket *bucket = patient->bucket;
	uint64_t link = 0;

	for (uint32_t level = 1; level < CHAIN_BUCKETS; level++) {
		bucket = index_claim_overflow(patient->arena, patient->index, HOME, level, &link);
		if (level == CHAIN_BUCKETS - 1)
			store_relaxed(&bucket->slots[BUCKET_SLOTS - 1], link);
	}
}

static void key_twice(struct patient *patient)
{
	set_slot(patient, 1, slot(patient, 0));
}

static void run_too_long(struct patient *patient)
{
	store_relaxed(&((struct chunk_header *)(void *)segment_base(patient->arena, patient->data))->chunks, 100);
}

static void rubbish_behind_the_objects(struct patient *patient)
{
	const struct allocator_run *run = &patient->world.self.thread.allocator->runs[0];

	expect(run->end - run->next >= 24);
	memset(patient->arena->base + run->next, 0xff, 24);
}

static const struct {
	const char *name;
	wound *wound;
	const char *phrase;
} wounds[] = {
#define WOUND(name, phrase) \
	{ \
#name, name, phrase \
	}
	WOUND(wrong_magic, "magic"),
	WOUND(wrong_version, "layout version"),
	WOUND(wrong_stamp, "layout stamp"),
	WOUND(wrong_bytes, "geometry"),
	WOUND(wrong_segment_bytes, "geometry"),
	WOUND(wrong_segment_count, "geometry"),
	WOUND(wrong_system_segments, "geometry"),
	WOUND(wrong_directory_bits, "geometry"),
	WOUND(wrong_secret, "secret"),
	WOUND(epoch_zero, "0 is no epoch"),
	WOUND(epoch_revoked, "is no epoch"),
	WOUND(wrong_open_segment, "slab 767 allocates in segment 16"),
	WOUND(no_state, "10 is no state"),
	WOUND(system_misplaced, "segment 15: in state 5"),
	WOUND(system_missing, "segment 0: in state 0"),
	WOUND(too_many_chunks, "segment 15, head of an extent of 17 chunks: no extent can have such a length"),
	WOUND(ready_without_length, "segment 15, head of an extent of 0 chunks: no extent can have such a length"),
	WOUND(extent_beyond_the_arena, "segment 15, head of an extent of 32 chunks: no extent can have such a length"),
	WOUND(extent_too_long, "segment 5, head of an extent of 160 chunks: no object needs so long an extent"),
	WOUND(extent_not_continued, "segment 13, head of an extent of 48 chunks: what should continue it does not"),
	WOUND(no_class, "TTL class 24"),
	WOUND(directory_nowhere, "directory entry 3: segment 16"),
	WOUND(directory_to_data, "directory entry 3"),
	WOUND(directory_wrong_prefix, "directory entry 4"),
	WOUND(directory_too_deep, "directory entry 0"),
	WOUND(frozen, "frozen"),
	WOUND(object_beyond_the_arena, "slot 0: no object there"),
	WOUND(object_missing, "slot 0: no object there"),
	WOUND(object_in_a_free_segment, "holds no data"),
	WOUND(object_of_another_generation, "another generation"),
	WOUND(object_beyond_its_segment, "beyond its segment"),
	WOUND(object_with_more_padding, "not aligned"),
	WOUND(object_of_another_tag, "tag"),
	WOUND(object_of_another_bucket, "bucket 51 slot 0: its key belongs to another bucket"),
	WOUND(object_of_another_segment, "another index segment"),
	WOUND(child_of_another_depth, "its child is neither"),
	WOUND(child_of_other_parents, "its child is neither"),
	WOUND(segment_of_another_class, "another TTL class"),
	WOUND(life_longer_than_the_segments, "lives longer"),
	WOUND(link_in_the_middle, "slot 2: only the last slot"),
	WOUND(link_to_nowhere, "slot 6: it leads to no overflow bucket"),
	WOUND(link_to_anothers_bucket, "belongs to another home bucket"),
	WOUND(chain_too_long, "too long"),
	WOUND(key_twice, "slots 0 and 1 have the same key"),
	WOUND(run_too_long, "neither an object nor free"),
	WOUND(rubbish_behind_the_objects, "neither an object nor free"),
#undef WOUND
};

#define WOUNDS (sizeof wounds / sizeof wounds[0])

START_TEST(test_wound_is_found)
{
	struct patient patient;
	struct cache_verify_counts counts;

	patient_start(&patient);
	patient.phrase = wounds[_i].phrase;
	wounds[_i].wound(&patient);
	ck_assert_msg(verify(&patient, &counts) == -EUCLEAN, "%s", wounds[_i].name);
	ck_assert_uint_eq(counts.faults, patient.sentences);
	ck_assert_msg(patient.said, "%s", wounds[_i].name);
	world_stop(&patient.world);
}
END_TEST

/* ---- anything at all --------------------------------------------------------------------------------------------------- */

START_TEST(test_random_bytes_end)
{
	for (uint32_t seed = 0; seed < 10; seed++) {
		struct patient patient;
		struct random random = { seed };

		patient_start(&patient);
		random_bytes(&random, patient.arena->base, patient.arena->bytes);
		ck_assert_int_eq(verify(&patient, NULL), -EUCLEAN);
		ck_assert_uint_gt(patient.sentences, 0);
		world_stop(&patient.world);
	}
}
END_TEST

/* Sound but for some words: this leads deeper than what is rubbish all over. */
START_TEST(test_random_words_end)
{
	struct patient patient;
	static unsigned char sound[MIB];
	struct random random = { 77 };

	patient_start(&patient);
	memcpy(sound, patient.arena->base, MIB);
	for (uint32_t round = 0; round < 300; round++) {
		uint32_t words = 1 + random_below(&random, 400);

		memcpy(patient.arena->base, sound, MIB);
		for (uint32_t i = 0; i < words; i++) {
			uint32_t where = random_below(&random, 8);
			uint64_t offset = where == 0  ? random_below(&random, MIB / 8) * 8
			                  : where < 4 ? 4096 + random_below(&random, 150) * 8 /* table and directory */
			                              : MIB / 16 + random_below(&random, SEGMENT_BYTES_MIN / 8) *
			                                                   8; /* index */
			uint64_t *word = (uint64_t *)(void *)(patient.arena->base + offset);

			if (random_below(&random, 3) == 0)
				*word = random_next(&random);
			else
				*word ^= UINT64_C(1) << random_below(&random, 64);
		}
		verify(&patient, NULL);
	}
	world_stop(&patient.world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("verify");

	tcase_add_test(tests, test_sound_arena);
	tcase_add_test(tests, test_arena_is_sound_at_every_stage_of_a_split);
	tcase_add_test(tests, test_pending_intents_are_counted);
	tcase_add_loop_test(tests, test_wound_is_found, 0, (int)WOUNDS);
	tcase_add_test(tests, test_random_bytes_end);
	tcase_add_test(tests, test_random_words_end);
	return suite_run("verify", tests);
}
