/* SPDX-License-Identifier: MIT */
/*
 * Two deaths: somebody is killed in one of the states that his operation goes through, then the next one comes, meets what was left
 * there, and is stepped through; and that for each of the states, but for those of the keeper, of which there are many.
 */
#include "index/split.h"
#include "tests/step/scenario.h"

#define NEVER_MS 1000000000u
#define DEAD_VALUE "of the dead"

static uint32_t first_index(const struct scene *scene)
{
	return scene->stage.arena->system_segments;
}

/* ---- the first ----------------------------------------------------------------------------------------------------------- */

static int doomed_write(struct actor *actor, uint32_t subject, struct write_request request)
{
	struct write_result result;

	request.key = actor->scene->subjects[subject].text;
	request.key_size = actor->scene->subjects[subject].size;
	if (request.value)
		request.value_size = strlen(request.value);
	return cache_write(&actor->client.thread, &request, &result);
}

static int doomed_set(struct actor *actor)
{
	return doomed_write(actor, 0, (struct write_request){ .operation = WRITE_SET, .value = DEAD_VALUE });
}

static int doomed_set_second(struct actor *actor)
{
	return doomed_write(actor, 1, (struct write_request){ .operation = WRITE_SET, .value = DEAD_VALUE });
}

static int doomed_delete(struct actor *actor)
{
	return doomed_write(actor, 0, (struct write_request){ .operation = WRITE_DELETE });
}

static int doomed_append(struct actor *actor)
{
	return doomed_write(actor, 0, (struct write_request){ .operation = WRITE_APPEND, .value = "0" });
}

static int doomed_incr(struct actor *actor)
{
	return doomed_write(actor, 0, (struct write_request){ .operation = WRITE_INCR, .delta = 10 });
}

static int doomed_get(struct actor *actor)
{
	const struct key *key = &actor->scene->subjects[0];

	return cache_get(&actor->client.thread, key->text, key->size, NULL, 0, NULL);
}

static int doomed_helper(struct actor *actor)
{
	const struct arena *arena = &actor->client.cache.arena;

	return split_bucket(arena, first_index(actor->scene), hash_home(actor->scene->subjects[0].hash, arena->homes));
}

static int doomed_finish(struct actor *actor)
{
	return split_finish(&actor->client.cache.arena, first_index(actor->scene));
}

/* The segments of an index of two. */
static uint32_t lower_index(const struct scene *scene)
{
	return load_relaxed(&scene->stage.arena->directory[0]);
}

static uint32_t upper_index(const struct scene *scene)
{
	const struct arena *arena = scene->stage.arena;

	return load_relaxed(&arena->directory[(1u << arena->directory_bits) - 1]);
}

static int doomed_merging(struct actor *actor)
{
	const struct arena *arena = &actor->client.cache.arena;

	return split_bucket(arena, lower_index(actor->scene), hash_home(actor->scene->subjects[0].hash, arena->homes));
}

static int doomed_merge_begin(struct actor *actor)
{
	return split_begin_merge(&actor->client.cache.arena, lower_index(actor->scene), upper_index(actor->scene));
}

static int doomed_merge_finish(struct actor *actor)
{
	return split_finish(&actor->client.cache.arena, lower_index(actor->scene));
}

/* The keeper. Its page is taken for a client's afterwards, which does no harm. */
static int doomed_keeper(struct actor *actor)
{
	actor->reclaim = reclaim_create(&actor->client.thread, NEVER_MS);
	expect(actor->reclaim != NULL);
	expect_equal(reclaim_add_client(actor->reclaim, &actor->scene->stage.page[ROLE_OTHER]), 0);
	for (int i = 0; i < 3; i++)
		reclaim_run(actor->reclaim);
	return 0;
}

/* ---- beginnings ---------------------------------------------------------------------------------------------------------- */

/* A second subject in the bucket of the first. */
static void join_second(struct scene *scene, const struct scenario *scenario)
{
	scene_join(scene, 1);
	scenario_prepare(scene, scenario);
}

static void begin_split(struct scene *scene, const struct scenario *scenario)
{
	scenario_prepare(scene, scenario);
	expect(split_begin(scene->stage.arena, first_index(scene)));
}

static void begin_rebuild(struct scene *scene, const struct scenario *scenario)
{
	scenario_prepare(scene, scenario);
	expect(split_begin_rebuild(scene->stage.arena, first_index(scene)));
}

