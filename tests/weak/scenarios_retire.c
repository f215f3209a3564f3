/* SPDX-License-Identifier: MIT */
/*
 * An index segment is replaced and its memory used again while thread 0 is about to change one of its buckets. Thread 1 is the
 * keeper, who waits for nobody longer than it must. The next owner of the memory writes there just what was in the bucket before, so
 * that a late compare-and-swap would succeed, and be seen in the end.
 */
#include "cache/heat.h"
#include "daemon/reclaim.h"
#include "index/split.h"
#include "tests/weak/stage.h"

#define HOME 5 /* of all keys */
#define KEYS 3
#define ROUNDS 4
#define LINE_WORDS (sizeof(struct bucket) / sizeof(uint64_t))

static uint32_t victim; /* the segment that is used again */
static uint64_t before[LINE_WORDS];
static bool reused;

static atomic_u64 *word_of(uint32_t segment, unsigned i)
{
	struct bucket *bucket = &index_buckets(stage_arena, segment)[HOME];

	return i == 0 ? &bucket->control : &bucket->slots[i - 1];
}

static void remember(uint32_t segment)
{
	victim = segment;
	for (unsigned i = 0; i < LINE_WORDS; i++)
		before[i] = load_relaxed(word_of(segment, i));
}

static void some_keys(enum stage_mode mode)
{
	stage_open(mode, 2);
	for (unsigned i = 0; i < KEYS; i++)
		stage_set(0, stage_key(i), 'a');
	weak_restore(&reused, sizeof reused);
	remember(load_relaxed(&stage_arena->directory[0]));
}

static void plain(void)
{
	some_keys(STAGE_PLAIN);
	stage_share();
}

static void fenced(void)
{
	some_keys(STAGE_FENCED);
	stage_share();
}

/* There is a barrier before the sections are looked at, and one after the section of thread 0 was revoked. */
static void plain_revoked_without_barrier(void)
{
	plain();
	weak_fail_barrier(2);
}

/* The bucket is frozen, and thread 0 will help to fill the child. It is the child's memory that is used again. */
static void frozen(enum stage_mode mode)
{
	atomic_u64 *control;
	uint32_t parent;

	some_keys(mode);
	parent = victim;
	control = word_of(parent, 0);
	expect(split_begin_rebuild(stage_arena, parent));
	store_relaxed(control, load_relaxed(control) | CONTROL_FROZEN);
	remember((uint32_t)load_relaxed(&stage_arena->table[parent].children));
	stage_share();
}

static void plain_frozen(void)
{
	frozen(STAGE_PLAIN);
}

static void fenced_frozen(void)
{
	frozen(STAGE_FENCED);
}

static uint32_t lower;

/* The same of a merge: thread 0 comes by the lower parent, and has to freeze the bucket of the upper one, whose memory is used again. */
static void merging(enum stage_mode mode)
{
	uint32_t whole, upper;
	uint64_t children;

	some_keys(mode);
	whole = victim;
	expect(split_begin(stage_arena, whole));
	for (uint32_t home = 0; home < stage_arena->homes; home++)
		expect(split_bucket(stage_arena, whole, home));
	expect(split_finish(stage_arena, whole));
	children = load_relaxed(&stage_arena->table[whole].children);
	segment_recycle(stage_arena, whole);
	lower = (uint32_t)children;
	upper = (uint32_t)(children >> 32);
	expect(split_begin_merge(stage_arena, lower, upper));
	store_relaxed(word_of(lower, 0), load_relaxed(word_of(lower, 0)) | CONTROL_FROZEN);
	remember(upper);
	stage_share();
}

static void plain_merging(void)
{
	merging(STAGE_PLAIN);
}

static void fenced_merging(void)
{
	merging(STAGE_FENCED);
}

/* As somebody's value. */
static void use_again(void)
{
	memcpy(word_of(victim, 0), before, sizeof before);
	reused = true;
}

/* Waits until the victim is free, but not for ever. */
static void recycle(void)
{
	struct reclaim *reclaim = reclaim_create(&stage_threads[1], 0);

	weak_expect(reclaim != NULL);
	weak_expect(reclaim_add_client(reclaim, &stage_world.self.cache.control) == 0);
	store_relaxed(&stage_arena->header->free_low_mark, 0);
	for (int round = 0; round < ROUNDS; round++) {
		reclaim_run(reclaim);
		if (segment_load(stage_arena, victim).state == SEGMENT_FREE) {
			use_again();
			break;
		}
		weak_pause();
	}
	reclaim_destroy(reclaim);
}

