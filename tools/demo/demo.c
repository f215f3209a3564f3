/* SPDX-License-Identifier: MIT */
/*
 * larder-demo: what a newcomer sees first. Starts a larderd of its own and several worker processes that share one cache,
 * kills one of them half-way, and reports. This file is the parent: it starts, watches and ends the others.
 *
 * Signals are blocked and waited for, so nothing happens behind the back of the code; the workers ignore the terminal's
 * interrupt and end when the parent says so, or with it.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "larder.h"
#include "tools/demo/board.h"
#include "tools/demo/options.h"
#include "tools/demo/replay.h"
#include "tools/demo/report.h"
#include "tools/demo/server.h"
#include "tools/demo/trace.h"
#include "tools/demo/value.h"
#include "tools/demo/worker.h"

#define SECOND UINT64_C(1000000000)
#define STOP_PATIENCE (20 * SECOND)
#define EXIT_USAGE 2
#define EXIT_INTERRUPTED 130

struct demo {
	struct options options;
	struct server server;
	larder *cache; /* opened before the workers are forked; worker 0 uses it */
	struct shop shop;
	struct replay replay;
	struct board *board;
	pid_t pids[BOARD_TALLIES]; /* by tally; 0: has ended */
	unsigned tallies;
	sigset_t signals;
	struct progress progress;
	struct report_kill kill;
	bool failed, interrupted;
};

/* ---- workers ----------------------------------------------------------------------------------------------------- */

static int open_cache(const struct demo *demo, larder **ret_cache)
{
	struct larder_open_options options = LARDER_OPEN_OPTIONS;
	char error[512] = "";
	int result;

	options.error = error;
	options.error_size = sizeof error;
	result = larder_open(demo->server.socket, &options, ret_cache);
	if (result != 0)
		fprintf(stderr, "larder-demo: larder_open: %s\n", error[0] != '\0' ? error : larder_strerror(result));
	return result;
}

_Noreturn static void become_worker(const struct demo *demo, uint32_t number, unsigned tally, pid_t parent)
{
	larder *cache = demo->cache;
	int status;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	signal(SIGINT, SIG_IGN);
	sigprocmask(SIG_UNBLOCK, &demo->signals, NULL);
	if (tally != 0 && open_cache(demo, &cache) != 0)
		_exit(EXIT_FAILURE);
	if (demo->options.trace != NULL)
		status = replay_run(&demo->replay, cache, number);
	else
		status = worker_run(&demo->shop, cache, number, tally);
	larder_close(cache);
	_exit(status);
}

static int start_worker(struct demo *demo, uint32_t number)
{
	unsigned tally = demo->tallies;
	pid_t parent = getpid(), pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		become_worker(demo, number, tally, parent);
	if (pid < 0) {
		int error = errno;

		fprintf(stderr, "larder-demo: fork: %s\n", strerror(error));
		return -error;
	}
	demo->pids[tally] = pid;
	demo->tallies++;
	return 0;
}

static bool workers_running(const struct demo *demo)
{
	for (unsigned i = 0; i < demo->tallies; i++) {
		if (demo->pids[i] != 0)
			return true;
	}
	return false;
}

/* Takes note of what has ended. A worker ends with status 0, except the one that was killed on purpose. */
static void reap(struct demo *demo)
{
	for (unsigned i = 0; i < demo->tallies; i++) {
		int status;

		if (demo->pids[i] == 0 || waitpid(demo->pids[i], &status, WNOHANG) != demo->pids[i])
			continue;
		demo->pids[i] = 0;
		if ((WIFEXITED(status) && WEXITSTATUS(status) == 0) || (int)i == demo->kill.tally)
			continue;
		if (WIFSIGNALED(status))
			fprintf(stderr, "\nlarder-demo: worker %u was ended by signal %d (%s)\n", i, WTERMSIG(status),
			        strsignal(WTERMSIG(status)));
		demo->failed = true;
	}
	if (server_check(&demo->server) != 0)
		demo->failed = true;
}

