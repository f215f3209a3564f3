/* SPDX-License-Identifier: MIT */
/*
 * A plain hash table, as a library: what looking up a value costs when nothing has to be kept but the value. One process, one
 * thread, no expiry, all of it trusted. See plain_table.c.
 */
#ifndef LARDER_BENCH_PLAIN_TABLE_H
#define LARDER_BENCH_PLAIN_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAIN_SLOTS 8
#define PLAIN_UNIT 8
#define PLAIN_SPARES 1024 /* objects that were replaced and wait to be used again */

/* One cache line: slots are taken in their order; a full line goes on in the next one. */
struct plain_line {
	_Alignas(64) uint16_t tags[PLAIN_SLOTS]; /* 0: empty */
	uint32_t objects[PLAIN_SLOTS];           /* offsets in plain_table.objects, in PLAIN_UNITs */
	uint64_t unused[2];
};

/* Followed by key and value. */
struct plain_object {
	uint64_t key_size, value_size;
};

struct plain_table {
	struct plain_line *lines;
	unsigned char *objects;
	uint64_t line_mask;
	uint64_t object_bytes; /* used by objects */
	uint32_t spares[PLAIN_SPARES];
	uint64_t replaced; /* how often; the next spare is this one, modulo their number */
};

/* Bytes of memory for so many entries of one size: 16 bytes of index for each, rounded up to a power of two of lines. */
uint64_t plain_table_bytes(uint64_t entries, uint64_t key_size, uint64_t value_size);

/* An empty table in memory of so many bytes, all zero. */
void plain_table_start(struct plain_table *table, void *memory, uint64_t entries);

/* Adds an entry whose key is not there. */
void plain_table_add(struct plain_table *table, const void *key, size_t key_size, const void *value, size_t value_size);

/*
 * Gives a key that is there another value of the same size: in another place, for in any table that others read meanwhile the
 * old one must stay whole for a while. False: it is not there.
 */
bool plain_table_replace(struct plain_table *table, const void *key, size_t key_size, const void *value,
                         size_t value_size);

/* The value of a key, where it lies, or NULL. */
const void *plain_table_find(const struct plain_table *table, const void *key, size_t key_size, size_t *ret_value_size);

/* Copies the value of a key. False: it is not there, or larger than the buffer. */
bool plain_table_get(const struct plain_table *table, const void *key, size_t key_size, void *buffer,
                     size_t buffer_size);

struct plain_entry {
	const void *key;
	size_t key_size;
	void *buffer;
	size_t buffer_size;
	bool found; /* result, as of plain_table_get */
};

#define PLAIN_BATCH_MAX 32

/* Copies up to PLAIN_BATCH_MAX values; the cache misses of all overlap. */
void plain_table_mget(const struct plain_table *table, struct plain_entry *entries, size_t count);

/* The line in which the search for a key begins. */
uint64_t plain_table_home(const struct plain_table *table, const void *key, size_t key_size);

#endif
