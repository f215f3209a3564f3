/* SPDX-License-Identifier: MIT */
/*
 * The loops of all drivers. They are inlined together with the operation that they are given, so every system is measured
 * by the same loop and without a call through a pointer.
 */
#ifndef LARDER_BENCH_DRIVERS_LOOPS_H
#define LARDER_BENCH_DRIVERS_LOOPS_H

#include <errno.h>

#include "bench/driver.h"
#include "bench/harness.h"
#include "larder.h"

#define LOOP static inline __attribute__((always_inline)) int

/* Operations on one key, and on a batch of DRIVER_BATCH keys that stand one behind the other. */
typedef int touch_operation(void *session, const unsigned char *key, uint64_t *ret_word);
typedef int get_operation(void *session, const unsigned char *key, unsigned char *buffer, size_t value_bytes);
typedef int set_operation(void *session, const unsigned char *key, const unsigned char *value, size_t value_bytes);
typedef int get_batch_operation(void *session, const unsigned char *keys, unsigned char *buffers, size_t value_bytes,
                                uint32_t *missing); /* a bit for each, set where it is not there */
typedef int set_batch_operation(void *session, const unsigned char *keys, const unsigned char *values,
                                size_t value_bytes);

/* A cache may have evicted what is asked for. It is counted, and the sum is as if it had been there. */
static inline uint64_t loop_missed(const struct driver_work *work, size_t index, struct driver_result *ret_result)
{
	ret_result->missed++;
	return workload_word(work->stream->ids[index]);
}

LOOP loop_touch(void *session, const struct driver_work *work, struct driver_result *ret_result, touch_operation *touch)
{
	const unsigned char *key = work->stream->keys + work->first * KEY_BYTES;
	uint64_t sum = 0, word = 0;

	for (size_t i = 0; i < work->count; i++, key += KEY_BYTES) {
		int result = touch(session, key, &word);

		if (result == LARDER_MISS)
			word = loop_missed(work, work->first + i, ret_result);
		else if (result != 0)
			return result;
		sum += word;
	}
	ret_result->sum = sum;
	return 0;
}

LOOP loop_get(void *session, const struct driver_work *work, struct driver_result *ret_result, get_operation *get)
{
	const unsigned char *key = work->stream->keys + work->first * KEY_BYTES;
	unsigned char *buffer = work->buffer;
	const size_t value_bytes = work->value_bytes;
	uint64_t sum = 0;

	for (size_t i = 0; i < work->count; i++, key += KEY_BYTES) {
		int result = get(session, key, buffer, value_bytes);

		keep(buffer);
		if (result == LARDER_MISS)
			sum += loop_missed(work, work->first + i, ret_result);
		else if (result != 0)
			return result;
		else
			sum += value_word(buffer);
	}
	ret_result->sum = sum;
	return 0;
}

LOOP loop_get_batch(void *session, const struct driver_work *work, struct driver_result *ret_result,
                    get_batch_operation *get_batch)
{
	const unsigned char *keys = work->stream->keys + work->first * KEY_BYTES;
	const size_t value_bytes = work->value_bytes;
	uint64_t sum = 0;

	for (size_t done = 0; done < work->count; done += DRIVER_BATCH, keys += DRIVER_BATCH * KEY_BYTES) {
		uint32_t missing = 0;
		int result = get_batch(session, keys, work->buffer, value_bytes, &missing);

		if (result != 0)
			return result;
		keep(work->buffer);
		for (size_t i = 0; i < DRIVER_BATCH; i++)
			sum += missing & 1u << i ? loop_missed(work, work->first + done + i, ret_result)
			                         : value_word(work->buffer + i * value_bytes);
	}
	ret_result->sum = sum;
	return 0;
}

/* Makes the value of an entry, of which all is the same but the first word. */
static inline uint64_t loop_value(const struct driver_work *work, size_t index)
{
	uint64_t word = workload_word(work->stream->ids[index]);

	memcpy(work->value, &word, sizeof word);
	keep(work->value);
	return word;
}

LOOP loop_set(void *session, const struct driver_work *work, struct driver_result *ret_result, set_operation *set)
{
	const unsigned char *key = work->stream->keys + work->first * KEY_BYTES;
	const size_t value_bytes = work->value_bytes;
	uint64_t sum = 0;

	for (size_t i = 0; i < work->count; i++, key += KEY_BYTES) {
		int result;

		sum += loop_value(work, work->first + i);
		result = set(session, key, work->value, value_bytes);
		if (result != 0)
			return result;
	}
	ret_result->sum = sum;
	return 0;
}

/* The values are made in work->buffer. */
LOOP loop_set_batch(void *session, const struct driver_work *work, struct driver_result *ret_result,
                    set_batch_operation *set_batch)
{
	const unsigned char *keys = work->stream->keys + work->first * KEY_BYTES;
	const size_t value_bytes = work->value_bytes;
	uint64_t sum = 0;

	for (size_t i = 0; i < DRIVER_BATCH; i++)
		memcpy(work->buffer + i * value_bytes, work->value, value_bytes);
	for (size_t done = 0; done < work->count; done += DRIVER_BATCH, keys += DRIVER_BATCH * KEY_BYTES) {
		int result;

		for (size_t i = 0; i < DRIVER_BATCH; i++) {
			sum += loop_value(work, work->first + done + i);
			memcpy(work->buffer + i * value_bytes, work->value, sizeof(uint64_t));
		}
		result = set_batch(session, keys, work->buffer, value_bytes);
		if (result != 0)
			return result;
	}
	ret_result->sum = sum;
	return 0;
}

LOOP loop_mixed(void *session, const struct driver_work *work, struct driver_result *ret_result, get_operation *get,
                set_operation *set)
{
	const unsigned char *key = work->stream->keys + work->first * KEY_BYTES;
	const size_t value_bytes = work->value_bytes;
	uint64_t sum = 0;

	for (size_t i = work->first; i < work->first + work->count; i++, key += KEY_BYTES) {
		int result;

		if (work->stream->dice[i] < work->write_percent) {
			sum += loop_value(work, i);
			result = set(session, key, work->value, value_bytes);
		} else {
			result = get(session, key, work->buffer, value_bytes);
			keep(work->buffer);
			if (result == LARDER_MISS) {
				sum += loop_missed(work, i, ret_result);
				result = 0;
			} else {
				sum += value_word(work->buffer);
			}
		}
		if (result != 0)
			return result;
	}
	ret_result->sum = sum;
	return 0;
}

/* The operations that a system has; NULL for what it has not. */
struct loop_calls {
	touch_operation *touch;
	get_operation *get;
	get_batch_operation *get_batch;
	set_operation *set;
	set_batch_operation *set_batch;
};

LOOP loop_run(void *session, const struct driver_work *work, struct driver_result *ret_result, struct loop_calls calls)
{
	switch (work->operation) {
	case DRIVER_TOUCH:
		return calls.touch ? loop_touch(session, work, ret_result, calls.touch) : -ENOSYS;
	case DRIVER_GET:
		return loop_get(session, work, ret_result, calls.get);
	case DRIVER_GET32:
		return calls.get_batch ? loop_get_batch(session, work, ret_result, calls.get_batch) : -ENOSYS;
	case DRIVER_SET:
		return loop_set(session, work, ret_result, calls.set);
	case DRIVER_SET32:
		return calls.set_batch ? loop_set_batch(session, work, ret_result, calls.set_batch) : -ENOSYS;
	case DRIVER_MIXED:
		return loop_mixed(session, work, ret_result, calls.get, calls.set);
	default:
		return -ENOSYS;
	}
}

#endif
