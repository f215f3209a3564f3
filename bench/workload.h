/* SPDX-License-Identifier: MIT */
/*
 * The only source of keys, values and orders of access. Everything follows from an entry's number (its id) and a seed,
 * so that every driver gets the same work and every result can be checked.
 */
#ifndef LARDER_BENCH_WORKLOAD_H
#define LARDER_BENCH_WORKLOAD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KEY_BYTES 20
#define VALUE_BYTES 100

/* In a value: a number that follows from the id, then the key of the next entry in the chain, then letters. */
#define VALUE_NEXT_KEY 8
#define VALUE_TEXT (VALUE_NEXT_KEY + KEY_BYTES)

/* Entries 0 to keys - 1, on one cycle in random order that visits each once. */
struct workload {
	uint32_t keys;
	uint32_t *next;
};

/* Return: 0, -ENOMEM. */
int workload_create(uint32_t keys, struct workload *ret_workload);
void workload_destroy(struct workload *workload);

void workload_key(uint32_t id, unsigned char key[KEY_BYTES]);

/* An id beyond the workload's keys is its own next entry. */
void workload_value(const struct workload *workload, uint32_t id, unsigned char value[VALUE_BYTES]);

/* What follows the first word of a value of any size that is in no chain. */
void workload_fill(unsigned char *value, size_t value_bytes);

/* The number at the start of the value of an entry. */
uint64_t workload_word(uint32_t id);

/* The sum of these numbers over the first steps of the chain that begins at entry 0. */
uint64_t workload_chain_sum(const struct workload *workload, size_t steps);

static inline uint64_t value_word(const void *value)
{
	uint64_t word;

	memcpy(&word, value, sizeof word);
	return word;
}

/* A sequence of entries, made before the clock starts; the keys stand one behind the other. */
struct stream {
	size_t count;
	uint32_t *ids;
	unsigned char *keys;   /* KEY_BYTES each */
	unsigned char *values; /* VALUE_BYTES each, or NULL */
	uint8_t *dice;         /* 0 to 99, at random: what makes a mix of reads and writes out of it */
	uint64_t sum;          /* of workload_word over all of them */
};

/* Zipf: popularity falls with the rank to the power of 0.99, and the ranks are strewn over the entries. */
enum stream_order { STREAM_ASCENDING, STREAM_UNIFORM, STREAM_ZIPF };

/*
 * count entries out of the ids first .. first + ids - 1. values: a workload whose values go along, or NULL: no values.
 * Return: 0, -ENOMEM.
 */
int stream_create(enum stream_order order, uint32_t first, uint32_t ids, size_t count, const struct workload *values,
                  struct stream *ret_stream);
void stream_destroy(struct stream *stream);

#endif
