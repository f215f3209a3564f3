/* SPDX-License-Identifier: MIT */
#include "cache/heat.h"

static void raise_word(atomic_u64 *slot, uint64_t word)
{
	/* A frozen word is being copied by several helpers, who must all see the same. */
	if (slot_heat(word) < HEAT_MAX && !(word & SLOT_FROZEN))
		cas_relaxed(slot, &word, slot_with_heat(word, slot_heat(word) + 1));
}

/*
 * The slot of the object to which a word referred when it was noted, and the segment that the slot is in; NULL: there is none any more. The word
 * becomes the one that is there now. Inside a section. The word may be anybody's invention, and is no promise that the object is
 * seen; only its head is.
 */
static atomic_u64 *locate(const struct arena *arena, uint64_t *word, uint32_t *ret_segment)
{
	uint64_t offset = slot_offset(*word);
	struct segment_word segment;
	struct object_view object;

	if (!slot_is_object(*word) || offset > arena->bytes - sizeof(struct object))
		return NULL;
	segment = segment_load(arena, segment_of(arena, offset));
	if (segment.state != SEGMENT_OPEN || (segment.generation & SLOT_GENERATION_MASK) != slot_generation(*word))
		return NULL;
	if (load_acquire(&((struct object *)(void *)(arena->base + offset))->head) == 0) /* A10 <- R10 */
		return NULL;
	if (!object_parse(arena, offset, &object))
		return NULL;
	return index_locate(arena, hash_key(arena->secret, object.key, object.key_size), word, ret_segment);
}

/* ---- of one's own -------------------------------------------------------------------------------------------------- */

/* Whether this is a use that the thread does not remember, or does from now on. */
static bool is_news(struct cache_thread *thread, uint64_t word)
{
	uint64_t object = word & ~(SLOT_HEAT_MASK | SLOT_FROZEN); /* with the generation: memory is used again soon */
	uint64_t *recent = &thread->recent[object * UINT64_C(0x9e3779b97f4a7c15) >> (64 - CACHE_RECENT_BITS)];

	if (*recent == object)
		return false;
	*recent = object;
	return true;
}

void heat_note(struct cache_thread *thread, uint64_t word)
{
	if (!is_news(thread, word))
		return;
	store_relaxed(&thread->reader.line->uses[thread->use_count++], word);
	if (thread->use_count == USES)
		heat_flush(thread);
}

static void raise_pinned(struct cache_thread *thread, uint64_t word)
{
	uint32_t segment;
	atomic_u64 *slot = locate(&thread->cache->arena, &word, &segment);

	if (!slot)
		return;
	if (epoch_pin_index(&thread->reader, INDEX_PIN_SEGMENT, segment))
		raise_word(slot, word);
	epoch_unpin_index(&thread->reader, INDEX_PIN_SEGMENT);
}

/* For who cannot write into the arena: the keeper will do it. */
static void report(struct control_page *page, uint64_t word)
{
	store_relaxed(&page->samples[fetch_add_relaxed(&page->sample_count, 1) % SAMPLES], word);
}

void heat_flush(struct cache_thread *thread)
{
	struct thread_line *line = thread->reader.line;

	epoch_enter(&thread->reader);
	for (uint32_t i = 0; i < thread->use_count; i++) {
		uint64_t word = load_relaxed(&line->uses[i]);

		if (word == 0) /* the keeper was here */
			continue;
		store_relaxed(&line->uses[i], 0);
		if (thread->cache->arena.writable)
			raise_pinned(thread, word);
		else
			report(thread->cache->control.page, word);
	}
	epoch_exit(&thread->reader);
	thread->use_count = 0;
}

/* ---- the keeper's -------------------------------------------------------------------------------------------------- */

static void raise_reported(struct cache_thread *keeper, uint64_t word)
{
	uint32_t segment;
	atomic_u64 *slot = locate(&keeper->cache->arena, &word, &segment);

	if (slot)
		raise_word(slot, word);
}

/* Return: how many notes there were. */
static uint32_t collect_line(struct cache_thread *keeper, struct thread_line *line)
{
	uint32_t notes = 0;

	for (uint32_t i = 0; i < USES; i++) {
		if (load_relaxed(&line->uses[i]) == 0)
			continue;
		raise_reported(keeper, exchange_relaxed(&line->uses[i], 0));
		notes++;
	}
	return notes;
}

/* Of as many lines as have no more notes than a client may report; the next time it begins behind them. */
static void collect_notes(struct cache_thread *keeper, struct control_page *page, uint32_t *line)
{
	uint64_t high = load_relaxed(&page->thread_high);
	uint32_t count = high < THREADS_MAX ? (uint32_t)high : THREADS_MAX, notes = 0;

	for (uint32_t i = 0; i < count && notes < SAMPLES; i++) {
		*line = *line < count ? *line : 0;
		notes += collect_line(keeper, &page->threads[(*line)++]);
	}
}

void heat_collect(struct cache_thread *keeper, const struct control *client, struct heat_seen *seen)
{
	uint64_t count = load_relaxed(&client->page->sample_count);
	uint64_t begin = count - seen->samples < SAMPLES ? seen->samples : count - SAMPLES;

	epoch_enter(&keeper->reader);
	collect_notes(keeper, client->page, &seen->line);
	for (uint64_t i = begin; i != count; i++)
		raise_reported(keeper, load_relaxed(&client->page->samples[i % SAMPLES]));
	epoch_exit(&keeper->reader);
	seen->samples = count;
}