static void rebuild(uint32_t segment)
{
	weak_expect(load_relaxed(&stage_arena->table[segment].children) || split_begin_rebuild(stage_arena, segment));
	weak_expect(split_bucket(stage_arena, segment, HOME));
	weak_expect(split_finish(stage_arena, segment));
}

static void replace_victim(void)
{
	rebuild(victim);
	recycle();
}

/* Finishes what was begun, and replaces the child in turn. */
static void replace_child(void)
{
	rebuild(load_relaxed(&stage_arena->directory[0]));
	weak_expect(load_relaxed(&stage_arena->directory[0]) == victim);
	replace_victim();
}

/* With nothing around it: a pin, and what it is for. */
static void pin_and_change_after(void (*wait)(void))
{
	struct epoch_reader *reader = &stage_threads[0].reader;
	uint64_t control = before[0];
	uint32_t found;

	epoch_enter(reader);
	found = load_acquire(&stage_arena->directory[0]);
	if (wait)
		wait();
	if (found == victim && epoch_pin_index(reader, INDEX_PIN_SEGMENT, victim)) {
		weak_pause();
		cas_relaxed(word_of(victim, 0), &control, control ^ CONTROL_FROZEN);
	}
	epoch_unpin_index(reader, INDEX_PIN_SEGMENT);
	epoch_exit(reader);
}

static void pin_and_change(void)
{
	pin_and_change_after(NULL);
}

static void pause_pin_and_change(void)
{
	pin_and_change_after(weak_pause);
}

static void replace_both(void)
{
	weak_expect(split_bucket(stage_arena, lower, HOME));
	weak_expect(split_finish(stage_arena, lower));
	recycle();
}

static void set_first(void)
{
	stage_set(0, stage_key(0), 'b');
}

/* The same, but not by the short way of a set (cache/replace.c), which helps nobody. */
static void replace_first(void)
{
	stage_replace(0, stage_key(0), 'b');
}

static void insert(void)
{
	stage_set(0, stage_key(KEYS), 'b');
}

static void delete (void)
{
	weak_expect(stage_delete(0, stage_key(0)));
}

static void get(void)
{
	weak_expect(stage_get(0, stage_key(0)) == 'a');
	heat_flush(&stage_threads[0]);
}

static void expect_letters(const char *letters)
{
	if (reused)
		for (unsigned i = 0; i < LINE_WORDS; i++)
			weak_expect(load_relaxed(word_of(victim, i)) == before[i]);
	for (unsigned i = 0; letters[i]; i++)
		weak_expect(stage_get(1, stage_key(i)) == (letters[i] == '-' ? 0 : letters[i]));
}

static void check_same_memory(void)
{
	expect_letters("");
}

static void check_set(void)
{
	expect_letters("baa");
}

static void check_inserted(void)
{
	expect_letters("aaab");
}

static void check_deleted(void)
{
	expect_letters("-aa");
}

static void check_same(void)
{
	expect_letters("aaa");
}

const struct weak_scenario weak_scenarios_retire[] = {
	{ "retire-set-plain", 2, plain, { set_first, replace_victim }, check_set },
	{ "retire-set-fenced", 2, fenced, { set_first, replace_victim }, check_set },
	{ "retire-insert-plain", 2, plain, { insert, replace_victim }, check_inserted },
	{ "retire-insert-fenced", 2, fenced, { insert, replace_victim }, check_inserted },
	{ "retire-delete-plain", 2, plain, { delete, replace_victim }, check_deleted },
	{ "retire-heat-plain", 2, plain, { get, replace_victim }, check_same },
	{ "retire-heat-fenced", 2, fenced, { get, replace_victim }, check_same },
	{ "retire-pin-plain", 2, plain, { pin_and_change, replace_victim }, check_same_memory },
	{ "retire-pin-fenced", 2, fenced, { pin_and_change, replace_victim }, check_same_memory },
	{ "retire-pin-failing",
	  2,
	  plain_revoked_without_barrier,
	  { pause_pin_and_change, replace_victim },
	  check_same_memory },
	{ "retire-help-plain", 2, plain_frozen, { replace_first, replace_child }, check_set },
	{ "retire-help-fenced", 2, fenced_frozen, { replace_first, replace_child }, check_set },
	{ "retire-merge-plain", 2, plain_merging, { replace_first, replace_both }, check_set },
	{ "retire-merge-fenced", 2, fenced_merging, { replace_first, replace_both }, check_set },
	{ 0 },
};
