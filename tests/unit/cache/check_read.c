/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sched.h>

#include "cache/internal.h"
#include "epoch/grace.h"
#include "tests/support/views.h"
#include "tests/unit/support/threads.h"
#include "tests/unit/support/writes.h"

static uint64_t gets(const struct world *world)
{
	const struct thread_line *line = world->self.thread.reader.line;

	return load_relaxed(&line->hits) + load_relaxed(&line->misses);
}

static uint64_t hits(const struct world *world)
{
	return load_relaxed(&world->self.thread.reader.line->hits);
}

/* ---- get --------------------------------------------------------------------------------------------------------------- */

START_TEST(test_get_describes_the_value)
{
	struct world world;
	struct larder_item item;
	char buffer[16];
	uint64_t version;

	world_start(&world, MIB);
	version = put_with(&world, "key", "value", 0, 0xfedcba98);
	ck_assert_int_eq(cache_get(&world.self.thread, "key", 3, buffer, sizeof buffer, &item), 0);
	ck_assert_mem_eq(buffer, "value", 5);
	ck_assert_uint_eq(item.value_size, 5);
	ck_assert_uint_eq(item.version, version);
	ck_assert_uint_eq(item.flags, 0xfedcba98);
	ck_assert_uint_eq(item.ttl_ms, 0);
	ck_assert_int_eq(cache_get(&world.self.thread, "key", 3, buffer, sizeof buffer, NULL), 0);
	world_stop(&world);
}
END_TEST

START_TEST(test_get_into_a_smaller_buffer)
{
	static const char *const keys[] = { "text", "counter" };
	struct world world;

	world_start(&world, MIB);
	put(&world, "text", "123456");
	create_counter(&world, "counter", 123456, 0, 0);
	for (int k = 0; k < 2; k++)
		for (size_t size = 0; size <= 8; size++) {
			struct larder_item item = { 0 };
			char buffer[9] = "xxxxxxxx";

			ck_assert_int_eq(cache_get(&world.self.thread, keys[k], strlen(keys[k]), size ? buffer : NULL,
			                           size, &item),
			                 size < 6 ? LARDER_TRUNCATED : LARDER_OK);
			ck_assert_uint_eq(item.value_size, 6);
			ck_assert_mem_eq(buffer, "123456", size < 6 ? size : 6);
			for (size_t i = size < 6 ? size : 6; i < 8; i++)
				ck_assert_int_eq(buffer[i], 'x');
		}
	world_stop(&world);
}
END_TEST

/* Sizes of keys and values, and lives, choose among several ways of reading. */
START_TEST(test_every_size_is_read_whole_and_no_more)
{
	enum { KEYS_MAX = 40, VALUES_MAX = 300 };
	static unsigned char value[VALUES_MAX], buffer[VALUES_MAX + 1];
	struct random random = { 11 };
	struct world world;

	world_start(&world, 4 * MIB);
	for (size_t round = 0; round <= 2 * VALUES_MAX; round++) {
		const size_t size = round / 2;
		const size_t key_size = round % 2 ? 17 + size % 16 : 1 + size % KEYS_MAX;
		struct write_request request = {
			.operation = WRITE_SET,
			.key = value, /* any bytes do */
			.key_size = key_size,
			.value = value,
			.value_size = size,
			.ttl_ms = size % 3 == 0 ? 60000 : 0,
			.flags = size % 5 == 0 ? 7 : 0,
		};
		struct larder_item item = { 0 };
		struct larder_view view;
		struct write_result written;

		random_bytes(&random, value, sizeof value);
		ck_assert_int_eq(cache_write(&world.self.thread, &request, &written), 0);
		memset(buffer, 0xa5, sizeof buffer);
		ck_assert_int_eq(cache_get(&world.self.thread, value, key_size, buffer, size + size % 2, &item), 0);
		ck_assert_mem_eq(buffer, value, size);
		for (size_t i = size; i < sizeof buffer; i++)
			ck_assert_uint_eq(buffer[i], 0xa5);
		ck_assert_uint_eq(item.version, written.version);
		ck_assert_uint_eq(item.value_size, size);
		ck_assert_uint_eq(item.flags, request.flags);
		ck_assert_uint_eq(item.ttl_ms == 0, request.ttl_ms == 0);

		ck_assert_int_eq(cache_view(&world.self.thread, value, key_size, &view), 0);
		ck_assert_uint_eq(view.size, size);
		ck_assert_mem_eq(view.data, value, size);
		ck_assert_uint_eq(view.item.version, written.version);
		ck_assert_uint_eq(view.item.flags, request.flags);
		ck_assert_uint_eq(view.item.ttl_ms == 0, request.ttl_ms == 0);
		cache_release(&world.self.cache, &view);
	}
	ck_assert_uint_eq(views_held(&world.self.cache.control), 0);
	world_stop(&world);
}
END_TEST

