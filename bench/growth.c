/* SPDX-License-Identifier: MIT */
/*
 * The problem: when a table grows, somebody must carry its entries over, and often readers wait for that. Here one process inserts
 * keys until the index has grown many times, and another reads keys that are there, one after the other, each for itself with a clock
 * around it: none may be missed, and none may take long.
 *
 * The reader has touched every page of the arena before, so that no read has to wait for the kernel to fill its page table. The clock is
 * read with nothing in between, and the median of that taken off.
 *
 * One read in a million is slow whatever is read: the processor is taken away from the thread, or from the whole virtual machine, which
 * nothing tells it. So what growth does to reads is told by comparison. Whenever the index grows, which is for some milliseconds, more
 * keys are inserted; then growth is waited for, and keys that are there already are written for as long. The worst is the longest time that reads take more often while
 * the index grows, by more than chance explains (contrast.h), and at the least what one read in a thousand takes. That is said of two
 * kinds of reads: of those during which the processor did nothing else (interruption.h), for what becomes of the reader's own steps;
 * and of all, for what else growth does to it, as by the keeper's memory barriers, which interrupt every thread. The slowest of either
 * are told as they are.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
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
#include "bench/contrast.h"
#include "bench/harness.h"
#include "bench/histogram.h"
#include "bench/inside.h"
#include "bench/interruption.h"
#include "bench/memory.h"
#include "index/index.h"

#define KEY_TEXT 20
#define CLOCK_READINGS 100000
#define BATCH 64
#define TURN_READS 8192 /* some milliseconds */
#define PIECE_KEYS 1024 /* inserted between two looks whether the index grows, */
#define MOST_PIECES 8   /* and so many while it does, before that is waited for */
#define REST_MS 120000  /* at the most */
#define PAGE 4096

enum phase { PHASE_GROWING, PHASE_STILL, PHASE_FILLING, PHASES, PHASE_WAIT, PHASE_END };

/* The reads that were not interrupted, or all. */
struct latencies {
	struct histogram turns[PHASES]; /* of this turn */
	struct histogram sums[PHASES];
	struct contrast contrast;
};

/* What writer and reader share. */
struct board {
	atomic_u32 phase;
	atomic_u32 seen;    /* the phase, by the reader, who has added up the one before */
	atomic_u32 written; /* keys 0 ... written - 1 are there */
	atomic_u32 ended;   /* the reader has, or will */
	int result;
	uint64_t longest_write_ns; /* of a new key, waits for the processor included */
	uint64_t turns;            /* of reads while the index grew; the reader's */
	uint64_t interrupted[PHASES], missed[PHASES];
	struct latencies own, all;
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
	ns = ns > clock_ns ? ns - clock_ns : 0;
	board->missed[phase] += result == LARDER_MISS;
	histogram_record(&board->all.turns[phase], ns);
	if (interruption_possible() && interruption_happened(interruption))
		board->interrupted[phase]++;
	else
		histogram_record(&board->own.turns[phase], ns);
	return 0;
}

