/* SPDX-License-Identifier: MIT */
/* Steps of operations, with nothing around them: what goes wrong in them only where more deviations meet than whole operations allow. */
#include "index/split.h"
#include "object/walk.h"
#include "tests/weak/stage.h"

#define FULL BUCKET_SLOTS

static uint32_t segment, home;
static struct key key[FULL + 2];
static struct made made[FULL + 2];

/* So many keys of one bucket, and for all of them objects. */
static void prepare(uint32_t keys)
{
	uint32_t next = 0;

	stage_open(STAGE_FENCED, 3);
	home = 5;
	keys_of_home(stage_arena, home, FULL + 2, &next, key);
	for (uint32_t i = 0; i < keys; i++)
		expect(put_key(&stage_threads[0], &key[i], 1));
	for (uint32_t i = 0; i < FULL + 2; i++)
		made[i] = object_for(&stage_threads[0], &key[i], 2);
	expect(index_home(stage_arena, key[0].hash, &segment) != NULL);
}

static void put(uint32_t number)
{
	struct index_chain chain;
	enum index_result result;

	do
		if (find_key(stage_arena, &key[number], &chain))
			result = index_replace(&chain, made[number].generation, made[number].offset, 0);
		else
			result = index_insert(NULL, stage_arena, &chain, made[number].generation, made[number].offset);
	while (result != INDEX_DONE);
}

/* ---- a helper that comes late ------------------------------------------------------------------------------------------ */

static void empty_bucket(void)
{
	prepare(0);
	stage_share();
}

static void insert_and_remove(void)
{
	put(0);
	put(1);
	weak_expect(remove_key(stage_arena, &key[0]));
}

static void help(void)
{
	uint64_t control = load_acquire(&index_buckets(stage_arena, segment)[home].control);

	if (control & CONTROL_OFFSET_MASK)
		index_help(stage_arena, segment, home, control);
}

static bool removed;

static void insert(void)
{
	put(0);
}

static void remove_it(void)
{
	removed = remove_key(stage_arena, &key[0]);
}

static void check_remove(void)
{
	weak_expect(count_key(stage_arena, &key[0]) == !removed);
}

static void check_removed(void)
{
	weak_expect(count_key(stage_arena, &key[0]) == 0);
	weak_expect(count_key(stage_arena, &key[1]) == 1);
}

/* ---- two who extend a chain, while its last object is replaced ------------------------------------------------------------- */

static struct index_chain chain;

static void full_bucket(void)
{
	prepare(FULL);
	expect(!find_key(stage_arena, &key[FULL], &chain));
	stage_share();
}

static void replace_last(void)
{
	put(FULL - 1);
}

static void extend(void)
{
	enum index_result result = index_insert(NULL, stage_arena, &chain, made[FULL].generation, made[FULL].offset);

	weak_expect(result == INDEX_LONGER || result == INDEX_AGAIN);
}

static void check_replaced(void)
{
	for (uint32_t i = 0; i < FULL; i++) {
		weak_expect(count_key(stage_arena, &key[i]) == 1);
		weak_expect(lookup_version(stage_arena, &key[i]) == (i == FULL - 1 ? 2 : 1));
	}
}

/* ---- a place that is sealed, and one that was emptied --------------------------------------------------------------------------- */

/* As a split leaves it: full, and without any insert yet. */
static void full_child(void)
{
	uint64_t control;

	prepare(0);
	control = load_relaxed(&index_buckets(stage_arena, segment)[home].control);
	for (uint32_t i = 0; i < FULL; i++)
		put(i);
	store_relaxed(&index_buckets(stage_arena, segment)[home].control, control);
	expect(!find_key(stage_arena, &key[FULL], &chain));
	stage_share();
}

static void extend_and_remove(void)
{
	extend();
	weak_expect(remove_key(stage_arena, &key[FULL - 1]));
}

/* What was never used is filled by whoever helps with a split. */
static void expect_all_used(void)
{
	struct index_chain now;

	index_read_chain(stage_arena, segment, home, &now);
	for (uint32_t i = 0; i < now.buckets * BUCKET_SLOTS; i++)
		weak_expect(now.words[i] != 0);
}

static void check_last_removed(void)
{
	weak_expect(count_key(stage_arena, &key[FULL - 1]) == 0);
	expect_all_used();
}

/* ---- two homes that want the same overflow bucket ---------------------------------------------------------------------------- */

static uint32_t homes[2];
static uint64_t claimed[2];

