/* SPDX-License-Identifier: MIT */
#include "tests/torture/grace.h"

#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/platform.h"
#include "epoch/grace.h"
#include "larder.h"
#include "tests/support/expect.h"
#include "tests/support/workers.h"

#define ARENA_BYTES (UINT64_C(4) << 20)
#define STALL_MS 4         /* then sections that hold a grace period up are revoked */
#define GRACE_MS_MAX 10000 /* a grace period takes longer only when something is wrong */
#define EVENT_US_MEAN 6000 /* between two events */
#define PHASE_MS 250       /* the storm and the duel take turns */
#define STOP_SHARE 70      /* of 100 events: a reader is stopped; else one is killed */
#define STOP_MS_MAX 16

/* A process of readers, as the keeper sees it. */
struct client {
	pid_t pid;
	uint32_t incarnation;
	struct control control;
	bool stopped;
	uint64_t resume_ns;
};

struct keeper {
	struct stage *stage;
	struct arena arena;
	struct random random;
	struct client clients[GRACE_PROCESSES];
	uint64_t event_ns;
	bool pinned_before[64]; /* before the revocation, for BREAK_RECHECK */
	uint64_t periods, kills, stops, revoked;
	/* Elements by what has become of them. */
	uint32_t unlinked[64], unlinked_count; /* aging */
	uint32_t free[64], free_count;         /* taken from the front, given back at the end */
};

static const char *const breakage_names[BREAKAGES] = { "nothing",  "membarrier", "epoch",  "wait",
	                                               "validity", "pins",       "recheck" };

/* ---- readers come and go ------------------------------------------------------------------------------------------- */

static void start_client(struct keeper *keeper, uint32_t number)
{
	struct client *client = &keeper->clients[number];
	int control_fd = control_create(keeper->arena.segment_count, number + 1);
	pid_t parent = getpid();

	expect(control_fd >= 0);
	expect_equal(control_map(control_fd, keeper->arena.segment_count, false, &client->control, NULL), 0);
	client->incarnation++;
	fflush(NULL);
	client->pid = fork();
	expect(client->pid >= 0);
	if (client->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		grace_read(keeper->stage, number, client->incarnation, control_fd);
	}
	close(control_fd);
}

static void bury(struct keeper *keeper, uint32_t number, int status)
{
	struct client *client = &keeper->clients[number];

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		keeper->kills++;
	else if (status != 0)
		expect_failed("reader process %" PRIu32 " ended with status %x", number, (unsigned int)status);
	control_unmap(&client->control);
	client->pid = 0;
	client->stopped = false;
}

static void strike(struct keeper *keeper)
{
	struct client *client = &keeper->clients[random_below(&keeper->random, GRACE_PROCESSES)];

	if (random_below(&keeper->random, 100) >= STOP_SHARE) {
		kill(client->pid, SIGKILL);
	} else if (!client->stopped) {
		kill(client->pid, SIGSTOP);
		client->stopped = true;
		client->resume_ns = monotonic_ns() + (1 + random_below(&keeper->random, STOP_MS_MAX)) * NS_PER_MS;
		keeper->stops++;
	}
}

/* What is due of all this. Called while the keeper waits, too. */
static void mind_clients(struct keeper *keeper)
{
	uint64_t now_ns = monotonic_ns();
	int status;

	for (uint32_t i = 0; i < GRACE_PROCESSES; i++) {
		struct client *client = &keeper->clients[i];

		if (client->stopped && now_ns >= client->resume_ns) {
			client->stopped = false;
			kill(client->pid, SIGCONT);
		}
	}
	if (now_ns < keeper->event_ns || load_relaxed(&keeper->stage->duel))
		return;
	for (uint32_t i = 0; i < GRACE_PROCESSES; i++)
		if (waitpid(keeper->clients[i].pid, &status, WNOHANG) == keeper->clients[i].pid) {
			bury(keeper, i, status);
			start_client(keeper, i);
		}
	strike(keeper);
	keeper->event_ns = now_ns + (1 + random_below(&keeper->random, 2 * EVENT_US_MEAN)) * UINT64_C(1000);
}

/* ---- grace periods ------------------------------------------------------------------------------------------------- */

static void barrier(const struct keeper *keeper)
{
	if (keeper->stage->breakage != BREAK_MEMBARRIER)
		expect_equal(grace_barrier(&keeper->arena), 0);
}

