/* SPDX-License-Identifier: MIT */
#include "tests/failpoint/crowd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/failpoint/value.h"
#include "tests/failpoint/worker.h"
#include "tests/support/client.h"
#include "tests/support/expect.h"

#define LIFE_MS 3600000    /* of what must be there at the end */
#define SHORT_LIFE_MS 1200 /* of what shall expire meanwhile */
#define LINGER_MS 4000     /* lives of one class that nobody else uses: the shorter, */
#define LINGER_ON_MS 7900  /* and the longer */
#define PAUSE_US 2000      /* between two turns, so that many cases run at a time */
#define EAGER_PAUSE_US 300
#define COMING_KEYS 10000 /* in the churn scene, of each member */
#define LIVING_KEYS 2000  /* of which so many live */
#define TIDE_KEYS 5000    /* in the ebb scene, of each member: that come, and then go, */
#define TIDE_STEP 64      /* so many at a time, */
#define TIDE_MS 2000      /* for so long each, for all members at the same time */
#define LASTING_KEYS 40   /* growth keys there */
#define BATCH 8
#define SIZED_TURNS 16 /* of the one who asks for another size */

bool crowd_evicts(const struct crowd *crowd)
{
	return crowd->scene == TIGHT || crowd->scene == LARGE || crowd->scene == SIZED;
}

static void begin(struct entry *entry, uint32_t number)
{
	store_release(&entry->begun, number);
}

static void complete(struct entry *entry, uint32_t number)
{
	store_release(&entry->completed, number);
}

/* ---- what is read -------------------------------------------------------------------------------------------------- */

/* A key that was missing must have been so at some moment between two numbers. */
static bool may_be_missing(const struct worker *worker, uint32_t completed, uint32_t begun)
{
	bool deleted = completed == 0;

	for (uint32_t number = completed; number <= begun; number++)
		deleted |= value_deletes(number);
	return deleted || worker_may_miss(worker);
}

static void check_kept(const struct worker *worker, uint32_t owner, uint32_t key, uint32_t completed, int result,
                       const void *bytes, size_t size)
{
	uint32_t begun = load_acquire(&worker->crowd->members[owner].kept[key].begun), number;

	if (result == LARDER_MISS && !may_be_missing(worker, completed, begun))
		expect_failed("key %u of member %u is missing: write %u was completed, %u begun", key, owner, completed,
		              begun);
	if (result != 0)
		return;
	number = value_check(bytes, size, owner, key);
	if (number < completed || number > begun || value_deletes(number))
		expect_failed("key %u of member %u has the value of write %u: write %u was completed, %u begun", key,
		              owner, number, completed, begun);
}

struct choice {
	uint32_t owner, key, completed;
	char name[VALUE_KEY_MAX];
	size_t name_size;
};

static struct choice choose(struct worker *worker)
{
	struct choice choice = { .owner = random_below(&worker->random, MEMBERS),
		                 .key = random_below(&worker->random, KEPT_KEYS) };

	choice.name_size = value_key(choice.name, "kept", choice.owner, choice.key);
	choice.completed = load_acquire(&worker->crowd->members[choice.owner].kept[choice.key].completed);
	return choice;
}

static void read_kept(struct worker *worker)
{
	static unsigned char buffer[VALUE_MAX];
	struct choice choice = choose(worker);
	struct larder_item item = { 0 };
	int result = READ(worker, "get",
	                  larder_get(worker->cache, choice.name, choice.name_size, buffer, sizeof buffer, &item));

	check_kept(worker, choice.owner, choice.key, choice.completed, result, buffer, item.value_size);
}

