/* SPDX-License-Identifier: MIT */
/* What the keeper must not believe of the arena. */
#include <errno.h>

#include "tests/unit/daemon/house.h"

static void set_state(const struct house *house, uint32_t segment, struct segment_word word)
{
	store_relaxed(&house->arena->table[segment].state, segment_pack(word));
}

/* Whatever is said of the segments that hold header and tables, the keeper does not touch them. */
START_TEST(test_system_segments_are_never_used)
{
	static const enum segment_state states[] = { SEGMENT_FREE,  SEGMENT_OPEN,    SEGMENT_CONDEMNED,
		                                     SEGMENT_INDEX, SEGMENT_RETIRED, SEGMENT_RESERVE };

	for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
		struct house house;
		struct segment_word word = { .state = states[i], .ttl_class = 1, .next_chunk = 1 };
		unsigned char before[offsetof(struct arena_header, epoch)];

		house_start(&house, MIB, 0);
		memcpy(before, house.arena->header, sizeof before);
		reclaim_destroy(house.reclaim);
		for (uint32_t s = 0; s < house.arena->system_segments; s++) {
			set_state(&house, s, word);
			store_relaxed(&house.arena->table[s].overflow_used, UINT32_MAX);
		}
		store_relaxed(&house.arena->header->search_hint, 0);
		for (uint32_t slab = 0; slab < SLABS; slab++)
			store_relaxed(&house.arena->header->open_segment[slab], 1);
		house_keeper(&house, 0);
		for (uint32_t number = 0; number < 200; number++) {
			static char value[20000];
			struct write_request request = { .operation = WRITE_SET,
				                         .value = value,
				                         .value_size = sizeof value };

			request.key = &number;
			request.key_size = sizeof number;
			while (write_one(&house.world, &request, NULL) == -EAGAIN)
				reclaim_run(house.reclaim);
		}
		house_work(&house);
		/* of what a process looks at in the header again and again the rest changes all the time */
		ck_assert_mem_eq(house.arena->header, before, sizeof before);
		for (uint32_t s = 0; s < house.arena->system_segments; s++)
			ck_assert_int_eq(house_state(&house, s), states[i]);
		house_stop(&house);
	}
}
END_TEST

/* Whoever writes over the epoch gains nothing, and holds nothing up. */
START_TEST(test_scribbled_epoch)
{
	static const uint64_t epochs[] = { 0, 1, UINT64_C(1) << 63, UINT64_MAX - 1, UINT64_MAX };
	struct house house;
	uint64_t true_epoch, expired;

	house_start(&house, MIB, NEVER_MS);
	for (int i = 0; i < 5; i++) {
		put_with(&house.world, "key", "value", 1000, 0);
		world_advance(&house.world, 5000);
		house_work(&house);
	}
	true_epoch = load_relaxed(&house.arena->header->epoch);
	ck_assert_uint_gt(true_epoch, 5);
	for (size_t i = 0; i < sizeof epochs / sizeof epochs[0]; i++) {
		store_relaxed(&house.arena->header->epoch, epochs[i]);
		reclaim_run(house.reclaim);
		ck_assert_uint_eq(load_relaxed(&house.arena->header->epoch), true_epoch);
	}
	put_with(&house.world, "key", "value", 1000, 0);
	expired = load_relaxed(&house.arena->header->expired_segments);
	for (size_t i = 0; i < sizeof epochs / sizeof epochs[0]; i++) {
		store_relaxed(&house.arena->header->epoch, epochs[i]);
		reclaim_destroy(house.reclaim);
		house_keeper(&house, NEVER_MS);
		reclaim_run(house.reclaim);
		ck_assert_uint_ge(load_relaxed(&house.arena->header->epoch), 1);
		ck_assert_uint_le(load_relaxed(&house.arena->header->epoch), UINT64_C(1) << 62);
	}
	world_advance(&house.world, 5000);
	house_work(&house);
	ck_assert_uint_eq(load_relaxed(&house.arena->header->expired_segments), expired + 1);
	house_stop(&house);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("reclaim, scribbled on");

	tcase_add_test(tests, test_system_segments_are_never_used);
	tcase_add_test(tests, test_scribbled_epoch);
	return suite_run("reclaim, scribbled on", tests);
}
