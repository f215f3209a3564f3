/* SPDX-License-Identifier: MIT */
/*
 * larder-bench core: what one process's operations cost, beside what they must cost at least. bench/README.md says what
 * each number means. Three arenas, one after the other, so that no experiment finds another's leavings:
 *   - a million entries that do not expire: memory, reads beside the floor, then writes;
 *   - the same million with a life of an hour: memory and get;
 *   - values of 100 bytes and of 1 MiB: views.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/attachment.h"
#include "bench/bench.h"
#include "bench/driver_floor.h"
#include "bench/driver_larder.h"
#include "bench/harness.h"
#include "bench/machine.h"
#include "bench/report.h"
#include "bench/workload.h"
#include "larder.h"

#define ARENA "512M"
#define ARENA_BYTES (UINT64_C(512) << 20)
#define SPARE_BYTES (UINT64_C(16) << 20) /* huge pages beyond arena and floor */

#define KEYS 1000000u
#define BLOCK 50000u /* entries stored from one stream */
#define TTL_MS UINT64_C(3600000)
#define COUNTS_MAX 20 /* larder_stat is asked so often for a count that is exact */

#define ROUNDS 11
#define ROUNDS_QUICK 3
#define READS ((size_t)1 << 19)  /* operations of a round */
#define WRITES ((size_t)1 << 14) /* the arena has room for what HARNESS_ROUNDS_MAX rounds of them leave behind */
#define WARM(operations) ((operations) / 4) /* more before the clock starts; a multiple of MGET_KEYS, as those are */
#define WITH_WARM(operations) ((operations) + WARM(operations))

#define VIEW_KEYS 64u
#define VIEW_LARGE_BYTES ((size_t)1 << 20)
#define COUNTERS (1u << 16)

/* Where the ids of each kind of entry begin; kinds that share an arena do not meet. */
#define FIRST_NEW KEYS
#define FIRST_VIEW_LARGE VIEW_KEYS
#define FIRST_COUNTER (1u << 30)
#define FIRST_ABSENT (1u << 31)

/* ---- what is measured -------------------------------------------------------------------------------------------- */

enum core_time {
	TIME_GET,
	TIME_FLOOR,
	TIME_MINIMAL,
	TIME_FLOOR_OTHER,
	TIME_GET_CHAINED,
	TIME_FLOOR_CHAINED,
	TIME_MINIMAL_CHAINED,
	TIME_VIEW,
	TIME_FLOOR_TOUCH,
	TIME_MINIMAL_TOUCH,
	TIME_MGET,
	TIME_FLOOR_MGET,
	TIME_MISS,
	TIME_SET,
	TIME_SET_NEW,
	TIME_INCR,
	TIME_GET_TTL,
	TIME_VIEW_SMALL,
	TIME_VIEW_LARGE,
	TIMES
};

static const struct {
	const char *name, *meaning;
} time_names[TIMES] = {
	[TIME_GET] = { "get_ns", "get that copies the value out, independent keys" },
	[TIME_FLOOR] = { "floor_ns",
	                 "the plain walk: XXH3, two dependent loads, compare, copy, as a library function" },
	[TIME_MINIMAL] = { "minimal_floor_ns", "the same loads in a loop of constant sizes that is told the slot" },
	[TIME_FLOOR_OTHER] = { "floor_other_ns", "the plain walk on the other page size" },
	[TIME_GET_CHAINED] = { "get_chained_ns", "get, each key out of the value before: latency" },
	[TIME_FLOOR_CHAINED] = { "floor_chained_ns", "the plain walk, chained" },
	[TIME_MINIMAL_CHAINED] = { "minimal_floor_chained_ns", "the minimal floor, chained" },
	[TIME_VIEW] = { "view_ns", "view, read a word, release; independent keys" },
	[TIME_FLOOR_TOUCH] = { "floor_touch_ns", "the plain walk that reads a word instead of copying" },
	[TIME_MINIMAL_TOUCH] = { "minimal_floor_touch_ns", "the minimal floor that reads a word instead of copying" },
	[TIME_MGET] = { "mget32_ns_per_key", "mget of 32 keys, for one key" },
	[TIME_FLOOR_MGET] = { "floor_mget32_ns_per_key", "the plain walk of 32 keys, prefetching, for one key" },
	[TIME_MISS] = { "miss_ns", "get of a key that is not there" },
	[TIME_SET] = { "set_ns", "set of a key that is there" },
	[TIME_SET_NEW] = { "set_new_ns", "set of a key that is not there" },
	[TIME_INCR] = { "incr_ns", "incr, uniform over 65536 counters" },
	[TIME_GET_TTL] = { "get_ttl_ns", "get of entries that expire, an hour later" },
	[TIME_VIEW_SMALL] = { "view_100b_ns", "view, read a word, release; 64 values of 100 bytes" },
	[TIME_VIEW_LARGE] = { "view_1m_ns", "the same; 64 values of 1 MiB" },
};

