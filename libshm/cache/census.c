/* SPDX-License-Identifier: MIT */
/* Counting what is in the arena. */
#include "cache/internal.h"
#include "index/walk.h"

#define CHAINS_PER_SECTION 256

struct totals {
	uint64_t entries, key_bytes, value_bytes;
};

static void fetch_objects(const struct arena *arena, const struct index_chain *chain)
{
	for (uint32_t slot = 0; slot < chain->buckets * BUCKET_SLOTS; slot++)
		if (slot_is_object(chain->words[slot]) && slot_offset(chain->words[slot]) < arena->bytes)
			__builtin_prefetch(arena->base + slot_offset(chain->words[slot]));
}

static void add_chain(const struct arena *arena, const struct index_chain *chain, struct totals *totals)
{
	for (uint32_t slot = 0; slot < chain->buckets * BUCKET_SLOTS; slot++) {
		struct object_view object;

		if (!slot_is_object(chain->words[slot]) || !object_parse(arena, slot_offset(chain->words[slot]), &object))
			continue;
		totals->entries++;
		totals->key_bytes += object.key_size;
		totals->value_bytes += object.counter ? sizeof(int64_t) : object.value_size;
	}
}

/* The objects of one chain are fetched while those of the one before are read. */
static bool add_chains(const struct arena *arena, struct index_walk *walk, struct totals *totals)
{
	struct index_chain chains[2];

	chains[0].buckets = chains[1].buckets = 0;
	for (int i = 0; i < CHAINS_PER_SECTION; i++) {
		if (!index_walk_next(arena, walk, &chains[i % 2])) {
			add_chain(arena, &chains[(i + 1) % 2], totals);
			return false;
		}
		fetch_objects(arena, &chains[i % 2]);
		add_chain(arena, &chains[(i + 1) % 2], totals);
	}
	add_chain(arena, &chains[(CHAINS_PER_SECTION - 1) % 2], totals);
	return true;
}

static void count_entries(struct cache_thread *thread, struct larder_stat *stat)
{
	struct index_walk walk = { 0 };
	struct totals totals = { 0 };
	bool more = true;

	while (more) {
		struct index_walk walk_before = walk;
		struct totals totals_before = totals;

		epoch_enter(&thread->reader);
		more = add_chains(&thread->cache->arena, &walk, &totals);
		if (!epoch_exit(&thread->reader)) {
			walk = walk_before;
			totals = totals_before;
			more = true;
		}
	}
	stat->entries = totals.entries;
	stat->key_bytes = totals.key_bytes;
	stat->value_bytes = totals.value_bytes;
}

static void count_segments(const struct arena *arena, struct larder_stat *stat)
{
	for (uint32_t segment = 0; segment < arena->segment_count; segment++) {
		struct segment_word word = segment_load(arena, segment);

		switch (word.state) {
		case SEGMENT_FREE:
			stat->segments_free++;
			break;
		case SEGMENT_OPEN:
			stat->segments_data++;
			stat->used_bytes += word.next_chunk * CHUNK_BYTES;
			break;
		case SEGMENT_CONDEMNED:
			stat->segments_condemned++;
			stat->used_bytes += arena->segment_bytes;
			break;
		case SEGMENT_SYSTEM:
			stat->segments_system++;
			stat->used_bytes += arena->segment_bytes;
			break;
		case SEGMENT_INDEX:
		case SEGMENT_RETIRED:
			stat->segments_index++;
			stat->used_bytes += arena->segment_bytes;
			break;
		}
	}
}

void cache_census(struct cache_thread *thread, struct larder_stat *ret_stat)
{
	const struct arena *arena = &thread->cache->arena;
	struct arena_header *header = arena->header;

	*ret_stat = (struct larder_stat){
		.size = sizeof *ret_stat,
		.arena_bytes = arena->bytes,
		.page_bytes = header->page_bytes,
		.segment_bytes = arena->segment_bytes,
		.segments = arena->segment_count,
		.value_size_max = arena_value_max(arena, 1024),
		.access = header->access,
		.epoch = load_relaxed(&header->epoch),
		.clients = load_relaxed(&header->clients),
		.gets = load_relaxed(&header->gets),
		.hits = load_relaxed(&header->hits),
		.sets = load_relaxed(&header->sets),
		.deletes = load_relaxed(&header->deletes),
		.expired_segments = load_relaxed(&header->expired_segments),
		.evicted_segments = load_relaxed(&header->evicted_segments),
		.uptime_ms = arena_now_ms(arena) - header->created_ms,
	};
	count_segments(arena, ret_stat);
	count_entries(thread, ret_stat);
}
