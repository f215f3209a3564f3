/* SPDX-License-Identifier: MIT */
/* One run of the command: what was asked for, how it ends, and the steps that all commands share. */
#ifndef LARDER_TOOLS_LARDER_INVOCATION_H
#define LARDER_TOOLS_LARDER_INVOCATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/cache.h"
#include "larder.h"
#include "tools/larder_text.h"

/* The exit status. */
enum outcome {
	OUTCOME_OK = 0,
	OUTCOME_NO = 1, /* a miss, or another condition that is an answer rather than a failure */
	OUTCOME_USAGE = 2,
	OUTCOME_DETACHED = 3, /* could not attach */
	OUTCOME_FAILED = 4
};

/* The outcome of several keys is that of the worst. */
static inline enum outcome outcome_worse(enum outcome a, enum outcome b)
{
	return a > b ? a : b;
}

struct command;

struct invocation {
	const struct command *command;
	char **operands;
	size_t operand_count;
	unsigned given; /* OPTION_... that were given; their values: */
	const char *socket;
	uint32_t timeout_ms;
	uint32_t flags;
	uint64_t ttl_ms;
	uint64_t if_version;
	uint64_t limit;
	int64_t initial;
	bool json;
	larder *cache; /* after invocation_attach */
};

/* Prints "larder: <command>: <sentence>" to standard error and returns outcome. */
enum outcome invocation_fail(const struct invocation *invocation, enum outcome outcome, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* An operand as bytes, escapes resolved where --escaped asks for it. Return: OUTCOME_OK or OUTCOME_USAGE. */
enum outcome invocation_bytes(const struct invocation *invocation, size_t operand, struct bytes *ret_bytes);

/* The same, and checks that it can be a key. */
enum outcome invocation_key(const struct invocation *invocation, size_t operand, struct bytes *ret_key);

/* All operands as keys, so that none is used before all are known to be good. The caller frees *ret_keys. */
enum outcome invocation_keys(const struct invocation *invocation, struct bytes **ret_keys);

/* Attaches to larderd. Return: OUTCOME_OK or OUTCOME_DETACHED. */
enum outcome invocation_attach(struct invocation *invocation);

/* The internals behind the handle. Return: OUTCOME_OK or OUTCOME_FAILED. */
enum outcome invocation_thread(const struct invocation *invocation, struct cache_thread **ret_thread);

/*
 * Ends a call of the library that did not return 0: a condition is told on standard error, or with --json as an object
 * on standard output; a failure always on standard error. Return: the outcome that belongs to it.
 */
enum outcome invocation_result(const struct invocation *invocation, struct bytes key, int result);

/* With --json: the beginning of the object that tells of a success, {"key":...,"result":"ok", without the brace. */
void invocation_json_ok(struct bytes key);

#endif
