/* SPDX-License-Identifier: MIT */
#include "arena/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "arena/segment.h"
#include "base/platform.h"

#define HUGE_PAGE (UINT64_C(2) << 20)
/* A small arena gets smaller segments, so that classes do not starve each other, and little is in segments kept free or half full. */
#define SEGMENTS_WANTED 256
#define SEGMENTS_ENOUGH 128 /* where they are this small already: large objects fill small segments badly */
#define SEGMENT_BYTES_SMALL (UINT64_C(512) << 10)
#define SEGMENTS_MANY 4096 /* and larger ones again, if it may become much larger */

/* ---- geometry ---------------------------------------------------------------------------------------------------- */

/*
 * The segment size goes by the size that an arena begins with, for it decides how large a value can be and how many classes
 * find room; but segments do not become so many that looking at all of them takes long.
 */
static uint64_t segment_bytes_for(struct arena_size size)
{
	uint64_t segment = SEGMENT_BYTES_MAX;

	while (segment > SEGMENT_BYTES_MIN &&
	       size.bytes / segment < (segment > SEGMENT_BYTES_SMALL ? SEGMENTS_WANTED : SEGMENTS_ENOUGH))
		segment /= 2;
	while (segment < SEGMENT_BYTES_MAX && size.most / segment > SEGMENTS_MANY)
		segment *= 2;
	return segment;
}

uint64_t arena_round_bytes(uint64_t bytes)
{
	if (bytes < ARENA_BYTES_MIN || bytes > ARENA_BYTES_MAX)
		return 0;
	return bytes & ~((bytes >= HUGE_PAGE ? HUGE_PAGE : SEGMENT_BYTES_MIN) - 1);
}

/* Half of the segments could be index before the directory is too coarse: more than tiny objects need. */
static uint64_t directory_bits_for(uint64_t segment_count)
{
	uint64_t bits = 2;

	while (bits < DIRECTORY_BITS_MAX && (UINT64_C(2) << bits) < segment_count)
		bits++;
	return bits;
}

/* How many segments the header and the tables take of an arena of so many. */
static uint64_t system_needed(const struct arena_header *header, uint64_t segments)
{
	uint64_t ghosts = segments * header->segment_bytes / GHOST_GRAIN * sizeof(struct ghost_line);

	return (header->ghost_offset + ghosts + header->segment_bytes - 1) / header->segment_bytes;
}

/* Fills the geometry of a header from two numbers alone, so that it can be checked as well as made. */
static void plan_geometry(struct arena_header *header, uint64_t bytes, uint64_t segment_bytes)
{
	header->arena_bytes = bytes;
	header->segment_bytes = segment_bytes;
	header->segment_count = bytes / header->segment_bytes;
	header->directory_bits = directory_bits_for(header->segment_count);
	header->directory_offset = DIRECTORY_OFFSET;
	header->table_offset = header->directory_offset + (sizeof(atomic_u32) << header->directory_bits);
	header->table_offset = (header->table_offset + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	header->ghost_offset = header->table_offset + header->segment_count * sizeof(struct segment_entry);
	header->ghost_lines = bytes / GHOST_GRAIN;
	header->system_segments = system_needed(header, header->segment_count);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* Memory the host could give, in bytes; UINT64_MAX when /proc does not tell. */
static uint64_t memory_available(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	uint64_t kib = UINT64_MAX / 1024;
	char line[128];

	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib * 1024;
}

/* Allocates and touches every page, so that no process can meet SIGBUS for want of memory later. */
static int populate(int fd, uint64_t offset, uint64_t bytes)
{
	void *base;
	int result = 0;

	if (fallocate(fd, 0, (off_t)offset, (off_t)bytes))
		return -errno;
	base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
	if (base == MAP_FAILED && errno == EPERM)
		return 0; /* sealed against new writable mappings */
	if (base == MAP_FAILED)
		return -errno;
	/* In a container mmap may succeed and the first touch raise SIGBUS; this call answers with an error instead. */
	if (madvise(base, bytes, MADV_POPULATE_WRITE) && errno != EINVAL)
		result = -errno;
	munmap(base, bytes);
	return result;
}

int arena_allocate(const struct arena *arena, int fd, uint32_t segment, uint32_t count)
{
	return populate(fd, (uint64_t)segment << arena->segment_shift, (uint64_t)count << arena->segment_shift);
}

int arena_release(const struct arena *arena, int fd, uint32_t segment, uint32_t count)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	                 (off_t)((uint64_t)segment << arena->segment_shift),
	                 (off_t)((uint64_t)count << arena->segment_shift))
	               ? -errno
	               : 0;
}

