/* SPDX-License-Identifier: MIT */
#include "daemon/clients.h"

#include <errno.h>
#include <stdlib.h>

#include "epoch/grace.h"

void clients_init(struct clients *clients, struct arena *arena, struct estimate *estimate)
{
	*clients = (struct clients){ .arena = arena, .estimate = estimate };
}

void clients_destroy(struct clients *clients)
{
	free(clients->list);
}

/* ---- what they count ----------------------------------------------------------------------------------------------- */

/* A client may write anything into its counters; they are only numbers. */
static void add_counter(atomic_u64 *total, uint64_t added)
{
	store_relaxed(total, load_relaxed(total) + added);
}

/* The counters of all threads of a client. */
static struct known_client sum_counters(struct control *control)
{
	struct control_page *page = control->page;
	uint64_t high = load_relaxed(&page->thread_high);
	struct known_client sum = { .control = control,
		                    .usages = load_relaxed(&page->usage_count),
		                    .heat = { .samples = load_relaxed(&page->sample_count) } };

	for (uint64_t i = 0; i < high && i < THREADS_MAX; i++) {
		sum.hits += load_relaxed(&page->threads[i].hits);
		sum.misses += load_relaxed(&page->threads[i].misses);
		sum.sets += load_relaxed(&page->threads[i].sets);
		sum.deletes += load_relaxed(&page->threads[i].deletes);
	}
	return sum;
}

static void add_counters(struct clients *clients, struct known_client *client)
{
	struct arena_header *header = clients->arena->header;
	struct known_client now = sum_counters(client->control);

	estimate_count_lookups(clients->estimate, now.hits - client->hits + now.misses - client->misses);
	add_counter(&header->gets, now.hits - client->hits + now.misses - client->misses);
	add_counter(&header->hits, now.hits - client->hits);
	add_counter(&header->sets, now.sets - client->sets);
	add_counter(&header->deletes, now.deletes - client->deletes);
	now.usages = client->usages;
	now.heat = client->heat;
	*client = now;
}

void clients_read(struct clients *clients, struct cache_thread *keeper)
{
	for (uint32_t i = 0; i < clients->count; i++) {
		struct known_client *client = &clients->list[i];

		add_counters(clients, client);
		heat_collect(keeper, client->control, &client->heat);
		estimate_read(clients->estimate, client->control, &client->usages);
	}
}

/* ---- who they are -------------------------------------------------------------------------------------------------- */

int clients_add(struct clients *clients, struct control *control)
{
	if (clients->count == clients->room) {
		uint32_t room = clients->room ? clients->room * 2 : 16;
		struct known_client *list = realloc(clients->list, room * sizeof *list);

		if (!list)
			return -ENOMEM;
		clients->list = list;
		clients->room = room;
	}
	/* What the client of an earlier keeper counted so far is in the arena's totals already. */
	clients->list[clients->count++] = sum_counters(control);
	return 0;
}

void clients_remove(struct clients *clients, struct control *control, struct cache_thread *keeper)
{
	for (uint32_t i = 0; i < clients->count; i++) {
		if (clients->list[i].control != control)
			continue;
		add_counters(clients, &clients->list[i]);
		heat_collect(keeper, control, &clients->list[i].heat);
		clients->list[i] = clients->list[--clients->count];
		break;
	}
}

/* ---- what they hold ------------------------------------------------------------------------------------------------ */

bool clients_write_pinned(const struct clients *clients, uint32_t segment)
{
	for (uint32_t i = 0; i < clients->count; i++)
		if (grace_write_pinned(clients->list[i].control, segment))
			return true;
	return false;
}

bool clients_view_pinned(const struct clients *clients, uint32_t segment)
{
	for (uint32_t i = 0; i < clients->count; i++)
		if (grace_view_pinned(clients->list[i].control, segment))
			return true;
	return false;
}

bool clients_index_pinned(const struct clients *clients, uint32_t segment)
{
	for (uint32_t i = 0; i < clients->count; i++)
		if (grace_index_pinned(clients->list[i].control, segment))
			return true;
	return false;
}

uint64_t clients_oldest_section(const struct clients *clients)
{
	uint64_t oldest = UINT64_MAX;

	for (uint32_t i = 0; i < clients->count; i++) {
		uint64_t client = grace_oldest(clients->list[i].control);

		oldest = client < oldest ? client : oldest;
	}
	return oldest;
}

uint32_t clients_revoked(const struct clients *clients)
{
	uint32_t revoked = 0;

	for (uint32_t i = 0; i < clients->count; i++)
		revoked += grace_revoked(clients->list[i].control);
	return revoked;
}

uint32_t clients_revoke(const struct clients *clients, uint64_t epoch)
{
	uint32_t revoked = 0;

	for (uint32_t i = 0; i < clients->count; i++)
		revoked += grace_revoke(clients->list[i].control, epoch);
	return revoked;
}
