/* SPDX-License-Identifier: MIT */
/*
 * larder-linear: is the cache linearizable? Processes work on the same keys at the same time and note when each call
 * began, when it ended and what it said; the checker then looks for an order that explains it.
 *
 * All processes draw numbers from one counter, and the number says which key it is the turn of: so they are always at
 * the same few keys, a key is used for one short history only, and no process waits for another. After ROUND_KEYS keys
 * they meet, and each checks its share of the histories.
 *
 * The operations are made in stretches, each in a new arena. In strict stretches the arena is large enough that nothing
 * is evicted, and a miss needs a delete that explains it. In evicting stretches it is so small that its memory is
 * reused all the time: a miss is always right, but an old value never is. There a tormentor also stops processes
 * wherever they are, for longer than larderd waits for them, and lets them go on.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "larder.h"
#include "tests/linear/checker.h"
#include "tests/support/client.h"
#include "tests/support/expect.h"
#include "tests/support/server.h"
#include "tests/support/workers.h"

#define HOT_KEYS 2 /* that are in use at the same time */
#define KEY_OPERATIONS_MAX 60
#define ROUND_KEYS 2048 /* a multiple of HOT_KEYS */
#define STRETCH_OPERATIONS 400000
#define STRICT_SIZE "96M"
#define EVICTING_SIZE "1M"
#define STALL_MS "10"   /* larderd waits so long for a stopped process */
#define TIMEOUT_MS 1000 /* and a write so long for larderd; attaching is tried for longer */
#define STOP_MS_MAX 80
#define GO_MS_MAX 10
#define HOLD_OPERATIONS_MAX 4096 /* for which a view is held */
#define VALUE_MAX 128
#define REPORT_MAX 3 /* violations that are printed */

/* What all processes share. */
struct stage {
	pthread_barrier_t assembled; /* all and the tormentor */
	pthread_barrier_t barrier;
	atomic_ullong next; /* the number to draw, from 0 in each round */
	atomic_ullong histories, violations, undecided;
	atomic_ullong refused; /* operations that were not made after all: no room in time */
	atomic_int pids[WORKERS_MAX];
	atomic_uint working; /* processes that have not come to their end */
	struct operation operations[];
};

struct run {
	struct stage *stage;
	larder *inherited; /* opened before the processes were forked */
	const struct server *server;
	unsigned processes, key_operations;
	uint64_t seed, rounds, stretch;
	bool may_evict;
};