struct core {
	const struct bench_options *options;
	unsigned rounds;
	struct machine_cpus cpus;
	struct workload workload;
	struct stream reads; /* uniform over the keys */
	struct measurement times[TIMES];
	struct larder_stat stat, stat_ttl; /* when all is stored */
	uint64_t page_bytes;               /* under the arena, as the kernel has it */
	uint64_t evicted_segments;         /* when all is measured */
};

/* Cases that take turns. */
struct plan {
	size_t count;
	struct bench_case cases[HARNESS_CASES_MAX];
	enum core_time times[HARNESS_CASES_MAX];
};

typedef int run_function(void *context, size_t first, size_t count, uint64_t *ret_sum);

static struct bench_case *plan_add(struct plan *plan, enum core_time time, run_function *run, void *context,
                                   size_t operations, uint64_t expected)
{
	struct bench_case *added = &plan->cases[plan->count];

	*added = (struct bench_case){
		.name = time_names[time].name,
		.context = context,
		.warm = WARM(operations),
		.operations = operations,
		.expected = expected,
		.run = run,
	};
	plan->times[plan->count++] = time;
	return added;
}

static int plan_run(const struct plan *plan, struct core *core)
{
	struct measurement measurements[HARNESS_CASES_MAX];
	int result = harness_run(plan->cases, plan->count, core->rounds, measurements);

	for (size_t i = 0; result == 0 && i < plan->count; i++)
		core->times[plan->times[i]] = measurements[i];
	return result;
}

/* Not finite where the lower was not measured. */
static double ratio(const struct core *core, enum core_time upper, enum core_time lower)
{
	return core->times[upper].median / core->times[lower].median;
}

/* ---- a million entries ------------------------------------------------------------------------------------------- */

/* Runs once over the ids from first to first + ids - 1, outside any measurement. ret_sum: of the sums of run. */
static int run_over(const struct workload *workload, struct driver_larder *driver, run_function *run, uint32_t first,
                    uint32_t ids, uint64_t *ret_sum)
{
	*ret_sum = 0;
	for (uint32_t done = 0; done < ids; done += BLOCK) {
		uint32_t block = ids - done < BLOCK ? ids - done : BLOCK;
		struct stream stream = { 0 };
		uint64_t sum = 0;
		int result = harness_interrupted();

		if (result == 0)
			result = stream_create(STREAM_ASCENDING, first + done, block, block, workload, &stream);
		driver->stream = &stream;
		if (result == 0)
			result = run(driver, 0, block, &sum);
		stream_destroy(&stream);
		if (result != 0)
			return result;
		*ret_sum += sum;
	}
	return 0;
}

static int count_entries(larder *cache, struct larder_stat *ret_stat)
{
	int result;

	*ret_stat = (struct larder_stat){ .size = sizeof *ret_stat };
	result = larder_stat(cache, ret_stat);
	return result == 0 ? 0 : complain(result, "larder_stat: %s", larder_strerror(result));
}