/* Behind it there is nothing that could be read. */
START_TEST(test_object_at_the_very_end)
{
	static const char key[] = "a key of twenty byte";
	char value[300], buffer[300];
	struct random random = { 12 };

	random_bytes(&random, value, sizeof value);
	for (uint32_t size = 0; size <= sizeof value; size += 4) {
		struct object_plan plan = { .key = key, .key_size = sizeof key - 1, .value_size = size };
		uint64_t bytes = object_size(0, plan.key_size, size), hash, offset, word;
		struct larder_view view;
		struct world world;
		atomic_u64 *head;
		uint32_t segment;

		world_start(&world, MIB);
		put(&world, key, "somewhere");
		hash = hash_key(world.arena->secret, key, plan.key_size);
		word = index_search(world.arena, hash, key, plan.key_size);
		offset = world.arena->bytes - bytes;
		memcpy(object_write(world.arena, offset, &plan), value, size);
		object_complete(world.arena, offset, &plan);
		store_relaxed(index_locate(world.arena, hash, &word, &segment), slot_pack(hash, 0, offset));
		ck_assert_int_eq(cache_get(&world.self.thread, key, plan.key_size, buffer, size, NULL), LARDER_OK);
		ck_assert_mem_eq(buffer, value, size);
		ck_assert_int_eq(cache_view(&world.self.thread, key, plan.key_size, &view), LARDER_OK);
		ck_assert_uint_eq(view.size, size);
		ck_assert_mem_eq(view.data, value, size);
		cache_release(&world.self.cache, &view);

		/* and what reaches beyond it is no object */
		head = &((struct object *)(void *)(world.arena->base + offset))->head;
		store_relaxed(head, load_relaxed(head) + (UINT64_C(8) << OBJECT_VALUE_SIZE_SHIFT));
		ck_assert_int_eq(cache_get(&world.self.thread, key, plan.key_size, buffer, sizeof buffer, NULL),
		                 LARDER_MISS);
		ck_assert_int_eq(cache_view(&world.self.thread, key, plan.key_size, &view), LARDER_MISS);
		world_stop(&world);
	}
}
END_TEST

START_TEST(test_miss_touches_nothing)
{
	struct world world;
	struct larder_item item = { .version = 5 };
	char buffer[4] = "abc";

	world_start(&world, MIB);
	ck_assert_int_eq(cache_get(&world.self.thread, "key", 3, buffer, 4, &item), LARDER_MISS);
	ck_assert_str_eq(buffer, "abc");
	ck_assert_uint_eq(item.version, 5);
	world_stop(&world);
}
END_TEST

START_TEST(test_arguments_are_checked)
{
	static char key[LARDER_KEY_MAX + 1];
	struct larder_view view;
	struct world world;
	char buffer[4];

	world_start(&world, MIB);
	ck_assert_int_eq(cache_get(&world.self.thread, "key", 0, buffer, 4, NULL), -EINVAL);
	ck_assert_int_eq(cache_get(&world.self.thread, NULL, 3, buffer, 4, NULL), -EINVAL);
	ck_assert_int_eq(cache_get(&world.self.thread, key, sizeof key, buffer, 4, NULL), -EINVAL);
	ck_assert_int_eq(cache_get(&world.self.thread, key, sizeof key - 1, buffer, 4, NULL), LARDER_MISS);
	ck_assert_int_eq(cache_get(&world.self.thread, "key", 3, NULL, 4, NULL), -EINVAL);
	ck_assert_int_eq(cache_view(&world.self.thread, "key", 0, &view), -EINVAL);
	ck_assert_int_eq(cache_view(&world.self.thread, NULL, 3, &view), -EINVAL);
	ck_assert_int_eq(cache_view(&world.self.thread, "key", 3, NULL), -EINVAL);
	ck_assert_uint_eq(gets(&world), 1);
	world_stop(&world);
}
END_TEST

