/* SPDX-License-Identifier: MIT */
/*
 * larder-bench scaling: how larder's costs move with the number of keys, of processes and of arenas, with the size of values
 * and with the share of writes; one at a time, all else as in larder-bench quick. Keys are uniform.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "bench/bench.h"
#include "bench/comparison.h"
#include "bench/json.h"
#include "larder.h"

#define KEYS 1000000u
#define STREAM ((size_t)1 << 20)
#define ROUNDS 5
#define ROUNDS_QUICK 3
#define OPERATIONS ((size_t)1 << 17)
#define WARM ((size_t)1 << 14)
#define TOGETHER_NS UINT64_C(250000000)
#define ROOM_FOR_MANY_PERCENT 600 /* 64 writers together leave much behind before the keeper gets its turn */
#define POINTS_MAX 8
#define LINES_MAX 4
#define VALUES_BYTES (UINT64_C(256) << 20) /* of all values, where their size varies */
#define ENTRY_BYTES 600      /* that larder and the floor take together for an entry of 120 bytes, room included */
#define CLOSE_KEYS 20000000u /* from so many on there is less room, so that a machine of 24 GiB can have them, */
#define CLOSE_PERCENT 125
#define CLOSE_ENTRY_BYTES 450 /* for which this will do */

struct line {
	const char *label;
	double points[POINTS_MAX][2];
	double spreads[POINTS_MAX];
	size_t count;
};

struct series {
	const char *name, *across, *up;
	struct line lines[LINES_MAX];
	size_t count;
};

struct scaling {
	unsigned rounds;
	const struct bench_options *options;
	struct machine_cpus cpus;
	struct comparison comparison;
	struct stream stream;
	struct comparison_case cases[LINES_MAX * POINTS_MAX];
	size_t count;
};

static void enter(struct scaling *scaling, const char *label, const struct driver_setup *setup)
{
	struct comparison_entrant *entrant = &scaling->comparison.entrant[scaling->comparison.count++];

	*entrant = (struct comparison_entrant){ .label = label, .driver = label, .setup = *setup };
	entrant->setup.pages = scaling->options->pages;
	entrant->setup.cpus = scaling->cpus;
}

/* workers 0: one, and its operations are counted; else all at once for a while. */
static void plan(struct scaling *scaling, const char *label, enum driver_operation operation, unsigned workers,
                 unsigned write_percent)
{
	scaling->cases[scaling->count++] = (struct comparison_case){
		.label = label,
		.order = {
			.operation = operation,
			.write_percent = write_percent,
			.workers = workers > 0 ? workers : 1,
			.stream = &scaling->stream,
			.warm = workers > 0 ? WARM : OPERATIONS / 4,
			.operations = workers > 0 ? 0 : OPERATIONS,
			.duration_ns = TOGETHER_NS,
		},
	};
}

/* Opens what was entered, runs what was planned. */
static int run(struct scaling *scaling, uint32_t keys)
{
	int result = stream_create(STREAM_UNIFORM, 0, keys, STREAM, NULL, &scaling->stream);

	if (result == 0)
		result = comparison_open(&scaling->comparison);
	if (result == 0)
		result = comparison_run(&scaling->comparison, scaling->cases, scaling->count, scaling->rounds);
	comparison_close(&scaling->comparison);
	stream_destroy(&scaling->stream);
	scaling->count = 0;
	return result;
}

static void add_point(struct line *line, double across, double up, double spread)
{
	line->spreads[line->count] = spread;
	line->points[line->count][0] = across;
	line->points[line->count++][1] = up;
}

/* A read of what had been evicted costs less than one that finds something, so it must not be among them. */
static bool is_whole(const struct series *series, size_t line, double across, const struct comparison_case *one)
{
	if (one->missed > 0)
		complain(0, "without %s at %.0f %s: %llu reads missed", series->lines[line].label, across,
		         series->across, (unsigned long long)one->missed);
	return one->time.median > 0 && one->missed == 0;
}

static void add_time(struct series *series, size_t line, double across, const struct comparison_case *one)
{
	if (is_whole(series, line, across, one))
		add_point(&series->lines[line], across, one->time.median, one->time.spread);
}

static void add_rate(struct series *series, size_t line, double across, const struct comparison_case *one)
{
	if (is_whole(series, line, across, one))
		add_point(&series->lines[line], across, one->rate / 1e6, NAN);
}

/* ---- what varies ------------------------------------------------------------------------------------------------- */

