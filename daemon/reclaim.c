/* SPDX-License-Identifier: MIT */
/*
 * How memory comes back. A data segment goes through these stages; many may be in each, and none waits for another:
 *
 *	DRAINING  condemned: writers that look at its state go elsewhere; we wait for those who pinned it before; then what is worth it
 *	          is moved, and the rest unlinked (evacuate.c)
 *	GRACE     empty: no slot refers to its objects any more; we wait for the sections that may still see them
 *	PINNED    only views can still hold it
 *
 * A replaced index segment, or what is left of an extent, goes through the last two in the same way; only that who may hold an index
 * segment in PINNED are those who are about to change one of its buckets: their late compare-and-swap must find the bucket as they
 * left it.
 *
 * The order of the steps is what makes it safe (epoch/epoch.h): state word, barrier, write pins, unlink, epoch, barrier, epoch words,
 * view pins. A thread that sits in a section for too long (stall.h) while somebody waits for memory is revoked; then the pins are
 * looked at once more, after another barrier, because the thread may have pinned just before.
 *
 * Nothing is kept here that could not be found again in the arena: a new keeper begins with adopt().
 */
#include "daemon/reclaim.h"

#include <stdlib.h>

#include "arena/ghost.h"
#include "base/failpoint.h"
#include "base/platform.h"
#include "daemon/log.h"
#include "daemon/reclaim_internal.h"
#include "daemon/room.h"
#include "epoch/grace.h"
#include "index/index.h"
#include "index/split.h"

#define IDLE_MS 250u      /* longest time between two looks at the arena */
#define EVACUATE_BATCH 4u /* segments emptied in one run, a few milliseconds each */

int reclaim_add_client(struct reclaim *reclaim, struct control *control)
{
	return clients_add(&reclaim->clients, control);
}

void reclaim_remove_client(struct reclaim *reclaim, struct control *control)
{
	clients_remove(&reclaim->clients, control, reclaim->evacuator.keeper);
}

static void enter_stage(struct reclaim *reclaim, uint32_t segment, enum stage stage)
{
	struct work *work = &reclaim->work[segment];

	reclaim->in_work += (stage != STAGE_NONE) - (work->stage != STAGE_NONE);
	work->stage = stage;
	work->since_ms = monotonic_ms();
	work->held_ms = 0;
	reclaim->advanced = true;
}

static void note_held(struct work *work)
{
	if (work->held_ms == 0)
		work->held_ms = monotonic_ms();
}

bool reclaim_condemn(struct reclaim *reclaim, uint32_t segment, enum reason reason)
{
	if (!segment_change(reclaim->arena, segment, SEGMENT_OPEN, SEGMENT_CONDEMNED))
		return false;
	failpoint("reclaim.condemned");
	reclaim->work[segment].reason = reason;
	enter_stage(reclaim, segment, STAGE_DRAINING);
	reclaim->unordered = true;
	return true;
}

/* ---- the stages ---------------------------------------------------------------------------------------------------- */

/* Empties a segment that nobody writes into. False: it must be opened again. */
static bool empty(struct reclaim *reclaim, uint32_t segment)
{
	const struct arena *arena = reclaim->arena;

	switch (reclaim->work[segment].reason) {
	case REASON_EXPIRED:
		/* A writer may have stored something that lives longer just before it saw the state. */
		if (room_expiry(arena, segment, segment_load(arena, segment)) > arena_now_ms(arena))
			return false;
		evacuate_expired(arena, segment);
		return true;
	case REASON_COMPACTED:
		return evacuate_compacted(&reclaim->evacuator, segment);
	case REASON_EVICTED:
		return evacuate_evicted(&reclaim->evacuator, reclaim->policy, segment, true);
	default:
		return evacuate_evicted(&reclaim->evacuator, reclaim->policy, segment,
		                        extents_may_keep(&reclaim->extents));
	}
}

/* Opens a segment again that could not be emptied; or an extent that the policy keeps, as one of the main pool from now on. */
static void reopen(struct reclaim *reclaim, uint32_t segment)
{
	const struct arena *arena = reclaim->arena;

	if (extents_overlap(&reclaim->extents, segment, extent_length(arena, segment, segment_load(arena, segment))))
		extents_kept(&reclaim->extents);
	if (reclaim->work[segment].reason == REASON_EVICTED || reclaim->work[segment].reason == REASON_CLEARED)
		segment_keep(arena, segment, POOL_MAIN, arena_now_ms(arena));
	else
		segment_change(arena, segment, SEGMENT_CONDEMNED, SEGMENT_OPEN);
	failpoint("reclaim.reopened");
	reclaim->reopened = true;
	enter_stage(reclaim, segment, STAGE_NONE);
}

