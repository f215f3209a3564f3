/* SPDX-License-Identifier: MIT */
#include "object/object.h"

#include "tests/unit/support/world.h"

#define FLAGS_ALL (OBJECT_EXPIRES | OBJECT_FLAGS | OBJECT_COUNTER)

/* Where a test may write as it likes. */
static uint64_t scratch(const struct world *world)
{
	return (uint64_t)(world->segments / 2) << world->arena->segment_shift;
}

static struct object_plan plan_of(uint32_t flags, const unsigned char *key, uint32_t key_size, uint32_t value_size)
{
	struct object_plan plan = {
		.key = key,
		.key_size = key_size,
		.value_size = value_size,
		.flags = flags,
		.user_flags = flags & OBJECT_FLAGS ? 0xdeadbeef : 0,
		.expires_ms = flags & OBJECT_EXPIRES ? UINT64_C(0x123456789abc) : 0,
		.version = UINT64_C(0xfedcba987654321),
		.number = INT64_C(-77),
	};

	return plan;
}

/* Writes an object in front of and behind bytes that must stay, reads it again, and compares. */
static void check_round_trip(const struct world *world, uint64_t offset, const struct object_plan *plan)
{
	const struct arena *arena = world->arena;
	uint64_t size = object_size(plan->flags, plan->key_size, plan->value_size);
	unsigned char *value;
	struct object_view view;

	memset(arena->base + offset - 16, 0x5a, size + 32);
	store_relaxed(&((struct object *)(void *)(arena->base + offset))->head, 0);
	value = object_write(arena, offset, plan);
	expect(!object_parse(arena, offset, &view)); /* not complete yet */
	if (value)
		memset(value, 0xc3, plan->value_size);
	object_complete(arena, offset, plan);
	for (uint64_t i = 0; i < 16; i++)
		expect(arena->base[offset - 16 + i] == 0x5a && arena->base[offset + size + i] == 0x5a);

	expect(object_parse(arena, offset, &view));
	expect_equal(view.size, size);
	expect_equal(view.size % OBJECT_UNIT, 0);
	expect_equal(view.offset, offset);
	expect_equal(view.key_size, plan->key_size);
	expect(memcmp(view.key, plan->key, plan->key_size) == 0);
	expect_equal(view.flags, plan->flags);
	expect_equal(view.user_flags, plan->user_flags);
	expect_equal(view.expires_ms, plan->expires_ms);
	expect_equal(view.version, plan->version);
	expect(object_has_key(&view, plan->key, plan->key_size));
	if (plan->flags & OBJECT_COUNTER) {
		uint64_t version;

		expect(view.value == NULL && view.value_size == 0);
		expect_equal((uintptr_t)view.counter % 16, 0);
		expect((unsigned char *)view.counter >= view.key + view.key_size);
		expect((unsigned char *)(view.counter + 1) <= arena->base + offset + size);
		expect_equal(counter_read(view.counter, &version), plan->number);
		expect_equal(version, plan->version);
		return;
	}
	expect(view.counter == NULL && view.value == value && object_is_aligned(&view));
	expect_equal((uintptr_t)value % object_value_alignment(plan->value_size), 0);
	expect_equal(view.value_size, plan->value_size);
	expect(view.value >= view.key + view.key_size);
	expect(view.value + view.value_size <= arena->base + offset + size);
	for (uint32_t i = 0; i < plan->value_size; i++)
		expect(view.value[i] == 0xc3);
	/* readable in place as any C type whose size divides that of the value */
	for (uint64_t type = 1; type <= 8 && plan->value_size > 0; type *= 2)
		if (plan->value_size % type == 0)
			expect_equal((uintptr_t)view.value % type, 0);
}

START_TEST(test_every_small_object)
{
	struct random random = { 1 };
	unsigned char key[512];
	struct world world;

	world_start(&world, MIB);
	random_bytes(&random, key, sizeof key);
	for (uint32_t flags = 0; flags <= FLAGS_ALL; flags++)
		for (uint32_t key_size = 1; key_size <= 40; key_size++)
			for (uint32_t value_size = 0; value_size <= (flags & OBJECT_COUNTER ? 0 : 70); value_size++)
				for (uint64_t at = 16; at <= 24; at += 8) {
					struct object_plan plan = plan_of(flags, key, key_size, value_size);

					check_round_trip(&world, scratch(&world) + at, &plan);
				}
	world_stop(&world);
}
END_TEST

