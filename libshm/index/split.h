/* SPDX-License-Identifier: MIT */
/* Growth and shrinking of the index: one index segment becomes two, or two become one, online, with readers that never wait. */
#ifndef LARDER_INDEX_SPLIT_H
#define LARDER_INDEX_SPLIT_H

#include "epoch/epoch.h"

/*
 * Keeper: begins to split an index segment, with two free segments for its children. False: no two segments are free, the
 * directory is too coarse for another split, or this split has begun already.
 */
bool split_begin(const struct arena *arena, uint32_t segment);

/*
 * Keeper: begins to move an index segment to a single fresh one, which gets rid of the overflow buckets that are not needed
 * any more. All else is as for a split. False: no segment is free, or this has begun already.
 */
bool split_begin_rebuild(const struct arena *arena, uint32_t segment);

/*
 * Keeper: begins to merge two index segments, of the same depth and next to each other (the lower one first), in a single fresh one that
 * serves the hashes of both. Neither is a child of a split or merge that is not finished. All else is as for a split, and done for either
 * of the two it is done for both. False: no segment is free, or the two cannot be merged.
 */
bool split_begin_merge(const struct arena *arena, uint32_t lower, uint32_t upper);

/* The upper sibling, where an earlier keeper died when a merge had begun for the lower one, this segment, only; else segment_count. */
uint32_t split_half_merged(const struct arena *arena, uint32_t segment);

/* Keeper: then tells the upper sibling, too. */
void split_resume_merge(const struct arena *arena, uint32_t segment);

/* Keeper: or has the lower one built anew instead, in the segment that was to take both, and the upper one left as it is. */
void split_leave_merge(const struct arena *arena, uint32_t segment);

/* The segment with which this one is being merged; segment_count: none. */
uint32_t split_sibling(const struct arena *arena, uint32_t segment);

/*
 * Keeper: moves one bucket to the children, or finishes what another began. Any number may do this at once or die in it.
 * False: the segment is not being split (or the arena is scribbled on).
 */
bool split_bucket(const struct arena *arena, uint32_t segment, uint32_t home);

/*
 * The same for everybody else, who has pinned the segment. False also: the section was revoked.
 */
bool split_bucket_pinned(struct epoch_reader *reader, const struct arena *arena, uint32_t segment, uint32_t home);

/*
 * Keeper: when every bucket has been moved, lets the directory name the children and retires the segment (of a merge, both). It may be recycled
 * after a grace period, once no thread has pinned it: a late compare-and-swap in it must not meet other contents.
 * False: what the segment table says of the segment cannot be (the arena is scribbled on); nothing was done.
 */
bool split_finish(const struct arena *arena, uint32_t segment);

#endif
