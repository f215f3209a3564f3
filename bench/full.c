/* SPDX-License-Identifier: MIT */
/*
 * larder-bench full: everything that can be had, on several sizes of table and of value, orders of access, mixes of reads and
 * writes, and numbers of processes. Prints JSON, of which tools/bench_report.py makes a page.
 *
 * Where the systems do not fit in memory together they are measured in groups, each with larder in it; a result is to
 * be compared with larder's of its own group.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/comparison.h"
#include "bench/json.h"
#include "larder.h"

#define ROUNDS 5
#define ROUNDS_QUICK 3
#define STREAM ((size_t)1 << 20)
#define READS ((size_t)1 << 17)
#define WRITES ((size_t)1 << 16)
#define WAITING ((size_t)1 << 13) /* operations on a server */
#define SINGLES ((size_t)1 << 16)
#define TOGETHER_NS UINT64_C(250000000)
#define CASES_MAX 512
#define QUICK_KEYS 100000u

struct configuration {
	uint32_t keys;
	size_t value_bytes;
};

static const struct configuration configurations[] = {
	{ 1000000, 100 }, { 1000000, 1024 }, { 10000000, 100 }, { 10000000, 1024 }
};

/* larder first: it is in every group. */
static const char *const systems[] = { "larder", "inlined-walk", "plain-walk", "lfht", "rte_hash",        "ck_ht",
	                               "lmdb",   "memcached",    "redis",      "apcu", "larder-read-only" };

#define SYSTEMS (sizeof systems / sizeof systems[0])

/* What is done, with which share of writes; and how often. */
static const struct mix {
	const char *name;
	enum driver_operation operation;
	unsigned write_percent;
	size_t operations;
	bool together; /* by several processes, too */
	bool singly;   /* each timed by itself, too */
} mixes[] = {
	{ "get", DRIVER_GET, 0, READS, true, true },        { "touch", DRIVER_TOUCH, 0, READS, false, false },
	{ "get32", DRIVER_GET32, 0, READS, false, true },   { "95/5", DRIVER_MIXED, 5, READS, true, false },
	{ "50/50", DRIVER_MIXED, 50, WRITES, true, false }, { "set", DRIVER_SET, 0, WRITES, false, true },
	{ "set32", DRIVER_SET32, 0, WRITES, false, false },
};

static const struct {
	const char *name;
	enum stream_order order;
} orders[] = { { "uniform", STREAM_UNIFORM }, { "zipf", STREAM_ZIPF } };

static const unsigned processes[] = { 1, 2, 8 };

#define MIXES (sizeof mixes / sizeof mixes[0])
#define ORDERS (sizeof orders / sizeof orders[0])
#define PROCESSES (sizeof processes / sizeof processes[0])

/* What a case is of. */
struct place {
	size_t order, mix, processes;
	bool single;
};

struct full {
	const struct bench_options *options;
	unsigned rounds, group;
	struct machine_cpus cpus;
	struct json json;
	struct comparison comparison;
	struct stream streams[ORDERS];
	size_t count;
	struct comparison_case cases[CASES_MAX];
	struct place places[CASES_MAX];
	struct histogram *histograms; /* CASES_MAX of them, for those that need one */
};

static void plan_one(struct full *full, const struct comparison_entrant *entrant, struct place place)
{
	const struct mix *mix = &mixes[place.mix];
	const struct driver *driver = entrant->crew.driver;
	const size_t operations = driver->waits ? WAITING : place.single ? SINGLES : mix->operations;
	const bool timed = place.processes > 0;
	struct histogram *histogram = place.single ? &full->histograms[full->count] : NULL;

	if (!driver_can(driver, mix->operation) || full->count == CASES_MAX)
		return;
	if (histogram)
		memset(histogram, 0, sizeof *histogram);
	full->places[full->count] = place;
	full->cases[full->count++] = (struct comparison_case){
		.label = entrant->label,
		.histogram = histogram,
		.order = {
			.operation = mix->operation,
			.write_percent = mix->write_percent,
			.workers = processes[place.processes],
			.stream = &full->streams[place.order],
			.warm = operations / 4,
			.operations = timed ? 0 : operations,
			.duration_ns = TOGETHER_NS,
			.single = place.single,
		},
	};
}

static void plan(struct full *full)
{
	full->count = 0;
	for (size_t i = 0; i < full->comparison.count; i++) {
		const struct comparison_entrant *entrant = &full->comparison.entrant[i];

		for (struct place place = { 0 }; entrant->running && place.order < ORDERS; place.order++)
			for (place.mix = 0; place.mix < MIXES; place.mix++) {
				const size_t most = mixes[place.mix].together && entrant->crew.driver->shared
				                            ? PROCESSES
				                            : 1;

				place.single = false;
				for (place.processes = 0; place.processes < most; place.processes++)
					plan_one(full, entrant, place);
				place.processes = 0;
				place.single = true;
				if (mixes[place.mix].singly && orders[place.order].order == STREAM_UNIFORM)
					plan_one(full, entrant, place);
			}
	}
}

/* ---- output ------------------------------------------------------------------------------------------------------ */

