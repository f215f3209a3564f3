/* SPDX-License-Identifier: MIT */
#include "tests/torture/watch.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const watch_names[OPERATIONS] = {
	"none", "a read", "a write", "an incr", "a scan", "attaching", "a write that may wait"
};

/* The first line of a file about a thread; "" if it is gone. */
static void read_line(uint32_t pid, uint32_t thread, const char *what, char *ret_text, size_t size)
{
	char path[64];
	ssize_t got;
	int fd;

	snprintf(path, sizeof path, "/proc/%" PRIu32 "/task/%" PRIu32 "/%s", pid, thread, what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? 0 : read(fd, ret_text, size - 1);
	if (fd >= 0)
		close(fd);
	ret_text[got > 0 ? got : 0] = '\0';
	ret_text[strcspn(ret_text, "\n")] = '\0';
}

/* False: the thread is gone. */
static bool update_fare(struct fare *fare, uint32_t pid, uint32_t thread)
{
	char schedstat[96], stat[128];
	const char *state;
	uint64_t ran_ns;
	char *end;

	read_line(pid, thread, "schedstat", schedstat, sizeof schedstat);
	read_line(pid, thread, "stat", stat, sizeof stat);
	state = strrchr(stat, ')');
	if (!schedstat[0] || !state)
		return false;
	ran_ns = strtoull(schedstat, &end, 10);
	fare->starving = strncmp(state, ") R", 3) == 0 && ran_ns == fare->ran_ns;
	fare->ran_ns = ran_ns;
	fare->waited_ns = strtoull(end, NULL, 10);
	return true;
}

static void report(struct board *board, uint32_t number, uint32_t pid, uint32_t thread, uint32_t operation, uint64_t ms)
{
	char where[64], stat[64];

	read_line(pid, thread, "wchan", where, sizeof where);
	read_line(pid, thread, "schedstat", stat, sizeof stat);
	board_fail(board, VERDICT_HANG, &(struct culprit){ number, NULL, 0, NULL },
	           "process %" PRIu32 " thread %" PRIu32 " is in %s for %" PRIu64
	           " ms (sleeping in: %s; schedstat: %s)",
	           pid, thread, watch_names[operation], ms, where, stat);
}

void watch_larderd(struct larderd_watch *watch, const struct server *server, struct moment *moment)
{
	uint32_t supervisor = (uint32_t)server->pid, keeper = (uint32_t)server_keeper(server);

	update_fare(&watch->supervisor, supervisor, supervisor);
	if (keeper == 0 || !update_fare(&watch->keeper, keeper, keeper))
		watch->keeper.starving = false;
	moment->larderd_ns = watch->supervisor.waited_ns + watch->keeper.waited_ns;
	moment->larderd_starving = watch->supervisor.starving || watch->keeper.starving;
}

static void begin(struct watch *watch, uint64_t call, uint32_t thread, uint32_t keeper_kills, uint64_t excused_ns)
{
	watch->call = call;
	watch->thread = thread;
	watch->keeper_kills = keeper_kills;
	watch->reported = false;
	watch->since_ns = monotonic_ns();
	watch->excused_ns = excused_ns;
}

void watch_actor(struct watch *watch, struct board *board, uint32_t number, const struct moment *moment,
                 struct longest *longest)
{
	const struct actor *actor = &board->actors[number];
	uint32_t operation = load_acquire(&actor->operation), thread = load_acquire(&actor->thread);
	uint64_t call = load_acquire(&actor->calls), excused_ns, ms;
	bool needs_larderd = operation >= OPERATION_ATTACH;

	if (operation == OPERATION_NONE || thread == 0 || !update_fare(&watch->fare, moment->pid, thread)) {
		*watch = (struct watch){ 0 };
		return;
	}
	excused_ns = watch->fare.waited_ns + moment->stopped_ns + moment->late_ns +
	             (needs_larderd ? moment->larderd_ns : 0);
	if (watch->call != call || watch->thread != thread || watch->since_ns == 0 ||
	    (needs_larderd && watch->keeper_kills != moment->keeper_kills)) {
		begin(watch, call, thread, moment->keeper_kills, excused_ns);
		return;
	}
	if (watch->fare.starving || (needs_larderd && moment->larderd_starving))
		return;
	ms = moment->now_ns > watch->since_ns ? moment->now_ns - watch->since_ns : 0;
	/* A new keeper has waited less than the one before. */
	excused_ns = excused_ns > watch->excused_ns ? excused_ns - watch->excused_ns : 0;
	ms = ms > excused_ns ? (ms - excused_ns) / NS_PER_MS : 0;
	if (ms > longest->ms)
		*longest = (struct longest){ ms, operation };
	if (ms < HANG_MS || watch->reported)
		return;
	watch->reported = true;
	report(board, number, moment->pid, thread, operation, ms);
}
