/* SPDX-License-Identifier: MIT */
/* What the keeper does about a window for an extent that it cannot empty. */
#include "daemon/extents.h"

#include <errno.h>

#include "daemon/reclaim_internal.h"
#include "tests/unit/daemon/house.h"

#define PATIENCE_MS 20000u
#define LATER_MS 5000u
#define WANTED 5u /* segments */

/* A writer asked and gave up, and views are in every window: the keeper does not try for ever. */
START_TEST(test_wish_of_nobody)
{
	struct house house;
	atomic_u32 *wanted;

	house_start(&house, MIB, NEVER_MS);
	wanted = &house.arena->header->extent_wanted[extent_class(WANTED)];
	for (uint32_t segment = 4; segment < house.world.segments; segment += 4)
		fetch_add_acq_rel(control_pin(&house.guest.cache.control, 0, segment), 1);
	extent_want(house.arena, 0, WANTED);
	house_work(&house);
	ck_assert_uint_eq(load_relaxed(wanted), WANTED);
	ck_assert_uint_eq(reclaim_run(house.reclaim), 1);
	world_advance(&house.world, LATER_MS);
	/* Until a window is looked for again is a time of the host. */
	for (uint64_t end_ms = monotonic_ms() + PATIENCE_MS; load_relaxed(wanted) != 0;) {
		reclaim_run(house.reclaim);
		ck_assert_uint_lt(monotonic_ms(), end_ms);
	}
	ck_assert_uint_gt(reclaim_run(house.reclaim), 1);
	extent_want(house.arena, 0, WANTED);
	house_work(&house);
	ck_assert_uint_eq(load_relaxed(wanted), WANTED); /* a new one is heeded as long */
	house_stop(&house);
}
END_TEST

/*
 * The window begins in the midst of what the policy keeps: that spoils the window, and what is kept is not condemned again and again
 * until it is used up.
 */
START_TEST(test_kept_from_before_the_window)
{
	static char value[200000];
	struct write_request request = write_of(WRITE_SET, "used", NULL);
	struct house house;
	struct extents *extents;
	uint32_t head, length;
	int result;

	request.value = value;
	request.value_size = sizeof value;
	house_start(&house, 4 * MIB, NEVER_MS);
	extents = &house.reclaim->extents;
	for (uint64_t end_ms = monotonic_ms() + PATIENCE_MS; (result = write_one(&house.world, &request, NULL)) != 0;) {
		ck_assert_int_eq(result, -EAGAIN);
		reclaim_run(house.reclaim);
		ck_assert_uint_lt(monotonic_ms(), end_ms);
	}
	head = house_segment(&house, "used");
	length = extent_length(house.arena, head, segment_load(house.arena, head));
	ck_assert_uint_gt(length, 2);
	for (uint32_t use = 0; use < HEAT_MAX; use++) {
		memset(house.guest.thread.recent, 0, sizeof house.guest.thread.recent);
		ck_assert_int_eq(cache_get(&house.guest.thread, "used", 4, NULL, 0, NULL), LARDER_TRUNCATED);
	}
	extents->first = head + 1;
	extents->length = length;
	extents->since_ms = monotonic_ms();
	for (int i = 0; i < 3; i++)
		reclaim_run(house.reclaim);
	ck_assert_uint_eq(extents->kept, 1);
	ck_assert_uint_eq(extents->length, 0);
	ck_assert_int_eq(cache_get(&house.guest.thread, "used", 4, NULL, 0, NULL), LARDER_TRUNCATED);
	expect_sound(&house.world);
	house_stop(&house);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("extents wish");

	tcase_add_test(tests, test_wish_of_nobody);
	tcase_add_test(tests, test_kept_from_before_the_window);
	return suite_run("extents wish", tests);
}
