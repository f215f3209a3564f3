/* SPDX-License-Identifier: MIT */
#include "daemon/extents.h"

#include <errno.h>
#include <stdlib.h>

#include "base/failpoint.h"
#include "daemon/reclaim_internal.h"
#include "index/index.h"
#include "object/walk.h"

#define LOOK_MS 100u    /* between two looks whether the objects of all extents are in the index */
#define READY_MS 1000u  /* how long an extent is offered */
#define PATIENCE_MS 60u /* how long a window may take in which something is held */
#define WISH_MS 1000u   /* how long a wish is heeded that nobody repeats: who waits does ten times a second */
#define RETRY_MS 20u    /* until a window is looked for again when there was none */
#define TRIES 8u        /* windows looked at for views */
#define KEPT_MAX 16u    /* objects that are kept before one must go */

#define BLOCKED UINT32_MAX
#define AGE_STEPS 192u      /* by how much the youngest costs more than the oldest, */
#define AGE_OLDEST 64u      /* which costs so much for each KiB */
#define MAIN_WEIGHT 4u      /* what was used costs so much more than what was not */
#define INDEX_WEIGHT 4u     /* an index segment must be built anew elsewhere, */
#define ABSENT_WEIGHT 8u    /* what is absent is taken only if nothing else is in a row, */
#define PROTECTED_WEIGHT 4u /* and what a tenant has within its guarantee moved */
#define EVERYTHING ((uint32_t)(SEGMENT_BYTES_MAX / 1024) * (AGE_OLDEST + AGE_STEPS))

int extents_init(struct extents *extents, const struct arena *arena)
{
	*extents = (struct extents){ .costs = calloc(arena->segment_count, sizeof *extents->costs) };
	return extents->costs ? 0 : -ENOMEM;
}

void extents_destroy(struct extents *extents)
{
	free(extents->costs);
}

bool extents_may_keep(const struct extents *extents)
{
	return extents->kept < KEPT_MAX;
}

void extents_kept(struct extents *extents)
{
	extents->spoilt = true;
	extents->kept++;
}

/* ---- what is of no use any more ------------------------------------------------------------------------------------ */

/* Whether a slot refers to the object of an extent. */
static bool in_use(const struct reclaim *reclaim, uint32_t segment, struct segment_word word)
{
	struct epoch_reader *reader = &reclaim->evacuator.keeper->reader;
	struct object_walk walk = { .segment = segment };
	struct object_view object;
	struct index_chain chain;
	bool found;

	epoch_enter(reader);
	found = object_walk_next(reclaim->arena, &walk, &object) &&
	        index_find_object(reclaim->arena, &object, word.generation, &chain);
	epoch_exit(reader);
	return found;
}

/*
 * Condemns an extent that nobody needs. It need not be right: one whose writer publishes it at this moment is found in the index
 * when it shall be emptied, and opened again.
 */
static void sweep_open(struct reclaim *reclaim, uint32_t segment, struct segment_word word, bool look)
{
	struct segment_entry *entry = &reclaim->arena->table[segment];
	bool dead = load_relaxed(&entry->dead_units) != 0;

	if (!dead && look)
		dead = !clients_write_pinned(&reclaim->clients, segment) && !in_use(reclaim, segment, word);
	if (!dead)
		return;
	store_relaxed(&entry->dead_units, 0);
	reclaim_condemn(reclaim, segment, REASON_COMPACTED);
}

static void retire(struct reclaim *reclaim, uint32_t segment, enum segment_state state)
{
	if (!segment_change(reclaim->arena, segment, state, SEGMENT_RETIRED))
		return; /* a writer took it just now */
	failpoint("extents.retired");
	reclaim_retired(reclaim, segment);
}

