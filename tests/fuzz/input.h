/* SPDX-License-Identifier: MIT */
/* Taking decisions from the bytes of an input. When they are used up every number is 0. */
#ifndef LARDER_FUZZ_INPUT_H
#define LARDER_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct input {
	const uint8_t *at, *end;
};

static inline bool input_over(const struct input *input)
{
	return input->at == input->end;
}

/* A number of so many bytes, the lowest first. */
static inline uint64_t input_number(struct input *input, int bytes)
{
	uint64_t number = 0;

	for (int i = 0; i < bytes && !input_over(input); i++)
		number |= (uint64_t)*input->at++ << 8 * i;
	return number;
}

static inline uint8_t input_byte(struct input *input)
{
	return (uint8_t)input_number(input, 1);
}

/* 0 ... bound - 1, from as few bytes as the bound needs. */
static inline uint32_t input_below(struct input *input, uint64_t bound)
{
	int bytes = bound <= UINT64_C(1) << 8 ? 1 : bound <= UINT64_C(1) << 16 ? 2 : 4;

	return (uint32_t)(input_number(input, bytes) % bound);
}

/* Up to most of the next bytes. Return: how many; *ret_bytes points at them. */
static inline size_t input_take(struct input *input, size_t most, const uint8_t **ret_bytes)
{
	size_t left = (size_t)(input->end - input->at);
	size_t taken = left < most ? left : most;

	*ret_bytes = input->at;
	input->at += taken;
	return taken;
}

#endif
