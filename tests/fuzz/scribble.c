/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/scribble.h"

#include "index/index.h"

/* ---- where --------------------------------------------------------------------------------------------------------- */

/* A word of 8 or of 4 bytes in shared memory. */
struct place {
	void *at; /* NULL: there is no such place in this stage */
	bool half;
};

static struct place place_at(const struct arena *arena, uint64_t offset)
{
	return (struct place){ .at = offset <= arena->bytes - 8 ? arena->base + (offset & ~UINT64_C(7)) : NULL };
}

static struct place place_in_chain(const struct arena *arena, const struct stage_key *key, struct input *input)
{
	uint32_t segment, level = input_below(input, CHAIN_BUCKETS), word = input_below(input, 8);
	struct bucket *bucket = index_home(arena, key->hash, &segment);

	for (; bucket && level > 0; level--)
		bucket = index_linked(arena, segment, load_relaxed(&bucket->slots[BUCKET_SLOTS - 1]));
	return (struct place){ .at = bucket ? (uint64_t *)(void *)bucket + word : NULL };
}

/* The first thread's line or the pins matter most, so they are named by fewer bytes. */
static struct place place_in_control(const struct stage *stage, struct input *input)
{
	const struct control *control = &stage->parties[HOSTILE].cache.control;

	switch (input_byte(input) % 4) {
	case 0:
		return (struct place){ (uint64_t *)(void *)control->page + input_below(input, 32), false };
	case 1:
		return (struct place){ (uint64_t *)(void *)control->page->threads + input_below(input, 64), false };
	case 2:
		return (struct place){ control_pin(control, input_below(input, PIN_SHARDS),
			                           input_below(input, control->segment_count)),
			               true };
	default:
		return (struct place){ (uint64_t *)(void *)control->page + input_below(input, control->bytes / 8),
			               false };
	}
}

static struct place choose_place(const struct stage *stage, struct input *input)
{
	const struct arena *arena = stage->arena;
	uint64_t offset;

	switch ((enum scribble_place)(input_byte(input) % PLACES)) {
	case PLACE_HEADER:
		return place_at(arena, input_below(input, sizeof(struct arena_header) / 8) * UINT64_C(8));
	case PLACE_TABLE:
		offset = (uint64_t)((unsigned char *)arena->table - arena->base);
		offset += input_below(input, arena->segment_count) * sizeof(struct segment_entry);
		return place_at(arena, offset + input_below(input, 8) * UINT64_C(8));
	case PLACE_DIRECTORY:
		return (struct place){ &arena->directory[input_below(input, UINT64_C(1) << arena->directory_bits)],
			               true };
	case PLACE_CHAIN:
		return place_in_chain(arena, &stage->keys[input_below(input, STAGE_KEYS)], input);
	case PLACE_BUCKET:
		offset = (uint64_t)input_below(input, arena->segment_count) << arena->segment_shift;
		offset += input_below(input, arena->homes + arena->overflows) * sizeof(struct bucket);
		return place_at(arena, offset + input_below(input, 8) * UINT64_C(8));
	case PLACE_OBJECT:
		offset = stage->keys[input_below(input, STAGE_KEYS)].offset;
		return place_at(arena, offset + input_below(input, 8) * UINT64_C(8));
	case PLACE_RUN:
		offset = (uint64_t)input_below(input, arena->segment_count) << arena->segment_shift;
		offset += input_below(input, arena->chunks) * CHUNK_BYTES;
		return place_at(arena, offset + input_below(input, 4) * UINT64_C(8));
	case PLACE_CONTROL:
		return place_in_control(stage, input);
	default:
		return place_at(arena, input_number(input, 3) % arena->bytes);
	}
}

/* ---- what ---------------------------------------------------------------------------------------------------------- */

static uint64_t choose_offset(const struct stage *stage, struct input *input)
{
	const struct arena *arena = stage->arena;
	uint64_t offset;

	switch ((enum scribble_offset)(input_byte(input) % OFFSETS)) {
	case OFFSET_END:
		return arena->bytes + 128 - 8 * (uint64_t)input_byte(input);
	case OFFSET_SEGMENT:
		offset = (uint64_t)input_below(input, arena->segment_count + 1) << arena->segment_shift;
		return offset + 8 * (uint64_t)input_byte(input) - 8 * (uint64_t)input_byte(input);
	case OFFSET_OBJECT:
		return stage->keys[input_below(input, STAGE_KEYS)].offset;
	case OFFSET_BUCKET:
		offset = (uint64_t)input_below(input, arena->segment_count) << arena->segment_shift;
		return offset + input_below(input, arena->homes + arena->overflows) * sizeof(struct bucket);
	default:
		return input_number(input, 5) * 8;
	}
}