static uint64_t oldest(const struct keeper *keeper)
{
	uint64_t oldest = UINT64_MAX;

	for (uint32_t i = 0; i < GRACE_PROCESSES; i++) {
		uint64_t client = grace_oldest(&keeper->clients[i].control);

		oldest = client < oldest ? client : oldest;
	}
	return oldest;
}

static bool pinned(const struct keeper *keeper, uint32_t element)
{
	for (uint32_t i = 0; i < GRACE_PROCESSES; i++)
		if (grace_view_pinned(&keeper->clients[i].control, element))
			return true;
	return false;
}

static void revoke_sections(struct keeper *keeper, uint64_t epoch)
{
	for (uint32_t i = 0; i < GRACE_PROCESSES; i++)
		keeper->revoked += grace_revoke(&keeper->clients[i].control, epoch);
}

/* In the order in which larderd does it. */
static void grace_period(struct keeper *keeper)
{
	enum breakage breakage = keeper->stage->breakage;
	uint64_t epoch = breakage == BREAK_EPOCH
	                         ? load_relaxed(&keeper->arena.header->epoch)
	                         : grace_begin(&keeper->arena, load_relaxed(&keeper->arena.header->epoch));
	uint64_t began_ms = monotonic_ms(), now_ms;

	keeper->periods++;
	barrier(keeper);
	for (;;) {
		if (breakage == BREAK_WAIT || oldest(keeper) >= epoch)
			return;
		mind_clients(keeper);
		now_ms = monotonic_ms();
		if (now_ms - began_ms < STALL_MS)
			continue;
		if (now_ms - began_ms >= GRACE_MS_MAX)
			expect_failed("a grace period does not end");
		if (breakage == BREAK_RECHECK)
			for (uint32_t i = 0; i < keeper->unlinked_count; i++)
				keeper->pinned_before[keeper->unlinked[i]] = pinned(keeper, keeper->unlinked[i]);
		revoke_sections(keeper, epoch);
		barrier(keeper);
		if (breakage == BREAK_RECHECK)
			return;
	}
}

/* ---- elements ------------------------------------------------------------------------------------------------------ */

/* Publishes a free element in the place of another. */
static void publish(struct keeper *keeper, uint32_t place)
{
	atomic_u64 *published = &keeper->stage->published[place].element;
	uint32_t element = keeper->free[0];

	memmove(keeper->free, keeper->free + 1, --keeper->free_count * sizeof keeper->free[0]);
	store_relaxed(&keeper->stage->element[element].age, 0);
	keeper->unlinked[keeper->unlinked_count++] = (uint32_t)load_relaxed(published);
	/* R1 -> A1: who finds the element finds it young. */
	store_release(published, element);
}

/* A grace period is over: all that is unlinked and not pinned is one older. */
static void age(struct keeper *keeper)
{
	enum breakage breakage = keeper->stage->breakage;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < keeper->unlinked_count; i++) {
		uint32_t element = keeper->unlinked[i];
		atomic_u64 *age = &keeper->stage->element[element].age;
		bool held = breakage == BREAK_RECHECK ? keeper->pinned_before[element] : pinned(keeper, element);

		if (breakage == BREAK_PINS || !held)
			store_release(age, load_relaxed(age) + 1);
		keeper->pinned_before[element] = false;
		if (load_relaxed(age) < GRACE_AGES)
			keeper->unlinked[kept++] = element;
		else
			keeper->free[keeper->free_count++] = element;
	}
	keeper->unlinked_count = kept;
}

static void keep(struct keeper *keeper, uint64_t seconds)
{
	uint64_t end_ms = monotonic_ms() + seconds * 1000;

	grace_run_on(keeper->stage, 0);
	while (monotonic_ms() < end_ms) {
		for (int i = 0; i < GRACE_BALLAST; i++)
			store_relaxed(&keeper->stage->ballast[i].element, keeper->periods);
		store_relaxed(&keeper->stage->duel, monotonic_ms() / PHASE_MS % 2);
		mind_clients(keeper);
		for (uint32_t place = 0; place < GRACE_PLACES && keeper->free_count > 0; place++)
			if (random_below(&keeper->random, 2))
				publish(keeper, place);
		grace_period(keeper);
		age(keeper);
	}
}

/* ---- the program --------------------------------------------------------------------------------------------------- */

static struct stage *build_stage(struct keeper *keeper, uint64_t seed, enum breakage breakage)
{
	struct arena_plan plan = { .access = LARDER_SHARED_WRITE };
	struct stage *stage;
	int fd;

