/* SPDX-License-Identifier: MIT */
#include "bench/driver_larder.h"

#include "bench/harness.h"

static const unsigned char *stream_key(const struct driver_larder *driver, size_t index)
{
	return driver->stream->keys + index * KEY_BYTES;
}

int driver_larder_get(void *context, size_t first, size_t count, uint64_t *ret_sum)
{
	struct driver_larder *driver = context;
	const unsigned char *key = stream_key(driver, first);
	unsigned char buffer[VALUE_BYTES];
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++, key += KEY_BYTES) {
		int result = larder_get(driver->cache, key, KEY_BYTES, buffer, sizeof buffer, NULL);

		if (result != 0)
			return result;
		keep(buffer);
		sum += value_word(buffer);
	}
	*ret_sum = sum;
	return 0;
}

int driver_larder_get_chained(void *context, size_t first, size_t count, uint64_t *ret_sum)
{
	struct driver_larder *driver = context;
	unsigned char buffer[VALUE_BYTES];
	uint64_t sum = 0;

	if (first == 0)
		workload_key(0, driver->chained);
	for (size_t i = 0; i < count; i++) {
		int result = larder_get(driver->cache, driver->chained, KEY_BYTES, buffer, sizeof buffer, NULL);

		if (result != 0)
			return result;
		keep(buffer);
		sum += value_word(buffer);
		memcpy(driver->chained, buffer + VALUE_NEXT_KEY, KEY_BYTES);
	}
	*ret_sum = sum;
	return 0;
}

int driver_larder_view(void *context, size_t first, size_t count, uint64_t *ret_sum)
{
	struct driver_larder *driver = context;
	const unsigned char *key = stream_key(driver, first);
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++, key += KEY_BYTES) {
		struct larder_view view;
		int result = larder_view(driver->cache, key, KEY_BYTES, &view);

		if (result != 0)
			return result;
		sum += value_word(view.data);
		larder_release(driver->cache, &view);
	}
	*ret_sum = sum;
	return 0;
}

int driver_larder_mget(void *context, size_t first, size_t count, uint64_t *ret_sum)
{
	struct driver_larder *driver = context;
	const unsigned char *key = stream_key(driver, first);
	unsigned char buffers[MGET_KEYS][VALUE_BYTES];
	struct larder_mget_entry entries[MGET_KEYS];
	uint64_t sum = 0;

	for (size_t i = 0; i < MGET_KEYS; i++)
		entries[i] = (struct larder_mget_entry){ .key_size = KEY_BYTES,
			                                 .buffer = buffers[i],
			                                 .buffer_size = VALUE_BYTES };
	for (size_t done = 0; done < count; done += MGET_KEYS) {
		int result;

		for (size_t i = 0; i < MGET_KEYS; i++, key += KEY_BYTES)
			entries[i].key = key;
		result = larder_mget(driver->cache, entries, MGET_KEYS);
		for (size_t i = 0; i < MGET_KEYS; i++) {
			if (result == 0)
				result = entries[i].result;
			keep(buffers[i]);
			sum += value_word(buffers[i]);
		}
		if (result != 0)
			return result;
	}
	*ret_sum = sum;
	return 0;
}

int driver_larder_miss(void *context, size_t first, size_t count, uint64_t *ret_sum)
{
	struct driver_larder *driver = context;
	const unsigned char *key = stream_key(driver, first);
	unsigned char buffer[VALUE_BYTES];
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++, key += KEY_BYTES) {
		int result = larder_get(driver->cache, key, KEY_BYTES, buffer, sizeof buffer, NULL);

		if (result < 0)
			return result;
		sum += result == LARDER_MISS;
	}
	*ret_sum = sum;
	return 0;
}

int driver_larder_set(void *context, size_t first, size_t count, uint64_t *ret_sum)
{
	struct driver_larder *driver = context;
	struct larder_set_options with_ttl = LARDER_SET_OPTIONS;
	const struct larder_set_options *options = driver->ttl_ms > 0 ? &with_ttl : NULL;
	const unsigned char *key = stream_key(driver, first);
	const unsigned char *value = driver->stream->values + first * VALUE_BYTES;

	with_ttl.ttl_ms = driver->ttl_ms;
	for (size_t i = 0; i < count; i++, key += KEY_BYTES, value += VALUE_BYTES) {
		int result = larder_set(driver->cache, key, KEY_BYTES, value, VALUE_BYTES, options, NULL);

		if (result != 0)
			return result;
	}
	*ret_sum = count;
	return 0;
}

int driver_larder_incr(void *context, size_t first, size_t count, uint64_t *ret_sum)
{
	struct driver_larder *driver = context;
	struct larder_incr_options options = LARDER_INCR_OPTIONS;
	const unsigned char *key = stream_key(driver, first);

	options.flags = LARDER_INCR_CREATE;
	for (size_t i = 0; i < count; i++, key += KEY_BYTES) {
		int result = larder_incr(driver->cache, key, KEY_BYTES, 1, &options, NULL);

		if (result != 0)
			return result;
	}
	*ret_sum = count;
	return 0;
}