void extents_sweep(struct reclaim *reclaim)
{
	const struct arena *arena = reclaim->arena;
	uint64_t now_ms = arena_now_ms(arena);
	bool look = now_ms - reclaim->extents.looked_ms >= LOOK_MS;
	uint32_t length;

	if (look)
		reclaim->extents.looked_ms = now_ms;
	for (uint32_t segment = 0; segment < arena->segment_count; segment += length) {
		struct segment_word word = segment_load(arena, segment);

		length = extent_length(arena, segment, word);
		if (word.state == SEGMENT_OPEN && length > 1)
			sweep_open(reclaim, segment, word, look);
		else if (word.state == SEGMENT_EXTENT) /* of no head */
			retire(reclaim, segment, SEGMENT_EXTENT);
		else if (word.state == SEGMENT_READY &&
		         now_ms - load_relaxed(&arena->table[segment].opened_ms) >= READY_MS)
			retire(reclaim, segment, SEGMENT_READY);
	}
}

/* ---- choosing a window --------------------------------------------------------------------------------------------- */

/* When the oldest and the youngest open segment were opened. */
struct ages {
	uint64_t oldest, youngest;
};

static struct ages ages_of(const struct arena *arena)
{
	struct ages ages = { UINT64_MAX, 0 };

	for (uint32_t segment = 0; segment < arena->segment_count; segment++) {
		uint64_t opened_ms = load_relaxed(&arena->table[segment].opened_ms);

		if (segment_load(arena, segment).state != SEGMENT_OPEN)
			continue;
		ages.oldest = opened_ms < ages.oldest ? opened_ms : ages.oldest;
		ages.youngest = opened_ms > ages.youngest ? opened_ms : ages.youngest;
	}
	return ages;
}

/* What is lost when a segment is emptied: what lives there, and the more if it was used, and the younger it is. */
static uint32_t open_cost(const struct arena *arena, uint32_t segment, struct segment_word word,
                          const struct ages *ages)
{
	uint64_t used = word.next_chunk < arena->chunks ? word.next_chunk * CHUNK_BYTES : arena->segment_bytes;
	uint64_t dead = load_relaxed(&arena->table[segment].dead_units) * (uint64_t)OBJECT_UNIT;
	uint64_t opened_ms = load_relaxed(&arena->table[segment].opened_ms);
	uint64_t weight = AGE_OLDEST;

	if (opened_ms > ages->oldest && opened_ms <= ages->youngest)
		weight += AGE_STEPS * (opened_ms - ages->oldest) / (ages->youngest - ages->oldest);
	if (word.pool == POOL_MAIN)
		weight *= MAIN_WEIGHT;
	return (uint32_t)((dead < used ? used - dead : 0) / 1024 * weight);
}

static uint32_t cost_of(const struct reclaim *reclaim, uint32_t segment, struct segment_word word,
                        const struct ages *ages)
{
	const struct arena *arena = reclaim->arena;
	const struct work *work = &reclaim->work[segment];

	if (segment < arena->system_segments)
		return BLOCKED;
	if (work_held(work, monotonic_ms()))
		return BLOCKED;
	switch (word.state) {
	case SEGMENT_OPEN:
		if (!tenants_protected(&reclaim->tenants, word.tenant))
			return open_cost(arena, segment, word, ages);
		return extent_length(arena, segment, word) > 1 ? BLOCKED : EVERYTHING * PROTECTED_WEIGHT;
	case SEGMENT_INDEX:
		return EVERYTHING * INDEX_WEIGHT;
	case SEGMENT_ABSENT:
		return reclaim->resize.poor ? BLOCKED : EVERYTHING * ABSENT_WEIGHT;
	case SEGMENT_SYSTEM:
	case SEGMENT_READY:
		return BLOCKED;
	default:
		return 0;
	}
}

static void find_costs(struct reclaim *reclaim)
{
	const struct arena *arena = reclaim->arena;
	const struct ages ages = ages_of(arena);
	uint32_t length;

	for (uint32_t segment = 0; segment < arena->segment_count; segment += length) {
		struct segment_word word = segment_load(arena, segment);
		uint32_t cost = cost_of(reclaim, segment, word, &ages);

		length = extent_length(arena, segment, word);
		for (uint32_t i = 0; i < length; i++)
			reclaim->extents.costs[segment + i] = cost;
	}
}

