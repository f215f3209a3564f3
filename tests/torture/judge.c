/* SPDX-License-Identifier: MIT */
#include "tests/torture/judge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/torture/value.h"

#define LONG_KEYS 16 /* one of so many keys has a long name */
#define LONG_KEY_SIZE 150
#define SLOW_MS 400 /* a read that took longer may have seen a key expire and come back */
#define HOT_ID (UINT64_C(1) << 48)
#define COUNTER_ID (UINT64_C(1) << 49)

static void set_name(struct name *name, uint64_t id, size_t least, const char *format, uint32_t a, uint32_t b,
                     uint64_t c)
{
	int length = snprintf(name->bytes, sizeof name->bytes, format, a, b, c);

	name->size = (uint32_t)length;
	name->id = id;
	while (name->size < least)
		name->bytes[name->size++] = '.';
}

void judge_name(const struct board *board, uint32_t actor, uint32_t key, struct name *ret_name)
{
	const struct record *record = &board->records[(uint64_t)actor * board->settings.keys + key];

	set_name(ret_name, (uint64_t)actor << 32 | key, key % LONG_KEYS == 0 ? LONG_KEY_SIZE : 0,
	         "%" PRIu32 ":%" PRIu32 ":%" PRIu64, actor, key, load_acquire(&record->name));
}

void judge_counter_name(uint32_t counter, struct name *ret_name)
{
	set_name(ret_name, COUNTER_ID | counter, 0, "counter %" PRIu32, counter, 0, 0);
}

void judge_hot_name(uint32_t hot, struct name *ret_name)
{
	set_name(ret_name, HOT_ID | hot, 0, "hot %" PRIu32, hot, 0, 0);
}

void judge_begin(struct inquiry *inquiry, struct board *board, uint32_t reader, uint32_t actor, uint32_t key)
{
	inquiry->board = board;
	inquiry->reader = reader;
	inquiry->record = board_record(board, actor, key);
	/* Before the journal is read: from then on it may be out of date. */
	inquiry->begun_ms = monotonic_ms();
	do {
		inquiry->named = load_acquire(&inquiry->record->name);
		judge_name(board, actor, key, &inquiry->name);
		inquiry->done = load_acquire(&inquiry->record->done);
		inquiry->life_ms = load_acquire(&inquiry->record->life_ms);
	} while (load_acquire(&inquiry->record->name) != inquiry->named);
}

static struct culprit culprit_of(const struct inquiry *inquiry)
{
	return (struct culprit){ inquiry->reader, inquiry->name.bytes, inquiry->name.size, inquiry->record };
}

bool judge_value(const struct inquiry *inquiry, const void *value, size_t size)
{
	uint64_t newest = load_acquire(&inquiry->record->begun);
	struct culprit culprit = culprit_of(inquiry);
	struct block last = { 0 };
	const char *fault = value_check(value, size, inquiry->name.id, &last);

	if (fault)
		return board_fail(inquiry->board, VERDICT_WRONG, &culprit,
		                  "a value of %zu bytes: %s (block of key %" PRIx64 " sequence %" PRIu64
		                  " writer %" PRIu32 " at %" PRIu64 ")",
		                  size, fault, last.key, last.sequence, last.writer, last.offset);
	if (last.sequence < inquiry->done >> 1)
		return board_fail(inquiry->board, VERDICT_WRONG, &culprit,
		                  "an old value: write %" PRIu64 " was seen when %s %" PRIu64 " had been completed",
		                  last.sequence, inquiry->done & 1 ? "write" : "delete", inquiry->done >> 1);
	if (last.sequence > newest)
		return board_fail(inquiry->board, VERDICT_WRONG, &culprit,
		                  "a value of write %" PRIu64 ", but the newest that was begun is %" PRIu64,
		                  last.sequence, newest);
	return true;
}

bool judge_miss(const struct inquiry *inquiry)
{
	uint64_t now_ms = monotonic_ms(), life_ms = load_acquire(&inquiry->record->life_ms);
	struct culprit culprit = culprit_of(inquiry);

	if (inquiry->board->settings.evict || !(inquiry->done & 1) ||
	    load_acquire(&inquiry->record->deleted) >= inquiry->done >> 1 ||
	    load_acquire(&inquiry->record->name) != inquiry->named)
		return true;
	life_ms = inquiry->life_ms < life_ms ? inquiry->life_ms : life_ms;
	if (now_ms >= life_ms || now_ms - inquiry->begun_ms > SLOW_MS)
		return true;
	return board_fail(inquiry->board, VERDICT_LOST, &culprit,
	                  "it is missing, but write %" PRIu64
	                  " was completed before, nothing was deleted since, and it "
	                  "must not expire for %" PRIu64 " ms more",
	                  inquiry->done >> 1, life_ms == FOREVER ? 0 : life_ms - now_ms);
}

bool judge_error(const struct inquiry *inquiry, int result)
{
	struct culprit culprit = culprit_of(inquiry);

	if (judge_excusable(inquiry->board, result))
		return true;
	return board_fail(inquiry->board, VERDICT_WRONG, &culprit, "a call said: %s (%d)", larder_strerror(result),
	                  result);
}

/* What attaching gives while there is no keeper: a child that inherited its handle attaches at its first call. */
bool judge_excusable(const struct board *board, int result)
{
	if (result == -EIO && board->settings.read_only)
		return true;
	return result == -EPROTO || result == -ETIMEDOUT || result == -ECONNRESET || result == -EAGAIN;
}

uint64_t judge_counter_least(const struct board *board, uint32_t counter)
{
	uint64_t sum = 0;

	for (uint32_t actor = 0; actor < ACTORS; actor++)
		sum += load_acquire(&board->actors[actor].tally[counter].completed);
	return sum;
}

uint64_t judge_counter_most(const struct board *board, uint32_t counter)
{
	uint64_t sum = 0;

	for (uint32_t actor = 0; actor < ACTORS; actor++)
		sum += load_acquire(&board->actors[actor].tally[counter].begun);
	return sum;
}
