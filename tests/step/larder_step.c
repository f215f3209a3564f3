/* SPDX-License-Identifier: MIT */
/*
 * larder-step: a kill after every instruction. A process is stepped through one operation, and after each of its instructions
 * the shared memory, as it is at that instant, is recovered from on a copy. The last line is "N passed, N failed", a
 * case being a scenario; the status is 1 when anything was wrong.
 */
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/log.h"
#include "tests/step/scenario.h"
#include "tests/step/trace.h"
#include "tests/step/trial.h"

#define DOOMED_STEPS_MAX 1000000u
#define FREE_LOOK_POINTS 1024u /* the memory of free segments is looked at after so many points */
#define FAULTS_SHOWN 3
#define HANG_SECONDS 60u /* one recovery takes a millisecond or two */

struct settings {
	uint64_t seed, points; /* points UINT64_MAX: all */
	const char *only;
	bool verbose;
};

struct counts {
	uint64_t points, states, faults;
};

/* One scenario under way. */
struct run {
	const struct scenario *scenario;
	struct scene *scene;
	struct trace trace;
	struct trial trial;
	struct counts counts;
};

static const char *running; /* the scenario, for whoever finds that it hangs */

static void on_alarm(int signal)
{
	static const char text[] = "a recovery does not end, in scenario ";

	(void)signal;
	if (write(STDERR_FILENO, text, sizeof text - 1) < 0 || write(STDERR_FILENO, running, strlen(running)) < 0)
		_exit(2);
	_exit(1);
}

static void complain(struct run *run, const char *what)
{
	if (run->counts.faults++ < FAULTS_SHOWN)
		printf("%s: killed after instruction %" PRIu64 " (addr2line 0x%" PRIx64 "), state %" PRIu64 ": %s\n",
		       run->scenario->name, run->counts.points, trace_place(&run->trace), run->counts.states, what);
}

static void recover(struct run *run)
{
	run->counts.states++;
	alarm(HANG_SECONDS);
	if (!trial_recover(&run->trial))
		complain(run, run->trial.fault);
	alarm(0);
}

/* A client begins something and is killed in the middle of it. */
static void doom(struct run *run)
{
	struct scenario doomed = *run->scenario;
	struct actor actor = { .scene = run->scene, .scenario = &doomed };
	uint64_t steps = 0;

	doomed.role = ROLE_DEAD;
	doomed.prelude = NULL;
	trace_start(&run->trace, scenario_attach, scenario_doomed, &actor);
	while (!doomed.until(run->scene) && steps++ < DOOMED_STEPS_MAX && trace_step(&run->trace))
		;
	if (!doomed.until(run->scene))
		complain(run, "the client that was to be killed before did not come as far as it should");
	trace_kill(&run->trace);
	run->scene->dead = true;
}

static void step_through(struct run *run, uint64_t points_max)
{
	while (run->counts.points < points_max && trace_step(&run->trace)) {
		run->counts.points++;
		if (run->counts.points % FREE_LOOK_POINTS == 0 && !stage_free_untouched(&run->scene->stage))
			complain(run, "the memory of a free segment was written to");
		if (stage_changed(&run->scene->stage))
			recover(run);
	}
	if (!stage_free_untouched(&run->scene->stage))
		complain(run, "the memory of a free segment was written to");
	if (run->counts.points == points_max && run->trace.signal == 0) {
		trace_run(&run->trace);
		stage_keep(&run->scene->stage);
		recover(run);
	}
	if (run->trace.signal)
		complain(run, strsignal(run->trace.signal));
}

static struct counts run_scenario(const struct scenario *scenario, uint64_t seed, uint64_t points_max)
{
	static struct scene scene;
	static struct run run;
	struct actor actor = { .scene = &scene, .scenario = scenario };