struct process {
	const struct run *run;
	larder *cache;
	struct checker *checker;
	unsigned number;
	uint64_t random;
	uint64_t versions[HOT_KEYS]; /* the last one seen of each key of the present group */
	uint64_t group;
	struct larder_view held; /* a view that is kept for a while, and must stay as it is */
	unsigned hold;           /* for so many operations */
};

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Nothing that is written after it happens before it, and nothing that is written before it happens after it. */
static uint64_t stamp(void)
{
	struct timespec now;

#if defined(__x86_64__)
	__builtin_ia32_lfence();
#elif defined(__aarch64__)
	__asm__ volatile("isb" ::: "memory");
#endif
	clock_gettime(CLOCK_MONOTONIC, &now);
#if defined(__x86_64__)
	__builtin_ia32_lfence();
#elif defined(__aarch64__)
	__asm__ volatile("isb" ::: "memory");
#endif
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* A value is its number and then bytes that follow from it, so that a torn one is known. */
static size_t value_make(uint64_t number, unsigned char value[VALUE_MAX])
{
	size_t size = sizeof number + number * 7 % (VALUE_MAX - sizeof number);

	memcpy(value, &number, sizeof number);
	memset(value + sizeof number, (int)(number * 31 & 0xff), size - sizeof number);
	return size;
}

static uint64_t value_number(const unsigned char *value, size_t size)
{
	unsigned char right[VALUE_MAX];
	uint64_t number;

	expect(size >= sizeof number);
	memcpy(&number, value, sizeof number);
	if (value_make(number, right) != size || memcmp(value, right, size) != 0)
		expect_failed("a torn value: %zu bytes that say they are number %" PRIu64, size, number);
	return number;
}

/* What operations are made of, in percent: each kind of reader and writer has to meet each other. */
static enum operation_kind choose_kind(uint64_t random)
{
	static const struct {
		enum operation_kind kind;
		unsigned percent;
	} mix[] = {
		{ OPERATION_GET, 36 },    { OPERATION_CAS, 24 }, { OPERATION_SET, 12 },
		{ OPERATION_DELETE, 14 }, { OPERATION_ADD, 10 }, { OPERATION_REPLACE, 4 },
	};
	unsigned percent = random % 100, i = 0;

	while (percent >= mix[i].percent)
		percent -= mix[i++].percent;
	return mix[i].kind;
}

static enum operation_outcome outcome_of(int result)
{
	static const enum operation_outcome outcomes[] = {
		[LARDER_OK] = OUTCOME_OK,
		[LARDER_MISS] = OUTCOME_MISS,
		[LARDER_EXISTS] = OUTCOME_EXISTS,
		[LARDER_CHANGED] = OUTCOME_CHANGED,
	};

	if (result < LARDER_OK || result > LARDER_CHANGED)
		expect_failed("a call said %d: %s", result, larder_strerror(result));
	return outcomes[result];
}

/* Lets go of the view that was held, and sees whether it is still what it was. */
static void let_go(struct process *process)
{
	if (process->held.data != NULL)
		value_number(process->held.data, process->held.size);
	larder_release(process->cache, &process->held);
}

static int read_key(struct process *process, const char *key, size_t key_size, bool in_place,
                    struct operation *operation)
{
	unsigned char buffer[VALUE_MAX];
	struct larder_item item;
	struct larder_view *view = &process->held;
	int result;

	in_place = in_place && view->data == NULL;
	operation->invoked = stamp();
	if (in_place)
		result = larder_view(process->cache, key, key_size, view);
	else
		result = larder_get(process->cache, key, key_size, buffer, sizeof buffer, &item);
	operation->returned = stamp();
	if (result != 0)
		return result;
	if (in_place) {
		item = view->item;
		process->hold = random_next(&process->random) % 64 == 0
		                        ? (unsigned)(random_next(&process->random) % HOLD_OPERATIONS_MAX)
		                        : 0;
	}
	operation->value = value_number(in_place ? view->data : buffer, item.value_size);
	operation->version = item.version;
	return 0;
}

static int write_key(larder *cache, const char *key, size_t key_size, struct operation *operation)
{
	unsigned char value[VALUE_MAX];
	size_t size = value_make(operation->value, value);
	int result = 0;

	operation->invoked = stamp();
	switch (operation->kind) {
	case OPERATION_SET:
		result = larder_set(cache, key, key_size, value, size, NULL, &operation->version);
		break;
	case OPERATION_ADD:
		result = larder_add(cache, key, key_size, value, size, NULL, &operation->version);
		break;
	case OPERATION_REPLACE:
		result = larder_replace(cache, key, key_size, value, size, NULL, &operation->version);
		break;
	case OPERATION_CAS:
		result = larder_cas(cache, key, key_size, value, size, operation->expected, NULL, &operation->version);
		break;
	case OPERATION_DELETE:
		result = larder_delete(cache, key, key_size, operation->expected);
		break;
	}
	operation->returned = stamp();
	return result;
}

/* Makes operation `number` of a round: numbers go to the hot keys in turns of one per process. */
static void operate(struct process *process, uint64_t round, uint64_t number)
{
	const struct run *run = process->run;
	uint64_t group_operations = (uint64_t)HOT_KEYS * run->key_operations;
	uint64_t group = number / group_operations, turn = number % group_operations / run->processes;
	uint64_t key_in_group = turn % HOT_KEYS, key_number = group * HOT_KEYS + key_in_group;
	uint64_t place = turn / HOT_KEYS * run->processes + number % run->processes;
	uint64_t random = random_next(&process->random);
	struct operation operation = { .process = process->number, .kind = (uint8_t)choose_kind(random) };
	char key[64];
	size_t key_size;
	int result;

	if (group != process->group) {
		memset(process->versions, 0, sizeof process->versions);
		process->group = group;
	}
	/* Keys of 17 to 32 bytes have ways of their own (cache/plain.h): half of these are such. */
	key_size = (size_t)snprintf(key, sizeof key, "%" PRIu64 "/%0*" PRIu64, round, key_number % 2 ? 16 : 1,
	                            key_number);
	operation.value = (round * ROUND_KEYS + key_number) * 100 + place;
	random >>= 32;
	if (operation.kind == OPERATION_CAS && process->versions[key_in_group] == 0)
		operation.kind = OPERATION_GET;
	if (operation.kind == OPERATION_CAS || (operation.kind == OPERATION_DELETE && random & 1))
		operation.expected = process->versions[key_in_group];
	result = operation.kind == OPERATION_GET ? read_key(process, key, key_size, random & 2, &operation)
	                                         : write_key(process->cache, key, key_size, &operation);
	if (result == -EAGAIN && run->may_evict) {
		/* Nothing has changed: there is no operation. */
		atomic_fetch_add(&run->stage->refused, 1);
		operation.returned = 0;
	} else {
		operation.outcome = (uint8_t)outcome_of(result);
		if (result == 0 && operation.kind != OPERATION_DELETE)
			process->versions[key_in_group] = operation.version;
	}
	run->stage->operations[key_number * run->key_operations + place] = operation;
	if (process->hold == 0)
		let_go(process);
	else
		process->hold--;
}

static void check_key(struct process *process, uint64_t round, uint64_t key_number)
{
	const struct run *run = process->run;
	struct stage *stage = run->stage;
	struct operation *all = &stage->operations[key_number * run->key_operations];
	unsigned count = 0, first = 0, last = 0;
	enum verdict verdict;

	for (unsigned i = 0; i < run->key_operations; i++)
		if (all[i].returned != 0)
			all[count++] = all[i];
	verdict = checker_check(process->checker, all, count, run->may_evict, &first, &last);
	atomic_fetch_add(&stage->histories, 1);
	if (verdict == VERDICT_UNDECIDED)
		atomic_fetch_add(&stage->undecided, 1);
	if (verdict != VERDICT_VIOLATION || atomic_fetch_add(&stage->violations, 1) >= REPORT_MAX)
		return;
	flockfile(stderr);
	fprintf(stderr,
	        "\nNot linearizable: key \"%" PRIu64 "/%" PRIu64 "\" of stretch %" PRIu64 " (%s, --seed %" PRIu64
	        "):\n",
	        round, key_number, run->stretch, run->may_evict ? "evicting" : "strict", run->seed);
	checker_print(stderr, all, count, first, last);
	funlockfile(stderr);
}

/* Stops the others at any instruction until all have come to their end. */
static void torment(const struct run *run)
{
	struct stage *stage = run->stage;
	uint64_t random = run->seed * 2 + 1;
	int pidfds[WORKERS_MAX];

	pthread_barrier_wait(&stage->assembled);
	/* A descriptor, unlike a number, never means somebody else. */
	for (unsigned i = 0; i < run->processes; i++) {
		pidfds[i] = (int)syscall(SYS_pidfd_open, atomic_load(&stage->pids[i]), 0);
		expect(pidfds[i] >= 0);
	}
	pthread_barrier_wait(&stage->assembled);
	while (atomic_load(&stage->working) > 0) {
		int pidfd = pidfds[random_next(&random) % run->processes];
		struct timespec stop = { 0, (long)(random_next(&random) % (STOP_MS_MAX * 1000000)) };
		struct timespec go = { 0, (long)(random_next(&random) % (GO_MS_MAX * 1000000)) };

		syscall(SYS_pidfd_send_signal, pidfd, SIGSTOP, NULL, 0);
		nanosleep(&stop, NULL);
		syscall(SYS_pidfd_send_signal, pidfd, SIGCONT, NULL, 0);
		nanosleep(&go, NULL);
	}
}

static void process_work(void *context, unsigned number)
{
	const struct run *run = context;
	struct stage *stage = run->stage;
	uint64_t round_operations = (uint64_t)ROUND_KEYS * run->key_operations;
	struct process process = { .run = run, .number = number, .checker = checker_create() };
	uint64_t drawn;

	if (number == run->processes) {
		torment(run);
		return;
	}
	expect(process.checker != NULL);
	atomic_store(&stage->pids[number], getpid());
	if (run->may_evict) {
		pthread_barrier_wait(&stage->assembled);
		pthread_barrier_wait(&stage->assembled);
	}
	process.random = (run->seed + run->stretch * WORKERS_MAX + number + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
	/* Half of them use what they inherited, half attach themselves. */
	process.cache = run->inherited;
	if (number % 2 == 1)
		process.cache = client_open_hasty(run->server, TIMEOUT_MS);
	for (uint64_t round = 0; round < run->rounds; round++) {
		pthread_barrier_wait(&stage->barrier);
		if (atomic_load(&stage->violations) != 0)
			break; /* all see the same: it changes only behind the second barrier */
		while ((drawn = atomic_fetch_add(&stage->next, 1)) < round_operations)
			operate(&process, round, drawn);
		pthread_barrier_wait(&stage->barrier);
		if (number == 0)
			atomic_store(&stage->next, 0);
		for (uint64_t key = number; key < ROUND_KEYS; key += run->processes)
			check_key(&process, round, key);
	}
	let_go(&process);
	if (number % 2 == 1)
		larder_close(process.cache);
	checker_destroy(process.checker);
	atomic_fetch_sub(&stage->working, 1);
}

/* One stretch in a new arena. */
static void make_stretch(struct run *run)
{
	struct server server;
	struct workers workers;
	struct larder_stat stat = { .size = sizeof stat };

	if (run->may_evict)
		server_start(&server, EVICTING_SIZE, "--stall-ms", STALL_MS, NULL);
	else
		server_start(&server, STRICT_SIZE, NULL);
	run->server = &server;
	run->inherited = client_open_hasty(&server, TIMEOUT_MS);
	shared_barrier(&run->stage->assembled, run->processes + 1);
	shared_barrier(&run->stage->barrier, run->processes);
	atomic_store(&run->stage->next, 0);
	atomic_store(&run->stage->working, run->processes);
	workers_start(&workers, run->processes + run->may_evict, process_work, run);
	workers_join(&workers, 600);
	expect_equal(larder_stat(run->inherited, &stat), 0);
	if (!run->may_evict && stat.evicted_segments != 0)
		expect_failed("%" PRIu64 " segments were evicted in a stretch where nothing may be",
		              stat.evicted_segments);
	larder_close(run->inherited);
	server_stop(&server);
}

static int usage(const char *program)
{
	fprintf(stderr,
	        "usage: %s [--operations N] [--processes N] [--seed N] [--strict | --evicting]\n"
	        "Starts larderd ($LARDERD) and checks that what processes see of it is linearizable.\n",
	        program);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "operations", required_argument, NULL, 'o' }, { "processes", required_argument, NULL, 'p' },
		{ "seed", required_argument, NULL, 'r' },       { "strict", no_argument, NULL, 's' },
		{ "evicting", no_argument, NULL, 'e' },         { 0 },
	};
	struct run run = { .processes = 4, .seed = (uint64_t)time(NULL) };
	uint64_t wanted = 300000, made = 0, round_operations, stretch_rounds;
	bool strict = true, evicting = true;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'o':
			wanted = strtoull(optarg, NULL, 10);
			break;
		case 'p':
			run.processes = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'r':
			run.seed = strtoull(optarg, NULL, 10);
			break;
		case 's':
			evicting = false;
			break;
		case 'e':
			strict = false;
			break;
		default:
			return usage(argv[0]);
		}
	}
	if (optind != argc || run.processes < 2 || run.processes > KEY_OPERATIONS_MAX / 2 || !(strict || evicting))
		return usage(argv[0]);
	run.key_operations = KEY_OPERATIONS_MAX / run.processes * run.processes;
	round_operations = (uint64_t)ROUND_KEYS * run.key_operations;
	stretch_rounds = STRETCH_OPERATIONS / round_operations;
	if (stretch_rounds * round_operations * 2 > wanted)
		stretch_rounds = (wanted / 2 + round_operations - 1) / round_operations;
	run.stage = shared_memory(sizeof *run.stage + round_operations * sizeof(struct operation));
	while (made < wanted && atomic_load(&run.stage->violations) == 0) {
		run.rounds = (wanted - made + round_operations - 1) / round_operations;
		if (run.rounds > stretch_rounds)
			run.rounds = stretch_rounds;
		run.may_evict = evicting && (!strict || run.stretch % 2 == 1);
		make_stretch(&run);
		made = atomic_load(&run.stage->histories) * run.key_operations - atomic_load(&run.stage->refused);
		run.stretch++;
		if (isatty(STDERR_FILENO))
			fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " operations ", made, wanted);
	}
	if (isatty(STDERR_FILENO))
		fputc('\n', stderr);
	if (atomic_load(&run.stage->undecided) != 0)
		fprintf(stderr, "%llu histories could not be decided\n", atomic_load(&run.stage->undecided));
	printf("{\"operations\":%" PRIu64 ",\"histories\":%llu,\"violations\":%llu}\n", made,
	       atomic_load(&run.stage->histories), atomic_load(&run.stage->violations));
	return atomic_load(&run.stage->violations) != 0 || atomic_load(&run.stage->undecided) != 0;
}
