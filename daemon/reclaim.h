/* SPDX-License-Identifier: MIT */
/* The keeper's house-keeping: expiry, eviction, grace periods, index growth. Single-threaded; never blocks. */
#ifndef LARDER_DAEMON_RECLAIM_H
#define LARDER_DAEMON_RECLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "arena/control.h"
#include "cache/cache.h"
#include "daemon/policy.h"
#include "daemon/resize.h"
#include "daemon/tenant.h"

struct reclaim; /* opaque */

/*
 * Takes charge of an arena, new or adopted. keeper is the keeper's own attachment to it (its control page counts as a
 * client's). stall_ms: how long a thread may sit in a section before it is revoked. NULL: out of memory.
 */
struct reclaim *reclaim_create(struct cache_thread *keeper, uint32_t stall_ms);
void reclaim_destroy(struct reclaim *reclaim);
void reclaim_set_stall(struct reclaim *reclaim, uint32_t stall_ms);
void reclaim_set_policy(struct reclaim *reclaim, const struct policy *policy); /* at first: policy_s3fifo */

/* Who may have how much of it. */
struct tenants *reclaim_tenants(struct reclaim *reclaim);

/* The size of the arena: what is wanted is worked on by reclaim_run. */
struct resize *reclaim_resize(struct reclaim *reclaim);

/*
 * Every client whose control page may be in use must be known here before it gets the page. The structure must stay
 * where it is until removed. Remove one only when its process cannot run any more or has unmapped the arena.
 */
int reclaim_add_client(struct reclaim *reclaim, struct control *control);
void reclaim_remove_client(struct reclaim *reclaim, struct control *control);

/*
 * Does what can be done now without waiting. Return: in how many milliseconds to call again at the latest (also call it
 * when the wake eventfd is readable).
 */
uint32_t reclaim_run(struct reclaim *reclaim);
#define RECLAIM_WAITING_MS \
	1u /* what it returns while it waits for clients; sooner, if memory is wanted and the last run gained any */

/* Whether the last run brought memory nearer: segments went on on their way to be free, none of them in vain. */
bool reclaim_gained(const struct reclaim *reclaim);

/* Whether some client has held memory back for longer than a stopped thread may. */
bool reclaim_held_up(const struct reclaim *reclaim);

#endif
