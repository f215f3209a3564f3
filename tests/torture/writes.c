/* SPDX-License-Identifier: MIT */
/*
 * Each write of an own key is journalled: begun before the call, completed after it. A successor that finds a write begun
 * and not completed does not know whether the key is as before or as that write leaves it; so its first write of the key is one
 * that does not depend on it. From then on it knows, and so it also knows what each call must say.
 *
 * Nearly all that is written expires within seconds, for that is how memory comes back without eviction. A key whose
 * life is nearly over is one of which we do not know whether it is there.
 */
#include "tests/torture/writes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/expect.h"
#include "tests/torture/judge.h"
#include "tests/torture/value.h"

#define MEDIUM_SHARE 40 /* of 1000 values */
#define MEDIUM_MAX (UINT64_C(24) << 10)
#define APPENDED_MAX 256
#define BLOCKS_MAX 8
#define EBB_PART 60u     /* of all keys, one part in so many is written at ebb */
#define CLOCK_GRAIN_MS 2 /* larderd's clock and ours tick in different moments */

static const uint64_t lives_ms[] = { 1200, 1800, 2500, 3900 };

/* What is known of an own key beside the journal. */
struct own {
	uint64_t version; /* 0: not known */
	uint64_t last;    /* sequence of the value's last block; 0: not known */
	uint32_t size, blocks;
	bool certain; /* what the journal calls done is how the key is */
};

struct writes {
	char *buffer; /* for a value */
	struct own keys[];
};

struct writes *writes_create(const struct hand *hand)
{
	uint32_t keys = hand->board->settings.keys;
	struct writes *writes = calloc(1, sizeof *writes + keys * sizeof writes->keys[0]);

	expect(writes != NULL);
	writes->buffer = malloc(hand->board->settings.large_max > MEDIUM_MAX ? hand->board->settings.large_max
	                                                                     : MEDIUM_MAX);
	expect(writes->buffer != NULL);
	for (uint32_t key = 0; key < keys; key++) {
		struct record *record = board_record(hand->board, hand->number, key);
		uint64_t done = load_relaxed(&record->done);

		writes->keys[key].certain = load_relaxed(&record->begun) == done >> 1;
		if (writes->keys[key].certain || !hand->board->settings.read_only)
			continue;
		/* The dead one's request may still be on its way to larderd. So this key is never used again. */
		store_release(&record->done, load_relaxed(&record->begun) << 1);
		store_release(&record->name, load_relaxed(&record->name) + 1);
		writes->keys[key].certain = true;
	}
	return writes;
}

void writes_destroy(struct writes *writes)
{
	free(writes->buffer);
	free(writes);
}

/* ---- own keys ------------------------------------------------------------------------------------------------------ */

enum verb { VERB_SET, VERB_ADD, VERB_REPLACE, VERB_CAS, VERB_APPEND, VERB_TOUCH, VERB_DELETE, VERBS };

/* One write of one own key. */
struct act {
	struct hand *hand;
	struct record *record;
	struct own *own;
	struct name name;
	enum verb verb;
	struct block block; /* what is written */
	uint64_t sequence;
	uint64_t life_ms, old_life_ms, old_deleted;
	struct larder_set_options options;
	uint64_t version;
	bool can_be_there, can_be_absent;
	int result;
};

static uint32_t choose_size(struct hand *hand)
{
	const struct settings *settings = &hand->board->settings;
	uint32_t kind = random_below(&hand->random, 1000);
	uint64_t most = settings->value_max;

	if (settings->large_max && kind < settings->large_share)
		most = settings->large_max;
	else if (settings->large_max && kind < settings->large_share + MEDIUM_SHARE)
		most = MEDIUM_MAX;
	return (uint32_t)(VALUE_SIZE_MIN + random_below(&hand->random, (uint32_t)(most - VALUE_SIZE_MIN)));
}

static enum verb choose_verb(struct act *act)
{
	static const uint32_t shares_there[VERBS] = { 30, 5, 15, 20, 15, 5, 10 };
	static const uint32_t shares_absent[VERBS] = { 30, 50, 4, 4, 4, 4, 4 };
	const uint32_t *shares = act->can_be_there ? shares_there : shares_absent;
	uint32_t share = random_below(&act->hand->random, 100);
	enum verb verb = VERB_SET;