static int vary_keys(struct scaling *scaling, struct series *series)
{
	static const uint32_t counts[] = { 1000, 10000, 100000, 1000000, 10000000, 40000000 };
	int result = 0;

	*series = (struct series){ .name = "keys",
		                   .across = "entries",
		                   .up = "ns",
		                   .lines = { { .label = "get" },
		                              { .label = "set" },
		                              { .label = "mget of 32" },
		                              { .label = "floor of a get" } },
		                   .count = 4 };
	for (size_t i = 0; result == 0 && i < sizeof counts / sizeof counts[0]; i++) {
		const bool close = counts[i] >= CLOSE_KEYS;
		const struct driver_setup setup = { .keys = counts[i],
			                            .value_bytes = VALUE_BYTES,
			                            .workers = 1,
			                            .room_percent = close ? CLOSE_PERCENT : 0 };

		if (machine_memory_available() < (uint64_t)counts[i] * (close ? CLOSE_ENTRY_BYTES : ENTRY_BYTES)) {
			complain(0, "without %u keys: too little memory", counts[i]);
			break;
		}
		enter(scaling, "larder", &setup);
		enter(scaling, "plain-walk", &setup);
		plan(scaling, "larder", DRIVER_GET, 0, 0);
		plan(scaling, "larder", DRIVER_SET, 0, 0);
		plan(scaling, "larder", DRIVER_GET32, 0, 0);
		plan(scaling, "plain-walk", DRIVER_GET, 0, 0);
		result = run(scaling, counts[i]);
		for (size_t line = 0; result == 0 && line < series->count; line++)
			add_time(series, line, counts[i], &scaling->cases[line]);
	}
	return result;
}

static int vary_processes(struct scaling *scaling, struct series *series)
{
	static const unsigned counts[] = { 1, 2, 4, 8, 16, 32, 64 };
	static const unsigned percents[] = { 0, 5, 50 };
	const struct driver_setup setup = {
		.keys = KEYS, .value_bytes = VALUE_BYTES, .workers = 64, .room_percent = ROOM_FOR_MANY_PERCENT
	};
	const size_t lines = sizeof percents / sizeof percents[0];
	int result;

	*series = (struct series){
		.name = "processes",
		.across = "processes",
		.up = "million operations/s",
		.lines = { { .label = "gets" }, { .label = "95 gets, 5 sets" }, { .label = "50 gets, 50 sets" } },
		.count = lines
	};
	enter(scaling, "larder", &setup);
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
		for (size_t line = 0; line < lines; line++)
			plan(scaling, "larder", DRIVER_MIXED, counts[i], percents[line]);
	result = run(scaling, KEYS);
	for (size_t i = 0; result == 0 && i < sizeof counts / sizeof counts[0]; i++)
		for (size_t line = 0; line < lines; line++)
			add_rate(series, line, counts[i], &scaling->cases[i * lines + line]);
	return result;
}

static int vary_value_size(struct scaling *scaling, struct series *series)
{
	static const size_t sizes[] = { 16, 100, 1024, 16384, 262144, 1048576 };
	int result = 0;

	*series = (struct series){ .name = "value size",
		                   .across = "bytes",
		                   .up = "ns",
		                   .lines = { { .label = "view" }, { .label = "get" }, { .label = "set" } },
		                   .count = 3 };
	for (size_t i = 0; result == 0 && i < sizeof sizes / sizeof sizes[0]; i++) {
		const uint64_t fitting = VALUES_BYTES / sizes[i];
		const struct driver_setup setup = {
			.keys = fitting < KEYS ? (uint32_t)fitting : KEYS,
			.value_bytes = sizes[i],
			.workers = 1,
		};

		enter(scaling, "larder", &setup);
		plan(scaling, "larder", DRIVER_TOUCH, 0, 0);
		plan(scaling, "larder", DRIVER_GET, 0, 0);
		plan(scaling, "larder", DRIVER_SET, 0, 0);
		for (size_t line = 1; line < 3 && sizes[i] > 4096; line++) {
			scaling->cases[line].order.operations = 4096;
			scaling->cases[line].order.warm = 1024;
		}
		result = run(scaling, setup.keys);
		for (size_t line = 0; result == 0 && line < series->count; line++)
			add_time(series, line, (double)sizes[i], &scaling->cases[line]);
	}
	return result;
}