static void read_batch(struct worker *worker)
{
	static unsigned char buffers[BATCH][VALUE_MAX];
	struct larder_mget_entry copies[BATCH] = { 0 };
	struct larder_mview_entry views[BATCH] = { 0 };
	struct choice choices[BATCH];

	for (int i = 0; i < BATCH; i++) {
		choices[i] = choose(worker);
		copies[i] = (struct larder_mget_entry){ .key = choices[i].name,
			                                .key_size = choices[i].name_size,
			                                .buffer = buffers[i],
			                                .buffer_size = VALUE_MAX };
	}
	READ(worker, "mget", larder_mget(worker->cache, copies, BATCH));
	for (int i = 0; i < BATCH; i++) {
		check_kept(worker, choices[i].owner, choices[i].key, choices[i].completed, copies[i].result, buffers[i],
		           copies[i].item.value_size);
		choices[i] = choose(worker);
		views[i].key = choices[i].name;
		views[i].key_size = choices[i].name_size;
	}
	READ(worker, "mview", larder_mview(worker->cache, views, BATCH));
	for (int i = 0; i < BATCH; i++)
		check_kept(worker, choices[i].owner, choices[i].key, choices[i].completed, views[i].result,
		           views[i].view.data, views[i].view.size);
	larder_mrelease(worker->cache, views, BATCH);
}

static void release_held(struct worker *worker)
{
	if (!worker->held.data)
		return;
	value_check(worker->held.data, worker->held.size, worker->held_owner, worker->held_key);
	larder_release(worker->cache, &worker->held);
}

/* A view is held for some turns, and must be at its end what it was at its beginning. */
static void hold_view(struct worker *worker)
{
	struct choice choice;
	int result;

	if (worker->held_turns-- > 0)
		return;
	release_held(worker);
	choice = choose(worker);
	result = READ(worker, "view", larder_view(worker->cache, choice.name, choice.name_size, &worker->held));
	check_kept(worker, choice.owner, choice.key, choice.completed, result, worker->held.data, worker->held.size);
	worker->held_owner = choice.owner;
	worker->held_key = choice.key;
	worker->held_turns = random_below(&worker->random, 10);
}

static void read_growth(struct worker *worker, uint32_t owner, uint32_t key)
{
	char name[VALUE_KEY_MAX];
	struct value_mark mark;
	size_t name_size = value_key(name, "growth", owner, key);
	int result = READ(worker, "get", larder_get(worker->cache, name, name_size, &mark, sizeof mark, NULL));

	if (result == 0 && (mark.owner != owner || mark.number != key))
		expect_failed("growth key %u of member %u is wrong", key, owner);
	if (result != 0 && !worker_may_miss(worker))
		expect_failed("growth key %u of member %u: %s", key, owner, larder_strerror(result));
}

static void read_some_growth(struct worker *worker)
{
	uint32_t owner = random_below(&worker->random, MEMBERS);
	uint32_t completed = load_acquire(&worker->crowd->members[owner].growth.completed);

	if (completed > 0)
		read_growth(worker, owner, 1 + random_below(&worker->random, completed));
}

static void read_journal(struct worker *worker, uint32_t owner)
{
	struct entry *entry = &worker->crowd->members[owner].journal;
	uint32_t completed = load_acquire(&entry->completed), begun, records[VALUE_RECORDS], last;
	struct larder_item item = { 0 };
	char name[VALUE_KEY_MAX];
	size_t name_size = value_key(name, "journal", owner, 0);
	int result = READ(worker, "get", larder_get(worker->cache, name, name_size, records, sizeof records, &item));

	begun = load_acquire(&entry->begun);
	if (result == LARDER_MISS && completed > 0 && !worker_may_miss(worker))
		expect_failed("the journal of member %u is missing: record %u was completed", owner, completed);
	if (result != 0)
		return;
	last = value_check_records(records, item.value_size, owner);
	if (last < completed || last > begun)
		expect_failed("the journal of member %u ends with record %u: %u was completed, %u begun", owner, last,
		              completed, begun);
}

