/* SPDX-License-Identifier: MIT */
#include "daemon/policy.h"

#define PROBATION_SHARE 10 /* one part in so many of the data is probation */
#define USES_TO_STAY 1     /* in probation */

static enum pool s3fifo_choose(const struct survey_share *share)
{
	/* What is being emptied counts as well: most of it may come to main. */
	uint32_t data = share->open + share->condemned;

	if (share->data[POOL_MAIN] == 0)
		return POOL_PROBATION;
	return share->data[POOL_PROBATION] * PROBATION_SHARE > data ? POOL_PROBATION : POOL_MAIN;
}

static bool s3fifo_keep(enum pool pool, uint32_t *heat)
{
	uint32_t uses = *heat;

	*heat = pool == POOL_MAIN && uses ? uses - 1 : 0;
	return pool == POOL_MAIN ? uses > 0 : uses >= USES_TO_STAY;
}

const struct policy policy_s3fifo = { "s3-fifo", s3fifo_choose, s3fifo_keep, true };

static enum pool fifo_choose(const struct survey_share *share)
{
	const struct survey_queue *probation = &share->oldest[POOL_PROBATION], *main = &share->oldest[POOL_MAIN];

	if (main->count == 0)
		return POOL_PROBATION;
	return probation->count && probation->keys[0] <= main->keys[0] ? POOL_PROBATION : POOL_MAIN;
}

static bool fifo_keep(enum pool pool, uint32_t *heat)
{
	(void)pool, (void)heat;
	return false;
}

const struct policy policy_fifo = { "fifo", fifo_choose, fifo_keep, false };

const struct policy *policy_of(uint64_t number)
{
	static const struct policy *const all[] = { &policy_s3fifo,
		                                    &policy_fifo }; /* in the order of daemon/config.h */

	return all[number < sizeof all / sizeof all[0] ? number : 0];
}