/* A turn is over, which was of one phase only. */
static void add_up(struct latencies *latencies)
{
	contrast_add(&latencies->contrast, &latencies->turns[PHASE_GROWING], &latencies->turns[PHASE_STILL]);
	for (int phase = 0; phase < PHASES; phase++)
		histogram_add(&latencies->sums[phase], &latencies->turns[phase]);
	memset(latencies->turns, 0, sizeof latencies->turns);
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
	uint32_t phase, seen = PHASE_WAIT, reads = 0;
	int result = touch_all(cache);

	memset(&board->own, 0, sizeof board->own); /* touched before it is measured */
	memset(&board->all, 0, sizeof board->all);
	while (result == 0 && (phase = load_acquire(&board->phase)) != PHASE_END) {
		uint32_t written = load_acquire(&board->written);

		if (phase != seen || reads >= TURN_READS) {
			add_up(&board->own);
			add_up(&board->all);
			board->turns += seen == PHASE_GROWING;
			reads = 0;
		}
		if (phase != seen)
			interruption_happened(&interruption);
		seen = phase;
		store_release(&board->seen, phase);
		if (phase >= PHASES || written == 0) {
			sched_yield();
			interruption_happened(&interruption);
			continue;
		}
		for (int i = 0; result == 0 && i < BATCH; i++, reads++)
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
	store_relaxed(&board->ended, 1);
	_exit(0);
}

/* ---- the writer ---------------------------------------------------------------------------------------------------- */

static int write_one(larder *cache, uint32_t number)
{
	char key[KEY_TEXT + 1];

	key_of(number, key);
	return larder_set(cache, key, KEY_TEXT, &number, sizeof number, NULL, NULL);
}

/* Returns when the reader's reads count for that phase. */
static void enter_phase(struct board *board, enum phase phase)
{
	store_release(&board->phase, phase);
	while (load_acquire(&board->seen) != phase && !load_relaxed(&board->ended) && !harness_interrupted())
		sched_yield();
}

static bool grows(const struct arena *arena)
{
	for (uint32_t segment = arena->system_segments; segment < arena->segment_count; segment++) {
		enum segment_state state = segment_load(arena, segment).state;

		if (state == SEGMENT_RETIRED ||
		    (state == SEGMENT_INDEX &&
		     (load_relaxed(&arena->table[segment].children) != 0 || index_crowded(arena, segment))))
			return true;
	}
	return false;
}

static int wait_for_rest(const struct arena *arena)
{
	uint64_t end_ms = monotonic_ms() + REST_MS;

	while (grows(arena)) {
		if (monotonic_ms() >= end_ms)
			return complain(-ETIMEDOUT, "growth: the index has not come to rest for %d s", REST_MS / 1000);
		sched_yield();
	}
	return 0;
}

static int insert_piece(struct board *board, larder *cache, uint32_t first, uint32_t end)
{
	uint64_t last_ns = monotonic_ns();
	int result = 0;

	for (uint32_t i = first; result == 0 && i < end; i++) {
		uint64_t now_ns;

		result = write_one(cache, i);
		store_release(&board->written, i + 1);
		now_ns = monotonic_ns();
		if (now_ns - last_ns > board->longest_write_ns)
			board->longest_write_ns = now_ns - last_ns;
		last_ns = now_ns;
	}
	return result ? result : harness_interrupted();
}

/* The index has begun to grow. Keys are inserted until it is done; then keys that are there are written for as long. */
static int grow(struct board *board, larder *cache, const struct arena *arena, uint32_t keys)
{
	uint64_t begin_ns, end_ns;
	int result = 0;

	enter_phase(board, PHASE_GROWING);
	begin_ns = monotonic_ns();
	for (uint32_t piece = 0; result == 0 && piece < MOST_PIECES && grows(arena); piece++) {
		uint32_t first = load_relaxed(&board->written);

		result = insert_piece(board, cache, first, keys - first < PIECE_KEYS ? keys : first + PIECE_KEYS);
	}
	if (result == 0)
		result = wait_for_rest(arena);
	enter_phase(board, PHASE_STILL);
	end_ns = 2 * monotonic_ns() - begin_ns;
	for (uint64_t i = end_ns; result == 0 && monotonic_ns() < end_ns; i++)
		result = write_one(cache, (uint32_t)(mix(i) % load_relaxed(&board->written)));
	enter_phase(board, PHASE_FILLING);
	return result;
}

static int write_all(struct board *board, larder *cache, uint32_t keys)
{
	const struct arena *arena = inside_arena(cache);
	uint32_t first;
	int result = arena ? 0 : -EIO;

	enter_phase(board, PHASE_FILLING);
	while (result == 0 && (first = load_relaxed(&board->written)) < keys) {
		result = insert_piece(board, cache, first, keys - first < PIECE_KEYS ? keys : first + PIECE_KEYS);
		if (result == 0 && grows(arena))
			result = grow(board, cache, arena, keys);
	}
	enter_phase(board, PHASE_WAIT);
	store_release(&board->phase, PHASE_END);
	return result;
}

/* ---- the result ---------------------------------------------------------------------------------------------------- */

/* At the least what one read in a thousand takes. */
static double worst_of(const struct latencies *latencies)
{
	return fmax((double)contrast_excess(&latencies->contrast),
	            (double)histogram_quantile(&latencies->sums[PHASE_GROWING], 0.999));
}

static void sum_up(const struct board *board, struct growth_result *result)
{
	struct growth_reads *const sums[PHASES] = { &result->growing, &result->still, &result->filling };

	result->longest_write_ms = (double)board->longest_write_ns / 1e6;
	result->median_ns = (double)histogram_quantile(&board->own.sums[PHASE_GROWING], 0.5);
	result->turns = board->turns;
	result->worst_ns = worst_of(&board->own);
	result->worst_any_ns = worst_of(&board->all);
	for (int phase = 0; phase < PHASES; phase++)
		*sums[phase] = (struct growth_reads){
			.reads = board->own.sums[phase].total,
			.interrupted = board->interrupted[phase],
			.missed = board->missed[phase],
			.slow = histogram_above(&board->own.sums[phase], GROWTH_SLOW * result->median_ns),
			.worst_ns = (double)board->own.sums[phase].largest,
			.worst_any_ns = (double)board->all.sums[phase].largest,
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
		store_relaxed(&board->seen, PHASE_END); /* not yet any */
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
