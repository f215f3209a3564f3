/* SPDX-License-Identifier: MIT */
/*
 * larder-weak [scenario...]: searches scenarios, one process each, JOBS at a time (default: 2). The last line is
 * "N passed, N failed". No more deviations than WEAK_DEVIATIONS. With WEAK_FIRST in the environment the first failure ends all, and
 * all scenarios are searched with one deviation before any is with more. With WEAK_TRACE in the environment the execution that failed is told access by access.
 */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/weak/explore.h"

#define JOBS_MAX 64
#define EXIT_TOLD 3 /* failed, and has said so */

static const struct weak_scenario *const scenario_lists[] = { weak_scenarios_litmus, weak_scenarios_steps,
	                                                      weak_scenarios_cache,  weak_scenarios_index,
	                                                      weak_scenarios_retire, weak_scenarios_reclaim,
	                                                      weak_scenarios_extent };

static double seconds(void)
{
	struct timespec now;

	timespec_get(&now, TIME_UTC);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int run(const struct weak_scenario *scenario, unsigned deviations)
{
	double began = seconds();
	uint64_t executions = explore_scenario(scenario, deviations);

	if (executions && deviations < scenario->deviations)
		return EXIT_SUCCESS;
	printf("%-6s %-32s %10llu executions %6.1f s\n", executions ? "ok" : "FAILED", scenario->name,
	       (unsigned long long)executions, seconds() - began);
	fflush(stdout);
	return executions ? EXIT_SUCCESS : EXIT_TOLD;
}

static bool wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strncmp(name, argv[i], strlen(argv[i])) == 0)
			return true;
	return argc < 2;
}

static unsigned passed, failed;

static struct job {
	pid_t process;
	const char *name;
} jobs[JOBS_MAX];

/* The job that a process does; 0: one that does nothing. */
static struct job *job_of(pid_t process)
{
	struct job *job = jobs;

	while (job->process != process)
		job++;
	return job;
}

static void collect(void)
{
	int status;
	pid_t process = wait(&status);
	struct job *job;

	if (process < 0)
		return;
	job = job_of(process);
	job->process = 0;
	if (status == 0)
		passed++;
	else
		failed++;
	if (status != 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_TOLD))
		printf("FAILED %-32s it ended with status %d\n", job->name, status);
	if (failed && getenv("WEAK_FIRST"))
		exit(EXIT_FAILURE); /* which ends the others */
}

/* Begins what is wanted, each with no more deviations than that. */
static void search(int argc, char **argv, unsigned deviations_max)
{
	const char *number = getenv("JOBS");
	unsigned running = 0, limit = number ? (unsigned)atoi(number) : 2;

	if (limit < 1 || limit > JOBS_MAX)
		limit = JOBS_MAX;
	for (size_t list = 0; list < sizeof scenario_lists / sizeof scenario_lists[0]; list++)
		for (const struct weak_scenario *scenario = scenario_lists[list]; scenario->name; scenario++) {
			unsigned deviations = scenario->deviations;
			struct job *job;

			if (!wanted(scenario->name, argc, argv))
				continue;
			if (running >= limit) {
				collect();
				running--;
			}
			fflush(stdout);
			job = job_of(0);
			job->name = scenario->name;
			job->process = fork();
			if (job->process == 0) {
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				_exit(run(scenario, deviations < deviations_max ? deviations : deviations_max));
			}
			running++;
		}
	while (running--)
		collect();
}

int main(int argc, char **argv)
{
	const char *most = getenv("WEAK_DEVIATIONS");

	if (getenv("WEAK_FIRST") && !most)
		search(argc, argv, 1);
	passed = 0;
	search(argc, argv, most ? (unsigned)atoi(most) : UINT_MAX);
	printf("%u passed, %u failed\n", passed, failed);
	return failed || !passed ? EXIT_FAILURE : EXIT_SUCCESS;
}
