/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/stage.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "index/index.h"
#include "index/split.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/guarded.h"

#define KIB UINT64_C(1024)
#define NOW_NS \
	(UINT64_C(1800000000) * 1000 * NS_PER_MS) /* what the arena's clock says at the beginning of every input */

/* ---- keys and objects ---------------------------------------------------------------------------------------------- */

static void set_key(struct stage *stage, uint32_t number, const void *bytes, uint32_t size)
{
	struct stage_key *key = &stage->keys[number];

	free(key->bytes);
	key->bytes = malloc(size);
	FUZZ_EXPECT(key->bytes != NULL);
	memcpy(key->bytes, bytes, size);
	key->size = size;
	key->hash = hash_key(stage->arena->secret, bytes, size);
}

/* Most are short as keys are; the last ones have the sizes at which something is different. */
static void name_keys(struct stage *stage)
{
	static const uint32_t sizes[] = { 1, 15, 16, 17, 31, 32, 33, 300, 5000, 65000 };
	static unsigned char bytes[65000];
	uint32_t number = 0;

	for (; number < STAGE_KEYS - sizeof sizes / sizeof sizes[0]; number++)
		set_key(stage, number, bytes, (uint32_t)snprintf((char *)bytes, 24, "key %u", number));
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		memset(bytes, 'A' + (int)i, sizes[i]);
		set_key(stage, number++, bytes, sizes[i]);
	}
}

static int put(struct stage *stage, uint32_t number, uint32_t value_size, uint64_t ttl_ms, uint32_t flags)
{
	static unsigned char value[64 * KIB];
	struct write_request request = {
		.operation = WRITE_SET,
		.key = stage->keys[number].bytes,
		.key_size = stage->keys[number].size,
		.value = value,
		.value_size = value_size,
		.ttl_ms = ttl_ms,
		.flags = flags,
	};
	struct write_result result;

	memset(value, 'a' + (int)(number % 26), value_size);
	return cache_write(&stage->parties[WRITER].thread, &request, &result);
}

/* Where the object of a key ends. */
static uint64_t end_of(const struct stage *stage, uint32_t number)
{
	const struct stage_key *key = &stage->keys[number];
	struct object_view view;

	FUZZ_EXPECT(index_lookup(stage->arena, key->hash, key->bytes, key->size, &view));
	return view.offset + view.size;
}

static void put_text(struct stage *stage, uint32_t number, const char *text)
{
	struct write_request request = {
		.operation = WRITE_SET,
		.key = stage->keys[number].bytes,
		.key_size = stage->keys[number].size,
		.value = text,
		.value_size = strlen(text),
	};
	struct write_result result;

	FUZZ_EXPECT(cache_write(&stage->parties[WRITER].thread, &request, &result) == 0);
}

static void drop(struct stage *stage, uint32_t number)
{
	struct write_request request = { .operation = WRITE_DELETE,
		                         .key = stage->keys[number].bytes,
		                         .key_size = stage->keys[number].size };
	struct write_result result;

	FUZZ_EXPECT(cache_write(&stage->parties[WRITER].thread, &request, &result) <= LARDER_MISS);
}

static void count_up(struct stage *stage, uint32_t number, uint64_t ttl_ms)
{
	struct write_request request = {
		.operation = WRITE_INCR,
		.key = stage->keys[number].bytes,
		.key_size = stage->keys[number].size,
		.delta = 1,
		.initial = 40,
		.ttl_ms = ttl_ms,
		.incr_flags = LARDER_INCR_CREATE,
	};
	struct write_result result;

	drop(stage, number); /* it may be text */
	FUZZ_EXPECT(cache_write(&stage->parties[WRITER].thread, &request, &result) == 0);
}

/* ---- recipes ------------------------------------------------------------------------------------------------------- */

static void fill_mixed(struct stage *stage)
{
	for (uint32_t number = 0; number < STAGE_KEYS; number++) {
		if (number % 8 == 7)
			count_up(stage, number, number % 16 == 7 ? 90000 : 0);
		else if (number % 8 != 6)
			FUZZ_EXPECT(put(stage, number, number * number % 700, number % 3 == 0 ? number * 500 : 0,
			                number % 5 == 0 ? number : 0) == 0);
	}
	put_text(stage, 6, "-9223372036854775807");
	put_text(stage, 14, "12 apples");
	for (uint32_t number = 0; number < STAGE_KEYS; number += 9)
		drop(stage, number);
}

/*
 * Two objects for each free segment that fill it to the last byte: a large one, and a small one in what that leaves. Their keys
 * take 8 bytes or less.
 */
static void fill_full(struct stage *stage)
{
	const struct arena *arena = stage->arena;
	const uint32_t room = (uint32_t)(arena->segment_bytes - sizeof(struct chunk_header));
	const uint32_t head = sizeof(struct object) + 8, small = 8;
	uint32_t number = 0;

	fill_mixed(stage);
	*stage->parties[WRITER].thread.allocator = (struct allocator){ 0 }; /* or the small ones would go elsewhere */
	while (put(stage, number, room - small - 2 * head, 0, 0) == 0) {
		FUZZ_EXPECT(put(stage, number + 1, small, 0, 0) == 0);
		number += 2;
	}
	FUZZ_EXPECT(number > 0);
	FUZZ_EXPECT(end_of(stage, number - 1) == arena->bytes);
}