static int vary_write_share(struct scaling *scaling, struct series *series)
{
	static const unsigned percents[] = { 0, 1, 5, 20, 50, 100 };
	const struct driver_setup setup = { .keys = KEYS, .value_bytes = VALUE_BYTES, .workers = 2 };
	int result;

	*series = (struct series){ .name = "write share",
		                   .across = "percent of sets",
		                   .up = "million operations/s",
		                   .lines = { { .label = "one process" }, { .label = "two processes" } },
		                   .count = 2 };
	enter(scaling, "larder", &setup);
	for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++)
		for (unsigned workers = 1; workers <= 2; workers++)
			plan(scaling, "larder", DRIVER_MIXED, workers, percents[i]);
	result = run(scaling, KEYS);
	for (size_t i = 0; result == 0 && i < sizeof percents / sizeof percents[0]; i++)
		for (size_t line = 0; line < 2; line++)
			add_rate(series, line, percents[i], &scaling->cases[i * 2 + line]);
	return result;
}

static int vary_arenas(struct scaling *scaling, struct series *series)
{
	static const unsigned counts[] = { 1, 2, 4, 8 };
	int result = 0;

	*series = (struct series){ .name = "arenas",
		                   .across = "arenas",
		                   .up = "ns",
		                   .lines = { { .label = "get" }, { .label = "set" } },
		                   .count = 2 };
	for (size_t i = 0; result == 0 && i < sizeof counts / sizeof counts[0]; i++) {
		const struct driver_setup setup = {
			.keys = KEYS, .value_bytes = VALUE_BYTES, .workers = 1, .arenas = counts[i]
		};

		enter(scaling, "larder-arenas", &setup);
		plan(scaling, "larder-arenas", DRIVER_GET, 0, 0);
		plan(scaling, "larder-arenas", DRIVER_SET, 0, 0);
		result = run(scaling, KEYS);
		for (size_t line = 0; result == 0 && line < series->count; line++)
			add_time(series, line, counts[i], &scaling->cases[line]);
	}
	return result;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static void print_json(const struct series *series, size_t count, unsigned rounds)
{
	char cpu_model[96];
	struct json json = { 0 };

	machine_cpu_model(cpu_model, sizeof cpu_model);
	json_object(&json, NULL);
	json_text(&json, "benchmark", "scaling");
	json_text(&json, "cpu_model", cpu_model);
	json_text(&json, "larder_version", larder_version());
	json_count(&json, "rounds", rounds);
	json_array(&json, "series");
	for (size_t i = 0; i < count; i++) {
		json_object(&json, NULL);
		json_text(&json, "name", series[i].name);
		json_text(&json, "across", series[i].across);
		json_text(&json, "up", series[i].up);
		json_array(&json, "lines");
		for (size_t l = 0; l < series[i].count; l++) {
			const struct line *line = &series[i].lines[l];

			json_object(&json, NULL);
			json_text(&json, "label", line->label);
			json_array(&json, "points");
			for (size_t p = 0; p < line->count; p++) {
				json_array(&json, NULL);
				json_number(&json, NULL, line->points[p][0]);
				json_number(&json, NULL, line->points[p][1]);
				json_number(&json, NULL, line->spreads[p]);
				json_end(&json);
			}
			json_end(&json);
			json_end(&json);
		}
		json_end(&json);
		json_end(&json);
	}
	json_end(&json);
	json_end(&json);
}

static void print_table(const struct series *series)
{
	printf("\n%s (%s)\n", series->name, series->up);
	for (size_t l = 0; l < series->count; l++) {
		const struct line *line = &series->lines[l];

		printf("%18s", line->label);
		for (size_t p = 0; p < line->count; p++)
			printf("  %.0f: %.4g", line->points[p][0], line->points[p][1]);
		putchar('\n');
	}
}

int bench_scaling(const struct bench_options *options)
{
	static int (*const vary[])(struct scaling *, struct series *) = { vary_keys, vary_processes, vary_value_size,
		                                                          vary_write_share, vary_arenas };
	static struct series series[sizeof vary / sizeof vary[0]];
	static struct scaling scaling;
	const size_t count = sizeof vary / sizeof vary[0];
	int result = machine_choose(&scaling.cpus);

	scaling.options = options;
	scaling.rounds = options->rounds > 0 ? options->rounds : options->quick ? ROUNDS_QUICK : ROUNDS;
	if (result != 0)
		return complain(result, "cannot choose a processor: %s", larder_strerror(result));
	for (size_t i = 0; result == 0 && i < count; i++)
		result = vary[i](&scaling, &series[i]);
	if (result != 0)
		return result;
	if (options->json)
		print_json(series, count, scaling.rounds);
	for (size_t i = 0; i < count && !options->json; i++)
		print_table(&series[i]);
	return 0;
}