/* DRAINING -> GRACE for all that have no writer. Return: how many went on. */
static uint32_t drain(struct reclaim *reclaim)
{
	struct arena *arena = reclaim->arena;
	uint32_t drained = 0;

	for (uint32_t segment = 0; segment < arena->segment_count && drained < EVACUATE_BATCH; segment++) {
		struct work *work = &reclaim->work[segment];

		if (work->stage != STAGE_DRAINING)
			continue;
		if (clients_write_pinned(&reclaim->clients, segment)) {
			note_held(work);
			continue;
		}
		failpoint("reclaim.drained");
		if (!empty(reclaim, segment)) {
			reopen(reclaim, segment);
			continue;
		}
		failpoint("reclaim.unlinked");
		enter_stage(reclaim, segment, STAGE_GRACE);
		work->epoch = UINT64_MAX;
		drained++;
	}
	if (!drained)
		return 0;
	reclaim->epoch = grace_begin(arena, reclaim->epoch);
	reclaim->unordered = true;
	for (uint32_t segment = 0; segment < arena->segment_count; segment++)
		if (reclaim->work[segment].stage == STAGE_GRACE && reclaim->work[segment].epoch == UINT64_MAX)
			reclaim->work[segment].epoch = reclaim->epoch;
	return drained;
}

static bool memory_short(const struct reclaim *reclaim)
{
	const struct arena_header *header = reclaim->arena->header;

	return reclaim->extents.length != 0 ||
	       load_relaxed(&header->free_segments) < load_relaxed(&header->free_low_mark);
}

/* Revokes whoever has held a grace period up for too long. Return: how many. */
static uint32_t revoke_stalled(struct reclaim *reclaim)
{
	uint64_t now_ms = monotonic_ms();
	uint64_t epoch = 0;
	uint32_t revoked = 0, patience_ms = stall_patience_ms(&reclaim->stall, memory_short(reclaim), now_ms);

	for (uint32_t segment = 0; segment < reclaim->arena->segment_count; segment++) {
		const struct work *work = &reclaim->work[segment];

		if (work->stage == STAGE_GRACE && now_ms - work->since_ms >= patience_ms && work->epoch > epoch)
			epoch = work->epoch;
	}
	if (epoch)
		revoked = clients_revoke(&reclaim->clients, epoch);
	if (!revoked)
		return 0;
	reclaim->unordered = true;
	stall_revoked(&reclaim->stall, now_ms);
	log_line(LOG_INFO, "%u stopped thread%s will start over when it goes on", revoked, revoked == 1 ? "" : "s");
	return revoked;
}

/* Readies a retired segment for its next life: in an extent, in the reserve, or free. */
static void recycle(struct reclaim *reclaim, uint32_t segment)
{
	struct arena_header *header = reclaim->arena->header;

	if (extents_claims(&reclaim->extents, segment)) {
		segment_recycle_to_reserve(reclaim->arena, segment);
	} else if (evacuator_wants(&reclaim->evacuator) &&
	           load_relaxed(&header->free_segments) < load_relaxed(&header->free_low_mark)) {
		segment_recycle_to_reserve(reclaim->arena, segment);
		evacuator_give(&reclaim->evacuator, segment);
	} else if (resize_claims(&reclaim->resize)) {
		segment_recycle_to_absent(reclaim->arena, segment);
		resize_note_absent(&reclaim->resize, segment);
	} else {
		segment_recycle(reclaim->arena, segment);
	}
}

static void count_given_back(struct arena_header *header, enum reason reason, uint32_t length)
{
	if (reason == REASON_EXPIRED)
		fetch_add_relaxed(&header->expired_segments, length);
	if (reason == REASON_EVICTED || reason == REASON_CLEARED)
		fetch_add_relaxed(&header->evicted_segments, length);
	if (reason == REASON_COMPACTED)
		fetch_add_relaxed(&header->compacted_segments, length);
	if (reason == REASON_QUOTA)
		fetch_add_relaxed(&header->quota_segments, length);
}

static void give_back(struct reclaim *reclaim, uint32_t segment)
{
	const struct arena *arena = reclaim->arena;
	struct segment_word word = segment_load(arena, segment);
	uint32_t length = extent_length(arena, segment, word);

	count_given_back(arena->header, reclaim->work[segment].reason, length);
	failpoint("reclaim.retiring");
	segment_change(arena, segment, SEGMENT_CONDEMNED, SEGMENT_RETIRED);
	failpoint("reclaim.retired");
	for (uint32_t i = 1; i < length; i++) {
		if (!segment_change(arena, segment + i, SEGMENT_EXTENT, SEGMENT_RETIRED))
			continue; /* it was written over */
		failpoint("reclaim.extent_retired");
		recycle(reclaim, segment + i);
	}
	recycle(reclaim, segment);
	if (reclaim->work[segment].reason != REASON_RETIRED)
		segment_add_room(arena, word.tenant, length);
	enter_stage(reclaim, segment, STAGE_NONE);
}