static void fill_chain(struct stage *stage)
{
	char text[24];
	uint32_t number = 0, home = 77;

	for (uint32_t candidate = 0; number < 32; candidate++) {
		uint32_t size = (uint32_t)snprintf(text, sizeof text, "%u", candidate);

		if (hash_home(hash_key(stage->arena->secret, text, size), stage->arena->homes) == home)
			set_key(stage, number++, text, size);
	}
	for (number = 0; number < STAGE_KEYS; number++)
		FUZZ_EXPECT(put(stage, number, number % 8, 0, 0) == 0);
}

/* A few keys in every chain that one of the nameable keys is in, so that some of them move, and chains are long. */
static void fill_index(struct stage *stage)
{
	char text[24];

	fill_mixed(stage);
	for (uint32_t i = 0; i < 1200; i++) {
		struct write_request request = { .operation = WRITE_SET, .key = text };
		struct write_result result;

		request.key_size = (size_t)snprintf(text, sizeof text, "filler %u", i);
		FUZZ_EXPECT(cache_write(&stage->parties[WRITER].thread, &request, &result) == 0);
	}
}

static void fill_splitting(struct stage *stage)
{
	const struct arena *arena = stage->arena;
	uint32_t segment = load_relaxed(&arena->directory[0]);
	struct bucket *bucket;

	fill_chain(stage);
	fill_index(stage);
	FUZZ_EXPECT(split_begin(arena, segment));
	for (uint32_t home = 0; home < arena->homes; home += 3)
		FUZZ_EXPECT(split_bucket(arena, segment, home));
	/* A helper was killed after it had frozen the control word and two slots. */
	bucket = &index_buckets(arena, segment)[77];
	store_relaxed(&bucket->control, load_relaxed(&bucket->control) | CONTROL_FROZEN);
	for (int i = 0; i < 2; i++)
		store_relaxed(&bucket->slots[i], load_relaxed(&bucket->slots[i]) | SLOT_FROZEN);
}

/* An insert of which only the intent was written: the slot is as it was before, and the control word still names it. */
static void leave_intent(struct stage *stage, uint32_t number)
{
	const struct arena *arena = stage->arena;
	const struct stage_key *key = &stage->keys[number];
	struct index_chain chain;
	uint64_t control, word;

	FUZZ_EXPECT(put(stage, number, 20, 0, 0) == 0);
	FUZZ_EXPECT(index_find(arena, key->hash, key->bytes, key->size, &chain) && chain.found >= 0);
	word = chain.words[chain.found];
	control = chain.control | (uint64_t)chain.found << CONTROL_TARGET_SHIFT | (word & SLOT_OFFSET_MASK);
	store_relaxed(&chain.bucket[0]->slots[chain.found], UINT64_C(1) << SLOT_SEQUENCE_SHIFT);
	store_relaxed(&chain.bucket[0]->control, control);
}

static void leave_halves(struct stage *stage)
{
	const struct arena *arena = stage->arena;
	struct object_view view;
	uint32_t open[2] = { 0 }, index, found = 0;

	fill_index(stage);
	for (uint32_t number = 0; number < STAGE_KEYS - 10; number += 9)
		leave_intent(stage, number);
	/* A counter that somebody froze to carry it on. */
	FUZZ_EXPECT(index_lookup(arena, stage->keys[7].hash, stage->keys[7].bytes, stage->keys[7].size, &view));
	store_relaxed(&view.counter->version, load_relaxed(&view.counter->version) | COUNTER_FROZEN);
	/* A segment condemned, another one retired, both by a keeper that is gone; an index segment nobody leads to. */
	for (uint32_t segment = 0; segment < arena->segment_count && found < 2; segment++)
		if (segment_load(arena, segment).state == SEGMENT_OPEN)
			open[found++] = segment;
	FUZZ_EXPECT(found == 2);
	FUZZ_EXPECT(segment_change(arena, open[0], SEGMENT_OPEN, SEGMENT_CONDEMNED));
	FUZZ_EXPECT(segment_change(arena, open[1], SEGMENT_OPEN, SEGMENT_RETIRED));
	FUZZ_EXPECT(segment_take_index(arena, &index));
	segment_clear_index(arena, index);
	FUZZ_EXPECT(segment_change(arena, index, SEGMENT_RETIRED, SEGMENT_INDEX));
	/* A run whose owner was killed before it could write its header. */
	FUZZ_EXPECT(segment_take_chunks(arena, 3, 1, NOW_NS / NS_PER_MS, &index, &found, &open[0]));
}

static void leave_empty(struct stage *stage)
{
	(void)stage;
}

