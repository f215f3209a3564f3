/* SPDX-License-Identifier: MIT */
/* What the keeper does: reclaiming, growth, taking charge of what a former keeper left, cleaning up after clients. */
#include "daemon/growth.h"
#include "index/split.h"
#include "tests/step/scenario.h"
#include "tests/support/views.h"

#define NEVER_MS 1000000000u
#define SHORT_LIFE_MS 1500
#define RUNS 6 /* of reclaim, in which all of this comes to its end */

static uint32_t first_index(const struct scene *scene)
{
	return scene->stage.arena->system_segments;
}

/* ---- beginnings ---------------------------------------------------------------------------------------------------------- */

static void take_charge_impatiently(struct actor *actor, uint32_t stall_ms)
{
	struct stage *stage = &actor->scene->stage;

	actor->reclaim = reclaim_create(&actor->client.thread, stall_ms);
	expect(actor->reclaim != NULL);
	expect_equal(reclaim_add_client(actor->reclaim, &stage->page[ROLE_OTHER]), 0);
	if (actor->scene->dead)
		expect_equal(reclaim_add_client(actor->reclaim, &stage->page[ROLE_DEAD]), 0);
}

static void take_charge(struct actor *actor)
{
	take_charge_impatiently(actor, NEVER_MS);
}

/* More segments shall be free than there are. */
static void take_charge_when_low(struct actor *actor)
{
	take_charge(actor);
	store_relaxed(&actor->scene->stage.arena->header->free_low_mark, 3);
}

static void take_charge_at_once(struct actor *actor)
{
	take_charge_impatiently(actor, 0);
}

/* Keys in a segment of their own, whose lives are over. */
static void expire(struct scene *scene, const struct scenario *scenario)
{
	scenario_prepare(scene, scenario);
	scene_fill_short(scene, 12, SHORT_LIFE_MS);
	stage_advance(&scene->stage, 10000);
}

/*
 * No free segment, so the oldest must go: it is the subject's. The last of what fills the arena goes to what its segment has left,
 * which makes that the youngest; so its age is given back to it.
 */
static void fill_up(struct scene *scene, const struct scenario *scenario)
{
	const struct key *key = &scene->subjects[0];
	const struct arena *arena = scene->stage.arena;
	atomic_u64 *opened;
	uint64_t word, first;

	scenario_prepare(scene, scenario);
	word = index_search(arena, key->hash, key->text, key->size);
	opened = &arena->table[segment_of(arena, slot_offset(word))].opened;
	first = load_relaxed(opened);
	scene_fill_up(scene, 0);
	store_relaxed(opened, first);
	scene_make_fragile(scene);
	scene->tight = true;
}

/* Memory is low, and what is in it is in use, so that it is moved; the large values that come later are not. */
static void warm_and_fill(struct scene *scene, const struct scenario *scenario)
{
	uint32_t warm;

	scenario_prepare(scene, scenario);
	scene_warm(scene, HEAT_MAX);
	warm = scene->other_count;
	scene_fill_up(scene, 2);
	scene_make_fragile(scene);
	for (uint32_t i = 0; i < warm; i++)
		scene->others[i].fragile = false;
	scene->tight = true;
}

static void waste(struct scene *scene, const struct scenario *scenario)
{
	scenario_prepare(scene, scenario);
	scene_waste(scene);
}

static void begin_split(struct scene *scene, const struct scenario *scenario)
{
	scenario_prepare(scene, scenario);
	expect(split_begin(scene->stage.arena, first_index(scene)));
}

/* All is moved but the last buckets. */
static void nearly_split(struct scene *scene, const struct scenario *scenario)
{
	begin_split(scene, scenario);
	for (uint32_t home = 0; home + 3 < scene->stage.arena->homes; home++)
		expect(split_bucket(scene->stage.arena, first_index(scene), home));
}

/* Many overflow buckets seem to be taken, but there are few keys: the segment is built anew. */
static void crowd_index(struct scene *scene, const struct scenario *scenario)
{
	scenario_prepare(scene, scenario);
	store_relaxed(&scene->stage.arena->table[first_index(scene)].overflow_used, scene->stage.arena->overflows);
}