/* Kills the last worker wherever it is, waits until it is gone, and lets another process take its place. */
static void kill_one(struct demo *demo)
{
	uint32_t victim = demo->options.workers - 1;
	pid_t pid = demo->pids[victim];

	if (pid == 0)
		return;
	demo->kill.tally = (int)victim;
	demo->kill.seconds = (double)(board_clock_ns() - demo->board->start_ns) / 1e9;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	demo->pids[victim] = 0;
	demo->kill.calls_then = report_calls(demo->board, demo->tallies, demo->kill.tally);
	if (start_worker(demo, victim) != 0) {
		demo->failed = true;
		return;
	}
	report_break(&demo->progress);
	printf("%5.1f s  worker %u (process %d) was killed by SIGKILL wherever it was; the others go on, and process %d takes\n"
	       "         over its users; nothing the killed one had completed may be missing\n",
	       demo->kill.seconds, (unsigned)victim, (int)pid, (int)demo->pids[demo->tallies - 1]);
}

/* ---- the course of the demo -------------------------------------------------------------------------------------- */

/* Waits for a child's end, an interrupt or a time. */
static void wait_event(struct demo *demo, uint64_t until)
{
	uint64_t now = board_clock_ns(), span = until > now ? until - now : 0;
	struct timespec timeout = { .tv_sec = (time_t)(span / SECOND), .tv_nsec = (long)(span % SECOND) };
	int signal_number = sigtimedwait(&demo->signals, NULL, &timeout);

	if (signal_number == SIGINT || signal_number == SIGTERM || signal_number == SIGHUP)
		demo->interrupted = true;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void supervise(struct demo *demo)
{
	const struct options *options = &demo->options;
	uint64_t start = demo->board->start_ns, tick = demo->progress.terminal ? SECOND : 3 * SECOND;
	uint64_t end = options->trace == NULL ? start + (uint64_t)(options->seconds * 1e9) : UINT64_MAX;
	uint64_t half = (end - start) / 2;
	uint64_t kill_at = options->trace == NULL && options->kill ? start + half : UINT64_MAX;
	uint64_t next_tick = start + tick;

	while (workers_running(demo)) {
		uint64_t now;

		wait_event(demo, least(next_tick, least(kill_at, end)));
		reap(demo);
		now = board_clock_ns();
		if (now >= kill_at && !demo->interrupted && !demo->failed) {
			kill_at = UINT64_MAX;
			kill_one(demo);
			end = most(end,
			           now + half); /* that the others go on is to be seen, too, however late this was */
		}
		if ((now >= end || demo->interrupted || demo->failed) && !demo->board->stop) {
			demo->board->stop = true;
			end = now + STOP_PATIENCE;
			kill_at = UINT64_MAX;
		} else if (now >= end) {
			break;
		}
		if (now >= next_tick && !demo->board->stop) {
			report_progress(&demo->progress, demo->board, demo->tallies);
			next_tick = now + tick;
		}
	}
	for (unsigned i = 0; i < demo->tallies; i++) {
		if (demo->pids[i] == 0)
			continue;
		fprintf(stderr, "\nlarder-demo: worker %u does not end; killing it\n", i);
		kill(demo->pids[i], SIGKILL);
		waitpid(demo->pids[i], NULL, 0);
		demo->failed = true;
	}
}

static void print_beginning(const struct demo *demo, const struct larder_stat *stat)
{
	const struct options *options = &demo->options;

	printf("larder %s: one cache in shared memory, used by %u processes on %ld processors\n", larder_version(),
	       options->workers, sysconf(_SC_NPROCESSORS_ONLN));
	printf("  larderd   %s, process %d, socket %s\n", demo->server.program, (int)demo->server.pid,
	       demo->server.socket);
	printf("  arena     %.0f MiB on pages of %.0f KiB\n", (double)stat->arena_bytes / 1048576,
	       (double)stat->page_bytes / 1024);
	printf("  workers   the first uses the handle that its parent opened before fork(), the others open their own\n");
	if (options->trace != NULL) {
		printf("  trace     %s, spread over the workers by the hash of the key", options->trace);
		if (options->speed > 0)
			printf(", %g times as fast as recorded\n\n", options->speed);
		else
			printf(", as fast as possible\n\n");
		return;
	}
	printf("  workload  a web shop for %g s: %u users, JSON sessions, page fragments, counters (see --help)\n",
	       options->seconds, (unsigned)options->users);
	printf("  checked   every value: its hash, its key, and that it is neither older nor newer than it may be\n\n");
}

/* Everything between a running larderd and its end. */
static void run(struct demo *demo)
{
	struct larder_stat stat = { .size = sizeof stat };
	const struct options *options = &demo->options;
	struct report report;

	demo->failed = true;
	demo->board = board_create();
	if (demo->board == NULL) {
		fprintf(stderr, "larder-demo: out of memory\n");
		return;
	}
	if (options->trace != NULL) {
		demo->replay = (struct replay){ demo->board, options->trace, options->speed, options->workers };
	} else {
		value_prepare();
		demo->shop = (struct shop){
			.board = demo->board,
			.workload = workload_make(options->users, options->workers),
			.ledger = ledger_create(options->users),
			.notes = counters_create(WORKLOAD_PAGES),
			.seed = options->seed,
		};
		if (demo->shop.ledger == NULL || demo->shop.notes == NULL) {
			fprintf(stderr, "larder-demo: out of memory\n");
			return;
		}
	}
	if (open_cache(demo, &demo->cache) != 0)
		return;
	demo->failed = larder_stat(demo->cache, &stat) != 0;
	print_beginning(demo, &stat);
	demo->board->start_ns = demo->progress.time_ns = board_clock_ns();
	for (unsigned i = 0; i < options->workers && !demo->failed; i++)
		demo->failed = start_worker(demo, i) != 0;
	supervise(demo);
	report_progress(&demo->progress, demo->board, demo->tallies);
	report_break(&demo->progress);

	report = (struct report){
		.board = demo->board,
		.tallies = demo->tallies,
		.seconds = (double)(board_clock_ns() - demo->board->start_ns) / 1e9,
		.trace = options->trace != NULL,
		.stat = &stat,
		.kill = demo->kill,
	};
	report.kill.calls_after = report_calls(demo->board, demo->tallies, demo->kill.tally) - demo->kill.calls_then;
	if (options->trace == NULL)
		report.audit = counters_audit(demo->cache, demo->board, demo->tallies, demo->shop.notes,
		                              WORKLOAD_PAGES);
	if (larder_stat(demo->cache, &stat) != 0) {
		fprintf(stderr, "larder-demo: larder_stat failed\n");
		demo->failed = true;
	}
	if (report_calls(demo->board, demo->tallies, -1) > 0)
		report_print(&report);
	if (report_wrong(demo->board, demo->tallies) + report.audit.wrong > 0 ||
	    report_failed(demo->board, demo->tallies) > 0)
		demo->failed = true;
	larder_close(demo->cache);
}

/* A trace that is not there should be said before anything is started. */
static int check_trace(const char *path)
{
	struct trace trace;
	int result = trace_open(&trace, path);

	if (result != 0)
		fprintf(stderr, "larder-demo: %s\n", trace.error);
	else
		trace_close(&trace);
	return result;
}

int main(int argc, char **argv)
{
	struct demo demo = { .kill.tally = -1 };
	int result = options_parse(argc, argv, &demo.options);

	if (result != 0)
		return result > 0 ? EXIT_SUCCESS : EXIT_USAGE;
	if (demo.options.trace != NULL && check_trace(demo.options.trace) != 0)
		return EXIT_FAILURE;
	demo.progress.terminal = isatty(STDOUT_FILENO);
	setvbuf(stdout, NULL, _IOLBF, 0); /* in order with stderr, and in time, whatever it is */
	sigemptyset(&demo.signals);
	sigaddset(&demo.signals, SIGCHLD);
	sigaddset(&demo.signals, SIGINT);
	sigaddset(&demo.signals, SIGTERM);
	sigaddset(&demo.signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &demo.signals, NULL);

	if (server_start(&demo.server, demo.options.larderd, demo.options.size) == 0)
		run(&demo);
	else
		demo.failed = true;
	if (server_stop(&demo.server) != 0)
		demo.failed = true;
	if (demo.interrupted && !demo.failed) {
		printf("demo: interrupted\n");
		return EXIT_INTERRUPTED;
	}
	printf("demo: %s\n", demo.failed ? "FAILED" : "ok");
	return demo.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