	if (!act->own->certain)
		return random_below(&act->hand->random, 4) ? VERB_SET : VERB_DELETE;
	while (share >= shares[verb])
		share -= shares[verb++];
	if (verb == VERB_CAS && act->own->version == 0)
		return VERB_REPLACE;
	if (verb == VERB_APPEND && act->can_be_there && (act->own->last == 0 || act->own->blocks == BLOCKS_MAX))
		return VERB_SET;
	return verb;
}

static uint64_t choose_ttl(struct hand *hand)
{
	uint32_t permits = load_relaxed(&hand->board->permits);

	/* What does not expire comes back by eviction only, so there is little of it. */
	if (permits > 0 && random_below(&hand->random, 256) == 0 &&
	    cas_relaxed(&hand->board->permits, &permits, permits - 1))
		return 0;
	return lives_ms[random_below(&hand->random, sizeof lives_ms / sizeof lives_ms[0])];
}

/* What is written, and how the journal says that it is about to be. */
static void prepare(struct act *act)
{
	struct hand *hand = act->hand;
	bool appends = act->verb == VERB_APPEND && act->can_be_there;
	uint64_t now_ms = monotonic_ms();

	act->sequence = load_relaxed(&act->record->begun) + 1;
	act->block = (struct block){ .key = act->name.id,
		                     .sequence = act->sequence,
		                     .previous = appends ? act->own->last : 0,
		                     .offset = appends ? act->own->size : 0,
		                     .writer = hand->number,
		                     .size = choose_size(hand) };
	if (act->verb == VERB_APPEND)
		act->block.size = (uint32_t)VALUE_SIZE_MIN + random_below(&hand->random, APPENDED_MAX);
	value_write(hand->writes->buffer, act->block);
	act->options = (struct larder_set_options)LARDER_SET_OPTIONS;
	act->options.ttl_ms = choose_ttl(hand);
	act->options.flags = random_below(&hand->random, 2) ? act->block.size : 0;
	act->life_ms = act->options.ttl_ms ? now_ms + act->options.ttl_ms - CLOCK_GRAIN_MS : FOREVER;
	act->old_life_ms = load_relaxed(&act->record->life_ms);
	if (act->verb == VERB_APPEND || act->verb == VERB_DELETE)
		act->life_ms = act->old_life_ms;
	act->old_deleted = load_relaxed(&act->record->deleted);
	if (act->verb == VERB_DELETE)
		store_release(&act->record->deleted, act->sequence);
	/* Until the call is over either life may be the one in force. */
	if (act->life_ms < act->old_life_ms)
		store_release(&act->record->life_ms, act->life_ms);
	if (act->verb != VERB_TOUCH) /* which leaves the value as it is */
		store_release(&act->record->begun, act->sequence);
}

static void call(struct act *act)
{
	struct hand *hand = act->hand;
	const struct settings *settings = &hand->board->settings;
	const char *key = act->name.bytes, *value = hand->writes->buffer;
	size_t key_size = act->name.size, size = act->block.size;
	/* Without a version in every other delete. */
	uint64_t expected = act->sequence % 2 ? act->own->version : 0;

	hand_begin(hand, settings->evict || settings->read_only ? OPERATION_PATIENT_WRITE : OPERATION_WRITE);
	switch (act->verb) {
	case VERB_SET:
		act->result = larder_set(hand->cache, key, key_size, value, size, &act->options, &act->version);
		break;
	case VERB_ADD:
		act->result = larder_add(hand->cache, key, key_size, value, size, &act->options, &act->version);
		break;
	case VERB_REPLACE:
		act->result = larder_replace(hand->cache, key, key_size, value, size, &act->options, &act->version);
		break;
	case VERB_CAS:
		act->result = larder_cas(hand->cache, key, key_size, value, size, act->own->version, &act->options,
		                         &act->version);
		break;
	case VERB_APPEND:
		act->result = larder_append(hand->cache, key, key_size, value, size, &act->version);
		break;
	case VERB_TOUCH:
		act->result = larder_touch(hand->cache, key, key_size, act->options.ttl_ms, &act->version);
		break;
	default:
		act->result = larder_delete(hand->cache, key, key_size, expected);
		break;
	}
	hand_end(hand);
}

