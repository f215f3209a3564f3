/* SPDX-License-Identifier: MIT */
/*
 * Calls end although somebody spoils each of their attempts. The caller's own memory tells when an attempt is under way: of two pages of
 * its buffer one is always out of bounds, so whoever copies to or from it comes by a handler, where the spoiler works.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "tests/unit/support/writes.h"

#define SIZE (UINT64_C(48) << 10)
#define PAGE UINT64_C(4096)

static struct world world;
static struct client other;
static unsigned char *buffer;
static void (*spoil)(void);
static uint32_t spoiled;

static unsigned char *page(unsigned number)
{
	return buffer + PAGE * (number ? 8 : 2);
}

static void trapped(int number, siginfo_t *info, void *context)
{
	unsigned char *at = info->si_addr;
	unsigned which = at >= page(1) && at < page(1) + PAGE;

	(void)number, (void)context;
	if (!which && (at < page(0) || at >= page(0) + PAGE))
		abort();
	spoil();
	spoiled++;
	if (mprotect(page(which), PAGE, PROT_READ | PROT_WRITE) || mprotect(page(!which), PAGE, PROT_NONE))
		abort();
}

static void start(void (*spoiler)(void))
{
	struct sigaction action = { .sa_sigaction = trapped, .sa_flags = SA_SIGINFO };

	world_start(&world, 4 * MIB);
	client_start(&world, &other);
	buffer = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(buffer != MAP_FAILED);
	spoil = spoiler;
	spoiled = 0;
	ck_assert_int_eq(sigaction(SIGSEGV, &action, NULL), 0);
}

static void arm(void)
{
	ck_assert_int_eq(mprotect(page(0), PAGE, PROT_NONE), 0);
}

static void stop(void)
{
	signal(SIGSEGV, SIG_DFL);
	munmap(buffer, SIZE);
	client_stop(&other);
	world_stop(&world);
}

static struct write_request large(enum write_operation operation)
{
	return (struct write_request){
		.operation = operation, .key = "key", .key_size = 3, .value = buffer, .value_size = SIZE
	};
}

static void revoke_self(void)
{
	store_relaxed(&world.self.thread.reader.line->epoch, EPOCH_REVOKED);
}

START_TEST(test_read_that_is_always_revoked)
{
	static const char short_key[] = "a key of 20 letters.";
	struct write_request request = large(WRITE_SET);
	struct larder_mget_entry entry = { .key = "key", .key_size = 3, .buffer_size = SIZE };
	struct larder_mget_entry entries[2];

	start(revoke_self);
	request.value = buffer;
	ck_assert_int_eq(write_one(&world, &request, NULL), 0);
	arm();
	ck_assert_int_eq(cache_get(&world.self.thread, "key", 3, buffer, SIZE, NULL), LARDER_MISS);
	ck_assert_uint_ge(spoiled, 10000);
	/* A key that get has a way of its own for. */
	request.key = short_key;
	request.key_size = sizeof short_key - 1;
	ck_assert_int_eq(mprotect(buffer, SIZE, PROT_READ | PROT_WRITE), 0);
	ck_assert_int_eq(write_one(&world, &request, NULL), 0);
	arm();
	ck_assert_int_eq(cache_get(&world.self.thread, short_key, sizeof short_key - 1, buffer, SIZE, NULL),
	                 LARDER_MISS);
	entry.buffer = buffer;
	entries[0] = entries[1] = entry;
	entries[1].key_size = 0;
	cache_mget(&world.self.thread, entries, 2);
	ck_assert_int_eq(entries[0].result, LARDER_MISS);
	ck_assert_int_eq(entries[1].result, -EINVAL);
	/* The value was there all the time. */
	ck_assert_int_eq(mprotect(buffer, SIZE, PROT_READ | PROT_WRITE), 0);
	ck_assert_int_eq(cache_get(&world.self.thread, "key", 3, buffer, SIZE, NULL), LARDER_OK);
	stop();
}
END_TEST

static void set_small(void)
{
	struct write_request request = {
		.operation = WRITE_SET, .key = "key", .key_size = 3, .value = "x", .value_size = 1
	};
	struct write_result result;

	if (cache_write(&other.thread, &request, &result))
		abort();
}

START_TEST(test_write_that_is_always_late)
{
	struct write_request request = large(WRITE_SET);
	char text[VALUE_TEXT];

	start(set_small);
	set_small();
	request.value = buffer;
	arm();
	ck_assert_int_eq(write_one(&world, &request, NULL), -EAGAIN);
	ck_assert_uint_ge(spoiled, 1000);
	ck_assert_str_eq(get(&world, "key", text, NULL), "x");
	ck_assert_int_eq(mprotect(buffer, SIZE, PROT_READ | PROT_WRITE), 0);
	ck_assert_int_eq(write_one(&world, &request, NULL), 0);
	stop();
}
END_TEST

START_TEST(test_write_that_is_always_revoked)
{
	struct write_request request = large(WRITE_ADD);

	start(revoke_self);
	request.value = buffer;
	arm();
	ck_assert_int_eq(write_one(&world, &request, NULL), -EAGAIN);
	ck_assert_uint_ge(spoiled, 1000);
	ck_assert_int_eq(cache_get(&world.self.thread, "key", 3, NULL, 0, NULL), LARDER_MISS);
	stop();
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("bounded");

	tcase_add_test(tests, test_read_that_is_always_revoked);
	tcase_add_test(tests, test_write_that_is_always_late);
	tcase_add_test(tests, test_write_that_is_always_revoked);
	return suite_run("bounded", tests);
}
