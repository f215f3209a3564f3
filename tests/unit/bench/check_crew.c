/* SPDX-License-Identifier: MIT */
/* Workers measure a driver that does nothing but what the test tells it to. */
#include "bench/crew.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/suite.h"

#define KEYS 100000u
#define STREAM 4096

/* What the driver shall do, and what it has done; shared with the workers. */
struct script {
	bool start_fails, open_fails, lies, dies, misses;
	unsigned starts, stops, opens, closes;
	unsigned long operations, writes;
};

static struct script *script;
static struct stream stream;
static struct crew crew;

static int start(const struct driver_setup *setup, void **ret_instance, char why[DRIVER_WHY_BYTES])
{
	ck_assert_int_eq(access(setup->directory, W_OK), 0);
	snprintf(why, DRIVER_WHY_BYTES, "%s", script->start_fails ? "no start" : "");
	*ret_instance = script;
	script->starts += !script->start_fails;
	return script->start_fails ? -EIO : 0;
}

static void stop(void *instance)
{
	ck_assert_ptr_eq(instance, script);
	script->stops++;
}

static int open_session(const struct driver_setup *setup, void *instance, void **ret_session,
                        char why[DRIVER_WHY_BYTES])
{
	(void)setup;
	snprintf(why, DRIVER_WHY_BYTES, "%s", script->open_fails ? "no session" : "");
	__atomic_fetch_add(&script->opens, 1, __ATOMIC_RELAXED);
	*ret_session = instance;
	return script->open_fails ? -EIO : 0;
}

static void close_session(void *session)
{
	(void)session;
	__atomic_fetch_add(&script->closes, 1, __ATOMIC_RELAXED);
}

static int run(void *session, const struct driver_work *work, struct driver_result *ret_result)
{
	(void)session;
	if (script->dies)
		raise(SIGKILL);
	for (size_t i = 0; i < work->count; i++)
		ret_result->sum += workload_word(work->stream->ids[work->first + i]);
	ret_result->sum += script->lies;
	ret_result->missed = script->misses ? work->count : 0;
	__atomic_fetch_add(&script->operations, work->count, __ATOMIC_RELAXED);
	if (work->operation == DRIVER_SET)
		__atomic_fetch_add(&script->writes, work->count, __ATOMIC_RELAXED);
	return 0;
}

static const struct driver driver = {
	.name = "scripted",
	.operations = 1u << DRIVER_GET | 1u << DRIVER_SET,
	.shared = true,
	.start = start,
	.stop = stop,
	.open = open_session,
	.close = close_session,
	.run = run,
};

