/* SPDX-License-Identifier: MIT */
#include "daemon/pace.h"

static uint32_t clamp(uint64_t us)
{
	return us < PACE_SHORTEST_US ? PACE_SHORTEST_US : us > PACE_LONGEST_US ? PACE_LONGEST_US : (uint32_t)us;
}

void pace_note(struct pace *pace, uint64_t began_us, uint64_t ended_us, bool progress)
{
	pace->looked_us = ended_us;
	pace->pause_us = clamp(progress ? ended_us - began_us : (uint64_t)pace->pause_us * 2);
}

uint32_t pace_left_us(const struct pace *pace, uint64_t now_us)
{
	uint64_t since_us = now_us - pace->looked_us;

	return since_us < pace->pause_us ? pace->pause_us - (uint32_t)since_us : 0;
}
