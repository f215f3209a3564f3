/* SPDX-License-Identifier: MIT */
/*
 * Scanning. The public cursor is the place of a walk of the index (index/walk.h) and a slot within the chain there:
 *	position[0] = { directory entry:32 | depth:32 }
 *	position[1] = { segment:32 | home bucket:24 | slot:8 }
 * A chain may have changed its segment (by a split) between two calls; then it is read from its first slot again, so that no key is
 * missed.
 */
#include <errno.h>
#include <string.h>

#include "cache/internal.h"
#include "index/walk.h"

#define CHAINS_PER_SECTION 64 /* a section is short */
#define CHAINS_PER_CALL 65536 /* and a call is bounded */

struct cursor {
	struct index_walk walk; /* its home is the one to be read next */
	uint32_t slot;          /* the first slot of that home which has not been reported */
};

static struct cursor unpack(const struct larder_cursor *packed)
{
	struct cursor cursor = {
		.walk = {
			.directory = (uint32_t)(packed->position[0] >> 32),
			.depth = (uint32_t)packed->position[0],
			.life = (uint32_t)(packed->position[1] >> 32),
			.home = (uint32_t)(packed->position[1] >> 8 & 0xffffff),
		},
		.slot = (uint32_t)(packed->position[1] & 0xff),
	};

	return cursor;
}

static void pack(const struct cursor *cursor, struct larder_cursor *ret_packed)
{
	ret_packed->position[0] = (uint64_t)cursor->walk.directory << 32 | cursor->walk.depth;
	ret_packed->position[1] = (uint64_t)cursor->walk.life << 32 | (uint64_t)cursor->walk.home << 8 | cursor->slot;
}

/* What a call has gathered. */
struct harvest {
	struct larder_scan_entry *entries;
	size_t entry_count, max_entries;
	unsigned char *buffer;
	size_t used, size;
};

/* Adds the object of a slot if it is to be reported. False: there is no room. */
static bool gather(const struct arena *arena, uint64_t word, const void *prefix, size_t prefix_size,
                   struct harvest *harvest)
{
	struct object_view object;
	struct larder_scan_entry *entry = &harvest->entries[harvest->entry_count];
	char text[NUMBER_TEXT];
	uint64_t now_ms = 0, ttl_ms;

	if (!slot_is_object(word) || !object_parse(arena, slot_offset(word), &object) ||
	    object.key_size < prefix_size || (prefix_size && memcmp(object.key, prefix, prefix_size) != 0) ||
	    cache_expired(arena, object.expires_ms, &now_ms, &ttl_ms))
		return true;
	if (harvest->entry_count == harvest->max_entries || object.key_size > harvest->size - harvest->used)
		return false;
	memcpy(harvest->buffer + harvest->used, object.key, object.key_size);
	*entry = (struct larder_scan_entry){
		.key = harvest->buffer + harvest->used,
		.key_size = object.key_size,
		.item = {
			.version = object.version,
			.value_size = object.value_size,
			.ttl_ms = ttl_ms,
			.flags = object.user_flags,
		},
	};
	if (object.counter)
		entry->item.value_size = number_format(counter_read(object.counter, &entry->item.version), text);
	harvest->used += object.key_size;
	harvest->entry_count++;
	return true;
}

enum progress { PROGRESS_MORE, PROGRESS_NO_ROOM, PROGRESS_END };

/* Some chains, within one section. */
static enum progress gather_chains(const struct arena *arena, struct cursor *cursor, const void *prefix,
                                   size_t prefix_size, struct harvest *harvest)
{
	struct index_chain chain;

	for (int i = 0; i < CHAINS_PER_SECTION; i++) {
		struct cursor before = *cursor;

		if (!index_walk_next(arena, &cursor->walk, &chain))
			return PROGRESS_END;
		if (cursor->walk.life != before.walk.life || cursor->walk.directory != before.walk.directory)
			cursor->slot = 0;
		for (uint32_t slot = cursor->slot; slot < chain.buckets * BUCKET_SLOTS; slot++) {
			if (gather(arena, chain.words[slot], prefix, prefix_size, harvest))
				continue;
			/* This chain again, from this slot on. */
			cursor->walk.home--;
			cursor->slot = slot;
			return PROGRESS_NO_ROOM;
		}
		cursor->slot = 0;
	}
	return PROGRESS_MORE;
}

int cache_scan(struct cache_thread *thread, const void *prefix, size_t prefix_size, struct larder_cursor *packed,
               struct larder_scan_entry *entries, size_t max_entries, void *buffer, size_t buffer_size,
               size_t *ret_count)
{
	struct harvest harvest = {
		.entries = entries, .max_entries = max_entries, .buffer = buffer, .size = buffer_size
	};
	enum progress progress = PROGRESS_MORE;
	struct cursor cursor;

	if (!packed || !entries || max_entries == 0 || !buffer || buffer_size < LARDER_KEY_MAX || !ret_count ||
	    (!prefix && prefix_size))
		return -EINVAL;
	cursor = unpack(packed);
	for (int done = 0; progress == PROGRESS_MORE && done < CHAINS_PER_CALL; done += CHAINS_PER_SECTION) {
		struct cursor cursor_before = cursor;
		struct harvest harvest_before = harvest;

		epoch_enter(&thread->reader);
		progress = gather_chains(&thread->cache->arena, &cursor, prefix, prefix_size, &harvest);
		if (!epoch_exit(&thread->reader)) {
			cursor = cursor_before;
			harvest = harvest_before;
			progress = PROGRESS_MORE;
		}
	}
	pack(&cursor, packed);
	*ret_count = harvest.entry_count;
	return progress == PROGRESS_END ? LARDER_END : LARDER_OK;
}
