/* SPDX-License-Identifier: MIT */
#include "daemon/deferred.h"

#include <string.h>

#include "base/clock.h"
#include "tests/support/suite.h"

START_TEST(test_copy)
{
	char key[] = "key", value[] = "value";
	const struct write_request request = { .operation = WRITE_CAS,
		                               .key = key,
		                               .key_size = 3,
		                               .value = value,
		                               .value_size = 5,
		                               .expected_version = 9 };
	uint64_t now_ms = monotonic_ms();
	struct deferred *deferred = deferred_create(&request, 4, UINT64_MAX);

	ck_assert_ptr_nonnull(deferred);
	memset(key, 'x', 3);
	memset(value, 'x', 5);
	ck_assert_mem_eq(deferred->request.key, "key", 3);
	ck_assert_mem_eq(deferred->request.value, "value", 5);
	ck_assert_int_eq(deferred->request.operation, WRITE_CAS);
	ck_assert_uint_eq(deferred->request.expected_version, 9);
	ck_assert_uint_eq(deferred->request_id, 4);
	ck_assert_uint_ge(deferred->tried_ms, now_ms);
	ck_assert_uint_eq(deferred->bytes, sizeof *deferred + 8);
	free(deferred);
}
END_TEST

START_TEST(test_room)
{
	const struct write_request request = { .key = "key", .key_size = 3, .value = "value", .value_size = 5 };
	struct deferred *deferred = deferred_create(&request, 1, sizeof *deferred + 8);

	ck_assert_ptr_nonnull(deferred);
	free(deferred);
	ck_assert_ptr_null(deferred_create(&request, 1, sizeof *deferred + 7));
	ck_assert_ptr_null(deferred_create(&request, 1, 0));
}
END_TEST

START_TEST(test_patience)
{
	const struct write_request request = { .key = "key", .key_size = 3, .value = "value", .value_size = 5 };
	struct deferred *deferred = deferred_create(&request, 1, UINT64_MAX);
	uint64_t now_ms = deferred->tried_ms;
	uint32_t tries = 0;

	/* Tried all the time it waits for exactly as long as it may. */
	while (!deferred_over(deferred, ++now_ms))
		tries++;
	ck_assert_uint_eq(tries, DEFER_MS - 1);
	free(deferred);
	/* Of the hour that the keeper was stopped next to nothing counts, nor of that between any other two tries. */
	deferred = deferred_create(&request, 1, UINT64_MAX);
	for (tries = 0; !deferred_over(deferred, now_ms += 3600000);)
		tries++;
	ck_assert_uint_eq(tries, DEFER_MS / DEFER_STEP_MS - 1);
	free(deferred);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("deferred");

	tcase_add_test(tests, test_copy);
	tcase_add_test(tests, test_room);
	tcase_add_test(tests, test_patience);
	return suite_run("deferred", tests);
}
