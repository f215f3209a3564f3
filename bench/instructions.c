/* SPDX-License-Identifier: MIT */
/*
 * larder-bench instructions: runs one operation a given number of times on a small arena, to be counted by callgrind
 * (see instructions.sh). Two runs that differ only in that number differ in nothing else, so the difference of what
 * callgrind counted, divided by the difference of the numbers, is the cost of one operation.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "bench/attachment.h"
#include "bench/bench.h"
#include "bench/driver_larder.h"
#include "bench/workload.h"

#define ARENA "64M"
#define KEYS 1000u

typedef int run_function(void *context, size_t first, size_t count, uint64_t *ret_sum);

static const struct operation {
	const char *name;
	run_function *run;
	uint64_t ttl_ms;
} operations[] = {
	{ "get", driver_larder_get, 0 },
	{ "view", driver_larder_view, 0 },
	{ "set", driver_larder_set, 0 },
	{ "mget32", driver_larder_mget, 0 }, /* the count is that of keys */
	{ "get-ttl", driver_larder_get, 3600000 },
	{ "view-ttl", driver_larder_view, 3600000 },
	{ "mget32-ttl", driver_larder_mget, 3600000 },
};

static const struct operation *find_operation(const char *name)
{
	for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
		if (strcmp(name, operations[i].name) == 0)
			return &operations[i];
	return NULL;
}

static int run(larder *cache, const struct operation *operation, const struct stream *all, const struct stream *stream)
{
	struct driver_larder driver = { .cache = cache, .stream = all, .ttl_ms = operation->ttl_ms };
	uint64_t sum;
	int result = driver_larder_set(&driver, 0, all->count, &sum);

	driver.stream = stream;
	if (result == 0)
		result = operation->run(&driver, 0, stream->count, &sum);
	if (result == 0 && sum != (operation->run == driver_larder_set ? stream->count : stream->sum))
		return complain(-EIO, "wrong data");
	return result == 0 ? 0 : complain(-EIO, "unexpected result: %s", larder_strerror(result));
}

int bench_instructions(const struct bench_options *options)
{
	const struct operation *operation = find_operation(options->operation);
	const size_t wanted = options->count ? options->count : 10000;
	const size_t count = (wanted + MGET_KEYS - 1) / MGET_KEYS * MGET_KEYS;
	const struct machine_cpus anywhere = { .shared = true };
	struct attachment attachment;
	struct workload workload = { 0 };
	struct stream all = { 0 }, stream = { 0 };
	int result;

	if (!operation)
		return complain(-EINVAL, "%s: not an operation; see larder-bench instructions --help",
		                options->operation);
	result = workload_create(KEYS, &workload);
	if (result == 0)
		result = stream_create(STREAM_ASCENDING, 0, KEYS, KEYS, &workload, &all);
	if (result == 0)
		result = stream_create(STREAM_UNIFORM, 0, KEYS, count, &workload, &stream);
	if (result != 0) {
		complain(0, "cannot begin: %s", larder_strerror(result));
		goto done;
	}
	result = attachment_open(ARENA, options->pages, &anywhere, &attachment);
	if (result == 0) {
		result = run(attachment.cache, operation, &all, &stream);
		attachment_close(&attachment);
	}

done:
	stream_destroy(&stream);
	stream_destroy(&all);
	workload_destroy(&workload);
	return result;
}
