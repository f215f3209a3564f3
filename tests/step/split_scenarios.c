/* SPDX-License-Identifier: MIT */
/* What a client does in a bucket of a segment that is being split. */
#include "index/split.h"
#include "tests/step/scenario.h"

static uint32_t home_of(const struct scene *scene)
{
	return hash_home(scene->subjects[0].hash, scene->stage.arena->homes);
}

static void begin_split(struct scene *scene, const struct scenario *scenario)
{
	scenario_prepare(scene, scenario);
	expect(split_begin(scene->stage.arena, scene->stage.arena->system_segments));
}

static void begin_rebuild(struct scene *scene, const struct scenario *scenario)
{
	scenario_prepare(scene, scenario);
	expect(split_begin_rebuild(scene->stage.arena, scene->stage.arena->system_segments));
}

static void move_bucket(struct scene *scene, const struct scenario *scenario)
{
	begin_split(scene, scenario);
	expect(split_bucket(scene->stage.arena, scene->stage.arena->system_segments, home_of(scene)));
}

static int doomed_helper(struct actor *actor)
{
	return split_bucket(&actor->client.cache.arena, actor->client.cache.arena.system_segments,
	                    home_of(actor->scene));
}

static const struct bucket *home_bucket(const struct scene *scene, uint32_t segment)
{
	return &index_buckets(scene->stage.arena, segment)[home_of(scene)];
}

static bool is_frozen(const struct scene *scene)
{
	return load_relaxed(&home_bucket(scene, scene->stage.arena->system_segments)->control) & CONTROL_FROZEN;
}

static bool is_half_frozen(const struct scene *scene)
{
	const struct bucket *bucket = home_bucket(scene, scene->stage.arena->system_segments);

	return is_frozen(scene) && load_relaxed(&bucket->slots[3]) & SLOT_FROZEN;
}

/* Something is in one of the children. */
static bool is_half_copied(const struct scene *scene)
{
	const struct arena *arena = scene->stage.arena;
	uint64_t children = load_relaxed(&arena->table[arena->system_segments].children);

	return load_relaxed(&home_bucket(scene, (uint32_t)children)->slots[1]) ||
	       load_relaxed(&home_bucket(scene, (uint32_t)(children >> 32))->slots[1]);
}

/* Everything is in the children, but nobody is sent there yet. */
static bool is_copied(const struct scene *scene)
{
	const struct arena *arena = scene->stage.arena;
	uint64_t children = load_relaxed(&arena->table[arena->system_segments].children);

	return load_relaxed(&home_bucket(scene, (uint32_t)(children >> 32))->slots[BUCKET_SLOTS - 1]);
}

#define CLIENT .role = ROLE_VICTIM
#define SHORT \
	{ \
		.text = "a value" \
	}
#define OTHER_SHORT \
	{ \
		.text = "another" \
	}

const struct scenario split_scenarios[] = {
	{ CLIENT, .name = "set, new, the segment is being split", .crowd = 5, .after = { SHORT },
	  .prepare = begin_split, .request = { .value = "a value" } },
	{ CLIENT, .name = "set, replace, the segment with a chain is being split", .crowd = 16, .before = { SHORT },
	  .after = { OTHER_SHORT }, .prepare = begin_split, .request = { .value = "another" } },
	{ CLIENT, .name = "set, replace, the segment with a chain is being built anew", .crowd = 16,
	  .before = { SHORT }, .after = { OTHER_SHORT }, .prepare = begin_rebuild, .request = { .value = "another" } },
	{ CLIENT, .name = "set, new, the bucket is frozen", .crowd = 5, .after = { SHORT }, .prepare = begin_split,
	  .doomed = doomed_helper, .until = is_frozen, .request = { .value = "a value" } },
	{ CLIENT, .name = "delete, the bucket is half frozen", .crowd = 5, .before = { SHORT }, .prepare = begin_split,
	  .doomed = doomed_helper, .until = is_half_frozen, .request = { .operation = WRITE_DELETE } },
	{ CLIENT, .name = "incr, the bucket is half copied", .crowd = 12,
	  .before = { { .text = "41", .counter = true } }, .after = { { .text = "42" } }, .prepare = begin_split,
	  .doomed = doomed_helper, .until = is_half_copied, .request = { .operation = WRITE_INCR, .delta = 1 } },
	{ CLIENT, .name = "add, the bucket is copied", .crowd = 12, .after = { SHORT }, .prepare = begin_split,
	  .doomed = doomed_helper, .until = is_copied, .request = { .operation = WRITE_ADD, .value = "a value" } },
	{ CLIENT, .name = "set, new, the bucket is moved", .crowd = 16, .after = { SHORT }, .prepare = move_bucket,
	  .request = { .value = "a value" } },
	{ CLIENT, .name = "set, replace, the bucket is moved", .crowd = 5, .before = { SHORT },
	  .after = { OTHER_SHORT }, .prepare = move_bucket, .request = { .value = "another" } },
	{ .name = NULL }
};
