/* SPDX-License-Identifier: MIT */
#include "tests/torture/aftermath.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/thread.h"
#include "tests/support/client.h"
#include "tests/support/expect.h"
#include "tests/support/workers.h"
#include "tests/torture/judge.h"
#include "tests/torture/steward.h"

#define FREE_MS 60000   /* for the last segment to become free: those with runs of the killed must be audited */
#define LEAVE_MS 30000  /* for larderd to forget the last client */
#define ANSWER_MS 20000 /* for a call that larderd had no time for */
#define RUN_SECONDS 120
#define SETTLE_MS 300 /* for what larderd does after its start, or after a client has gone */

/* ---- what larderd holds -------------------------------------------------------------------------------------------- */

static unsigned count_control_pages(pid_t pid)
{
	char path[32], line[512];
	unsigned count = 0;
	FILE *maps;

	snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	if (!maps)
		return 0;
	while (fgets(line, sizeof line, maps))
		count += strstr(line, "larder-control") != NULL;
	fclose(maps);
	return count;
}

struct holdings aftermath_holdings(const struct server *server)
{
	pid_t keeper = server_keeper(server);

	return (struct holdings){ server_descriptors(server->pid), server_descriptors(keeper),
		                  count_control_pages(keeper) };
}

struct holdings aftermath_settled(const struct server *server)
{
	struct patience patience = patience_start(SETTLE_MS);
	struct holdings least = aftermath_holdings(server);

	while (patience_left(patience)) {
		struct holdings now = aftermath_holdings(server);

		if (now.supervisor_fds + now.keeper_fds + now.control_pages <
		    least.supervisor_fds + least.keeper_fds + least.control_pages)
			least = now;
	}
	return least;
}

/* ---- the last word ------------------------------------------------------------------------------------------------- */

/* Until larderd has answered: what stays behind would look like a leak. */
static int delete_key(struct board *board, larder *cache, const struct name *name)
{
	struct patience patience = patience_start(ANSWER_MS);
	int result;

	do
		result = larder_delete(cache, name->bytes, name->size, 0);
	while (result < 0 && judge_excusable(board, result) && patience_left(patience));
	return result;
}

static int let_expire(struct board *board, larder *cache, const struct name *name)
{
	struct patience patience = patience_start(ANSWER_MS);
	int result;

	do
		result = larder_touch(cache, name->bytes, name->size, 1, NULL);
	while (result < 0 && judge_excusable(board, result) && patience_left(patience));
	return result;
}

static void check_key(struct board *board, larder *cache, uint32_t actor, uint32_t key, char *buffer, size_t size)
{
	struct larder_item item;
	struct inquiry inquiry;
	int result;

	judge_begin(&inquiry, board, actor, actor, key);
	result = larder_get(cache, inquiry.name.bytes, inquiry.name.size, buffer, size, &item);
	if (result == 0)
		judge_value(&inquiry, buffer, item.value_size);
	else if (result == LARDER_MISS)
		judge_miss(&inquiry);
	else
		judge_error(&inquiry, result);
	/* Half of all keys are deleted, half expire; to the one in two that will be neither, both have happened. */
	result = key % 2 ? delete_key(board, cache, &inquiry.name) : let_expire(board, cache, &inquiry.name);
	if (result != 0 && result != LARDER_MISS)
		judge_error(&inquiry, result);
}

static void check_counter(struct board *board, larder *cache, uint32_t counter)
{
	uint64_t least = judge_counter_least(board, counter), most = judge_counter_most(board, counter);
	char text[32] = "";
	struct name name;
	uint64_t value;
	int result;

	judge_counter_name(counter, &name);
	result = larder_get(cache, name.bytes, name.size, text, sizeof text - 1, NULL);
	value = strtoull(text, NULL, 10);
	delete_key(board, cache, &name);
	if (board->settings.evict)
		return;
	if (result != 0 || value < least || value > most)
		board_fail(board, result != 0 || value < least ? VERDICT_LOST : VERDICT_WRONG,
		           &(struct culprit){ 0, name.bytes, name.size, NULL },
		           "in the end a counter is \"%s\" (%s); completed were %" PRIu64 ", begun %" PRIu64, text,
		           larder_strerror(result), least, most);
}

static void check_all(struct board *board, larder *cache, uint64_t buffer_size)
{
	char *buffer = malloc(buffer_size);
	struct name name;

	expect(buffer != NULL);
	for (uint32_t actor = 0; actor < ACTORS; actor++)
		for (uint32_t key = 0; actor_exists(actor) && key < board->settings.keys; key++)
			check_key(board, cache, actor, key, buffer, buffer_size);
	for (uint32_t counter = 0; counter < COUNTERS; counter++)
		check_counter(board, cache, counter);
	for (uint32_t hot = 0; hot < HOT_KEYS; hot++) {
		judge_hot_name(hot, &name);
		delete_key(board, cache, &name);
	}
	free(buffer);
}

/* ---- giving back --------------------------------------------------------------------------------------------------- */

