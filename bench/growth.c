/* SPDX-License-Identifier: MIT */
/*
 * The problem: when a table grows, somebody must carry its entries over, and often readers wait for that. Here one process inserts
 * keys until the index has grown many times, and another reads keys that are there, one after the other, each for itself with a clock
 * around it: none may be missed, and none may take long.
 *
 * The reader has touched every page of the arena before, so that no read has to wait for the kernel to fill its page table.
 *
 * What a read takes beside larder: the clock is read with nothing in between, and the median of that taken off. Reads during which
 * the processor did something else (interruption.h) are left out and counted. What is left of the slow ones may still be the machine's
 * doing, such as a virtual machine that was not given its processor. Therefore growth takes turns with writing as many keys that are
 * there already, so that nothing grows, and the worst is the longest time that reads take more often while the index grows, by more than
 * chance explains; what growth does to one read it does to many, for each bucket of each segment is split in the same way. Should there be no
 * such time, it is the one that one read in a thousand takes.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomics.h"
#include "base/clock.h"
#include "bench/attachment.h"
#include "bench/bench.h"
#include "bench/harness.h"
#include "bench/histogram.h"
#include "bench/inside.h"
#include "bench/interruption.h"
#include "bench/memory.h"

#define KEY_TEXT 20
#define CLOCK_READINGS 100000
#define BATCH 256
#define TURNS 16
#define PAGE 4096

enum phase { PHASE_GROWING, PHASE_STILL, PHASES, PHASE_WAIT, PHASE_END };

/* What writer and reader share. */
struct board {
	atomic_u32 phase;
	atomic_u32 written; /* keys 0 ... written - 1 are there */
	atomic_u32 ready;
	int result;
	uint64_t longest_write_ns; /* of a new key, waits for the processor included */
	struct {
		struct histogram latency;
		uint64_t interrupted, missed;
	} reads[PHASES];
};

static void key_of(uint32_t number, char key[KEY_TEXT + 1])
{
	snprintf(key, KEY_TEXT + 1, "growth-bench:%07" PRIx32, number & 0xfffffff);
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

/* ---- the reader ---------------------------------------------------------------------------------------------------- */

static uint64_t clock_cost_ns(void)
{
	struct histogram cost = { 0 };

	for (int i = 0; i < CLOCK_READINGS; i++) {
		uint64_t begin = monotonic_ns();

		histogram_record(&cost, monotonic_ns() - begin);
	}
	return histogram_quantile(&cost, 0.5);
}

static int read_one(struct board *board, larder *cache, enum phase phase, uint32_t number, uint64_t clock_ns,
                    struct interruption *interruption)
{
	char key[KEY_TEXT + 1];
	uint32_t value = ~number;
	uint64_t begin, ns;
	int result;

	key_of(number, key);
	interruption_watch();
	begin = monotonic_ns();
	result = larder_get(cache, key, KEY_TEXT, &value, sizeof value, NULL);
	ns = monotonic_ns() - begin;
	if (result < 0 || (result == 0 && value != number))
		return result < 0 ? result : -EIO;
	board->reads[phase].missed += result == LARDER_MISS;
	if (interruption_possible() && interruption_happened(interruption))
		board->reads[phase].interrupted++;
	else
		histogram_record(&board->reads[phase].latency, ns > clock_ns ? ns - clock_ns : 0);
	return 0;
}

static int touch_all(larder *cache)
{
	const struct arena *arena = inside_arena(cache);
	uint64_t sum = 0;

	for (uint64_t offset = 0; arena && offset < arena->bytes; offset += PAGE)
		sum += *(volatile const unsigned char *)(arena->base + offset);
	keep(&sum);
	return arena ? 0 : -EIO;
}

static int read_all(struct board *board, larder *cache)
{
	struct interruption interruption = { 0 };
	uint64_t random = 1, clock_ns = clock_cost_ns();
	uint32_t phase;
	int result = touch_all(cache);

	memset(board->reads, 0, sizeof board->reads); /* touched before it is measured */
	interruption_happened(&interruption);
	store_relaxed(&board->ready, 1);
	while (result == 0 && (phase = load_relaxed(&board->phase)) != PHASE_END) {
		uint32_t written = load_acquire(&board->written);

		if (phase >= PHASES || written == 0) {
			sched_yield();
			interruption_happened(&interruption);
			continue;
		}
		for (int i = 0; result == 0 && i < BATCH; i++)
			result = read_one(board, cache, phase, (uint32_t)((mix(random++) >> 32) * written >> 32),
			                  clock_ns, &interruption);
	}
	return result;
}

static pid_t start_reader(struct board *board, larder *cache)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	board->result = read_all(board, cache);
	store_relaxed(&board->ready, 1);
	_exit(0);
}