START_TEST(test_lookups_and_hits_are_counted)
{
	struct world world;
	struct larder_view view;
	char byte;

	world_start(&world, MIB);
	put(&world, "key", "value");
	ck_assert_uint_eq(load_relaxed(&world.self.thread.reader.line->sets), 1);
	cache_get(&world.self.thread, "key", 3, &byte, 1, NULL); /* cut short, but a hit */
	cache_get(&world.self.thread, "none", 4, &byte, 1, NULL);
	ck_assert_uint_eq(gets(&world), 2);
	ck_assert_uint_eq(hits(&world), 1);
	cache_view(&world.self.thread, "key", 3, &view);
	cache_release(&world.self.cache, &view);
	cache_view(&world.self.thread, "none", 4, &view);
	ck_assert_uint_eq(gets(&world), 4);
	ck_assert_uint_eq(hits(&world), 2);
	simple_write(&world, WRITE_DELETE, "key", NULL);
	simple_write(&world, WRITE_DELETE, "key", NULL);
	ck_assert_uint_eq(load_relaxed(&world.self.thread.reader.line->deletes), 1);
	world_stop(&world);
}
END_TEST

/* ---- batches ----------------------------------------------------------------------------------------------------------- */

#define BATCH 70 /* more than two groups */

START_TEST(test_batches_are_like_single_calls)
{
	struct world world;
	char keys[BATCH][16], buffers[BATCH][16];
	struct larder_mget_entry entries[BATCH];
	struct larder_mview_entry views[BATCH];

	world_start(&world, MIB);
	for (uint32_t i = 0; i < BATCH; i++) {
		snprintf(keys[i], sizeof keys[i], "key %u", i);
		if (i % 3 == 1)
			create_counter(&world, keys[i], i, 0, i);
		else if (i % 3 == 2)
			put_with(&world, keys[i], keys[i], 100000, i);
		entries[i] = (struct larder_mget_entry){ .key = keys[i],
			                                 .key_size = strlen(keys[i]),
			                                 .buffer = buffers[i],
			                                 .buffer_size = i % 2 ? 16 : 1,
			                                 .result = 99 };
		views[i] = (struct larder_mview_entry){ .key = keys[i], .key_size = strlen(keys[i]), .result = 99 };
	}
	entries[10].key_size = views[10].key_size = 0;
	entries[11].key = views[11].key = NULL;
	entries[12].buffer = NULL;
	entries[40].key = NULL;
	for (uint32_t count = 0; count <= BATCH; count += 7) {
		uint64_t gets_before = gets(&world);

		cache_mget(&world.self.thread, entries, count);
		ck_assert_uint_eq(gets(&world), gets_before + count);
		for (uint32_t i = 0; i < BATCH; i++) {
			struct larder_mget_entry *entry = &entries[i];
			struct larder_item item = { 0 };
			char buffer[16];
			int result = cache_get(&world.self.thread, entry->key, entry->key_size,
			                       entry->buffer ? buffer : NULL, entry->buffer_size, &item);

			ck_assert_int_eq(entry->result, i < count ? result : 99);
			if (i >= count)
				continue;
			if (result == LARDER_OK || result == LARDER_TRUNCATED) {
				ck_assert_mem_eq(entry->buffer, buffer,
				                 result == LARDER_OK ? item.value_size : entry->buffer_size);
				ck_assert_uint_eq(entry->item.version, item.version);
				ck_assert_uint_eq(entry->item.flags, i);
				ck_assert_uint_le(entry->item.ttl_ms, 100000);
				ck_assert_int_eq(entry->item.ttl_ms != 0, i % 3 == 2);
			}
			entry->result = 99;
		}
	}
	cache_mview(&world.self.thread, views, BATCH);
	for (uint32_t i = 0; i < BATCH; i++) {
		ck_assert_int_eq(views[i].result, i == 10 || i == 11 ? -EINVAL : i % 3 == 0 ? LARDER_MISS : LARDER_OK);
		if (views[i].result != LARDER_OK)
			continue;
		if (i % 3 == 2)
			ck_assert_mem_eq(views[i].view.data, keys[i], strlen(keys[i]));
		cache_release(&world.self.cache, &views[i].view);
	}
	ck_assert_uint_eq(views_held(&world.self.cache.control), 0);
	world_stop(&world);
}
END_TEST

/* ---- revoked ------------------------------------------------------------------------------------------------------------ */

#define KEYS 32
#define READS 4000
#define TIMES 100 /* at most, in a round */