START_TEST(test_large_objects)
{
	static const uint32_t key_sizes[] = { 1, 255, 256, 4095, 65534, 65535 };
	static const uint32_t value_sizes[] = { 0, 255, 256, 65535, 65536, 100000, 1000001 };
	static unsigned char key[65535];
	struct random random = { 2 };
	struct world world;

	world_start(&world, 64 * MIB);
	random_bytes(&random, key, sizeof key);
	for (uint32_t flags = 0; flags <= FLAGS_ALL; flags++)
		for (size_t k = 0; k < sizeof key_sizes / sizeof key_sizes[0]; k++)
			for (size_t v = 0;
			     v < (flags & OBJECT_COUNTER ? 1 : sizeof value_sizes / sizeof value_sizes[0]); v++) {
				struct object_plan plan = plan_of(flags, key, key_sizes[k], value_sizes[v]);

				check_round_trip(&world, scratch(&world) + 24, &plan);
			}
	world_stop(&world);
}
END_TEST

START_TEST(test_no_byte_is_wasted)
{
	ck_assert_uint_eq(object_size(0, 8, 8), 16 + 8 + 8);
	ck_assert_uint_eq(object_size(0, 1, 7), 16 + 1 + 7); /* a string needs no alignment */
	ck_assert_uint_eq(object_size(0, 5, 3), 16 + 5 + 3);
	ck_assert_uint_eq(object_size(0, 7, 8), 16 + 8 + 8);
	ck_assert_uint_eq(object_size(0, 1, 4), 16 + 4 + 4);
	ck_assert_uint_eq(object_size(OBJECT_EXPIRES, 8, 8), 16 + 8 + 8 + 8);
	ck_assert_uint_eq(object_size(OBJECT_FLAGS, 4, 8), 16 + 4 + 4 + 8);
	ck_assert_uint_eq(object_size(OBJECT_EXPIRES | OBJECT_FLAGS, 4, 8), 16 + 8 + 4 + 4 + 8);
	for (uint32_t key_size = 1; key_size < 40; key_size++)
		for (uint32_t value_size = 0; value_size < 70; value_size++) {
			uint64_t least = 16 + key_size + value_size;

			ck_assert_uint_ge(object_size(0, key_size, value_size), least);
			ck_assert_uint_le(object_size(0, key_size, value_size), least + 14);
		}
}
END_TEST

START_TEST(test_alignment_of_values)
{
	for (uint64_t size = 1; size < 200; size++) {
		uint64_t alignment = object_value_alignment(size);

		ck_assert_uint_eq(alignment, size % 8 == 0 ? 8 : size % 4 == 0 ? 4 : size % 2 == 0 ? 2 : 1);
	}
}
END_TEST

START_TEST(test_keys_are_compared_whole)
{
	static const uint32_t sizes[] = { 1, 2, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 64, 200 };
	unsigned char key[200], other[200];
	struct random random = { 4 };
	struct world world;

	world_start(&world, MIB);
	random_bytes(&random, key, sizeof key);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct object_plan plan = plan_of(0, key, sizes[i], 3);
		struct object_view view;

		object_write(world.arena, scratch(&world), &plan);
		object_complete(world.arena, scratch(&world), &plan);
		expect(object_parse(world.arena, scratch(&world), &view));
		for (uint32_t byte = 0; byte < sizes[i]; byte++) {
			memcpy(other, key, sizeof key);
			expect(object_has_key(&view, other, sizes[i]));
			other[byte] ^= 0x80;
			expect(!object_has_key(&view, other, sizes[i]));
		}
		expect(!object_has_key(&view, key, sizes[i] - 1));
		expect(!object_has_key(&view, key, sizes[i] + 1));
	}
	world_stop(&world);
}
END_TEST

START_TEST(test_expiry_is_the_first_moment_without)
{
	struct object_view view = { .expires_ms = 1000 };

	ck_assert(!object_expired(&view, 999));
	ck_assert(object_expired(&view, 1000));
	ck_assert(object_expired(&view, 1001));
	view.expires_ms = 0;
	ck_assert(!object_expired(&view, UINT64_MAX));
}
END_TEST

/* ---- what may stand where an object should be ----------------------------------------------------------------------- */

static void write_head(const struct arena *arena, uint64_t offset, uint64_t head)
{
	store_relaxed(&((struct object *)(void *)(arena->base + offset))->head, head);
}

static uint64_t head_of(uint32_t flags, uint32_t key_size, uint32_t value_size)
{
	const struct object_plan plan = { .flags = flags, .key_size = key_size, .value_size = value_size };

	return object_head(&plan);
}

static void expect_inside(const struct arena *arena, uint64_t offset, const struct object_view *view)
{
	const unsigned char *start = arena->base + offset, *end = start + view->size;

	expect(view->size <= arena->bytes - offset);
	expect(view->key >= start && view->key + view->key_size <= end);
	if (view->counter)
		expect((unsigned char *)view->counter >= start && (unsigned char *)(view->counter + 1) <= end);
	else
		expect(view->value >= start && view->value_size <= (uint64_t)(end - view->value));
}

