/* SPDX-License-Identifier: MIT */
/*
 * How much of the arena is keys and values when there are more of them than fit. Sizes are mixed in four ways one after the other, so
 * that segments filled with one mixture must give way to another; a third of the writes replace a key, with another size.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/attachment.h"
#include "bench/bench.h"
#include "bench/harness.h"
#include "bench/memory.h"

#define ARENA "64M"
#define ARENA_BYTES (UINT64_C(64) << 20)
#define KEY_TEXT 20
#define VALUE_MAX 65536

static const struct mixture {
	uint32_t least, most;
} mixtures[] = { { 1000, 1000 }, { 200, 400 }, { 500, 8000 }, { 100, VALUE_MAX } };

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

/* Three times what fits, of sizes whose logarithm is uniform. Return: 0; a result of larder_set. */
static int write_mixture(larder *cache, const struct mixture *mixture, uint64_t *number)
{
	static const char value[VALUE_MAX];
	const double range = (double)mixture->most / (double)mixture->least;
	uint64_t written = 0;

	while (written < 3 * ARENA_BYTES) {
		uint64_t random = mix(++*number);
		double uniform = (double)(random >> 11) * 0x1p-53;
		size_t size = (size_t)(mixture->least * pow(range, uniform));
		uint64_t name = random % 3 ? *number : *number - 1 - random / 3 % 1000;
		char key[KEY_TEXT + 1];
		int result;

		snprintf(key, sizeof key, "utilisation:%08llx", (unsigned long long)(name & 0xffffffff));
		result = larder_set(cache, key, KEY_TEXT, value, size, NULL, NULL);
		if (result != 0 && result != -EAGAIN)
			return result;
		written += size + KEY_TEXT;
	}
	return harness_interrupted();
}

int utilisation_measure(double *ret_share)
{
	const struct machine_cpus anywhere = { .shared = true };
	struct attachment attachment;
	uint64_t number = 10000;
	int result = attachment_open(ARENA, NULL, &anywhere, &attachment);

	if (result != 0)
		return result;
	*ret_share = 1;
	for (size_t i = 0; result == 0 && i < sizeof mixtures / sizeof mixtures[0]; i++) {
		struct larder_stat stat = { .size = sizeof stat };

		result = write_mixture(attachment.cache, &mixtures[i], &number);
		if (result == 0)
			result = larder_stat(attachment.cache, &stat);
		*ret_share = fmin(*ret_share, (double)(stat.key_bytes + stat.value_bytes) / (double)ARENA_BYTES);
	}
	if (result != 0)
		complain(result, "utilisation: cannot write: %s", larder_strerror(result));
	attachment_close(&attachment);
	return result;
}
