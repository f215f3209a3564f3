/* SPDX-License-Identifier: MIT */
#include "daemon/stall.h"

#define HURRY_PART 100u /* of stall_ms, */
#define HURRY_MS 5u     /* but not less than this */

static uint32_t hurry_at_least(uint32_t stall_ms)
{
	uint32_t hurry_ms = stall_ms / HURRY_PART > HURRY_MS ? stall_ms / HURRY_PART : HURRY_MS;

	return hurry_ms < stall_ms ? hurry_ms : stall_ms;
}

void stall_set(struct stall *stall, uint32_t stall_ms)
{
	*stall = (struct stall){ .stall_ms = stall_ms, .hurry_ms = hurry_at_least(stall_ms) };
}

uint32_t stall_patience_ms(struct stall *stall, bool memory_short, uint64_t now_ms)
{
	if (now_ms - stall->revoked_ms >= stall->stall_ms)
		stall->hurry_ms = hurry_at_least(stall->stall_ms);
	return memory_short ? stall->hurry_ms : stall->stall_ms;
}

void stall_revoked(struct stall *stall, uint64_t now_ms)
{
	stall->revoked_ms = now_ms;
	stall->hurry_ms = stall->hurry_ms < stall->stall_ms / 2 ? stall->hurry_ms * 2 : stall->stall_ms;
}
