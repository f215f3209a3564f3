/* SPDX-License-Identifier: MIT */
#include "tools/larder_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/larder_input.h"
#include "tools/larder_command_line.h"

/* Tells of a write that is done; without --json, silence does. */
static enum outcome written(const struct invocation *invocation, struct bytes key, uint64_t version)
{
	if (invocation->json) {
		invocation_json_ok(key);
		printf(",\"version\":\"%" PRIu64 "\"}\n", version);
	}
	return OUTCOME_OK;
}

/* A call of the library that stores a value; the options it does not have are ignored by it. */
typedef int store_call(const struct invocation *invocation, struct bytes key, struct bytes value,
                       uint64_t *ret_version);

/* What all commands with a value do: key, attach, value, store, tell. */
static enum outcome store(struct invocation *invocation, size_t value_operand, store_call *call)
{
	enum outcome outcome;
	struct bytes key;
	struct input input;
	uint64_t version = 0;
	int result;

	outcome = invocation_key(invocation, 0, &key);
	if (outcome == OUTCOME_OK)
		outcome = invocation_attach(invocation);
	if (outcome == OUTCOME_OK)
		outcome = input_read(invocation, value_operand, &input);
	if (outcome != OUTCOME_OK)
		return outcome;
	result = call(invocation, key, input.value, &version);
	input_release(&input);
	return result == 0 ? written(invocation, key, version) : invocation_result(invocation, key, result);
}

static struct larder_set_options set_options(const struct invocation *invocation)
{
	struct larder_set_options options = LARDER_SET_OPTIONS;

	options.ttl_ms = invocation->ttl_ms;
	options.flags = invocation->flags;
	return options;
}

static int call_set(const struct invocation *invocation, struct bytes key, struct bytes value, uint64_t *ret_version)
{
	struct larder_set_options options = set_options(invocation);

	return larder_set(invocation->cache, key.data, key.size, value.data, value.size, &options, ret_version);
}

static int call_add(const struct invocation *invocation, struct bytes key, struct bytes value, uint64_t *ret_version)
{
	struct larder_set_options options = set_options(invocation);

	return larder_add(invocation->cache, key.data, key.size, value.data, value.size, &options, ret_version);
}

static int call_replace(const struct invocation *invocation, struct bytes key, struct bytes value,
                        uint64_t *ret_version)
{
	struct larder_set_options options = set_options(invocation);

	return larder_replace(invocation->cache, key.data, key.size, value.data, value.size, &options, ret_version);
}

static int call_cas(const struct invocation *invocation, struct bytes key, struct bytes value, uint64_t *ret_version)
{
	struct larder_set_options options = set_options(invocation);

	return larder_cas(invocation->cache, key.data, key.size, value.data, value.size, invocation->if_version,
	                  &options, ret_version);
}

static int call_append(const struct invocation *invocation, struct bytes key, struct bytes value, uint64_t *ret_version)
{
	return larder_append(invocation->cache, key.data, key.size, value.data, value.size, ret_version);
}

enum outcome command_set(struct invocation *invocation)
{
	return store(invocation, 1, call_set);
}

enum outcome command_add(struct invocation *invocation)
{
	return store(invocation, 1, call_add);
}

enum outcome command_replace(struct invocation *invocation)
{
	return store(invocation, 1, call_replace);
}

enum outcome command_cas(struct invocation *invocation)
{
	if (!text_unsigned(invocation->operands[1], UINT64_MAX, &invocation->if_version))
		return invocation_fail(invocation, OUTCOME_USAGE,
		                       "'%s' is not a version; get --json prints that of a key",
		                       invocation->operands[1]);
	return store(invocation, 2, call_cas);
}

enum outcome command_append(struct invocation *invocation)
{
	return store(invocation, 1, call_append);
}

static enum outcome delete_key(const struct invocation *invocation, struct bytes key)
{
	int result = larder_delete(invocation->cache, key.data, key.size, invocation->if_version);

