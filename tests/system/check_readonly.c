/* SPDX-License-Identifier: MIT */
/*
 * larderd --access read-only: clients read in place and write through larderd, and the kernel lets none of them write
 * into the arena by any way it knows. What the calls say in this mode is tested with the others (check_semantics and
 * more); here is what only this mode has.
 */
#include "tests/support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/client.h"
#include "tests/support/expect.h"
#include "tests/support/raw.h"
#include "tests/support/workers.h"

#define LARGE (1 << 20)

static struct server server;
static larder *cache;

static void setup(void)
{
	server_start(&server, "64M", "--access", "read-only", NULL);
	cache = client_open(&server);
}

static void teardown(void)
{
	larder_close(cache);
	server_stop(&server);
}

struct mapping {
	char *start, *end;
	char rights[8];
};

static struct mapping mapping_of(const void *address)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	struct mapping mapping = { 0 };
	uintptr_t start, end;
	char line[512];

	expect(maps != NULL);
	while (fgets(line, sizeof line, maps) != NULL) {
		expect(sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %7s", &start, &end, mapping.rights) == 3);
		if ((uintptr_t)address < start || (uintptr_t)address >= end)
			continue;
		mapping.start = (char *)start;
		mapping.end = (char *)end;
		fclose(maps);
		return mapping;
	}
	expect_failed("%p is in no mapping", address);
	return mapping;
}

static bool is_refusal(int error)
{
	return error == EACCES || error == EPERM || error == EINVAL || error == EBADF || error == ETXTBSY;
}

START_TEST(mapping_cannot_be_made_writable)
{
	struct larder_view view;
	struct mapping mapping;
	int memory;

	ck_assert_uint_eq(client_stat(cache).access, LARDER_READ_ONLY);
	client_put(cache, "k", "unharmed");
	ck_assert_int_eq(larder_view(cache, "k", 1, &view), 0);
	mapping = mapping_of(view.data);
	ck_assert_str_eq(mapping.rights, "r--s");
	ck_assert_uint_ge((uint64_t)(mapping.end - mapping.start), 64 << 20);
	ck_assert_int_eq(mprotect(mapping.start, (size_t)(mapping.end - mapping.start), PROT_READ | PROT_WRITE), -1);
	ck_assert_msg(errno == EACCES || errno == EPERM, "mprotect: %s", strerror(errno));
	ck_assert_int_eq(madvise(mapping.start, (size_t)(mapping.end - mapping.start), MADV_REMOVE), -1);
	/* The debugger's way in overrides the rights of a private mapping, but not of this one. */
	memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(memory, 0);
	ck_assert_int_eq(pwrite(memory, "X", 1, (off_t)(uintptr_t)view.data), -1);
	close(memory);
	ck_assert_mem_eq(view.data, "unharmed", 8);
	larder_release(cache, &view);
}
END_TEST

static void expect_no_write(int fd, size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	ck_assert_ptr_eq(memory, MAP_FAILED);
	ck_assert_msg(is_refusal(errno), "mmap: %s", strerror(errno));
	ck_assert_int_eq(pwrite(fd, "X", 1, 4096), -1);
	ck_assert_msg(is_refusal(errno), "pwrite: %s", strerror(errno));
	ck_assert_int_eq(ftruncate(fd, 0), -1);
	ck_assert_int_eq(ftruncate(fd, (off_t)bytes * 2), -1);
	ck_assert_int_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes), -1);
	memory = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return;
	ck_assert_int_eq(mprotect(memory, bytes, PROT_READ | PROT_WRITE), -1);
	ck_assert_msg(is_refusal(errno), "mprotect: %s", strerror(errno));
	munmap(memory, bytes);
}

START_TEST(descriptor_does_not_help)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
	struct wire_welcome welcome;
	int fds[RAW_FDS], channel = raw_attach(&server, &welcome, fds), seals = fcntl(fds[RAW_ARENA], F_GET_SEALS);
	char path[64];

	client_put(cache, "k", "unharmed");
	ck_assert_uint_eq(welcome.access, LARDER_READ_ONLY);
	ck_assert_int_eq(seals & (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE),
	                 F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE);
	expect_no_write(fds[RAW_ARENA], welcome.arena_bytes);
	/* A descriptor can be opened anew with other rights; root may do that with any. */
	snprintf(path, sizeof path, "/proc/self/fd/%d", fds[RAW_ARENA]);
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		int again = open(path, modes[i] | O_CLOEXEC);

		if (again < 0) {
			ck_assert_msg(is_refusal(errno), "open: %s", strerror(errno));
			continue;
		}
		expect_no_write(again, welcome.arena_bytes);
		close(again);
	}
	client_expect(cache, "k", "unharmed");
	for (size_t i = 0; i < RAW_FDS; i++)
		close(fds[i]);
	close(channel);
}
END_TEST

