/* SPDX-License-Identifier: MIT */
#include "tests/torture/reads.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/expect.h"
#include "tests/torture/judge.h"
#include "tests/torture/value.h"

#define HELD_MAX 4
#define HOLD_MS_MAX 120
#define LONG_HOLD_MS_MAX 900
#define BATCH 12
#define BATCH_BUFFER 2048
#define BUFFER_SIZE (UINT64_C(2) << 20) /* no value is larger */
#define WELL_KNOWN 40 /* half of the reads go to the first keys of an actor, so that readers and writers meet */
#define SCAN_ENTRIES 32
#define SCAN_STEPS 3

/* A view with what was seen of it at first. */
struct held {
	struct larder_view view;
	struct name name;
	struct block first;
	uint64_t until_ms;
};

struct reads {
	struct held held[HELD_MAX];
	struct larder_cursor cursor; /* of a scan that goes on and on */
	uint64_t counters[COUNTERS]; /* least that the next read of each may say */
	char batch[BATCH][BATCH_BUFFER];
	char buffer[BUFFER_SIZE];
};

struct reads *reads_create(void)
{
	struct reads *reads = calloc(1, sizeof *reads);

	expect(reads != NULL);
	return reads;
}

static void choose(struct hand *hand, struct inquiry *ret_inquiry)
{
	uint32_t keys = hand->board->settings.keys, actor;
	bool known = random_below(&hand->random, 2) && keys > WELL_KNOWN;

	do
		actor = random_below(&hand->random, ACTORS);
	while (!actor_exists(actor));
	judge_begin(ret_inquiry, hand->board, hand->number, actor,
	            random_below(&hand->random, known ? WELL_KNOWN : keys));
}

/* The verdict on a read that copied. */
static void judge(const struct inquiry *inquiry, int result, const void *value, uint64_t size)
{
	if (result == 0)
		judge_value(inquiry, value, size);
	else if (result == LARDER_MISS)
		judge_miss(inquiry);
	else if (result != LARDER_TRUNCATED)
		judge_error(inquiry, result);
}

static void get(struct hand *hand)
{
	struct larder_item item = { 0 };
	struct inquiry inquiry;
	int result;

	choose(hand, &inquiry);
	hand_begin(hand, OPERATION_READ);
	result = larder_get(hand->cache, inquiry.name.bytes, inquiry.name.size, hand->reads->buffer, BUFFER_SIZE,
	                    &item);
	hand_end(hand);
	judge(&inquiry, result, hand->reads->buffer, item.value_size);
}

/* A view must be now what it was when it was taken. */
static void look_again(struct hand *hand, const struct held *held)
{
	struct culprit culprit = { hand->number, held->name.bytes, held->name.size, NULL };
	struct block last = { 0 };
	const char *fault = value_check(held->view.data, held->view.size, held->name.id, &last);

	if (!fault && memcmp(&last, &held->first, sizeof last) != 0)
		fault = "it is another value";
	if (fault)
		board_fail(hand->board, VERDICT_WRONG, &culprit,
		           "a view of write %" PRIu64 " in segment %u changed while it was held: %s",
		           held->first.sequence, held->view.segment, fault);
}

static void release(struct hand *hand, struct held *held)
{
	look_again(hand, held);
	hand_begin(hand, OPERATION_READ);
	larder_release(hand->cache, &held->view);
	hand_end(hand);
}

static void view(struct hand *hand)
{
	struct held *held = &hand->reads->held[random_below(&hand->random, HELD_MAX)];
	struct inquiry inquiry;
	int result;

	if (held->view.data) {
		release(hand, held);
		return;
	}
	choose(hand, &inquiry);
	hand_begin(hand, OPERATION_READ);
	result = larder_view(hand->cache, inquiry.name.bytes, inquiry.name.size, &held->view);
	hand_end(hand);
	if (result != 0) {
		held->view.data = NULL;
		judge(&inquiry, result, NULL, 0);
		return;
	}
	held->name = inquiry.name;
	held->until_ms = monotonic_ms() +
	                 random_below(&hand->random, random_below(&hand->random, 8) ? HOLD_MS_MAX : LONG_HOLD_MS_MAX);
	if (judge_value(&inquiry, held->view.data, held->view.size) && held->view.size > 0)
		value_check(held->view.data, held->view.size, held->name.id, &held->first);
	else
		release(hand, held);
}

static void mind_held(struct hand *hand)
{
	struct held *held = &hand->reads->held[random_below(&hand->random, HELD_MAX)];

	if (!held->view.data)
		return;
	if (monotonic_ms() >= held->until_ms)
		release(hand, held);
	else
		look_again(hand, held);
}

static void mget(struct hand *hand)
{
	struct larder_mget_entry entries[BATCH];
	struct inquiry inquiries[BATCH];
	int result;

	for (uint32_t i = 0; i < BATCH; i++) {
		choose(hand, &inquiries[i]);
		entries[i] = (struct larder_mget_entry){ .key = inquiries[i].name.bytes,
			                                 .key_size = inquiries[i].name.size,
			                                 .buffer = hand->reads->batch[i],
			                                 .buffer_size = BATCH_BUFFER };
	}
	hand_begin(hand, OPERATION_READ);
	result = larder_mget(hand->cache, entries, BATCH);
	hand_end(hand);
	if (result != 0) {
		judge_error(&inquiries[0], result);
		return;
	}
	for (uint32_t i = 0; i < BATCH; i++)
		judge(&inquiries[i], entries[i].result, hand->reads->batch[i], entries[i].item.value_size);
}

