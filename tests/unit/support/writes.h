/* SPDX-License-Identifier: MIT */
/* Operations of the cache in few words, for keys and values that are strings. */
#ifndef LARDER_TESTS_WRITES_H
#define LARDER_TESTS_WRITES_H

#include <stdio.h>

#include "index/index.h"
#include "tests/unit/support/world.h"

static inline struct write_request write_of(enum write_operation operation, const char *key, const char *value)
{
	return (struct write_request){
		.operation = operation,
		.key = key,
		.key_size = strlen(key),
		.value = value,
		.value_size = value ? strlen(value) : 0,
	};
}

static inline int write_one(struct world *world, const struct write_request *request, struct write_result *ret_result)
{
	struct write_result result = { 0 };
	int code = cache_write(&world->self.thread, request, &result);

	if (ret_result)
		*ret_result = result;
	return code;
}

/* Stores; returns the version. */
static inline uint64_t put_with(struct world *world, const char *key, const char *value, uint64_t ttl_ms,
                                uint32_t flags)
{
	struct write_request request = write_of(WRITE_SET, key, value);
	struct write_result result;

	request.ttl_ms = ttl_ms;
	request.flags = flags;
	expect_equal(write_one(world, &request, &result), 0);
	return result.version;
}

static inline uint64_t put(struct world *world, const char *key, const char *value)
{
	return put_with(world, key, value, 0, 0);
}

/* A counter, made or added to. */
static inline int add(struct world *world, const char *key, int64_t delta, int64_t *ret_value)
{
	struct write_request request = write_of(WRITE_INCR, key, NULL);
	struct write_result result = { 0 };
	int code;

	request.delta = delta;
	code = write_one(world, &request, &result);
	if (ret_value)
		*ret_value = result.value;
	return code;
}

static inline uint64_t create_counter(struct world *world, const char *key, int64_t initial, uint64_t ttl_ms,
                                      uint32_t flags)
{
	struct write_request request = write_of(WRITE_INCR, key, NULL);
	struct write_result result;

	request.incr_flags = LARDER_INCR_CREATE;
	request.initial = initial;
	request.ttl_ms = ttl_ms;
	request.flags = flags;
	expect_equal(write_one(world, &request, &result), 0);
	expect_equal(result.value, initial);
	return result.version;
}

static inline int simple_write(struct world *world, enum write_operation operation, const char *key, const char *value)
{
	struct write_request request = write_of(operation, key, value);

	return write_one(world, &request, NULL);
}

/* The object of a key, which must be there. */
static inline void look_up(const struct world *world, const char *key, struct object_view *ret_view)
{
	const char *volatile any_key = key; /* compilers warn that a short constant key could be read as a long one */
	const char *bytes = any_key;
	size_t size = strlen(bytes);

	expect(index_lookup(world->arena, hash_key(world->arena->secret, bytes, size), bytes, size, ret_view));
}

#define VALUE_TEXT 256

/* The value as a string; "(miss)" when there is none. */
static inline const char *get(struct world *world, const char *key, char text[VALUE_TEXT], struct larder_item *ret_item)
{
	struct larder_item item = { 0 };
	int code = cache_get(&world->self.thread, key, strlen(key), text, VALUE_TEXT - 1, &item);

	expect(code == LARDER_OK || code == LARDER_MISS);
	if (ret_item)
		*ret_item = item;
	if (code == LARDER_MISS)
		return "(miss)";
	text[item.value_size] = 0;
	return text;
}

#define expect_value(world, key, expected) \
	do { \
		char text_[VALUE_TEXT]; \
		ck_assert_str_eq(get((world), (key), text_, NULL), (expected)); \
	} while (0)

/* Everything that verify finds wrong goes to standard error. */
static inline void tell_fault(void *context, const char *sentence)
{
	(void)context;
	fprintf(stderr, "verify: %s\n", sentence);
}

#define expect_sound(world) ck_assert_int_eq(cache_verify(&(world)->self.thread, tell_fault, NULL, NULL), 0)

#endif
