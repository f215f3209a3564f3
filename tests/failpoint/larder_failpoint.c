/* SPDX-License-Identifier: MIT */
/*
 * larder-failpoint: kills and stops a process at every failpoint there is, in every role that passes it, many cases at a time,
 * and prints what came of it. The last line is "N passed, N failed".
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/failpoint/scene.h"
#include "tests/failpoint/stall.h"
#include "tests/support/expect.h"
#include "tests/support/server.h"
#include "tests/support/workers.h"

#define CASES_MAX 1024
#define JOBS_PER_PROCESSOR 5 /* most of a case is waiting */
#define CASE_SECONDS 180
#define STALL_RATIO 0.5 /* of the writes before: what a noisy machine still must show */
#define TRIES 6         /* of a case whose point was not reached: some have to be met at the right moment */

struct play {
	const struct point *point;
	enum deed deed;
	uint32_t tries;
	pid_t pid;
	uint64_t began_ms;
};

static struct play plays[CASES_MAX];
static struct outcome_of *outcomes; /* one for each play */
static size_t play_count;
static char directory[32];

static const char *const deed_names[] = { "kill", "stop" };

static void log_path(size_t number, char path[64])
{
	snprintf(path, 64, "%s/%zu.log", directory, number);
}

static void start(size_t number)
{
	struct play *play = &plays[number];
	pid_t parent = getpid();
	char path[64];

	log_path(number, path);
	outcomes[number] = (struct outcome_of){ .outcome = PENDING };
	play->tries++;
	play->began_ms = monotonic_ms();
	fflush(NULL);
	play->pid = fork();
	expect(play->pid >= 0);
	if (play->pid == 0) {
		int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent || fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
			_exit(1);
		scene_play(play->point, play->deed, &outcomes[number]);
		_exit(0);
	}
}

static void print_log(size_t number)
{
	char path[64], text[16384], *line, *rest = text;

	log_path(number, path);
	server_read_file(path, text, sizeof text);
	while ((line = strsep(&rest, "\n")))
		if (*line)
			printf("      | %s\n", line);
}

static void print_outcome(size_t number)
{
	static const char *const words[] = { "FAIL", "ok", "FAIL", "FAIL" };
	const struct point *point = plays[number].point;
	const struct outcome_of *outcome = &outcomes[number];

	printf("%-4s  %-24s %-8s %-6s %-4s", words[outcome->outcome], point->name, role_name(point->role),
	       scene_name(point->scene), deed_names[plays[number].deed]);
	if (outcome->outcome == PASSED)
		printf("  hits %" PRIu64 ", calls %7" PRIu64 ", longest read %3" PRIu64 " ms, write %4" PRIu64
		       " ms, gave up %" PRIu64 ", free %" PRIu64 "\n",
		       outcome->hits, outcome->calls, outcome->longest_read_ns / NS_PER_MS,
		       outcome->longest_write_ns / NS_PER_MS, outcome->timeouts, outcome->segments_freed);
	else
		printf("  %s\n", outcome->outcome == NOT_REACHED ? "not reached" : "see below");
	if (outcome->outcome != PASSED)
		print_log(number);
	fflush(stdout);
}

/* Takes note of a case that ended. False: it is tried once more. */
static bool finish(size_t number, int status)
{
	struct outcome_of *outcome = &outcomes[number];

	plays[number].pid = 0;
	if (status != 0)
		outcome->outcome = FAILED;
	if (outcome->outcome == NOT_REACHED && plays[number].tries < TRIES) {
		start(number);
		return false;
	}
	print_outcome(number);
	return true;
}

/* Ends cases that take too long, and waits for one that ends by itself. Return: its number. */
static size_t wait_for_one(int *ret_status)
{
	for (;;) {
		pid_t pid = waitpid(-1, ret_status, WNOHANG);

		for (size_t number = 0; number < play_count; number++) {
			if (pid > 0 && plays[number].pid == pid)
				return number;
			if (plays[number].pid && monotonic_ms() - plays[number].began_ms > CASE_SECONDS * 1000)
				kill(plays[number].pid, SIGKILL);
		}
		if (pid <= 0)
			usleep(10000);
	}
}