/*
 * The memory with which an arena begins: its tables as far as they are needed, and segments from behind them. Among huge pages
 * there is no hole, for where there are no more of them it would be SIGBUS, even to read there.
 */
static int populate_size(int fd, struct arena_size size, bool huge)
{
	struct arena_header plan = { 0 };
	uint64_t segments, system;
	int result;

	if (ftruncate(fd, (off_t)size.most))
		return -errno;
	if (huge || size.bytes == size.most)
		return populate(fd, 0, size.most);
	plan_geometry(&plan, size.most, segment_bytes_for(size));
	segments = size.bytes / plan.segment_bytes;
	system = system_needed(&plan, segments);
	result = populate(fd, 0, system * plan.segment_bytes);
	if (result)
		return result;
	return populate(fd, plan.system_segments * plan.segment_bytes, (segments - system) * plan.segment_bytes);
}

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/*
 * Where the kernel chooses the address, huge pages can be mapped as such only by chance. So more is taken than is needed, and what is not, given back.
 * Where that is not to be had, for the limits of the process or for pages that are larger still, the kernel's choice has to do.
 */
static void *map_aligned(int fd, uint64_t bytes, int protection)
{
	unsigned char *reserved = MAP_FAILED, *base;

	if (bytes >= HUGE_PAGE)
		reserved = mmap(NULL, bytes + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (reserved == MAP_FAILED)
		return mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);
	base = reserved + (0 - (uintptr_t)reserved) % HUGE_PAGE;
	if (mmap(base, bytes, protection, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
		munmap(reserved, bytes + HUGE_PAGE);
		return mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);
	}
	if (base > reserved)
		munmap(reserved, (size_t)(base - reserved));
	if (base < reserved + HUGE_PAGE)
		munmap(base + bytes, (size_t)(reserved + HUGE_PAGE - base));
	return base;
}

#define JOIN_NS (2000 * NS_PER_MS)      /* of processor time, enough for about a GiB */
#define JOIN_BYTES (UINT64_C(32) << 20) /* between two looks at the time */

/*
 * Puts ordinary memory on huge pages all the same, which the kernel does on request since Linux 6.1, whatever its policy for shared memory
 * is, as far as it finds room. They need not be reserved, and there may be holes in them. All is copied, so of an arena that is so large that this takes
 * long the rest stays as it is. Return: whether all of it is on them now.
 */
static bool join_pages(int fd, uint64_t bytes)
{
	const uint64_t deadline_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) + JOIN_NS;
	unsigned char *base = map_aligned(fd, bytes, PROT_READ | PROT_WRITE);
	uint64_t done = 0, part;

	if (base == MAP_FAILED)
		return false;
	while (done < bytes && clock_ns(CLOCK_THREAD_CPUTIME_ID) < deadline_ns) {
		part = bytes - done < JOIN_BYTES ? bytes - done : JOIN_BYTES;
		if (madvise(base + done, part, MADV_COLLAPSE))
			break;
		done += part;
	}
	munmap(base, bytes);
	return done == bytes;
}

static int sealed_memfd(struct arena_size size, bool huge)
{
	int fd = memfd_create("larder-arena",
	                      MFD_CLOEXEC | MFD_ALLOW_SEALING | (huge ? MFD_HUGETLB | MFD_HUGE_2MB : 0));
	int result;

	if (fd < 0)
		return -errno;
	result = populate_size(fd, size, huge);
	if (result == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW))
		result = -errno;
	if (result == 0)
		return fd;
	close(fd);
	return result;
}

static int check_size(struct arena_size size, struct fault *fault)
{
	struct arena_header plan = { 0 };

	if (size.bytes == 0 || size.bytes != arena_round_bytes(size.bytes) || size.most == 0 ||
	    size.most != arena_round_bytes(size.most))
		return fault_set(fault, -EINVAL,
		                 "%" PRIu64 " bytes is no size for an arena: it is from 1 MiB to 512 GiB, "
		                 "in steps of 2 MiB (64 KiB below 2 MiB)",
		                 size.bytes == arena_round_bytes(size.bytes) ? size.most : size.bytes);
	plan_geometry(&plan, size.most, segment_bytes_for(size));
	if (size.bytes > size.most || size.bytes / plan.segment_bytes < SEGMENTS_LEAST)
		return fault_set(
			fault, -EINVAL,
			"an arena of %" PRIu64 " MiB that may come to %" PRIu64 " MiB has segments of %" PRIu64
			" KiB, and must begin with %d of them at the least: make size larger, or size_max smaller",
			size.bytes >> 20, size.most >> 20, plan.segment_bytes >> 10, SEGMENTS_LEAST);
	return 0;
}

