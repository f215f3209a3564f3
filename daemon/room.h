/* SPDX-License-Identifier: MIT */
/* Which segments go, and when: what has expired, what is mostly dead, and when memory runs low what is worth the least. */
#ifndef LARDER_DAEMON_ROOM_H
#define LARDER_DAEMON_ROOM_H

#include "daemon/reclaim.h"
#include "daemon/survey.h"

/* When the last object of a segment will have expired (arena time); UINT64_MAX: some do not. */
uint64_t room_expiry(const struct arena *arena, uint32_t segment, struct segment_word word);

/* Condemns what has expired. Return: when the next will, in arena time. */
uint64_t room_condemn_expired(struct reclaim *reclaim, uint64_t now_ms);

/* Who is about to come to its limit makes its own room. */
void room_keep_limits(struct reclaim *reclaim, struct survey *survey);

/* When memory runs low, something must go: first what is dead, then what is worth the least. While it is not, at leisure, what is half dead. */
void room_make(struct reclaim *reclaim, struct survey *survey);

#endif
