/* SPDX-License-Identifier: MIT */
#include "arena/segment.h"

#include <sched.h>

#include "tests/unit/support/threads.h"
#include "tests/unit/support/world.h"

#define LEAST_CHUNKS (SEGMENT_BYTES_MIN / CHUNK_BYTES) /* of the segments of a small arena */
/* One run of chunks that somebody was given. */
struct run {
	uint32_t segment, generation, chunk;
};

static bool take(const struct world *world, uint32_t ttl_class, uint32_t chunks, struct run *ret_run)
{
	return segment_take_chunks(world->arena, ttl_class, chunks, 1, &ret_run->segment, &ret_run->generation,
	                           &ret_run->chunk);
}

static struct run take_one(const struct world *world, uint32_t ttl_class)
{
	struct run run = { 0 };

	ck_assert(take(world, ttl_class, 1, &run));
	return run;
}

static void retire(const struct world *world, uint32_t segment)
{
	ck_assert(segment_change(world->arena, segment, SEGMENT_OPEN, SEGMENT_CONDEMNED));
	ck_assert(segment_change(world->arena, segment, SEGMENT_CONDEMNED, SEGMENT_RETIRED));
	segment_recycle(world->arena, segment);
}

/* ---- the words ----------------------------------------------------------------------------------------------------- */

START_TEST(test_state_word_holds_every_field)
{
	const struct segment_word words[] = {
		{ 0, SEGMENT_FREE, 0, POOL_PROBATION, 0, 0 },
		{ UINT32_MAX, SEGMENT_SYSTEM, TENANTS - 1, POOL_MAIN, TTL_CLASSES - 1,
		  SEGMENT_BYTES_MAX / CHUNK_BYTES },
		{ 0, SEGMENT_RETIRED, 5, POOL_PROBATION, 0, 0xffff },
		{ 0x55555555, SEGMENT_OPEN, 0, POOL_MAIN, 0x7f, 0 },
	};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		struct segment_word word = segment_unpack(segment_pack(words[i]));

		ck_assert_uint_eq(word.generation, words[i].generation);
		ck_assert_int_eq(word.state, words[i].state);
		ck_assert_uint_eq(word.tenant, words[i].tenant);
		ck_assert_int_eq(word.pool, words[i].pool);
		ck_assert_uint_eq(word.ttl_class, words[i].ttl_class);
		ck_assert_uint_eq(word.next_chunk, words[i].next_chunk);
	}
}
END_TEST

START_TEST(test_class_of_a_life)
{
	ck_assert_uint_eq(segment_class(0), 0);
	ck_assert_uint_eq(segment_class(1), 1);
	ck_assert_uint_eq(segment_class(999), 1);
	for (uint32_t c = 1; c < TTL_CLASSES; c++) {
		uint64_t least = (UINT64_C(1) << (c - 1)) * 1000;

		ck_assert_uint_eq(segment_class(least), c);
		ck_assert_uint_eq(segment_class(2 * least - 1), c);
	}
	ck_assert_uint_eq(segment_class((UINT64_C(1) << (TTL_CLASSES - 1)) * 1000), TTL_CLASSES - 1);
	ck_assert_uint_eq(segment_class(UINT64_MAX), TTL_CLASSES - 1);
}
END_TEST

START_TEST(test_fresh_arena)
{
	struct world world;
	uint32_t first;

	world_start(&world, MIB);
	first = world.arena->system_segments;
	for (uint32_t segment = 0; segment < world.segments; segment++) {
		struct segment_word word = segment_load(world.arena, segment);

		ck_assert_int_eq(word.state, segment < first    ? SEGMENT_SYSTEM
		                             : segment == first ? SEGMENT_INDEX
		                                                : SEGMENT_FREE);
		ck_assert_uint_eq(word.generation, 0);
	}
	for (uint32_t entry = 0; entry < 1u << world.arena->directory_bits; entry++)
		ck_assert_uint_eq(load_relaxed(&world.arena->directory[entry]), first);
	ck_assert_uint_eq(load_relaxed(&world.arena->table[first].depth), 0);
	ck_assert_uint_eq(load_relaxed(&world.arena->header->free_segments), world.segments - first - 1);
	world_stop(&world);
}
END_TEST

