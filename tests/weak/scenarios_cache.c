/* SPDX-License-Identifier: MIT */
/* Counters, thread lines, and waiting for room. */
#include <errno.h>
#include <stdlib.h>

#include "daemon/reclaim.h"
#include "daemon/waker.h"
#include "tests/weak/stage.h"

/* ---- counters ---------------------------------------------------------------------------------------------------------- */

#define FIRST 5

static uint64_t first_version;

static void counter(void)
{
	struct write_result result;

	stage_open(STAGE_FENCED, 3);
	for (int64_t delta = 0; delta <= FIRST; delta += FIRST)
		expect(stage_write(0, WRITE_INCR, stage_key(0), NULL, 0, 0, delta, &result) == LARDER_OK);
	first_version = result.version;
	stage_share();
}

static int64_t number(unsigned thread, uint64_t *ret_version)
{
	struct larder_item item;
	char value[64];

	weak_expect(stage_look(thread, stage_key(0), value, &item) == LARDER_OK);
	value[item.value_size] = 0;
	*ret_version = item.version;
	return atoll(value);
}

static void incr(unsigned thread)
{
	struct write_result result;

	weak_expect(stage_write(thread, WRITE_INCR, stage_key(0), NULL, 0, 0, 1, &result) == LARDER_OK);
}

static void incr_1(void)
{
	incr(1);
}

static void incr_2(void)
{
	incr(2);
}

/* Ten times what it was, if it still is that. */
static void multiply(void)
{
	struct write_result result;
	uint64_t version;
	char text[32];
	int size = snprintf(text, sizeof text, "%lld0", (long long)number(0, &version)), code;

	code = stage_write(0, WRITE_CAS, stage_key(0), text, (size_t)size, version, 0, &result);
	weak_expect(code == LARDER_OK || code == LARDER_CHANGED);
}

static void append(void)
{
	struct write_result result;

	weak_expect(stage_write(0, WRITE_APPEND, stage_key(0), "0", 1, 0, 0, &result) == LARDER_OK);
}

static void check_sum(void)
{
	uint64_t version;

	weak_expect(number(0, &version) == FIRST + 2);
}

static void check_product(void)
{
	uint64_t version;
	int64_t last = number(0, &version);

	weak_expect(last == (FIRST + 1) * 10 || last == FIRST * 10 + 1 || last == FIRST + 1);
}

static void read_twice(void)
{
	uint64_t version, version_before;
	int64_t before = number(0, &version_before);

	weak_expect(number(0, &version) >= before);
	weak_expect(version >= version_before);
	weak_expect((int64_t)(version_before - first_version) ==
	            before - FIRST); /* each addition makes it one more here */
}

/* ---- objects that are moved -------------------------------------------------------------------------------------------------- */

static void one_key(void)
{
	stage_open(STAGE_FENCED, 2);
	stage_set(0, stage_key(0), 'a');
	stage_share();
}

/* As the keeper does, in vain if somebody is faster. */
static void move(void)
{
	struct cache_thread *mover = &stage_threads[0];
	const char *key = stage_key(0);
	struct index_chain chain;
	struct allocation room;

	epoch_enter(&mover->reader);
	weak_expect(index_find(stage_arena, hash_key(stage_arena->secret, key, STAGE_KEY_BYTES), key, STAGE_KEY_BYTES,
	                       &chain));
	weak_expect(chain.found >= 0);
	weak_expect(allocate_begin(mover->allocator, &mover->reader, stage_arena, POOL_MAIN, chain.object.size, 0, 0,
	                           &room) == 0);
	cache_move(mover, &chain, room.generation, room.offset, 0);
	allocate_commit(&mover->reader);
	epoch_exit(&mover->reader);
}

static void get_moved(void)
{
	weak_expect(stage_get(1, stage_key(0)) == 'a');
}

static void check_one_more(void)
{
	uint64_t version;

	weak_expect(number(0, &version) == FIRST + 1);
}

/* ---- thread lines -------------------------------------------------------------------------------------------------------- */

static struct cache_thread comers[WEAK_THREADS];

static void two_comers(void)
{
	stage_open(STAGE_FENCED, 0);
	stage_set_by(&stage_world.self.thread, stage_key(0), 'a');
	stage_share();
	weak_share(stage_world.self.cache.lines_in_use, sizeof stage_world.self.cache.lines_in_use, NULL);
	weak_share(stage_world.self.cache.allocators, 4 * sizeof(struct allocator), NULL);
}