START_TEST(large_values)
{
	static const size_t sizes[] = { WIRE_INLINE_MAX - 300,
		                        WIRE_INLINE_MAX - 2,
		                        WIRE_INLINE_MAX - 1,
		                        WIRE_INLINE_MAX,
		                        WIRE_INLINE_MAX + 1,
		                        LARGE - 1,
		                        LARGE };
	unsigned char *value = malloc(LARGE);
	struct larder_view view;
	uint64_t version, appended;

	ck_assert_ptr_nonnull(value);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		pattern_fill(value, sizes[i], i);
		ck_assert_int_eq(larder_set(cache, "k", 1, value, sizes[i], NULL, &version), 0);
		ck_assert_int_eq(larder_view(cache, "k", 1, &view), 0);
		ck_assert_uint_eq(view.size, sizes[i]);
		ck_assert(pattern_holds(view.data, view.size, i));
		ck_assert_uint_eq(view.item.version, version);
		larder_release(cache, &view);
		pattern_fill(value, 200000, i + 100);
		ck_assert_int_eq(larder_append(cache, "k", 1, value, 200000, &appended), 0);
		ck_assert_uint_gt(appended, version);
		ck_assert_int_eq(larder_view(cache, "k", 1, &view), 0);
		ck_assert_uint_eq(view.size, sizes[i] + 200000);
		ck_assert(pattern_holds(view.data, sizes[i], i));
		ck_assert_int_eq(memcmp((const char *)view.data + sizes[i], value, 200000), 0);
		larder_release(cache, &view);
	}
	free(value);
}
END_TEST

/* ---- many at once ------------------------------------------------------------------------------------------------ */

#define ROUNDS 300

static void write_and_read(unsigned number)
{
	static _Thread_local char value[30000];
	char key[32];
	struct larder_view view;
	int64_t count;

	for (unsigned i = 0; i < ROUNDS; i++) {
		size_t size = (size_t)number * 997 + i * 13 % 20000;

		snprintf(key, sizeof key, "writer %u", number);
		pattern_fill(value, size, i);
		expect_equal(larder_set(cache, key, strlen(key), value, size, NULL, NULL), 0);
		expect_equal(larder_view(cache, key, strlen(key), &view), 0);
		expect_equal(view.size, size);
		expect(pattern_holds(view.data, size, i));
		larder_release(cache, &view);
		expect_equal(larder_incr(cache, "count", 5, 1, NULL, &count), 0);
	}
}

static void *write_in_thread(void *context)
{
	write_and_read((unsigned)(uintptr_t)context);
	return NULL;
}

static void write_in_child(void *context, unsigned number)
{
	pthread_t thread;

	(void)context;
	expect(pthread_create(&thread, NULL, write_in_thread, (void *)(uintptr_t)(2 * number)) == 0);
	write_and_read(2 * number + 1);
	pthread_join(thread, NULL);
}

START_TEST(many_threads_of_many_processes)
{
	struct workers workers;
	int64_t count;

	client_put(cache, "count", "0");
	workers_start(&workers, 4, write_in_child, NULL);
	workers_join(&workers, 100);
	ck_assert_int_eq(larder_incr(cache, "count", 5, 0, NULL, &count), 0);
	ck_assert_int_eq(count, 4 * 2 * ROUNDS);
}
END_TEST

/* A full arena makes room for these writers as for any. */
START_TEST(evicts)
{
	static char value[60000];
	char key[32];

	for (unsigned i = 0; i < 3000; i++) {
		snprintf(key, sizeof key, "key %u", i);
		pattern_fill(value, sizeof value, i);
		expect_equal(larder_set(cache, key, strlen(key), value, sizeof value, NULL, NULL), 0);
	}
	ck_assert_uint_gt(client_stat(cache).evicted_segments, 0);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("readonly");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, mapping_cannot_be_made_writable);
	tcase_add_test(tcase, descriptor_does_not_help);
	tcase_add_test(tcase, large_values);
	tcase_add_test(tcase, many_threads_of_many_processes);
	tcase_add_test(tcase, evicts);
	return suite_run("readonly", tcase);
}
