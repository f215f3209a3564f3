/* SPDX-License-Identifier: MIT */
#include "arena/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena/segment.h"
#include "larder.h"
#include "tests/support/suite.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)

static int make(uint64_t bytes)
{
	uint64_t page_bytes = 0;
	int fd = arena_memory(bytes, PAGES_SMALL, &page_bytes, NULL);

	ck_assert_int_ge(fd, 0);
	ck_assert_uint_eq(page_bytes, (uint64_t)sysconf(_SC_PAGESIZE));
	return fd;
}

static int make_formatted(uint64_t bytes, struct arena *ret_arena)
{
	struct arena_plan plan = { .page_bytes = 4096, .access = LARDER_READ_ONLY, .plain_epochs = true };
	int fd = make(bytes);

	ck_assert_int_eq(arena_format(fd, &plan, ret_arena, NULL), 0);
	return fd;
}

/* ---- sizes --------------------------------------------------------------------------------------------------------- */

START_TEST(test_sizes_are_rounded_down)
{
	static const uint64_t sizes[][2] = {
		{ 0, 0 },
		{ 1, 0 },
		{ MIB - 1, 0 },
		{ MIB, MIB },
		{ MIB + 1, MIB },
		{ MIB + 64 * KIB - 1, MIB },
		{ MIB + 64 * KIB, MIB + 64 * KIB },
		{ 2 * MIB - 1, 2 * MIB - 64 * KIB },
		{ 2 * MIB, 2 * MIB },
		{ 3 * MIB, 2 * MIB },
		{ 4 * MIB - 1, 2 * MIB },
		{ 64 * MIB + 5, 64 * MIB },
		{ ARENA_BYTES_MAX - 1, ARENA_BYTES_MAX - 2 * MIB },
		{ ARENA_BYTES_MAX, ARENA_BYTES_MAX },
		{ ARENA_BYTES_MAX + 1, 0 },
		{ UINT64_MAX, 0 },
	};

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		ck_assert_uint_eq(arena_round_bytes(sizes[i][0]), sizes[i][1]);
		ck_assert_uint_eq(arena_round_bytes(sizes[i][1]), sizes[i][1]);
	}
}
END_TEST

START_TEST(test_memory_of_impossible_sizes_is_refused)
{
	static const uint64_t sizes[] = { 0, 1, MIB - 1, MIB + 1, 3 * MIB, ARENA_BYTES_MAX + 2 * MIB, UINT64_MAX };

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct fault fault = { "" };
		uint64_t page_bytes;

		ck_assert_int_eq(arena_memory(sizes[i], PAGES_SMALL, &page_bytes, &fault), -EINVAL);
		ck_assert_ptr_nonnull(strstr(fault.text, "1 MiB"));
	}
}
END_TEST

START_TEST(test_more_memory_than_there_is_is_refused)
{
	struct fault fault = { "" };
	uint64_t page_bytes;

	ck_assert_int_eq(arena_memory(ARENA_BYTES_MAX, PAGES_SMALL, &page_bytes, &fault), -ENOMEM);
	ck_assert_ptr_nonnull(strstr(fault.text, "smaller"));
	ck_assert_int_eq(arena_memory(ARENA_BYTES_MAX, PAGES_HUGE, &page_bytes, &fault), -ENOMEM);
	ck_assert_ptr_nonnull(strstr(fault.text, "vm.nr_hugepages"));
	ck_assert_int_eq(arena_memory(MIB, PAGES_HUGE, &page_bytes, &fault), -EINVAL);
	ck_assert_ptr_nonnull(strstr(fault.text, "multiple"));
}
END_TEST

