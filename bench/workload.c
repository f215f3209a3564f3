/* SPDX-License-Identifier: MIT */
#include "bench/workload.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define SEED_CHAIN UINT64_C(0x6c61726465722031)
#define SEED_STREAM UINT64_C(0x6c61726465722032)
#define SEED_DICE UINT64_C(0x6c61726465722033)

#define ZIPF_EXPONENT 0.99

/* A bijective mixer (multiply and shift): neighbours in, unrelated numbers out. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

/* The state is a counter in steps of the golden ratio, so no two draws mix the same number. */
static uint32_t draw_below(uint64_t *state, uint32_t bound)
{
	*state += UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)((mix(*state) >> 32) * bound >> 32);
}

/* ---- entries ----------------------------------------------------------------------------------------------------- */

int workload_create(uint32_t keys, struct workload *ret_workload)
{
	uint64_t state = SEED_CHAIN;
	uint32_t *next = malloc(keys * sizeof *next);

	if (!next)
		return -ENOMEM;
	for (uint32_t i = 0; i < keys; i++)
		next[i] = i;
	for (uint32_t i = keys - 1; i > 0; i--) { /* swapping with lower ones only leaves one single cycle (Sattolo) */
		uint32_t j = draw_below(&state, i);
		uint32_t swap = next[i];

		next[i] = next[j];
		next[j] = swap;
	}
	*ret_workload = (struct workload){ .keys = keys, .next = next };
	return 0;
}

void workload_destroy(struct workload *workload)
{
	free(workload->next);
	workload->next = NULL;
}

void workload_key(uint32_t id, unsigned char key[KEY_BYTES])
{
	static const char prefix[] = "entry:";

	memcpy(key, prefix, sizeof prefix - 1);
	for (size_t i = KEY_BYTES; i-- > sizeof prefix - 1; id /= 10)
		key[i] = (unsigned char)('0' + id % 10);
}

uint64_t workload_word(uint32_t id)
{
	return mix(id + UINT64_C(1));
}

void workload_value(const struct workload *workload, uint32_t id, unsigned char value[VALUE_BYTES])
{
	uint64_t word = workload_word(id);

	memcpy(value, &word, sizeof word);
	workload_key(id < workload->keys ? workload->next[id] : id, value + VALUE_NEXT_KEY);
	for (size_t i = VALUE_TEXT; i < VALUE_BYTES; i++)
		value[i] = (unsigned char)('a' + (id + i) % 26);
}

void workload_fill(unsigned char *value, size_t value_bytes)
{
	for (size_t i = sizeof(uint64_t); i < value_bytes; i++)
		value[i] = (unsigned char)('a' + i % 26);
}

uint64_t workload_chain_sum(const struct workload *workload, size_t steps)
{
	uint64_t sum = 0;

	for (uint32_t id = 0; steps > 0; steps--, id = workload->next[id])
		sum += workload_word(id);
	return sum;
}

/* ---- Zipf -------------------------------------------------------------------------------------------------------- */

/* Gray and others, "Quickly generating billion-record synthetic databases" (SIGMOD 1994), section 3. */
struct zipf {
	double ids, zeta, eta, second;
};

static void zipf_start(struct zipf *zipf, uint32_t ids)
{
	double zeta = 0;

	for (uint32_t rank = 1; rank <= ids; rank++)
		zeta += pow(rank, -ZIPF_EXPONENT);
	*zipf = (struct zipf){
		.ids = ids,
		.zeta = zeta,
		.second = 1 + pow(2, -ZIPF_EXPONENT),
	};
	zipf->eta = (1 - pow(2.0 / ids, 1 - ZIPF_EXPONENT)) / (1 - zipf->second / zeta);
}

/* The rank, from 0, that belongs to a number from 0 to 1. */
static uint64_t zipf_rank(const struct zipf *zipf, double unit)
{
	double share = unit * zipf->zeta;

	if (share < 1)
		return 0;
	if (share < zipf->second)
		return 1;
	return (uint64_t)(zipf->ids * pow(zipf->eta * unit - zipf->eta + 1, 1 / (1 - ZIPF_EXPONENT)));
}

static uint32_t zipf_draw(const struct zipf *zipf, uint64_t *state, uint32_t ids)
{
	*state += UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(mix(zipf_rank(zipf, (double)(mix(*state) >> 11) * 0x1p-53) + 1) % ids);
}

/* ---- streams ----------------------------------------------------------------------------------------------------- */

int stream_create(enum stream_order order, uint32_t first, uint32_t ids, size_t count, const struct workload *values,
                  struct stream *ret_stream)
{
	struct stream stream = {
		.count = count,
		.ids = malloc(count * sizeof *stream.ids),
		.keys = malloc(count * KEY_BYTES),
		.values = values ? malloc(count * VALUE_BYTES) : NULL,
		.dice = malloc(count),
	};
	uint64_t state = SEED_STREAM + first, dice_state = SEED_DICE + first;
	struct zipf zipf;

	if (!stream.ids || !stream.keys || !stream.dice || (values && !stream.values)) {
		stream_destroy(&stream);
		return -ENOMEM;
	}
	if (order == STREAM_ZIPF)
		zipf_start(&zipf, ids);
	for (size_t i = 0; i < count; i++) {
		uint32_t id = first + (order == STREAM_UNIFORM ? draw_below(&state, ids)
		                       : order == STREAM_ZIPF  ? zipf_draw(&zipf, &state, ids)
		                                               : (uint32_t)(i % ids));

		stream.ids[i] = id;
		stream.dice[i] = (uint8_t)draw_below(&dice_state, 100);
		stream.sum += workload_word(id);
		workload_key(id, stream.keys + i * KEY_BYTES);
		if (values)
			workload_value(values, id, stream.values + i * VALUE_BYTES);
	}
	*ret_stream = stream;
	return 0;
}

void stream_destroy(struct stream *stream)
{
	free(stream->ids);
	free(stream->keys);
	free(stream->values);
	free(stream->dice);
	*stream = (struct stream){ 0 };
}
