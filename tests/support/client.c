/* SPDX-License-Identifier: MIT */
#include "tests/support/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/expect.h"

#define OPEN_TIMEOUT_MS 20000

larder *client_open(const struct server *server)
{
	char text[512] = "";
	struct larder_open_options options = LARDER_OPEN_OPTIONS;
	larder *cache = NULL;
	int result;

	options.error = text;
	options.error_size = sizeof text;
	options.timeout_ms = OPEN_TIMEOUT_MS;
	result = larder_open(server->socket, &options, &cache);
	if (result != 0)
		expect_failed("larder_open: %s: %s", larder_strerror(result), text);
	return cache;
}

larder *client_open_hasty(const struct server *server, uint32_t timeout_ms)
{
	struct larder_open_options options = LARDER_OPEN_OPTIONS;
	struct patience patience = patience_start(OPEN_TIMEOUT_MS);
	larder *cache = NULL;
	int result;

	options.timeout_ms = timeout_ms;
	do
		result = larder_open(server->socket, &options, &cache);
	while (result == -ETIMEDOUT && patience_left(patience));
	if (result != 0)
		expect_failed("larder_open: %s", larder_strerror(result));
	return cache;
}

void client_put(larder *cache, const char *key, const char *value)
{
	int result = larder_set(cache, key, strlen(key), value, strlen(value), NULL, NULL);

	if (result != 0)
		expect_failed("set of %s: %s", key, larder_strerror(result));
}

void client_expect(larder *cache, const char *key, const char *value)
{
	char buffer[1024] = "";
	struct larder_item item;
	int result = larder_get(cache, key, strlen(key), buffer, sizeof buffer - 1, &item);

	if (value == NULL && result != LARDER_MISS)
		expect_failed("%s should be missing, but get says: %s", key, larder_strerror(result));
	if (value == NULL)
		return;
	if (result != 0)
		expect_failed("get of %s: %s", key, larder_strerror(result));
	if (item.value_size != strlen(value) || memcmp(buffer, value, item.value_size) != 0)
		expect_failed("%s is \"%.*s\", not \"%s\"", key, (int)item.value_size, buffer, value);
}

struct larder_stat client_stat(larder *cache)
{
	struct larder_stat stat = { .size = sizeof stat };

	expect_equal(larder_stat(cache, &stat), 0);
	return stat;
}

static uint64_t pattern_word(uint64_t seed, size_t index)
{
	uint64_t word = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) + index * UINT64_C(0xd6e8feb86659fd93);

	return word ^ word >> 29;
}

void pattern_fill(void *bytes, size_t size, uint64_t seed)
{
	for (size_t at = 0; at < size; at += 8) {
		uint64_t word = pattern_word(seed, at);

		memcpy((char *)bytes + at, &word, size - at < 8 ? size - at : 8);
	}
}

int pattern_holds(const void *bytes, size_t size, uint64_t seed)
{
	for (size_t at = 0; at < size; at += 8) {
		uint64_t word = pattern_word(seed, at);

		if (memcmp((const char *)bytes + at, &word, size - at < 8 ? size - at : 8) != 0)
			return 0;
	}
	return 1;
}
