/* SPDX-License-Identifier: MIT */
/*
 * The pin of an index segment is taken away before it is set for another one, so that what was changed in the first is complete when the keeper
 * sees that. Pages that cannot be accessed tell when a writer comes by: it helps an insert whose object is in the first, and the
 * bucket is moved under it to where the second is.
 */
#include <signal.h>
#include <sys/mman.h>

#include "index/split.h"
#include "tests/unit/support/objects.h"

#define PAGE UINT64_C(4096)
#define HOME 42u

static struct world world;
static uint32_t parent, child;
static unsigned char *pages[2];
static uint64_t pinned[2]; /* at the first access to each */
static uint32_t passages;

static unsigned char *page_of(const void *address)
{
	return world.arena->base + ((uintptr_t)address - (uintptr_t)world.arena->base) / PAGE * PAGE;
}

static void close_page(const void *address)
{
	pages[passages] = page_of(address);
	if (mprotect(pages[passages], PAGE, PROT_NONE))
		abort();
}

/* As the keeper would, meanwhile. */
static void move_bucket(void)
{
	if (!split_begin_rebuild(world.arena, parent) || !split_bucket(world.arena, parent, HOME))
		abort();
	child = (uint32_t)load_relaxed(&world.arena->table[parent].children);
}

static void trapped(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	if (passages > 1 || page_of(info->si_addr) != pages[passages] ||
	    mprotect(pages[passages], PAGE, PROT_READ | PROT_WRITE))
		abort();
	pinned[passages] = load_relaxed(&world.self.thread.reader.line->index_pins[INDEX_PIN_SEGMENT]);
	if (passages++ > 0)
		return;
	move_bucket();
	close_page(&index_buckets(world.arena, child)[HOME]);
}

START_TEST(test_helped_in_one_and_found_in_another)
{
	struct sigaction action = { .sa_sigaction = trapped, .sa_flags = SA_SIGINFO };
	struct epoch_reader *reader = &world.self.thread.reader;
	struct index_chain chain;
	struct bucket *bucket;
	struct made made;
	struct key keys[2];
	uint32_t next = 0;

	world_start(&world, MIB);
	keys_of_home(world.arena, HOME, 2, &next, keys);
	made = object_for(&world.self.thread, &keys[0], 5);
	bucket = index_home(world.arena, keys[0].hash, &parent);
	/* What the inserter of the first key leaves when it is killed. */
	store_release(&bucket->control, (UINT64_C(2) << CONTROL_SEQUENCE_SHIFT) | made.offset / OBJECT_UNIT);
	ck_assert_int_eq(sigaction(SIGSEGV, &action, NULL), 0);
	close_page(world.arena->base + made.offset);
	epoch_enter(reader);
	ck_assert(index_find_pinned(reader, world.arena, keys[1].hash, keys[1].text, keys[1].size, &chain));
	signal(SIGSEGV, SIG_DFL);
	ck_assert_uint_eq(passages, 2);
	ck_assert_uint_eq(chain.segment, child);
	ck_assert_uint_eq(pinned[0], parent + 1);
	ck_assert_uint_eq(pinned[1], 0);
	ck_assert_uint_eq(load_relaxed(&reader->line->index_pins[INDEX_PIN_SEGMENT]), child + 1);
	epoch_unpin_index(reader, INDEX_PIN_SEGMENT);
	epoch_exit(reader);
	expect_equal(lookup_version(world.arena, &keys[0]), 5);
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("index_pin");

	tcase_add_test(tests, test_helped_in_one_and_found_in_another);
	return suite_run("index_pin", tests);
}