static void read_counter(struct worker *worker, uint32_t counter)
{
	struct entry *entry = &worker->crowd->counters[counter];
	uint32_t completed = load_acquire(&entry->completed), begun;
	char name[VALUE_KEY_MAX], text[32] = "";
	size_t name_size = value_key(name, "counter", 0, counter);
	int result = READ(worker, "get", larder_get(worker->cache, name, name_size, text, sizeof text - 1, NULL));
	unsigned long value = strtoul(text, NULL, 10);

	begun = load_acquire(&entry->begun);
	if (value > begun ||
	    ((value < completed || (result == LARDER_MISS && completed > 0)) && !worker_may_miss(worker)))
		expect_failed("counter %u is \"%s\" (%s): %u additions were completed, %u begun", counter, text,
		              larder_strerror(result), completed, begun);
}

static void look_around(struct worker *worker)
{
	static unsigned char buffer[LARDER_KEY_MAX];
	struct larder_cursor cursor = { { 0, 0 } };
	struct larder_scan_entry entries[64];
	size_t found;

	READ(worker, "scan",
	     larder_scan(worker->cache, "kept", 4, &cursor, entries, 64, buffer, sizeof buffer, &found));
	for (size_t i = 0; i < found; i++)
		if (entries[i].key_size < 5 || memcmp(entries[i].key, "kept.", 5) != 0)
			expect_failed("the scan found a key of %zu bytes that it should not", entries[i].key_size);
	if (worker->turns % 16 == 0)
		worker_count_clients(worker);
}

static void read_all_kinds(struct worker *worker)
{
	read_kept(worker);
	read_batch(worker);
	hold_view(worker);
	read_some_growth(worker);
	read_journal(worker, random_below(&worker->random, MEMBERS));
	read_counter(worker, random_below(&worker->random, COUNTERS));
	if (worker->turns % 8 == 0)
		look_around(worker);
}

/* ---- what is written ----------------------------------------------------------------------------------------------- */

static struct larder_set_options life(uint64_t ttl_ms)
{
	struct larder_set_options options = LARDER_SET_OPTIONS;

	options.ttl_ms = ttl_ms;
	return options;
}

/* By another call each time; what was not stored by it, because the key is not as it was left, is stored by a set. */
static int store(struct worker *worker, const char *key, size_t key_size, const void *value, size_t size,
                 uint32_t number)
{
	const struct larder_set_options options = life(LIFE_MS);
	struct larder_item item;
	int result = LARDER_MISS;

	switch (number % 4) {
	case 0:
		result = WRITE(worker, "add", larder_add(worker->cache, key, key_size, value, size, &options, NULL));
		break;
	case 1:
		result = READ(worker, "get", larder_get(worker->cache, key, key_size, NULL, 0, &item));
		if (result == LARDER_TRUNCATED)
			result = WRITE(
				worker, "cas",
				larder_cas(worker->cache, key, key_size, value, size, item.version, &options, NULL));
		break;
	case 2:
		result = WRITE(worker, "replace",
		               larder_replace(worker->cache, key, key_size, value, size, &options, NULL));
		break;
	default:
		break;
	}
	if (result > 0)
		result = WRITE(worker, "set", larder_set(worker->cache, key, key_size, value, size, &options, NULL));
	return result;
}

static void write_kept(struct worker *worker)
{
	static unsigned char value[VALUE_MAX];
	uint32_t key = random_below(&worker->random, KEPT_KEYS);
	struct entry *entry = &worker->self->kept[key];
	uint32_t number = load_relaxed(&entry->begun) + 1;
	char name[VALUE_KEY_MAX];
	size_t name_size = value_key(name, "kept", worker->number, key), size;
	int result;

	begin(entry, number);
	if (value_deletes(number)) {
		result = WRITE(worker, "delete", larder_delete(worker->cache, name, name_size, 0));
	} else {
		size = value_fill(value, worker->number, key, number);
		result = store(worker, name, name_size, value, size, number);
	}
	if (result >= 0)
		complete(entry, number);
	if (number % 16 == 0)
		WRITE(worker, "touch", larder_touch(worker->cache, name, name_size, LIFE_MS, NULL));
}

