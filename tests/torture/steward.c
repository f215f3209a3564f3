/* SPDX-License-Identifier: MIT */
#include "tests/torture/steward.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "client/thread.h"
#include "tests/support/client.h"
#include "tests/support/expect.h"

#define OPEN_PATIENCE_MS 20000
#define ROUND_MS 25
#define VERIFY_ROUNDS 20
#define FREE_LEAST 2    /* half of the segments: larderd makes room long before the last one is taken */
#define PERMIT_ROUNDS 4 /* for one more write of what does not expire */
#define PERMITS_MAX 20

larder *steward_open(const struct board *board)
{
	struct patience patience = patience_start(OPEN_PATIENCE_MS);
	struct larder_open_options options = LARDER_OPEN_OPTIONS;
	char text[256] = "";
	larder *cache;
	int result;

	options.error = text;
	options.error_size = sizeof text;
	do {
		result = larder_open(board->server.socket, &options, &cache);
		if (result == 0)
			return cache;
	} while (patience_left(patience));
	expect_failed("larder_open: %s: %s", larder_strerror(result), text);
}

static void show_fault(void *context, const char *sentence)
{
	board_fail(context, VERDICT_WRONG, &(struct culprit){ 0, NULL, 0, NULL }, "the arena is not sound: %s",
	           sentence);
}

bool steward_verify(struct board *board, larder *cache)
{
	struct cache_verify_counts counts;
	struct thread_entry entry = thread_enter(cache);
	bool sound;

	expect(entry.thread != NULL);
	sound = cache_verify(entry.thread, show_fault, board, &counts) == 0;
	fetch_add_relaxed(&board->verified, 1);
	fetch_add_relaxed(&board->unsound, !sound);
	return sound;
}

static void look(struct board *board, larder *cache, uint32_t round)
{
	struct larder_stat stat = client_stat(cache);
	uint32_t permits = load_relaxed(&board->permits);

	store_relaxed(&board->pressure, !board->settings.evict && stat.segments_free < stat.segments / FREE_LEAST);
	store_relaxed(&board->evicted, stat.evicted_segments);
	store_relaxed(&board->index_segments, (uint32_t)stat.segments_index);
	store_relaxed(&board->splits, stat.index_splits);
	store_relaxed(&board->merges, stat.index_merges);
	if (round % PERMIT_ROUNDS == 0 && permits < PERMITS_MAX)
		fetch_add_relaxed(&board->permits, 1);
}

void steward_run(struct board *board)
{
	const struct timespec pause = { 0, ROUND_MS * (long)NS_PER_MS };
	larder *cache;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if ((uint32_t)getppid() != board->director)
		_exit(0);
	cache = steward_open(board);
	for (uint32_t round = 0; load_acquire(&board->stop) == 0; round++) {
		look(board, cache, round);
		if (round % VERIFY_ROUNDS == 0)
			steward_verify(board, cache);
		nanosleep(&pause, NULL);
	}
	larder_close(cache);
	_exit(0);
}
