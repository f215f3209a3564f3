/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/platform.h"
#include "tests/support/suite.h"
#include "tests/unit/support/threads.h"

#define LONG_MS 60000 /* longer than any test may take */

START_TEST(test_futex_returns_at_once_when_the_word_has_changed)
{
	atomic_u32 word = 1;

	errno = EXDEV;
	ck_assert_int_eq(platform_futex_wait(&word, 0, LONG_MS), -EAGAIN);
	ck_assert_int_eq(errno, EXDEV);
}
END_TEST

START_TEST(test_futex_gives_up)
{
	atomic_u32 word = 1;

	errno = EXDEV;
	ck_assert_int_eq(platform_futex_wait(&word, 1, 1), -ETIMEDOUT);
	ck_assert_int_eq(platform_futex_wait(&word, 1, 0), -ETIMEDOUT);
	ck_assert_int_eq(errno, EXDEV);
}
END_TEST

static void wait_until_set(atomic_u32 *word)
{
	while (load_acquire(word) == 0) {
		int result = platform_futex_wait(word, 0, LONG_MS);

		expect(result == 0 || result == -EAGAIN || result == -EINTR);
	}
}

static void wait_or_wake(void *context, uint32_t number)
{
	atomic_u32 *word = context;

	if (number > 0) {
		wait_until_set(word);
		return;
	}
	store_release(word, 1);
	platform_futex_wake(word);
}

START_TEST(test_wake_reaches_every_thread)
{
	for (int round = 0; round < 100; round++) {
		atomic_u32 word = 0;

		threads_run(4, wait_or_wake, &word);
	}
}
END_TEST

START_TEST(test_wake_reaches_other_processes)
{
	atomic_u32 *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t child;

	ck_assert_ptr_ne(word, MAP_FAILED);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		wait_until_set(word);
		_exit(0);
	}
	store_release(word, 1);
	platform_futex_wake(word);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	munmap(word, 4096);
}
END_TEST

START_TEST(test_barrier_works_or_says_that_it_is_refused)
{
	int result;

	errno = EXDEV;
	result = platform_barrier_register();
	ck_assert(result == 0 || result == -EPERM || result == -ENOSYS || result == -EINVAL);
	if (result == 0)
		ck_assert_int_eq(platform_barrier_register(), 0);
	result = platform_barrier();
	ck_assert(result == 0 || result == -EPERM || result == -ENOSYS || result == -EINVAL);
	ck_assert_int_eq(errno, EXDEV);
}
END_TEST

START_TEST(test_event_counts_signals)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t count = 0;

	platform_event_signal(fd);
	platform_event_signal(fd);
	ck_assert_int_eq(read(fd, &count, sizeof count), sizeof count);
	ck_assert_uint_eq(count, 2);
	close(fd);
}
END_TEST

START_TEST(test_full_or_missing_event_is_left_alone)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t full = UINT64_MAX - 1, count = 0;

	ck_assert_int_eq(write(fd, &full, sizeof full), sizeof full);
	errno = EXDEV;
	platform_event_signal(fd);
	ck_assert_int_eq(errno, EXDEV);
	ck_assert_int_eq(read(fd, &count, sizeof count), sizeof count);
	ck_assert_uint_eq(count, full);
	close(fd);
	platform_event_signal(-1);
	ck_assert_int_eq(errno, EXDEV);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("platform");

	tcase_add_test(tests, test_futex_returns_at_once_when_the_word_has_changed);
	tcase_add_test(tests, test_futex_gives_up);
	tcase_add_test(tests, test_wake_reaches_every_thread);
	tcase_add_test(tests, test_wake_reaches_other_processes);
	tcase_add_test(tests, test_barrier_works_or_says_that_it_is_refused);
	tcase_add_test(tests, test_event_counts_signals);
	tcase_add_test(tests, test_full_or_missing_event_is_left_alone);
	return suite_run("platform", tests);
}