static void write_journal(struct worker *worker)
{
	const struct larder_set_options options = life(LIFE_MS);
	uint32_t number = load_relaxed(&worker->self->journal.begun) + 1;
	uint32_t record = value_record(worker->number, number);
	char name[VALUE_KEY_MAX];
	size_t name_size = value_key(name, "journal", worker->number, 0);
	int result = LARDER_MISS;

	begin(&worker->self->journal, number);
	if (number % VALUE_RECORDS != 0 && !worker->journal_torn)
		result = WRITE(worker, "append",
		               larder_append(worker->cache, name, name_size, &record, sizeof record, NULL));
	if (result > 0)
		result = WRITE(worker, "set",
		               larder_set(worker->cache, name, name_size, &record, sizeof record, &options, NULL));
	worker->journal_torn = result != 0;
	if (result == 0)
		complete(&worker->self->journal, number);
}

static void write_counter(struct worker *worker)
{
	struct larder_incr_options options = LARDER_INCR_OPTIONS;
	uint32_t counter = random_below(&worker->random, COUNTERS);
	struct entry *entry = &worker->crowd->counters[counter];
	char name[VALUE_KEY_MAX];
	size_t name_size = value_key(name, "counter", 0, counter);
	int64_t value;

	options.flags = LARDER_INCR_CREATE;
	options.initial = 1;
	options.ttl_ms = LIFE_MS;
	fetch_add_acq_rel(&entry->begun, 1);
	if (WRITE(worker, "incr", larder_incr(worker->cache, name, name_size, 1, &options, &value)) == 0)
		fetch_add_acq_rel(&entry->completed, 1);
	if (worker->turns % 8 == 0) /* the value is carried to another object */
		WRITE(worker, "touch", larder_touch(worker->cache, name, name_size, LIFE_MS, NULL));
}

static void write_growth(struct worker *worker)
{
	const struct larder_set_options options = life(LIFE_MS);
	/* A turn: the index shall not be full before it is seen that the keeper stopped. */
	int count = worker->eager ? 2 : 8;
	uint32_t most = worker->crowd->scene == EBB ? LASTING_KEYS : GROWTH_KEYS;

	for (int i = 0; i < count && load_relaxed(&worker->self->growth.begun) < most; i++) {
		/* One that failed is tried again, so that all up to the last completed are there. */
		uint32_t number = load_relaxed(&worker->self->growth.completed) + 1;
		struct value_mark mark = { worker->number, number };
		char name[VALUE_KEY_MAX];
		size_t name_size = value_key(name, "growth", worker->number, number);

		begin(&worker->self->growth, number);
		if (WRITE(worker, "set",
		          larder_set(worker->cache, name, name_size, &mark, sizeof mark, &options, NULL)) == 0)
			complete(&worker->self->growth, number);
	}
}

/* Writes growth keys of anybody once more, as they are. */
static void rewrite_growth(struct worker *worker)
{
	const struct larder_set_options options = life(LIFE_MS);

	for (int i = 0; i < 4; i++) {
		uint32_t owner = random_below(&worker->random, MEMBERS);
		uint32_t completed = load_acquire(&worker->crowd->members[owner].growth.completed);
		struct value_mark mark = { owner, 1 + random_below(&worker->random, completed ? completed : 1) };
		char name[VALUE_KEY_MAX];
		size_t name_size = value_key(name, "growth", owner, mark.number);

		if (completed)
			WRITE(worker, "replace",
			      larder_replace(worker->cache, name, name_size, &mark, sizeof mark, &options, NULL));
	}
}