START_TEST(test_memory_is_sealed_zero_and_populated)
{
	int fd = make(2 * MIB);
	struct stat file;
	unsigned char *base = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	ck_assert_ptr_ne(base, MAP_FAILED);
	for (uint64_t i = 0; i < 2 * MIB; i++)
		if (base[i])
			ck_abort_msg("byte %lu is not zero", (unsigned long)i);
	ck_assert_int_eq(ftruncate(fd, (off_t)MIB), -1);
	ck_assert_int_eq(ftruncate(fd, (off_t)(4 * MIB)), -1);
	ck_assert_int_eq(fcntl(fd, F_GET_SEALS) & (F_SEAL_SHRINK | F_SEAL_GROW), F_SEAL_SHRINK | F_SEAL_GROW);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	ck_assert_int_eq(fstat(fd, &file), 0);
	ck_assert_uint_eq((uint64_t)file.st_size, 2 * MIB);
	ck_assert_uint_ge((uint64_t)file.st_blocks * 512, 2 * MIB);
	munmap(base, 2 * MIB);
	close(fd);
}
END_TEST

/* ---- geometry ------------------------------------------------------------------------------------------------------ */

struct geometry {
	uint64_t bytes, segment_bytes;
	uint32_t segments, directory_bits;
};

START_TEST(test_geometry)
{
	static const struct geometry geometries[] = {
		{ MIB, 64 * KIB, 16, 3 },        { MIB + 64 * KIB, 64 * KIB, 17, 4 }, { 2 * MIB, 64 * KIB, 32, 4 },
		{ 6 * MIB, 64 * KIB, 96, 6 },    { 32 * MIB, 256 * KIB, 128, 6 },     { 48 * MIB, 256 * KIB, 192, 7 },
		{ 64 * MIB, 512 * KIB, 128, 6 }, { 256 * MIB, MIB, 256, 7 },
	};

	for (size_t i = 0; i < sizeof geometries / sizeof geometries[0]; i++) {
		const struct geometry *expected = &geometries[i];
		struct arena arena;
		int fd = make_formatted(expected->bytes, &arena);
		uint64_t buckets = arena.segment_bytes / sizeof(struct bucket);
		uint64_t system = arena.system_segments * arena.segment_bytes;
		struct arena_near near;

		ck_assert_uint_eq(arena.bytes, expected->bytes);
		ck_assert_uint_eq(arena.segment_bytes, expected->segment_bytes);
		ck_assert_uint_eq(UINT64_C(1) << arena.segment_shift, expected->segment_bytes);
		ck_assert_uint_eq(arena.segment_count, expected->segments);
		ck_assert_uint_eq(arena.directory_bits, expected->directory_bits);
		ck_assert_uint_eq(arena.chunks * CHUNK_BYTES, arena.segment_bytes);
		ck_assert_uint_eq(arena.homes + arena.overflows, buckets);
		ck_assert_uint_eq(arena.overflows & (arena.overflows - 1), 0);

		/* header, directory and table are apart, aligned, and inside the system segments */
		ck_assert_uint_ge((uintptr_t)arena.directory - (uintptr_t)arena.base, sizeof(struct arena_header));
		ck_assert_uint_eq((uintptr_t)arena.table % CACHE_LINE, 0);
		ck_assert((void *)arena.table >= (void *)(arena.directory + (1u << arena.directory_bits)));
		ck_assert((void *)(arena.table + arena.segment_count) <= (void *)arena.ghosts);
		ck_assert((void *)arena.ghosts <= (void *)(arena.base + system));

		/* what a lookup keeps of it is the same */
		near = arena_near(&arena);
		ck_assert_ptr_eq(near.base, arena.base);
		ck_assert_ptr_eq(near.base + DIRECTORY_OFFSET, arena.directory);
		ck_assert_uint_eq(near.bytes, arena.bytes);
		ck_assert_uint_eq(near.homes, arena.homes);
		ck_assert_uint_eq(near.segment_shift, arena.segment_shift);
		ck_assert_uint_eq(near.directory_shift, arena.directory_shift);
		ck_assert_mem_eq(near.secret, arena.secret, sizeof near.secret);
		ck_assert_uint_lt(arena.system_segments, arena.segment_count);
		arena_unmap(&arena);
		close(fd);
	}
}
END_TEST