	if (result != 0)
		return invocation_result(invocation, key, result);
	if (invocation->json) {
		invocation_json_ok(key);
		fputs("}\n", stdout);
	}
	return OUTCOME_OK;
}

enum outcome command_del(struct invocation *invocation)
{
	enum outcome outcome;
	struct bytes *keys;

	if ((invocation->given & OPTION_IF_VERSION) && invocation->operand_count != 1)
		return invocation_fail(invocation, OUTCOME_USAGE, "--if-version goes with a single key");
	outcome = invocation_keys(invocation, &keys);
	if (outcome != OUTCOME_OK)
		return outcome;
	outcome = invocation_attach(invocation);
	for (size_t i = 0; i < invocation->operand_count && outcome <= OUTCOME_NO; i++)
		outcome = outcome_worse(outcome, delete_key(invocation, keys[i]));
	free(keys);
	return outcome;
}

typedef int count_call(larder *cache, const void *key, size_t key_size, int64_t delta,
                       const struct larder_incr_options *options, int64_t *ret_value);

static enum outcome count(struct invocation *invocation, count_call *call)
{
	struct larder_incr_options options = LARDER_INCR_OPTIONS;
	char quoted[TEXT_QUOTED_BYTES];
	enum outcome outcome;
	struct bytes key;
	int64_t delta = 1, value;
	int result;

	if (invocation->operand_count > 1 && !text_signed(invocation->operands[1], &delta))
		return invocation_fail(invocation, OUTCOME_USAGE, "'%s' is not a signed 64-bit number",
		                       invocation->operands[1]);
	if ((invocation->given & OPTION_TTL) && !(invocation->given & OPTION_INITIAL))
		return invocation_fail(invocation, OUTCOME_USAGE,
		                       "--ttl is the life of a counter that is made, so it goes with --initial; "
		                       "touch gives a counter that exists another life");
	outcome = invocation_key(invocation, 0, &key);
	if (outcome == OUTCOME_OK)
		outcome = invocation_attach(invocation);
	if (outcome != OUTCOME_OK)
		return outcome;
	options.initial = invocation->initial;
	options.ttl_ms = invocation->ttl_ms;
	options.flags = invocation->given & OPTION_INITIAL ? LARDER_INCR_CREATE : 0;
	result = call(invocation->cache, key.data, key.size, delta, &options, &value);
	if (result == LARDER_MISS && !invocation->json)
		return invocation_fail(invocation, OUTCOME_NO, "%s: %s; make it with --initial NUMBER",
		                       text_quote(key.data, key.size, quoted), larder_strerror(result));
	if (result != 0)
		return invocation_result(invocation, key, result);
	if (invocation->json) {
		invocation_json_ok(key);
		printf(",\"value\":%" PRId64 "}\n", value);
	} else {
		printf("%" PRId64 "\n", value);
	}
	return OUTCOME_OK;
}

enum outcome command_incr(struct invocation *invocation)
{
	return count(invocation, larder_incr);
}

enum outcome command_decr(struct invocation *invocation)
{
	return count(invocation, larder_decr);
}

enum outcome command_touch(struct invocation *invocation)
{
	enum outcome outcome;
	struct bytes key;
	uint64_t ttl_ms, version = 0;
	int result;

	if (!text_duration(invocation->operands[1], 1000, &ttl_ms))
		return invocation_fail(invocation, OUTCOME_USAGE,
		                       "'%s' is not a life; give a number with a unit of " TEXT_UNITS ", or never",
		                       invocation->operands[1]);
	outcome = invocation_key(invocation, 0, &key);
	if (outcome == OUTCOME_OK)
		outcome = invocation_attach(invocation);
	if (outcome != OUTCOME_OK)
		return outcome;
	result = larder_touch(invocation->cache, key.data, key.size, ttl_ms, &version);
	return result == 0 ? written(invocation, key, version) : invocation_result(invocation, key, result);
}
