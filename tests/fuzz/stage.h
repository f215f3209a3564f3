/* SPDX-License-Identifier: MIT */
/*
 * A stage: an arena that a recipe has filled, with a keeper, a client that writes, one that can only read, and one that is
 * hostile and does nothing but overwrite its own control page; all in this process. It is set up once and put back before
 * each input: memory, control pages, clock and what the parties know.
 */
#ifndef LARDER_FUZZ_STAGE_H
#define LARDER_FUZZ_STAGE_H

#include "cache/cache.h"
#include "daemon/reclaim.h"

enum recipe {
	RECIPE_EMPTY,
	RECIPE_MIXED,     /* objects of all kinds and lives */
	RECIPE_FULL,      /* no segment is free, and the last object ends where the arena ends */
	RECIPE_CHAINS,    /* keys of one home bucket, as many as its chain holds */
	RECIPE_SPLITTING, /* an index segment of which some buckets have moved, and one is frozen in part */
	RECIPE_KILLED,    /* what keepers and writers leave that were killed in the middle of things */
	RECIPES
};

enum party_name { KEEPER, WRITER, READER, HOSTILE, PARTIES };

struct party {
	struct cache cache;
	struct cache_thread thread;
	struct allocator allocator; /* of the thread, as the recipe left it */
	unsigned char *page;        /* the control page, likewise */
};

#define STAGE_KEYS 64

/* The keys that an input can name. */
struct stage_key {
	unsigned char *bytes;
	uint32_t size;
	uint64_t hash;
	uint64_t offset; /* of its object, or 0, as the recipe left it */
};

struct stage {
	int arena_fd;
	struct arena *arena; /* the writer's mapping, which is the keeper's, too */
	unsigned char *image;
	struct party parties[PARTIES];
	struct stage_key keys[STAGE_KEYS];
	struct reclaim *reclaim; /* NULL: the keeper does not keep house (yet) */
};

/* The stage of a recipe, as the recipe left it. */
struct stage *stage_set(enum recipe recipe);

/* A keeper takes charge, after an earlier one if there was one. */
void stage_keeper_begins(struct stage *stage, uint32_t stall_ms);

/* Puts the clocks of all parties forward. */
void stage_advance(struct stage *stage, uint64_t ms);

/* Ends the keeper's house-keeping. */
void stage_clear(struct stage *stage);

#endif