	/* Readers inherit the registration. */
	plan.plain_epochs = platform_barrier_register() == 0 && platform_barrier() == 0;
	fd = arena_memory(ARENA_BYTES, PAGES_SMALL, &plan.page_bytes, NULL);
	expect(fd >= 0);
	expect_equal(arena_format(fd, &plan, &keeper->arena, NULL), 0);
	expect(keeper->arena.segment_count <= 64);
	stage = shared_memory(sizeof *stage + keeper->arena.segment_count * sizeof stage->element[0]);
	stage->seed = seed;
	expect(sched_getaffinity(0, sizeof stage->processors, &stage->processors) == 0);
	stage->breakage = breakage;
	stage->arena_fd = fd;
	stage->elements = keeper->arena.segment_count;
	for (uint32_t i = 0; i < stage->elements; i++) {
		if (i < GRACE_PLACES)
			store_relaxed(&stage->published[i].element, i);
		else
			keeper->free[keeper->free_count++] = i;
	}
	return stage;
}

static void end_clients(struct keeper *keeper)
{
	int status;

	store_release(&keeper->stage->stop, 1);
	store_release(&keeper->stage->duel, 0);
	for (uint32_t i = 0; i < GRACE_PROCESSES; i++) {
		kill(keeper->clients[i].pid, SIGCONT);
		expect(waitpid(keeper->clients[i].pid, &status, 0) == keeper->clients[i].pid);
		bury(keeper, i, status);
	}
}

/* Return: how many elements were seen that were too old. */
static uint64_t print(const struct keeper *keeper)
{
	const struct stage *stage = keeper->stage;
	uint64_t too_old = 0;

	fprintf(stderr, "grace periods since the element was unlinked:   0 %16s\n", "1 ... 7, more");
	for (int row = 0; row < 2; row++) {
		fprintf(stderr, row == 0 ? "seen in time:   " : "when revoked:   ");
		for (uint32_t age = 0; age <= GRACE_AGES; age++)
			fprintf(stderr, " %" PRIu64,
			        load_relaxed(row == 0 ? &stage->ages[age] : &stage->revoked_ages[age]));
		fputc('\n', stderr);
	}
	for (uint32_t age = 1; age <= GRACE_AGES; age++)
		too_old += load_relaxed(&stage->ages[age]);
	printf("{\"grace_periods\":%" PRIu64 ",\"sections\":%" PRIu64 ",\"views\":%" PRIu64 ",\"revoked\":%" PRIu64
	       ",\"kills\":%" PRIu64 ",\"stops\":%" PRIu64 ",\"too_old\":%" PRIu64 "}\n",
	       keeper->periods, load_relaxed(&stage->sections), load_relaxed(&stage->views), keeper->revoked,
	       keeper->kills, keeper->stops, too_old);
	return too_old;
}

static int usage(void)
{
	fputs("usage: larder-torture grace [--duration SECONDS] [--seed N] [--break WHAT]\n  WHAT is left out, and must be "
	      "missed:",
	      stderr);
	for (int i = 1; i < BREAKAGES; i++)
		fprintf(stderr, " %s", breakage_names[i]);
	fputc('\n', stderr);
	return 2;
}

static enum breakage parse_breakage(const char *name)
{
	int i = 0;

	while (i < BREAKAGES && strcmp(name, breakage_names[i]) != 0)
		i++;
	return (enum breakage)i;
}

int grace_main(int argc, char **argv)
{
	static const struct option options[] = { { "duration", required_argument, NULL, 'd' },
		                                 { "seed", required_argument, NULL, 's' },
		                                 { "break", required_argument, NULL, 'b' },
		                                 { 0 } };
	struct keeper keeper = { 0 };
	uint64_t seconds = 10, seed = (uint64_t)time(NULL);
	enum breakage breakage = BREAK_NOTHING;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'd')
			seconds = strtoull(optarg, NULL, 10);
		else if (option == 's')
			seed = strtoull(optarg, NULL, 10);
		else if (option == 'b')
			breakage = parse_breakage(optarg);
		else
			return usage();
	}
	if (optind != argc || breakage == BREAKAGES)
		return usage();
	keeper.random.state = seed;
	keeper.stage = build_stage(&keeper, seed, breakage);
	for (uint32_t i = 0; i < GRACE_PROCESSES; i++)
		start_client(&keeper, i);
	keep(&keeper, seconds);
	end_clients(&keeper);
	return print(&keeper) != 0;
}
