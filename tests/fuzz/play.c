/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/play.h"

#include <errno.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/support/views.h"

#define BUFFER_BYTES (1u << 17)
#define VALUE_BYTES (1u << 16)
#define SCAN_CALLS_MAX 100000

static unsigned char buffer[BUFFER_BYTES];
static volatile unsigned char sink; /* of bytes that are only read to see that they can be */

/* ---- reads --------------------------------------------------------------------------------------------------------- */

static struct cache_thread *reader(const struct play *play)
{
	return &play->stage->parties[READER].thread;
}

static void expect_item(const struct play *play, const struct larder_item *item)
{
	FUZZ_EXPECT(item->value_size <= play->stage->arena->bytes);
}

static void get(const struct play *play, const struct stage_key *key, size_t room)
{
	unsigned char *exact = malloc(room ? room : 1); /* so that a sanitizer sees a byte too many */
	struct larder_item item;
	int result;

	FUZZ_EXPECT(exact != NULL);
	result = cache_get(reader(play), key->bytes, key->size, exact, room, &item);
	FUZZ_EXPECT(result == LARDER_OK || result == LARDER_MISS || result == LARDER_TRUNCATED);
	if (result != LARDER_MISS)
		expect_item(play, &item);
	FUZZ_EXPECT(result != LARDER_OK || item.value_size <= room);
	free(exact);
}

/* Reads all of what a view shows. It is in the arena, or is the text of a counter. */
static void read_view(const struct play *play, const struct larder_view *view)
{
	const struct arena *arena = &play->stage->parties[READER].cache.arena;
	const unsigned char *data = view->data;

	if (view->data == view->text) {
		FUZZ_EXPECT(view->size <= sizeof view->text);
	} else {
		FUZZ_EXPECT(data >= arena->base && data <= arena->base + arena->bytes);
		FUZZ_EXPECT(view->size <= (size_t)(arena->base + arena->bytes - data));
	}
	for (size_t i = 0; i < view->size; i += 64)
		sink = data[i];
	if (view->size > 0)
		sink = data[view->size - 1];
}

static void release(struct play *play, struct larder_view *view)
{
	cache_release(&play->stage->parties[READER].cache, view);
	FUZZ_EXPECT(view->data == NULL);
}

static void take_view(struct play *play, const struct stage_key *key, struct larder_view *view)
{
	int result;

	release(play, view);
	result = cache_view(reader(play), key->bytes, key->size, view);
	FUZZ_EXPECT(result == LARDER_OK || result == LARDER_MISS);
	FUZZ_EXPECT((result == LARDER_OK) == (view->data != NULL));
	if (result == LARDER_OK)
		read_view(play, view);
}

static void get_batch(struct play *play, uint32_t first, uint32_t count)
{
	struct larder_mget_entry gets[STAGE_KEYS];
	struct larder_mview_entry views[STAGE_KEYS];

	for (uint32_t i = 0; i < count; i++) {
		const struct stage_key *key = &play->stage->keys[(first + i) % STAGE_KEYS];

		gets[i] = (struct larder_mget_entry){
			.key = key->bytes, .key_size = key->size, .buffer = buffer + 100 * i, .buffer_size = 100
		};
		views[i] = (struct larder_mview_entry){ .key = key->bytes, .key_size = key->size };
	}
	cache_mget(reader(play), gets, count);
	cache_mview(reader(play), views, count);
	for (uint32_t i = 0; i < count; i++) {
		FUZZ_EXPECT(gets[i].result == LARDER_OK || gets[i].result == LARDER_MISS ||
		            gets[i].result == LARDER_TRUNCATED);
		FUZZ_EXPECT(views[i].result == LARDER_OK || views[i].result == LARDER_MISS);
		if (views[i].result != LARDER_OK)
			continue;
		read_view(play, &views[i].view);
		release(play, &views[i].view);
	}
}