static void end_split(struct scene *scene, const struct scenario *scenario)
{
	begin_split(scene, scenario);
	for (uint32_t home = 0; home < scene->stage.arena->homes; home++)
		expect(split_bucket(scene->stage.arena, first_index(scene), home));
}

static void two_segments(struct scene *scene, const struct scenario *scenario)
{
	end_split(scene, scenario);
	expect(split_finish(scene->stage.arena, first_index(scene)));
	segment_recycle(scene->stage.arena, first_index(scene)); /* nobody has read anything yet */
}

static void begin_merge(struct scene *scene, const struct scenario *scenario)
{
	two_segments(scene, scenario);
	expect(split_begin_merge(scene->stage.arena, lower_index(scene), upper_index(scene)));
}

static void end_merge(struct scene *scene, const struct scenario *scenario)
{
	begin_merge(scene, scenario);
	for (uint32_t home = 0; home < scene->stage.arena->homes; home++)
		expect(split_bucket(scene->stage.arena, lower_index(scene), home));
}

static void waste(struct scene *scene, const struct scenario *scenario)
{
	scenario_prepare(scene, scenario);
	scene_waste(scene);
}

static void expire(struct scene *scene, const struct scenario *scenario)
{
	scenario_prepare(scene, scenario);
	scene_fill_short(scene, 5, 1500);
	stage_advance(&scene->stage, 10000);
}

/* ---- the next ------------------------------------------------------------------------------------------------------------ */

static int next_keeper(struct actor *actor)
{
	struct stage *stage = &actor->scene->stage;

	actor->reclaim = reclaim_create(&actor->client.thread, NEVER_MS);
	expect(actor->reclaim != NULL);
	expect_equal(reclaim_add_client(actor->reclaim, &stage->page[ROLE_OTHER]), 0);
	for (int i = 0; i < 2; i++)
		reclaim_run(actor->reclaim);
	return 0;
}

static int next_helper(struct actor *actor)
{
	const struct arena *arena = &actor->client.cache.arena;

	return !split_bucket(arena, first_index(actor->scene), hash_home(actor->scene->subjects[0].hash, arena->homes));
}

static int next_splitter(struct actor *actor)
{
	const struct arena *arena = &actor->client.cache.arena;

	return !split_begin(arena, first_index(actor->scene)) ||
	       !split_bucket(arena, first_index(actor->scene), hash_home(actor->scene->subjects[0].hash, arena->homes));
}

static int next_by_other_parent(struct actor *actor)
{
	const struct arena *arena = &actor->client.cache.arena;

	return !split_bucket(arena, upper_index(actor->scene), hash_home(actor->scene->subjects[0].hash, arena->homes));
}

/* ---- the table ------------------------------------------------------------------------------------------------------------ */

#define CLIENT .role = ROLE_VICTIM
#define KEEPER .role = ROLE_KEEPER
#define SHORT \
	{ \
		.text = "a value" \
	}
#define COUNTER \
	{ \
		.text = "41", .counter = true \
	}
#define SET .request = { .value = "next" }
#define ADD .request = { .operation = WRITE_ADD, .value = "next" }
#define APPEND .request = { .operation = WRITE_APPEND, .value = "next" }
#define CAS .expected_version = VERSION_CURRENT, .request = { .operation = WRITE_CAS, .value = "next" }
#define DELETE .request = { .operation = WRITE_DELETE }
#define INCR .request = { .operation = WRITE_INCR, .delta = 1 }
#define TOUCH .request = { .operation = WRITE_TOUCH, .ttl_ms = LIFE_MS }