/* Whether the call may have said what it said; false: it has been reported. */
static bool judge_result(const struct act *act)
{
	struct board *board = act->hand->board;
	struct culprit culprit = { act->hand->number, act->name.bytes, act->name.size, act->record };
	bool there = act->can_be_there, absent = act->can_be_absent, right;
	static const char *const verbs[VERBS] = { "set", "add", "replace", "cas", "append", "touch", "delete" };

	if (act->result < 0)
		return judge_error(
			&(struct inquiry){
				.board = board, .record = act->record, .name = act->name, .reader = act->hand->number },
			act->result);
	if (act->result == LARDER_OK)
		right = act->verb == VERB_SET || (act->verb == VERB_ADD ? absent : there);
	else if (act->result == LARDER_EXISTS)
		right = act->verb == VERB_ADD && there;
	else if (act->result == LARDER_MISS)
		right = act->verb != VERB_SET && act->verb != VERB_ADD && absent;
	else
		right = false; /* we alone write it, so no version changes behind our back */
	if (right)
		return true;
	return board_fail(board, absent ? VERDICT_WRONG : VERDICT_LOST, &culprit,
	                  "%s, write %" PRIu64 ", said: %s; but it is %s (done: %" PRIu64 "%s)", verbs[act->verb],
	                  act->sequence, larder_strerror(act->result), there ? "there" : "absent",
	                  load_relaxed(&act->record->done) >> 1, act->own->certain ? "" : ", uncertain");
}

/* Notes what the call has done, in the journal last. */
static void conclude(struct act *act)
{
	struct own *own = act->own;
	bool touched = act->verb == VERB_TOUCH;

	/* Of a request on its way nobody knows; nor which version the key has, if it is done in the end. */
	if (act->result < 0 && act->hand->board->settings.read_only) {
		*own = (struct own){ .certain = false };
		return;
	}
	if (act->result != LARDER_OK) {
		store_release(&act->record->life_ms, act->old_life_ms);
		store_release(&act->record->deleted, act->old_deleted);
		if (!touched && own->certain)
			store_release(&act->record->begun, act->sequence - 1);
		return;
	}
	if (act->verb == VERB_DELETE) {
		*own = (struct own){ 0 };
	} else if (!touched) {
		own->size = act->block.offset ? own->size + act->block.size : act->block.size;
		own->blocks = act->block.offset ? own->blocks + 1 : 1;
		own->last = act->sequence;
	}
	own->version = act->verb == VERB_DELETE ? 0 : act->version;
	own->certain = true;
	store_release(&act->record->life_ms, act->life_ms);
	if (!touched)
		store_release(&act->record->done, act->sequence << 1 | (act->verb != VERB_DELETE));
}

/* Where the index shall grow and shrink, all keys are written for a while, and then a few, until the others have expired. */
static uint32_t keys_in_use(const struct board *board)
{
	const struct settings *settings = &board->settings;
	bool ebb = settings->tide_ms && (monotonic_ms() - board->begun_ms) / settings->tide_ms % 2;

	return ebb ? settings->keys / EBB_PART : settings->keys;
}

static void write_own(struct hand *hand)
{
	uint32_t key = random_below(&hand->random, keys_in_use(hand->board));
	struct act act = { .hand = hand,
		           .record = board_record(hand->board, hand->number, key),
		           .own = &hand->writes->keys[key] };
	uint64_t life_ms = load_relaxed(&act.record->life_ms);
	bool there = load_relaxed(&act.record->done) & 1;

	judge_name(hand->board, hand->number, key, &act.name);
	act.can_be_there = there || !act.own->certain;
	act.can_be_absent = !there || !act.own->certain || hand->board->settings.evict || monotonic_ms() >= life_ms;
	act.verb = choose_verb(&act);
	prepare(&act);
	call(&act);
	/* It may have expired while we were at it. */
	act.can_be_absent |= monotonic_ms() >= life_ms;
	if (judge_result(&act))
		conclude(&act);
	else
		act.own->certain = false;
}

/* ---- what all write ------------------------------------------------------------------------------------------------ */

static void raise(atomic_u64 *most, uint64_t value)
{
	uint64_t now = load_relaxed(most);

	while (now < value && !cas_acq_rel(most, &now, value))
		;
}

