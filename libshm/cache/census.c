/* SPDX-License-Identifier: MIT */
/*
 * Counting what is in the arena. Entries are counted index segment by index segment, without the buckets that a split has
 * moved on: so each key is counted once, but for those whose bucket is moved, or that come or go, while they are
 * counted.
 */
#include <string.h>

#include "arena/extent.h"
#include "cache/internal.h"

#define HOMES_PER_SECTION 256u

struct totals {
	uint64_t now_ms;
	uint64_t entries, key_bytes, value_bytes;
	struct larder_stat_class slabs[TENANT_SLABS]; /* what objects make up of them, whosever they are */
};

_Static_assert(LARDER_STAT_POOLS == POOLS && LARDER_STAT_CLASSES == TTL_CLASSES, "there is a place for each slab");
_Static_assert(sizeof((struct larder_stat *)0)->classes == sizeof((struct totals *)0)->slabs, "and they are in order");
_Static_assert(LARDER_STAT_ESTIMATES == ESTIMATES && LARDER_STAT_UNKNOWN == ESTIMATE_UNKNOWN, "they mean the same");
_Static_assert(LARDER_STAT_TENANTS == TENANTS, "there is a place for each tenant");
_Static_assert(LARDER_STAT_AGES == EVICTED_AGES, "there is a place for each age");

static void fetch_objects(const struct arena *arena, const struct index_chain *chain)
{
	for (uint32_t slot = 0; slot < chain->buckets * BUCKET_SLOTS; slot++)
		if (slot_is_object(chain->words[slot]) && slot_offset(chain->words[slot]) < arena->bytes)
			__builtin_prefetch(arena->base + slot_offset(chain->words[slot]));
}

static void add_object(const struct arena *arena, const struct object_view *object, struct totals *totals)
{
	uint32_t slab = segment_slab(segment_load(arena, segment_of(arena, object->offset)));

	totals->entries++;
	totals->key_bytes += object->key_size;
	totals->value_bytes += object->counter ? sizeof(int64_t) : object->value_size;
	if (slab >= SLABS)
		return;
	slab %= TENANT_SLABS;
	if (object_expired(object, totals->now_ms)) {
		totals->slabs[slab].expired_bytes += object->size;
	} else {
		totals->slabs[slab].objects++;
		totals->slabs[slab].live_bytes += object->size;
	}
}

static void add_chain(const struct arena *arena, const struct index_chain *chain, struct totals *totals)
{
	for (uint32_t slot = 0; slot < chain->buckets * BUCKET_SLOTS; slot++) {
		struct object_view object;

		if (slot_is_object(chain->words[slot]) && object_parse(arena, slot_offset(chain->words[slot]), &object))
			add_object(arena, &object, totals);
	}
}

/* The chains of some homes, within a section. The objects of one are fetched while those of the one before are read. */
static void add_homes(const struct arena *arena, uint32_t segment, uint32_t first, uint32_t end, struct totals *totals)
{
	struct index_chain chains[2];

	chains[(first + 1) % 2].buckets = 0;
	for (uint32_t home = first; home < end; home++) {
		struct index_chain *chain = &chains[home % 2];

		index_read_chain(arena, segment, home, chain);
		if (chain->control & CONTROL_MOVED)
			chain->buckets = 0;
		fetch_objects(arena, chain);
		add_chain(arena, &chains[(home + 1) % 2], totals);
	}
	add_chain(arena, &chains[(end + 1) % 2], totals);
}

/* False: it was an index segment no longer, or the section was revoked; nothing was added. */
static bool add_section(struct cache_thread *thread, uint32_t segment, uint32_t first, struct totals *totals)
{
	const struct arena *arena = &thread->cache->arena;
	struct totals added = *totals;
	uint32_t end = arena->homes - first < HOMES_PER_SECTION ? arena->homes : first + HOMES_PER_SECTION;
	bool is_index;

	epoch_enter(&thread->reader);
	is_index = segment_load(arena, segment).state == SEGMENT_INDEX;
	if (is_index)
		add_homes(arena, segment, first, end, &added);
	if (!epoch_exit(&thread->reader) || !is_index)
		return false;
	*totals = added;
	return true;
}

static void count_entries(struct cache_thread *thread, struct larder_stat *stat)
{
	const struct arena *arena = &thread->cache->arena;
	struct totals totals = { .now_ms = arena_now_ms(arena) };

	for (uint32_t segment = 0; segment < arena->segment_count; segment++) {
		uint32_t home = 0;

		for (int attempt = 0; attempt < READ_ATTEMPTS && home < arena->homes; attempt++) {
			if (segment_load(arena, segment).state != SEGMENT_INDEX)
				break;
			if (!add_section(thread, segment, home, &totals))
				continue;
			home += HOMES_PER_SECTION;
			attempt = 0;
		}
	}
	stat->entries = totals.entries;
	stat->key_bytes = totals.key_bytes;
	stat->value_bytes = totals.value_bytes;
	memcpy(stat->classes, totals.slabs, sizeof totals.slabs);
}

static void count_data(const struct arena *arena, uint32_t segment, struct segment_word word, uint32_t length,
                       struct larder_stat *stat)
{
	struct larder_stat_class *class = &stat->classes[word.pool % POOLS][word.ttl_class % TTL_CLASSES];

