/* SPDX-License-Identifier: MIT */
/* When the index grows or shrinks, and which of its segments: the keeper's part of index/split.h. One segment at a time. */
#ifndef LARDER_DAEMON_GROWTH_H
#define LARDER_DAEMON_GROWTH_H

#include "arena/arena.h"

#define GROWTH_NONE UINT32_MAX

struct growth {
	uint32_t segment;         /* being split or merged, or GROWTH_NONE */
	uint32_t sibling;         /* retired together with the one that was reported last, or GROWTH_NONE */
	uint32_t next_home;       /* its first bucket not yet known to have moved */
	uint32_t next_entry;      /* of the directory, to be looked at next for segments that should be merged */
	uint32_t segments_wanted; /* free ones that a split waits for */
	uint32_t rebuild;         /* to be built anew elsewhere, or GROWTH_NONE */
};

void growth_init(struct growth *growth);

/*
 * Does a bounded piece of the work. Return: whether there is more to do at once. ret_retired: a segment whose split or
 * merge is finished and that now waits for its readers, or GROWTH_NONE.
 */
bool growth_run(struct growth *growth, const struct arena *arena, uint32_t *ret_retired);

/* Wants the place of an index segment: it is built anew in another, or split, as soon as nothing else is being split. */
void growth_rebuild(struct growth *growth, uint32_t segment);

/*
 * Takes up a merge that an earlier keeper had begun for the lower of two segments, this one, only. Writers may have gone on for as long as there
 * was no keeper: if the two have too many keys by now, the lower one is built anew instead.
 */
void growth_resume_merge(const struct arena *arena, uint32_t segment);

/* Whether a lookup can come to the index segment, by the directory or as a child of one that is being split or merged; or to its sibling. */
bool growth_reachable(const struct arena *arena, uint32_t segment);

#endif