static int store_all(const struct workload *workload, larder *cache, uint64_t ttl_ms, struct larder_stat *ret_stat)
{
	struct driver_larder driver = { .cache = cache, .ttl_ms = ttl_ms };
	uint64_t stored;
	int result = run_over(workload, &driver, driver_larder_set, 0, KEYS, &stored);

	if (result != 0)
		return complain(-EIO, "storing %u entries: %s", KEYS, larder_strerror(result));
	/* While the index is being split, some entries are counted twice. */
	for (int i = 0; i < COUNTS_MAX; i++) {
		result = count_entries(cache, ret_stat);
		if (result != 0 || ret_stat->entries <= KEYS)
			break;
	}
	if (result == 0 && ret_stat->entries != KEYS)
		result = complain(-EIO, "%u entries were stored, larder_stat counts %" PRIu64, KEYS, ret_stat->entries);
	return result;
}

static double overhead(const struct larder_stat *stat)
{
	return ((double)stat->used_bytes - (double)stat->key_bytes - (double)stat->value_bytes) / (double)stat->entries;
}

/* The page size under the arena: as the kernel has it, where a view points; else as larder says. */
static int find_page_bytes(larder *cache, const struct core *core, uint64_t *ret_page_bytes)
{
	struct larder_view view;
	int result = larder_view(cache, core->reads.keys, KEY_BYTES, &view);

	if (result != 0)
		return complain(-EIO, "larder_view: %s", larder_strerror(result));
	*ret_page_bytes = machine_page_bytes(view.data);
	larder_release(cache, &view);
	if (*ret_page_bytes == 0)
		*ret_page_bytes = core->stat.page_bytes;
	return 0;
}

/* Drivers of one memory alternate with those of the other. */
static int measure_reads(struct core *core, larder *cache)
{
	const uint64_t ordinary = (uint64_t)sysconf(_SC_PAGESIZE);
	const uint64_t other_page_bytes = core->page_bytes == HUGE_PAGE_BYTES ? ordinary : HUGE_PAGE_BYTES;
	const uint64_t sum = core->reads.sum, chain_sum = workload_chain_sum(&core->workload, WITH_WARM(READS));
	struct driver_larder uniform = { .cache = cache, .stream = &core->reads }, chained = uniform, absent = uniform;
	struct driver_floor floor, other;
	struct stream absent_keys;
	struct plan plan = { 0 };
	int result = stream_create(STREAM_UNIFORM, FIRST_ABSENT, KEYS, WITH_WARM(READS), NULL, &absent_keys);
	bool have_floor, have_other;

	if (result != 0)
		return complain(result, "the keys that are not there: %s", larder_strerror(result));
	absent.stream = &absent_keys;
	have_floor = driver_floor_create(&core->workload, &core->reads, core->page_bytes, &floor) == 0;
	have_other = driver_floor_create(&core->workload, &core->reads, other_page_bytes, &other) == 0;
	if (!have_floor)
		complain(0, "no floor: no memory on pages of %" PRIu64 " bytes; try --reserve-huge or --pages small",
		         core->page_bytes);

	plan_add(&plan, TIME_GET, driver_larder_get, &uniform, READS, sum);
	plan_add(&plan, TIME_VIEW, driver_larder_view, &uniform, READS, sum);
	plan_add(&plan, TIME_GET_CHAINED, driver_larder_get_chained, &chained, READS, chain_sum);
	plan_add(&plan, TIME_MGET, driver_larder_mget, &uniform, READS, sum);
	plan_add(&plan, TIME_MISS, driver_larder_miss, &absent, READS, WITH_WARM(READS));
	if (have_floor) {
		plan_add(&plan, TIME_FLOOR, driver_floor_get, &floor, READS, sum);
		plan_add(&plan, TIME_FLOOR_TOUCH, driver_floor_touch, &floor, READS, sum);
		plan_add(&plan, TIME_FLOOR_CHAINED, driver_floor_get_chained, &floor, READS, chain_sum);
		plan_add(&plan, TIME_FLOOR_MGET, driver_floor_mget, &floor, READS, sum);
		plan_add(&plan, TIME_MINIMAL, driver_floor_minimal_get, &floor, READS, sum);
		plan_add(&plan, TIME_MINIMAL_TOUCH, driver_floor_minimal_touch, &floor, READS, sum);
		plan_add(&plan, TIME_MINIMAL_CHAINED, driver_floor_minimal_get_chained, &floor, READS, chain_sum);
	}
	if (have_other)
		plan_add(&plan, TIME_FLOOR_OTHER, driver_floor_get, &other, READS, sum);
	result = plan_run(&plan, core);

	if (have_other)
		driver_floor_destroy(&other);
	if (have_floor)
		driver_floor_destroy(&floor);
	stream_destroy(&absent_keys);
	return result;
}

