/* SPDX-License-Identifier: MIT */
/* What a client does, from the simplest operations to those that find no room. */
#include <errno.h>

#include "tests/step/scenario.h"

#define LONG_TEXT \
	"a value that is much longer than the others: it takes some cache lines, and the copy of it some loops, so that a " \
	"process can be killed when the first bytes of it are written and the last are not, which nobody may ever see; "

/* ---- more than one request --------------------------------------------------------------------------------------------- */

static int act_get(struct actor *actor)
{
	char buffer[64];

	return cache_get(&actor->client.thread, actor->scene->subjects[0].text, actor->scene->subjects[0].size, buffer,
	                 sizeof buffer, NULL);
}

static int act_view(struct actor *actor)
{
	struct larder_view view;
	int result = cache_view(&actor->client.thread, actor->scene->subjects[0].text, actor->scene->subjects[0].size,
	                        &view);

	cache_release(&actor->client.cache, &view);
	return result;
}

static int act_mget(struct actor *actor)
{
	struct larder_mget_entry entries[SUBJECTS_MAX];
	char buffers[SUBJECTS_MAX][64];
	int results = 0;

	for (uint32_t i = 0; i < SUBJECTS_MAX; i++)
		entries[i] = (struct larder_mget_entry){ .key = actor->scene->subjects[i].text,
			                                 .key_size = actor->scene->subjects[i].size,
			                                 .buffer = buffers[i],
			                                 .buffer_size = sizeof buffers[i] };
	cache_mget(&actor->client.thread, entries, SUBJECTS_MAX);
	for (uint32_t i = 0; i < SUBJECTS_MAX; i++)
		results += entries[i].result;
	return results;
}

static int act_scan(struct actor *actor)
{
	static char buffer[LARDER_KEY_MAX];
	struct larder_scan_entry entries[8];
	struct larder_cursor cursor = { { 0 } };
	size_t count;

	return cache_scan(&actor->client.thread, NULL, 0, &cursor, entries, 8, buffer, sizeof buffer, &count);
}

/* As larder_mset: one write after another. */
static int act_mset(struct actor *actor)
{
	int results = 0;

	for (uint32_t i = 0; i < actor->scene->subject_count; i++) {
		struct write_request request = { .operation = WRITE_SET,
			                         .key = actor->scene->subjects[i].text,
			                         .key_size = actor->scene->subjects[i].size,
			                         .value = actor->scenario->after[i].text,
			                         .value_size = strlen(actor->scenario->after[i].text) };
		struct write_result result;

		results += cache_write(&actor->client.thread, &request, &result);
	}
	return results;
}

static int act_attach(struct actor *actor)
{
	struct client client;
	struct write_request request = { .operation = WRITE_SET,
		                         .key = actor->scene->subjects[0].text,
		                         .key_size = actor->scene->subjects[0].size,
		                         .value = actor->scenario->after[0].text,
		                         .value_size = strlen(actor->scenario->after[0].text) };
	struct write_result result;
	int code;

	stage_attach(&actor->scene->stage, ROLE_VICTIM, &client);
	code = cache_write(&client.thread, &request, &result);
	client_stop(&client);
	return code;
}

/* ---- rooms that are full ----------------------------------------------------------------------------------------------- */

static void write_own(struct actor *actor, uint32_t number, uint32_t size)
{
	static const char bytes[VALUE_MAX];
	char key[24];
	struct write_request request = { .operation = WRITE_SET, .value = bytes, .value_size = size };
	struct write_result result;

	snprintf(key, sizeof key, "own-%u", number);
	request.key = key;
	request.key_size = strlen(key);
	expect_equal(cache_write(&actor->client.thread, &request, &result), 0);
}

static uint64_t room_of(const struct actor *actor)
{
	const struct allocator_run *run = &actor->client.thread.allocator->runs[0];

	return run->end - run->next;
}

/* Leaves a run with room: what is usual, but for the first write of a thread. */
static void begin_run(struct actor *actor)
{
	write_own(actor, 0, 8);
}

/* Leaves a run with room for nothing more. */
static void use_up_run(struct actor *actor)
{
	uint32_t number = 0;

	do
		write_own(actor, number++, 300);
	while (room_of(actor) >= 340);
	while (room_of(actor) >= 48)
		write_own(actor, number++, 8);
}

/* The same in a segment of which all chunks are taken. */
static void use_up_segment(struct actor *actor)
{
	const struct arena *arena = actor->scene->stage.arena;
	uint32_t number = 1000;

	do
		write_own(actor, number++, 300);
	while (segment_load(arena, load_relaxed(&arena->header->open_segment[0]) - 1).next_chunk < arena->chunks);
	use_up_run(actor);
}

static void use_up_everything(struct scene *scene, const struct scenario *scenario)
{
	scenario_prepare(scene, scenario);
	scene_fill_up(scene, 0);
	scene_make_fragile(scene);
	scene->tight = true;
}

static void fill_chain(struct scene *scene, const struct scenario *scenario)
{
	scenario_prepare(scene, scenario);
	scene_make_fragile(scene);
}

/* ---- segments that are on their way out ---------------------------------------------------------------------------------- */