/* Keys that come and go: few at a time, but over the time in every bucket. */
static void write_coming(struct worker *worker)
{
	const struct larder_set_options options = life(SHORT_LIFE_MS);
	char name[VALUE_KEY_MAX];

	for (int i = 0; i < 16 && worker->coming < COMING_KEYS; i++) {
		struct value_mark mark = { worker->number, ++worker->coming };
		size_t name_size = value_key(name, "coming", worker->number, worker->coming);

		WRITE(worker, "set", larder_set(worker->cache, name, name_size, &mark, sizeof mark, &options, NULL));
		if (worker->coming <= LIVING_KEYS)
			continue;
		name_size = value_key(name, "coming", worker->number, worker->coming - LIVING_KEYS);
		WRITE(worker, "delete", larder_delete(worker->cache, name, name_size, 0));
	}
}

static void write_tide_key(struct worker *worker, uint32_t key, bool comes)
{
	const struct larder_set_options options = life(LIFE_MS);
	struct value_mark mark = { worker->number, key };
	char name[VALUE_KEY_MAX];
	size_t name_size = value_key(name, "tide", worker->number, key);

	if (comes)
		WRITE(worker, "set", larder_set(worker->cache, name, name_size, &mark, sizeof mark, &options, NULL));
	else
		WRITE(worker, "delete", larder_delete(worker->cache, name, name_size, 0));
}

/* So many keys that the index must grow for them, and then none. While it cannot grow, one at a time, until all buckets were met. */
static void write_tide(struct worker *worker, bool settled)
{
	bool flood = monotonic_ms() / TIDE_MS % 2;

	for (int i = 0; settled && i < (worker->eager ? TIDE_STEP / 4 : 1); i++) {
		write_tide_key(worker, TIDE_KEYS + ++worker->passing, true);
		write_tide_key(worker, TIDE_KEYS + worker->passing, false);
	}
	for (int i = 0; !settled && i < TIDE_STEP; i++)
		if (flood && worker->coming < TIDE_KEYS)
			write_tide_key(worker, worker->coming++, true);
		else if (!flood && worker->coming > 0)
			write_tide_key(worker, --worker->coming, false);
}

static void write_passing(struct worker *worker, int count)
{
	const struct larder_set_options options = life(SHORT_LIFE_MS);
	char name[VALUE_KEY_MAX];

	for (int i = 0; i < count; i++) {
		struct value_mark mark = { worker->number, ++worker->passing }, seen = mark;
		size_t name_size = value_key(name, "passing", worker->number, worker->passing);

		WRITE(worker, "set", larder_set(worker->cache, name, name_size, &mark, sizeof mark, &options, NULL));
		READ(worker, "get", larder_get(worker->cache, name, name_size, &seen, sizeof seen, NULL));
		if (memcmp(&seen, &mark, sizeof mark) != 0)
			expect_failed("passing key %u of member %u is wrong", worker->passing, worker->number);
	}
}

/*
 * Who is stopped in the second of these, with its segment pinned and condemned because the first has expired, saves the
 * segment when it goes on. And who comes back to it after a while finds that it was evicted.
 */
static void linger(struct worker *worker)
{
	struct larder_set_options options = life(LINGER_MS);

	WRITE(worker, "set", larder_set(worker->cache, "first", 5, "1", 1, &options, NULL));
	options.ttl_ms = LINGER_ON_MS;
	WRITE(worker, "set", larder_set(worker->cache, "second", 6, "2", 1, &options, NULL));
}

static void write_all_kinds(struct worker *worker)
{
	bool settled = load_relaxed(&worker->crowd->settled);

	write_kept(worker);
	write_counter(worker);
	if (worker->turns % 4 == 0)
		write_journal(worker);
	if (!settled && worker->crowd->scene != EBB)
		write_passing(worker, 2);
	if (worker->crowd->scene == EBB)
		write_tide(worker, settled);
	if (settled)
		rewrite_growth(worker);
	else if (worker->crowd->scene == CHURN)
		write_coming(worker);
	else
		write_growth(worker);
}

/* ---- the work ------------------------------------------------------------------------------------------------------ */