static void write_hot(struct hand *hand)
{
	uint32_t hot = random_below(&hand->random, HOT_KEYS);
	struct larder_set_options options = LARDER_SET_OPTIONS;
	struct larder_item item = { 0 };
	struct block block;
	struct name name;
	uint64_t version;
	int result = 0;

	judge_hot_name(hot, &name);
	block = (struct block){ .key = name.id,
		                .sequence = load_relaxed(&hand->actor->calls) + 1,
		                .writer = hand->number,
		                .size = (uint32_t)VALUE_SIZE_MIN + random_below(&hand->random, 400) };
	value_write(hand->writes->buffer, block);
	options.ttl_ms = lives_ms[3];
	if (random_below(&hand->random, 2)) {
		hand_begin(hand, OPERATION_READ);
		result = larder_get(hand->cache, name.bytes, name.size, NULL, 0, &item);
		hand_end(hand);
	}
	hand_begin(hand, hand->board->settings.evict || hand->board->settings.read_only ? OPERATION_PATIENT_WRITE
	                                                                                : OPERATION_WRITE);
	if (item.version)
		result = larder_cas(hand->cache, name.bytes, name.size, hand->writes->buffer, block.size, item.version,
		                    &options, &version);
	else
		result = larder_set(hand->cache, name.bytes, name.size, hand->writes->buffer, block.size, &options,
		                    &version);
	hand_end(hand);
	if (result == 0)
		raise(&hand->board->hot_versions[hot], version);
	else if (result != LARDER_MISS && result != LARDER_CHANGED && !judge_excusable(hand->board, result))
		board_fail(hand->board, VERDICT_WRONG, &(struct culprit){ hand->number, name.bytes, name.size, NULL },
		           "a hot write said: %s", larder_strerror(result));
}

static void increment(struct hand *hand)
{
	uint32_t counter = random_below(&hand->random, COUNTERS);
	uint64_t delta = 1 + random_below(&hand->random, 9), least, most;
	struct larder_incr_options options = LARDER_INCR_OPTIONS;
	atomic_u64 *begun = &hand->actor->tally[counter].begun, *completed = &hand->actor->tally[counter].completed;
	struct culprit culprit = { hand->number, NULL, 0, NULL };
	bool evict = hand->board->settings.evict;
	struct name name;
	int64_t value = 0;
	int result;

	judge_counter_name(counter, &name);
	culprit.key = name.bytes;
	culprit.key_size = name.size;
	options.flags = evict ? LARDER_INCR_CREATE : 0;
	least = judge_counter_least(hand->board, counter) + delta;
	store_release(begun, load_relaxed(begun) + delta);
	hand_begin(hand, evict || hand->board->settings.read_only ? OPERATION_PATIENT_WRITE : OPERATION_COUNT);
	result = larder_incr(hand->cache, name.bytes, name.size, (int64_t)delta, &options, &value);
	hand_end(hand);
	most = judge_counter_most(hand->board, counter);
	if (result == LARDER_MISS) {
		board_fail(hand->board, VERDICT_LOST, &culprit, "incr says that a counter is missing");
	} else if (result != 0) {
		if (!judge_excusable(hand->board, result))
			board_fail(hand->board, VERDICT_WRONG, &culprit, "incr said: %s", larder_strerror(result));
	} else {
		store_release(completed, load_relaxed(completed) + delta);
		if ((uint64_t)value > most)
			board_fail(hand->board, VERDICT_WRONG, &culprit,
			           "incr says %" PRId64 ", but only %" PRIu64 " was added", value, most);
		if ((uint64_t)value < least && !evict)
			board_fail(hand->board, VERDICT_LOST, &culprit,
			           "incr says %" PRId64 ", but what was completed comes to %" PRIu64, value, least);
	}
}

/* A counter that is touched is frozen and goes on in a new object; no increment may be lost between them. */
static void touch_counter(struct hand *hand)
{
	uint32_t permits = load_relaxed(&hand->board->permits);
	struct name name;
	int result;

	if (permits == 0 || !cas_relaxed(&hand->board->permits, &permits, permits - 1))
		return;
	judge_counter_name(random_below(&hand->random, COUNTERS), &name);
	hand_begin(hand, OPERATION_PATIENT_WRITE);
	result = larder_touch(hand->cache, name.bytes, name.size, 0, NULL);
	hand_end(hand);
	if (result == 0 || (result == LARDER_MISS && hand->board->settings.evict) ||
	    judge_excusable(hand->board, result))
		return;
	board_fail(hand->board, result == LARDER_MISS ? VERDICT_LOST : VERDICT_WRONG,
	           &(struct culprit){ hand->number, name.bytes, name.size, NULL }, "touch of a counter said: %s",
	           larder_strerror(result));
}

void writes_step(struct hand *hand)
{
	uint32_t share = random_below(&hand->random, 1000);

	if (share < 150)
		increment(hand);
	else if (load_relaxed(&hand->board->pressure))
		return;
	else if (share < 160)
		touch_counter(hand);
	else if (share < 260)
		write_hot(hand);
	else
		write_own(hand);
}