/* GRACE -> PINNED -> free. Return: how many became free. */
static uint32_t finish(struct reclaim *reclaim)
{
	uint64_t oldest = clients_oldest_section(&reclaim->clients);
	uint32_t freed = 0;

	for (uint32_t segment = 0; segment < reclaim->arena->segment_count; segment++) {
		struct work *work = &reclaim->work[segment];

		if (work->stage == STAGE_GRACE && oldest >= work->epoch)
			enter_stage(reclaim, segment, STAGE_PINNED);
		if (work->stage != STAGE_PINNED)
			continue;
		if (work->reason == REASON_RETIRED ? clients_index_pinned(&reclaim->clients, segment)
		                                   : clients_view_pinned(&reclaim->clients, segment)) {
			note_held(work);
			continue;
		}
		give_back(reclaim, segment);
		freed++;
	}
	return freed;
}

void reclaim_retired(struct reclaim *reclaim, uint32_t segment)
{
	failpoint("reclaim.index_retired");
	reclaim->work[segment].reason = REASON_RETIRED;
	reclaim->epoch = grace_begin(reclaim->arena, reclaim->epoch);
	reclaim->unordered = true;
	reclaim->work[segment].epoch = reclaim->epoch;
	enter_stage(reclaim, segment, STAGE_GRACE);
}

/*
 * Lets what clients pinned and entered before be seen. One barrier after a segment is condemned, one after an epoch begins, and one
 * after a thread is revoked is enough: what is seen then can only end, which is seen without, and what begins later begins too late for
 * that segment. So a keeper that waits for a view does not interrupt everybody all the time. One that failed is made up for before
 * anything is looked at again. Return: 0, -errno.
 */
static int order(struct reclaim *reclaim)
{
	int result = reclaim->unordered ? grace_barrier(reclaim->arena) : 0;

	reclaim->unordered = result != 0;
	return result;
}

static void tell_writers(const struct arena *arena)
{
	failpoint("reclaim.telling");
	/* R21 -> A21: a writer that saw the number before it looked for room does not sleep through this. */
	fetch_add_release(&arena->header->free_sequence, 1);
	failpoint("reclaim.waking");
	platform_futex_wake(&arena->header->free_sequence);
}

uint32_t reclaim_run(struct reclaim *reclaim)
{
	struct arena *arena = reclaim->arena;
	uint64_t now_ms = arena_now_ms(arena);
	uint32_t freed, retired, free, idle_ms;
	uint64_t next_expiry_ms = room_condemn_expired(reclaim, now_ms);
	struct survey survey;
	bool growing, resizing, more = false;

	grace_restore(arena, reclaim->epoch);
	reclaim->reopened = reclaim->advanced = false;
	survey_take(arena, &survey);
	free = survey.free;
	resizing = resize_step(&reclaim->resize, &survey);
	freed = survey.free > free;
	evacuator_fit(&reclaim->evacuator, reclaim->resize.target);
	store_relaxed(&arena->header->free_segments,
	              survey.free); /* it is only a hint to writers, and may have drifted */
	growing = growth_run(&reclaim->growth, arena, &retired);
	if (retired != GROWTH_NONE) {
		reclaim_retired(reclaim, retired);
		tell_writers(arena);
	}
	clients_read(&reclaim->clients,
	             reclaim->evacuator.keeper); /* what they used is known before anything is evicted */
	tenants_tell(&reclaim->tenants, &survey);
	room_keep_limits(reclaim, &survey);
	extents_sweep(reclaim);
	if (extents_run(reclaim))
		tell_writers(arena);
	room_make(reclaim, &survey);
	ghost_set_window(arena, evacuator_ghost_window(&reclaim->evacuator, survey.main_data));
	estimate_tell(&reclaim->estimate, &survey);
	if (reclaim->in_work) {
		if (order(reclaim))
			return RECLAIM_WAITING_MS;
		more = drain(reclaim) == EVACUATE_BATCH;
		if (order(reclaim))
			return RECLAIM_WAITING_MS;
		failpoint("reclaim.ordered");
		freed += finish(reclaim);
		if (reclaim->in_work && revoke_stalled(reclaim) && !order(reclaim))
			freed += finish(reclaim);
	}
	if (freed)
		tell_writers(arena);
	/* What a thread in a revoked section still reads is not given back. */
	if (reclaim->resize.unreleased && clients_revoked(&reclaim->clients) == 0)
		resizing |= resize_release(&reclaim->resize);
	if (growing || resizing || more)
		return 0;
	if (reclaim->in_work || extents_busy(&reclaim->extents) || (reclaim->reopened && memory_short(reclaim)))
		return RECLAIM_WAITING_MS;
	idle_ms = reclaim->audit.walking ? audit_pause_ms(&reclaim->audit) : IDLE_MS;
	return next_expiry_ms < now_ms + idle_ms ? (uint32_t)(next_expiry_ms - now_ms) : idle_ms;
}

