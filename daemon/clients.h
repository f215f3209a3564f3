/* SPDX-License-Identifier: MIT */
/* Those whose control pages the keeper has to look at: what they count and report, and what they hold. */
#ifndef LARDER_DAEMON_CLIENTS_H
#define LARDER_DAEMON_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/heat.h"
#include "daemon/estimate.h"

struct known_client {
	struct control *control;
	uint64_t hits, misses, sets, deletes; /* of its counters, what was added to the arena's */
	uint64_t usages;                      /* of what it reported, what was dealt with */
	struct heat_seen heat;
};

struct clients {
	struct arena *arena;
	struct known_client *list;
	uint32_t count, room;
	struct estimate *estimate; /* is told of what they report */
};

void clients_init(struct clients *clients, struct arena *arena, struct estimate *estimate);
void clients_destroy(struct clients *clients);

/* As reclaim_add_client and reclaim_remove_client. */
int clients_add(struct clients *clients, struct control *control);
void clients_remove(struct clients *clients, struct control *control, struct cache_thread *keeper);

/* Takes over what they counted and reported since the last time. */
void clients_read(struct clients *clients, struct cache_thread *keeper);

/* epoch/grace.h, for all of them. */
bool clients_write_pinned(const struct clients *clients, uint32_t segment);
bool clients_view_pinned(const struct clients *clients, uint32_t segment);
bool clients_index_pinned(const struct clients *clients, uint32_t segment);
uint64_t clients_oldest_section(const struct clients *clients);
uint32_t clients_revoked(const struct clients *clients);
uint32_t clients_revoke(const struct clients *clients, uint64_t epoch);

#endif
