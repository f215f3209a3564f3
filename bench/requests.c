/* SPDX-License-Identifier: MIT */
#include "bench/requests.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define DURATION_S 7200 /* of a sequence, for lives to end in */
#define SCAN_EVERY 20   /* one part in so many of the requests belongs to scans */
#define SCAN_LENGTH 20000

struct generator {
	enum request_kind kind;
	uint32_t keys;
	uint64_t state;
	double *cumulative; /* of the popularity of ranks */
	uint32_t scan_key, scan_left;
};

/* A bijective mixer (multiply and shift): neighbours in, unrelated numbers out. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

static uint64_t draw(struct generator *generator)
{
	return mix(generator->state += UINT64_C(0x9e3779b97f4a7c15));
}

static double draw_unit(struct generator *generator)
{
	return (double)(draw(generator) >> 11) * 0x1p-53;
}

static int rank_keys(struct generator *generator, double exponent)
{
	double sum = 0;

	generator->cumulative = malloc(generator->keys * sizeof *generator->cumulative);
	if (!generator->cumulative)
		return -ENOMEM;
	for (uint32_t rank = 0; rank < generator->keys; rank++)
		generator->cumulative[rank] = sum += pow(rank + 1, -exponent);
	return 0;
}

/* Popular keys are strewn over all numbers. */
static uint32_t draw_key(struct generator *generator)
{
	double wanted = draw_unit(generator) * generator->cumulative[generator->keys - 1];
	uint32_t low = 0, high = generator->keys - 1;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (generator->cumulative[middle] < wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return (uint32_t)((uint64_t)low * 2654435761u % generator->keys);
}

static uint32_t scan_or_draw(struct generator *generator)
{
	if (generator->scan_left == 0 && draw(generator) % (SCAN_LENGTH * SCAN_EVERY) < SCAN_EVERY / 2) {
		generator->scan_left = SCAN_LENGTH;
		generator->scan_key = (uint32_t)(draw(generator) % generator->keys);
	}
	if (generator->scan_left == 0)
		return draw_key(generator);
	generator->scan_left--;
	return generator->scan_key++ % generator->keys;
}

/* Properties of a key, always the same. */
static uint32_t bytes_of(enum request_kind kind, uint32_t key)
{
	uint64_t random = mix(key + UINT64_C(1));

	if (kind != REQUESTS_TTL)
		return 100 + (uint32_t)(random % 401);
	/* Log-normal by the sum of four uniform numbers. */
	return 32 + (uint32_t)(200 * exp(((double)(random & 0xffff) + (double)(random >> 16 & 0xffff) +
	                                  (double)(random >> 32 & 0xffff) + (double)(random >> 48)) /
	                                         65536 -
	                                 2));
}

static uint32_t ttl_of(enum request_kind kind, uint32_t key)
{
	static const uint32_t lives[] = { 60, 300, 600, 1800, 3600, 3600, 14400, 86400 };

	return kind == REQUESTS_TTL ? lives[mix(key + UINT64_C(1) * 77) % 8] : 0;
}

static struct request next_request(struct generator *generator, size_t number, size_t count)
{
	uint32_t key = generator->kind == REQUESTS_SCAN ? scan_or_draw(generator) : draw_key(generator);

	return (struct request){
		.key = key,
		.bytes = bytes_of(generator->kind, key),
		.ttl_s = ttl_of(generator->kind, key),
		.time_s = (uint32_t)((uint64_t)number * DURATION_S / count),
		.operation = generator->kind == REQUESTS_OVERWRITE && draw(generator) % 4 ? REQUEST_SET : REQUEST_GET,
	};
}

const char *requests_name(enum request_kind kind)
{
	static const char *const names[] = { "zipf-0.7", "zipf-1.0", "scan", "ttl", "overwrite" };

	return names[kind];
}

int requests_make(enum request_kind kind, uint32_t keys, size_t count, struct requests *ret_requests)
{
	struct generator generator = { .kind = kind, .keys = keys, .state = kind };
	struct requests requests = { .count = count, .keys = keys };
	int result = rank_keys(&generator, kind == REQUESTS_ZIPF_07 ? 0.7 : 1.0);

	if (result)
		return result;
	requests.request = malloc(count * sizeof *requests.request);
	for (size_t i = 0; requests.request && i < count; i++)
		requests.request[i] = next_request(&generator, i, count);
	free(generator.cumulative);
	*ret_requests = requests;
	return requests.request ? 0 : -ENOMEM;
}

void requests_destroy(struct requests *requests)
{
	free(requests->request);
	requests->request = NULL;
}
