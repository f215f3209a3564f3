/* SPDX-License-Identifier: MIT */
#include "daemon/tenant.h"

#include <inttypes.h>

#include "daemon/log.h"

#define SEGMENTS_SENSIBLE 8u /* of a guarantee: a tenant fills several segments at a time, one for each life and pool */

void tenants_init(struct tenants *tenants, const struct arena *arena)
{
	*tenants = (struct tenants){ .arena = arena };
	for (uint32_t number = 1; number < TENANTS; number++) {
		const struct tenant *shared = &arena->header->tenants[number];
		uint32_t kind = load_relaxed(&shared->kind);

		if (kind == TENANT_USER || kind == TENANT_GROUP) {
			tenants->tenants[number].kind = (enum tenant_kind)kind;
			tenants->tenants[number].id = load_relaxed(&shared->id);
		}
	}
}

/* The number that a user or group has, or is to have: one that nobody has, best one of which there is no memory left. */
static uint32_t number_for(const struct tenants *tenants, enum tenant_kind kind, uint32_t id)
{
	uint32_t unused = 0, empty = 0;

	for (uint32_t number = 1; number < TENANTS; number++) {
		if (tenants->tenants[number].kind == kind && tenants->tenants[number].id == id)
			return number;
		if (tenants->tenants[number].kind != TENANT_NOBODY)
			continue;
		unused = unused ? unused : number;
		if (!empty && load_relaxed(&tenants->arena->header->tenants[number].used) == 0)
			empty = number;
	}
	return empty ? empty : unused;
}

static bool is_configured(const struct config_quotas *quotas, enum tenant_kind kind, uint32_t id)
{
	for (uint32_t i = 0; i < quotas->count; i++)
		if (quotas->quota[i].kind == kind && quotas->quota[i].id == id)
			return true;
	return false;
}

static uint32_t segments_of(const struct arena *arena, uint64_t bytes)
{
	return (uint32_t)((bytes + arena->segment_bytes - 1) >> arena->segment_shift);
}

static void publish(const struct tenants *tenants)
{
	for (uint32_t number = 0; number < TENANTS; number++) {
		struct tenant *shared = &tenants->arena->header->tenants[number];

		store_relaxed(&shared->kind, tenants->tenants[number].kind);
		store_relaxed(&shared->id, tenants->tenants[number].id);
		store_relaxed(&shared->guarantee, tenants->tenants[number].guarantee);
		store_relaxed(&shared->limit, tenants->tenants[number].limit);
	}
}

static void warn_of_small_ones(const struct config_quota *quota, const struct arena *arena)
{
	uint64_t least = quota->guarantee && (!quota->limit || quota->guarantee < quota->limit) ? quota->guarantee
	                                                                                        : quota->limit;

	if (least && segments_of(arena, least) < SEGMENTS_SENSIBLE)
		log_warning("quota of %s %" PRIu32 ": %" PRIu64 " bytes are less than %u segments of %" PRIu64
		            ", of which a tenant fills several at a time: they hold little",
		            quota->kind == TENANT_USER ? "user" : "group", quota->id, least, SEGMENTS_SENSIBLE,
		            arena->segment_bytes);
}

void tenants_configure(struct tenants *tenants, const struct config_quotas *quotas)
{
	for (uint32_t number = 1; number < TENANTS; number++) {
		tenants->tenants[number].guarantee = tenants->tenants[number].limit = 0;
		if (!is_configured(quotas, tenants->tenants[number].kind, tenants->tenants[number].id))
			tenants->tenants[number].kind = TENANT_NOBODY;
	}
	for (uint32_t i = 0; i < quotas->count; i++) {
		const struct config_quota *quota = &quotas->quota[i];
		uint32_t number = number_for(tenants, (enum tenant_kind)quota->kind, quota->id);

		warn_of_small_ones(quota, tenants->arena);
		tenants->tenants[number].kind = (enum tenant_kind)quota->kind;
		tenants->tenants[number].id = quota->id;
		tenants->tenants[number].guarantee = segments_of(tenants->arena, quota->guarantee);
		tenants->tenants[number].limit = (uint32_t)(quota->limit >> tenants->arena->segment_shift);
		if (quota->limit && tenants->tenants[number].limit == 0)
			tenants->tenants[number].limit = 1;
	}
	publish(tenants);
}

uint32_t tenants_number_of(const struct tenants *tenants, const struct config_quota *quota)
{
	return quota ? number_for(tenants, (enum tenant_kind)quota->kind, quota->id) : 0;
}

uint32_t tenants_victim(const struct tenants *tenants, const struct survey *survey)
{
	uint32_t victim = TENANT_NONE;
	int64_t most = INT64_MIN;

	for (uint32_t number = 0; number < TENANTS; number++) {
		const struct survey_share *share = &survey->shares[number];
		int64_t excess = (int64_t)share->open - tenants->tenants[number].guarantee;

		if (share->data[POOL_PROBATION] + share->data[POOL_MAIN] + share->filling.count == 0 || excess <= most)
			continue;
		most = excess;
		victim = number;
	}
	return victim;
}

/* Of a limit, what shall be free for writers to go on while the keeper makes more room. */
static uint32_t slack(uint32_t limit)
{
	return limit < 64 ? limit > 1 : limit / 64;
}

/* What it waits for, if it can ever have it. It is told by writers. */
static uint32_t wanted_by(const struct tenants *tenants, uint32_t tenant)
{
	uint32_t wanted = load_relaxed(&tenants->arena->header->tenants[tenant].wanted);

	return wanted <= tenants->tenants[tenant].limit ? wanted : 0;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

bool tenants_overdrawn(const struct tenants *tenants, const struct survey *survey, uint32_t tenant)
{
	const struct survey_share *share = &survey->shares[tenant];
	uint32_t limit = tenants->tenants[tenant].limit;

	if (limit == 1) /* it can have none in reserve: the one goes when it is full */
		return share->data[POOL_PROBATION] + share->data[POOL_MAIN] > 0;
	return limit && survey->shares[tenant].open > limit - larger(slack(limit), wanted_by(tenants, tenant));
}

bool tenants_protected(const struct tenants *tenants, uint32_t tenant)
{
	return load_relaxed(&tenants->arena->header->tenants[tenant].used) <= tenants->tenants[tenant].guarantee;
}

static uint32_t room_of(uint32_t limit, uint32_t used)
{
	return !limit ? ROOM_UNLIMITED : used < limit ? limit - used : 0;
}

void tenants_tell(const struct tenants *tenants, const struct survey *survey)
{
	uint32_t sharing = 1;

	for (uint32_t number = 0; number < TENANTS; number++) {
		const struct survey_share *share = &survey->shares[number];
		uint32_t used = share->open + share->condemned;

		store_relaxed(&tenants->arena->header->tenants[number].used, used);
		segment_set_room(tenants->arena, number, room_of(tenants->tenants[number].limit, used));
		if (used + wanted_by(tenants, number) <= tenants->tenants[number].limit)
			store_relaxed(&tenants->arena->header->tenants[number].wanted, 0); /* it is there now */
		sharing += tenants->tenants[number].kind != TENANT_NOBODY;
	}
	store_relaxed(&tenants->arena->header->class_shift,
	              segment_class_shift(arena_segment_target(tenants->arena) / sharing));
}
