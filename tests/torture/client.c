/* SPDX-License-Identifier: MIT */
#include "tests/torture/client.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/expect.h"
#include "tests/torture/reads.h"
#include "tests/torture/writes.h"

#define ATTACH_PATIENCE_MS 20000
#define TAKE_OVER_SECONDS 2
#define ADOPTION_MS 5000
#define BURST_MAX 300 /* calls between two rests */
#define REST_US_MAX 3000

static _Noreturn void run(struct board *board, larder *cache, uint32_t slot);

static bool stopping(const struct board *board)
{
	return load_acquire(&board->stop) != 0;
}

/* ---- inherited clients --------------------------------------------------------------------------------------------- */

/* The director shall be the parent, whom alone the others' ends concern. */
static void await_adoption(const struct board *board)
{
	struct patience patience = patience_start(ADOPTION_MS);

	while ((uint32_t)getppid() != board->director)
		if (!patience_left(patience))
			_exit(0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if ((uint32_t)getppid() != board->director)
		_exit(0);
}

/* The last owner is dead, or about to be; or two were forked for one slot, and this is one too many. */
static void take_over(struct actor *actor)
{
	struct timespec until;
	int result;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += TAKE_OVER_SECONDS;
	result = pthread_mutex_timedlock(&actor->owner, &until);
	if (result == ETIMEDOUT)
		_exit(0);
	if (result == EOWNERDEAD)
		result = pthread_mutex_consistent(&actor->owner);
	expect_equal(result, 0);
}

/*
 * Forks a client that has the handle from us, and that the director takes for its own child: the process between us
 * and it ends at once.
 */
static void fork_inherited(const struct hand *hand, uint32_t slot)
{
	pid_t between = fork();

	if (between < 0)
		return;
	if (between == 0) {
		if (fork() != 0)
			_exit(0);
		await_adoption(hand->board);
		take_over(&hand->board->actors[slot * SLOT_THREADS]);
		store_release(&hand->board->slots[slot].pid, (uint32_t)getpid());
		run(hand->board, hand->cache, slot);
	}
	waitpid(between, NULL, 0);
}

static void serve_orders(const struct hand *hand)
{
	uint32_t slot = hand->number / SLOT_THREADS;

	if (slot_kind(slot) != KIND_SINGLE)
		return;
	for (uint32_t other = 0; other < SLOTS; other++) {
		uint32_t wanted = 1;

		if (slot_kind(other) == KIND_INHERITED && load_relaxed(&hand->board->slots[other].wanted) &&
		    cas_acq_rel(&hand->board->slots[other].wanted, &wanted, 0))
			fork_inherited(hand, other);
	}
}

/* ---- work ---------------------------------------------------------------------------------------------------------- */

static void rest(struct hand *hand)
{
	struct timespec time = { 0, random_below(&hand->random, REST_US_MAX) * 1000L };

	nanosleep(&time, NULL);
}

static void *work(void *context)
{
	struct hand *hand = context;
	struct actor *actor = hand->actor;

	if (hand->number % SLOT_THREADS != 0)
		take_over(actor);
	store_release(&actor->operation, OPERATION_NONE);
	store_release(&actor->thread, (uint32_t)syscall(SYS_gettid));
	hand->reads = reads_create();
	hand->writes = writes_create(hand);
	while (!stopping(hand->board)) {
		uint32_t burst = random_below(&hand->random, BURST_MAX);

		while (burst-- > 0 && !stopping(hand->board)) {
			if (random_below(&hand->random, 2))
				reads_step(hand);
			else
				writes_step(hand);
		}
		serve_orders(hand);
		rest(hand);
	}
	reads_finish(hand);
	free(hand->reads);
	writes_destroy(hand->writes);
	store_release(&actor->thread, 0);
	pthread_mutex_unlock(&actor->owner);
	return NULL;
}

/* An inherited client attaches at its first call, for which it needs larderd; later ones do without. */
static void call_first(struct board *board, larder *cache, uint32_t slot)
{
	struct actor *actor = &board->actors[slot * SLOT_THREADS];
	struct patience patience = patience_start(ATTACH_PATIENCE_MS);
	int result;

	do {
		store_release(&actor->thread, (uint32_t)getpid());
		store_release(&actor->operation, OPERATION_ATTACH);
		result = larder_get(cache, "first", 5, NULL, 0, NULL);
		store_release(&actor->operation, OPERATION_NONE);
		if (result >= 0)
			return;
		fetch_add_relaxed(&board->attach_retries, 1);
	} while (!stopping(board) && patience_left(patience));
	if (!stopping(board))
		board_fail(board, VERDICT_HANG, &(struct culprit){ slot * SLOT_THREADS, NULL, 0, NULL },
		           "the first call of an inherited handle fails for %d ms: %s", ATTACH_PATIENCE_MS,
		           larder_strerror(result));
	_exit(0);
}

static _Noreturn void run(struct board *board, larder *cache, uint32_t slot)
{
	uint32_t incarnation = fetch_add_relaxed(&board->slots[slot].incarnation, 1);
	struct hand hands[SLOT_THREADS];
	pthread_t threads[SLOT_THREADS];

	call_first(board, cache, slot);
	for (uint32_t i = 0; i < slot_threads(slot); i++) {
		uint32_t number = slot * SLOT_THREADS + i;

		hands[i] = (struct hand){ .board = board,
			                  .actor = &board->actors[number],
			                  .cache = cache,
			                  .number = number,
			                  .random = board_random(board, 1 + number, incarnation) };
	}
	for (uint32_t i = 1; i < slot_threads(slot); i++)
		expect(pthread_create(&threads[i], NULL, work, &hands[i]) == 0);
	work(&hands[0]);
	for (uint32_t i = 1; i < slot_threads(slot); i++)
		pthread_join(threads[i], NULL);
	larder_close(cache);
	_exit(0);
}

/* While there is no keeper nobody answers; larderd's listening socket stays. */
static larder *attach(struct board *board, uint32_t slot, bool fenced)
{
	struct actor *actor = &board->actors[slot * SLOT_THREADS];
	struct patience patience = patience_start(ATTACH_PATIENCE_MS);
	struct larder_open_options options = LARDER_OPEN_OPTIONS;
	char text[256] = "";
	larder *cache;
	int result;

	options.flags = fenced ? LARDER_OPEN_FENCED : 0;
	options.error = text;
	options.error_size = sizeof text;
	do {
		store_release(&actor->thread, (uint32_t)getpid());
		store_release(&actor->operation, OPERATION_ATTACH);
		result = larder_open(board->server.socket, &options, &cache);
		store_release(&actor->operation, OPERATION_NONE);
		if (result == 0)
			return cache;
		fetch_add_relaxed(&board->attach_retries, 1);
	} while (!stopping(board) && patience_left(patience));
	if (!stopping(board))
		board_fail(board, VERDICT_HANG, &(struct culprit){ slot * SLOT_THREADS, NULL, 0, NULL },
		           "cannot attach for %d ms: %s: %s", ATTACH_PATIENCE_MS, larder_strerror(result), text);
	_exit(0);
}

void client_run(struct board *board, uint32_t slot)
{
	uint32_t incarnation = load_relaxed(&board->slots[slot].incarnation);
	struct random random = board_random(board, 1000 + slot, incarnation);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if ((uint32_t)getppid() != board->director)
		_exit(0);
	take_over(&board->actors[slot * SLOT_THREADS]);
	run(board, attach(board, slot, random_below(&random, 4) == 0), slot);
}