START_TEST(test_cleared_index_segment)
{
	struct world world;
	struct bucket *buckets;
	uint32_t segment;

	world_start(&world, MIB);
	ck_assert(segment_take_index(world.arena, &segment));
	memset(segment_base(world.arena, segment), 0xa5, world.arena->segment_bytes);
	store_relaxed(&world.arena->table[segment].children, 7);
	store_relaxed(&world.arena->table[segment].overflow_used, 7);
	segment_clear_index(world.arena, segment);
	buckets = (struct bucket *)(void *)segment_base(world.arena, segment);
	for (uint32_t b = 0; b < world.arena->homes + world.arena->overflows; b++) {
		/* A home's sequence begins at 1, because an empty word with sequence 0 is one that was never used. */
		expect_equal(load_relaxed(&buckets[b].control),
		             b < world.arena->homes ? INT64_C(1) << CONTROL_SEQUENCE_SHIFT : 0);
		for (int slot = 0; slot < BUCKET_SLOTS; slot++)
			expect_equal(load_relaxed(&buckets[b].slots[slot]), 0);
	}
	ck_assert_uint_eq(load_relaxed(&world.arena->table[segment].children), 0);
	ck_assert_uint_eq(load_relaxed(&world.arena->table[segment].overflow_used), 0);
	world_stop(&world);
}
END_TEST

/* ---- taking chunks ------------------------------------------------------------------------------------------------- */

START_TEST(test_every_chunk_is_given_once_until_none_is_left)
{
	bool given[16][LEAST_CHUNKS] = { { false } };
	struct world world;
	struct run run;
	uint32_t chunks = 0;

	world_start(&world, MIB);
	while (take(&world, 0, 1, &run)) {
		ck_assert_uint_lt(run.segment, world.segments);
		ck_assert_uint_lt(run.chunk, world.arena->chunks);
		ck_assert(!given[run.segment][run.chunk]);
		given[run.segment][run.chunk] = true;
		chunks++;
	}
	ck_assert_uint_eq(chunks, (world.segments - world.arena->system_segments - 1) * world.arena->chunks);
	ck_assert_uint_eq(load_relaxed(&world.arena->header->free_segments), 0);
	ck_assert(!take(&world, 5, 1, &run));
	ck_assert(!segment_take_index(world.arena, &run.segment));
	world_stop(&world);
}
END_TEST

START_TEST(test_classes_never_share_a_segment)
{
	struct world world;

	world_start(&world, 64 * MIB);
	for (int round = 0; round < 3; round++)
		for (uint32_t c = 0; c < TTL_CLASSES; c++) {
			struct run run = take_one(&world, c);
			struct segment_word word = segment_load(world.arena, run.segment);

			ck_assert_uint_eq(word.ttl_class, c);
			ck_assert_int_eq(word.state, SEGMENT_OPEN);
			ck_assert_uint_eq(run.chunk, round);
		}
	world_stop(&world);
}
END_TEST

START_TEST(test_run_is_in_one_segment)
{
	struct world world;
	struct run first, large, small;

	world_start(&world, MIB);
	ck_assert(take(&world, 0, LEAST_CHUNKS - 1, &first));
	ck_assert_uint_eq(first.chunk, 0);
	ck_assert(take(&world, 0, LEAST_CHUNKS, &large));
	ck_assert_uint_ne(large.segment, first.segment);
	ck_assert_uint_eq(large.chunk, 0);
	ck_assert(take(&world, 0, 1, &small));
	ck_assert_uint_eq(small.chunk, first.segment == small.segment ? LEAST_CHUNKS - 1 : 0);
	ck_assert(!take(&world, 0, LEAST_CHUNKS + 1, &large)); /* there is no such segment */
	ck_assert(!take(&world, 1, UINT32_MAX, &large));
	world_stop(&world);
}
END_TEST

