/* SPDX-License-Identifier: MIT */
#include "cache/heat.h"

static void raise_word(atomic_u64 *slot, uint64_t word)
{
	uint32_t heat = slot_heat(word);

	/* A frozen word is being copied by several helpers, who must all see the same. */
	if (heat < HEAT_MAX && !(word & SLOT_FROZEN))
		cas_relaxed(slot, &word, slot_with_heat(word, heat + 1));
}

/* Whether this is a use that the slot should tell of. If not, the thread has told of it not long ago, or does now, in its control page. */
static bool is_news(struct cache_thread *thread, uint64_t word)
{
	struct control_page *page = thread->cache->control.page;
	uint64_t object = word & ~(SLOT_HEAT_MASK | SLOT_FROZEN); /* with the generation: memory is used again soon */
	uint64_t *recent = &thread->recent[object * UINT64_C(0x9e3779b97f4a7c15) >> (64 - CACHE_RECENT_BITS)];

	if (*recent == object)
		return false;
	*recent = object;
	if (thread->cache->arena.writable)
		return true;
	store_relaxed(&page->samples[fetch_add_relaxed(&page->sample_count, 1) % SAMPLES], word);
	return false;
}

static void raise_pinned(struct cache_thread *thread, uint32_t segment, atomic_u64 *slot, uint64_t word)
{
	if (epoch_pin_index(&thread->reader, INDEX_PIN_SEGMENT, segment))
		raise_word(slot, word);
	epoch_unpin_index(&thread->reader, INDEX_PIN_SEGMENT);
}

void heat_raise(struct cache_thread *thread, atomic_u64 *slot, uint64_t word)
{
	const struct arena *arena = &thread->cache->arena;
	uint64_t offset = (uint64_t)((unsigned char *)slot - arena->base);

	if (is_news(thread, word))
		raise_pinned(thread, segment_of(arena, offset), slot, word);
}

void heat_note(struct cache_thread *thread, const void *key, size_t key_size, uint64_t word)
{
	const struct arena *arena = &thread->cache->arena;
	atomic_u64 *slot;
	uint32_t segment;

	if (!is_news(thread, word))
		return;
	epoch_enter(&thread->reader);
	slot = index_locate(arena, hash_key(arena->secret, key, key_size), word, &segment);
	if (slot)
		raise_pinned(thread, segment, slot, word);
	epoch_exit(&thread->reader);
}

/*
 * Raises the heat of the object that a word refers to, if it is one. The word comes from a client, and nothing says that all of the object is
 * seen: what is found is only looked for in the index.
 */
static void raise_sample(struct cache_thread *keeper, uint64_t sample)
{
	const struct arena *arena = &keeper->cache->arena;
	uint64_t offset = slot_offset(sample);
	struct segment_word segment;
	struct object_view object;
	struct index_chain chain;

	if (!slot_is_object(sample) || offset >= arena->bytes)
		return;
	segment = segment_load(arena, segment_of(arena, offset));
	if (segment.state != SEGMENT_OPEN || !object_parse(arena, offset, &object))
		return;
	if (index_find_object(arena, &object, segment.generation, &chain))
		raise_word(index_slot_at(&chain, (uint32_t)chain.found), chain.words[chain.found]);
}

void heat_collect(struct cache_thread *keeper, const struct control *client, uint64_t *seen)
{
	uint64_t count = load_relaxed(&client->page->sample_count);
	uint64_t begin = count - *seen < SAMPLES ? *seen : count - SAMPLES;

	if (count == *seen)
		return;
	epoch_enter(&keeper->reader);
	for (uint64_t i = begin; i != count; i++)
		raise_sample(keeper, load_relaxed(&client->page->samples[i % SAMPLES]));
	epoch_exit(&keeper->reader);
	*seen = count;
}
