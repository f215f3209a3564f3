/* SPDX-License-Identifier: MIT */
/*
 * Values that say what they are: of which key, by whom, the how-manieth write of the key, and every byte of them follows from
 * that. So a torn value, one of another key and one that comes back from the past are all told from a right one.
 *
 * A value is a row of blocks: set writes one, each append adds one, that names the block it was added to.
 */
#ifndef LARDER_TORTURE_VALUE_H
#define LARDER_TORTURE_VALUE_H

#include <stddef.h>
#include <stdint.h>

struct block {
	uint64_t key;
	uint64_t sequence; /* of the write */
	uint64_t previous; /* sequence of the block in front of this one; 0: it is the first */
	uint64_t offset;   /* bytes in front of it */
	uint32_t writer;
	uint32_t size;  /* with this header */
	uint64_t check; /* follows from all of the above; the rest of the block follows from it */
};

#define VALUE_SIZE_MIN sizeof(struct block)

/* Writes a block of block.size bytes; check is filled in. */
void value_write(void *buffer, struct block block);

/* Checks all blocks. Return: NULL and the last block, or what is wrong with the value. */
const char *value_check(const void *value, size_t size, uint64_t key, struct block *ret_last);

#endif