/* Everything that a keeper can have been in the middle of. */
static void leave_all(struct scene *scene, const struct scenario *scenario)
{
	const struct arena *arena = scene->stage.arena;
	uint64_t children;
	uint32_t segment;

	expire(scene, scenario);
	expect(segment_take_index(arena, &segment)); /* retired: taken for a child, or to be given back */
	begin_split(scene, scenario);
	children = load_relaxed(&arena->table[first_index(scene)].children);
	for (uint32_t home = 0; home < arena->homes; home++)
		expect(split_bucket(arena, first_index(scene), home));
	store_release(&arena->directory[0], (uint32_t)children);
	for (segment = 0; segment < arena->segment_count; segment++)
		segment_change(arena, segment, SEGMENT_OPEN, SEGMENT_CONDEMNED);
}

/* A child that was made an index segment, and nobody was told of. */
static void leave_orphan(struct scene *scene, const struct scenario *scenario)
{
	const struct arena *arena = scene->stage.arena;
	uint32_t segment;

	scenario_prepare(scene, scenario);
	expect(segment_take_index(arena, &segment));
	segment_clear_index(arena, segment);
	expect(segment_change(arena, segment, SEGMENT_RETIRED, SEGMENT_INDEX));
}

/* ---- clients that die ---------------------------------------------------------------------------------------------------- */

static int doomed_set(struct actor *actor)
{
	struct write_request request = { .operation = WRITE_SET,
		                         .key = actor->scene->subjects[0].text,
		                         .key_size = actor->scene->subjects[0].size,
		                         .value = "of the dead",
		                         .value_size = 11 };
	struct write_result result;

	return cache_write(&actor->client.thread, &request, &result);
}

static int doomed_view(struct actor *actor)
{
	struct larder_view view;

	return cache_view(&actor->client.thread, actor->scene->subjects[0].text, actor->scene->subjects[0].size, &view);
}

static bool has_intent(const struct scene *scene)
{
	uint32_t segment;

	return load_relaxed(&scene_bucket(scene, &segment)->control) & CONTROL_OFFSET_MASK;
}

static bool has_view(const struct scene *scene)
{
	return views_held(&scene->stage.page[ROLE_DEAD]) != 0;
}

/* ---- what is stepped ------------------------------------------------------------------------------------------------------ */

static int keep_house(struct actor *actor)
{
	for (int i = 0; i < RUNS; i++)
		reclaim_run(actor->reclaim);
	return (int)scene_count(actor->scene, SEGMENT_CONDEMNED) + (int)scene_count(actor->scene, SEGMENT_RETIRED);
}

static int evict_and_move(struct actor *actor)
{
	struct arena_header *header = actor->scene->stage.arena->header;

	keep_house(actor);
	return load_relaxed(&header->moved_objects) == 0 || load_relaxed(&header->evicted_segments) == 0;
}

static int compact(struct actor *actor)
{
	struct arena_header *header = actor->scene->stage.arena->header;

	keep_house(actor);
	return load_relaxed(&header->moved_objects) == 0 || load_relaxed(&header->compacted_segments) == 0;
}

static int take_charge_and_keep_house(struct actor *actor)
{
	take_charge(actor);
	return keep_house(actor);
}

/* Condemns everything, which the dead client holds back until it is known to be dead. */
static int bury(struct actor *actor)
{
	struct stage *stage = &actor->scene->stage;

	reclaim_remove_client(actor->reclaim, &stage->page[ROLE_DEAD]);
	return keep_house(actor);
}

static void condemn_all(struct actor *actor)
{
	take_charge(actor);
	store_relaxed(&actor->scene->stage.arena->header->free_low_mark, actor->scene->stage.arena->segment_count);
	reclaim_run(actor->reclaim);
}

static int act_split_begin(struct actor *actor)
{
	return split_begin(&actor->client.cache.arena, first_index(actor->scene));
}