static void play_all(uint32_t jobs)
{
	size_t next = 0;
	uint32_t running = 0;

	while (next < play_count || running > 0) {
		int status = 0;

		if (next < play_count && running < jobs) {
			start(next++);
			running++;
			continue;
		}
		if (finish(wait_for_one(&status), status))
			running--;
	}
}

static int report(uint64_t began_ms)
{
	struct outcome_of worst = { 0 };
	size_t passed = 0;

	for (size_t number = 0; number < play_count; number++) {
		const struct outcome_of *outcome = &outcomes[number];
		bool keeper_stops = plays[number].point->keeper ||
		                    (plays[number].point->role == KEEPER && plays[number].deed == STOP_IT);

		passed += outcome->outcome == PASSED;
		worst.calls += outcome->calls;
		if (outcome->longest_read_ns > worst.longest_read_ns)
			worst.longest_read_ns = outcome->longest_read_ns;
		if (!keeper_stops && outcome->longest_write_ns > worst.longest_write_ns)
			worst.longest_write_ns = outcome->longest_write_ns;
	}
	printf("%zu cases at %zu places in %" PRIu64 " s: %" PRIu64 " calls of others; the longest read took %" PRIu64
	       " ms, the longest write %" PRIu64 " ms (but for writes while the keeper was stopped)\n",
	       play_count, point_count, (monotonic_ms() - began_ms) / 1000, worst.calls,
	       worst.longest_read_ns / NS_PER_MS, worst.longest_write_ns / NS_PER_MS);
	printf("%zu passed, %zu failed\n", passed, play_count - passed);
	return passed == play_count ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- the command line ---------------------------------------------------------------------------------------------- */

static void list(void)
{
	for (size_t i = 0; i < point_count; i++)
		printf("%s %s %s\n", points[i].name, role_name(points[i].role), scene_name(points[i].scene));
}

static _Noreturn void usage(void)
{
	fputs("usage: larder-failpoint [--list] [--only TEXT] [--jobs N] [--stall SIZE]\n"
	      "  --list       print every failpoint, with who passes it and in which scene, and end\n"
	      "  --only TEXT  only cases in whose line \"name role scene deed\" this text is\n"
	      "  --jobs N     so many cases at a time\n"
	      "  --stall SIZE measure what a stopped client costs the writes of others in an arena of SIZE, and end\n",
	      stderr);
	exit(2);
}

static void choose(const char *only)
{
	for (size_t i = 0; i < point_count; i++) {
		for (int deed = KILL_IT; deed <= STOP_IT; deed++) {
			char line[128];

			snprintf(line, sizeof line, "%s %s %s %s", points[i].name, role_name(points[i].role),
			         scene_name(points[i].scene), deed_names[deed]);
			if (only && !strstr(line, only))
				continue;
			expect(play_count < CASES_MAX);
			plays[play_count++] = (struct play){ .point = &points[i], .deed = (enum deed)deed };
		}
	}
}

static void remove_directory(void)
{
	for (size_t number = 0; number < play_count; number++) {
		char path[64];

		log_path(number, path);
		unlink(path);
	}
	if (rmdir(directory))
		printf("%s is left, with the logs of what failed\n", directory);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "list", no_argument, NULL, 'l' },
		                                 { "only", required_argument, NULL, 'o' },
		                                 { "jobs", required_argument, NULL, 'j' },
		                                 { "stall", required_argument, NULL, 's' },
		                                 { 0 } };
	uint32_t jobs = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN) * JOBS_PER_PROCESSOR;
	const char *only = NULL;
	uint64_t began_ms = monotonic_ms();
	int option, status;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'l':
			list();
			return EXIT_SUCCESS;
		case 'o':
			only = optarg;
			break;
		case 'j':
			jobs = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 's':
			return stall_measure(optarg) >= STALL_RATIO ? EXIT_SUCCESS : EXIT_FAILURE;
		default:
			usage();
		}
	}
	choose(only);
	if (optind != argc || jobs == 0 || play_count == 0)
		usage();
	strcpy(directory, "/tmp/larder-fp-XXXXXX");
	expect(mkdtemp(directory) != NULL);
	setenv("TMPDIR", directory, 1);
	outcomes = shared_memory(play_count * sizeof *outcomes);
	play_all(jobs);
	status = report(began_ms);
	remove_directory();
	return status;
}
