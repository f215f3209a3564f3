/* SPDX-License-Identifier: MIT */
/* An arena with a keeper, all in one thread: the test says when the keeper works. */
#ifndef LARDER_TESTS_HOUSE_H
#define LARDER_TESTS_HOUSE_H

#include "daemon/reclaim.h"
#include "index/index.h"
#include "tests/unit/support/writes.h"

#define NEVER_MS 1000000000u /* so that nobody is revoked */

/* The first client of the world is the keeper's own attachment; tests read and write through it as well. */
struct house {
	struct world world;
	struct arena *arena;
	struct reclaim *reclaim;
	struct client guest; /* another process */
};

static inline void house_keeper(struct house *house, uint32_t stall_ms)
{
	house->reclaim = reclaim_create(&house->world.self.thread, stall_ms);
	expect(house->reclaim != NULL);
	expect_equal(reclaim_add_client(house->reclaim, &house->world.self.cache.control), 0);
	expect_equal(reclaim_add_client(house->reclaim, &house->guest.cache.control), 0);
}

static inline void house_start_within(struct house *house, uint64_t bytes, uint64_t most, uint32_t stall_ms)
{
	memset(house, 0, sizeof *house);
	world_start_within(&house->world, bytes, most);
	house->arena = house->world.arena;
	client_start(&house->world, &house->guest);
	house_keeper(house, stall_ms);
}

static inline void house_start(struct house *house, uint64_t bytes, uint32_t stall_ms)
{
	house_start_within(house, bytes, bytes, stall_ms);
}

static inline void house_stop(struct house *house)
{
	reclaim_destroy(house->reclaim);
	client_stop(&house->guest);
	world_stop(&house->world);
}

/* Lets the keeper work until it has nothing more to do that does not wait for somebody. */
static inline void house_work(struct house *house)
{
	for (int i = 0; i < 50; i++)
		reclaim_run(house->reclaim);
}

static inline uint32_t house_segment(const struct house *house, const char *key)
{
	struct object_view view;

	look_up(&house->world, key, &view);
	return (uint32_t)(view.offset >> house->arena->segment_shift);
}

static inline enum segment_state house_state(const struct house *house, uint32_t segment)
{
	return segment_load(house->arena, segment).state;
}

/* But for the index. */
static inline void house_expect_all_free(const struct house *house)
{
	ck_assert_uint_eq(world_count(&house->world, SEGMENT_FREE) + world_count(&house->world, SEGMENT_RESERVE),
	                  house->world.segments - house->arena->system_segments -
	                          world_count(&house->world, SEGMENT_INDEX));
}

#endif
