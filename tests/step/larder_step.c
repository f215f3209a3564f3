/* SPDX-License-Identifier: MIT */
/*
 * larder-step: a kill after every instruction. A process is stepped through one operation, and after each of its instructions
 * the shared memory, as it is at that instant, is recovered from on a copy. The last line is "N passed, N failed", a
 * case being a scenario; the status is 1 when anything was wrong.
 */
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <sched.h>
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

static void count_fault(struct run *run, const char *what)
{
	if (run->counts.faults++ < FAULTS_SHOWN)
		printf("%s: %s\n", run->scenario->name, what);
}

/*
 * Somebody begins something and is killed in the middle of it: as the scenario says, or when he has left so many states behind him.
 * Return: how many he has.
 */
static uint64_t doom(struct run *run, uint64_t states)
{
	struct scenario doomed = *run->scenario;
	struct actor actor = { .scene = run->scene, .scenario = &doomed };
	uint64_t steps = 0, seen = 0;
	bool going = true;

	doomed.role = ROLE_DEAD;
	doomed.prelude = NULL;
	trace_start(&run->trace, scenario_attach, scenario_doomed, &actor);
	stage_keep(&run->scene->stage);
	while (going && (doomed.until ? !doomed.until(run->scene) : seen < states)) {
		going = trace_step(&run->trace);
		if (!doomed.until)
			seen += stage_changed(&run->scene->stage);
		if (steps++ == DOOMED_STEPS_MAX || run->trace.signal)
			break;
	}
	if (doomed.until ? !doomed.until(run->scene) : steps > DOOMED_STEPS_MAX || run->trace.signal)
		count_fault(run, "who was to be killed first did not come as far as he should");
	trace_kill(&run->trace);
	run->scene->dead = true;
	return seen;
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

/* What the operation is to make of the subjects. Return: its result. */
static int foresee(struct run *run)
{
	const struct scenario *scenario = run->scenario;
	struct write_request request = scenario_request(scenario, run->scene);

	if (scenario->doomed && !scenario->until)
		return scenario->act ? scenario->result : reading_foresee(&request, &run->trial.allowed[0][RANK_AFTER]);
	for (uint32_t i = 0; i < run->scene->subject_count; i++)
		reading_of(&scenario->after[i], &run->trial.allowed[i][RANK_AFTER]);
	return scenario->result;
}

/* From the beginning to the end, after a death in the state of that number. Return: in which, if there are not so many. */
static uint64_t run_once(const struct scenario *scenario, uint64_t seed, uint64_t points_max, uint64_t doomed_states,
                         struct counts *ret_counts)
{
	static struct scene scene;
	static struct run run;
	struct actor actor = { .scene = &scene, .scenario = scenario };
	uint64_t states = 0;
	int result;

	memset(&run, 0, sizeof run);
	run.scenario = scenario;
	run.scene = &scene;
	trace_open(&run.trace);
	scene_open(&scene, seed, scenario->subjects ? scenario->subjects : 1, scenario->usual_keys);
	if (scenario->prepare)
		scenario->prepare(&scene, scenario);
	else
		scenario_prepare(&scene, scenario);
	if (scenario->doomed)
		states = doom(&run, doomed_states);
	trace_start(&run.trace, scenario_attach, scenario_act, &actor);
	stage_keep(&scene.stage);
	trial_open(&run.trial, &scene, scenario->role == ROLE_KEEPER);
	result = foresee(&run);
	recover(&run);
	step_through(&run, points_max);
	if (trace_result(&run.trace) != result)
		count_fault(&run, "the operation has not the result that it must have");
	if (!trial_complete(&run.trial))
		complain(&run, run.trial.fault);
	trace_kill(&run.trace);
	trace_close(&run.trace);
	trial_close(&run.trial);
	scene_close(&scene);
	ret_counts->points += run.counts.points;
	ret_counts->states += run.counts.states;
	ret_counts->faults += run.counts.faults;
	return states;
}

/* An odd step that comes to every number below a power of two, and spreads the first ones well. */
#define STRIDE(size) ((size) / 8 * 5 | 1)

static struct counts run_scenario(const struct scenario *scenario, uint64_t seed, uint64_t points_max)
{
	struct counts counts = { 0 };
	uint64_t states, size = 8, limit = scenario->deaths ? scenario->deaths : UINT64_MAX;

	running = scenario->name;
	states = run_once(scenario, seed, points_max, UINT64_MAX, &counts);
	if (!scenario->doomed || scenario->until)
		return counts;
	while (size < states)
		size *= 2;
	for (uint64_t i = 0; i < size && limit > 0 && counts.points < points_max; i++) {
		uint64_t state = i * STRIDE(size) % size;

		if (state >= states)
			continue;
		run_once(scenario, seed, points_max - counts.points, state, &counts);
		limit--;
	}
	return counts;
}

/* ---- all of them ------------------------------------------------------------------------------------------------------- */

static const struct scenario *const lists[] = { client_scenarios, keeper_scenarios, succession_scenarios };
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

/*
 * Tracer and traced go on by turns. On one processor a step takes a switch from one to the other; on two that are idle otherwise it takes
 * a wake-up, which is several times as long, in a virtual machine above all.
 */
static void stay_on_one_processor(void)
{
	int processor = sched_getcpu();
	cpu_set_t here;

	if (processor < 0)
		return;
	CPU_ZERO(&here);
	CPU_SET(processor, &here);
	sched_setaffinity(0, sizeof here, &here); /* refused, it only takes longer */
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
	stay_on_one_processor();
	log_set_level(LOG_ERROR); /* what keepers have to say would be stepped through */
	mallopt(M_MMAP_THRESHOLD,
	        65536); /* and never more: else large blocks come from the heap and are cleared bytewise */
	signal(SIGALRM, on_alarm);
	return run_all(&settings);
}
