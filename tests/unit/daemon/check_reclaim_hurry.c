/* SPDX-License-Identifier: MIT */
/* While memory is short the keeper does not wait as long for a stopped thread as it does at leisure. */
#include <stdio.h>

#include "base/clock.h"
#include "tests/unit/daemon/house.h"

#define STALL_MS 10000u
#define HURRY_MS (STALL_MS / 100)
#define HANG_MS (STALL_MS / 2) /* who is revoked within this was not waited for at leisure */

/* Fills the arena, or only some of it. */
static void fill(struct house *house, uint32_t values, uint64_t ttl_ms)
{
	static char value[50000];
	int result = 0;

	for (uint32_t i = 0; i < values && result == 0; i++) {
		char key[16];
		struct write_request request = {
			.operation = WRITE_SET, .key = key, .value = value, .value_size = sizeof value, .ttl_ms = ttl_ms
		};

		request.key_size = (size_t)snprintf(key, sizeof key, "large %u", i);
		result = write_one(&house->world, &request, NULL);
	}
}

/* Lets the keeper work while the guest is in a section. Return: after how many ms it was revoked, or limit_ms. */
static uint64_t work_until_revoked(struct house *house, uint64_t limit_ms)
{
	struct epoch_reader *reader = &house->guest.thread.reader;
	uint64_t began_ms = monotonic_ms(), passed_ms = 0;

	epoch_enter(reader);
	while (epoch_valid(reader) && passed_ms < limit_ms) {
		reclaim_run(house->reclaim);
		passed_ms = monotonic_ms() - began_ms;
	}
	epoch_exit(reader);
	return passed_ms;
}

START_TEST(test_short_memory_makes_the_keeper_impatient)
{
	struct house house;
	uint64_t first_ms, second_ms;

	house_start(&house, MIB, STALL_MS);
	fill(&house, UINT32_MAX, 0);
	first_ms = work_until_revoked(&house, HANG_MS);
	ck_assert_uint_lt(first_ms, HANG_MS);
	ck_assert_uint_ge(first_ms, HURRY_MS);
	/* Somebody who needs longer gets it the next time. */
	house_work(&house);
	fill(&house, UINT32_MAX, 0);
	second_ms = work_until_revoked(&house, HANG_MS);
	ck_assert_uint_lt(second_ms, HANG_MS);
	ck_assert_uint_ge(second_ms, 2 * HURRY_MS);
	house_stop(&house);
}
END_TEST

START_TEST(test_there_is_time_while_there_is_memory)
{
	struct house house;

	house_start(&house, MIB, STALL_MS);
	fill(&house, 3, 2000);
	world_advance(&house.world, 10000);
	ck_assert_uint_ge(work_until_revoked(&house, 3 * HURRY_MS), 3 * HURRY_MS);
	ck_assert_uint_eq(load_relaxed(&house.arena->header->expired_segments), 0); /* they do wait for it */
	house_work(&house);
	ck_assert_uint_ge(load_relaxed(&house.arena->header->expired_segments), 3);
	house_stop(&house);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("reclaim, in a hurry");

	tcase_add_test(tests, test_short_memory_makes_the_keeper_impatient);
	tcase_add_test(tests, test_there_is_time_while_there_is_memory);
	return suite_run("reclaim, in a hurry", tests);
}