static uint64_t claim(uint32_t of)
{
	uint64_t link = 0;

	weak_expect(index_claim_overflow(stage_arena, segment, of, 1, &link) != NULL);
	return link;
}

/* The place where the search for a home's overflow bucket begins, given up again. */
static uint64_t first_place(uint32_t of)
{
	uint64_t link = claim(of);

	store_relaxed(&index_linked(stage_arena, segment, link)->control, 0);
	return link;
}

static void two_homes(void)
{
	prepare(0);
	homes[0] = home;
	homes[1] = home + 1;
	while (first_place(homes[1]) != first_place(homes[0]))
		expect(++homes[1] < stage_arena->homes);
	weak_restore(claimed, sizeof claimed);
	stage_share();
}

static void claim_first(void)
{
	claimed[0] = claim(homes[0]);
}

static void claim_second(void)
{
	claimed[1] = claim(homes[1]);
}

static void check_claims(void)
{
	weak_expect(claimed[0] != claimed[1]);
	for (int i = 0; i < 2; i++)
		weak_expect(claim(homes[i]) == claimed[i]);
}

/* ---- a link that is followed as a guess -------------------------------------------------------------------------------------- */

static uint64_t replaced;

/* Who wanted to extend the chain died; what it had put into the overflow bucket has been replaced in the chain since. */
static void half_extended(void)
{
	struct bucket *overflow;
	uint64_t link;

	prepare(FULL);
	expect(find_key(stage_arena, &key[FULL - 1], &chain));
	replaced = chain.words[chain.found];
	overflow = index_claim_overflow(stage_arena, segment, home, 1, &link);
	store_relaxed(&overflow->slots[0], replaced);
	index_seal(overflow);
	put(FULL - 1);
	expect(!find_key(stage_arena, &key[FULL], &chain));
	stage_share();
}

static void guess(void)
{
	uint64_t hash = key[FULL - 1].hash, word = index_guess(stage_arena, hash);
	struct bucket *bucket = slot_is_link(word) ? index_guessed_bucket(stage_arena, hash, word) : NULL;

	weak_expect(!bucket || bucket_guess(bucket, bucket_matches(bucket, hash)) != replaced);
}

/* ---- a split that has just begun ------------------------------------------------------------------------------------------- */

static uint64_t children;

/* Begun but for the last step, since it would take long to clear the children again and again. */
static void nearly_begun(void)
{
	atomic_u64 *word;

	prepare(4);
	expect(split_begin(stage_arena, segment));
	word = &stage_arena->table[segment].children;
	children = load_relaxed(word);
	store_relaxed(word, 0);
	stage_share();
}

static void split(void)
{
	store_relaxed(&stage_arena->table[segment].children, children);
	weak_expect(split_bucket(stage_arena, segment, home));
}

static void insert_fifth(void)
{
	put(4);
}

/* The segments that will be the children held something else before. */
static void spoil_free_segments(void)
{
	uint32_t free = 0;

	while (segment_load(stage_arena, free).state != SEGMENT_FREE)
		free++;
	store_relaxed(&stage_arena->header->search_hint, free);
	for (uint32_t child = free; child < free + 2; child++) {
		expect(segment_load(stage_arena, child).state == SEGMENT_FREE);
		memset(&index_buckets(stage_arena, child)[home], 0x42, sizeof(struct bucket));
	}
	stage_share();
}

static void not_begun(void)
{
	prepare(4);
	spoil_free_segments();
}

static uint32_t upper;

static void merge_not_begun(void)
{
	prepare(4);
	expect(split_begin(stage_arena, segment));
	for (uint32_t i = 0; i < stage_arena->homes; i++)
		expect(split_bucket(stage_arena, segment, i));
	expect(split_finish(stage_arena, segment));
	children = load_relaxed(&stage_arena->table[segment].children);
	segment = (uint32_t)children;
	upper = (uint32_t)(children >> 32);
	spoil_free_segments();
}

static void begin_merge(void)
{
	weak_expect(split_begin_merge(stage_arena, segment, upper));
}

/* By a keeper that finds what another one, as it were, left when only the lower parent had been told. */
static void resume_merge(void)
{
	begin_merge();
	store_relaxed(&stage_arena->table[upper].children, 0);
	split_resume_merge(stage_arena, segment);
}

static void move_upper_bucket(void)
{
	split_bucket(stage_arena, upper, home);
}

static void begin_split(void)
{
	weak_expect(split_begin(stage_arena, segment));
}

/* As one does who finds the bucket full. */
static void move_bucket(void)
{
	split_bucket(stage_arena, segment, home);
}