/* ---- the writer ---------------------------------------------------------------------------------------------------- */

static int write_one(larder *cache, uint32_t number)
{
	char key[KEY_TEXT + 1];

	key_of(number, key);
	return larder_set(cache, key, KEY_TEXT, &number, sizeof number, NULL, NULL);
}

static int write_turn(struct board *board, larder *cache, uint32_t first, uint32_t end)
{
	uint64_t last_ns = monotonic_ns();
	int result = 0;

	store_relaxed(&board->phase, PHASE_GROWING);
	for (uint32_t i = first; result == 0 && i < end; i++) {
		uint64_t now_ns;

		result = write_one(cache, i);
		store_release(&board->written, i + 1);
		now_ns = monotonic_ns();
		if (now_ns - last_ns > board->longest_write_ns)
			board->longest_write_ns = now_ns - last_ns;
		last_ns = now_ns;
	}
	store_relaxed(&board->phase, PHASE_STILL);
	for (uint32_t i = first; result == 0 && i < end; i++)
		result = write_one(cache, (uint32_t)(mix(i) % end));
	return result ? result : harness_interrupted();
}

static int write_all(struct board *board, larder *cache, uint32_t keys)
{
	int result = 0;

	for (uint32_t turn = 0; result == 0 && turn < TURNS; turn++)
		result = write_turn(board, cache, (uint32_t)((uint64_t)keys * turn / TURNS),
		                    (uint32_t)((uint64_t)keys * (turn + 1) / TURNS));
	store_relaxed(&board->phase, PHASE_END);
	return result;
}

/* ---- the result ---------------------------------------------------------------------------------------------------- */

static void sum_up(const struct board *board, struct growth_result *result)
{
	const struct histogram *growing = &board->reads[PHASE_GROWING].latency;
	struct growth_reads *const sums[PHASES] = { &result->growing, &result->still };

	result->longest_write_ms = (double)board->longest_write_ns / 1e6;
	result->median_ns = (double)histogram_quantile(growing, 0.5);
	result->worst_ns = (double)histogram_excess(growing, &board->reads[PHASE_STILL].latency);
	if (result->worst_ns == 0)
		result->worst_ns = (double)histogram_quantile(growing, 0.999);
	for (int phase = 0; phase < PHASES; phase++)
		*sums[phase] = (struct growth_reads){
			.reads = board->reads[phase].latency.total,
			.interrupted = board->reads[phase].interrupted,
			.missed = board->reads[phase].missed,
			.slow = histogram_above(&board->reads[phase].latency, GROWTH_SLOW * result->median_ns),
			.worst_ns = (double)board->reads[phase].latency.largest,
		};
}

static int run(struct board *board, larder *cache, const struct machine_cpus *cpus, uint32_t keys)
{
	pid_t reader = start_reader(board, cache);
	int result, status;

	if (reader < 0)
		return complain(-EAGAIN, "cannot fork");
	if (!cpus->shared)
		sched_setaffinity(0, sizeof cpus->others, &cpus->others); /* the reader has its processor to itself */
	while (!load_relaxed(&board->ready))
		sched_yield();
	result = write_all(board, cache, keys);
	while (waitpid(reader, &status, 0) < 0 && errno == EINTR)
		;
	if (result != 0)
		return complain(result, "growth: cannot write: %s", larder_strerror(result));
	if (board->result != 0 || !WIFEXITED(status))
		return complain(-EIO, "growth: cannot read: %s", larder_strerror(board->result));
	return 0;
}

int growth_measure(uint32_t keys, const char *size, struct growth_result *ret_result)
{
	struct larder_stat stat = { .size = sizeof stat };
	struct growth_result growth = { .keys = keys };
	struct attachment attachment;
	struct machine_cpus cpus;
	struct board *board;
	cpu_set_t all;
	int result;

	sched_getaffinity(0, sizeof all, &all);
	result = machine_pin(&cpus);
	if (result == 0)
		result = attachment_open(size, NULL, &cpus, &attachment);
	if (result != 0)
		return result;
	board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	result = board == MAP_FAILED ? complain(-ENOMEM, "out of memory") : 0;
	if (result == 0) {
		store_relaxed(&board->phase, PHASE_WAIT);
		result = run(board, attachment.cache, &cpus, keys);
	}
	if (result == 0)
		result = larder_stat(attachment.cache, &stat);
	if (result == 0 && stat.evicted_objects != 0)
		result = complain(-ENOSPC, "growth: the arena of %s is too small, keys were evicted", size);
	if (result == 0) {
		growth.splits = stat.index_splits;
		sum_up(board, &growth);
	}
	if (board != MAP_FAILED)
		munmap(board, sizeof *board);
	attachment_close(&attachment);
	sched_setaffinity(0, sizeof all, &all);
	*ret_result = growth;
	return result;
}
