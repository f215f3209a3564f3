/* SPDX-License-Identifier: MIT */
/* The machine below: its processors, its page sizes, its huge pages. */
#ifndef LARDER_BENCH_MACHINE_H
#define LARDER_BENCH_MACHINE_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HUGE_PAGE_BYTES (UINT64_C(2) << 20)

/* Which processor measures, and which are left to the others. */
struct machine_cpus {
	int own;          /* who measures is pinned to it */
	bool shared;      /* there is no other: larderd has to run there too */
	cpu_set_t others; /* for larderd */
};

/* Chooses the last processor that this process may use. Return: 0 or -errno. */
int machine_choose(struct machine_cpus *ret_cpus);

/* Chooses, and pins this process. Return: 0 or -errno. */
int machine_pin(struct machine_cpus *ret_cpus);

void machine_cpu_model(char *buffer, size_t buffer_size);

/* Bytes that could be had without swapping, or UINT64_MAX where /proc does not say. */
uint64_t machine_memory_available(void);

/* Anonymous memory, every page of it touched. */
struct machine_memory {
	void *address;
	uint64_t bytes;
	uint64_t page_bytes;
};

/*
 * page_bytes: HUGE_PAGE_BYTES: explicit huge pages, else transparent ones; any other: ordinary pages, and no
 * transparent huge ones. Return: 0; -ENOMEM: not on such pages.
 */
int machine_memory_map(uint64_t bytes, uint64_t page_bytes, struct machine_memory *ret_memory);
void machine_memory_unmap(struct machine_memory *memory);

/* Bytes of reserved huge pages that nobody has. */
uint64_t machine_huge_free(void);

/*
 * The page size that the kernel has really put under the mapping in which address lies: transparent huge pages count
 * when at least nine tenths of what is resident is on them. 0: /proc does not say.
 */
uint64_t machine_page_bytes(const void *address);

/* Huge pages that were added to the kernel's pool. */
struct machine_reserve {
	unsigned long before;
	bool changed;
};

/* Return: 0 (even if the kernel found fewer); -errno of /proc/sys/vm/nr_hugepages. */
int machine_reserve_huge(uint64_t bytes, struct machine_reserve *ret_reserve);
void machine_reserve_restore(struct machine_reserve *reserve);

#endif
