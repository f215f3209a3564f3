/* SPDX-License-Identifier: MIT */
#include "tests/torture/value.h"

#include <string.h>

#include "tests/support/client.h"

static uint64_t check_of(const struct block *block)
{
	const uint64_t facts[] = { block->key,    block->sequence, block->previous,
		                   block->offset, block->writer,   block->size };
	uint64_t check = UINT64_C(0x243f6a8885a308d3);

	for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
		check = (check ^ facts[i]) * UINT64_C(0xff51afd7ed558ccd);
		check ^= check >> 32;
	}
	return check;
}

void value_write(void *buffer, struct block block)
{
	block.check = check_of(&block);
	memcpy(buffer, &block, sizeof block);
	pattern_fill((char *)buffer + sizeof block, block.size - sizeof block, block.check);
}

const char *value_check(const void *value, size_t size, uint64_t key, struct block *ret_last)
{
	const char *bytes = value;
	struct block block = { 0 };
	size_t at = 0;

	if (size == 0)
		return "it is empty";
	while (at < size) {
		uint64_t previous = block.sequence;

		if (size - at < sizeof block)
			return "it ends within the header of a block";
		memcpy(&block, bytes + at, sizeof block);
		if (block.check != check_of(&block))
			return "it has a header that contradicts itself";
		if (block.key != key)
			return "it is the value of another key";
		if (block.offset != at || block.previous != previous || block.sequence <= previous)
			return "it has a block that belongs behind another one";
		if (block.size < sizeof block || block.size > size - at)
			return "it is cut off";
		if (!pattern_holds(bytes + at + sizeof block, block.size - sizeof block, block.check))
			return "its bytes are not those that belong to its header";
		at += block.size;
	}
	*ret_last = block;
	return NULL;
}