static void mview(struct hand *hand)
{
	struct larder_mview_entry entries[BATCH];
	struct inquiry inquiries[BATCH];
	int result;

	for (uint32_t i = 0; i < BATCH; i++) {
		choose(hand, &inquiries[i]);
		entries[i] = (struct larder_mview_entry){ .key = inquiries[i].name.bytes,
			                                  .key_size = inquiries[i].name.size };
	}
	hand_begin(hand, OPERATION_READ);
	result = larder_mview(hand->cache, entries, BATCH);
	hand_end(hand);
	if (result != 0) {
		judge_error(&inquiries[0], result);
		return;
	}
	for (uint32_t i = 0; i < BATCH; i++)
		judge(&inquiries[i], entries[i].result, entries[i].view.data, entries[i].view.size);
	hand_begin(hand, OPERATION_READ);
	larder_mrelease(hand->cache, entries, BATCH);
	hand_end(hand);
}

static void scan(struct hand *hand)
{
	struct larder_scan_entry entries[SCAN_ENTRIES];
	struct culprit culprit = { hand->number, NULL, 0, NULL };
	size_t count;
	int result = 0;

	for (int step = 0; step < SCAN_STEPS && result == 0; step++) {
		hand_begin(hand, OPERATION_LOOK);
		result = larder_scan(hand->cache, "1", 1, &hand->reads->cursor, entries, SCAN_ENTRIES,
		                     hand->reads->buffer, BUFFER_SIZE, &count);
		hand_end(hand);
		for (size_t i = 0; (result == 0 || result == LARDER_END) && i < count; i++)
			if (entries[i].key_size == 0 || *(const char *)entries[i].key != '1')
				board_fail(hand->board, VERDICT_WRONG, &culprit,
				           "a scan of prefix 1 found a key of %zu bytes without it",
				           entries[i].key_size);
	}
	if (result == LARDER_END)
		hand->reads->cursor = (struct larder_cursor){ { 0 } };
}

/* All writers of a hot key note the newest version whose write has been completed. */
static void read_hot(struct hand *hand)
{
	uint32_t hot = random_below(&hand->random, HOT_KEYS);
	uint64_t least = load_acquire(&hand->board->hot_versions[hot]);
	struct larder_item item;
	struct block last = { 0 };
	struct name name;
	const char *fault;
	int result;

	judge_hot_name(hot, &name);
	hand_begin(hand, OPERATION_READ);
	result = larder_get(hand->cache, name.bytes, name.size, hand->reads->buffer, BUFFER_SIZE, &item);
	hand_end(hand);
	if (result != 0)
		return;
	fault = value_check(hand->reads->buffer, item.value_size, name.id, &last);
	if (!fault && item.version < least)
		fault = "it is older than one whose write was completed before";
	if (fault)
		board_fail(hand->board, VERDICT_WRONG, &(struct culprit){ hand->number, name.bytes, name.size, NULL },
		           "a hot value of version %" PRIu64 " (least: %" PRIu64 "): %s", item.version, least, fault);
}

static void read_counter(struct hand *hand)
{
	uint32_t counter = random_below(&hand->random, COUNTERS);
	uint64_t least = judge_counter_least(hand->board, counter), most, value;
	struct culprit culprit = { hand->number, NULL, 0, NULL };
	struct larder_item item = { 0 };
	struct name name;
	char text[32] = "";
	int result;

	judge_counter_name(counter, &name);
	culprit.key = name.bytes;
	culprit.key_size = name.size;
	if (hand->reads->counters[counter] > least)
		least = hand->reads->counters[counter];
	hand_begin(hand, OPERATION_READ);
	result = larder_get(hand->cache, name.bytes, name.size, text, sizeof text - 1, &item);
	hand_end(hand);
	most = judge_counter_most(hand->board, counter);
	if (result == LARDER_MISS && hand->board->settings.evict)
		return;
	if (result == LARDER_MISS)
		board_fail(hand->board, VERDICT_LOST, &culprit, "a counter is missing");
	if (result != 0)
		return;
	value = strtoull(text, NULL, 10);
	if (value > most)
		board_fail(hand->board, VERDICT_WRONG, &culprit, "a counter is \"%s\", but only %" PRIu64 " was added",
		           text, most);
	if (hand->board->settings.evict)
		return;
	if (value < least)
		board_fail(hand->board, VERDICT_LOST, &culprit,
		           "a counter is \"%s\", but what was completed before comes to %" PRIu64, text, least);
	hand->reads->counters[counter] = value;
}

void reads_step(struct hand *hand)
{
	static const struct {
		void (*read)(struct hand *hand);
		uint32_t share;
	} kinds[] = {
		{ get, 40 },  { view, 26 },    { mind_held, 10 },   { mget, 6 },
		{ mview, 6 }, { read_hot, 6 }, { read_counter, 5 }, { scan, 1 },
	};
	uint32_t share = random_below(&hand->random, 100), kind = 0;

	while (share >= kinds[kind].share)
		share -= kinds[kind++].share;
	kinds[kind].read(hand);
}

void reads_finish(struct hand *hand)
{
	for (int i = 0; i < HELD_MAX; i++)
		if (hand->reads->held[i].view.data)
			release(hand, &hand->reads->held[i]);
}