/* The hint where a class allocates may be outdated, or written by anybody. */
START_TEST(test_open_hint_may_point_anywhere)
{
	struct world world;
	struct run other;
	uint32_t hints[8];

	world_start(&world, 2 * MIB);
	other = take_one(&world, 7);
	hints[0] = 0;
	hints[1] = 1;                                /* system */
	hints[2] = world.arena->system_segments + 1; /* index */
	hints[3] = other.segment + 1;                /* another class */
	hints[4] = world.segments;                   /* free */
	hints[5] = world.segments + 1;               /* none */
	hints[6] = UINT32_MAX;
	hints[7] = UINT32_MAX / 2;
	for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++) {
		struct run run;

		store_relaxed(&world.arena->header->open_segment[2], hints[i]);
		run = take_one(&world, 2);
		ck_assert_uint_lt(run.segment, world.segments);
		ck_assert_uint_eq(segment_load(world.arena, run.segment).ttl_class, 2);
		ck_assert_uint_eq(run.chunk, i % world.arena->chunks); /* it is found without the hint */
	}
	world_stop(&world);
}
END_TEST

START_TEST(test_search_hint_may_point_anywhere)
{
	static const uint32_t hints[] = { 0, 15, 16, 17, UINT32_MAX - 1, UINT32_MAX };
	struct world world;

	world_start(&world, MIB);
	for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++) {
		store_relaxed(&world.arena->header->search_hint, hints[i]);
		ck_assert_uint_lt(take_one(&world, (uint32_t)i).segment, world.segments);
	}
	world_stop(&world);
}
END_TEST

START_TEST(test_condemned_segment_gives_no_chunk)
{
	struct world world;
	struct run first, second;

	world_start(&world, MIB);
	first = take_one(&world, 3);
	ck_assert(segment_change(world.arena, first.segment, SEGMENT_OPEN, SEGMENT_CONDEMNED));
	second = take_one(&world, 3);
	ck_assert_uint_ne(second.segment, first.segment);
	/* opened again it goes on where it was */
	ck_assert(segment_change(world.arena, first.segment, SEGMENT_CONDEMNED, SEGMENT_OPEN));
	store_relaxed(&world.arena->header->open_segment[3], first.segment + 1);
	second = take_one(&world, 3);
	ck_assert_uint_eq(second.segment, first.segment);
	ck_assert_uint_eq(second.chunk, 1);
	world_stop(&world);
}
END_TEST

/* ---- states -------------------------------------------------------------------------------------------------------- */

START_TEST(test_change_needs_the_state_it_names)
{
	struct world world;
	struct run run;
	struct segment_word before, after;

	world_start(&world, MIB);
	ck_assert(take(&world, 9, 2, &run));
	before = segment_load(world.arena, run.segment);
	for (enum segment_state from = SEGMENT_FREE; from <= SEGMENT_SYSTEM; from++)
		if (from != SEGMENT_OPEN)
			ck_assert(!segment_change(world.arena, run.segment, from, SEGMENT_FREE));
	ck_assert(segment_change(world.arena, run.segment, SEGMENT_OPEN, SEGMENT_CONDEMNED));
	after = segment_load(world.arena, run.segment);
	ck_assert_int_eq(after.state, SEGMENT_CONDEMNED);
	ck_assert_uint_eq(after.generation, before.generation);
	ck_assert_uint_eq(after.ttl_class, 9);
	ck_assert_uint_eq(after.next_chunk, 2);
	world_stop(&world);
}
END_TEST

START_TEST(test_index_segment_is_not_for_data)
{
	struct world world;
	struct run run;
	uint32_t segment;

	world_start(&world, MIB);
	ck_assert(segment_take_index(world.arena, &segment));
	ck_assert_int_eq(segment_load(world.arena, segment).state, SEGMENT_RETIRED);
	while (take(&world, 0, 4, &run))
		ck_assert_uint_ne(run.segment, segment);
	world_stop(&world);
}
END_TEST