/*
 * Whatever a reader does, somebody revokes it now and then: it must start over and never report anything else. Not for ever, though:
 * after READ_ATTEMPTS it finds nothing, so it is revoked less often than that in each round.
 */
struct revoked {
	struct world world;
	struct client client;
	atomic_u32 round; /* the reader's, from 1; 0 when it is done */
	atomic_u32 times; /* it was revoked */
};

_Static_assert(TIMES < READ_ATTEMPTS, "no call of a round gives up");

static void read_in_each_way(struct revoked *revoked)
{
	struct cache_thread *thread = &revoked->client.thread;
	char keys[KEYS][16], buffers[KEYS][16];
	struct larder_mget_entry entries[KEYS];

	for (uint32_t i = 0; i < KEYS; i++)
		snprintf(keys[i], sizeof keys[i], "key %u", i);
	for (uint32_t round = 0; round < READS || load_relaxed(&revoked->times) == 0; round++) {
		struct write_request request = write_of(WRITE_SET, keys[round % KEYS], keys[round % KEYS]);
		struct write_result result;
		struct larder_view view;

		store_relaxed(&revoked->round, round + 1);
		expect_equal(cache_view(thread, request.key, request.key_size, &view), 0);
		expect(view.size == request.key_size && memcmp(view.data, request.key, view.size) == 0);
		cache_release(&revoked->client.cache, &view);
		expect_equal(cache_view(thread, "none", 4, &view), LARDER_MISS);
		expect_equal(cache_write(thread, &request, &result), 0);
		request.operation = WRITE_ADD;
		expect_equal(cache_write(thread, &request, &result), LARDER_EXISTS);
		for (uint32_t i = 0; i < KEYS; i++)
			entries[i] = (struct larder_mget_entry){ keys[i], strlen(keys[i]), buffers[i], 16, { 0 }, 99 };
		cache_mget(thread, entries, KEYS);
		for (uint32_t i = 0; i < KEYS; i++)
			expect(entries[i].result == 0 && memcmp(buffers[i], keys[i], strlen(keys[i])) == 0);
	}
	store_relaxed(&revoked->round, 0);
}

static void revoked_body(void *context, uint32_t number)
{
	struct revoked *revoked = context;
	struct arena *arena = revoked->world.arena;
	uint32_t round, last = 0, times = 0;

	if (number == 0) {
		read_in_each_way(revoked);
		return;
	}
	while ((round = load_relaxed(&revoked->round)) != 0) {
		if (round != last)
			times = 0;
		last = round;
		if (times == TIMES) {
			sched_yield();
			continue;
		}
		if (grace_revoke(&revoked->client.cache.control,
		                 grace_begin(arena, load_relaxed(&arena->header->epoch))) != 0) {
			times++;
			store_relaxed(&revoked->times, times);
		}
	}
}

START_TEST(test_revoked_calls_start_over)
{
	static struct revoked revoked;
	char key[16];

	world_start(&revoked.world, 8 * MIB);
	client_start(&revoked.world, &revoked.client);
	for (uint32_t i = 0; i < KEYS; i++) {
		snprintf(key, sizeof key, "key %u", i);
		put(&revoked.world, key, key);
	}
	revoked.round = 1;
	threads_run(2, revoked_body, &revoked);
	ck_assert_uint_eq(views_held(&revoked.client.cache.control), 0);
	ck_assert_uint_eq(load_relaxed(&revoked.client.thread.reader.line->epoch), 0);
	expect_sound(&revoked.world);
	client_stop(&revoked.client);
	world_stop(&revoked.world);
}
END_TEST

/*
 * To be revoked in the middle of a call, a reader has its result written over its own epoch word: it is revoked as long as
 * the value there is not the epoch. Another thread then stores a value that is.
 */
#ifndef LARDER_FORCE_FENCED /* ThreadSanitizer would take offence at the two meanings of the word */
struct overlap {
	struct world world;
	struct client client;
	const char *key, *right;
	size_t right_size;
	bool (*begun)(struct overlap *overlap);
	void (*read)(struct overlap *overlap);
};

static void overlap_body(void *context, uint32_t number)
{
	struct overlap *overlap = context;
	struct write_request request = write_of(WRITE_SET, overlap->key, NULL);

	if (number == 0) {
		overlap->read(overlap);
		return;
	}
	while (!overlap->begun(overlap))
		sched_yield();
	request.value = overlap->right;
	request.value_size = overlap->right_size;
	expect_equal(write_one(&overlap->world, &request, NULL), 0);
}

