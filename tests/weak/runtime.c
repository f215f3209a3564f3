/* SPDX-License-Identifier: MIT */
/*
 * What gcc's ThreadSanitizer pass calls, and what the linker puts in the place of calls to the system and the C library (--wrap): the
 * model knows of all that touches shared memory, and nothing depends on time.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/weak/explore.h"
#include "tests/weak/memory.h"

__extension__ typedef unsigned __int128 u128;

static bool watched(const volatile void *address, size_t bytes)
{
	return explore_running && memory_shared((const void *)address, bytes);
}

static void trace(const char *what, const volatile void *address, uint64_t value, int order, const void *caller)
{
	if (explore_tracing)
		fprintf(stderr, "      %u %-8s %p %#18llx order %d at %p\n", explore_thread, what,
		        (const void *)address, (unsigned long long)value, order, caller);
}

#define HERE __builtin_return_address(0)

/* ---- accesses that are not atomic ------------------------------------------------------------------------------------ */

static void plain_read(const void *address, size_t bytes, const void *caller)
{
	if (!watched(address, bytes))
		return;
	trace("reads", address, bytes, 0, caller);
	memory_read(address, bytes);
}

static void plain_write(void *address, size_t bytes, const void *caller)
{
	if (!watched(address, bytes))
		return;
	trace("writes", address, bytes, 0, caller);
	memory_write(address, bytes);
}

#define PLAIN(bytes) \
	void __tsan_read##bytes(void *address); \
	void __tsan_read##bytes(void *address) \
	{ \
		plain_read(address, bytes, HERE); \
	} \
	void __tsan_write##bytes(void *address); \
	void __tsan_write##bytes(void *address) \
	{ \
		plain_write(address, bytes, HERE); \
	} \
	void __tsan_unaligned_read##bytes(void *address); \
	void __tsan_unaligned_read##bytes(void *address) \
	{ \
		plain_read(address, bytes, HERE); \
	} \
	void __tsan_unaligned_write##bytes(void *address); \
	void __tsan_unaligned_write##bytes(void *address) \
	{ \
		plain_write(address, bytes, HERE); \
	}
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_read_range(void *address, size_t bytes);
void __tsan_read_range(void *address, size_t bytes)
{
	plain_read(address, bytes, HERE);
}
void __tsan_write_range(void *address, size_t bytes);
void __tsan_write_range(void *address, size_t bytes)
{
	plain_write(address, bytes, HERE);
}
void __tsan_init(void);
void __tsan_init(void)
{
}

/* ---- atomic accesses ------------------------------------------------------------------------------------------------- */

static uint64_t exchanged(uint64_t old, uint64_t operand)
{
	(void)old;
	return operand;
}

static uint64_t added(uint64_t old, uint64_t operand)
{
	return old + operand;
}

static uint64_t subtracted(uint64_t old, uint64_t operand)
{
	return old - operand;
}

