/* SPDX-License-Identifier: MIT */
/*
 * Extents. Thread 0 takes one and writes in it, thread 1 is the keeper: it makes the extent of two segments that were used before, offers
 * it, and takes it back, from whoever has it by then, for another use. And a value so large that it is copied outside of the
 * section: that it is short here makes no difference to the orders.
 */
#include <errno.h>

#include "arena/extent.h"
#include "daemon/reclaim.h"
#include "epoch/grace.h"
#include "tests/weak/stage.h"

#define ROUNDS 4
#define NEVER_MS 1000000000u
#define LENGTH 2
#define OBJECT_BYTES (SEGMENT_BYTES_MIN + 4096)
#define WORDS 2
#define VALUE_BYTES 40 /* of stage_set */

static uint32_t head;

/* A place that is a chunk header in one use and inside the object in the other. */
static unsigned char *middle(void)
{
	return segment_base(stage_arena, head + 1);
}

static void used_segments(enum stage_mode mode)
{
	stage_open(mode, 2);
	head = stage_arena->system_segments + 4;
	for (uint32_t i = 0; i < LENGTH; i++) {
		expect(segment_change(stage_arena, head + i, SEGMENT_FREE, SEGMENT_RETIRED));
		memset(segment_base(stage_arena, head + i), 0xff, sizeof(struct chunk_header));
	}
	stage_share();
}

static void plain(void)
{
	used_segments(STAGE_PLAIN);
}

static void fenced(void)
{
	used_segments(STAGE_FENCED);
}

static void write_as(char letter)
{
	char bytes[sizeof(uint64_t) * WORDS];

	memset(bytes, letter, sizeof bytes);
	memcpy(middle(), bytes, sizeof bytes);
	weak_pause();
	memcpy(bytes, middle(), sizeof bytes);
	for (unsigned i = 0; i < sizeof bytes; i++)
		weak_expect(bytes[i] == letter);
}

static void take_and_write(void)
{
	struct epoch_reader *reader = &stage_threads[0].reader;
	struct allocation room;
	int result = -EAGAIN;

	for (int round = 0; result == -EAGAIN && round < ROUNDS; round++) {
		result = allocate_extent(reader, 0, stage_arena, POOL_PROBATION, OBJECT_BYTES, 0, 1, &room);
		if (result == -EAGAIN)
			weak_pause();
	}
	if (result != 0)
		return;
	weak_expect(room.segment == head);
	weak_expect(segment_load(stage_arena, head + 1).state == SEGMENT_EXTENT);
	write_as('w');
	allocate_commit(reader);
}

/* As retire and reclaim_condemn do, and then what drain does before it touches anything. */
static bool take_back(void)
{
	if (!segment_change(stage_arena, head, SEGMENT_READY, SEGMENT_RETIRED) &&
	    !segment_change(stage_arena, head, SEGMENT_OPEN, SEGMENT_CONDEMNED))
		return false;
	weak_expect(grace_barrier(stage_arena) == 0);
	for (int round = 0; round < ROUNDS; round++) {
		if (!grace_write_pinned(&stage_world.self.cache.control, head))
			return true;
		weak_pause();
	}
	return false;
}

static void offer_and_take_back(void)
{
	for (uint32_t i = 0; i < LENGTH; i++)
		segment_recycle_to_reserve(stage_arena, head + i);
	extent_offer(stage_arena, head, LENGTH, 1);
	weak_pause();
	if (take_back())
		write_as('k');
}

/* ---- a large value ------------------------------------------------------------------------------------------------- */

static uint32_t segment;

/* Its object says that it is large. */
static void large_value_in(enum stage_mode mode)
{
	const char *key;
	struct object_view view;
	struct object *object;

	stage_open(mode, 3);
	key = stage_key(0);
	stage_set(0, key, 'a');
	expect(index_lookup(stage_arena, hash_key(stage_arena->secret, key, STAGE_KEY_BYTES), key, STAGE_KEY_BYTES,
	                    &view));
	object = (struct object *)(void *)(stage_arena->base + view.offset);
	store_relaxed(&object->head, load_relaxed(&object->head) | (uint64_t)OBJECT_LARGE << OBJECT_FLAGS_SHIFT);
	segment = segment_of(stage_arena, view.offset);
	store_relaxed(&stage_arena->header->open_segment[0], 0);
	store_relaxed(&stage_arena->header->search_hint, segment);
}

