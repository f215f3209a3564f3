/* SPDX-License-Identifier: MIT */
#include "daemon/policy.h"

#define PROBATION_SHARE 10 /* one part in so many of the data is probation */
#define GROWING_SHARE 5    /* and with more than one in so many, main is still growing */
#define USES_TO_STAY 2
#define USES_WHILE_GROWING 1

/* Whether probation has more than one part in so many of a tenant's data. */
static bool probation_exceeds(const struct survey_share *share, uint32_t parts)
{
	return share->data[POOL_PROBATION] * parts > share->data[POOL_PROBATION] + share->data[POOL_MAIN];
}

static enum pool s3fifo_choose(const struct survey_share *share)
{
	return share->data[POOL_MAIN] == 0 || probation_exceeds(share, PROBATION_SHARE) ? POOL_PROBATION : POOL_MAIN;
}

static bool s3fifo_keep(const struct survey_share *share, enum pool pool, uint32_t *heat)
{
	uint32_t uses = *heat;

	*heat = pool == POOL_MAIN && uses ? uses - 1 : 0;
	if (pool == POOL_MAIN)
		return uses > 0;
	return uses >= (probation_exceeds(share, GROWING_SHARE) ? USES_WHILE_GROWING : USES_TO_STAY);
}

const struct policy policy_s3fifo = { "s3-fifo", s3fifo_choose, s3fifo_keep, true };

static enum pool fifo_choose(const struct survey_share *share)
{
	const struct survey_queue *probation = &share->oldest[POOL_PROBATION], *main = &share->oldest[POOL_MAIN];

	if (main->count == 0)
		return POOL_PROBATION;
	return probation->count && probation->keys[0] <= main->keys[0] ? POOL_PROBATION : POOL_MAIN;
}

static bool fifo_keep(const struct survey_share *share, enum pool pool, uint32_t *heat)
{
	(void)share, (void)pool, (void)heat;
	return false;
}

const struct policy policy_fifo = { "fifo", fifo_choose, fifo_keep, false };

const struct policy *policy_of(uint64_t number)
{
	static const struct policy *const all[] = { &policy_s3fifo,
		                                    &policy_fifo }; /* in the order of daemon/config.h */

	return all[number < sizeof all / sizeof all[0] ? number : 0];
}
