/* SPDX-License-Identifier: MIT */
/*
 * The only file that names a memory order. Every access to shared memory that another process may change goes through
 * these, so that the order of each is visible at the call and a lint can check the label of each release.
 *
 * Labels: a release (store, exchange or successful compare-and-swap that publishes something) carries a comment
 * "R<n> -> A<n>: what breaks without it"; each acquire that reads it carries "A<n> <- R<n>". The pairs are listed in
 * docs/MEMORY-ORDER.md; `make lint` checks that no label stands alone.
 */
#ifndef LARDER_BASE_ATOMICS_H
#define LARDER_BASE_ATOMICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef _Atomic(uint64_t) atomic_u64;
typedef _Atomic(uint32_t) atomic_u32;
typedef _Atomic(uint16_t) atomic_u16;
typedef _Atomic(uint8_t) atomic_u8;

#define load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define exchange_relaxed(p, v) atomic_exchange_explicit((p), (v), memory_order_relaxed)
#define exchange_release(p, v) atomic_exchange_explicit((p), (v), memory_order_release)
#define exchange_acquire(p, v) atomic_exchange_explicit((p), (v), memory_order_acquire)
#define fetch_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define fetch_add_release(p, v) atomic_fetch_add_explicit((p), (v), memory_order_release)
#define fetch_add_acq_rel(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define fetch_sub_release(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_release)

/* True when *p was *expected and is now desired; else *expected is what *p was (read with acquire). */
#define cas_acq_rel(p, expected, desired) \
	atomic_compare_exchange_strong_explicit((p), (expected), (desired), memory_order_acq_rel, memory_order_acquire)
#define cas_relaxed(p, expected, desired) \
	atomic_compare_exchange_strong_explicit((p), (expected), (desired), memory_order_relaxed, memory_order_relaxed)

/* Adds to what only this thread writes, and others may read. */
static inline __attribute__((always_inline)) void add_own(atomic_u64 *counter, uint64_t by)
{
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
	/* A load and a store in one instruction, which compilers do not make of the two. */
	__asm__ volatile("addq %1, %0" : "+m"(*counter) : "er"(by));
#else
	store_relaxed(counter, load_relaxed(counter) + by);
#endif
}

/* Loads before it are done before anything after it. */
#define fence_acquire() atomic_thread_fence(memory_order_acquire)

/* Anything before it is done before stores after it. */
#define fence_release() atomic_thread_fence(memory_order_release)

/* Keeps the compiler from moving memory accesses across; the processor is dealt with by membarrier(2) elsewhere. */
#define compiler_barrier() atomic_signal_fence(memory_order_seq_cst)

/*
 * A pair of words that change together: 16 bytes at a 16-byte aligned address (cmpxchg16b; casp or ldxp/stxp on aarch64).
 * The legacy builtin is used because both compilers inline it; the __atomic one calls into libatomic. ThreadSanitizer
 * would put a lock of its own in the place of the instruction, which other processes know nothing of: it must not look.
 */
struct pair {
	uint64_t low, high;
};

__attribute__((no_sanitize("thread"))) static inline bool pair_cas(void *address, struct pair expected,
                                                                   struct pair desired)
{
	__extension__ typedef unsigned __int128 u128;

	return __sync_bool_compare_and_swap((u128 *)address, (u128)expected.high << 64 | expected.low,
	                                    (u128)desired.high << 64 | desired.low);
}

#endif
