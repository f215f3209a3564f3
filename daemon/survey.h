/* SPDX-License-Identifier: MIT */
/* One look at the whole segment table: what there is, and which segments are candidates to be emptied. */
#ifndef LARDER_DAEMON_SURVEY_H
#define LARDER_DAEMON_SURVEY_H

#include "arena/segment.h"

#define SURVEY_QUEUE 16

/* The first so many segments by some key, in ascending order of it. */
struct survey_queue {
	uint32_t count;
	uint32_t segments[SURVEY_QUEUE];
	uint64_t keys[SURVEY_QUEUE];
};

/* What a tenant has. */
struct survey_share {
	uint32_t open, condemned;          /* data segments */
	uint32_t data[POOLS];              /* full open ones of each pool */
	struct survey_queue oldest[POOLS]; /* full ones, in the order in which they were opened */
	struct survey_queue filling;       /* those in which somebody allocates, in the same order */
};

struct survey {
	uint32_t free;
	uint32_t absent;
	uint32_t index;                   /* index segments, and those that will be or were */
	uint64_t dead_bytes, empty_bytes; /* in all data segments; empty: not taken by writers yet */
	uint32_t main_data;               /* full segments of the main pool */
	struct survey_share shares[TENANTS];
	struct survey_queue wasted; /* full ones, by how many bytes of them are not dead */
};

/* Whether a data segment is the one in which its slab allocates. */
bool survey_is_filling(const struct arena *arena, uint32_t segment, struct segment_word word);

void survey_take(const struct arena *arena, struct survey *ret_survey);

#endif
