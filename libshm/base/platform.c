/* SPDX-License-Identifier: MIT */
#include "base/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* syscall(2) reports through errno, which belongs to our caller. */
static int call(long result, int saved_errno)
{
	int error = errno;

	errno = saved_errno;
	return result < 0 ? -error : (int)result;
}

int platform_barrier_register(void)
{
	int saved = errno;

	return call(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0), saved);
}

int platform_barrier(void)
{
	int saved = errno;

	return call(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0), saved);
}

int platform_futex_wait(atomic_u32 *word, uint32_t expected, uint32_t timeout_ms)
{
	struct timespec timeout = { .tv_sec = timeout_ms / 1000, .tv_nsec = (long)(timeout_ms % 1000) * 1000000 };
	int saved = errno;

	return call(syscall(SYS_futex, word, FUTEX_WAIT, expected, &timeout, NULL, 0), saved);
}

void platform_futex_wake(atomic_u32 *word)
{
	int saved = errno;

	(void)call(syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0), saved);
}

void platform_event_signal(int fd)
{
	int saved = errno;
	uint64_t one = 1;

	(void)call(write(fd, &one, sizeof one), saved);
}

bool platform_cannot_shrink(int fd)
{
	int saved_errno = errno;
	int seals = fcntl(fd, F_GET_SEALS);

	errno = saved_errno;
	return seals >= 0 && (seals & F_SEAL_SHRINK);
}