/* The subject's bucket, which has a chain, and one of every other kind of bucket. */
static int act_split_buckets(struct actor *actor)
{
	const struct arena *arena = &actor->client.cache.arena;
	uint32_t home = hash_home(actor->scene->subjects[0].hash, arena->homes);

	for (uint32_t i = 0; i < 8; i++)
		if (!split_bucket(arena, first_index(actor->scene), (home + i) % arena->homes))
			return -1;
	for (uint32_t i = 0; i < 8; i++)
		if (!split_bucket(arena, first_index(actor->scene),
		                  hash_home(actor->scene->others[i].key.hash, arena->homes)))
			return -1;
	return 0;
}

/* ---- the table ------------------------------------------------------------------------------------------------------------ */

#define KEEPER .role = ROLE_KEEPER
#define SHORT \
	{ \
		.text = "a value" \
	}

static void fragile_crowd(struct scene *scene, const struct scenario *scenario)
{
	scenario_prepare(scene, scenario);
	scene_make_fragile(scene);
}

const struct scenario keeper_scenarios[] = {
	{ KEEPER, .name = "keeper: what has expired", .before = { { .text = "is over", .ttl_ms = SHORT_LIFE_MS } },
	  .prepare = expire, .prelude = take_charge, .act = keep_house },
	{ KEEPER, .name = "keeper: eviction", .before = { SHORT }, .prepare = fill_up, .prelude = take_charge,
	  .act = keep_house },
	{ KEEPER, .name = "keeper: eviction, and moving what is in use",
	  .before = { { .text = "41", .counter = true } }, .after = { { .text = "41" } }, .prepare = warm_and_fill,
	  .prelude = take_charge_when_low, .act = evict_and_move },
	{ KEEPER, .name = "keeper: compaction", .before = { SHORT }, .after = { SHORT }, .prepare = waste,
	  .prelude = take_charge, .act = compact },
	{ KEEPER, .name = "keeper: death of a client in an insert", .prepare = fragile_crowd, .crowd = 9,
	  .doomed = doomed_set, .until = has_intent, .prelude = condemn_all, .act = bury },
	{ KEEPER, .name = "keeper: death of a client with a view", .before = { SHORT }, .prepare = fragile_crowd,
	  .crowd = 9, .doomed = doomed_view, .until = has_view, .prelude = condemn_all, .act = bury },
	{ KEEPER, .name = "keeper: revoking a stopped client", .prepare = fill_up, .before = { SHORT },
	  .doomed = doomed_view, .until = has_view, .prelude = take_charge_at_once, .act = keep_house,
	  .result = 1 }, /* the view still holds its segment */
	{ KEEPER, .name = "keeper: a split begins", .before = { SHORT }, .after = { SHORT }, .act = act_split_begin,
	  .result = 1 },
	{ KEEPER, .name = "keeper: buckets are split", .before = { SHORT }, .after = { SHORT }, .crowd = 18,
	  .prepare = begin_split, .act = act_split_buckets },
	{ KEEPER, .name = "keeper: a split ends", .before = { SHORT }, .after = { SHORT }, .crowd = 9,
	  .prepare = nearly_split, .prelude = take_charge, .act = keep_house },
	{ KEEPER, .name = "keeper: adoption of all that can be left", .before = { SHORT }, .after = { SHORT },
	  .prepare = leave_all, .act = take_charge_and_keep_house },
	{ KEEPER, .name = "keeper: adoption of a lost index segment", .before = { SHORT }, .after = { SHORT },
	  .prepare = leave_orphan, .act = take_charge_and_keep_house },
	{ KEEPER, .name = "keeper: a crowded segment is built anew", .before = { SHORT }, .after = { SHORT },
	  .crowd = 9, .prepare = crowd_index, .prelude = take_charge, .act = keep_house },
	{ KEEPER, .name = "keeper: a segment is split from beginning to end", .before = { SHORT }, .after = { SHORT },
	  .crowd = 9, .prepare = begin_split, .prelude = take_charge, .act = keep_house },
	{ .name = NULL }
};
