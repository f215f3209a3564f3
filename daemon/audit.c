/* SPDX-License-Identifier: MIT */
#include "daemon/audit.h"

#include <errno.h>
#include <stdlib.h>

#include "arena/extent.h"
#include "daemon/survey.h"
#include "index/index.h"

#define STEP_OBJECTS 1024u   /* looked up in a step: with the pause, about a hundredth of a processor */
#define SEGMENTS_PER_MS 512u /* looked through in each run of the keeper: their share of a processor is as small */
#define LOOK_MS 250u         /* between two looks for a segment that is due */
#define AGAIN_SHARE 16u      /* audited again when so large a part more of it is dead */

struct audited {
	uint64_t life; /* generation + 1; 0: none */
	uint32_t dead_units;
};

int audit_init(struct audit *audit, struct arena *arena)
{
	*audit = (struct audit){ .arena = arena,
		                 .next_ms = arena_now_ms(arena) + AUDIT_AGE_MS,
		                 .audited = calloc(arena->segment_count, sizeof *audit->audited) };
	return audit->audited ? 0 : -ENOMEM;
}

void audit_destroy(struct audit *audit)
{
	free(audit->audited);
}

static bool is_due(const struct audit *audit, uint32_t segment, uint64_t now_ms)
{
	const struct arena *arena = audit->arena;
	const struct segment_entry *entry = &arena->table[segment];
	const struct audited *audited = &audit->audited[segment];
	struct segment_word word = segment_load(arena, segment);
	uint64_t again_units = audited->dead_units + arena->segment_bytes / OBJECT_UNIT / AGAIN_SHARE;

	if (word.state != SEGMENT_OPEN || survey_is_filling(arena, segment, word) ||
	    extent_length(arena, segment, word) > 1)
		return false;
	if (audited->life == (uint64_t)word.generation + 1)
		return load_relaxed(&entry->dead_units) >= again_units;
	return load_relaxed(&entry->opened_ms) + AUDIT_AGE_MS <= now_ms;
}

/* Begins with the next segment that is due. False: none is. */
static bool begin(struct audit *audit, uint64_t now_ms)
{
	const struct arena *arena = audit->arena;

	for (uint32_t i = 0; i < arena->segment_count; i++) {
		uint32_t segment = (audit->next_segment + i) % arena->segment_count;

		if (segment < arena->system_segments || !is_due(audit, segment, now_ms))
			continue;
		audit->next_segment = segment + 1;
		audit->walk = (struct object_walk){ .segment = segment };
		audit->generation = segment_load(arena, segment).generation;
		audit->dead_units = load_relaxed(&arena->table[segment].dead_units);
		audit->living_bytes = 0;
		return true;
	}
	return false;
}

static void conclude(struct audit *audit)
{
	const struct arena *arena = audit->arena;
	struct audited *audited = &audit->audited[audit->walk.segment];
	uint64_t unused = arena->segment_bytes - audit->living_bytes;
	uint32_t units = audit->dead_units;

	*audited = (struct audited){ (uint64_t)audit->generation + 1, units };
	if (audit->living_bytes * 2 >= arena->segment_bytes || unused / OBJECT_UNIT <= units)
		return;
	/* Who counted in the meantime has changed what was seen here: it is looked at again. */
	if (cas_relaxed(&arena->table[audit->walk.segment].dead_units, &units, (uint32_t)(unused / OBJECT_UNIT)))
		audited->dead_units = (uint32_t)(unused / OBJECT_UNIT);
	else
		audited->life = 0;
}

void audit_step(struct audit *audit)
{
	const struct arena *arena = audit->arena;
	struct segment_word word = segment_load(arena, audit->walk.segment);
	uint64_t now_ms = arena_now_ms(arena);
	struct index_chain chain;
	struct object_view object;

	if (now_ms < audit->next_ms)
		return;
	/* Between two steps it may have been given back. */
	if (word.state != SEGMENT_OPEN || word.generation != audit->generation)
		audit->walking = false;
	audit->walking = audit->walking || begin(audit, now_ms);
	for (uint32_t i = 0; audit->walking && i < STEP_OBJECTS; i++) {
		if (!object_walk_next(arena, &audit->walk, &object)) {
			conclude(audit);
			audit->walking = begin(audit, now_ms);
		} else if (!object_expired(&object, now_ms) &&
		           index_find_object(arena, &object, audit->generation, &chain)) {
			audit->living_bytes += object.size;
		}
	}
	audit->next_ms = now_ms + (audit->walking ? audit_pause_ms(audit) : LOOK_MS);
}

uint32_t audit_pause_ms(const struct audit *audit)
{
	uint32_t pause_ms = audit->arena->segment_count / SEGMENTS_PER_MS;

	return pause_ms > AUDIT_PAUSE_MS ? pause_ms : AUDIT_PAUSE_MS;
}