static void print_histogram(struct json *json, const struct histogram *histogram)
{
	json_count(json, "p50", histogram_quantile(histogram, 0.5));
	json_count(json, "p90", histogram_quantile(histogram, 0.9));
	json_count(json, "p99", histogram_quantile(histogram, 0.99));
	json_count(json, "p999", histogram_quantile(histogram, 0.999));
	json_count(json, "max", histogram->largest);
	json_array(json, "histogram");
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		if (histogram->counts[i] > 0) {
			json_array(json, NULL);
			json_count(json, NULL, histogram_value(i));
			json_count(json, NULL, histogram->counts[i]);
			json_end(json);
		}
	json_end(json);
}

static void print_results(struct full *full, const struct configuration *configuration)
{
	struct json *json = &full->json;

	for (size_t i = 0; i < full->count; i++) {
		const struct comparison_case *one = &full->cases[i];
		const struct place *place = &full->places[i];

		if (!(one->time.median > 0))
			continue;
		json_object(json, NULL);
		json_text(json, "system", one->label);
		json_count(json, "group", full->group);
		json_count(json, "keys", configuration->keys);
		json_count(json, "value_bytes", configuration->value_bytes);
		json_text(json, "order", orders[place->order].name);
		json_text(json, "mix", mixes[place->mix].name);
		json_count(json, "processes", processes[place->processes]);
		json_number(json, "ns", one->time.median);
		json_number(json, "spread", one->time.spread);
		json_number(json, "wall_ns", one->time.wall);
		json_text(json, "clock", one->processor ? "processor" : "elapsed");
		json_number(json, "rate", one->rate);
		json_count(json, "missed", one->missed);
		if (one->histogram)
			print_histogram(json, one->histogram);
		json_end(json);
	}
}

static void print_machine(struct full *full)
{
	struct json *json = &full->json;
	char cpu_model[96];

	machine_cpu_model(cpu_model, sizeof cpu_model);
	json_text(json, "benchmark", "full");
	json_text(json, "cpu_model", cpu_model);
	json_count(json, "cpus", (uint64_t)CPU_COUNT(&full->cpus.others) + !full->cpus.shared);
	json_text(json, "larder_version", larder_version());
	json_count(json, "rounds", full->rounds);
	json_array(json, "systems");
	for (size_t i = 0; i < SYSTEMS; i++) {
		char why[DRIVER_WHY_BYTES] = "";
		const struct driver *driver = driver_find(systems[i], why);

		json_object(json, NULL);
		json_text(json, "name", systems[i]);
		json_text(json, driver ? "use" : "left_out", driver ? driver->use : why);
		json_end(json);
	}
	json_end(json);
}

/* ---- groups ------------------------------------------------------------------------------------------------------ */

static void enter(struct full *full, const char *system, const struct configuration *configuration)
{
	full->comparison.entrant[full->comparison.count++] = (struct comparison_entrant){
		.label = system,
		.driver = system,
		.setup = {
			.keys = configuration->keys,
			.value_bytes = configuration->value_bytes,
			.pages = full->options->pages,
			.workers = processes[PROCESSES - 1],
			.cpus = full->cpus,
		},
	};
}

static int run_group(struct full *full, const struct configuration *configuration)
{
	int result = comparison_open(&full->comparison);

	if (result == 0) {
		plan(full);
		result = comparison_run(&full->comparison, full->cases, full->count, full->rounds);
	}
	if (result == 0)
		print_results(full, configuration);
	comparison_close(&full->comparison);
	full->group++;
	return result;
}

/* Some systems take more than this for an entry, and others less. */
static uint64_t system_bytes(const struct configuration *configuration)
{
	return configuration->keys * (2 * (uint64_t)configuration->value_bytes + 200);
}

static int run_configuration(struct full *full, const struct configuration *configuration)
{
	const uint64_t each = system_bytes(configuration), available = machine_memory_available();
	const size_t fitting = available / each > SYSTEMS ? SYSTEMS : (size_t)(available / each);
	int result = 0;

	if (fitting < 2) {
		complain(0, "without %u keys and values of %zu bytes: too little memory", configuration->keys,
		         configuration->value_bytes);
		return 0;
	}
	for (size_t i = 0; result == 0 && i < ORDERS; i++)
		result = stream_create(orders[i].order, 0, configuration->keys, STREAM, NULL, &full->streams[i]);
	for (size_t next = 1; result == 0 && next < SYSTEMS;) {
		enter(full, systems[0], configuration);
		while (next < SYSTEMS && full->comparison.count < fitting)
			enter(full, systems[next++], configuration);
		result = run_group(full, configuration);
	}
	for (size_t i = 0; i < ORDERS; i++)
		stream_destroy(&full->streams[i]);
	return result;
}

int bench_full(const struct bench_options *options)
{
	static struct full full;
	int result = machine_choose(&full.cpus);

	full.options = options;
	full.rounds = options->rounds > 0 ? options->rounds : options->quick ? ROUNDS_QUICK : ROUNDS;
	full.histograms = malloc(CASES_MAX * sizeof *full.histograms);
	if (result != 0 || !full.histograms)
		return complain(-ENOMEM, "cannot begin");
	json_object(&full.json, NULL);
	print_machine(&full);
	json_array(&full.json, "results");
	for (size_t i = 0; result == 0 && i < sizeof configurations / sizeof configurations[0]; i++) {
		struct configuration configuration = configurations[i];

		if (options->quick || options->keys > 0) {
			if (i > 0)
				break;
			configuration.keys = options->keys > 0 ? (uint32_t)options->keys : QUICK_KEYS;
		}
		result = run_configuration(&full, &configuration);
	}
	json_end(&full.json);
	json_end(&full.json);
	free(full.histograms);
	return result;
}
