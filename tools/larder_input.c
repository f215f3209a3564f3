/* SPDX-License-Identifier: MIT */
#include "tools/larder_input.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena/arena.h"

#define FIRST_BYTES (64u << 10)

static enum outcome too_large(const struct invocation *invocation, uint64_t max)
{
	return invocation_fail(invocation, OUTCOME_FAILED,
	                       "the value is larger than %" PRIu64 " bytes, the most this arena can hold; "
	                       "store it in parts, or give larderd a larger arena",
	                       max);
}

static enum outcome read_standard_input(const struct invocation *invocation, uint64_t max, struct input *ret_input)
{
	size_t capacity = FIRST_BYTES, used = 0;
	char *buffer = malloc(capacity);

	while (buffer) {
		ssize_t count = read(STDIN_FILENO, buffer + used, capacity - used);
		char *larger;

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0) {
			free(buffer);
			return invocation_fail(invocation, OUTCOME_FAILED,
			                       "cannot read the value from standard input: %s", strerror(errno));
		}
		if (count == 0) {
			*ret_input = (struct input){ { buffer, used }, buffer };
			return OUTCOME_OK;
		}
		used += (size_t)count;
		if (used > max) {
			free(buffer);
			return too_large(invocation, max);
		}
		if (used < capacity)
			continue;
		larger = realloc(buffer, capacity * 2);
		if (!larger)
			free(buffer);
		buffer = larger;
		capacity *= 2;
	}
	return invocation_fail(invocation, OUTCOME_FAILED, "out of memory while reading the value from standard input");
}

enum outcome input_read(const struct invocation *invocation, size_t operand, struct input *ret_input)
{
	struct cache_thread *thread;
	enum outcome outcome = invocation_thread(invocation, &thread);
	struct bytes value;
	uint64_t max;

	if (outcome != OUTCOME_OK)
		return outcome;
	max = arena_value_max(&thread->cache->arena);
	if (operand >= invocation->operand_count || strcmp(invocation->operands[operand], "-") == 0)
		return read_standard_input(invocation, max, ret_input);
	outcome = invocation_bytes(invocation, operand, &value);
	if (outcome != OUTCOME_OK)
		return outcome;
	if (value.size > max)
		return too_large(invocation, max);
	*ret_input = (struct input){ value, NULL };
	return OUTCOME_OK;
}

void input_release(struct input *input)
{
	free(input->owned);
	input->owned = NULL;
}