START_TEST(test_largest_value)
{
	static struct arena_header header;
	struct arena arena = { .header = &header,
		               .bytes = UINT64_C(64) << 30,
		               .segment_bytes = SEGMENT_BYTES_MIN,
		               .segment_shift = 16,
		               .segment_count = 1 << 20 };

	ck_assert_uint_eq(arena_object_max(&arena), SEGMENT_BYTES_MIN - sizeof(struct chunk_header));
	store_relaxed(&header.segment_target, 16);
	ck_assert_uint_eq(arena_value_max(&arena), 256 << 10);
	store_relaxed(&header.segment_target, 4096);
	ck_assert_uint_eq(arena_value_max(&arena), 64 << 20);
	store_relaxed(&header.segment_target, UINT32_MAX);
	ck_assert_uint_eq(arena_value_max(&arena), 64 << 20);
	ck_assert_uint_eq(arena_value_ever(&arena), 64 << 20);
}
END_TEST

/* ---- mapping ------------------------------------------------------------------------------------------------------- */

START_TEST(test_what_was_formatted_can_be_mapped)
{
	struct arena made, mapped;
	int fd = make_formatted(2 * MIB, &made);
	uint64_t now = arena_now_ms(&made);

	ck_assert_int_eq(arena_map(fd, true, &mapped, NULL), 0);
	ck_assert_ptr_ne(mapped.base, made.base);
	ck_assert_uint_eq(mapped.bytes, made.bytes);
	ck_assert_uint_eq(mapped.segment_count, made.segment_count);
	ck_assert_uint_eq(mapped.system_segments, made.system_segments);
	ck_assert_uint_eq(mapped.directory_bits, made.directory_bits);
	ck_assert_uint_eq(mapped.homes, made.homes);
	ck_assert_uint_eq(mapped.id, made.id);
	ck_assert_mem_eq(mapped.secret, made.secret, SECRET_BYTES);
	ck_assert_uint_eq(mapped.header->page_bytes, 4096);
	ck_assert_uint_eq(mapped.header->access, LARDER_READ_ONLY);
	ck_assert_uint_eq(mapped.header->plain_epochs, 1);
	ck_assert_uint_eq(load_relaxed(&mapped.header->epoch), 1);
	ck_assert_uint_le(mapped.header->created_ms, now);
	ck_assert_uint_le(now, arena_now_ms(&mapped));

	store_relaxed(&made.header->clients, 5);
	ck_assert_uint_eq(load_relaxed(&mapped.header->clients), 5);
	arena_unmap(&made);
	ck_assert_ptr_null(made.base);
	arena_unmap(&made);
	arena_unmap(&mapped);
	close(fd);
}
END_TEST

START_TEST(test_arena_time_begins_as_wall_clock)
{
	uint64_t before = clock_ns(CLOCK_REALTIME) / NS_PER_MS;
	struct arena arena;
	int fd = make_formatted(MIB, &arena);

	ck_assert_uint_le(before, arena.header->created_ms + 1);
	ck_assert_uint_le(arena_now_ms(&arena), clock_ns(CLOCK_REALTIME) / NS_PER_MS + 1);
	arena_unmap(&arena);
	close(fd);
}
END_TEST

START_TEST(test_no_two_arenas_are_alike)
{
	struct arena a, b;
	int fd_a = make_formatted(MIB, &a), fd_b = make_formatted(MIB, &b);

	ck_assert_uint_ne(a.id, b.id);
	ck_assert_mem_ne(a.secret, b.secret, SECRET_BYTES);
	arena_unmap(&a);
	arena_unmap(&b);
	close(fd_a);
	close(fd_b);
}
END_TEST

