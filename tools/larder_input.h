/* SPDX-License-Identifier: MIT */
/* The value a command stores: an argument, or all of standard input. */
#ifndef LARDER_TOOLS_LARDER_INPUT_H
#define LARDER_TOOLS_LARDER_INPUT_H

#include "tools/larder_invocation.h"

struct input {
	struct bytes value;
	void *owned; /* what input_release frees */
};

/*
 * Takes the value from the operand; if there is none, or it is "-", reads standard input to its end. Attach first: a value
 * that is too large for the arena is refused, and of standard input no more is read.
 * Return: OUTCOME_OK; OUTCOME_USAGE or OUTCOME_FAILED after a message.
 */
enum outcome input_read(const struct invocation *invocation, size_t operand, struct input *ret_input);

void input_release(struct input *input);

#endif