/* Asking tmpfs for more than there is would wake the out-of-memory killer rather than fail. */
int arena_memory_available(uint64_t bytes, struct fault *fault)
{
	if (bytes <= memory_available())
		return 0;
	return fault_set(fault, -ENOMEM,
	                 "an arena of %" PRIu64 " MiB does not fit in the %" PRIu64 " MiB of memory "
	                 "that this host can give: choose a smaller size",
	                 bytes >> 20, memory_available() >> 20);
}

int arena_memory_of(struct arena_size size, enum page_choice choice, uint64_t *ret_page_bytes, struct fault *fault)
{
	bool fixed = size.bytes == size.most;
	int fd = -EINVAL, result = check_size(size, fault);

	if (result)
		return result;
	if (choice == PAGES_HUGE && size.most % HUGE_PAGE != 0)
		return fault_set(fault, -EINVAL,
		                 "an arena of %" PRIu64 " KiB cannot be on huge pages of 2 MiB: make it a "
		                 "multiple of that, or allow ordinary pages",
		                 size.most >> 10);
	if ((choice == PAGES_HUGE || (choice == PAGES_AUTO && fixed)) && size.most % HUGE_PAGE == 0)
		fd = sealed_memfd(size, true);
	if (fd >= 0) {
		*ret_page_bytes = HUGE_PAGE;
		return fd;
	}
	if (choice == PAGES_HUGE)
		return fault_set(fault, -ENOMEM,
		                 "cannot have %" PRIu64 " huge pages of 2 MiB (%s): reserve them with "
		                 "sysctl vm.nr_hugepages=N, or allow ordinary pages",
		                 (size.most + HUGE_PAGE - 1) / HUGE_PAGE, strerror(-fd));
	result = arena_memory_available(size.bytes, fault);
	if (result)
		return result;
	fd = sealed_memfd(size, false);
	if (fd < 0)
		return fault_set(fault, fd,
		                 "cannot allocate %" PRIu64 " MiB of shared memory (%s): choose a smaller size, or "
		                 "raise the memory limit of this service",
		                 size.bytes >> 20, strerror(-fd));
	*ret_page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	if (choice == PAGES_AUTO && fixed && size.most % HUGE_PAGE == 0 && join_pages(fd, size.most))
		*ret_page_bytes = HUGE_PAGE;
	return fd;
}

int arena_memory(uint64_t bytes, enum page_choice choice, uint64_t *ret_page_bytes, struct fault *fault)
{
	return arena_memory_of((struct arena_size){ bytes, bytes }, choice, ret_page_bytes, fault);
}

int arena_memory_in(int fd, struct arena_size size, enum page_choice choice, uint64_t *ret_page_bytes,
                    struct fault *fault)
{
	struct statfs memory;
	int result = check_size(size, fault);
	bool huge;

	if (result)
		return result;
	if (fstatfs(fd, &memory))
		return fault_set(fault, -errno, "cannot examine the filesystem of the arena: %s", strerror(errno));
	huge = memory.f_type == HUGETLBFS_MAGIC;
	if (!huge && memory.f_type != TMPFS_MAGIC)
		return fault_set(fault, -EINVAL,
		                 "the arena can lie in a file on tmpfs (such as /dev/shm) or hugetlbfs only: elsewhere "
		                 "every write would go to a disk");
	if (choice == (huge ? PAGES_SMALL : PAGES_HUGE) || size.most % (uint64_t)memory.f_bsize != 0)
		return fault_set(fault, -EINVAL,
		                 "an arena of %" PRIu64 " KiB with pages = %s cannot lie on a filesystem with pages of "
		                 "%" PRIu64 " KiB",
		                 size.most >> 10,
		                 choice == PAGES_AUTO   ? "auto"
		                 : choice == PAGES_HUGE ? "huge"
		                                        : "small",
		                 (uint64_t)memory.f_bsize >> 10);
	if (!huge)
		result = arena_memory_available(size.bytes, fault);
	if (result)
		return result;
	result = populate_size(fd, size, huge);
	if (result)
		return fault_set(fault, result == -ENOSPC ? -ENOMEM : result,
		                 "cannot allocate %" PRIu64 " MiB in the arena's file (%s): choose a smaller size, or "
		                 "make more room on its filesystem",
		                 (huge ? size.most : size.bytes) >> 20, strerror(-result));
	*ret_page_bytes = (uint64_t)memory.f_bsize;
	return 0;
}