#ifndef __SANITIZE_ADDRESS__ /* which wants address space of its own all the time */
static uint64_t address_space(void)
{
	FILE *statm = fopen("/proc/self/statm", "re");
	unsigned long pages;

	ck_assert_ptr_nonnull(statm);
	ck_assert_int_eq(fscanf(statm, "%lu", &pages), 1);
	fclose(statm);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* A process whose limit leaves room for the arena, but none to choose the address from, maps it where the kernel says. */
START_TEST(test_mapped_within_a_limit)
{
	struct arena made, mapped;
	int fd = make_formatted(8 * MIB, &made);
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_AS, &limit), 0);
	limit.rlim_cur = address_space() + 9 * MIB;
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
	ck_assert_int_eq(arena_map(fd, true, &mapped, NULL), 0);
	ck_assert_int_ne(arena_map(fd, true, &mapped, NULL), 0); /* there was no more */
	close(fd);
}
END_TEST
#endif

/* A page that is mapped for reading only cannot be written, whoever tries. */
START_TEST(test_reader_cannot_write)
{
	struct arena made, mapped;
	int fd = make_formatted(MIB, &made);

	ck_assert_int_eq(arena_map(fd, false, &mapped, NULL), 0);
	ck_assert(!mapped.writable);
	signal(SIGSEGV, SIG_DFL); /* sanitizers have a handler of their own */
	store_relaxed(&mapped.header->clients, 5);
}
END_TEST

START_TEST(test_each_contradiction_in_the_header_is_refused)
{
	static const size_t fields[] = {
		offsetof(struct arena_header, magic),
		offsetof(struct arena_header, layout_version),
		offsetof(struct arena_header, layout_stamp),
		offsetof(struct arena_header, arena_bytes),
		offsetof(struct arena_header, segment_bytes),
		offsetof(struct arena_header, segment_count),
		offsetof(struct arena_header, system_segments),
		offsetof(struct arena_header, table_offset),
		offsetof(struct arena_header, directory_offset),
		offsetof(struct arena_header, directory_bits),
	};
	struct arena arena, mapped;
	int fd = make_formatted(2 * MIB, &arena);

	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		uint64_t *field = (uint64_t *)(void *)(arena.base + fields[i]);
		const uint64_t sound = *field;
		const uint64_t wrong[] = { 0,         sound - 1,   sound + 1,
			                   sound * 2, sound << 32, sound | UINT64_C(1) << 63,
			                   UINT64_MAX };

		for (size_t w = 0; w < sizeof wrong / sizeof wrong[0]; w++) {
			struct fault fault = { "" };

			if (wrong[w] == sound)
				continue;
			*field = wrong[w];
			ck_assert_int_eq(arena_map(fd, true, &mapped, &fault), -EPROTO);
			ck_assert_uint_gt(strlen(fault.text), 20);
		}
		*field = sound;
		ck_assert_int_eq(arena_map(fd, true, &mapped, NULL), 0);
		arena_unmap(&mapped);
	}
	arena_unmap(&arena);
	close(fd);
}
END_TEST

START_TEST(test_what_is_no_arena_is_refused)
{
	static const off_t sizes[] = { 0, 1, 4096, 1 << 20, (1 << 20) + 1, 3 << 20 };
	struct fault fault = { "" };
	struct arena arena;
	int pipes[2];

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		int fd = memfd_create("no-arena", MFD_CLOEXEC);

		ck_assert_int_eq(ftruncate(fd, sizes[i]), 0);
		ck_assert_int_eq(arena_map(fd, true, &arena, &fault), -EPROTO);
		ck_assert_ptr_nonnull(strstr(fault.text, "arena"));
		close(fd);
	}
	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	ck_assert_int_eq(arena_map(pipes[0], true, &arena, &fault), -EPROTO);
	ck_assert_int_eq(arena_map(-1, true, &arena, &fault), -EBADF);
	ck_assert_uint_gt(strlen(fault.text), 20);
}
END_TEST

