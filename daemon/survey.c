/* SPDX-License-Identifier: MIT */
#include "daemon/survey.h"

#include "arena/extent.h"

static void enqueue(struct survey_queue *queue, uint32_t segment, uint64_t key)
{
	uint32_t place;

	if (queue->count == SURVEY_QUEUE && queue->keys[SURVEY_QUEUE - 1] <= key)
		return;
	place = queue->count < SURVEY_QUEUE ? queue->count++ : SURVEY_QUEUE - 1;
	for (; place > 0 && queue->keys[place - 1] > key; place--) {
		queue->segments[place] = queue->segments[place - 1];
		queue->keys[place] = queue->keys[place - 1];
	}
	queue->segments[place] = segment;
	queue->keys[place] = key;
}

bool survey_is_filling(const struct arena *arena, uint32_t segment, struct segment_word word)
{
	uint32_t slab = segment_slab(word);

	return word.next_chunk < arena->chunks && slab < SLABS &&
	       load_relaxed(&arena->header->open_segment[slab]) == segment + 1;
}

static void look_at_full(const struct arena *arena, uint32_t segment, struct segment_word word, uint32_t length,
                         struct survey *survey)
{
	struct survey_share *share = &survey->shares[word.tenant];
	uint64_t dead_bytes = load_relaxed(&arena->table[segment].dead_units) * (uint64_t)OBJECT_UNIT;

	survey->main_data += word.pool == POOL_MAIN ? length : 0;
	share->data[word.pool] += length;
	survey->dead_bytes += dead_bytes < arena->segment_bytes ? dead_bytes : arena->segment_bytes;
	enqueue(&share->oldest[word.pool], segment, load_relaxed(&arena->table[segment].opened));
	if (dead_bytes != 0 && length == 1)
		enqueue(&survey->wasted, segment,
		        dead_bytes < arena->segment_bytes ? arena->segment_bytes - dead_bytes : 0);
}

void survey_take(const struct arena *arena, struct survey *ret_survey)
{
	uint32_t length;

	*ret_survey = (struct survey){ 0 };
	for (uint32_t segment = 0; segment < arena->segment_count; segment += length) {
		struct segment_word word = segment_load(arena, segment);

		length = extent_length(arena, segment, word);
		ret_survey->absent += word.state == SEGMENT_ABSENT;
		if (segment < arena->system_segments) { /* whatever else somebody may have written there */
			length = 1;
			continue;
		}
		ret_survey->free += word.state == SEGMENT_FREE;
		ret_survey->index += word.state == SEGMENT_INDEX || word.state == SEGMENT_RETIRED;
		ret_survey->shares[word.tenant].condemned += word.state == SEGMENT_CONDEMNED ? length : 0;
		if (word.state != SEGMENT_OPEN)
			continue;
		ret_survey->shares[word.tenant].open += length;
		if (word.next_chunk < arena->chunks)
			ret_survey->empty_bytes += (arena->chunks - word.next_chunk) * CHUNK_BYTES;
		if (survey_is_filling(arena, segment, word))
			enqueue(&ret_survey->shares[word.tenant].filling, segment,
			        load_relaxed(&arena->table[segment].opened));
		else
			look_at_full(arena, segment, word, length, ret_survey);
	}
}