bool reclaim_gained(const struct reclaim *reclaim)
{
	return reclaim->advanced && !reclaim->reopened;
}

bool reclaim_held_up(const struct reclaim *reclaim)
{
	uint64_t now_ms = monotonic_ms();

	for (uint32_t segment = 0; reclaim->in_work && segment < reclaim->arena->segment_count; segment++)
		if (reclaim->work[segment].stage != STAGE_NONE &&
		    now_ms - reclaim->work[segment].since_ms >= reclaim->stall.stall_ms)
			return true;
	return false;
}

/* ---- taking charge ------------------------------------------------------------------------------------------------- */

/* Takes up what an earlier keeper left. */
static void adopt(struct reclaim *reclaim)
{
	struct arena *arena = reclaim->arena;

	for (uint32_t segment = arena->system_segments; segment < arena->segment_count; segment++) {
		switch (segment_load(arena, segment).state) {
		case SEGMENT_CONDEMNED:
			/* Its memory is untouched. If it must go, it will be chosen again. */
			segment_change(arena, segment, SEGMENT_CONDEMNED, SEGMENT_OPEN);
			failpoint("adopt.reopened");
			break;
		case SEGMENT_RESERVE:
			segment_change(arena, segment, SEGMENT_RESERVE, SEGMENT_FREE); /* it is as clean */
			break;
		case SEGMENT_RETIRED:
			failpoint("adopt.retired");
			reclaim_retired(reclaim, segment);
			break;
		case SEGMENT_INDEX:
			growth_resume_merge(arena, segment);
			if (!growth_reachable(arena, segment) &&
			    segment_change(arena, segment, SEGMENT_INDEX, SEGMENT_RETIRED)) {
				failpoint("adopt.orphan");
				reclaim_retired(reclaim, segment);
			}
			break;
		default:
			break;
		}
	}
}

struct reclaim *reclaim_create(struct cache_thread *keeper, uint32_t stall_ms)
{
	struct arena *arena = &keeper->cache->arena;
	struct reclaim *reclaim = calloc(1, sizeof *reclaim + arena->segment_count * sizeof(struct work));

	if (!reclaim)
		return NULL;
	if (resize_init(&reclaim->resize, arena) || extents_init(&reclaim->extents, arena) ||
	    audit_init(&reclaim->audit, arena)) {
		extents_destroy(&reclaim->extents);
		resize_free(&reclaim->resize);
		free(reclaim);
		return NULL;
	}
	reclaim->arena = arena;
	stall_set(&reclaim->stall, stall_ms);
	estimate_init(&reclaim->estimate, arena);
	clients_init(&reclaim->clients, arena, &reclaim->estimate);
	reclaim->policy = &policy_s3fifo;
	tenants_init(&reclaim->tenants, arena);
	evacuator_init(&reclaim->evacuator, keeper);
	growth_init(&reclaim->growth);
	reclaim->epoch = grace_first(arena);
	failpoint("adopt.beginning");
	adopt(reclaim);
	return reclaim;
}

void reclaim_destroy(struct reclaim *reclaim)
{
	if (!reclaim)
		return;
	audit_destroy(&reclaim->audit);
	extents_destroy(&reclaim->extents);
	clients_destroy(&reclaim->clients);
	estimate_destroy(&reclaim->estimate);
	resize_free(&reclaim->resize);
	free(reclaim);
}

struct tenants *reclaim_tenants(struct reclaim *reclaim)
{
	return &reclaim->tenants;
}

struct resize *reclaim_resize(struct reclaim *reclaim)
{
	return &reclaim->resize;
}

void reclaim_set_stall(struct reclaim *reclaim, uint32_t stall_ms)
{
	stall_set(&reclaim->stall, stall_ms);
}

void reclaim_set_policy(struct reclaim *reclaim, const struct policy *policy)
{
	reclaim->policy = policy;
}
