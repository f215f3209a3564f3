/* SPDX-License-Identifier: MIT */
/* Readers and writers of one bucket. */
#include "cache/heat.h"
#include "index/split.h"
#include "index/walk.h"
#include "tests/weak/stage.h"

/* ---- one key: is it there, and whole? ----------------------------------------------------------------------------------- */

static void one_key(void)
{
	stage_open(STAGE_FENCED, 3);
	stage_set(0, stage_key(0), 'a');
	stage_share();
}

static void no_key(void)
{
	stage_open(STAGE_FENCED, 3);
	stage_share();
}

static void get_always(void)
{
	char letter = stage_get(0, stage_key(0));

	weak_expect(letter == 'a' || letter == 'b');
}

static void get_perhaps(void)
{
	char letter = stage_get(0, stage_key(0));

	heat_flush(&stage_threads[0]);
	weak_expect(letter == 0 || letter == 'b' || letter == 'c');
}

static void set_b(void)
{
	stage_set(1, stage_key(0), 'b');
}

static void set_c(void)
{
	stage_set(2, stage_key(0), 'c');
}

static bool deleted;

static void delete (void)
{
	deleted = stage_delete(2, stage_key(0));
}

/* How often a key is there. */
static uint32_t copies(unsigned number)
{
	struct key key = { .size = STAGE_KEY_BYTES };

	memcpy(key.text, stage_key(number), STAGE_KEY_BYTES);
	key.hash = hash_key(stage_arena->secret, key.text, key.size);
	return count_key(stage_arena, &key);
}

/* Whatever was first, the last one's is there, and once. */
static void check_once(void)
{
	weak_expect(copies(0) == 1);
}

static void check_deleted(void)
{
	weak_expect((stage_get(0, stage_key(0)) == 0) == deleted);
}

/* ---- a full bucket ---------------------------------------------------------------------------------------------------- */

#define FULL 7

static void full_bucket(void)
{
	stage_open(STAGE_FENCED, 3);
	for (unsigned i = 0; i < FULL; i++)
		stage_set(0, stage_key(i), 'a');
	stage_share();
}

/* The one that moves to the overflow bucket. */
static void get_last(void)
{
	char letter = stage_get(0, stage_key(FULL - 1));

	weak_expect(letter == 'a' || letter == 'b');
}

static void get_eighth(void)
{
	char letter = stage_get(0, stage_key(FULL));

	weak_expect(letter == 'b' || letter == 0);
}

static void set_last(void)
{
	stage_set(2, stage_key(FULL - 1), 'b');
}

static void delete_last(void)
{
	stage_delete(2, stage_key(FULL - 1));
}

static void set_eighth(void)
{
	stage_set(1, stage_key(FULL), 'b');
}

static void set_ninth(void)
{
	stage_set(2, stage_key(FULL + 1), 'c');
}

/* The keys from 0 on have these letters, each once; '-': it is not there. */
static void expect_letters(const char *letters)
{
	for (unsigned i = 0; letters[i]; i++) {
		weak_expect(copies(i) == (letters[i] != '-'));
		weak_expect(stage_get(0, stage_key(i)) == (letters[i] == '-' ? 0 : letters[i]));
	}
}

static void check_nine(void)
{
	expect_letters("aaaaaaabc");
}

static void check_replaced(void)
{
	expect_letters("aaaaaabb");
}

static void check_removed(void)
{
	expect_letters("aaaaaa-b");
}

/* ---- splits ------------------------------------------------------------------------------------------------------------ */

#define SPLIT_KEYS 4
#define HOME 5 /* of all keys */

static uint32_t parent;

static void to_be_split(void)
{
	uint64_t hash;

	stage_open(STAGE_FENCED, 3);
	for (unsigned i = 0; i < SPLIT_KEYS; i++)
		stage_set(0, stage_key(i), 'a');
	hash = hash_key(stage_arena->secret, stage_key(0), STAGE_KEY_BYTES);
	parent = index_segment(stage_arena, hash);
}

static void being_split(void)
{
	to_be_split();
	expect(split_begin(stage_arena, parent));
	stage_share();
}

/* Of two segments, with two of the keys each; the sibling comes into it by the merge alone. */
static uint32_t sibling;

static void prepare_siblings(void)
{
	uint64_t children;

	to_be_split();
	expect(split_begin(stage_arena, parent));
	for (uint32_t home = 0; home < stage_arena->homes; home++)
		expect(split_bucket(stage_arena, parent, home));
	expect(split_finish(stage_arena, parent));
	children = load_relaxed(&stage_arena->table[parent].children);
	parent = (uint32_t)children;
	sibling = (uint32_t)(children >> 32);
}

static void being_merged(void)
{
	prepare_siblings();
	expect(split_begin_merge(stage_arena, parent, sibling));
	stage_share();
}