/* ---- writes ------------------------------------------------------------------------------------------------------ */

/* Takes other keys in each round. The driver comes first: the run functions take it for their context. */
struct newcomers {
	struct driver_larder driver;
	const struct workload *workload;
	struct stream stream;
	uint32_t next;
};

static int newcomers_prepare(void *context)
{
	struct newcomers *newcomers = context;
	const uint32_t count = WITH_WARM(WRITES);

	stream_destroy(&newcomers->stream);
	newcomers->driver.stream = &newcomers->stream;
	newcomers->next += count;
	return stream_create(STREAM_ASCENDING, newcomers->next - count, count, count, newcomers->workload,
	                     &newcomers->stream);
}

/* Whether all entries have their values and the counters add up. */
static int check_writes(const struct core *core, larder *cache)
{
	const uint64_t increments = (uint64_t)core->rounds * WITH_WARM(WRITES); /* creating one leaves it at 0 */
	struct driver_larder driver = { .cache = cache };
	uint64_t sum, expected = 0;
	int64_t counted = 0;
	int result = run_over(&core->workload, &driver, driver_larder_get, 0, KEYS, &sum);

	for (uint32_t id = 0; id < KEYS; id++)
		expected += workload_word(id);
	if (result != 0 || sum != expected)
		return complain(-EIO, "reading back after the writes: %s",
		                result ? larder_strerror(result) : "wrong data");

	for (uint32_t i = 0; i < COUNTERS; i++) {
		unsigned char key[KEY_BYTES];
		int64_t value;

		workload_key(FIRST_COUNTER + i, key);
		result = larder_incr(cache, key, KEY_BYTES, 0, NULL, &value);
		if (result != 0)
			return complain(-EIO, "reading a counter: %s", larder_strerror(result));
		counted += value;
	}
	if (counted != (int64_t)increments)
		return complain(-EIO, "the counters add up to %" PRId64 " after %" PRIu64 " increments", counted,
		                increments);
	return 0;
}

static int measure_writes(struct core *core, larder *cache)
{
	const size_t count = WITH_WARM(WRITES);
	struct driver_larder overwrite = { .cache = cache }, increment = overwrite, counters = overwrite;
	struct newcomers newcomers = { .driver = overwrite, .workload = &core->workload, .next = FIRST_NEW };
	struct stream present = { 0 }, counted = { 0 };
	struct plan plan = { 0 };
	uint64_t made;
	int result = stream_create(STREAM_UNIFORM, 0, KEYS, count, &core->workload, &present);

	if (result == 0)
		result = stream_create(STREAM_UNIFORM, FIRST_COUNTER, COUNTERS, count, NULL, &counted);
	if (result == 0)
		result = run_over(&core->workload, &counters, driver_larder_incr, FIRST_COUNTER, COUNTERS, &made);
	if (result != 0) {
		complain(0, "preparing the writes: %s", larder_strerror(result));
		goto done;
	}
	overwrite.stream = &present;
	increment.stream = &counted;
	plan_add(&plan, TIME_SET, driver_larder_set, &overwrite, WRITES, count);
	plan_add(&plan, TIME_SET_NEW, driver_larder_set, &newcomers, WRITES, count)->prepare = newcomers_prepare;
	plan_add(&plan, TIME_INCR, driver_larder_incr, &increment, WRITES, count);
	result = plan_run(&plan, core);
	if (result == 0)
		result = check_writes(core, cache);

done:
	stream_destroy(&newcomers.stream);
	stream_destroy(&counted);
	stream_destroy(&present);
	return result;
}

/* ---- the three arenas -------------------------------------------------------------------------------------------- */