/* ---- mapping ----------------------------------------------------------------------------------------------------- */

/* This process's own numbers, from a header that has been checked. */
static void adopt_geometry(struct arena *arena, const struct arena_header *header)
{
	uint32_t buckets = (uint32_t)(header->segment_bytes / sizeof(struct bucket));

	arena->header = (struct arena_header *)(void *)arena->base;
	arena->table = (struct segment_entry *)(void *)(arena->base + header->table_offset);
	arena->directory = (atomic_u32 *)(void *)(arena->base + header->directory_offset);
	arena->ghosts = (struct ghost_line *)(void *)(arena->base + header->ghost_offset);
	arena->ghost_lines = header->ghost_lines;
	arena->segment_bytes = header->segment_bytes;
	arena->segment_shift = (uint32_t)__builtin_ctzll(header->segment_bytes);
	arena->segment_count = (uint32_t)header->segment_count;
	arena->system_segments = (uint32_t)header->system_segments;
	arena->directory_bits = (uint32_t)header->directory_bits;
	arena->directory_shift = 64 - arena->directory_bits;
	arena->chunks = (uint32_t)(header->segment_bytes / CHUNK_BYTES);
	arena->overflows = buckets / 8;
	arena->homes = buckets - arena->overflows;
	arena->clock_offset_ns = header->clock_offset_ns;
	arena->id = header->arena_id;
	arena->plain_epochs = header->plain_epochs;
	memcpy(arena->secret, header->secret, SECRET_BYTES);
}

uint32_t arena_system_needed(const struct arena *arena, uint32_t segments)
{
	struct arena_header plan;

	plan_geometry(&plan, arena->bytes, arena->segment_bytes);
	return (uint32_t)system_needed(&plan, segments);
}

static uint64_t value_max(uint64_t arena_bytes)
{
	return arena_bytes / 4 < VALUE_BYTES_MAX ? arena_bytes / 4 : VALUE_BYTES_MAX;
}

uint64_t arena_value_max(const struct arena *arena)
{
	return value_max((uint64_t)arena_segment_target(arena) << arena->segment_shift);
}

uint64_t arena_value_ever(const struct arena *arena)
{
	return value_max(arena->bytes);
}

/*
 * Whether somebody could cut the memory off who cannot end this process anyway. A file with a name has no seals
 * (larderd.conf(5), arena_file): it is taken from root and from our own user, when nobody else can have opened it.
 */
static bool may_be_cut(int fd, const struct stat *file)
{
	if (platform_cannot_shrink(fd))
		return false;
	return !S_ISREG(file->st_mode) || (file->st_mode & 07077) != 0 ||
	       (file->st_uid != 0 && file->st_uid != geteuid());
}

static int map_memory(int fd, bool writable, struct arena *arena, struct fault *fault)
{
	struct stat file;

	if (fstat(fd, &file))
		return fault_set(fault, -errno, "cannot examine the arena: %s", strerror(errno));
	arena->bytes = (uint64_t)file.st_size;
	arena->writable = writable;
	if (arena->bytes == 0 || arena->bytes != arena_round_bytes(arena->bytes))
		return fault_set(fault, -EPROTO, "this is no arena: %" PRIu64 " bytes is no size for one",
		                 arena->bytes);
	if (may_be_cut(fd, &file))
		return fault_set(fault, -EPROTO,
		                 "this is no arena: it is not sealed, so its memory could be taken away; one in a file "
		                 "must belong to root or to the user of this process, with mode 0600");
	arena->base = map_aligned(fd, arena->bytes, PROT_READ | (writable ? PROT_WRITE : 0));
	if (arena->base == MAP_FAILED)
		return fault_set(fault, -errno, "cannot map the arena of %" PRIu64 " MiB: %s", arena->bytes >> 20,
		                 strerror(errno));
	/* Where the kernel gives shared memory transparent huge pages on request, this is the request. */
	madvise(arena->base, arena->bytes, MADV_HUGEPAGE);
	madvise(arena->base, arena->bytes, MADV_DONTDUMP);
	return 0;
}

