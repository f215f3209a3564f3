/* SPDX-License-Identifier: MIT */
/* What a client finds under a key, and what each operation must make of it. */
#ifndef LARDER_STEP_READING_H
#define LARDER_STEP_READING_H

#include "cache/cache.h"

#define VALUE_MAX 4096

/* What a key shall be set to. text NULL: nothing. */
struct value {
	const char *text;
	uint64_t ttl_ms;
	uint32_t flags;
	bool counter;
};

struct reading {
	bool present, expires;
	uint32_t flags, size;
	uint64_t version; /* not compared */
	char bytes[VALUE_MAX];
};

void reading_take(struct cache_thread *thread, const void *key, size_t key_size, struct reading *ret_reading);
void reading_of(const struct value *value, struct reading *ret_reading);
bool reading_equal(const struct reading *a, const struct reading *b);

/* The result that an operation must have, and what is found after it; but for the version. */
int reading_foresee(const struct write_request *request, struct reading *reading);

#endif
