/* SPDX-License-Identifier: MIT */
/*
 * What a verification reads in a section that is revoked it says nothing of. A page that cannot be accessed tells when it comes by: first one
 * with an object, then one with buckets, which it reads before it comes to that object again.
 */
#include <signal.h>
#include <sys/mman.h>

#include "tests/unit/support/objects.h"
#include "tests/unit/support/writes.h"

#define PAGE UINT64_C(4096)
#define HOME 200u /* beyond the first page of its segment */

static struct world world;
static struct object *object;
static uint64_t head; /* of the object, as it should be */
static unsigned char *pages[2];
static uint32_t passages;

static void close_page(unsigned number)
{
	if (mprotect(pages[number], PAGE, PROT_NONE))
		abort();
}

static void trapped(int number, siginfo_t *info, void *context)
{
	unsigned char *at = info->si_addr;
	unsigned which = passages++;

	(void)number, (void)context;
	if (which > 1 || at < pages[which] || at >= pages[which] + PAGE)
		abort();
	if (mprotect(pages[which], PAGE, PROT_READ | PROT_WRITE))
		abort();
	if (which == 0) {
		/* The memory is somebody else's now. */
		store_relaxed(&world.self.thread.reader.line->epoch, EPOCH_REVOKED);
		store_relaxed(&object->head, UINT64_MAX);
		close_page(1);
	} else {
		store_relaxed(&object->head, head);
	}
}

static void listen(void *context, const char *sentence)
{
	(void)context;
	ck_abort_msg("it says: %s", sentence);
}

START_TEST(test_revoked_in_an_object)
{
	struct sigaction action = { .sa_sigaction = trapped, .sa_flags = SA_SIGINFO };
	struct cache_verify_counts counts;
	struct index_chain chain;
	struct key key;
	uint32_t next = 0;

	world_start(&world, MIB);
	keys_of_home(world.arena, HOME, 1, &next, &key);
	put(&world, key.text, "value");
	ck_assert(find_key(world.arena, &key, &chain));
	object = (struct object *)(void *)(world.arena->base + chain.object.offset);
	head = load_relaxed(&object->head);
	pages[0] = world.arena->base + chain.object.offset / PAGE * PAGE;
	pages[1] = segment_base(world.arena, chain.segment);
	ck_assert_int_eq(sigaction(SIGSEGV, &action, NULL), 0);
	close_page(0);
	ck_assert_int_eq(cache_verify(&world.self.thread, listen, NULL, &counts), 0);
	signal(SIGSEGV, SIG_DFL);
	ck_assert_uint_eq(passages, 2);
	ck_assert_uint_eq(counts.faults, 0);
	ck_assert_uint_eq(counts.entries, 1);
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("verify_revoked");

	tcase_add_test(tests, test_revoked_in_an_object);
	return suite_run("verify_revoked", tests);
}