const struct scenario succession_scenarios[] = {
	{ CLIENT, .name = "set (new), then set", .doomed = doomed_set, SET },
	{ CLIENT, .name = "set (new), then add", .doomed = doomed_set, ADD },
	{ CLIENT, .name = "set (new), then append", .doomed = doomed_set, APPEND },
	{ CLIENT, .name = "set (new), then delete", .doomed = doomed_set, DELETE },
	{ CLIENT, .name = "set, then cas", .before = { SHORT }, .doomed = doomed_set, CAS },
	{ CLIENT, .name = "set, then delete", .before = { SHORT }, .doomed = doomed_set, DELETE },
	{ CLIENT, .name = "delete, then add", .before = { SHORT }, .doomed = doomed_delete, ADD },
	{ CLIENT, .name = "delete, then append", .before = { SHORT }, .doomed = doomed_delete, APPEND },
	{ CLIENT, .name = "append to a counter, then incr", .before = { COUNTER }, .doomed = doomed_append, INCR },
	{ CLIENT, .name = "append to a counter, then touch", .before = { COUNTER }, .doomed = doomed_append, TOUCH },
	{ CLIENT, .name = "incr, then cas", .before = { COUNTER }, .doomed = doomed_incr, CAS },
	{ CLIENT, .name = "incr of a text, then incr", .before = { { .text = "41" } }, .doomed = doomed_incr, INCR },
	{ CLIENT, .name = "get, then set", .before = { SHORT }, .doomed = doomed_get, SET },
	{ CLIENT, .name = "set of another key of the bucket, then set", .subjects = 2, .prepare = join_second,
	  .doomed = doomed_set_second, SET },
	{ CLIENT, .name = "set of another key of the bucket, then delete", .subjects = 2, .before = { SHORT },
	  .prepare = join_second, .doomed = doomed_set_second, DELETE },
	{ CLIENT, .name = "set of another key that needs an overflow bucket, then set", .subjects = 2, .crowd = 7,
	  .prepare = join_second, .doomed = doomed_set_second, SET },
	{ CLIENT, .name = "a helper in a split, then set (new)", .crowd = 9, .prepare = begin_split,
	  .doomed = doomed_helper, SET },
	{ CLIENT, .name = "a helper in a split, then incr", .crowd = 4, .before = { COUNTER }, .prepare = begin_split,
	  .doomed = doomed_helper, INCR },
	{ CLIENT, .name = "a helper in a rebuild, then delete", .crowd = 9, .before = { SHORT },
	  .prepare = begin_rebuild, .doomed = doomed_helper, DELETE },
	{ CLIENT, .name = "a helper in a split, then another", .crowd = 17, .before = { SHORT }, .prepare = begin_split,
	  .doomed = doomed_helper, .act = next_helper },
	{ CLIENT, .name = "set (new) in a segment that is being split, then set", .crowd = 3, .prepare = begin_split,
	  .doomed = doomed_set, SET },
	{ KEEPER, .name = "set (new), then the keeper that splits", .crowd = 3, .doomed = doomed_set, .deaths = 4,
	  .act = next_splitter },
	{ CLIENT, .name = "the keeper at the end of a split, then set", .crowd = 3, .before = { SHORT },
	  .prepare = end_split, .doomed = doomed_finish, SET },
	{ CLIENT, .name = "a helper in a merge, then set (new)", .crowd = 9, .prepare = begin_merge,
	  .doomed = doomed_merging, SET },
	{ CLIENT, .name = "a helper in a merge, then incr", .crowd = 4, .before = { COUNTER }, .prepare = begin_merge,
	  .doomed = doomed_merging, INCR },
	{ CLIENT, .name = "a helper in a merge, then one by the other parent", .crowd = 12, .before = { SHORT },
	  .prepare = begin_merge, .doomed = doomed_merging, .act = next_by_other_parent },
	{ CLIENT, .name = "the keeper at the end of a merge, then set", .crowd = 3, .before = { SHORT },
	  .prepare = end_merge, .doomed = doomed_merge_finish, SET },
	{ CLIENT, .name = "the keeper compacting, then set", .before = { SHORT }, .prepare = waste,
	  .doomed = doomed_keeper, .deaths = 8, SET },
	{ CLIENT, .name = "the keeper compacting, then incr", .before = { COUNTER }, .prepare = waste,
	  .doomed = doomed_keeper, .deaths = 8, INCR },
	{ KEEPER, .name = "the keeper with what has expired, then the next one", .prepare = expire,
	  .doomed = doomed_keeper, .deaths = 12, .act = next_keeper },
	{ KEEPER, .name = "the keeper at the end of a split, then the next one", .crowd = 3, .before = { SHORT },
	  .prepare = end_split, .doomed = doomed_finish, .deaths = 4, .act = next_keeper },
	{ KEEPER, .name = "the keeper at the beginning of a merge, then the next one", .crowd = 3, .before = { SHORT },
	  .prepare = two_segments, .doomed = doomed_merge_begin, .deaths = 4, .act = next_keeper },
	{ KEEPER, .name = "the keeper at the end of a merge, then the next one", .crowd = 3, .before = { SHORT },
	  .prepare = end_merge, .doomed = doomed_merge_finish, .deaths = 4, .act = next_keeper },
	{ .name = NULL }
};
