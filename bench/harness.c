/* SPDX-License-Identifier: MIT */
#include "bench/harness.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "bench/bench.h"
#include "larder.h"

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

void harness_catch_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal }; /* no SA_RESTART: waits shall end too */

	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		sigaction(numbers[i], &action, NULL);
}

int harness_interrupted(void)
{
	return interrupted ? complain(-EINTR, "interrupted") : 0;
}

/* ---- one round of one case --------------------------------------------------------------------------------------- */

struct sample {
	double processor, wall; /* ns for one operation */
};

static int run_once(const struct bench_case *bench, struct sample *ret_sample)
{
	uint64_t warm_sum = 0, sum = 0, processor, wall;
	int result = 0;

	if (bench->prepare)
		result = bench->prepare(bench->context);
	if (result == 0 && bench->warm > 0)
		result = bench->run(bench->context, 0, bench->warm, &warm_sum);
	if (result != 0)
		goto unexpected;

	wall = monotonic_ns();
	processor = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	result = bench->run(bench->context, bench->warm, bench->operations, &sum);
	processor = clock_ns(CLOCK_THREAD_CPUTIME_ID) - processor;
	wall = monotonic_ns() - wall;
	if (result != 0)
		goto unexpected;
	if (warm_sum + sum != bench->expected)
		return complain(-EIO, "%s: wrong data: the sum over all results is %" PRIu64 ", not %" PRIu64,
		                bench->name, warm_sum + sum, bench->expected);

	ret_sample->processor = (double)processor / (double)bench->operations;
	ret_sample->wall = (double)wall / (double)bench->operations;
	return 0;

unexpected:
	return complain(result < 0 ? result : -EIO, "%s: unexpected result: %s", bench->name, larder_strerror(result));
}

/* ---- reduction --------------------------------------------------------------------------------------------------- */

static int compare_doubles(const void *left, const void *right)
{
	double l = *(const double *)left, r = *(const double *)right;

	return (l > r) - (l < r);
}

double harness_median(double *values, unsigned count)
{
	qsort(values, count, sizeof *values, compare_doubles);
	return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

struct measurement harness_reduce(double *processor, double *wall, unsigned rounds)
{
	struct measurement measurement = { .median = harness_median(processor, rounds) };

	measurement.wall = harness_median(wall, rounds);
	measurement.spread = (processor[rounds - 1] - processor[0]) / measurement.median;
	return measurement;
}

int harness_run(const struct bench_case *cases, size_t count, unsigned rounds, struct measurement *ret_measurements)
{
	static double processor[HARNESS_CASES_MAX][HARNESS_ROUNDS_MAX], wall[HARNESS_CASES_MAX][HARNESS_ROUNDS_MAX];

	if (count > HARNESS_CASES_MAX || rounds == 0 || rounds > HARNESS_ROUNDS_MAX)
		return complain(-EINVAL, "too many cases, or not 1 to %d rounds", HARNESS_ROUNDS_MAX);

	for (unsigned round = 0; round < rounds; round++) {
		for (size_t i = 0; i < count; i++) {
			struct sample sample = { 0 };
			int result = harness_interrupted();

			if (result == 0)
				result = run_once(&cases[i], &sample);
			if (result != 0)
				return result;
			processor[i][round] = sample.processor;
			wall[i][round] = sample.wall;
		}
	}
	for (size_t i = 0; i < count; i++)
		ret_measurements[i] = harness_reduce(processor[i], wall[i], rounds);
	return 0;
}
