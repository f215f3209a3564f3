/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/arena_file.h"
#include "tests/support/suite.h"

#define MIB (UINT64_C(1) << 20)
#define SIZE(bytes) ((struct arena_size){ bytes, bytes })

static char folder[64], path[80], new_path[96];

static void make_folder(void)
{
	strcpy(folder, "/dev/shm/larder-unit-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/arena", folder);
	snprintf(new_path, sizeof new_path, "%s.new", path);
}

static void remove_folder(void)
{
	unlink(path);
	unlink(new_path);
	ck_assert_int_eq(rmdir(folder), 0);
}

static int make(void)
{
	const struct arena_plan plan = { .page_bytes = 4096 };
	struct arena arena;
	uint64_t page_bytes;
	int fd = arena_file_create(path, SIZE(MIB), PAGES_AUTO, &page_bytes, NULL);

	ck_assert_int_ge(fd, 0);
	ck_assert_uint_eq(page_bytes, (uint64_t)sysconf(_SC_PAGESIZE));
	ck_assert_int_eq(arena_format(fd, &plan, &arena, NULL), 0);
	ck_assert_int_eq(arena_file_publish(path, NULL), 0);
	arena_unmap(&arena);
	return fd;
}

START_TEST(test_make_and_open)
{
	struct arena arena;
	struct stat file;
	uint64_t page_bytes;
	int made, opened;

	close(arena_file_create(path, SIZE(MIB), PAGES_AUTO, &page_bytes, NULL));
	ck_assert_int_eq(arena_file_open(path, NULL), -ENOENT); /* not until it is complete */
	made = make();
	opened = arena_file_open(path, NULL);
	ck_assert_int_ge(opened, 0);
	ck_assert(arena_file_at(path, made) && arena_file_at(path, opened));
	ck_assert_int_eq(fstat(opened, &file), 0);
	ck_assert_uint_eq(file.st_mode & 07777, 0600);
	ck_assert_int_eq(arena_map(opened, true, &arena, NULL), 0);
	ck_assert_uint_eq(arena.bytes, MIB);
	arena_unmap(&arena);
	close(made);
	made = make(); /* in the place of the old one */
	ck_assert(arena_file_at(path, made) && !arena_file_at(path, opened));
	close(opened);
	close(made);
}
END_TEST

START_TEST(test_not_made)
{
	struct fault fault;
	uint64_t page_bytes;

	ck_assert_int_eq(arena_file_create(path, SIZE(MIB + 1), PAGES_AUTO, &page_bytes, &fault), -EINVAL);
	ck_assert_int_eq(arena_file_create(path, SIZE(MIB), PAGES_HUGE, &page_bytes, &fault), -EINVAL);
	ck_assert_int_eq(arena_file_create(path, SIZE(ARENA_BYTES_MAX), PAGES_AUTO, &page_bytes, &fault), -ENOMEM);
	ck_assert_int_eq(arena_file_create("/proc/larder", SIZE(MIB), PAGES_AUTO, &page_bytes, &fault), -ENOENT);
	ck_assert_int_ne(access(new_path, F_OK), 0);
	close(arena_file_create(path, SIZE(MIB), PAGES_SMALL, &page_bytes, &fault));
	ck_assert_int_eq(access(new_path, F_OK), 0);
	arena_file_discard(path);
	ck_assert_int_ne(access(new_path, F_OK), 0);
}
END_TEST

/* Descriptors and mappings of another opening count, in whatever process; copies of ours do not. */
START_TEST(test_sole)
{
	int old = make(), own = arena_file_open(path, NULL), ready[2];
	void *mapping = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED, own, 0);
	pid_t child;
	char byte;

	ck_assert_ptr_ne(mapping, MAP_FAILED);
	ck_assert_int_eq(arena_file_sole(own), 0);
	ck_assert_int_eq(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		mapping = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED, old, 0);
		close(old);
		if (mapping != MAP_FAILED && write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	close(old);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(arena_file_sole(own), 0);
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert_int_eq(arena_file_sole(own), 1);
	child = fork();
	if (child == 0)
		_exit(arena_file_sole(dup(own)));
	ck_assert_int_eq(waitpid(child, &ready[0], 0), child);
	ck_assert_int_eq(WEXITSTATUS(ready[0]), 1);
	close(own);
	ck_assert_int_lt(arena_file_sole(own), 0);
}
END_TEST

START_TEST(test_files_of_others)
{
	struct fault fault;
	int fd = make();

	ck_assert_int_eq(fchmod(fd, 0604), 0);
	ck_assert_int_eq(arena_file_open(path, &fault), -EPERM);
	ck_assert_ptr_nonnull(strstr(fault.text, "0604"));
	ck_assert_int_eq(fchmod(fd, 0600), 0);
	ck_assert_int_eq(pwrite(fd, "x", 1, 0), 1);
	ck_assert_int_eq(arena_file_open(path, &fault), -EEXIST);
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	ck_assert_int_eq(arena_file_open(path, &fault), -EEXIST);
	ck_assert_int_eq(rename(path, new_path), 0);
	ck_assert_int_eq(symlink(new_path, path), 0);
	ck_assert_int_eq(arena_file_open(path, &fault), -ELOOP);
	close(fd);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("arena_file");

	tcase_add_checked_fixture(tests, make_folder, remove_folder);
	tcase_add_test(tests, test_make_and_open);
	tcase_add_test(tests, test_not_made);
	tcase_add_test(tests, test_sole);
	tcase_add_test(tests, test_files_of_others);
	return suite_run("arena_file", tests);
}