static void check_keys(uint32_t keys)
{
	for (uint32_t i = 0; i < keys; i++)
		weak_expect(count_key(stage_arena, &key[i]) == 1);
}

static void check_four(void)
{
	check_keys(4);
}

static bool has_moved(uint32_t number)
{
	return load_relaxed(&index_buckets(stage_arena, number)[home].control) & CONTROL_MOVED;
}

/* Of two that are merged, one never moves alone. */
static void check_merged(void)
{
	check_keys(4);
	weak_expect(has_moved(segment) == has_moved(upper));
}

static void check_five(void)
{
	check_keys(5);
}

/* ---- a chain that is extended while it is split ------------------------------------------------------------------------------- */

static void full_and_begun(void)
{
	prepare(FULL);
	expect(!find_key(stage_arena, &key[FULL], &chain));
	expect(split_begin(stage_arena, segment));
	stage_share();
}

static void split_full(void)
{
	weak_expect(split_bucket(stage_arena, segment, home));
}

/* Once it has been split nothing of it changes any more. */
static void check_frozen(void)
{
	struct bucket *bucket = &index_buckets(stage_arena, segment)[home];

	for (int i = 0; i < BUCKET_SLOTS; i++)
		weak_expect(load_relaxed(&bucket->slots[i]) & SLOT_FROZEN);
	check_keys(FULL);
}

/* ---- bounds of a segment ----------------------------------------------------------------------------------------------------- */

#define SOON_MS 5000
#define LATER_MS 9000

static void raise_soon(void)
{
	segment_raise_expiry(stage_arena, made[0].segment, SOON_MS);
}

static void raise_later(void)
{
	segment_raise_expiry(stage_arena, made[0].segment, LATER_MS);
}

static void check_bound(void)
{
	weak_expect(load_relaxed(&stage_arena->table[made[0].segment].expires_ms) >= LATER_MS);
}

/* ---- walking a segment that is written to ------------------------------------------------------------------------------------ */

static uint32_t data;

/* A segment that is used again: where the first object will be there is an older one, of another key. */
static void used_again(void)
{
	struct object_plan plan = { .key = key[1].text, .version = 1 };

	prepare(0);
	data = made[0].segment;
	plan.key_size = key[1].size;
	for (int i = 0; i < 4; i++)
		object_make(&stage_threads[0], &plan, 0);
	segment_recycle(stage_arena, data);
	memset(stage_threads[0].allocator, 0, sizeof *stage_threads[0].allocator);
	store_relaxed(&stage_arena->header->open_segment[0], 0);
	store_relaxed(&stage_arena->header->search_hint, data);
	stage_share();
}

static void make_two(void)
{
	object_for(&stage_threads[0], &key[FULL], 3);
	object_for(&stage_threads[0], &key[FULL], 3);
}

static void walk_data(void)
{
	struct object_walk walk = { .segment = data };
	struct object_view object;

	while (object_walk_next(stage_arena, &walk, &object))
		weak_expect(object.version == 3 && object.key_size == key[FULL].size &&
		            memcmp(object.key, key[FULL].text, object.key_size) == 0);
	weak_expect(walk.faults == 0);
}

const struct weak_scenario weak_scenarios_steps[] = {
	{ "step-help", 3, empty_bucket, { insert_and_remove, help }, check_removed },
	{ "step-remove", 3, empty_bucket, { insert, remove_it, help }, check_remove },
	{ "step-extend", 4, full_bucket, { replace_last, extend, extend }, check_replaced },
	{ "step-sealed", 3, full_child, { extend, extend_and_remove }, check_last_removed },
	{ "step-claim", 2, two_homes, { claim_first, claim_second }, check_claims },
	{ "step-guess", 3, half_extended, { guess, extend }, NULL },
	{ "step-split", 3, nearly_begun, { insert_fifth, split }, check_five },
	{ "step-split-full", 2, full_and_begun, { extend, split_full }, check_frozen },
	{ "step-begin", 2, not_begun, { move_bucket, begin_split }, check_four },
	{ "step-merge", 2, merge_not_begun, { move_bucket, begin_merge }, check_merged },
	{ "step-merge-upper", 2, merge_not_begun, { move_upper_bucket, begin_merge }, check_merged },
	{ "step-merge-resume", 2, merge_not_begun, { move_upper_bucket, resume_merge }, check_merged },
	{ "step-bound", 2, empty_bucket, { raise_soon, raise_later }, check_bound },
	{ "step-walk", 3, used_again, { make_two, walk_data }, NULL },
	{ 0 },
};
