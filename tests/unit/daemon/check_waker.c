/* SPDX-License-Identifier: MIT */
#include "daemon/waker.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/platform.h"
#include "tests/support/suite.h"

static atomic_u32 word;

static void call(void)
{
	fetch_add_acq_rel(&word, 1);
	platform_futex_wake(&word);
}

static void expect_signal(int fd)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	uint64_t count;

	ck_assert_int_eq(poll(&wait, 1, 60000), 1);
	ck_assert_int_eq(read(fd, &count, sizeof count), sizeof count);
	ck_assert_uint_eq(count, 1);
}

START_TEST(test_each_call_is_heard)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ck_assert_int_eq(waker_start(&word, fd, 1000), 0);
	for (int i = 0; i < 100; i++) {
		call();
		expect_signal(fd);
	}
}
END_TEST

/* However often clients call, there is one signal in each pause. */
START_TEST(test_calls_are_gathered)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t count;

	ck_assert_int_eq(waker_start(&word, fd, 3600000000), 0);
	call();
	expect_signal(fd);
	for (int i = 0; i < 1000; i++)
		call();
	ck_assert_int_eq(read(fd, &count, sizeof count), -1);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("waker");

	tcase_add_test(tests, test_each_call_is_heard);
	tcase_add_test(tests, test_calls_are_gathered);
	return suite_run("waker", tests);
}