static const struct {
	uint64_t bytes;
	void (*fill)(struct stage *stage);
} recipes[RECIPES] = {
	[RECIPE_EMPTY] = { 1024 * KIB, leave_empty },         [RECIPE_MIXED] = { 1024 * KIB, fill_mixed },
	[RECIPE_FULL] = { (1024 + 3 * 64) * KIB, fill_full }, [RECIPE_CHAINS] = { 1024 * KIB, fill_chain },
	[RECIPE_SPLITTING] = { 2048 * KIB, fill_splitting },  [RECIPE_KILLED] = { (1024 + 64) * KIB, leave_halves },
};

/* ---- setting up ---------------------------------------------------------------------------------------------------- */

/* The same secret in every run: else an input would not mean the same twice. */
static void fix_secret(struct arena_header *header)
{
	uint64_t state = 1;

	for (size_t i = 0; i < SECRET_BYTES; i++) {
		state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		header->secret[i] = (uint8_t)(state >> 56);
	}
	header->arena_id = 1;
}

static void join(struct party *party, const struct arena *arena, uint64_t id)
{
	int control_fd = control_create(arena->segment_count, id);

	FUZZ_EXPECT(control_fd >= 0);
	FUZZ_EXPECT(cache_adopt(&party->cache, arena, control_fd, 0, NULL) == 0);
	close(control_fd);
	guarded_control(&party->cache.control);
	FUZZ_EXPECT(cache_thread_start(&party->cache, &party->thread) == 0);
}

static void set_clock(struct stage *stage, uint64_t now_ns)
{
	for (int i = 0; i < PARTIES; i++)
		stage->parties[i].cache.arena.clock_offset_ns = now_ns - monotonic_ns();
}

static struct stage *stage_create(enum recipe recipe)
{
	struct stage *stage = calloc(1, sizeof *stage);
	struct arena_plan plan = { .access = LARDER_SHARED_WRITE };
	struct arena shared, read_only;

	FUZZ_EXPECT(stage != NULL);
	stage->arena_fd = arena_memory(recipes[recipe].bytes, PAGES_SMALL, &plan.page_bytes, NULL);
	FUZZ_EXPECT(stage->arena_fd >= 0 && arena_format(stage->arena_fd, &plan, &shared, NULL) == 0);
	fix_secret(shared.header);
	arena_unmap(&shared);
	FUZZ_EXPECT(arena_map(stage->arena_fd, true, &shared, NULL) == 0);
	FUZZ_EXPECT(arena_map(stage->arena_fd, false, &read_only, NULL) == 0);
	guarded_arena(&shared);
	guarded_arena(&read_only);
	for (int i = 0; i < PARTIES; i++)
		join(&stage->parties[i], i == READER ? &read_only : &shared, (uint64_t)i);
	stage->arena = &stage->parties[WRITER].cache.arena;
	shared.header->created_ms = NOW_NS / NS_PER_MS;
	set_clock(stage, NOW_NS);
	name_keys(stage);
	recipes[recipe].fill(stage);
	for (uint32_t i = 0; i < STAGE_KEYS; i++) {
		struct stage_key *key = &stage->keys[i];
		struct object_view view;

		if (index_lookup(stage->arena, key->hash, key->bytes, key->size, &view))
			key->offset = view.offset;
	}
	stage->image = malloc(shared.bytes);
	FUZZ_EXPECT(stage->image != NULL);
	memcpy(stage->image, shared.base, shared.bytes);
	for (int i = 0; i < PARTIES; i++) {
		struct party *party = &stage->parties[i];

		party->page = malloc(party->cache.control.bytes);
		FUZZ_EXPECT(party->page != NULL);
		memcpy(party->page, party->cache.control.page, party->cache.control.bytes);
		party->allocator = *party->thread.allocator;
	}
	return stage;
}

struct stage *stage_set(enum recipe recipe)
{
	static struct stage *stages[RECIPES];
	struct stage *stage = stages[recipe];

	if (!stage)
		stage = stages[recipe] = stage_create(recipe);
	memcpy(stage->arena->base, stage->image, stage->arena->bytes);
	for (int i = 0; i < PARTIES; i++) {
		struct party *party = &stage->parties[i];

		memcpy(party->cache.control.page, party->page, party->cache.control.bytes);
		*party->thread.allocator = party->allocator;
	}
	set_clock(stage, NOW_NS);
	return stage;
}

void stage_keeper_begins(struct stage *stage, uint32_t stall_ms)
{
	reclaim_destroy(stage->reclaim);
	stage->reclaim = reclaim_create(&stage->parties[KEEPER].thread, stall_ms);
	FUZZ_EXPECT(stage->reclaim != NULL);
	for (int i = 0; i < PARTIES; i++)
		FUZZ_EXPECT(reclaim_add_client(stage->reclaim, &stage->parties[i].cache.control) == 0);
}

void stage_advance(struct stage *stage, uint64_t ms)
{
	for (int i = 0; i < PARTIES; i++)
		stage->parties[i].cache.arena.clock_offset_ns += ms * NS_PER_MS;
}

void stage_clear(struct stage *stage)
{
	reclaim_destroy(stage->reclaim);
	stage->reclaim = NULL;
}