#define MODIFY(bits, name, change, native) \
	uint##bits##_t __tsan_atomic##bits##_##name(volatile void *address, uint##bits##_t operand, int order); \
	uint##bits##_t __tsan_atomic##bits##_##name(volatile void *address, uint##bits##_t operand, int order) \
	{ \
		if (!watched(address, bits / 8)) \
			return native((volatile uint##bits##_t *)address, operand, __ATOMIC_SEQ_CST); \
		trace(#name, address, operand, order, HERE); \
		return (uint##bits##_t)memory_modify((void *)(uintptr_t)address, bits / 8, change, operand, order); \
	}

#define ATOMIC(bits) \
	uint##bits##_t __tsan_atomic##bits##_load(const volatile void *address, int order); \
	uint##bits##_t __tsan_atomic##bits##_load(const volatile void *address, int order) \
	{ \
		uint64_t value; \
\
		if (!watched(address, bits / 8)) \
			return *(const volatile uint##bits##_t *)address; \
		value = memory_load((void *)(uintptr_t)address, bits / 8, order); \
		trace("load", address, value, order, HERE); \
		return (uint##bits##_t)value; \
	} \
	void __tsan_atomic##bits##_store(volatile void *address, uint##bits##_t value, int order); \
	void __tsan_atomic##bits##_store(volatile void *address, uint##bits##_t value, int order) \
	{ \
		if (!watched(address, bits / 8)) { \
			*(volatile uint##bits##_t *)address = value; \
			return; \
		} \
		trace("store", address, value, order, HERE); \
		memory_store((void *)(uintptr_t)address, bits / 8, value, order); \
	} \
	MODIFY(bits, exchange, exchanged, __atomic_exchange_n) \
	MODIFY(bits, fetch_add, added, __atomic_fetch_add) \
	MODIFY(bits, fetch_sub, subtracted, __atomic_fetch_sub) \
	int __tsan_atomic##bits##_compare_exchange_strong(volatile void *address, uint##bits##_t *expected, \
	                                                  uint##bits##_t desired, int success, int failure); \
	int __tsan_atomic##bits##_compare_exchange_strong(volatile void *address, uint##bits##_t *expected, \
	                                                  uint##bits##_t desired, int success, int failure) \
	{ \
		uint64_t seen = *expected; \
		bool done; \
\
		if (!watched(address, bits / 8)) \
			return __atomic_compare_exchange_n((volatile uint##bits##_t *)address, expected, desired, 0, \
			                                   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
		done = memory_compare_exchange((void *)(uintptr_t)address, bits / 8, &seen, desired, success, \
		                               failure); \
		trace(done ? "swap" : "no swap", address, done ? desired : seen, done ? success : failure, HERE); \
		*expected = (uint##bits##_t)seen; \
		return done; \
	}
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

int __tsan_atomic128_compare_exchange_strong(volatile void *address, u128 *expected, u128 desired, int success,
                                             int failure);
int __tsan_atomic128_compare_exchange_strong(volatile void *address, u128 *expected, u128 desired, int success,
                                             int failure)
{
	uint64_t seen[2] = { (uint64_t)*expected, (uint64_t)(*expected >> 64) };
	const uint64_t wanted[2] = { (uint64_t)desired, (uint64_t)(desired >> 64) };
	bool done;

	(void)success, (void)failure;
	if (!watched(address, 16))
		return __sync_bool_compare_and_swap((volatile u128 *)address, *expected, desired);
	done = memory_compare_exchange_pair((void *)(uintptr_t)address, seen, wanted);
	trace(done ? "swap" : "no swap", address, wanted[0], success, HERE);
	*expected = (u128)seen[1] << 64 | seen[0];
	return done;
}

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order)
{
	if (!explore_running)
		return;
	trace("fence", NULL, 0, order, HERE);
	memory_fence(order);
}

void __tsan_atomic_signal_fence(int order);
void __tsan_atomic_signal_fence(int order)
{
	(void)order;
}

/* ---- the C library ------------------------------------------------------------------------------------------------- */

void *__real_memcpy(void *to, const void *from, size_t bytes);
void *__wrap_memcpy(void *to, const void *from, size_t bytes);
void *__wrap_memcpy(void *to, const void *from, size_t bytes)
{
	plain_read(from, bytes, HERE);
	plain_write(to, bytes, HERE);
	return __real_memcpy(to, from, bytes);
}

void *__real_memmove(void *to, const void *from, size_t bytes);
void *__wrap_memmove(void *to, const void *from, size_t bytes);
void *__wrap_memmove(void *to, const void *from, size_t bytes)
{
	plain_read(from, bytes, HERE);
	plain_write(to, bytes, HERE);
	return __real_memmove(to, from, bytes);
}

int __real_memcmp(const void *a, const void *b, size_t bytes);
int __wrap_memcmp(const void *a, const void *b, size_t bytes);
int __wrap_memcmp(const void *a, const void *b, size_t bytes)
{
	plain_read(a, bytes, HERE);
	plain_read(b, bytes, HERE);
	return __real_memcmp(a, b, bytes);
}

void *__real_memset(void *to, int byte, size_t bytes);
void *__wrap_memset(void *to, int byte, size_t bytes);
void *__wrap_memset(void *to, int byte, size_t bytes)
{
	plain_write(to, bytes, HERE);
	return __real_memset(to, byte, bytes);
}

/* ---- the system ---------------------------------------------------------------------------------------------------- */

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time)
{
	(void)clock;
	*ret_time = (struct timespec){ .tv_sec = 1000000 };
	return 0;
}

static unsigned barriers, failing_barrier;

void weak_fail_barrier(unsigned number)
{
	failing_barrier = number;
	weak_restore(&barriers, sizeof barriers);
}

int __real_platform_barrier(void);
int __wrap_platform_barrier(void);
int __wrap_platform_barrier(void)
{
	if (!explore_running)
		return __real_platform_barrier();
	explore_point();
	if (++barriers == failing_barrier) {
		trace("no barrier", NULL, 0, 0, HERE);
		return -ENOMEM;
	}
	trace("barrier", NULL, 0, 0, HERE);
	memory_barrier();
	return 0;
}

int __wrap_platform_futex_wait(atomic_u32 *word, uint32_t expected, uint32_t timeout_ms);
int __wrap_platform_futex_wait(atomic_u32 *word, uint32_t expected, uint32_t timeout_ms)
{
	uint32_t seen;

	(void)timeout_ms;
	explore_point();
	__real_memcpy(&seen, (const void *)word, sizeof seen);
	trace("sleep", word, seen, 0, HERE);
	if (seen != expected)
		return -EAGAIN;
	explore_sleep((const void *)word);
	return 0;
}

void __wrap_platform_futex_wake(atomic_u32 *word);
void __wrap_platform_futex_wake(atomic_u32 *word)
{
	trace("wake", word, 0, 0, HERE);
	explore_wake((const void *)word);
}
