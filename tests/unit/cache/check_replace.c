/* SPDX-License-Identifier: MIT */
#include "cache/replace.h"

#include <errno.h>

#include "cache/dead.h"
#include "cache/usage.h"
#include "tests/unit/support/writes.h"

#define KEY "a key of the usual size"
#define OTHER_KEY "another of the same kind"
#define OLD "the old value"
#define NEW "a new one"

static void expect_nothing_held(const struct world *world)
{
	const struct thread_line *line = world->self.thread.reader.line;

	ck_assert_uint_eq(load_relaxed(&line->epoch), 0);
	ck_assert_uint_eq(load_relaxed(&line->write_pin), 0);
	for (int which = 0; which < INDEX_PINS; which++)
		ck_assert_uint_eq(load_relaxed(&line->index_pins[which]), 0);
}

static void find(struct world *world, struct index_chain *ret_chain)
{
	ck_assert(index_find(world->arena, hash_key(world->arena->secret, KEY, strlen(KEY)), KEY, strlen(KEY),
	                     ret_chain));
	ck_assert_int_ge(ret_chain->found, 0);
}

/* The usual write is done, and leaves all that any other would. */
START_TEST(test_replaces)
{
	struct write_request request = write_of(WRITE_SET, KEY, NEW);
	struct write_result result = { 0 };
	struct index_chain before, after;
	struct larder_item item;
	char text[VALUE_TEXT];
	struct world world;
	uint64_t version;
	uint32_t dead;

	world_start(&world, MIB);
	put(&world, OTHER_KEY, OLD); /* so that there is room for what does not expire */
	version = put_with(&world, KEY, OLD, (uint64_t)_i * 1000, (uint32_t)_i);
	find(&world, &before);
	dead = load_relaxed(&world.arena->table[segment_of(world.arena, before.object.offset)].dead_units);
	request.flags = 9;
	ck_assert(cache_replace(&world.self.thread, &request, &result));
	expect_nothing_held(&world);
	find(&world, &after);
	ck_assert_str_eq(get(&world, KEY, text, &item), NEW);
	ck_assert_uint_gt(result.version, version);
	ck_assert_uint_eq(item.version, result.version);
	ck_assert_uint_eq(item.flags, 9);
	ck_assert_uint_eq(item.ttl_ms, 0);
	ck_assert_int_eq(after.found, before.found);
	ck_assert_uint_eq(slot_heat(after.words[after.found]), slot_heat(before.words[before.found]) + 1);
	dead_tell(&world.self.thread);
	ck_assert_uint_eq(load_relaxed(&world.arena->table[segment_of(world.arena, before.object.offset)].dead_units),
	                  dead + before.object.size / OBJECT_UNIT);
	ck_assert_uint_eq(load_relaxed(&world.self.thread.reader.line->sets), 3);
	expect_sound(&world);
	world_stop(&world);
}
END_TEST

START_TEST(test_gives_a_new_life)
{
	struct write_request request = write_of(WRITE_SET, KEY, NEW);
	struct write_result result;
	struct larder_item item;
	struct world world;
	char text[VALUE_TEXT];

	world_start(&world, MIB);
	put_with(&world, OTHER_KEY, OLD, 500000, 0); /* room for lives of this length */
	put_with(&world, KEY, OLD, 100000, 0);
	request.ttl_ms = 500000;
	ck_assert(cache_replace(&world.self.thread, &request, &result));
	world_advance(&world, 400000);
	ck_assert_str_eq(get(&world, KEY, text, &item), NEW);
	ck_assert_uint_le(item.ttl_ms, 100000);
	world_advance(&world, 100000);
	expect_value(&world, KEY, "(miss)");
	expect_sound(&world);
	world_stop(&world);
}
END_TEST

