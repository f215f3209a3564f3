/* SPDX-License-Identifier: MIT */
#include "arena/control.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/suite.h"

START_TEST(test_new_page_is_empty_and_sealed)
{
	struct control control;
	struct stat file;
	int fd = control_create(100, 42);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &file), 0);
	ck_assert_uint_eq((uint64_t)file.st_size, control_bytes(100));
	ck_assert_int_eq(ftruncate(fd, 0), -1);
	ck_assert_int_eq(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	ck_assert_int_eq(control_map(fd, 100, false, &control, NULL), 0);
	ck_assert_uint_eq(control.page->client_id, 42);
	ck_assert_uint_eq(control.page->segment_count, 100);
	ck_assert_uint_eq(load_relaxed(&control.page->fenced), 0);
	ck_assert_uint_eq(load_relaxed(&control.page->thread_high), 0);
	for (int i = 0; i < THREADS_MAX; i++)
		ck_assert(control.page->threads[i].epoch == 0 && control.page->threads[i].write_pin == 0 &&
		          control.page->threads[i].view_pin == 0);
	for (uint32_t shard = 0; shard < PIN_SHARDS; shard++)
		for (uint32_t segment = 0; segment < 100; segment++)
			ck_assert(load_relaxed(control_pin(&control, shard, segment)) == 0);
	control_unmap(&control);
	ck_assert_ptr_null(control.page);
	control_unmap(&control);
	close(fd);
}
END_TEST

START_TEST(test_each_pin_has_its_own_word_inside_the_page)
{
	static const uint32_t counts[] = { 1, 16, 1000, 262144 };

	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		struct control control;
		int fd = control_create(counts[i], 1);
		unsigned char *end;

		ck_assert_int_eq(control_map(fd, counts[i], false, &control, NULL), 0);
		end = (unsigned char *)control.page + control_bytes(counts[i]);
		ck_assert((void *)control_pin(&control, 0, 0) >= (void *)(control.page + 1));
		ck_assert_ptr_eq(control_pin(&control, 0, counts[i] - 1) + 1, control_pin(&control, 1, 0));
		ck_assert((void *)(control_pin(&control, PIN_SHARDS - 1, counts[i] - 1) + 1) <= (void *)end);
		ck_assert_uint_eq(control_bytes(counts[i]) % 4096, 0);
		control_unmap(&control);
		close(fd);
	}
}
END_TEST

START_TEST(test_both_sides_see_one_page)
{
	struct control client, keeper;
	int fd = control_create(16, 1);

	ck_assert_int_eq(control_map(fd, 16, true, &client, NULL), 0);
	ck_assert_int_eq(control_map(fd, 16, false, &keeper, NULL), 0);
	close(fd);
	store_relaxed(&client.page->threads[3].epoch, 9);
	ck_assert_uint_eq(load_relaxed(&keeper.page->threads[3].epoch), 9);
	store_relaxed(control_pin(&client, 7, 15), 2);
	ck_assert_uint_eq(load_relaxed(control_pin(&keeper, 7, 15)), 2);
	control_unmap(&client);
	control_unmap(&keeper);
}
END_TEST

static bool child_sees(const struct control *control)
{
	unsigned char here;
	int status;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0)
		_exit(mincore(control->page, 4096, &here) == 0); /* -ENOMEM: nothing is mapped there */
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

START_TEST(test_private_page_is_not_inherited)
{
	struct control private_one, shared_one;
	int fd = control_create(16, 1);

	ck_assert_int_eq(control_map(fd, 16, true, &private_one, NULL), 0);
	ck_assert_int_eq(control_map(fd, 16, false, &shared_one, NULL), 0);
	ck_assert(!child_sees(&private_one));
	ck_assert(child_sees(&shared_one));
	control_unmap(&private_one);
	control_unmap(&shared_one);
	close(fd);
}
END_TEST

static void expect_refused(int fd, uint32_t segments)
{
	struct fault fault = { "" };
	struct control control;

	ck_assert_int_eq(control_map(fd, segments, true, &control, &fault), -EPROTO);
	ck_assert_ptr_nonnull(strstr(fault.text, "control page"));
	ck_assert_int_eq(control_map(fd, segments, true, &control, NULL), -EPROTO);
}

START_TEST(test_page_of_another_arena_is_refused)
{
	int fd = control_create(100, 1);

	expect_refused(fd, 2000);
	expect_refused(fd, 1);
	/* whose page has the same size, since that is rounded up */
	ck_assert_uint_eq(control_bytes(100), control_bytes(101));
	expect_refused(fd, 101);
	close(fd);
}
END_TEST

START_TEST(test_each_damage_is_refused)
{
	static const size_t fields[] = {
		offsetof(struct control_page, magic),
		offsetof(struct control_page, layout_stamp),
		offsetof(struct control_page, segment_count),
	};

	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		int fd = control_create(16, 1);
		uint64_t word;

		ck_assert_int_eq(pread(fd, &word, sizeof word, (off_t)fields[i]), sizeof word);
		word++;
		ck_assert_int_eq(pwrite(fd, &word, sizeof word, (off_t)fields[i]), sizeof word);
		expect_refused(fd, 16);
		close(fd);
	}
	expect_refused(-1, 16);
}
END_TEST

/* The keeper made the page; what its client wrote into the head since must not keep the next keeper from going on. */
START_TEST(test_page_that_can_shrink_is_refused)
{
	struct fault fault = { "" };
	struct control control, copy;
	int sealed = control_create(100, 1), loose = memfd_create("loose", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_eq(control_map(sealed, 100, true, &control, NULL), 0);
	ck_assert_int_eq(write(loose, control.page, control.bytes), (ssize_t)control.bytes);
	ck_assert_int_eq(control_map(loose, 100, true, &copy, &fault), -EPROTO);
	ck_assert_ptr_nonnull(strstr(fault.text, "sealed"));
	ck_assert_int_eq(fcntl(loose, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	ck_assert_int_eq(control_map(loose, 100, true, &copy, &fault), 0);
	control_unmap(&copy);
	control_unmap(&control);
	close(sealed);
	close(loose);
}
END_TEST

START_TEST(test_keeper_relies_on_the_size_alone)
{
	int fd = control_create(16, 1);
	uint64_t rubbish[6];
	struct control control;

	memset(rubbish, 0xff, sizeof rubbish);
	ck_assert_int_eq(pwrite(fd, rubbish, sizeof rubbish, 0), sizeof rubbish);
	expect_refused(fd, 16);
	ck_assert_int_eq(control_map(fd, 2000, false, &control, NULL), -EPROTO);
	ck_assert_int_eq(control_map(fd, 16, false, &control, NULL), 0);
	ck_assert_uint_eq(control.segment_count, 16);
	control_unmap(&control);
	close(fd);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("control");

	tcase_add_test(tests, test_new_page_is_empty_and_sealed);
	tcase_add_test(tests, test_each_pin_has_its_own_word_inside_the_page);
	tcase_add_test(tests, test_both_sides_see_one_page);
	tcase_add_test(tests, test_private_page_is_not_inherited);
	tcase_add_test(tests, test_page_of_another_arena_is_refused);
	tcase_add_test(tests, test_each_damage_is_refused);
	tcase_add_test(tests, test_page_that_can_shrink_is_refused);
	tcase_add_test(tests, test_keeper_relies_on_the_size_alone);
	return suite_run("control", tests);
}
