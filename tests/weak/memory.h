/* SPDX-License-Identifier: MIT */
/* The memory model: what each thread may read, and which accesses race. Addresses outside shared memory are nobody's business. */
#ifndef LARDER_TESTS_WEAK_MEMORY_H
#define LARDER_TESTS_WEAK_MEMORY_H

#include "tests/weak/weak.h"

/* Whether a range lies in shared memory. */
bool memory_shared(const void *address, size_t bytes);

/* An execution begins; when it has ended, memory is as it was before. */
void memory_begin(unsigned threads);
void memory_end(void);

/*
 * Words that were found to be written by one thread and used by another get histories from now on. Executions of
 * one search must agree on which those are. Return: whether there are new ones.
 */
bool memory_learn(void);

/* Atomic accesses to 4 or 8 bytes of shared memory; order: memory_order_... */
uint64_t memory_load(void *address, unsigned bytes, int order);
void memory_store(void *address, unsigned bytes, uint64_t value, int order);

/* What a read-modify-write makes of a value. */
typedef uint64_t memory_change(uint64_t old, uint64_t operand);
uint64_t memory_modify(void *address, unsigned bytes, memory_change *change, uint64_t operand, int order);

/* *expected becomes what was read when that was another. */
bool memory_compare_exchange(void *address, unsigned bytes, uint64_t *expected, uint64_t desired, int success,
                             int failure);
bool memory_compare_exchange_pair(void *address, uint64_t expected[2], const uint64_t desired[2]);

void memory_fence(int order);

/* membarrier(2). */
void memory_barrier(void);

/* What is not atomic. */
void memory_read(const void *address, size_t bytes);
void memory_write(void *address, size_t bytes);

#endif