/* What has neither life nor flags goes the same way, in both modes, or the general one. */
START_TEST(test_sets)
{
	struct thread_line *line;
	struct client client;
	struct world world;
	char text[VALUE_TEXT];
	uint64_t version = 0, last;
	struct larder_item item;

	world_start(&world, MIB);
	client_start_waiting(&world, &client, _i == 1, 0);
	line = client.thread.reader.line;
	ck_assert_int_eq(cache_set(&client.thread, KEY, strlen(KEY), OLD, strlen(OLD), &version), LARDER_OK);
	ck_assert_str_eq(get(&world, KEY, text, &item), OLD);
	ck_assert_uint_eq(item.version, version);
	last = version;
	ck_assert_int_eq(cache_set(&client.thread, KEY, strlen(KEY), NEW, strlen(NEW), &version), LARDER_OK);
	ck_assert_uint_gt(version, last);
	ck_assert_str_eq(get(&world, KEY, text, &item), NEW);
	ck_assert_uint_eq(item.version, version);
	ck_assert_uint_eq(item.flags, 0);
	ck_assert_int_eq(cache_set(&client.thread, KEY, strlen(KEY), OLD, strlen(OLD), NULL), LARDER_OK);
	ck_assert_int_eq(cache_set(&client.thread, "key", 3, OLD, strlen(OLD), NULL), LARDER_OK);
	expect_value(&world, KEY, OLD);
	expect_value(&world, "key", OLD);
	ck_assert_int_eq(cache_set(&client.thread, KEY, strlen(KEY), NULL, 0, &version), LARDER_OK);
	expect_value(&world, KEY, "");
	ck_assert_uint_eq(load_relaxed(&line->sets), 5);
	ck_assert_uint_eq(load_relaxed(&line->epoch), 0);
	ck_assert_uint_eq(load_relaxed(&line->write_pin), 0);
	ck_assert_uint_eq(load_relaxed(&line->index_pins[INDEX_PIN_SEGMENT]), 0);
	ck_assert_int_eq(cache_set(&client.thread, NULL, 20, OLD, strlen(OLD), NULL), -EINVAL);
	ck_assert_int_eq(cache_set(&client.thread, KEY, 0, OLD, strlen(OLD), NULL), -EINVAL);
	ck_assert_int_eq(cache_set(&client.thread, KEY, strlen(KEY), NULL, 1, NULL), -EINVAL);
	ck_assert_int_eq(cache_set(&client.thread, KEY, strlen(KEY), OLD, VALUE_BYTES_MAX + 1, NULL), -E2BIG);
	expect_sound(&world);
	client_stop(&client);
	world_stop(&world);
}
END_TEST

/* Time that stands still, or is behind that of the version there is, must not keep it from growing. */
START_TEST(test_version_grows_whatever_the_time_is)
{
	struct write_request request = write_of(WRITE_SET, KEY, NEW);
	struct write_result result;
	struct index_chain chain;
	struct world world;
	struct object *object;

	world_start(&world, MIB);
	put(&world, KEY, OLD);
	find(&world, &chain);
	object = chain.object.object;
	object->version += UINT64_C(1) << 40; /* days ahead */
	ck_assert(cache_replace(&world.self.thread, &request, &result));
	ck_assert_uint_eq(result.version, object->version + 1);
	ck_assert_int_eq(cache_set(&world.self.thread, KEY, strlen(KEY), OLD, strlen(OLD), &result.version), LARDER_OK);
	ck_assert_uint_eq(result.version, object->version + 2);
	world_stop(&world);
}
END_TEST

/* ---- what is not its business --------------------------------------------------------------------------------------- */

static void refuse(struct world *world, const struct write_request *request)
{
	struct write_result result = { .version = 1 };
	uint64_t sets = load_relaxed(&world->self.thread.reader.line->sets);

	ck_assert(!cache_replace(&world->self.thread, request, &result));
	ck_assert_uint_eq(result.version, 1);
	ck_assert_uint_eq(load_relaxed(&world->self.thread.reader.line->sets), sets);
	expect_nothing_held(world);
	expect_sound(world);
}