static int random_bytes(void *buffer, size_t size)
{
	return getrandom(buffer, size, 0) == (ssize_t)size ? 0 : -EIO;
}

int arena_format(int fd, const struct arena_plan *plan, struct arena *ret_arena, struct fault *fault)
{
	struct arena arena = { 0 };
	struct arena_header *header;
	struct arena_size size;
	int result = map_memory(fd, true, &arena, fault);

	if (result)
		return result;
	size = (struct arena_size){ plan->bytes ? plan->bytes : arena.bytes, arena.bytes };
	header = (struct arena_header *)(void *)arena.base;
	if (random_bytes(header->secret, SECRET_BYTES) || random_bytes(&header->arena_id, sizeof header->arena_id)) {
		munmap(arena.base, arena.bytes);
		return fault_set(fault, -EIO, "the kernel gives no random bytes");
	}
	plan_geometry(header, size.most, segment_bytes_for(size));
	header->layout_version = LAYOUT_VERSION;
	header->layout_stamp = layout_stamp();
	header->page_bytes = plan->page_bytes;
	header->access = plan->access;
	header->plain_epochs = plan->plain_epochs;
	header->clock_offset_ns = clock_ns(CLOCK_REALTIME) - monotonic_ns();
	header->created_ms = (monotonic_ns() + header->clock_offset_ns) / NS_PER_MS;
	store_relaxed(&header->epoch, 1);
	store_relaxed(&header->size_configured, size.bytes);
	store_relaxed(&header->segment_target, (uint32_t)(size.bytes / header->segment_bytes));
	adopt_geometry(&arena, header);
	segment_format(&arena);
	header->magic = ARENA_MAGIC; /* last: nobody else has the descriptor before this returns */
	*ret_arena = arena;
	return 0;
}

/* Whether an arena that can have so many bytes may have such segments, whatever size it began with. */
static bool segment_bytes_possible(uint64_t bytes, uint64_t segment)
{
	return segment >= segment_bytes_for((struct arena_size){ ARENA_BYTES_MIN, bytes }) &&
	       segment <= segment_bytes_for((struct arena_size){ bytes, bytes }) && (segment & (segment - 1)) == 0;
}

static int check_header(const struct arena_header *header, uint64_t bytes, struct fault *fault)
{
	struct arena_header expected = { 0 };

	if (header->magic != ARENA_MAGIC)
		return fault_set(fault, -EPROTO, "this is no larder arena");
	if (header->layout_version != LAYOUT_VERSION || header->layout_stamp != layout_stamp())
		return fault_set(fault, -EPROTO,
		                 "the arena has layout %" PRIu64 " (stamp %016" PRIx64 "), this program knows "
		                 "layout %d (stamp %016" PRIx64 "): use the same version of larder on both sides",
		                 header->layout_version, header->layout_stamp, LAYOUT_VERSION, layout_stamp());
	if (!segment_bytes_possible(bytes, header->segment_bytes))
		return fault_set(fault, -EPROTO,
		                 "the arena's header tells of segments that no arena has: it was damaged");
	plan_geometry(&expected, bytes, header->segment_bytes);
	if (header->arena_bytes != bytes || header->segment_count != expected.segment_count ||
	    header->system_segments != expected.system_segments || header->table_offset != expected.table_offset ||
	    header->directory_offset != expected.directory_offset || header->ghost_offset != expected.ghost_offset ||
	    header->ghost_lines != expected.ghost_lines || header->directory_bits != expected.directory_bits)
		return fault_set(fault, -EPROTO,
		                 "the arena's header contradicts its size: it was damaged; restart larderd "
		                 "with a new arena");
	return 0;
}

int arena_map(int fd, bool writable, struct arena *ret_arena, struct fault *fault)
{
	struct arena arena = { 0 };
	struct arena_header header;
	int result = map_memory(fd, writable, &arena, fault);

	if (result)
		return result;
	memcpy(&header, arena.base, sizeof header); /* one copy: what was checked is what is used */
	result = check_header(&header, arena.bytes, fault);
	if (result) {
		munmap(arena.base, arena.bytes);
		return result;
	}
	adopt_geometry(&arena, &header);
	*ret_arena = arena;
	return 0;
}

void arena_unmap(struct arena *arena)
{
	unsigned char *base = arena->base;

	/* In this order: a child that is forked in between must not unmap what lies there by then. */
	arena->base = NULL;
	if (base)
		munmap(base, arena->bytes);
}
