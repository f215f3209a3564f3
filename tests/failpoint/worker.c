/* SPDX-License-Identifier: MIT */
#include "tests/failpoint/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/support/expect.h"

#define ATTACH_MS \
	60000 /* while a keeper is stopped or dead, which may take REACH_MS (scene.c) and more; else there is one try */
#define COUNTED_MS 1000 /* until a key that was driven out is counted */
#define LONG_MS 50      /* of a longer call it is asked whether the machine was the reason */

uint64_t worker_unserved_ns(const struct worker *worker)
{
	char text[128] = "";
	uint64_t ns = 0;

	if (pread(worker->schedule_fd, text, sizeof text - 1, 0) > 0)
		sscanf(text, "%*u %" SCNu64, &ns);
	return ns;
}

int worker_noted(struct worker *worker, const char *what, int result, atomic_u64 *longest_ns)
{
	uint64_t took_ns = monotonic_ns() - worker->called_ns, waited_ns;

	if (took_ns > LONG_MS * NS_PER_MS) {
		waited_ns = worker_unserved_ns(worker) - worker->unserved_ns;
		took_ns -= waited_ns < took_ns ? waited_ns : took_ns;
	}
	if (took_ns > load_relaxed(longest_ns))
		store_relaxed(longest_ns, took_ns);
	store_relaxed(&worker->self->calls, load_relaxed(&worker->self->calls) + 1);
	if (result >= 0)
		return result;
	if (!worker->crowd->keeper_hurt || (result != -EAGAIN && result != -ETIMEDOUT && result != -EIO))
		expect_failed("member %u: %s: %s after %.3f s", worker->number, what, larder_strerror(result),
		              (double)took_ns / 1e9);
	store_relaxed(&worker->self->timeouts, load_relaxed(&worker->self->timeouts) + 1);
	return result;
}

larder *worker_attach(const struct crowd *crowd, bool eager)
{
	struct patience patience = patience_start(ATTACH_MS);
	struct larder_open_options options = LARDER_OPEN_OPTIONS;
	char text[512] = "";
	larder *cache = NULL;
	int result;

	options.error = text;
	options.error_size = sizeof text;
	options.timeout_ms = eager ? 0 : crowd->timeout_ms;
	do
		result = larder_open(crowd->server->socket, &options, &cache);
	while (result && (crowd->keeper_hurt || eager) && patience_left(patience));
	if (result)
		expect_failed("larder_open: %s: %s", larder_strerror(result), text);
	return cache;
}

void worker_count_clients(struct worker *worker)
{
	struct larder_stat stat = { .size = sizeof stat };
	uint32_t before = load_acquire(&worker->crowd->attached), after;

	READ(worker, "stat", larder_stat(worker->cache, &stat));
	after = load_acquire(&worker->crowd->attached);
	if (stat.clients < before && stat.clients < after)
		expect_failed("%u clients, where %u or %u have been all the time", (unsigned)stat.clients, before,
		              after);
}

void worker_configure(const struct server *server, const char *size)
{
	char text[256], path[128];

	snprintf(text, sizeof text, "socket = %s\nsize = %s\nsize_max = 4M\nquota = user %u, limit 3M\n",
	         server->socket, size, (unsigned)getuid());
	server_write_file(server, "larderd.conf", text, path);
}

bool worker_may_miss(const struct worker *worker)
{
	struct patience patience = patience_start(COUNTED_MS);
	struct larder_stat stat = { .size = sizeof stat };

	if (crowd_evicts(worker->crowd) || !worker->crowd->keeper_hurt)
		return crowd_evicts(worker->crowd);
	do
		expect_equal(larder_stat(worker->cache, &stat), 0);
	while (stat.displaced_objects == 0 && patience_left(patience));
	return stat.displaced_objects > 0;
}