static void setup(void)
{
	script = mmap(NULL, sizeof *script, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(script, MAP_FAILED);
	ck_assert_int_eq(stream_create(STREAM_UNIFORM, 0, KEYS, STREAM, NULL, &stream), 0);
}

static void teardown(void)
{
	stream_destroy(&stream);
}

static int start_crew(unsigned workers)
{
	struct driver_setup made = { .keys = KEYS, .value_bytes = 100, .workers = workers };

	ck_assert_int_eq(machine_choose(&made.cpus), 0);
	return crew_start(&driver, &made, &crew);
}

static void start_ready(unsigned workers)
{
	ck_assert_int_eq(start_crew(workers), 0);
	ck_assert_int_eq(crew_ready(&crew), 0);
}

static const struct crew_order reads = { .operation = DRIVER_GET, .workers = 1, .warm = 100, .operations = 10000 };

static struct crew_order order_of(struct crew_order order)
{
	order.stream = &stream;
	return order;
}

START_TEST(test_all_is_stored_and_everything_ends)
{
	char directory[sizeof crew.directory];

	start_ready(3);
	ck_assert_uint_eq(script->writes, KEYS);
	ck_assert_uint_eq(script->opens, 3);
	snprintf(directory, sizeof directory, "%s", crew.directory);
	crew_stop(&crew);
	ck_assert_uint_eq(script->closes, 3);
	ck_assert_uint_eq(script->starts, 1);
	ck_assert_uint_eq(script->stops, 1);
	ck_assert_int_ne(access(directory, F_OK), 0);
}
END_TEST

START_TEST(test_operations_that_are_counted)
{
	const struct crew_order order = order_of(reads);
	struct crew_sample sample;
	unsigned long before;

	start_ready(1);
	before = script->operations;
	ck_assert_int_eq(crew_work(&crew, &order, &sample, NULL), 0);
	ck_assert_uint_eq(script->operations - before, reads.warm + reads.operations);
	ck_assert(sample.wall > 0 && sample.processor > 0);
	crew_stop(&crew);
}
END_TEST

START_TEST(test_operations_that_are_timed_singly)
{
	struct crew_order order = order_of(reads);
	struct histogram histogram = { 0 };
	struct crew_sample sample;

	order.single = true;
	start_ready(1);
	ck_assert_int_eq(crew_work(&crew, &order, &sample, &histogram), 0);
	ck_assert_uint_eq(histogram.total, reads.operations);
	crew_stop(&crew);
}
END_TEST

START_TEST(test_workers_at_once)
{
	struct crew_order order = order_of(reads);
	struct crew_sample sample;
	unsigned long before;

	order.operations = 0;
	order.workers = 4;
	order.duration_ns = 20000000;
	start_ready(4);
	before = script->operations;
	ck_assert_int_eq(crew_work(&crew, &order, &sample, NULL), 0);
	ck_assert_uint_gt(script->operations - before, 4 * reads.warm);
	ck_assert(sample.rate > 0);
	crew_stop(&crew);
}
END_TEST

START_TEST(test_wrong_data_is_found)
{
	const struct crew_order order = order_of(reads);
	struct crew_sample sample;

	start_ready(1);
	script->lies = true;
	ck_assert_int_ne(crew_work(&crew, &order, &sample, NULL), 0);
	ck_assert_str_eq(crew.why, "it returned wrong data");
	crew_stop(&crew);
}
END_TEST

START_TEST(test_misses_are_counted_where_the_clock_runs)
{
	const struct crew_order order = order_of(reads);
	struct crew_sample sample;

	start_ready(1);
	script->misses = true;
	ck_assert_int_eq(crew_work(&crew, &order, &sample, NULL), 0);
	ck_assert_uint_eq(sample.missed, reads.operations);
	crew_stop(&crew);
}
END_TEST

START_TEST(test_a_worker_that_dies)
{
	struct crew_order order = order_of(reads);
	struct crew_sample sample;

	order.workers = 2;
	order.operations = 0;
	order.duration_ns = 1000000;
	start_ready(2);
	script->dies = true;
	ck_assert_int_ne(crew_work(&crew, &order, &sample, NULL), 0);
	ck_assert_str_eq(crew.why, "its process ended");
	crew_stop(&crew);
	ck_assert_uint_eq(script->stops, 1);
}
END_TEST

START_TEST(test_what_cannot_start)
{
	script->start_fails = true;
	ck_assert_int_ne(start_crew(1), 0);
	ck_assert_str_eq(crew.why, "no start");
	ck_assert_str_eq(crew.directory, "");
	ck_assert_uint_eq(script->stops, 0);
}
END_TEST

START_TEST(test_what_cannot_be_opened)
{
	script->open_fails = true;
	ck_assert_int_eq(start_crew(2), 0);
	ck_assert_int_ne(crew_ready(&crew), 0);
	ck_assert_str_eq(crew.why, "no session");
	crew_stop(&crew);
	ck_assert_uint_eq(script->stops, 1);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("crew");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_all_is_stored_and_everything_ends);
	tcase_add_test(tests, test_operations_that_are_counted);
	tcase_add_test(tests, test_operations_that_are_timed_singly);
	tcase_add_test(tests, test_workers_at_once);
	tcase_add_test(tests, test_wrong_data_is_found);
	tcase_add_test(tests, test_misses_are_counted_where_the_clock_runs);
	tcase_add_test(tests, test_a_worker_that_dies);
	tcase_add_test(tests, test_what_cannot_start);
	tcase_add_test(tests, test_what_cannot_be_opened);
	return suite_run("crew", tests);
}