static void overlap_run(struct overlap *overlap, const char *wrong)
{
	world_start(&overlap->world, MIB);
	client_start(&overlap->world, &overlap->client);
	put(&overlap->world, overlap->key, wrong);
	threads_run(2, overlap_body, overlap);
	client_stop(&overlap->client);
	world_stop(&overlap->world);
}

static bool epoch_is_overwritten(struct overlap *overlap)
{
	return load_relaxed(&overlap->client.thread.reader.line->epoch) == EPOCH_REVOKED;
}

static void get_over_the_epoch(struct overlap *overlap)
{
	struct cache_thread *thread = &overlap->client.thread;
	struct larder_item item;
	int result;

	do
		result = cache_get(thread, "key", 3, &thread->reader.line->epoch, 8, &item);
	while (result == LARDER_MISS); /* revoked too often */
	expect_equal(result, 0);
	expect_equal(item.value_size, 1);
}

static void mget_over_the_epoch(struct overlap *overlap)
{
	struct cache_thread *thread = &overlap->client.thread;
	struct larder_mget_entry entry = {
		.key = "key", .key_size = 3, .buffer = &thread->reader.line->epoch, .buffer_size = 8
	};

	do
		cache_mget(thread, &entry, 1);
	while (entry.result == LARDER_MISS);
	expect_equal(entry.result, 0);
	expect_equal(entry.item.value_size, 1);
}

START_TEST(test_get_that_is_revoked_starts_over)
{
	/* One byte of value leaves the other seven of the epoch, which is 1, as they are. */
	static struct overlap overlap = { .key = "key", .right = "\1", .right_size = 1, .begun = epoch_is_overwritten };

	overlap.read = _i ? mget_over_the_epoch : get_over_the_epoch;
	overlap_run(&overlap, "\xff\xff\xff\xff\xff\xff\xff\xff");
}
END_TEST

static bool view_is_pinned(struct overlap *overlap)
{
	return views_held(&overlap->client.cache.control) > 0;
}

static void view_over_the_epoch(struct overlap *overlap)
{
	unsigned char *word = (unsigned char *)&overlap->client.thread.reader.line->epoch;
	struct larder_view *view = (struct larder_view *)(void *)(word - offsetof(struct larder_view, size));
	struct larder_view mine = { .shard = PIN_SHARDS + overlap->client.thread.line };
	struct object_view object;
	int result;

	do
		result = cache_view(&overlap->client.thread, overlap->key, strlen(overlap->key), view);
	while (result == LARDER_MISS);
	expect_equal(result, 0);
	/* Of many attempts only the last one left a pin, and found the line free. */
	expect_equal(views_held(&overlap->client.cache.control), 1);
	expect_equal(view->shard, mine.shard);
	look_up(&overlap->world, overlap->key, &object);
	expect_equal(object.value_size, 1);
	mine.data = object.value;
	mine.segment = (uint32_t)(object.offset >> overlap->world.arena->segment_shift);
	cache_release(&overlap->client.cache, &mine);
	expect_equal(views_held(&overlap->client.cache.control), 0);
}

START_TEST(test_view_that_is_revoked_leaves_no_pin)
{
	static struct overlap overlap = {
		.right = "v", .right_size = 1, .begun = view_is_pinned, .read = view_over_the_epoch
	};

	overlap.key = _i ? "a key of usual length" : "key"; /* for which there is a way of its own */
	overlap_run(&overlap, "value");
}
END_TEST
#endif

int main(void)
{
	TCase *tests = tcase_create("read");

	tcase_add_test(tests, test_get_describes_the_value);
	tcase_add_test(tests, test_get_into_a_smaller_buffer);
	tcase_add_test(tests, test_every_size_is_read_whole_and_no_more);
	tcase_add_test(tests, test_object_at_the_very_end);
	tcase_add_test(tests, test_miss_touches_nothing);
	tcase_add_test(tests, test_arguments_are_checked);
	tcase_add_test(tests, test_lookups_and_hits_are_counted);
	tcase_add_test(tests, test_batches_are_like_single_calls);
	tcase_add_test(tests, test_revoked_calls_start_over);
#ifndef LARDER_FORCE_FENCED
	tcase_add_loop_test(tests, test_get_that_is_revoked_starts_over, 0, 2);
	tcase_add_loop_test(tests, test_view_that_is_revoked_leaves_no_pin, 0, 2);
#endif
	return suite_run("read", tests);
}
