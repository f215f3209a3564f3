/* SPDX-License-Identifier: MIT */
#include "daemon/room.h"

#include "daemon/reclaim_internal.h"

#define CONDEMN_BATCH 16u  /* segments taken into work at once */
#define WASTE_SHARE 2      /* compacted at leisure: what is dead for one part in so many */
#define WASTE_SHARE_LOW 14 /* and rather than evict, when memory is low, */
#define WASTE_SHARE_HURRY \
	5 /* or so low that writers may soon wait for it: then not so much is moved to win so little */
#define EMPTY_LIFE_MS 1000u /* how long a segment in which nothing was stored yet stays */

uint64_t room_expiry(const struct arena *arena, uint32_t segment, struct segment_word word)
{
	uint64_t expires_ms = load_relaxed(&arena->table[segment].expires_ms);
	uint64_t opened_ms = load_relaxed(&arena->table[segment].opened_ms);

	if (word.ttl_class == 0)
		return UINT64_MAX;
	return expires_ms ? expires_ms : opened_ms + EMPTY_LIFE_MS;
}

uint64_t room_condemn_expired(struct reclaim *reclaim, uint64_t now_ms)
{
	uint64_t next = UINT64_MAX;

	for (uint32_t segment = reclaim->arena->system_segments; segment < reclaim->arena->segment_count; segment++) {
		struct segment_word word = segment_load(reclaim->arena, segment);
		uint64_t expires_ms;

		if (word.state != SEGMENT_OPEN)
			continue;
		expires_ms = room_expiry(reclaim->arena, segment, word);
		if (expires_ms <= now_ms)
			reclaim_condemn(reclaim, segment, REASON_EXPIRED);
		else if (expires_ms < next)
			next = expires_ms;
	}
	return next;
}

/* How many segments of one in work become free with it: those of an extent, but not what is kept for another extent. */
static uint32_t free_with(const struct reclaim *reclaim, uint32_t segment)
{
	uint32_t length = extent_length(reclaim->arena, segment, segment_load(reclaim->arena, segment)), count = 0;

	for (uint32_t i = 0; i < length; i++)
		count += !extents_claims(&reclaim->extents, segment + i);
	return count;
}

/*
 * Segments that can be expected to be free soon. One that a view or a writer has held for some time is not counted any more: who
 * holds it may itself be waiting for memory. Until then it is, or views held for a moment would drive everything else out. One that
 * only waits for its turn is counted however long that takes, or a keeper that cannot keep up would condemn ever more.
 */
static uint32_t coming_free(const struct reclaim *reclaim)
{
	uint64_t now_ms = monotonic_ms();
	uint32_t coming = 0;

	for (uint32_t segment = 0; reclaim->in_work && segment < reclaim->arena->segment_count; segment++) {
		const struct work *work = &reclaim->work[segment];

		if (work->stage != STAGE_NONE && !work_held(work, now_ms))
			coming += free_with(reclaim, segment);
	}
	return coming;
}

/* Condemns the first segment of a queue that can be. Return: its place in the queue, or its length. */
static uint32_t condemn_first(struct reclaim *reclaim, struct survey *survey, const struct survey_queue *queue,
                              enum reason reason)
{
	uint32_t place = 0;

	while (place < queue->count && !reclaim_condemn(reclaim, queue->segments[place], reason))
		place++;
	if (place < queue->count) {
		uint32_t segment = queue->segments[place];
		struct segment_word word = segment_load(reclaim->arena, segment);
		uint32_t length = extent_length(reclaim->arena, segment, word);
		struct survey_share *share = &survey->shares[word.tenant];

		share->open -= length;
		share->condemned += length;
		share->data[word.pool] -= queue != &share->filling ? length : 0;
	}
	return place;
}

/* Compacts the segment with the most dead bytes, if they are one part of it in so many. Return: how many they are. */
static uint64_t condemn_wasted(struct reclaim *reclaim, struct survey *survey, uint32_t share)
{
	struct survey_queue worth = survey->wasted;
	uint64_t bytes = reclaim->arena->segment_bytes;
	uint32_t place;

	if (survey->free + reclaim->evacuator.reserve_count == 0)
		return 0;
	while (worth.count && (bytes - worth.keys[worth.count - 1]) * share < bytes)
		worth.count--;
	place = condemn_first(reclaim, survey, &worth, REASON_COMPACTED);
	return place < worth.count ? bytes - worth.keys[place] : 0;
}

/*
 * Evicts a tenant's next segment of the pool that the policy names; only if none is full, one that is still being filled. Return: how
 * many segments come free with it.
 */
static uint32_t condemn_of(struct reclaim *reclaim, struct survey *survey, uint32_t tenant, enum reason reason)
{
	struct survey_share *share = &survey->shares[tenant];
	const struct survey_queue *queue = &share->filling;
	uint32_t place;

	if (share->data[POOL_PROBATION] + share->data[POOL_MAIN] != 0)
		queue = &share->oldest[reclaim->policy->choose(share)];
	place = condemn_first(reclaim, survey, queue, reason);
	return place < queue->count ? free_with(reclaim, queue->segments[place]) : 0;
}

static uint32_t condemn_next(struct reclaim *reclaim, struct survey *survey)
{
	uint32_t victim = tenants_victim(&reclaim->tenants, survey);

	return victim != TENANT_NONE ? condemn_of(reclaim, survey, victim, REASON_EVICTED) : 0;
}

void room_keep_limits(struct reclaim *reclaim, struct survey *survey)
{
	for (uint32_t tenant = 0; tenant < TENANTS; tenant++)
		for (uint32_t i = 0; i < CONDEMN_BATCH && tenants_overdrawn(&reclaim->tenants, survey, tenant); i++)
			if (condemn_of(reclaim, survey, tenant, REASON_QUOTA) == 0)
				break;
}

void room_make(struct reclaim *reclaim, struct survey *survey)
{
	uint32_t low = load_relaxed(&reclaim->arena->header->free_low_mark);
	uint32_t wanted = reclaim->growth.segments_wanted + reclaim->resize.surplus,
		 target = low + (low + 1) / 2 + wanted;
	uint64_t bytes = reclaim->arena->segment_bytes, gained;
	uint32_t waste_share = survey->free * 2 < low ? WASTE_SHARE_HURRY : WASTE_SHARE_LOW;

	if (survey->free >= low + wanted) {
		if (coming_free(reclaim) == 0) { /* what is only held may be so for hours */
			condemn_wasted(reclaim, survey, WASTE_SHARE);
			audit_step(&reclaim->audit);
		}
		return;
	}
	while (evacuator_wants(&reclaim->evacuator) && survey->free > 1) {
		uint32_t segment;

		if (!segment_take_reserve(reclaim->arena, &segment))
			break;
		evacuator_give(&reclaim->evacuator, segment);
		survey->free--;
	}
	gained = (survey->free + coming_free(reclaim)) * bytes;
	for (uint32_t i = 0; i < CONDEMN_BATCH && gained < target * bytes; i++) {
		uint64_t dead_bytes = condemn_wasted(reclaim, survey, waste_share);

		gained += dead_bytes ? dead_bytes : condemn_next(reclaim, survey) * bytes;
	}
}
