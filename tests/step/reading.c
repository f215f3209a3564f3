/* SPDX-License-Identifier: MIT */
#include "tests/step/reading.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/expect.h"

void reading_take(struct cache_thread *thread, const void *key, size_t key_size, struct reading *ret_reading)
{
	struct larder_item item = { 0 };
	int result = cache_get(thread, key, key_size, ret_reading->bytes, VALUE_MAX, &item);

	ret_reading->present = result == LARDER_OK;
	ret_reading->expires = item.ttl_ms != 0;
	ret_reading->flags = item.flags;
	ret_reading->size = (uint32_t)item.value_size;
	ret_reading->version = item.version;
}

void reading_of(const struct value *value, struct reading *ret_reading)
{
	size_t size = value->text ? strlen(value->text) : 0;

	expect(size <= VALUE_MAX);
	ret_reading->present = value->text != NULL;
	ret_reading->expires = value->ttl_ms != 0;
	ret_reading->flags = value->flags;
	ret_reading->size = (uint32_t)size;
	ret_reading->version = 0;
	if (size > 0)
		memcpy(ret_reading->bytes, value->text, size);
}

bool reading_equal(const struct reading *a, const struct reading *b)
{
	if (!a->present || !b->present)
		return a->present == b->present;
	return a->expires == b->expires && a->flags == b->flags && a->size == b->size &&
	       memcmp(a->bytes, b->bytes, a->size) == 0;
}

/* ---- the model --------------------------------------------------------------------------------------------------------- */

static bool is_number(const struct reading *reading, int64_t *ret_number)
{
	char text[32], *end;

	if (reading->size == 0 || reading->size >= sizeof text)
		return false;
	memcpy(text, reading->bytes, reading->size);
	text[reading->size] = '\0';
	errno = 0;
	*ret_number = strtoll(text, &end, 10);
	return *end == '\0' && errno == 0;
}

static void set_bytes(struct reading *reading, uint32_t at, const void *bytes, size_t size)
{
	expect(at + size <= VALUE_MAX);
	if (size > 0)
		memcpy(reading->bytes + at, bytes, size);
	reading->size = at + (uint32_t)size;
}

static void set_number(struct reading *reading, int64_t number)
{
	char text[32];

	set_bytes(reading, 0, text, (size_t)snprintf(text, sizeof text, "%" PRId64, number));
}

static int foresee_value(const struct write_request *request, struct reading *reading)
{
	reading->present = true;
	reading->expires = request->ttl_ms != 0;
	reading->flags = request->flags;
	set_bytes(reading, 0, request->value, request->value_size);
	return LARDER_OK;
}

static int foresee_absent(const struct write_request *request, struct reading *reading)
{
	switch (request->operation) {
	case WRITE_SET:
	case WRITE_ADD:
		return foresee_value(request, reading);
	case WRITE_INCR:
		if (!(request->incr_flags & LARDER_INCR_CREATE))
			return LARDER_MISS;
		foresee_value(request, reading);
		set_number(reading, request->initial);
		return LARDER_OK;
	default:
		return LARDER_MISS;
	}
}

static int foresee_incr(const struct write_request *request, struct reading *reading)
{
	int64_t number;

	if (!is_number(reading, &number))
		return LARDER_NOT_NUMBER;
	if (__builtin_add_overflow(number, request->delta, &number))
		return -EOVERFLOW;
	set_number(reading, number);
	return LARDER_OK;
}

int reading_foresee(const struct write_request *request, struct reading *reading)
{
	if (!reading->present)
		return foresee_absent(request, reading);
	if (request->operation == WRITE_CAS || (request->operation == WRITE_DELETE && request->expected_version))
		if (request->expected_version != reading->version)
			return LARDER_CHANGED;
	switch (request->operation) {
	case WRITE_ADD:
		return LARDER_EXISTS;
	case WRITE_APPEND:
		set_bytes(reading, reading->size, request->value, request->value_size);
		return LARDER_OK;
	case WRITE_TOUCH:
		reading->expires = request->ttl_ms != 0;
		return LARDER_OK;
	case WRITE_INCR:
		return foresee_incr(request, reading);
	case WRITE_DELETE:
		reading->present = false;
		return LARDER_OK;
	default:
		return foresee_value(request, reading);
	}
}
