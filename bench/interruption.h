/* SPDX-License-Identifier: MIT */
/*
 * Whether the processor did anything else than this thread between two moments: an interrupt, another thread. On x86-64 a null selector
 * other than zero in a segment register that nobody uses does not survive the way back from the kernel: the processor makes it zero
 * (Zhang et al., "SegScope", HPCA 2024). Elsewhere only switches to another thread are seen. What the host of a virtual machine does
 * with the processor is not seen at all.
 *
 * A page fault of the thread's own comes back from the kernel, too, but is its own doing: it does not count.
 */
#ifndef LARDER_BENCH_INTERRUPTION_H
#define LARDER_BENCH_INTERRUPTION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

struct interruption {
	long faults, switches; /* of this thread, so far */
};

/* From now on. */
static inline void interruption_watch(void)
{
#ifdef __x86_64__
	const uint16_t null_selector = 1;

	__asm__ volatile("mov %0, %%gs" : : "r"(null_selector) : "memory");
#endif
}

/* Whether something may have come in between. */
static inline bool interruption_possible(void)
{
#ifdef __x86_64__
	uint16_t selector;

	__asm__ volatile("mov %%gs, %0" : "=r"(selector) : : "memory");
	return selector == 0;
#else
	return true;
#endif
}

/* Whether it was not a page fault of this thread alone. */
static inline bool interruption_happened(struct interruption *interruption)
{
	struct interruption before = *interruption;
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	interruption->faults = usage.ru_minflt + usage.ru_majflt;
	interruption->switches = usage.ru_nvcsw + usage.ru_nivcsw;
	if (interruption->switches != before.switches)
		return true;
#ifdef __x86_64__
	return interruption->faults == before.faults;
#else
	return false;
#endif
}

#endif