static int measure_entries(struct core *core)
{
	struct attachment attachment;
	struct larder_stat after;
	int result = attachment_open(ARENA, core->options->pages, &core->cpus, &attachment);

	if (result != 0)
		return result;
	result = store_all(&core->workload, attachment.cache, 0, &core->stat);
	if (result == 0)
		result = find_page_bytes(attachment.cache, core, &core->page_bytes);
	if (result == 0)
		result = measure_reads(core, attachment.cache);
	if (result == 0)
		result = measure_writes(core, attachment.cache);
	if (result == 0)
		result = count_entries(attachment.cache, &after);
	if (result == 0)
		core->evicted_segments = after.evicted_segments;
	attachment_close(&attachment);
	return result;
}

static int measure_ttl(struct core *core)
{
	struct attachment attachment;
	struct driver_larder driver = { .stream = &core->reads };
	struct plan plan = { 0 };
	int result = attachment_open(ARENA, core->options->pages, &core->cpus, &attachment);

	if (result != 0)
		return result;
	driver.cache = attachment.cache;
	plan_add(&plan, TIME_GET_TTL, driver_larder_get, &driver, READS, core->reads.sum);
	result = store_all(&core->workload, attachment.cache, TTL_MS, &core->stat_ttl);
	if (result == 0)
		result = plan_run(&plan, core);
	attachment_close(&attachment);
	return result;
}

/* Values of any size that begin as workload_value's do. */
static int store_views(larder *cache, uint32_t first, size_t value_bytes)
{
	unsigned char *value = calloc(1, value_bytes);
	int result = value ? 0 : -ENOMEM;

	for (uint32_t id = first; result == 0 && id < first + VIEW_KEYS; id++) {
		unsigned char key[KEY_BYTES];
		uint64_t word = workload_word(id);

		workload_key(id, key);
		memcpy(value, &word, sizeof word);
		result = larder_set(cache, key, KEY_BYTES, value, value_bytes, NULL, NULL);
	}
	free(value);
	if (result != 0)
		complain(0, "storing values of %zu bytes: %s", value_bytes, larder_strerror(result));
	return result;
}

