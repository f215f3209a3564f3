/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <signal.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cache/cache.h"
#include "tests/support/expect.h"
#include "tests/torture/grace.h"

#define VIEW_MS_MAX 12
#define VIEW_SHARE 64   /* one of so many sections pins what it found */
#define STAY_SHARE 4096 /* one of so many stays until it is revoked */
#define STAY_MS_MAX 15
#define DELAY_SHORT 60 /* turns of an empty loop */
#define DELAY_LONG 20000

struct reader {
	struct stage *stage;
	struct cache_thread thread;
	struct random random;
	uint64_t sections;
	bool viewing;
	bool in_line; /* the view's pin */
	uint64_t view, view_until_ms;
};

static void spin(uint32_t turns)
{
	while (turns-- > 0)
		compiler_barrier();
}

static void stay(struct reader *reader)
{
	struct timespec time = { 0, (long)(random_below(&reader->random, STAY_MS_MAX) * NS_PER_MS) };

	nanosleep(&time, NULL);
}

static void linger(struct reader *reader)
{
	uint32_t kind = random_below(&reader->random, STAY_SHARE);

	if (kind == 0)
		stay(reader);
	else
		spin(random_below(&reader->random, kind % 4 == 0 ? DELAY_LONG : DELAY_SHORT));
}

static void note(atomic_u64 ages[GRACE_AGES + 1], uint64_t age)
{
	fetch_add_relaxed(&ages[age < GRACE_AGES ? age : GRACE_AGES], 1);
}

/* In the line or, as if there were another view already, in the counters. */
static void pin(struct reader *reader, uint64_t element)
{
	const struct epoch_reader *section = &reader->thread.reader;

	reader->in_line = random_below(&reader->random, 4) != 0 &&
	                  epoch_pin_view(section->line, section->fenced, (uint32_t)element);
	if (!reader->in_line) /* R6 -> A6 */
		fetch_add_acq_rel(control_pin(&reader->thread.cache->control, reader->thread.shard, (uint32_t)element),
		                  1);
}

static void unpin(struct reader *reader, uint64_t element)
{
	const struct cache *cache = reader->thread.cache;

	if (reader->in_line)
		epoch_unpin_view(reader->thread.reader.line, cache->fenced);
	else /* R17 -> A17 */
		fetch_sub_release(control_pin(&cache->control, reader->thread.shard, (uint32_t)element), 1);
}

/* What a view holds does not age. */
static void look_at_view(struct reader *reader)
{
	note(reader->stage->ages, load_acquire(&reader->stage->element[reader->view].age));
	if (monotonic_ms() < reader->view_until_ms)
		return;
	unpin(reader, reader->view);
	reader->viewing = false;
}

static void read_once(struct reader *reader)
{
	struct stage *stage = reader->stage;
	bool views = !reader->viewing && random_below(&reader->random, VIEW_SHARE) == 0, valid;
	atomic_u64 *place = &stage->published[random_below(&reader->random, GRACE_PLACES)].element;
	uint64_t element, age;

	for (int i = 0; i < GRACE_BALLAST; i++)
		store_relaxed(&stage->ballast[i].element, reader->sections);
	epoch_enter(&reader->thread.reader);
	element = load_acquire(place);
	linger(reader);
	if (views) {
		pin(reader, element);
		linger(reader);
	}
	age = load_acquire(&stage->element[element].age);
	valid = epoch_exit(&reader->thread.reader) || stage->breakage == BREAK_VALIDITY;
	note(valid ? stage->ages : stage->revoked_ages, age);
	reader->sections++;
	if (views && valid) {
		reader->viewing = true;
		reader->view = element;
		reader->view_until_ms = monotonic_ms() + random_below(&reader->random, VIEW_MS_MAX);
		fetch_add_relaxed(&stage->views, 1);
	} else if (views) {
		unpin(reader, element);
	}
}

struct start {
	struct stage *stage;
	struct cache *cache;
	uint32_t number, incarnation, thread;
};

void grace_run_on(const struct stage *stage, int place)
{
	cpu_set_t chosen = stage->processors;
	int seen = 0;

	/* Whether or not this thread may run there now: it has inherited what its parent chose for itself. */
	for (int cpu = 0; place >= 0 && CPU_COUNT(&stage->processors) > 1 && cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &stage->processors) && seen++ != place)
			CPU_CLR(cpu, &chosen);
	expect(sched_setaffinity(0, sizeof chosen, &chosen) == 0);
}

static void *read_on(void *context)
{
	const struct start *start = context;
	struct reader reader = { .stage = start->stage };

	reader.random.state = (start->stage->seed * GRACE_PROCESSES + start->number) * GRACE_THREADS + start->thread +
	                      ((uint64_t)start->incarnation << 32);
	expect_equal(cache_thread_start(start->cache, &reader.thread), 0);
	grace_run_on(start->stage, start->number == 0 && start->thread == 0 ? 1 : -1);
	while (load_acquire(&reader.stage->stop) == 0) {
		while (load_acquire(&reader.stage->duel) && (start->number != 0 || start->thread != 0) &&
		       !reader.viewing)
			nanosleep(&(struct timespec){ 0, NS_PER_MS }, NULL);
		for (int i = 0; i < 64; i++)
			read_once(&reader);
		fetch_add_relaxed(&reader.stage->sections, 64);
		if (reader.viewing)
			look_at_view(&reader);
		if (random_below(&reader.random, 256) == 0)
			sched_yield();
	}
	return NULL;
}

_Noreturn void grace_read(struct stage *stage, uint32_t number, uint32_t incarnation, int control_fd)
{
	struct start starts[GRACE_THREADS];
	pthread_t threads[GRACE_THREADS];
	struct fault fault = { "" };
	struct cache cache;

	/* Plain and fenced readers side by side. */
	if (cache_attach(&cache, stage->arena_fd, control_fd, false, number % 3 == 2, 0, &fault) != 0)
		expect_failed("%s", fault.text);
	close(control_fd);
	for (uint32_t i = 0; i < GRACE_THREADS; i++) {
		starts[i] = (struct start){ stage, &cache, number, incarnation, i };
		expect(pthread_create(&threads[i], NULL, read_on, &starts[i]) == 0);
	}
	for (uint32_t i = 0; i < GRACE_THREADS; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}
