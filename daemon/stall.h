/* SPDX-License-Identifier: MIT */
/*
 * How long the keeper waits for a thread that stands still in a section before it revokes it: at leisure stall_ms. While memory is
 * short that is too long: at full speed writers use up what is free in a few milliseconds, and would all wait for one
 * stopped thread. A section takes microseconds, and a revoked one is only done once more, so then a hundredth of it must
 * do. That is doubled with each revocation, up to stall_ms, until for so long there was none: a section that does take
 * long, such as one that copies many large values, is not revoked for ever.
 */
#ifndef LARDER_DAEMON_STALL_H
#define LARDER_DAEMON_STALL_H

#include <stdbool.h>
#include <stdint.h>

struct stall {
	uint32_t stall_ms;
	uint32_t hurry_ms;   /* instead of that while memory is short */
	uint64_t revoked_ms; /* when somebody was revoked last */
};

void stall_set(struct stall *stall, uint32_t stall_ms);

/* How long a thread is waited for at this moment. */
uint32_t stall_patience_ms(struct stall *stall, bool memory_short, uint64_t now_ms);

/* Somebody was revoked. */
void stall_revoked(struct stall *stall, uint64_t now_ms);

#endif