static uint64_t choose_slot(const struct stage *stage, struct input *input)
{
	const struct arena *arena = stage->arena;
	uint64_t hash = stage->keys[input_below(input, STAGE_KEYS)].hash;
	uint64_t offset = choose_offset(stage, input);
	uint32_t segment = (uint32_t)(offset >> arena->segment_shift);
	uint8_t odd = input_byte(input);
	uint32_t generation = segment < arena->segment_count ? segment_load(arena, segment).generation : 0;

	return slot_pack(hash, generation + (odd & 1), offset & ~UINT64_C(7)) | (odd & 2 ? SLOT_FROZEN : 0);
}

static uint64_t choose_intent(const struct stage *stage, struct input *input)
{
	uint64_t word = input_number(input, 3) << CONTROL_SEQUENCE_SHIFT;
	uint8_t flags = input_byte(input);

	word |= (uint64_t)(flags >> 2 & CONTROL_TARGET_MASK) << CONTROL_TARGET_SHIFT;
	word |= (flags & 1 ? CONTROL_FROZEN : 0) | (flags & 2 ? CONTROL_MOVED : 0);
	return flags & 0x80 ? word : word | (choose_offset(stage, input) / OBJECT_UNIT & CONTROL_OFFSET_MASK);
}

static uint64_t choose_state(struct input *input)
{
	struct segment_word word = { .state = (enum segment_state)(input_byte(input) % 10) };

	word.ttl_class = input_byte(input);
	word.next_chunk = (uint32_t)input_number(input, 2);
	word.generation = (uint32_t)input_number(input, 2);
	return segment_pack(word);
}

/* A value that ends near the end of the arena is the one most likely to go beyond it. */
static uint64_t choose_head(const struct stage *stage, uint64_t offset, struct input *input)
{
	uint64_t key_size = input_number(input, 2), flags = input_byte(input), value_size;

	if (flags & 0x80)
		value_size = stage->arena->bytes + 64 - offset - input_byte(input);
	else
		value_size = input_number(input, 4);
	return (value_size & UINT32_MAX) << OBJECT_VALUE_SIZE_SHIFT |
	       (uint64_t)input_byte(input) << OBJECT_PADDING_SHIFT | (flags & 7) << OBJECT_FLAGS_SHIFT | key_size;
}

static uint64_t load_place(struct place place)
{
	return place.half ? load_relaxed((atomic_u32 *)place.at) : load_relaxed((atomic_u64 *)place.at);
}

static void store_place(struct place place, uint64_t word)
{
	if (place.half)
		store_relaxed((atomic_u32 *)place.at, (uint32_t)word);
	else
		store_relaxed((atomic_u64 *)place.at, word);
}

static uint64_t choose_content(const struct stage *stage, struct place place, struct input *input)
{
	const struct arena *arena = stage->arena;
	uint64_t word = load_place(place), shift, child;
	struct place other;

	switch ((enum scribble_content)(input_byte(input) % CONTENTS)) {
	case CONTENT_BYTE:
		shift = 8 * (uint64_t)input_below(input, 8);
		return (word & ~(UINT64_C(0xff) << shift)) | (uint64_t)input_byte(input) << shift;
	case CONTENT_FLIP:
		return word ^ UINT64_C(1) << input_below(input, 64);
	case CONTENT_EXTREME:
		shift = input_byte(input);
		return shift < 64 ? UINT64_MAX >> shift : shift < 128 ? UINT64_C(1) << shift % 64 : 0;
	case CONTENT_SMALL:
		return input_number(input, 2);
	case CONTENT_COPY:
		other = choose_place(stage, input);
		return other.at ? load_place(other) : word;
	case CONTENT_LINK:
		return SLOT_LINK | input_number(input, 2) | (input_byte(input) & 1 ? SLOT_FROZEN : 0);
	case CONTENT_SLOT:
		return choose_slot(stage, input);
	case CONTENT_INTENT:
		return choose_intent(stage, input);
	case CONTENT_STATE:
		return choose_state(input);
	case CONTENT_CHILDREN:
		child = input_below(input, arena->segment_count + 1);
		return child << 32 | input_below(input, arena->segment_count + 1);
	case CONTENT_HEAD:
		return choose_head(stage, (uint64_t)((unsigned char *)place.at - arena->base), input);
	default:
		return input_number(input, 8);
	}
}

void scribble(const struct stage *stage, struct input *input)
{
	struct place place = choose_place(stage, input);

	if (place.at)
		store_place(place, choose_content(stage, place, input));
}

void scribble_again(const struct stage *stage, struct input *input, uint32_t times)
{
	struct place place = choose_place(stage, input);
	uint64_t words[2];

	if (!place.at)
		return;
	words[0] = choose_content(stage, place, input);
	words[1] = input_byte(input) & 1 ? load_place(place) : choose_content(stage, place, input);
	for (uint32_t i = 0; i < times; i++)
		store_place(place, words[i % 2]);
}