static int measure_views(struct core *core)
{
	struct attachment attachment;
	struct driver_larder small, large;
	struct stream small_keys = { 0 }, large_keys = { 0 };
	struct plan plan = { 0 };
	int result = attachment_open(ARENA, core->options->pages, &core->cpus, &attachment);

	if (result != 0)
		return result;
	result = store_views(attachment.cache, 0, VALUE_BYTES);
	if (result == 0)
		result = store_views(attachment.cache, FIRST_VIEW_LARGE, VIEW_LARGE_BYTES);
	if (result == 0)
		result = stream_create(STREAM_UNIFORM, 0, VIEW_KEYS, WITH_WARM(READS), NULL, &small_keys);
	if (result == 0)
		result = stream_create(STREAM_UNIFORM, FIRST_VIEW_LARGE, VIEW_KEYS, WITH_WARM(READS), NULL,
		                       &large_keys);
	if (result == 0) {
		small = (struct driver_larder){ .cache = attachment.cache, .stream = &small_keys };
		large = (struct driver_larder){ .cache = attachment.cache, .stream = &large_keys };
		plan_add(&plan, TIME_VIEW_SMALL, driver_larder_view, &small, READS, small_keys.sum);
		plan_add(&plan, TIME_VIEW_LARGE, driver_larder_view, &large, READS, large_keys.sum);
		result = plan_run(&plan, core);
	}
	stream_destroy(&large_keys);
	stream_destroy(&small_keys);
	attachment_close(&attachment);
	return result;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static void print(const struct core *core)
{
	const struct larder_stat *stat = &core->stat;
	static struct report report;
	char cpu_model[96];

	report_text(&report, "benchmark", "core", "of one process, one thread");
	report_ratio(&report, "get_vs_floor", ratio(core, TIME_GET, TIME_FLOOR), "get_ns / floor_ns");
	report_ratio(&report, "view_1m_vs_100b", ratio(core, TIME_VIEW_LARGE, TIME_VIEW_SMALL),
	             "view_1m_ns / view_100b_ns");
	report_ratio(&report, "overhead_bytes_per_entry", overhead(stat),
	             "memory beyond key and value, index included");
	report_ratio(&report, "view_vs_floor", ratio(core, TIME_VIEW, TIME_FLOOR_TOUCH), "view_ns / floor_touch_ns");
	report_ratio(&report, "mget32_vs_floor", ratio(core, TIME_MGET, TIME_FLOOR_MGET),
	             "mget32_ns_per_key / floor_mget32_ns_per_key");
	report_ratio(&report, "get_chained_vs_floor", ratio(core, TIME_GET_CHAINED, TIME_FLOOR_CHAINED),
	             "get_chained_ns / floor_chained_ns");
	report_ratio(&report, "get_vs_minimal_floor", ratio(core, TIME_GET, TIME_MINIMAL), "get_ns / minimal_floor_ns");
	report_ratio(&report, "view_vs_minimal_floor", ratio(core, TIME_VIEW, TIME_MINIMAL_TOUCH),
	             "view_ns / minimal_floor_touch_ns");
	report_ratio(&report, "get_chained_vs_minimal_floor", ratio(core, TIME_GET_CHAINED, TIME_MINIMAL_CHAINED),
	             "get_chained_ns / minimal_floor_chained_ns");
	report_ratio(&report, "overhead_bytes_with_ttl", overhead(&core->stat_ttl), "the same for entries that expire");
	for (int i = 0; i < TIMES; i++)
		report_time(&report, time_names[i].name, core->times[i].median > 0 ? &core->times[i] : NULL,
		            time_names[i].meaning);

	machine_cpu_model(cpu_model, sizeof cpu_model);
	report_count(&report, "keys", KEYS, "entries");
	report_count(&report, "key_bytes", KEY_BYTES, "of each key");
	report_count(&report, "value_bytes", VALUE_BYTES, "of each value");
	report_count(&report, "rounds", core->rounds, "behind each median");
	report_count(&report, "page_bytes", core->page_bytes, "page size under arena and floor, as the kernel has it");
	report_count(&report, "page_bytes_larder", stat->page_bytes, "page size that larder_stat gives");
	report_count(&report, "arena_bytes", stat->arena_bytes, "size of the arena");
	report_count(&report, "used_bytes", stat->used_bytes, "in use with all entries stored");
	report_count(&report, "index_bytes", stat->segments_index * stat->segment_bytes, "of it the index");
	report_count(&report, "floor_bytes", driver_floor_bytes(KEYS), "what the floor takes for the same entries");
	report_count(&report, "evicted_segments", core->evicted_segments, "0: no entry had to go in this run");
	report_count(&report, "cpu", (uint64_t)core->cpus.own, "the processor that measured");
	report_text(&report, "larderd_cpu", core->cpus.shared ? "the same" : "another", "where larderd ran");
	report_text(&report, "cpu_model", cpu_model, "processor");
	report_text(&report, "larder_version", larder_version(), "version of the library");
	report_print(&report, core->options->json);
}

int bench_core(const struct bench_options *options)
{
	struct core core = { .options = options };
	struct machine_reserve reserve = { 0 };
	int result;

	core.rounds = options->rounds > 0 ? options->rounds : options->quick ? ROUNDS_QUICK : ROUNDS;
	if (options->reserve_huge)
		result = machine_reserve_huge(ARENA_BYTES + driver_floor_bytes(KEYS) + SPARE_BYTES, &reserve);
	else
		result = 0;
	if (result != 0)
		return complain(result, "cannot reserve huge pages (are you root?): error %d", -result);

	result = machine_pin(&core.cpus);
	if (result == 0)
		result = workload_create(KEYS, &core.workload);
	if (result == 0)
		result = stream_create(STREAM_UNIFORM, 0, KEYS, WITH_WARM(READS), NULL, &core.reads);
	if (result != 0)
		complain(0, "cannot begin: %s", larder_strerror(result));

	if (result == 0)
		result = measure_entries(&core);
	if (result == 0)
		result = measure_ttl(&core);
	if (result == 0)
		result = measure_views(&core);
	if (result == 0)
		print(&core);
	stream_destroy(&core.reads);
	workload_destroy(&core.workload);
	machine_reserve_restore(&reserve);
	return result;
}
