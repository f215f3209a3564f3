/* SPDX-License-Identifier: MIT */
/*
 * What is evicted. The keeper empties whole segments; a policy says which one is next, and which of its objects are worth moving
 * on. It is a table of functions, so that one can be compared with another (configuration: eviction).
 */
#ifndef LARDER_DAEMON_POLICY_H
#define LARDER_DAEMON_POLICY_H

#include "daemon/survey.h"

struct policy {
	const char *name;

	/* The pool of a tenant whose oldest segment goes next. At least one has any. */
	enum pool (*choose)(const struct survey_share *share);

	/* Whether a living object of a pool is kept; then heat is what it goes on with, in the main pool. */
	bool (*keep)(enum pool pool, uint32_t *heat);

	bool ghosts; /* keys evicted from probation are remembered */
};

/*
 * S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023) on segments: a tenth of the memory is
 * probation; what was used there goes to the main pool when its segment's turn comes, the rest is evicted and remembered as
 * ghosts; what was used in main goes round again, once for each use, up to three.
 *
 * Where the paper wants two uses, one is enough: larder-bench missratio finds fewer misses so, by up to 3 %, in each of its sequences but
 * scans over a cache that is not yet full. The price is that more is moved.
 */
extern const struct policy policy_s3fifo;

/* The oldest segment, whatever is in it. */
extern const struct policy policy_fifo;

/* By the number that the configuration gives it. */
const struct policy *policy_of(uint64_t number);

#endif