/* The cheapest window of a length; segment_count: every one is blocked. */
static uint32_t cheapest(const struct reclaim *reclaim, uint32_t length)
{
	const uint32_t *costs = reclaim->extents.costs;
	uint32_t count = reclaim->arena->segment_count, best = count, blocked = 0;
	uint64_t sum = 0, best_sum = UINT64_MAX;

	for (uint32_t end = 0; end < count; end++) {
		blocked += costs[end] == BLOCKED;
		sum += costs[end];
		if (end >= length) {
			blocked -= costs[end - length] == BLOCKED;
			sum -= costs[end - length];
		}
		if (end + 1 >= length && blocked == 0 && sum < best_sum) {
			best_sum = sum;
			best = end + 1 - length;
		}
	}
	return best;
}

/* The head of the extent that a segment continues, or the segment itself. */
static uint32_t head_of(const struct arena *arena, uint32_t segment)
{
	uint32_t most = extent_length_max(arena);

	for (uint32_t back = 1; back < most && back <= segment; back++)
		if (extent_length(arena, segment - back, segment_load(arena, segment - back)) > back)
			return segment - back;
	return segment;
}

/* Rules out the segments of a window that views hold. Return: whether there are any. */
static bool block_viewed(struct reclaim *reclaim, uint32_t first, uint32_t length)
{
	bool viewed = false;

	for (uint32_t segment = first; segment < first + length; segment++) {
		if (!clients_view_pinned(&reclaim->clients, head_of(reclaim->arena, segment)))
			continue;
		reclaim->extents.costs[segment] = BLOCKED;
		viewed = true;
	}
	return viewed;
}

static bool choose(struct reclaim *reclaim, uint32_t length)
{
	struct extents *extents = &reclaim->extents;

	find_costs(reclaim);
	for (uint32_t i = 0; i < TRIES; i++) {
		uint32_t first = cheapest(reclaim, length);

		if (first == reclaim->arena->segment_count)
			break;
		if (block_viewed(reclaim, first, length))
			continue;
		extents->first = first;
		extents->length = length;
		extents->spoilt = false;
		return true;
	}
	return false;
}

/* What is wanted in a class, in segments, if it can be; 0: nothing. It comes from clients. */
static uint32_t wanted_in(const struct arena *arena, uint32_t extent_class_wanted)
{
	uint32_t length = load_relaxed(&arena->header->extent_wanted[extent_class_wanted]);

	if (length < 2 || length > extent_length_max(arena) || extent_class(length) != extent_class_wanted)
		return 0;
	return length;
}

/*
 * Who gave up cannot take his wish back, for it may be another's, too. So it is forgotten after some time, and whoever still waits
 * repeats it.
 */
static bool outlived(struct reclaim *reclaim, uint32_t extent_class_wanted, uint32_t length)
{
	uint64_t *since_ms = &reclaim->extents.wanted_ms[extent_class_wanted], now_ms = arena_now_ms(reclaim->arena);

	if (length == 0 || *since_ms == 0)
		*since_ms = length ? now_ms : 0;
	if (length == 0 || now_ms - *since_ms < WISH_MS)
		return false;
	*since_ms = 0;
	cas_relaxed(&reclaim->arena->header->extent_wanted[extent_class_wanted], &length, 0);
	return true;
}

static void begin(struct reclaim *reclaim)
{
	struct extents *extents = &reclaim->extents;

	if (extents->refused && monotonic_ms() - extents->since_ms < RETRY_MS)
		return;
	extents->refused = false;
	for (uint32_t i = 0; i < EXTENT_CLASSES; i++) {
		uint32_t extent_class_wanted = (extents->next_class + i) % EXTENT_CLASSES;
		uint32_t length = wanted_in(reclaim->arena, extent_class_wanted);

		if (outlived(reclaim, extent_class_wanted, length) || length == 0)
			continue;
		extents->next_class = extent_class_wanted + 1;
		extents->since_ms = monotonic_ms();
		extents->refused = !choose(reclaim, length);
		if (!extents->refused)
			break;
	}
}