START_TEST(test_recycled_segment_shows_nothing_of_its_former_life)
{
	struct world world;
	struct run run;
	struct segment_entry *entry;
	struct segment_word word;
	uint32_t free;

	world_start(&world, MIB);
	ck_assert(take(&world, 4, 4, &run));
	entry = &world.arena->table[run.segment];
	free = load_relaxed(&world.arena->header->free_segments);
	memset(segment_base(world.arena, run.segment), 0xff, world.arena->segment_bytes);
	segment_raise_expiry(world.arena, run.segment, 5000);
	store_relaxed(&entry->children, 3);
	retire(&world, run.segment);
	word = segment_load(world.arena, run.segment);
	ck_assert_int_eq(word.state, SEGMENT_FREE);
	ck_assert_uint_eq(word.generation, run.generation + 1);
	ck_assert_uint_eq(word.next_chunk, 0);
	ck_assert_uint_eq(word.ttl_class, 0);
	ck_assert_uint_eq(load_relaxed(&entry->expires_ms), 0);
	ck_assert_uint_eq(load_relaxed(&entry->children), 0);
	ck_assert_uint_eq(load_relaxed(&world.arena->header->free_segments), free + 1);
	for (uint32_t chunk = 0; chunk < world.arena->chunks; chunk++) {
		struct chunk_header *header = (struct chunk_header *)(void *)(segment_base(world.arena, run.segment) +
		                                                              chunk * CHUNK_BYTES);

		ck_assert_uint_eq(load_relaxed(&header->chunks), 0);
	}
	world_stop(&world);
}
END_TEST

START_TEST(test_generations_grow_and_wrap)
{
	struct world world;
	uint32_t segment, generation = UINT32_MAX - 5;

	world_start(&world, MIB);
	segment = world.segments - 1;
	store_relaxed(&world.arena->table[segment].state,
	              segment_pack((struct segment_word){ .generation = generation, .state = SEGMENT_RETIRED }));
	for (int life = 0; life < 10; life++) {
		struct segment_word word;

		segment_recycle(world.arena, segment);
		word = segment_load(world.arena, segment);
		ck_assert_uint_eq(word.generation, ++generation);
		ck_assert_int_eq(word.state, SEGMENT_FREE);
		ck_assert_uint_eq(word.ttl_class, 0);
		ck_assert_uint_eq(word.next_chunk, 0);
	}
	world_stop(&world);
}
END_TEST

/* ---- expiry -------------------------------------------------------------------------------------------------------- */

START_TEST(test_expiry_is_raised_in_steps_and_never_lowered)
{
	struct world world;
	atomic_u64 *bound;

	world_start(&world, MIB);
	bound = &world.arena->table[5].expires_ms;
	segment_raise_expiry(world.arena, 5, 1);
	ck_assert_uint_eq(load_relaxed(bound), 250);
	segment_raise_expiry(world.arena, 5, 250);
	ck_assert_uint_eq(load_relaxed(bound), 250);
	segment_raise_expiry(world.arena, 5, 251);
	ck_assert_uint_eq(load_relaxed(bound), 500);
	segment_raise_expiry(world.arena, 5, 3);
	ck_assert_uint_eq(load_relaxed(bound), 500);
	world_stop(&world);
}
END_TEST

static void raise_to_many(void *context, uint32_t number)
{
	const struct world *world = context;
	struct random random = { number };

	for (uint32_t i = 0; i < 5000; i++) {
		uint64_t wanted = random_below(&random, 1000) * UINT64_C(1000) + number + i;

		segment_raise_expiry(world->arena, 5, wanted);
		expect(load_relaxed(&world->arena->table[5].expires_ms) >= wanted);
	}
}

START_TEST(test_expiry_raised_by_many)
{
	struct world world;

	world_start(&world, MIB);
	threads_run(4, raise_to_many, &world);
	ck_assert_uint_eq(load_relaxed(&world.arena->table[5].expires_ms) % 1000, 0);
	world_stop(&world);
}
END_TEST

/* ---- many at once -------------------------------------------------------------------------------------------------- */

#define TAKERS 4

struct contest {
	struct world world;
	atomic_u32 owner[32][LEAST_CHUNKS]; /* generation + 1 in which the chunk was given last */
	bool recycling;
	atomic_u32 takers_left;
};