START_TEST(test_other_requests)
{
	struct write_request request = write_of(WRITE_SET, KEY, NEW);
	struct world world;

	world_start(&world, MIB);
	put(&world, KEY, OLD);
	put(&world, "key", OLD);
	for (enum write_operation operation = WRITE_ADD; operation < WRITE_OPERATIONS; operation++) {
		request.operation = operation;
		refuse(&world, &request);
	}
	request = write_of(WRITE_SET, "key", NEW);
	refuse(&world, &request);
	request = write_of(WRITE_SET, KEY, NEW);
	request.key = NULL;
	refuse(&world, &request);
	request = write_of(WRITE_SET, KEY, NULL);
	request.value_size = 1;
	refuse(&world, &request);
	request = write_of(WRITE_SET, KEY, NEW);
	request.value_size = VALUE_BYTES_MAX + 1;
	refuse(&world, &request);
	expect_value(&world, KEY, OLD);
	world_stop(&world);
}
END_TEST

START_TEST(test_keys_without_an_object_to_replace)
{
	const struct write_request request = write_of(WRITE_SET, KEY, NEW);
	struct world world;

	world_start(&world, MIB);
	put(&world, OTHER_KEY, OLD);
	refuse(&world, &request);
	put_with(&world, KEY, OLD, 1000, 0);
	world_advance(&world, 1000);
	refuse(&world, &request);
	expect_value(&world, KEY, "(miss)");
	simple_write(&world, WRITE_DELETE, KEY, NULL);
	create_counter(&world, KEY, 5, 0, 0);
	refuse(&world, &request);
	expect_value(&world, KEY, "5");
	world_stop(&world);
}
END_TEST

/* A split that has come as far as this slot wants it as it is. */
START_TEST(test_frozen_slot)
{
	const struct write_request request = write_of(WRITE_SET, KEY, NEW);
	struct index_chain chain;
	struct world world;
	struct write_result result;
	atomic_u64 *slot;

	world_start(&world, MIB);
	put(&world, KEY, OLD);
	find(&world, &chain);
	slot = index_slot_at(&chain, (uint32_t)chain.found);
	store_relaxed(slot, chain.words[chain.found] | SLOT_FROZEN);
	ck_assert(!cache_replace(&world.self.thread, &request, &result));
	ck_assert_uint_eq(load_relaxed(slot), chain.words[chain.found] | SLOT_FROZEN);
	store_relaxed(slot, chain.words[chain.found]);
	ck_assert(cache_replace(&world.self.thread, &request, &result));
	world_stop(&world);
}
END_TEST

/* Room that is not at hand is looked for on the general way, which can wait. */
START_TEST(test_no_room_at_hand)
{
	const struct write_request request = write_of(WRITE_SET, KEY, NEW);
	struct world world;

	world_start(&world, MIB);
	put(&world, KEY, OLD);
	memset(world.self.thread.allocator->runs, 0, sizeof world.self.thread.allocator->runs);
	refuse(&world, &request);
	put(&world, KEY, NEW);
	segment_change(world.arena, world.self.thread.allocator->runs[POOL_PROBATION * TTL_CLASSES].segment,
	               SEGMENT_OPEN, SEGMENT_CONDEMNED);
	refuse(&world, &request);
	expect_value(&world, KEY, NEW);
	world_stop(&world);
}
END_TEST

/* What the curve of miss ratios rests on is noted by the general way. */
START_TEST(test_sampled_key)
{
	struct write_request request = write_of(WRITE_SET, KEY, NEW);
	struct world world;
	char key[256]; /* compilers warn that a short one could be read as a long one */

	world_start(&world, MIB);
	for (uint32_t number = 0;; number++) {
		request.key_size = (size_t)snprintf(key, sizeof key, "sampled key no. %08u", number);
		if (usage_sampled(hash_key(world.arena->secret, key, request.key_size)))
			break;
	}
	request.key = key;
	put(&world, key, OLD);
	refuse(&world, &request);
	expect_value(&world, key, OLD);
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("replace");

	tcase_add_loop_test(tests, test_replaces, 0, 2);
	tcase_add_test(tests, test_gives_a_new_life);
	tcase_add_loop_test(tests, test_sets, 0, 2);
	tcase_add_test(tests, test_version_grows_whatever_the_time_is);
	tcase_add_test(tests, test_other_requests);
	tcase_add_test(tests, test_keys_without_an_object_to_replace);
	tcase_add_test(tests, test_frozen_slot);
	tcase_add_test(tests, test_no_room_at_hand);
	tcase_add_test(tests, test_sampled_key);
	return suite_run("replace", tests);
}
