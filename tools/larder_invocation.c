/* SPDX-License-Identifier: MIT */
#include "tools/larder_invocation.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/thread.h"
#include "tools/larder_command_line.h"
#include "tools/larder_json.h"

enum outcome invocation_fail(const struct invocation *invocation, enum outcome outcome, const char *format, ...)
{
	va_list arguments;

	fflush(stdout); /* what was printed before the failure belongs before its message */
	fprintf(stderr, "larder: %s: ", invocation->command->name);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	putc('\n', stderr);
	return outcome;
}

enum outcome invocation_bytes(const struct invocation *invocation, size_t operand, struct bytes *ret_bytes)
{
	char *text = invocation->operands[operand];
	size_t size = strlen(text);

	if ((invocation->given & OPTION_ESCAPED) && !text_unescape(text, &size))
		return invocation_fail(invocation, OUTCOME_USAGE,
		                       "argument %zu has a malformed escape; with -e write \\\\ \\t \\n \\r or \\xHH",
		                       operand + 1);
	*ret_bytes = (struct bytes){ text, size };
	return OUTCOME_OK;
}

enum outcome invocation_key(const struct invocation *invocation, size_t operand, struct bytes *ret_key)
{
	struct bytes key;

	if (invocation_bytes(invocation, operand, &key) != OUTCOME_OK)
		return OUTCOME_USAGE;
	if (key.size == 0 || key.size > LARDER_KEY_MAX)
		return invocation_fail(invocation, OUTCOME_USAGE, "the key has %zu bytes; give one of 1 to %d",
		                       key.size, LARDER_KEY_MAX);
	*ret_key = key;
	return OUTCOME_OK;
}

enum outcome invocation_keys(const struct invocation *invocation, struct bytes **ret_keys)
{
	struct bytes *keys = calloc(invocation->operand_count, sizeof *keys);
	enum outcome outcome = OUTCOME_OK;

	if (!keys)
		return invocation_fail(invocation, OUTCOME_FAILED, "out of memory");
	for (size_t i = 0; i < invocation->operand_count && outcome == OUTCOME_OK; i++)
		outcome = invocation_key(invocation, i, &keys[i]);
	if (outcome == OUTCOME_OK)
		*ret_keys = keys;
	else
		free(keys);
	return outcome;
}

enum outcome invocation_attach(struct invocation *invocation)
{
	char reason[512] = "";
	struct larder_open_options options = LARDER_OPEN_OPTIONS;
	int result;

	options.timeout_ms = invocation->timeout_ms;
	options.error = reason;
	options.error_size = sizeof reason;
	result = larder_open(invocation->socket, &options, &invocation->cache);
	if (result == 0)
		return OUTCOME_OK;
	return invocation_fail(invocation, OUTCOME_DETACHED, "cannot attach: %s",
	                       reason[0] ? reason : larder_strerror(result));
}

enum outcome invocation_thread(const struct invocation *invocation, struct cache_thread **ret_thread)
{
	struct thread_entry entry = thread_enter(invocation->cache);

	if (!entry.thread)
		return invocation_fail(invocation, OUTCOME_FAILED, "%s", larder_strerror(entry.result));
	*ret_thread = entry.thread;
	return OUTCOME_OK;
}

void invocation_json_ok(struct bytes key)
{
	putchar('{');
	json_bytes(stdout, "key", key.data, key.size);
	fputs(",\"result\":\"ok\"", stdout);
}

static const char *condition_name(int result)
{
	switch (result) {
	case LARDER_MISS:
		return "miss";
	case LARDER_EXISTS:
		return "exists";
	case LARDER_CHANGED:
		return "changed";
	case LARDER_NOT_NUMBER:
		return "not_number";
	default:
		return "unexpected";
	}
}

/* The texts of the library for failures name their cure; conditions are told to a program there, to a person here. */
static const char *cure(int result)
{
	switch (result) {
	case LARDER_EXISTS:
		return "; use set or replace to overwrite it";
	case LARDER_CHANGED:
		return "; read it again for its present version";
	case LARDER_NOT_NUMBER:
		return "; set it to a number first";
	default:
		return "";
	}
}

enum outcome invocation_result(const struct invocation *invocation, struct bytes key, int result)
{
	enum outcome outcome = result > 0 ? OUTCOME_NO : OUTCOME_FAILED;
	char quoted[TEXT_QUOTED_BYTES];

	if (outcome == OUTCOME_NO && invocation->json) {
		putchar('{');
		json_bytes(stdout, "key", key.data, key.size);
		printf(",\"result\":\"%s\"}\n", condition_name(result));
		return outcome;
	}
	return invocation_fail(invocation, outcome, "%s: %s%s", text_quote(key.data, key.size, quoted),
	                       larder_strerror(result), cure(result));
}