START_TEST(test_offsets_near_the_end)
{
	struct world world;
	struct object_view view;
	const struct arena *arena;

	world_start(&world, MIB);
	arena = world.arena;
	for (uint64_t distance = 0; distance < 16; distance += 8)
		ck_assert(!object_parse(arena, arena->bytes - distance, &view));
	ck_assert(!object_parse(arena, arena->bytes + 8, &view));
	ck_assert(!object_parse(arena, SLOT_OFFSET_MASK * OBJECT_UNIT, &view));
	for (uint64_t distance = 16; distance <= 160; distance += 8)
		for (uint32_t flags = 0; flags <= FLAGS_ALL; flags++)
			for (uint32_t key_size = 0; key_size < 60; key_size++)
				for (uint32_t value_size = 0; value_size < 40; value_size += 3) {
					uint64_t offset = arena->bytes - distance;
					uint64_t size = object_size(flags, key_size, value_size);

					write_head(arena, offset, head_of(flags, key_size, value_size));
					expect_equal(object_parse(arena, offset, &view),
					             key_size > 0 && size <= distance);
					if (key_size > 0 && size <= distance)
						expect_inside(arena, offset, &view);
				}
	world_stop(&world);
}
END_TEST

/* Whatever padding a head claims, the value is inside, or there is no object. */
START_TEST(test_padding_that_nobody_wrote)
{
	struct world world;
	struct object_view view;
	const struct arena *arena;

	world_start(&world, MIB);
	arena = world.arena;
	for (uint64_t padding = 0; padding <= UINT8_MAX; padding++)
		for (uint64_t distance = 16; distance <= 320; distance += 8) {
			uint64_t offset = arena->bytes - distance;

			write_head(arena, offset,
			           (head_of(0, 20, 3) & ~((uint64_t)UINT8_MAX << OBJECT_PADDING_SHIFT)) |
			                   padding << OBJECT_PADDING_SHIFT);
			expect_equal(object_parse(arena, offset, &view), 16 + 20 + padding + 3 <= distance);
			if (16 + 20 + padding + 3 > distance)
				continue;
			expect_inside(arena, offset, &view);
			expect_equal(object_is_aligned(&view), padding == 0);
		}
	world_stop(&world);
}
END_TEST

START_TEST(test_lengths_that_do_not_fit)
{
	struct world world;
	struct object_view view;
	uint64_t offset;

	world_start(&world, MIB);
	offset = scratch(&world);
	write_head(world.arena, offset, head_of(0, 1, UINT32_MAX));
	ck_assert(!object_parse(world.arena, offset, &view));
	write_head(world.arena, offset, head_of(FLAGS_ALL & ~OBJECT_COUNTER, 65535, UINT32_MAX));
	ck_assert(!object_parse(world.arena, offset, &view));
	write_head(world.arena, offset, head_of(0, 0, 8));
	ck_assert(!object_parse(world.arena, offset, &view));
	/* a counter has no value, whatever the head says */
	write_head(world.arena, offset, head_of(OBJECT_COUNTER, 8, UINT32_MAX));
	ck_assert(object_parse(world.arena, offset, &view));
	ck_assert_uint_eq(view.value_size, 0);
	expect_inside(world.arena, offset, &view);
	world_stop(&world);
}
END_TEST

START_TEST(test_any_bytes_at_all)
{
	struct random random = { 5 };
	struct world world;
	struct object_view view;
	uint64_t area = 65536;

	world_start(&world, MIB);
	for (int round = 0; round < 4; round++) {
		unsigned char *start = world.arena->base + world.arena->bytes - area;

		random_bytes(&random, start, area);
		for (uint64_t distance = 8; distance <= area; distance += 8)
			if (object_parse(world.arena, world.arena->bytes - distance, &view))
				expect_inside(world.arena, world.arena->bytes - distance, &view);
	}
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("object");

	tcase_add_test(tests, test_every_small_object);
	tcase_add_test(tests, test_large_objects);
	tcase_add_test(tests, test_no_byte_is_wasted);
	tcase_add_test(tests, test_alignment_of_values);
	tcase_add_test(tests, test_keys_are_compared_whole);
	tcase_add_test(tests, test_expiry_is_the_first_moment_without);
	tcase_add_test(tests, test_offsets_near_the_end);
	tcase_add_test(tests, test_padding_that_nobody_wrote);
	tcase_add_test(tests, test_lengths_that_do_not_fit);
	tcase_add_test(tests, test_any_bytes_at_all);
	return suite_run("object", tests);
}