/* ---- emptying it --------------------------------------------------------------------------------------------------- */

/* Makes a segment of the window come free. Return: whether it is in our hands. */
static bool clear(struct reclaim *reclaim, uint32_t segment)
{
	const struct arena *arena = reclaim->arena;

	switch (segment_load(arena, segment).state) {
	case SEGMENT_FREE:
		if (!segment_change(arena, segment, SEGMENT_FREE, SEGMENT_RESERVE))
			return false;
		fetch_add_relaxed(&arena->header->free_segments, (uint32_t)-1);
		failpoint("extents.claimed");
		return true;
	case SEGMENT_RESERVE:
		evacuator_withdraw(&reclaim->evacuator, segment);
		return true;
	case SEGMENT_OPEN:
		reclaim_condemn(reclaim, segment,
		                tenants_protected(&reclaim->tenants, segment_load(arena, segment).tenant)
		                        ? REASON_COMPACTED
		                        : REASON_CLEARED);
		return false;
	case SEGMENT_EXTENT:
		reclaim_condemn(reclaim, head_of(arena, segment), REASON_CLEARED);
		return false;
	case SEGMENT_ABSENT:
		if (resize_exchange(&reclaim->resize, segment))
			return true;
		reclaim->extents.spoilt |= reclaim->resize.poor;
		return false;
	case SEGMENT_INDEX:
		growth_rebuild(&reclaim->growth, segment);
		return false;
	default:
		return false; /* it is on its way */
	}
}

/* Whether something in the window is held, so that it may take for ever. */
static bool held_up(const struct reclaim *reclaim)
{
	const struct extents *extents = &reclaim->extents;
	uint64_t now_ms = monotonic_ms();

	if (now_ms - extents->since_ms < PATIENCE_MS)
		return false;
	for (uint32_t segment = extents->first; segment < extents->first + extents->length; segment++) {
		const struct work *work = &reclaim->work[head_of(reclaim->arena, segment)];

		if (work_held(work, now_ms))
			return true;
	}
	return false;
}

/* Lets what is in our hands be free. */
static void give_up(struct reclaim *reclaim)
{
	struct extents *extents = &reclaim->extents;

	for (uint32_t segment = extents->first; segment < extents->first + extents->length; segment++) {
		evacuator_withdraw(&reclaim->evacuator,
		                   segment); /* not yet, if the window was spoilt before its turn came */
		if (segment_change(reclaim->arena, segment, SEGMENT_RESERVE, SEGMENT_FREE))
			fetch_add_relaxed(&reclaim->arena->header->free_segments, 1);
	}
	extents->length = 0;
}

static void offer(struct reclaim *reclaim)
{
	struct extents *extents = &reclaim->extents;
	atomic_u32 *wanted = &reclaim->arena->header->extent_wanted[extent_class(extents->length)];
	uint32_t length = extents->length;

	extent_offer(reclaim->arena, extents->first, length, arena_now_ms(reclaim->arena));
	extents->length = 0;
	extents->kept = 0;
	extents->wanted_ms[extent_class(length)] = 0;
	cas_relaxed(wanted, &length, 0); /* unless somebody wants a longer one by now; who goes without asks again */
}

bool extents_run(struct reclaim *reclaim)
{
	struct extents *extents = &reclaim->extents;
	uint32_t cleared = 0;

	if (extents->length == 0)
		begin(reclaim);
	if (extents->length == 0)
		return false;
	for (uint32_t segment = extents->first; !extents->spoilt && segment < extents->first + extents->length;
	     segment++)
		cleared += clear(reclaim, segment);
	if (!extents->spoilt && cleared == extents->length)
		offer(reclaim);
	else if (extents->spoilt || held_up(reclaim))
		give_up(reclaim);
	return extents->length == 0;
}