static void not_yet_merged(void)
{
	prepare_siblings();
	stage_share();
}

static void begin_merge(void)
{
	weak_expect(split_begin_merge(stage_arena, parent, sibling));
}

/* As a keeper leaves it that dies when it has told the lower one only. */
static void half_merged(void)
{
	prepare_siblings();
	expect(split_begin_merge(stage_arena, parent, sibling));
	store_relaxed(&stage_arena->table[sibling].children, 0);
	stage_share();
}

static void leave_merge(void)
{
	split_leave_merge(stage_arena, parent);
}

static void not_yet_split(void)
{
	to_be_split();
	stage_share();
}

static void split_it(void)
{
	weak_expect(split_bucket(stage_arena, parent, HOME));
}

static void split_all(void)
{
	weak_expect(split_begin(stage_arena, parent));
	weak_expect(split_bucket(stage_arena, parent, HOME));
	weak_expect(split_finish(stage_arena, parent));
}

static void get_both(void)
{
	char letter = stage_get(0, stage_key(0));

	weak_expect(letter == 'a' || letter == 'c');
	weak_expect(stage_get(0, stage_key(1)) == 'a');
}

static void walk_home(void)
{
	struct index_walk walk = { .home = HOME };
	unsigned found = 0;
	struct index_chain chain;
	struct object_view object;

	epoch_enter(&stage_threads[0].reader);
	weak_expect(index_walk_next(stage_arena, &walk, &chain));
	for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
		if (!slot_is_object(chain.words[i]))
			continue;
		weak_expect(object_parse(stage_arena, slot_offset(chain.words[i]), &object));
		found += memcmp(object.key, stage_key(0), STAGE_KEY_BYTES) == 0 ||
		         memcmp(object.key, stage_key(2), STAGE_KEY_BYTES) == 0;
	}
	weak_expect(found == 2); /* the keys of the first child, wherever they are */
	epoch_exit(&stage_threads[0].reader);
}

static void insert_fifth(void)
{
	stage_set(2, stage_key(SPLIT_KEYS), 'b');
}

static void help(void)
{
	weak_expect(split_bucket(stage_arena, parent, HOME));
}

static void help_sibling(void)
{
	weak_expect(split_bucket(stage_arena, sibling, HOME));
}

static void check_five(void)
{
	expect_letters("aaaab");
}

static void check_first(void)
{
	expect_letters("caaa");
}

static void check_four(void)
{
	expect_letters("aaaa");
}

static void verify_it(void)
{
	weak_expect(cache_verify(&stage_threads[0], NULL, NULL, NULL) == 0);
}

const struct weak_scenario weak_scenarios_index[] = {
	{ "get-set", 2, one_key, { get_always, set_b }, check_once },
	{ "get-insert", 2, no_key, { get_perhaps, set_b }, check_once },
	{ "get-insert-insert", 2, no_key, { get_perhaps, set_b, set_c }, check_once },
	{ "get-insert-delete", 2, no_key, { get_perhaps, set_b, delete }, check_deleted },
	{ "extend-get-last", 2, full_bucket, { get_last, set_eighth, set_last }, check_replaced },
	{ "extend-get-new", 2, full_bucket, { get_eighth, set_eighth }, NULL },
	{ "extend-twice", 2, full_bucket, { get_last, set_eighth, set_ninth }, check_nine },
	{ "extend-delete", 2, full_bucket, { get_eighth, set_eighth, delete_last }, check_removed },
	{ "split-get", 2, being_split, { get_both, split_it }, check_four },
	{ "split-insert", 2, being_split, { get_both, split_it, insert_fifth }, check_five },
	{ "split-replace", 2, being_split, { get_both, split_it, set_c }, check_first },
	{ "split-replace-help", 2, being_split, { help, split_it, set_c }, check_first },
	{ "split-help", 2, being_split, { get_both, split_it, help }, check_four },
	{ "split-walk", 2, being_split, { walk_home, split_it, insert_fifth }, check_five },
	{ "split-all", 1, not_yet_split, { get_both, split_all, insert_fifth }, check_five },
	{ "merge-get", 2, being_merged, { get_both, split_it }, check_four },
	{ "merge-insert", 2, being_merged, { get_both, help_sibling, insert_fifth }, check_five },
	{ "merge-replace-help", 2, being_merged, { help_sibling, split_it, set_c }, check_first },
	{ "merge-help", 2, being_merged, { get_both, split_it, help_sibling }, check_four },
	{ "merge-walk", 2, being_merged, { walk_home, help_sibling, insert_fifth }, check_five },
	{ "verify-merge", 1, not_yet_merged, { verify_it, begin_merge }, check_four },
	{ "verify-leave", 1, half_merged, { verify_it, leave_merge }, check_four },
	{ "verify-insert", 1, one_key, { verify_it, set_b, insert_fifth }, NULL },
	{ 0 },
};