/* Whoever could cut it off could end every process that has it mapped. */
START_TEST(test_arena_that_can_shrink_is_refused)
{
	struct fault fault = { "" };
	struct arena arena, mapped;
	int sealed = make_formatted(MIB, &arena), loose = memfd_create("loose", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_eq(write(loose, arena.base, MIB), MIB);
	ck_assert_int_eq(arena_map(loose, true, &mapped, &fault), -EPROTO);
	ck_assert_ptr_nonnull(strstr(fault.text, "sealed"));
	ck_assert_int_eq(fcntl(loose, F_ADD_SEALS, F_SEAL_GROW), 0);
	ck_assert_int_eq(arena_map(loose, true, &mapped, &fault), -EPROTO);
	ck_assert_int_eq(fcntl(loose, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	ck_assert_int_eq(arena_map(loose, true, &mapped, &fault), 0);
	arena_unmap(&mapped);
	arena_unmap(&arena);
	close(sealed);
	close(loose);
}
END_TEST

/* Files have no seals; who has them can end us anyway, or they are refused. */
START_TEST(test_file_of_whom_we_trust)
{
	struct fault fault = { "" };
	struct arena arena, mapped;
	int sealed = make_formatted(MIB, &arena), loose = memfd_create("loose", MFD_CLOEXEC);

	ck_assert_int_eq(write(loose, arena.base, MIB), MIB);
	ck_assert_int_eq(fchmod(loose, 0620), 0);
	ck_assert_int_eq(arena_map(loose, true, &mapped, &fault), -EPROTO);
	ck_assert_int_eq(fchmod(loose, 0600), 0);
	ck_assert_int_eq(arena_map(loose, true, &mapped, &fault), 0);
	arena_unmap(&mapped);
	if (geteuid() == 0) {
		ck_assert_int_eq(fchown(loose, 65534, 65534), 0);
		ck_assert_int_eq(arena_map(loose, true, &mapped, &fault), -EPROTO);
		ck_assert_ptr_nonnull(strstr(fault.text, "must belong to root"));
	}
	arena_unmap(&arena);
	close(sealed);
	close(loose);
}
END_TEST

/* What others write into the header after attaching must not lead this process astray. */
START_TEST(test_geometry_is_this_processes_own)
{
	struct arena arena;
	int fd = make_formatted(MIB, &arena);
	struct arena_header *header = arena.header;
	uint64_t homes = arena.homes;

	memset(arena.base, 0xff, offsetof(struct arena_header, epoch));
	ck_assert_uint_eq(arena.homes, homes);
	ck_assert_uint_eq(arena.bytes, MIB);
	ck_assert_ptr_eq(arena.header, header);
	ck_assert_uint_eq(segment_load(&arena, arena.system_segments).state, SEGMENT_INDEX);
	arena_unmap(&arena);
	close(fd);
}
END_TEST

/* Memory for the size that it begins with, and room for what it can come to. */
START_TEST(test_memory_that_can_grow)
{
	static const struct arena_size sizes[] = {
		{ 2 * MIB, 2 * MIB },
		{ 2 * MIB, 64 * MIB },
		{ 16 * MIB, 64 * MIB },
		{ 64 * MIB, 1024 * MIB },
		{ 64 * MIB, UINT64_C(64) << 30 },
		{ MIB, 256 * MIB },
	};
	static const struct arena_size bad[] = {
		{ 4 * MIB, 2 * MIB }, { MIB, UINT64_C(512) << 30 }, { 2 * MIB, 0 }, { 2 * MIB, 3 * MIB }
	};
	struct fault fault;

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct arena_plan plan = { .bytes = sizes[i].bytes };
		struct arena made, mapped;
		struct stat file;
		int fd = arena_memory_of(sizes[i], PAGES_AUTO, &plan.page_bytes, &fault);

		ck_assert_msg(fd >= 0, "%s", fault.text);
		ck_assert_int_eq(arena_format(fd, &plan, &made, NULL), 0);
		ck_assert_uint_eq(made.bytes, sizes[i].most);
		ck_assert_uint_eq((uint64_t)arena_segment_target(&made) << made.segment_shift, sizes[i].bytes);
		ck_assert_int_eq(fstat(fd, &file), 0);
		ck_assert_uint_eq((uint64_t)file.st_size, sizes[i].most);
		if (plan.page_bytes < 2 * MIB)
			ck_assert_uint_eq((uint64_t)file.st_blocks * 512, sizes[i].bytes);
		ck_assert_int_eq(arena_map(fd, false, &mapped, &fault), 0);
		ck_assert_uint_eq(mapped.segment_bytes, made.segment_bytes);
		arena_unmap(&made);
		arena_unmap(&mapped);
		close(fd);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		uint64_t page_bytes;

		ck_assert_int_eq(arena_memory_of(bad[i], PAGES_AUTO, &page_bytes, &fault), -EINVAL);
	}
}
END_TEST

/* How much of the mapping at an address is on huge pages, in bytes. */
static uint64_t huge_bytes(const void *address)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	uint64_t begin, end, kib, huge = 0;
	bool inside = false;
	char line[512];

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof line, file)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &begin, &end) == 2)
			inside = begin <= (uintptr_t)address && (uintptr_t)address < end;
		else if (inside && (sscanf(line, "ShmemPmdMapped: %" SCNu64, &kib) == 1 ||
		                    sscanf(line, "Shared_Hugetlb: %" SCNu64, &kib) == 1 ||
		                    sscanf(line, "Private_Hugetlb: %" SCNu64, &kib) == 1))
			huge += kib * KIB;
	}
	fclose(file);
	return huge;
}