/* From a cursor to the end, in calls of a few keys each. */
static void scan(struct play *play, struct larder_cursor *cursor, size_t prefix_size)
{
	struct larder_scan_entry entries[32];
	int calls = 0, result;

	do {
		size_t count = SIZE_MAX;

		result = cache_scan(reader(play), "key", prefix_size, cursor, entries, 32, buffer, BUFFER_BYTES,
		                    &count);
		FUZZ_EXPECT(result == LARDER_OK || result == LARDER_END);
		FUZZ_EXPECT(count <= 32);
		for (size_t i = 0; i < count; i++) {
			const unsigned char *key = entries[i].key;

			FUZZ_EXPECT(key >= buffer && entries[i].key_size <= (size_t)(buffer + BUFFER_BYTES - key));
			expect_item(play, &entries[i].item);
		}
		FUZZ_EXPECT(calls++ < SCAN_CALLS_MAX);
	} while (result == LARDER_OK);
}

static void take_census(struct play *play)
{
	const struct arena *arena = play->stage->arena;
	struct larder_stat stat = { .size = sizeof stat };

	cache_census(reader(play), &stat);
	FUZZ_EXPECT(stat.segments <= arena->segment_count &&
	            stat.arena_bytes <= arena->bytes); /* some may be said to be absent */
	FUZZ_EXPECT(stat.segments_free + stat.segments_data + stat.segments_index + stat.segments_condemned +
	                    stat.segments_system <=
	            stat.segments);
	FUZZ_EXPECT(stat.entries <= (uint64_t)arena->segment_count * arena->homes * CHAIN_SLOTS);
}

static void expect_sentence(void *context, const char *sentence)
{
	uint64_t *sentences = context;

	FUZZ_EXPECT(sentence[0] != '\0');
	*sentences += 1;
}

static void verify(struct play *play)
{
	struct cache_verify_counts counts = { 0 };
	uint64_t sentences = 0;
	int result = cache_verify(reader(play), expect_sentence, &sentences, &counts);

	FUZZ_EXPECT(result == 0 || result == -EUCLEAN);
	FUZZ_EXPECT((result != 0) == (counts.faults != 0) && sentences >= counts.faults);
}

/* ---- writes -------------------------------------------------------------------------------------------------------- */

static uint64_t version_of(struct cache_thread *thread, const struct stage_key *key)
{
	struct larder_item item = { 0 };

	cache_get(thread, key->bytes, key->size, NULL, 0, &item);
	return item.version;
}

static bool documented(int result)
{
	switch (result) {
	case LARDER_OK:
	case LARDER_MISS:
	case LARDER_EXISTS:
	case LARDER_CHANGED:
	case LARDER_NOT_NUMBER:
	case -E2BIG:
	case -EAGAIN:
	case -EOVERFLOW:
	case -EUCLEAN:
		return true;
	default:
		return false;
	}
}

static void write_key(struct play *play, enum party_name who, enum write_operation operation,
                      const struct stage_key *key, uint32_t value_size, uint64_t ttl_ms, uint8_t options)
{
	static _Thread_local unsigned char value[VALUE_BYTES];
	struct cache_thread *thread = &play->stage->parties[who].thread;
	struct write_request request = {
		.operation = operation,
		.key = key->bytes,
		.key_size = key->size,
		.value = value,
		.value_size = value_size % VALUE_BYTES,
		.ttl_ms = ttl_ms,
		.expected_version = options & 1 || operation == WRITE_CAS ? version_of(thread, key) : 0,
		.delta = options & 2 ? INT64_MAX : (int64_t)value_size,
		.initial = (int64_t)ttl_ms,
		.flags = options,
		.incr_flags = options & 4 ? LARDER_INCR_CREATE : 0,
	};
	struct write_result result;

	memset(value, '0' + options % 10, value_size % VALUE_BYTES);
	FUZZ_EXPECT(documented(cache_write(thread, &request, &result)));
}

/* ---- the keeper, and others ---------------------------------------------------------------------------------------- */

static void keep_house(struct play *play, int times)
{
	if (!play->stage->reclaim)
		stage_keeper_begins(play->stage, 1000);
	for (int i = 0; i < times; i++)
		reclaim_run(play->stage->reclaim);
}

static void attach(struct play *play)
{
	struct fault fault = { "" };
	struct arena arena;
	int result = arena_map(play->stage->arena_fd, true, &arena, &fault);

	FUZZ_EXPECT(result == 0 || (result == -EPROTO && fault.text[0] != '\0'));
	if (result == 0)
		arena_unmap(&arena);
}

