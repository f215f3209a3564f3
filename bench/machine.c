/* SPDX-License-Identifier: MIT */
#include "bench/machine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench/bench.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* MAP_HUGETLB alone means the kernel's default size, which need not be 2 MiB. */
#define MAP_HUGETLB_2M (MAP_HUGETLB | 21 << 26)

#define POOL "/proc/sys/vm/nr_hugepages"

/* ---- processors -------------------------------------------------------------------------------------------------- */

int machine_choose(struct machine_cpus *ret_cpus)
{
	struct machine_cpus cpus = { .own = -1 };

	if (sched_getaffinity(0, sizeof cpus.others, &cpus.others) != 0)
		return -errno;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &cpus.others))
			cpus.own = cpu;
	cpus.shared = CPU_COUNT(&cpus.others) == 1;
	if (!cpus.shared)
		CPU_CLR(cpus.own, &cpus.others);
	*ret_cpus = cpus;
	return 0;
}

int machine_pin(struct machine_cpus *ret_cpus)
{
	int result = machine_choose(ret_cpus);
	cpu_set_t own;

	if (result != 0)
		return result;
	CPU_ZERO(&own);
	CPU_SET(ret_cpus->own, &own);
	return sched_setaffinity(0, sizeof own, &own) == 0 ? 0 : -errno;
}

/* x86 names the model; where the kernel does not, the architecture has to do. */
void machine_cpu_model(char *buffer, size_t buffer_size)
{
	static const char field[] = "model name";
	FILE *file = fopen("/proc/cpuinfo", "re");
	struct utsname system;
	char line[256];

	snprintf(buffer, buffer_size, "%s", uname(&system) == 0 ? system.machine : "unknown");
	if (!file)
		return;
	while (fgets(line, sizeof line, file)) {
		char *text = strchr(line, ':');

		if (!text || strncmp(line, field, sizeof field - 1) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(buffer, buffer_size, "%s", text + 1 + (text[1] == ' '));
		break;
	}
	fclose(file);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

uint64_t machine_memory_available(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	uint64_t kb, available = UINT64_MAX;
	char line[128];

	if (!file)
		return available;
	while (fgets(line, sizeof line, file))
		if (sscanf(line, "MemAvailable: %" SCNu64 " kB", &kb) == 1)
			available = kb << 10;
	fclose(file);
	return available;
}

uint64_t machine_huge_free(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	uint64_t pages, available = 0;
	char line[128];

	if (!file)
		return 0;
	while (fgets(line, sizeof line, file))
		if (sscanf(line, "HugePages_Free: %" SCNu64, &pages) == 1)
			available = pages * HUGE_PAGE_BYTES;
	fclose(file);
	return available;
}

uint64_t machine_page_bytes(const void *address)
{
	const uint64_t wanted = (uintptr_t)address;
	uint64_t page_kb = 0, resident_kb = 0, huge_kb = 0, begin, end, kb;
	FILE *file = fopen("/proc/self/smaps", "re");
	bool inside = false;
	char line[512], field[64];

	if (!file)
		return 0;
	while (fgets(line, sizeof line, file)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &begin, &end) == 2) {
			if (inside)
				break;
			inside = begin <= wanted && wanted < end;
		} else if (inside && sscanf(line, "%63[^:]: %" SCNu64 " kB", field, &kb) == 2) {
			if (strcmp(field, "KernelPageSize") == 0)
				page_kb = kb;
			else if (strcmp(field, "Rss") == 0)
				resident_kb = kb;
			else if (strcmp(field, "AnonHugePages") == 0 || strcmp(field, "ShmemPmdMapped") == 0 ||
			         strcmp(field, "FilePmdMapped") == 0)
				huge_kb += kb;
		}
	}
	fclose(file);
	if (page_kb << 10 < HUGE_PAGE_BYTES && huge_kb > 0 && huge_kb * 10 >= resident_kb * 9)
		return HUGE_PAGE_BYTES;
	return page_kb << 10;
}

/* Touches all; asking the kernel to do it gives an error where a touch of our own would end in SIGBUS. */
static int populate(void *address, uint64_t bytes)
{
	if (madvise(address, bytes, MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno != EINVAL)
		return -ENOMEM;
	memset(address, 0, bytes);
	return 0;
}

static int map_advised(uint64_t bytes, int flags, int advice, uint64_t page_bytes, struct machine_memory *ret_memory)
{
	struct machine_memory memory = { .bytes = bytes, .page_bytes = page_bytes };

	memory.address = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
	if (memory.address == MAP_FAILED)
		return -ENOMEM;
	if (advice != MADV_NORMAL)
		madvise(memory.address, bytes, advice); /* checked by its effect */
	if (populate(memory.address, bytes) != 0 || machine_page_bytes(memory.address) != page_bytes) {
		munmap(memory.address, bytes);
		return -ENOMEM;
	}
	*ret_memory = memory;
	return 0;
}

int machine_memory_map(uint64_t bytes, uint64_t page_bytes, struct machine_memory *ret_memory)
{
	bytes = (bytes + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
	if (page_bytes != HUGE_PAGE_BYTES)
		return map_advised(bytes, 0, MADV_NOHUGEPAGE, page_bytes, ret_memory);
	if (map_advised(bytes, MAP_HUGETLB_2M, MADV_NORMAL, page_bytes, ret_memory) == 0)
		return 0;
	return map_advised(bytes, 0, MADV_HUGEPAGE, page_bytes, ret_memory);
}

void machine_memory_unmap(struct machine_memory *memory)
{
	if (memory->address)
		munmap(memory->address, memory->bytes);
	memory->address = NULL;
}

/* ---- the pool of huge pages -------------------------------------------------------------------------------------- */

static int pool_write(unsigned long pages)
{
	FILE *file = fopen(POOL, "we");
	int result = 0;

	if (!file)
		return -errno;
	if (fprintf(file, "%lu\n", pages) < 0)
		result = -EIO;
	if (fclose(file) != 0 && result == 0)
		result = -errno;
	return result;
}

static int pool_read(unsigned long *ret_pages)
{
	FILE *file = fopen(POOL, "re");
	int result = 0;

	if (!file)
		return -errno;
	if (fscanf(file, "%lu", ret_pages) != 1)
		result = -EIO;
	fclose(file);
	return result;
}

int machine_reserve_huge(uint64_t bytes, struct machine_reserve *ret_reserve)
{
	struct machine_reserve reserve = { 0 };
	unsigned long wanted = (unsigned long)((bytes + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES), now = 0;
	int result = pool_read(&reserve.before);

	if (result == 0)
		result = pool_write(reserve.before + wanted);
	if (result != 0)
		return result;
	reserve.changed = true;
	*ret_reserve = reserve;
	if (pool_read(&now) == 0 && now < reserve.before + wanted)
		complain(0, "the kernel found only %lu of %lu huge pages; memory may be fragmented",
		         now - reserve.before, wanted);
	return 0;
}

void machine_reserve_restore(struct machine_reserve *reserve)
{
	if (reserve->changed && pool_write(reserve->before) != 0)
		complain(0, "cannot restore %s; it was %lu", POOL, reserve->before);
	reserve->changed = false;
}