static void take_at_random(struct contest *contest, uint32_t number)
{
	const struct world *world = &contest->world;
	struct random random = { number };
	uint32_t given = 0;

	while (given < 3000) {
		uint32_t chunks = 1 + random_below(&random, 3), ttl_class = random_below(&random, 3);
		struct run run;

		if (!take(world, ttl_class, chunks, &run)) {
			if (!contest->recycling)
				break;
			sched_yield();
			continue;
		}
		expect(run.segment > world->arena->system_segments && run.segment < world->segments);
		expect(run.chunk + chunks <= world->arena->chunks);
		for (uint32_t c = run.chunk; c < run.chunk + chunks; c++)
			expect(exchange_acquire(&contest->owner[run.segment][c], run.generation + 1) !=
			       run.generation + 1);
		given++;
	}
	fetch_sub_release(&contest->takers_left, 1);
}

/* Gives segments back while the others take. */
static void recycle_at_random(struct contest *contest)
{
	const struct world *world = &contest->world;
	struct random random = { 99 };

	while (load_acquire(&contest->takers_left) > 0) {
		uint32_t segment = random_below(&random, world->segments);

		if (!segment_change(world->arena, segment, SEGMENT_OPEN, SEGMENT_CONDEMNED))
			continue;
		expect(segment_change(world->arena, segment, SEGMENT_CONDEMNED, SEGMENT_RETIRED));
		segment_recycle(world->arena, segment);
	}
}

static void contend(void *context, uint32_t number)
{
	if (number < TAKERS)
		take_at_random(context, number);
	else
		recycle_at_random(context);
}

START_TEST(test_no_chunk_is_given_twice)
{
	static struct contest contest;

	world_start(&contest.world, 2 * MIB);
	store_relaxed(&contest.takers_left, TAKERS);
	threads_run(TAKERS, contend, &contest);
	ck_assert_uint_eq(load_relaxed(&contest.world.arena->header->free_segments), 0);
	world_stop(&contest.world);
}
END_TEST

START_TEST(test_no_chunk_is_given_twice_in_a_generation)
{
	static struct contest contest;

	world_start(&contest.world, 2 * MIB);
	contest.recycling = true;
	store_relaxed(&contest.takers_left, TAKERS);
	threads_run(TAKERS + 1, contend, &contest);
	ck_assert_uint_eq(load_relaxed(&contest.world.arena->header->free_segments),
	                  world_count(&contest.world, SEGMENT_FREE));
	world_stop(&contest.world);
}
END_TEST

/* A tenant takes no more than it has room for; others go on. */
START_TEST(test_room_of_a_tenant)
{
	struct world world;
	struct run run;
	uint32_t free;

	world_start(&world, 2 * MIB);
	free = world_count(&world, SEGMENT_FREE);
	segment_set_room(world.arena, 3, 2);
	for (int i = 0; i < 2; i++) {
		ck_assert(take(&world, 3 * TENANT_SLABS, world.arena->chunks, &run));
		ck_assert_uint_eq(segment_load(world.arena, run.segment).tenant, 3);
	}
	ck_assert(segment_room_low(world.arena, 3));
	ck_assert(!take(&world, 3 * TENANT_SLABS, 1, &run));
	ck_assert(!take(&world, 3 * TENANT_SLABS + TTL_CLASSES, 1, &run));
	ck_assert(take(&world, 2 * TENANT_SLABS, 1, &run));
	ck_assert_uint_eq(segment_load(world.arena, run.segment).tenant, 2);
	segment_add_room(world.arena, 3, 1);
	segment_add_room(world.arena, 2, 1); /* which has no limit */
	ck_assert(take(&world, 3 * TENANT_SLABS + TTL_CLASSES + 1, 1, &run));
	ck_assert_int_eq(segment_load(world.arena, run.segment).pool, POOL_MAIN);
	ck_assert_uint_eq(segment_load(world.arena, run.segment).ttl_class, 1);
	ck_assert(!take(&world, 3 * TENANT_SLABS, 1, &run));
	ck_assert_uint_eq(world_count(&world, SEGMENT_FREE), free - 4);
	ck_assert(!segment_room_low(world.arena, 2));
	/* What it has room for in the open segment of a slab is not counted. */
	ck_assert(take(&world, 3 * TENANT_SLABS + TTL_CLASSES + 1, 1, &run));
	world_stop(&world);
}
END_TEST