/* Index segments to which no directory entry leads. */
static uint64_t lost_index_segments(larder *cache)
{
	struct thread_entry entry = thread_enter(cache);
	const struct arena *arena = &entry.thread->cache->arena;
	bool *reached = calloc(arena->segment_count, sizeof *reached);
	uint64_t lost = 0;

	expect(reached != NULL);
	for (uint32_t i = 0; i < 1u << arena->directory_bits; i++)
		reached[load_acquire(&arena->directory[i]) % arena->segment_count] = true;
	for (uint32_t segment = 0; segment < arena->segment_count; segment++)
		lost += segment_load(arena, segment).state == SEGMENT_INDEX && !reached[segment];
	free(reached);
	return lost;
}

/* Segments that are open for what will be written next: at most one for each slab, however long it goes on. */
static uint64_t open_segments(larder *cache)
{
	struct thread_entry entry = thread_enter(cache);
	const struct arena *arena = &entry.thread->cache->arena;
	uint64_t open = 0;

	for (uint32_t slab = 0; slab < SLABS; slab++) {
		uint32_t segment = load_relaxed(&arena->header->open_segment[slab]);

		open += segment > 0 && segment <= arena->segment_count &&
		        segment_load(arena, segment - 1).state == SEGMENT_OPEN;
	}
	return open;
}

static uint64_t await_free(larder *cache)
{
	struct patience patience = patience_start(FREE_MS);
	uint64_t held;
	struct larder_stat stat;

	do {
		stat = client_stat(cache);
		held = stat.segments - stat.segments_free - stat.segments_index - stat.segments_system;
		held = held + lost_index_segments(cache) - open_segments(cache);
	} while (held > 0 && patience_left(patience));
	return held * stat.segment_bytes;
}

/* Nobody but us may have ended a keeper. */
static void check_log(struct board *board)
{
	FILE *log = fopen(board->server.log, "re");
	char line[512];

	expect(log != NULL);
	while (fgets(line, sizeof line, log)) {
		line[strcspn(line, "\n")] = '\0';
		if ((strstr(line, "was killed by signal") && !strstr(line, "by signal 9 ")) ||
		    strstr(line, "ended with status") || strstr(line, "some process wrote over it"))
			board_fail(board, VERDICT_WRONG, &(struct culprit){ 0, NULL, 0, NULL }, "%s", line);
	}
	fclose(log);
}

struct end {
	struct board *board;
	uint64_t *leaked; /* shared */
};

/* In a process of its own, so that in the end no client is left. */
static void end_work(void *context, unsigned number)
{
	const struct end *end = context;
	larder *cache = steward_open(end->board);

	(void)number;
	check_all(end->board, cache, client_stat(cache).value_size_max);
	*end->leaked = await_free(cache);
	steward_verify(end->board, cache);
	larder_close(cache);
}

static bool same(const struct holdings *a, const struct holdings *b)
{
	return a->supervisor_fds == b->supervisor_fds && a->keeper_fds == b->keeper_fds &&
	       a->control_pages == b->control_pages;
}

/* Which descriptors a process has: for whoever looks for one that is left over. */
static void print_descriptors(const char *role, pid_t pid)
{
	char path[288], target[256];
	const struct dirent *entry;
	DIR *directory;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	directory = opendir(path);
	while (directory && (entry = readdir(directory)) != NULL) {
		ssize_t length;

		snprintf(path, sizeof path, "/proc/%d/fd/%s", (int)pid, entry->d_name);
		length = readlink(path, target, sizeof target - 1);
		if (length > 0)
			fprintf(stderr, "%s: %s is %.*s\n", role, entry->d_name, (int)length, target);
	}
	if (directory)
		closedir(directory);
}

bool aftermath_run(struct board *board, struct holdings before, struct leaks *ret_leaks)
{
	struct end end = { .board = board, .leaked = shared_memory(sizeof *end.leaked) };
	struct patience patience = patience_start(LEAVE_MS);
	struct culprit nobody = { 0, NULL, 0, NULL };
	struct workers workers;

	check_log(board);
	workers_start(&workers, 1, end_work, &end);
	workers_join(&workers, RUN_SECONDS);
	ret_leaks->bytes = *end.leaked;
	do
		ret_leaks->now = aftermath_holdings(&board->server);
	while (!same(&ret_leaks->now, &before) && patience_left(patience));
	if (ret_leaks->bytes != 0)
		board_fail(board, VERDICT_WRONG, &nobody, "%" PRIu64 " bytes were not given back", ret_leaks->bytes);
	if (!same(&ret_leaks->now, &before)) {
		print_descriptors("supervisor", board->server.pid);
		print_descriptors("keeper", server_keeper(&board->server));
		board_fail(
			board, VERDICT_WRONG, &nobody,
			"without clients larderd holds %u+%u descriptors and %u control pages; before the storm it was "
			"%u+%u and %u",
			ret_leaks->now.supervisor_fds, ret_leaks->now.keeper_fds, ret_leaks->now.control_pages,
			before.supervisor_fds, before.keeper_fds, before.control_pages);
	}
	return load_acquire(&board->failure_count) == 0;
}
