/* SPDX-License-Identifier: MIT */
/*
 * An arena of a test's own, used from inside the test's process by as many clients as the test wants. Its hash is always the
 * same, so that a failure can be repeated, and its clock can be put forward, so that nothing has to wait for a life to end.
 */
#ifndef LARDER_TESTS_WORLD_H
#define LARDER_TESTS_WORLD_H

#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/platform.h"
#include "cache/cache.h"
#include "tests/support/expect.h"
#include "tests/support/suite.h"
#include "tests/unit/support/random.h"

#define MIB (UINT64_C(1) << 20)

/* ThreadSanitizer does not know membarrier(2). */
#ifdef LARDER_FORCE_FENCED
#define WORLD_FENCED true
#else
#define WORLD_FENCED false
#endif

struct client {
	struct cache cache;
	struct cache_thread thread;
};

struct world {
	int arena_fd;
	uint32_t segments;
	uint64_t clients;
	struct client self;  /* the first client */
	struct arena *arena; /* its mapping */
};

/* One more client, which writes no longer than timeout_ms waits for memory. */
static inline void client_start_waiting(struct world *world, struct client *client, bool fenced, uint32_t timeout_ms)
{
	int control_fd = control_create(world->segments, ++world->clients);
	struct fault fault = { "" };
	int result;

	expect(control_fd >= 0);
	result = cache_attach(&client->cache, world->arena_fd, control_fd, true, fenced, timeout_ms, &fault);
	if (result)
		expect_failed("%s", fault.text);
	expect_equal(close(control_fd), 0);
	expect_equal(cache_thread_start(&client->cache, &client->thread), 0);
}

static inline void client_start(struct world *world, struct client *client)
{
	client_start_waiting(world, client, WORLD_FENCED, 0);
}

static inline void client_stop(struct client *client)
{
	cache_thread_stop(&client->thread);
	cache_detach(&client->cache);
}

/* An arena that can have another size later. */
static inline void world_start_within(struct world *world, uint64_t bytes, uint64_t most)
{
	struct arena_plan plan = { .access = LARDER_SHARED_WRITE, .bytes = bytes };
	struct arena_size size = { bytes, most };
	struct random random = { 1 };
	struct arena arena;

	memset(world, 0, sizeof *world);
	plan.plain_epochs = platform_barrier_register() == 0 && platform_barrier() == 0;
	world->arena_fd = arena_memory_of(size, PAGES_SMALL, &plan.page_bytes, NULL);
	expect(world->arena_fd >= 0);
	expect_equal(arena_format(world->arena_fd, &plan, &arena, NULL), 0);
	random_bytes(&random, arena.header->secret, SECRET_BYTES);
	world->segments = arena.segment_count;
	arena_unmap(&arena);
	client_start(world, &world->self);
	world->arena = &world->self.cache.arena;
}

static inline void world_start(struct world *world, uint64_t bytes)
{
	world_start_within(world, bytes, bytes);
}

static inline void world_stop(struct world *world)
{
	client_stop(&world->self);
	close(world->arena_fd);
}

/* Puts the clock forward, for the first client and for all who come later. */
static inline void world_advance(struct world *world, uint64_t ms)
{
	world->arena->clock_offset_ns += ms * NS_PER_MS;
	world->arena->header->clock_offset_ns = world->arena->clock_offset_ns;
}

/* Segments in a state. */
static inline uint32_t world_count(const struct world *world, enum segment_state state)
{
	uint32_t count = 0;

	for (uint32_t segment = 0; segment < world->segments; segment++)
		count += segment_load(world->arena, segment).state == state;
	return count;
}

#endif