static void large_value(enum stage_mode mode)
{
	large_value_in(mode);
	stage_share();
}

static void plain_value(void)
{
	large_value(STAGE_PLAIN);
}

static void fenced_value(void)
{
	large_value(STAGE_FENCED);
}

static void get_large(void)
{
	char letter = stage_get(0, stage_key(0));

	weak_expect(letter == 'a' || letter == 0);
}

static void evict(uint32_t stall_ms)
{
	struct reclaim *reclaim = reclaim_create(&stage_threads[1], stall_ms);

	weak_expect(reclaim != NULL);
	weak_expect(reclaim_add_client(reclaim, &stage_world.self.cache.control) == 0);
	store_relaxed(&stage_arena->header->free_low_mark, 1000);
	for (int round = 0; round < ROUNDS; round++) {
		reclaim_run(reclaim);
		store_relaxed(&stage_arena->header->free_low_mark, 0);
		store_relaxed(&stage_arena->header->search_hint, segment); /* to be used next */
		if (segment_load(stage_arena, segment).state != SEGMENT_CONDEMNED)
			break;
		weak_pause();
	}
	reclaim_destroy(reclaim);
}

static void evict_patiently(void)
{
	evict(NEVER_MS);
}

static void evict_impatiently(void)
{
	evict(0);
}

static void set_another(void)
{
	stage_set(2, stage_key(1), 'z');
}

/* ---- a large value made of an old one ------------------------------------------------------------------------------- */

static const char more[SEGMENT_BYTES_MIN];

/* An extent is ready for it. */
static void large_value_and_extent(enum stage_mode mode)
{
	large_value_in(mode);
	head = segment + 4;
	for (uint32_t i = 0; i < LENGTH; i++) {
		expect(segment_change(stage_arena, head + i, SEGMENT_FREE, SEGMENT_RETIRED));
		segment_recycle_to_reserve(stage_arena, head + i);
	}
	extent_offer(stage_arena, head, LENGTH, arena_now_ms(stage_arena));
	stage_share();
}

static void plain_value_and_extent(void)
{
	large_value_and_extent(STAGE_PLAIN);
}

static void fenced_value_and_extent(void)
{
	large_value_and_extent(STAGE_FENCED);
}

/* There is one extent only, and whoever lost it would wait for another. */
static void append_more(void)
{
	struct write_result ignored;
	int result = stage_write(0, WRITE_APPEND, stage_key(0), more, sizeof more, 0, 0, &ignored);

	weak_expect(result == LARDER_OK || result == LARDER_MISS || result == -EAGAIN);
}

static void set_anew(void)
{
	stage_set(1, stage_key(0), 'b');
}

static void begins_with(char letter)
{
	const char *key = stage_key(0);
	struct object_view object;

	if (!index_lookup(stage_arena, hash_key(stage_arena->secret, key, STAGE_KEY_BYTES), key, STAGE_KEY_BYTES,
	                  &object))
		return;
	for (unsigned i = 0; i < VALUE_BYTES; i++)
		weak_expect(object.value[i] == letter);
}

static void begins_with_a(void)
{
	begins_with('a');
}

static void begins_with_b(void)
{
	begins_with('b');
}

const struct weak_scenario weak_scenarios_extent[] = {
	{ "extent-plain", 3, plain, { take_and_write, offer_and_take_back }, NULL },
	{ "extent-fenced", 3, fenced, { take_and_write, offer_and_take_back }, NULL },
	{ "extent-get-plain", 1, plain_value, { get_large, evict_patiently, set_another }, NULL },
	{ "extent-get-fenced", 2, fenced_value, { get_large, evict_patiently, set_another }, NULL },
	{ "extent-revoke-plain", 1, plain_value, { get_large, evict_impatiently, set_another }, NULL },
	{ "extent-revoke-fenced", 1, fenced_value, { get_large, evict_impatiently, set_another }, NULL },
	{ "extent-append-plain",
	  1,
	  plain_value_and_extent,
	  { append_more, evict_patiently, set_another },
	  begins_with_a },
	{ "extent-append-fenced",
	  1,
	  fenced_value_and_extent,
	  { append_more, evict_patiently, set_another },
	  begins_with_a },
	{ "extent-append-revoke",
	  1,
	  plain_value_and_extent,
	  { append_more, evict_impatiently, set_another },
	  begins_with_a },
	{ "extent-append-set", 2, fenced_value_and_extent, { append_more, set_anew }, begins_with_b },
	{ 0 },
};