	memset(&run, 0, sizeof run);
	run.scenario = scenario;
	run.scene = &scene;
	running = scenario->name;
	trace_open(&run.trace);
	scene_open(&scene, seed, scenario->subjects ? scenario->subjects : 1);
	if (scenario->prepare)
		scenario->prepare(&scene, scenario);
	else
		scenario_prepare(&scene, scenario);
	if (scenario->doomed)
		doom(&run);
	trace_start(&run.trace, scenario_attach, scenario_act, &actor);
	stage_keep(&scene.stage);
	trial_open(&run.trial, &scene, scenario->role == ROLE_KEEPER, scenario->after);
	recover(&run);
	step_through(&run, points_max);
	if (trace_result(&run.trace) != scenario->result) {
		printf("%s: the operation gives %d instead of %d\n", scenario->name, trace_result(&run.trace),
		       scenario->result);
		run.counts.faults++;
	}
	if (!trial_complete(&run.trial))
		complain(&run, run.trial.fault);
	trace_kill(&run.trace);
	trace_close(&run.trace);
	trial_close(&run.trial);
	scene_close(&scene);
	return run.counts;
}

/* ---- all of them ------------------------------------------------------------------------------------------------------- */

static const struct scenario *const lists[] = { client_scenarios, split_scenarios, keeper_scenarios };
#define LISTS (sizeof lists / sizeof *lists)

static bool chosen(const struct settings *settings, const struct scenario *scenario)
{
	return !settings->only || strstr(scenario->name, settings->only);
}

static uint32_t count_chosen(const struct settings *settings)
{
	uint32_t count = 0;

	for (size_t list = 0; list < LISTS; list++)
		for (const struct scenario *scenario = lists[list]; scenario->name; scenario++)
			count += chosen(settings, scenario);
	return count;
}

static int run_all(const struct settings *settings)
{
	uint64_t began_ms = monotonic_ms(), left = settings->points;
	uint32_t remaining = count_chosen(settings), passed = 0, failed = 0;
	struct counts sum = { 0 };

	for (size_t list = 0; list < LISTS; list++) {
		for (const struct scenario *scenario = lists[list]; scenario->name; scenario++) {
			struct counts counts;

			if (!chosen(settings, scenario))
				continue;
			/* What one scenario leaves of its share, the others get. */
			counts = run_scenario(scenario, settings->seed,
			                      left == UINT64_MAX ? UINT64_MAX : left / remaining);
			left -= left == UINT64_MAX ? 0 : counts.points;
			remaining--;
			sum.points += counts.points;
			sum.states += counts.states;
			sum.faults += counts.faults;
			passed += counts.faults == 0;
			failed += counts.faults != 0;
			if (settings->verbose || counts.faults)
				printf("%8" PRIu64 " points %6" PRIu64 " states %6" PRIu64 " not sound  %s\n",
				       counts.points, counts.states, counts.faults, scenario->name);
			fflush(stdout);
		}
	}
	printf("%" PRIu64 " kill points, %" PRIu64 " distinct states recovered from, %" PRIu64
	       " not sound; seed %" PRIu64 ", %" PRIu64 " s\n",
	       sum.points, sum.states, sum.faults, settings->seed, (monotonic_ms() - began_ms) / 1000);
	printf("%u passed, %u failed\n", passed, failed);
	return failed || passed == 0;
}

static int usage(const char *program)
{
	fprintf(stderr,
	        "usage: %s [--points N] [--seed N] [--only TEXT] [--quiet]\n"
	        "  --points N   step no further than that in all; 0: through everything\n"
	        "  --only TEXT  scenarios whose name contains the text\n"
	        "  --quiet      one line for all that is well\n",
	        program);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "points", required_argument, NULL, 'p' },
		{ "seed", required_argument, NULL, 's' },
		{ "only", required_argument, NULL, 'o' },
		{ "quiet", no_argument, NULL, 'q' },
		{ 0 },
	};
	struct settings settings = { .seed = 1, .points = UINT64_MAX, .verbose = true };
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'p':
			settings.points = strtoull(optarg, NULL, 10);
			if (settings.points == 0)
				settings.points = UINT64_MAX;
			break;
		case 's':
			settings.seed = strtoull(optarg, NULL, 10);
			break;
		case 'o':
			settings.only = optarg;
			break;
		case 'q':
			settings.verbose = false;
			break;
		default:
			return usage(argv[0]);
		}
	}
	if (optind != argc)
		return usage(argv[0]);
	log_set_level(LOG_ERROR); /* what keepers have to say would be stepped through */
	mallopt(M_MMAP_THRESHOLD,
	        65536); /* and never more: else large blocks come from the heap and are cleared bytewise */
	signal(SIGALRM, on_alarm);
	return run_all(&settings);
}