/* A client that dies with a view in its hand. */
static void be_a_mayfly(struct worker *worker)
{
	pid_t child = fork();

	expect(child >= 0);
	if (child == 0) {
		unsetenv("LARDER_FAILPOINT");
		worker->held = (struct larder_view){ 0 };
		worker->cache = worker_attach(worker->crowd, false);
		worker->held_turns = 0;
		hold_view(worker);
		_exit(0);
	}
	expect_equal(waitpid(child, NULL, 0), child);
}

static void come_and_go(struct worker *worker)
{
	if (worker->turns % 3 == 0) {
		release_held(worker);
		larder_close(worker->cache);
		/* Who is stopped in the middle of it finds that the time for an answer is over. */
		worker->cache = worker_attach(worker->crowd, worker->eager);
	}
	if (worker->turns % 16 == 0)
		be_a_mayfly(worker);
}

/* By each of the two ways. */
static void ask_for_a_size(struct worker *worker)
{
	static const uint64_t sizes[] = { 4u << 20, 3u << 19, 3u << 20, 2u << 20 };
	uint32_t turn = worker->turns / SIZED_TURNS;

	if (worker->turns % SIZED_TURNS != 0)
		return;
	if (turn % 3 == 0) {
		worker_configure(worker->crowd->server, turn % 2 ? "4M" : "2M");
		kill(worker->crowd->server->pid, SIGHUP);
	} else {
		CALL(worker, "resize", longest_resize_ns, larder_resize(worker->cache, sizes[turn % 4], NULL));
	}
}

static void take_turn(struct worker *worker)
{
	const struct crowd *crowd = worker->crowd;

	if (worker->role == LINGERER && worker->turns % 64 == 1)
		linger(worker);
	if (worker->role == CHURNER)
		write_passing(worker, 8);
	else if (worker->role == WRITER && (worker->eager || !load_relaxed(&crowd->quiet)))
		write_all_kinds(worker);
	if (worker->role == ATTACHER)
		come_and_go(worker);
	if (worker->role == SIZER)
		ask_for_a_size(worker);
	if (worker->role != CHURNER)
		read_all_kinds(worker);
	worker->turns++;
}

void crowd_work(struct crowd *crowd, uint32_t number, enum role role, bool eager)
{
	struct worker worker = { .crowd = crowd,
		                 .self = &crowd->members[number],
		                 .number = number,
		                 .role = role,
		                 .eager = eager,
		                 .random = { number },
		                 .turns = 1 };
	const uint32_t lasting = number < LASTING_MEMBERS;
	const struct timespec pause = { .tv_nsec = (eager ? EAGER_PAUSE_US : PAUSE_US) * 1000L };

	value_some_large = crowd->scene == LARGE;
	worker.schedule_fd = open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC);
	worker.cache = worker_attach(crowd, eager);
	fetch_add_release(&crowd->attached, lasting);
	while (!load_relaxed(&crowd->over)) {
		worker.unserved_ns = worker_unserved_ns(&worker);
		take_turn(&worker);
		nanosleep(&pause, NULL);
	}
	fetch_sub_release(&crowd->attached, lasting);
	release_held(&worker);
	larder_close(worker.cache);
}

void crowd_check(struct crowd *crowd)
{
	struct worker worker = { .crowd = crowd, .self = &crowd->members[0], .role = READER, .schedule_fd = -1 };

	value_some_large = crowd->scene == LARGE;
	worker.cache = worker_attach(crowd, false);
	for (uint32_t owner = 0; owner < MEMBERS; owner++) {
		uint32_t grown = load_acquire(&crowd->members[owner].growth.completed);

		for (uint32_t key = 1; key <= grown; key++)
			read_growth(&worker, owner, key);
		read_journal(&worker, owner);
	}
	for (uint32_t counter = 0; counter < COUNTERS; counter++)
		read_counter(&worker, counter);
	for (uint32_t i = 0; i < 20 * MEMBERS * KEPT_KEYS; i++)
		read_kept(&worker);
	larder_close(worker.cache);
}