/* What is absent is taken by nobody; what joins is free, or the system's. */
START_TEST(test_absent_segments)
{
	struct world world;
	struct arena *arena;
	struct run run;
	uint32_t last, segment;

	world_start_within(&world, 2 * MIB, 64 * MIB);
	arena = world.arena;
	last = arena->segment_count - 1;
	ck_assert_uint_eq(world_count(&world, SEGMENT_ABSENT) + 32, arena->segment_count);
	ck_assert_uint_lt(world_count(&world, SEGMENT_SYSTEM), arena->system_segments);
	ck_assert_uint_eq(world_count(&world, SEGMENT_SYSTEM), arena_system_needed(arena, 32));
	ck_assert_uint_eq(arena->system_segments, arena_system_needed(arena, arena->segment_count));
	ck_assert_uint_eq(load_relaxed(&arena->header->free_segments), world_count(&world, SEGMENT_FREE));
	while (take(&world, 0, arena->chunks, &run))
		ck_assert_uint_lt(run.segment, last);
	ck_assert_uint_eq(world_count(&world, SEGMENT_ABSENT) + 32, arena->segment_count);
	ck_assert(!segment_leave(arena, run.segment)); /* it is in use */
	segment_join(arena, run.segment);
	ck_assert_int_eq(segment_load(arena, run.segment).state, SEGMENT_OPEN);
	segment_join(arena, last);
	ck_assert_int_eq(segment_load(arena, last).state, SEGMENT_FREE);
	ck_assert_uint_eq(load_relaxed(&arena->header->free_segments), 1);
	ck_assert(segment_leave(arena, last));
	ck_assert_uint_eq(load_relaxed(&arena->header->free_segments), 0);
	ck_assert(!take(&world, 0, 1, &run));
	segment_join(arena, arena->system_segments - 1);
	ck_assert_int_eq(segment_load(arena, arena->system_segments - 1).state, SEGMENT_SYSTEM);
	ck_assert_uint_eq(load_relaxed(&arena->header->free_segments), 0);
	/* Recycled as absent it has its next generation, and shows nothing of its former life when it joins. */
	segment_join(arena, last);
	run = take_one(&world, 0);
	segment = run.segment;
	ck_assert(segment_change(arena, segment, SEGMENT_OPEN, SEGMENT_CONDEMNED));
	ck_assert(segment_change(arena, segment, SEGMENT_CONDEMNED, SEGMENT_RETIRED));
	segment_recycle_to_absent(arena, segment);
	ck_assert_int_eq(segment_load(arena, segment).state, SEGMENT_ABSENT);
	ck_assert_uint_eq(segment_load(arena, segment).generation, run.generation + 1);
	ck_assert(!take(&world, 0, 1, &run));
	segment_join(arena, segment);
	ck_assert(take(&world, 0, 1, &run));
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("segment");

	tcase_add_test(tests, test_state_word_holds_every_field);
	tcase_add_test(tests, test_class_of_a_life);
	tcase_add_test(tests, test_fresh_arena);
	tcase_add_test(tests, test_cleared_index_segment);
	tcase_add_test(tests, test_every_chunk_is_given_once_until_none_is_left);
	tcase_add_test(tests, test_classes_never_share_a_segment);
	tcase_add_test(tests, test_run_is_in_one_segment);
	tcase_add_test(tests, test_open_hint_may_point_anywhere);
	tcase_add_test(tests, test_search_hint_may_point_anywhere);
	tcase_add_test(tests, test_condemned_segment_gives_no_chunk);
	tcase_add_test(tests, test_change_needs_the_state_it_names);
	tcase_add_test(tests, test_index_segment_is_not_for_data);
	tcase_add_test(tests, test_recycled_segment_shows_nothing_of_its_former_life);
	tcase_add_test(tests, test_generations_grow_and_wrap);
	tcase_add_test(tests, test_expiry_is_raised_in_steps_and_never_lowered);
	tcase_add_test(tests, test_expiry_raised_by_many);
	tcase_add_test(tests, test_no_chunk_is_given_twice);
	tcase_add_test(tests, test_no_chunk_is_given_twice_in_a_generation);
	tcase_add_test(tests, test_absent_segments);
	tcase_add_test(tests, test_room_of_a_tenant);
	return suite_run("segment", tests);
}
