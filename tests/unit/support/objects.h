/* SPDX-License-Identifier: MIT */
/* Objects without an operation of the cache around them, and keys chosen for where their hash leads. */
#ifndef LARDER_TESTS_OBJECTS_H
#define LARDER_TESTS_OBJECTS_H

#include <stdio.h>

#include "index/index.h"
#include "tests/unit/support/world.h"

/* An object that is complete but that no slot refers to yet. */
struct made {
	uint64_t offset;
	uint32_t segment, generation;
};

/* Makes an object of a plan, whose value is value_size times the byte fill. */
static inline struct made object_make(struct cache_thread *thread, const struct object_plan *plan, int fill)
{
	const struct arena *arena = &thread->cache->arena;
	struct allocation room;
	unsigned char *value;

	expect_equal(allocate_begin(thread->allocator, &thread->reader, arena, POOL_PROBATION,
	                            object_size(plan->flags, plan->key_size, plan->value_size), plan->expires_ms,
	                            arena_now_ms(arena), &room),
	             0);
	value = object_write(arena, room.offset, plan);
	if (value)
		memset(value, fill, plan->value_size);
	object_complete(arena, room.offset, plan);
	allocate_commit(&thread->reader);
	return (struct made){ room.offset, room.segment, room.generation };
}

/* A key of a test, its hash, and a number of its own. */
struct key {
	char text[24];
	uint32_t size;
	uint32_t number;
	uint64_t hash;
};

static inline struct key key_of(const struct arena *arena, uint32_t number)
{
	struct key key = { .number = number };

	/* Keys of 17 to 32 bytes have ways of their own (cache/plain.h): half of these are such. */
	snprintf(key.text, sizeof key.text, "key-%0*u", number % 2 ? 16 : 1, number);
	key.size = (uint32_t)strlen(key.text);
	key.hash = hash_key(arena->secret, key.text, key.size);
	return key;
}

/* Finds keys whose home bucket is the same, by trying one number after another. *next begins at any number. */
static inline void keys_of_home(const struct arena *arena, uint32_t home, uint32_t count, uint32_t *next,
                                struct key *ret_keys)
{
	uint32_t found = 0;

	while (found < count) {
		struct key key = key_of(arena, (*next)++);

		if (hash_home(key.hash, arena->homes) == home)
			ret_keys[found++] = key;
	}
}

/* An object for a key; its version is what tells it from others of that key. */
static inline struct made object_for(struct cache_thread *thread, const struct key *key, uint64_t version)
{
	struct object_plan plan = { .key = key->text, .key_size = key->size, .version = version };

	return object_make(thread, &plan, 0);
}

static inline bool find_key(const struct arena *arena, const struct key *key, struct index_chain *ret_chain)
{
	expect(index_find(arena, key->hash, key->text, key->size, ret_chain));
	return ret_chain->found >= 0;
}

/* The version under which a lookup finds the key; 0: it does not. */
static inline uint64_t lookup_version(const struct arena *arena, const struct key *key)
{
	struct object_view view;

	return index_lookup(arena, key->hash, key->text, key->size, &view) ? view.version : 0;
}

/* Inserts or replaces, until it is done. False: the chain is full. */
static inline bool put_key(struct cache_thread *thread, const struct key *key, uint64_t version)
{
	const struct arena *arena = &thread->cache->arena;
	struct made made = object_for(thread, key, version);

	for (;;) {
		struct index_chain chain;
		enum index_result result;

		if (find_key(arena, key, &chain))
			result = index_replace(&chain, made.generation, made.offset, 0);
		else
			result = index_insert(NULL, arena, &chain, made.generation, made.offset);
		if (result == INDEX_DONE)
			return true;
		if (result == INDEX_FULL)
			return false;
	}
}

static inline bool remove_key(const struct arena *arena, const struct key *key)
{
	struct index_chain chain;

	while (find_key(arena, key, &chain))
		if (index_remove(&chain) == INDEX_DONE)
			return true;
	return false;
}

/* In how many slots of its chain the key is. */
static inline uint32_t count_key(const struct arena *arena, const struct key *key)
{
	struct index_chain chain;
	struct object_view view;
	uint32_t count = 0, segment;

	expect(index_home(arena, key->hash, &segment) != NULL);
	index_read_chain(arena, segment, hash_home(key->hash, arena->homes), &chain);
	for (uint32_t slot = 0; slot < chain.buckets * BUCKET_SLOTS; slot++)
		count += slot_is_object(chain.words[slot]) &&
		         object_parse(arena, slot_offset(chain.words[slot]), &view) && view.key_size == key->size &&
		         memcmp(view.key, key->text, key->size) == 0;
	return count;
}

#endif