	class->segments += length;
	class->used_bytes += word.next_chunk * CHUNK_BYTES;
	class->dead_bytes += load_relaxed(&arena->table[segment].dead_units) * (uint64_t)OBJECT_UNIT;
}

static void count_segments(const struct arena *arena, struct larder_stat *stat)
{
	uint32_t length;

	for (uint32_t segment = 0; segment < arena->segment_count; segment += length) {
		struct segment_word word = segment_load(arena, segment);

		length = extent_length(arena, segment, word);
		stat->segments += word.state == SEGMENT_ABSENT ? 0 : length;
		switch (word.state) {
		case SEGMENT_ABSENT:
			break;
		case SEGMENT_FREE:
		case SEGMENT_RESERVE:
		case SEGMENT_READY:
			stat->segments_free += length;
			break;
		case SEGMENT_OPEN:
			stat->segments_data += length;
			count_data(arena, segment, word, length, stat);
			stat->used_bytes += word.next_chunk * CHUNK_BYTES;
			break;
		case SEGMENT_CONDEMNED:
			stat->segments_condemned += length;
			count_data(arena, segment, word, length, stat);
			stat->used_bytes += length * arena->segment_bytes;
			break;
		case SEGMENT_EXTENT: /* of no head (any more) */
			stat->segments_condemned++;
			stat->used_bytes += arena->segment_bytes;
			break;
		case SEGMENT_SYSTEM:
			stat->segments_system++;
			stat->used_bytes += arena->segment_bytes;
			break;
		case SEGMENT_INDEX:
			stat->index_splitting += load_relaxed(&arena->table[segment].children) != 0;
			/* fallthrough */
		case SEGMENT_RETIRED:
			stat->segments_index++;
			stat->used_bytes += arena->segment_bytes;
			break;
		}
	}
}

static void count_tenants(const struct arena *arena, struct larder_stat *stat)
{
	for (uint32_t number = 0; number < TENANTS; number++) {
		const struct tenant *tenant = &arena->header->tenants[number];

		stat->tenants[number] = (struct larder_stat_tenant){
			.kind = load_relaxed(&tenant->kind),
			.id = load_relaxed(&tenant->id),
			.used_bytes = load_relaxed(&tenant->used) * arena->segment_bytes,
			.guarantee_bytes = load_relaxed(&tenant->guarantee) * arena->segment_bytes,
			.limit_bytes = load_relaxed(&tenant->limit) * arena->segment_bytes,
		};
	}
}

void cache_size(const struct arena *arena, uint64_t *ret_now, uint64_t *ret_wanted)
{
	*ret_now = 0;
	*ret_wanted = arena_segment_target(arena) * arena->segment_bytes;
	for (uint32_t segment = 0; segment < arena->segment_count; segment++)
		if (segment_load(arena, segment).state != SEGMENT_ABSENT)
			*ret_now += arena->segment_bytes;
}

void cache_census(struct cache_thread *thread, struct larder_stat *ret_stat)
{
	const struct arena *arena = &thread->cache->arena;
	struct arena_header *header = arena->header;

	*ret_stat = (struct larder_stat){
		.size = sizeof *ret_stat,
		.arena_bytes_max = arena->bytes,
		.arena_bytes_wanted = arena_segment_target(arena) * arena->segment_bytes,
		.page_bytes = header->page_bytes,
		.segment_bytes = arena->segment_bytes,
		.value_size_max = arena_value_max(arena),
		.access = header->access,
		.epoch = load_relaxed(&header->epoch),
		.clients = load_relaxed(&header->clients),
		.gets = load_relaxed(&header->gets),
		.hits = load_relaxed(&header->hits),
		.sets = load_relaxed(&header->sets),
		.deletes = load_relaxed(&header->deletes),
		.expired_segments = load_relaxed(&header->expired_segments),
		.evicted_segments = load_relaxed(&header->evicted_segments),
		.quota_segments = load_relaxed(&header->quota_segments),
		.compacted_segments = load_relaxed(&header->compacted_segments),
		.expired_objects = load_relaxed(&header->expired_objects),
		.evicted_objects = load_relaxed(&header->evicted_objects),
		.moved_objects = load_relaxed(&header->moved_objects),
		.evicted_age_ms = load_relaxed(&header->evicted_age_ms),
		.index_splits = load_relaxed(&header->index_splits),
		.index_rebuilds = load_relaxed(&header->index_rebuilds),
		.index_merges = load_relaxed(&header->index_merges),
		.displaced_objects = load_relaxed(&header->displaced_objects),
		.estimate_keys = load_relaxed(&header->estimate_keys),
		.estimate_samples = load_relaxed(&header->estimate_samples),
		.uptime_ms = arena_now_ms(arena) - header->created_ms,
	};
	for (uint32_t i = 0; i < ESTIMATES; i++)
		ret_stat->estimated_misses[i] = load_relaxed(&header->estimate_misses[i]);
	for (uint32_t age = 0; age < EVICTED_AGES; age++)
		ret_stat->evicted_ages[age] = load_relaxed(&header->evicted_ages[age]);
	count_tenants(arena, ret_stat);
	count_entries(thread, ret_stat);
	count_segments(arena, ret_stat);
	ret_stat->arena_bytes = ret_stat->segments * arena->segment_bytes;
}
