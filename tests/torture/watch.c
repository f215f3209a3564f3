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

/* How long a thread has waited for a processor, in all. False: it is gone. */
static bool read_waited(uint32_t pid, uint32_t thread, uint64_t *ret_ns)
{
	char path[64], text[96];
	ssize_t size;
	char *end;
	int fd;

	snprintf(path, sizeof path, "/proc/%" PRIu32 "/task/%" PRIu32 "/schedstat", pid, thread);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	size = read(fd, text, sizeof text - 1);
	close(fd);
	if (size <= 0)
		return false;
	text[size] = '\0';
	strtoull(text, &end, 10); /* how long it ran */
	*ret_ns = strtoull(end, NULL, 10);
	return true;
}

/* Where in the kernel a thread is, for the report. */
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

uint64_t watch_larderd(const struct server *server)
{
	uint32_t supervisor = (uint32_t)server->pid, keeper = (uint32_t)server_keeper(server);
	uint64_t sum = 0, waited_ns;

	if (read_waited(supervisor, supervisor, &waited_ns))
		sum += waited_ns;
	if (keeper != 0 && read_waited(keeper, keeper, &waited_ns))
		sum += waited_ns;
	return sum;
}

void watch_actor(struct watch *watch, struct board *board, uint32_t number, const struct moment *moment,
                 struct longest *longest)
{
	const struct actor *actor = &board->actors[number];
	uint32_t operation = load_acquire(&actor->operation), thread = load_acquire(&actor->thread);
	uint64_t call = load_acquire(&actor->calls), now_ns = monotonic_ns(), excused_ns, ms;
	bool needs_larderd = operation >= OPERATION_ATTACH;

	if (operation == OPERATION_NONE || thread == 0 || !read_waited(moment->pid, thread, &excused_ns)) {
		*watch = (struct watch){ 0 };
		return;
	}
	excused_ns += moment->stopped_ns + (needs_larderd ? moment->larderd_ns : 0);
	if (watch->call != call || watch->thread != thread || watch->since_ns == 0 ||
	    (needs_larderd && watch->keeper_kills != moment->keeper_kills)) {
		*watch = (struct watch){ .call = call,
			                 .thread = thread,
			                 .keeper_kills = moment->keeper_kills,
			                 .since_ns = now_ns,
			                 .excused_ns = excused_ns };
		return;
	}
	ms = now_ns - watch->since_ns;
	excused_ns -= watch->excused_ns;
	ms = ms > excused_ns ? (ms - excused_ns) / NS_PER_MS : 0;
	if (ms > longest->ms)
		*longest = (struct longest){ ms, operation };
	if (ms < HANG_MS || watch->reported)
		return;
	watch->reported = true;
	report(board, number, moment->pid, thread, operation, ms);
}