static void condemn(const struct arena *arena, uint32_t segment)
{
	expect(segment_change(arena, segment, SEGMENT_OPEN, SEGMENT_CONDEMNED));
}

static void condemn_run(struct actor *actor)
{
	write_own(actor, 0, 100);
	condemn(actor->scene->stage.arena, actor->client.thread.allocator->runs[0].segment);
}

static void condemn_subject(struct actor *actor)
{
	const struct arena *arena = actor->scene->stage.arena;
	const struct key *key = &actor->scene->subjects[0];
	struct object_view object;

	expect(index_lookup(arena, key->hash, key->text, key->size, &object));
	condemn(arena, (uint32_t)(object.offset >> arena->segment_shift));
}

static void expire(struct scene *scene, const struct scenario *scenario)
{
	scenario_prepare(scene, scenario);
	stage_advance(&scene->stage, 2 * scenario->before[0].ttl_ms);
}

/* ---- the table --------------------------------------------------------------------------------------------------------- */

#define CLIENT .role = ROLE_VICTIM
#define SHORT \
	{ \
		.text = "a value" \
	}
#define OTHER_SHORT \
	{ \
		.text = "another" \
	}

const struct scenario client_scenarios[] = {
	{ CLIENT, .name = "get", .before = { SHORT }, .after = { SHORT }, .act = act_get },
	{ CLIENT, .name = "get, the usual way", .usual_keys = true, .before = { SHORT }, .after = { SHORT },
	  .act = act_get },
	{ CLIENT, .name = "get, missing", .result = LARDER_MISS, .act = act_get },
	{ CLIENT, .name = "view and release", .before = { SHORT }, .after = { SHORT }, .act = act_view },
	{ CLIENT, .name = "view and release, the usual way", .usual_keys = true, .before = { SHORT },
	  .after = { SHORT }, .act = act_view },
	{ CLIENT, .name = "mget", .subjects = 4, .before = { SHORT, OTHER_SHORT, { .text = "-5", .counter = true } },
	  .after = { SHORT, OTHER_SHORT, { .text = "-5" } }, .result = LARDER_MISS, .act = act_mget },
	{ CLIENT, .name = "scan", .before = { SHORT }, .after = { SHORT }, .act = act_scan },
	{ CLIENT, .name = "attach, set, detach", .after = { SHORT }, .act = act_attach },

	{ CLIENT, .name = "set, new", .crowd = 3, .after = { SHORT }, .request = { .value = "a value" } },
	{ CLIENT, .name = "set, new, long", .after = { { .text = LONG_TEXT } }, .request = { .value = LONG_TEXT } },
	{ CLIENT, .name = "set, new, with ttl and flags",
	  .after = { { .text = "a value", .ttl_ms = LIFE_MS, .flags = 77 } },
	  .request = { .value = "a value", .ttl_ms = LIFE_MS, .flags = 77 } },
	{ CLIENT, .name = "set, replace, same size", .crowd = 3, .before = { SHORT }, .after = { OTHER_SHORT },
	  .request = { .value = "another" } },
	{ CLIENT, .name = "set, the usual way", .usual_keys = true, .crowd = 3, .before = { SHORT },
	  .after = { OTHER_SHORT }, .prelude = begin_run, .request = { .value = "another" } },
	{ CLIENT, .name = "set, the usual way, other size and flags", .usual_keys = true, .before = { SHORT },
	  .after = { { .text = LONG_TEXT, .flags = 1 } }, .prelude = begin_run,
	  .request = { .value = LONG_TEXT, .flags = 1 } },
	{ CLIENT, .name = "set, replace, other size, ttl and flags", .before = { SHORT },
	  .after = { { .text = LONG_TEXT, .ttl_ms = LIFE_MS, .flags = 1 } },
	  .request = { .value = LONG_TEXT, .ttl_ms = LIFE_MS, .flags = 1 } },
	{ CLIENT, .name = "set, replace, no more ttl and flags",
	  .before = { { .text = LONG_TEXT, .ttl_ms = LIFE_MS, .flags = 1 } }, .after = { SHORT },
	  .request = { .value = "a value" } },
	{ CLIENT, .name = "set, replace a counter", .before = { { .text = "12", .counter = true } }, .after = { SHORT },
	  .request = { .value = "a value" } },
	{ CLIENT, .name = "set, replace what has expired", .before = { { .text = "is over", .ttl_ms = 60000 } },
	  .after = { SHORT }, .prepare = expire, .request = { .value = "a value" } },
	{ CLIENT, .name = "add", .after = { SHORT }, .request = { .operation = WRITE_ADD, .value = "a value" } },
	{ CLIENT, .name = "add, exists", .before = { SHORT }, .after = { SHORT }, .result = LARDER_EXISTS,
	  .request = { .operation = WRITE_ADD, .value = "another" } },
	{ CLIENT, .name = "replace", .before = { SHORT }, .after = { OTHER_SHORT },
	  .request = { .operation = WRITE_REPLACE, .value = "another" } },
	{ CLIENT, .name = "replace, missing", .result = LARDER_MISS,
	  .request = { .operation = WRITE_REPLACE, .value = "another" } },
	{ CLIENT, .name = "cas", .before = { SHORT }, .after = { OTHER_SHORT }, .expected_version = VERSION_CURRENT,
	  .request = { .operation = WRITE_CAS, .value = "another" } },
	{ CLIENT, .name = "cas, changed", .before = { SHORT }, .after = { SHORT }, .result = LARDER_CHANGED,
	  .expected_version = VERSION_WRONG, .request = { .operation = WRITE_CAS, .value = "another" } },
	{ CLIENT, .name = "cas of a counter", .before = { { .text = "12", .counter = true } }, .after = { SHORT },
	  .expected_version = VERSION_CURRENT, .request = { .operation = WRITE_CAS, .value = "a value" } },
	{ CLIENT, .name = "append", .before = { { .text = "a", .flags = 5 } },
	  .after = { { .text = "a value", .flags = 5 } }, .request = { .operation = WRITE_APPEND, .value = " value" } },
	{ CLIENT, .name = "append to a counter", .before = { { .text = "12", .counter = true } },
	  .after = { { .text = "12 eggs" } }, .request = { .operation = WRITE_APPEND, .value = " eggs" } },
	{ CLIENT, .name = "delete", .crowd = 3, .before = { SHORT }, .request = { .operation = WRITE_DELETE } },
	{ CLIENT, .name = "delete of a version", .before = { SHORT }, .expected_version = VERSION_CURRENT,
	  .request = { .operation = WRITE_DELETE } },
	{ CLIENT, .name = "delete, missing", .result = LARDER_MISS, .request = { .operation = WRITE_DELETE } },
	{ CLIENT, .name = "incr, new", .after = { { .text = "100", .flags = 3 } },
	  .request = { .operation = WRITE_INCR, .incr_flags = LARDER_INCR_CREATE, .initial = 100, .flags = 3 } },
	{ CLIENT, .name = "incr", .before = { { .text = "41", .counter = true } }, .after = { { .text = "42" } },
	  .request = { .operation = WRITE_INCR, .delta = 1 } },
	{ CLIENT, .name = "decr", .before = { { .text = "2", .counter = true, .ttl_ms = LIFE_MS } },
	  .after = { { .text = "-1", .ttl_ms = LIFE_MS } }, .request = { .operation = WRITE_INCR, .delta = -3 } },
	{ CLIENT, .name = "incr of a text", .before = { { .text = "41" } }, .after = { { .text = "42" } },
	  .request = { .operation = WRITE_INCR, .delta = 1 } },
	{ CLIENT, .name = "incr, overflow", .before = { { .text = "9223372036854775807", .counter = true } },
	  .after = { { .text = "9223372036854775807" } }, .result = -EOVERFLOW,
	  .request = { .operation = WRITE_INCR, .delta = 1 } },
	{ CLIENT, .name = "touch", .before = { { .text = "a value", .flags = 9 } },
	  .after = { { .text = "a value", .flags = 9, .ttl_ms = LIFE_MS } },
	  .request = { .operation = WRITE_TOUCH, .ttl_ms = LIFE_MS } },
	{ CLIENT, .name = "touch of a counter", .before = { { .text = "41", .counter = true } },
	  .after = { { .text = "41", .ttl_ms = LIFE_MS } },
	  .request = { .operation = WRITE_TOUCH, .ttl_ms = LIFE_MS } },
	{ CLIENT, .name = "mset", .subjects = 4, .before = { SHORT, { 0 }, { .text = "41", .counter = true } },
	  .after = { OTHER_SHORT, SHORT, SHORT, { .text = LONG_TEXT } }, .act = act_mset },

	/* Room: what is taken when none is left. */
	{ CLIENT, .name = "set, the run is used up", .after = { { .text = LONG_TEXT } }, .prelude = use_up_run,
	  .request = { .value = LONG_TEXT } },
	{ CLIENT, .name = "set, the open segment is used up", .after = { { .text = LONG_TEXT } },
	  .prelude = use_up_segment, .request = { .value = LONG_TEXT } },
	{ CLIENT, .name = "set, all segments are used up", .prepare = use_up_everything, .result = -EAGAIN,
	  .request = { .value = "a value" } },
	{ CLIENT, .name = "set, the run is in a condemned segment", .before = { SHORT }, .after = { OTHER_SHORT },
	  .prelude = condemn_run, .request = { .value = "another" } },
	{ CLIENT, .name = "incr, the counter is in a condemned segment",
	  .before = { { .text = "41", .counter = true } }, .after = { { .text = "42" } }, .prelude = condemn_subject,
	  .request = { .operation = WRITE_INCR, .delta = 1 } },
	{ CLIENT, .name = "set, the first overflow bucket", .crowd = 7, .after = { SHORT },
	  .request = { .value = "a value" } },
	{ CLIENT, .name = "set, the third overflow bucket", .crowd = 19, .after = { SHORT },
	  .request = { .value = "a value" } },
	{ CLIENT, .name = "set, the chain is full", .crowd = 25, .after = { SHORT }, .prepare = fill_chain,
	  .request = { .value = "a value" } },
	{ .name = NULL }
};