/* ---- steps --------------------------------------------------------------------------------------------------------- */

static const struct stage_key *choose_key(const struct play *play, struct input *input)
{
	return &play->stage->keys[input_below(input, STAGE_KEYS)];
}

static void choose_write(struct play *play, enum party_name who, struct input *input)
{
	uint8_t what = input_byte(input);
	const struct stage_key *key = choose_key(play, input);
	uint8_t options = input_byte(input);
	uint32_t value_size = (uint32_t)input_number(input, options & 8 ? 2 : 1);
	uint64_t ttl_ms = options & 16 ? UINT64_C(1) << input_below(input, 64) : 0;

	write_key(play, who, (enum write_operation)(what % WRITE_OPERATIONS), key, value_size, ttl_ms, options);
}

static void choose_scan(struct play *play, struct input *input)
{
	struct larder_cursor cursor = { { 0, 0 } };
	uint8_t options = input_byte(input);

	if (options & 1)
		cursor.position[0] = input_number(input, 8);
	if (options & 2)
		cursor.position[1] = input_number(input, 8);
	scan(play, &cursor, options >> 2 & 3);
}

void play_step(struct play *play, enum play_step step, struct input *input)
{
	const struct stage_key *key;

	switch (step) {
	case STEP_GET:
		key = choose_key(play, input);
		get(play, key, input_number(input, 2));
		break;
	case STEP_VIEW:
		key = choose_key(play, input);
		take_view(play, key, &play->views[input_below(input, VIEWS_MAX)]);
		break;
	case STEP_RELEASE:
		release(play, &play->views[input_below(input, VIEWS_MAX)]);
		break;
	case STEP_BATCH:
		get_batch(play, input_byte(input), 1 + input_below(input, STAGE_KEYS));
		break;
	case STEP_SCAN:
		choose_scan(play, input);
		break;
	case STEP_CENSUS:
		take_census(play);
		break;
	case STEP_VERIFY:
		verify(play);
		break;
	case STEP_WRITE:
		choose_write(play, WRITER, input);
		break;
	case STEP_REQUEST:
		choose_write(play, KEEPER, input);
		break;
	case STEP_HOUSE:
		keep_house(play, 1 + input_below(input, 8));
		break;
	case STEP_KEEPER:
		stage_keeper_begins(play->stage, input_byte(input) & 1 ? 0 : 1000);
		break;
	case STEP_ADVANCE:
		stage_advance(play->stage, UINT64_C(1) << input_below(input, 40));
		break;
	case STEP_ATTACH:
		attach(play);
		break;
	case STEP_SCRIBBLE:
	case STEPS:
		break;
	}
}

void play_round(struct play *play)
{
	struct larder_cursor cursor = { { 0, 0 } };

	attach(play);
	verify(play);
	take_census(play);
	scan(play, &cursor, 0);
	get_batch(play, 0, STAGE_KEYS);
	for (uint32_t i = 0; i < STAGE_KEYS; i++)
		get(play, &play->stage->keys[i], 40);
	for (uint32_t i = 0; i < STAGE_KEYS; i++)
		write_key(play, i % 3 ? WRITER : KEEPER, (enum write_operation)(i % WRITE_OPERATIONS),
		          &play->stage->keys[i], i * 20, i % 4 * 5000, (uint8_t)i);
	keep_house(play, 4);
	stage_keeper_begins(play->stage, 0);
	keep_house(play, 4);
}

/* What a party leaves when it has given everything back. */
static void expect_idle(const struct party *party)
{
	const struct thread_line *line = party->thread.reader.line;

	FUZZ_EXPECT(load_relaxed(&line->epoch) == 0 && load_relaxed(&line->write_pin) == 0);
	FUZZ_EXPECT(views_held(&party->cache.control) == 0);
}

void play_end(struct play *play)
{
	for (int i = 0; i < VIEWS_MAX; i++)
		release(play, &play->views[i]);
	for (int i = 0; i < PARTIES; i++)
		if (i != HOSTILE)
			expect_idle(&play->stage->parties[i]);
}