/* What is said to be on huge pages is so in every process that maps it, reserved or not. */
START_TEST(test_huge_pages_are_mapped_as_such)
{
	static const enum page_choice choices[] = { PAGES_AUTO, PAGES_SMALL };

	for (size_t i = 0; i < 2; i++) {
		struct arena_plan plan = { .access = LARDER_SHARED_WRITE };
		int fd = arena_memory(8 * MIB, choices[i], &plan.page_bytes, NULL);
		struct arena arena, again;
		unsigned sum = 0;

		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(arena_format(fd, &plan, &arena, NULL), 0);
		ck_assert_int_eq(arena_map(fd, false, &again, NULL), 0);
		ck_assert_uint_eq((uintptr_t)arena.base % (2 * MIB), 0);
		ck_assert_uint_eq((uintptr_t)again.base % (2 * MIB), 0);
		for (uint64_t offset = 0; offset < again.bytes; offset += 4 * KIB)
			sum += ((const volatile unsigned char *)again.base)[offset];
		ck_assert_uint_gt(sum, 0);
		ck_assert_uint_eq(huge_bytes(again.base), plan.page_bytes == 2 * MIB ? again.bytes : 0);
		if (choices[i] == PAGES_SMALL)
			ck_assert_uint_eq(plan.page_bytes, (uint64_t)sysconf(_SC_PAGESIZE));
		arena_unmap(&again);
		arena_unmap(&arena);
		close(fd);
	}
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("arena");

	tcase_add_test(tests, test_sizes_are_rounded_down);
	tcase_add_test(tests, test_memory_of_impossible_sizes_is_refused);
	tcase_add_test(tests, test_more_memory_than_there_is_is_refused);
	tcase_add_test(tests, test_memory_is_sealed_zero_and_populated);
	tcase_add_test(tests, test_geometry);
	tcase_add_test(tests, test_largest_value);
	tcase_add_test(tests, test_what_was_formatted_can_be_mapped);
	tcase_add_test(tests, test_arena_time_begins_as_wall_clock);
	tcase_add_test(tests, test_no_two_arenas_are_alike);
#ifndef __SANITIZE_ADDRESS__
	tcase_add_test(tests, test_mapped_within_a_limit);
#endif
	tcase_add_test_raise_signal(tests, test_reader_cannot_write, SIGSEGV);
	tcase_add_test(tests, test_each_contradiction_in_the_header_is_refused);
	tcase_add_test(tests, test_what_is_no_arena_is_refused);
	tcase_add_test(tests, test_arena_that_can_shrink_is_refused);
	tcase_add_test(tests, test_file_of_whom_we_trust);
	tcase_add_test(tests, test_geometry_is_this_processes_own);
	tcase_add_test(tests, test_memory_that_can_grow);
	tcase_add_test(tests, test_huge_pages_are_mapped_as_such);
	return suite_run("arena", tests);
}