/* Who takes a line over goes on where the one before stopped. */
static void come_and_go(unsigned thread)
{
	weak_expect(cache_thread_start(&stage_world.self.cache, &comers[thread]) == 0);
	stage_set_by(&comers[thread], thread ? "a key somewhere else" : stage_key(1), 'b');
	cache_thread_stop(&comers[thread]);
}

static void come_and_go_0(void)
{
	come_and_go(0);
}

static void come_and_go_1(void)
{
	come_and_go(1);
}

/* Uses nothing but the line. */
static void hold_line(unsigned thread)
{
	weak_expect(cache_thread_start(&stage_world.self.cache, &comers[thread]) == 0);
	comers[thread].allocator->tenant++;
	cache_thread_stop(&comers[thread]);
}

static void hold_line_0(void)
{
	hold_line(0);
}

static void hold_line_1(void)
{
	hold_line(1);
}

static void check_sets(void)
{
	struct control_page *page = stage_world.self.cache.control.page;

	weak_expect(load_relaxed(&page->threads[1].sets) + load_relaxed(&page->threads[2].sets) == 2);
}

/* ---- waiting for room ------------------------------------------------------------------------------------------------------ */

#define LARGE 60000 /* one of these fills a segment */

static char large[LARGE];

static void fill(void)
{
	struct write_result result;
	int code = LARDER_OK;

	for (unsigned i = 0; code == LARDER_OK; i++)
		code = stage_write(0, WRITE_SET, stage_key(i), large, LARGE, 0, 0, &result);
	expect(code == -EAGAIN);
	stage_world.self.cache.timeout_ms = 1000;
	stage_share();
}

static void full_arena(void)
{
	stage_open(STAGE_FENCED, 2);
	fill();
}

#define TENANT 1
#define LIMIT 2

/* There is free memory, but not for the tenant that writes. */
static void full_tenant(void)
{
	stage_open(STAGE_FENCED, 2);
	store_relaxed(&stage_world.self.cache.control.page->tenant, TENANT);
	segment_set_room(stage_arena, TENANT, LIMIT);
	fill();
}

static void set_large(void)
{
	struct write_result result;

	weak_expect(stage_write(0, WRITE_SET, stage_key(0), large, LARGE, 0, 0, &result) == LARDER_OK);
}

static void keep_house(uint32_t limit)
{
	struct reclaim *reclaim = reclaim_create(&stage_threads[1], 1000000000u);

	weak_expect(reclaim != NULL);
	weak_expect(reclaim_add_client(reclaim, &stage_world.self.cache.control) == 0);
	reclaim_tenants(reclaim)->tenants[TENANT].limit = limit;
	for (int round = 0; round < 6; round++) {
		reclaim_run(reclaim);
		weak_pause();
	}
	reclaim_destroy(reclaim);
}

static void make_room(void)
{
	keep_house(0);
}

static void make_room_for_tenant(void)
{
	keep_house(LIMIT);
}

/* ---- waking the keeper ----------------------------------------------------------------------------------------------------- */

static void nearly_low(void)
{
	struct arena_header *header;

	stage_open(STAGE_FENCED, 2);
	header = stage_arena->header;
	store_relaxed(&header->free_low_mark, load_relaxed(&header->free_segments));
	stage_share();
}

static void set_and_wake(void)
{
	stage_set(0, stage_key(0), 'a'); /* takes a segment */
}

/* As the waker does, and then the keeper. */
static void wait_for_call(void)
{
	struct arena_header *header = stage_arena->header;
	uint32_t seen = waker_look(&header->wake_sequence);

	while (seen == 0)
		seen = waker_wait(&header->wake_sequence, seen);
	weak_expect(load_relaxed(&header->free_segments) < load_relaxed(&header->free_low_mark));
}

const struct weak_scenario weak_scenarios_cache[] = {
	{ "counter-sum", 2, counter, { read_twice, incr_1, incr_2 }, check_sum },
	{ "counter-cas", 2, counter, { multiply, incr_1 }, check_product },
	{ "counter-append", 2, counter, { append, incr_1 }, check_product },
	{ "move-get", 2, one_key, { move, get_moved }, NULL },
	{ "move-incr", 2, counter, { move, incr_1 }, check_one_more },
	{ "lines", 2, two_comers, { come_and_go_0, come_and_go_1 }, check_sets },
	{ "lines-held", 2, two_comers, { hold_line_0, hold_line_1 }, NULL },
	{ "wait-for-room", 2, full_arena, { set_large, make_room }, NULL },
	{ "wait-for-limit", 2, full_tenant, { set_large, make_room_for_tenant }, NULL },
	{ "wake-keeper", 2, nearly_low, { set_and_wake, wait_for_call }, NULL },
	{ 0 },
};
