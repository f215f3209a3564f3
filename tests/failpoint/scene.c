/* SPDX-License-Identifier: MIT */
/*
 * The order of events: larderd and the crowd begin; the one in question comes to its failpoint and is killed or stopped; the
 * others work on for a while, and it, if it was only stopped, goes on; all end. Then nothing that was completed may be
 * missing, everything is made to expire, and no segment may be left that is not free.
 */
#include "tests/failpoint/scene.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena/lease.h"
#include "base/clock.h"
#include "cache/cache.h"
#include "daemon/evacuate.h"
#include "tests/failpoint/crowd.h"
#include "tests/failpoint/worker.h"
#include "tests/support/expect.h"
#include "tests/support/raw.h"
#include "tests/support/server.h"
#include "tests/support/workers.h"

#define REACH_MS 30000     /* to come to the failpoint */
#define STOPPED_MS 3000    /* how long it stands there */
#define RESUMED_MS 6000    /* and an accomplice until its segment is to be recycled (LINGER_MS and a bit) */
#define AFTERWARDS_MS 500  /* how long all work on */
#define END_MS 20000       /* for everybody to come to an end */
#define FREE_MS 10000      /* for everything that has expired to become free */
#define CALL_MS 1000       /* the longest that any call of others may take, */
#define PATIENT_MS 15000   /* until a call gives up while nothing happens to the keeper */
#define LATE_FACTOR 5      /* and so many times what the watchman had to wait */
#define STEP_MS 10         /* of the watchman */
#define SUCCESSION_MS 200  /* so long a write waits for the next keeper (cache/write.c) */
#define ORDINARY_MEMBERS 4 /* the lasting ones read and write, the other comes and goes */
#define VICTIM 4
#define ACCOMPLICE 5

struct stage {
	const struct point *point;
	enum deed deed;
	struct server server;
	struct crowd *crowd;
	pid_t members[MEMBERS];
	pid_t watchman;
	char log[8192]; /* what failpoints and larderd said so far */
};

static const char *const sizes[SCENES] = {
	[ROOMY] = "8M", [CHURN] = "4M", [EBB] = "6M", [TIGHT] = "1M", [LARGE] = "2M", [REMOTE] = "8M", [SIZED] = "2M"
};

/* ---- processes ----------------------------------------------------------------------------------------------------- */

/* Shows all the time how late the machine lets a process run that is due: that is no fault of larder's. */
static void start_watchman(struct stage *stage)
{
	struct crowd *crowd = stage->crowd;
	pid_t parent = getpid();

	stage->watchman = fork();
	expect(stage->watchman >= 0);
	if (stage->watchman != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!load_relaxed(&crowd->over) && getppid() == parent) {
		uint64_t due_ms = monotonic_ms() + STEP_MS, now_ms;

		poll(NULL, 0, STEP_MS);
		now_ms = monotonic_ms();
		if (now_ms > due_ms + load_relaxed(&crowd->late_ms))
			store_relaxed(&crowd->late_ms, now_ms - due_ms);
	}
	_exit(0);
}

static void wait_ms(unsigned ms)
{
	struct patience patience = patience_start(ms);

	while (patience_left(patience))
		;
}

static void start_member(struct stage *stage, uint32_t number, enum role role, const char *failpoints)
{
	pid_t parent = getpid(), child = fork();

	expect(child >= 0);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		if (failpoints)
			setenv("LARDER_FAILPOINT", failpoints, 1);
		crowd_work(stage->crowd, number, role, failpoints != NULL);
		_exit(0);
	}
	stage->members[number] = child;
}

/* Looks whether a member stopped or ended. Return: its status, of which WIFSTOPPED and so on tell; -1: neither. */
static int look_at(struct stage *stage, uint32_t number)
{
	int status;

	if (stage->members[number] == 0 || waitpid(stage->members[number], &status, WNOHANG | WUNTRACED) == 0)
		return -1;
	if (!WIFSTOPPED(status))
		stage->members[number] = 0;
	return status;
}

/* A member that nobody hurts may not end before it is told to. */
static void expect_alive(struct stage *stage, uint32_t number)
{
	int status = look_at(stage, number);

	if (status != -1)
		expect_failed("member %u ended with status %#x", number, status);
}

static void end_members(struct stage *stage)
{
	struct patience patience = patience_start(END_MS);

	store_relaxed(&stage->crowd->over, 1);
	for (uint32_t number = 0; number < MEMBERS; number++) {
		while (stage->members[number]) {
			int status = look_at(stage, number);

			if (status > 0)
				expect_failed("member %u ended with status %#x", number, status);
			if (status == -1 && !patience_left(patience))
				expect_failed("member %u hangs: it did not end within %d ms", number, END_MS);
		}
	}
	expect_equal(waitpid(stage->watchman, NULL, 0), stage->watchman);
}

/* ---- the keeper ---------------------------------------------------------------------------------------------------- */

/* How many failpoints of this name were acted on in larderd. */
static unsigned keeper_hits(struct stage *stage, const char *name)
{
	char line[80];
	unsigned count = 0;

	server_read_file(stage->server.log, stage->log, sizeof stage->log);
	snprintf(line, sizeof line, "failpoint %s: ", name);
	for (const char *at = stage->log; (at = strstr(at, line)); at++)
		count++;
	return count;
}

static char state_of(pid_t pid)
{
	char path[32], text[512];
	const char *end;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	server_read_file(path, text, sizeof text);
	end = strrchr(text, ')');
	return end && end[1] ? end[2] : '?';
}

/* Between two keepers there is none to look at. */
static bool keeper_stopped(const struct stage *stage)
{
	pid_t keeper = server_keeper(&stage->server);

	return keeper != 0 && state_of(keeper) == 'T';
}

/* Waits until the keeper has come to a failpoint. False: it does not. */
static bool keeper_reaches(struct stage *stage, const char *name, bool stops)
{
	struct patience patience = patience_start(REACH_MS);

	while (keeper_hits(stage, name) == 0 || (stops && !keeper_stopped(stage))) {
		for (uint32_t number = 0; number < ORDINARY_MEMBERS; number++)
			expect_alive(stage, number);
		if (!patience_left(patience))
			return false;
	}
	return true;
}

/*
 * Without a keeper the index cannot grow, and a new key in a full chain drives an old one out. So that it can be told whether
 * anything was lost, nobody adds keys then; where memory is tight anyway all go on.
 */
static void settle(struct stage *stage, bool settled)
{
	store_relaxed(&stage->crowd->settled, settled && !crowd_evicts(stage->crowd));
}

static void continue_keeper(struct stage *stage)
{
	expect(kill(server_keeper(&stage->server), SIGCONT) == 0);
}

/* Whoever gets in has been let in by a keeper. */
static void await_keeper(struct stage *stage)
{
	struct patience patience = patience_start(REACH_MS);
	larder *cache;

	while (larder_open(stage->server.socket, NULL, &cache) != 0)
		if (!patience_left(patience))
			expect_failed("no keeper serves within %d ms", REACH_MS);
	larder_close(cache);
}

/* ---- beginning ----------------------------------------------------------------------------------------------------- */

/* With a file, which can be changed. */
static void start_configured(struct stage *stage)
{
	char path[128];

	server_prepare(&stage->server);
	worker_configure(&stage->server, sizes[SIZED]);
	snprintf(path, sizeof path, "%s/larderd.conf", stage->server.directory);
	if (!server_run(&stage->server, (const char *[]){ "--config", path, NULL }))
		expect_failed("larderd did not start with %s", path);
}

static void start_server(struct stage *stage)
{
	const struct point *point = stage->point;
	char spec[256] = "";

	if (point->keeper)
		snprintf(spec, sizeof spec, "%s;", point->keeper);
	if (point->role == KEEPER)
		snprintf(spec + strlen(spec), sizeof spec - strlen(spec), "%s:%u:%s", point->name, point->nth,
		         stage->deed == KILL_IT ? "kill" : "stop");
	if (spec[0])
		setenv("LARDER_FAILPOINT", spec, 1);
	if (point->scene == SIZED)
		start_configured(stage);
	else
		server_start(&stage->server, sizes[point->scene], "--access",
		             point->scene == REMOTE ? "read-only" : "shared-write", NULL);
	unsetenv("LARDER_FAILPOINT");
}

static void start_crowd(struct stage *stage)
{
	struct crowd *crowd = shared_memory(sizeof *crowd);
	const struct point *point = stage->point;

	crowd->server = &stage->server;
	crowd->scene = point->scene;
	crowd->keeper_hurt = point->role == KEEPER || point->keeper;
	/* check_calls bounds what a call may take, by how late the machine is. */
	crowd->timeout_ms = crowd->keeper_hurt ? 0 : PATIENT_MS;
	/* What an accomplice leaves for the one in question must not be finished by a third. */
	store_relaxed(&crowd->quiet, point->accomplice && point->accomplice_role != READER);
	stage->crowd = crowd;
	start_watchman(stage);
	for (uint32_t number = 0; number < ORDINARY_MEMBERS; number++)
		start_member(stage, number,
		             number < LASTING_MEMBERS ? WRITER
		             : point->scene == SIZED  ? SIZER
		                                      : ATTACHER,
		             NULL);
}

static void start_victim(struct stage *stage)
{
	const struct point *point = stage->point;
	char spec[96];

	snprintf(spec, sizeof spec, "%s:%u:%s", point->name, point->nth, stage->deed == KILL_IT ? "kill" : "stop");
	start_member(stage, VICTIM, point->role, spec);
}

/* Waits for the keeper to stop at what a writer shall meet. The writer is there before: without a keeper nobody gets in. */
static bool place_keeper(struct stage *stage)
{
	char name[64];

	start_victim(stage);

	snprintf(name, sizeof name, "%.*s", (int)strcspn(stage->point->keeper, ":"), stage->point->keeper);
	if (!keeper_reaches(stage, name, true))
		return false;
	store_relaxed(&stage->crowd->quiet, 1);
	settle(stage, true);
	return true;
}

/* Whoever has to be stopped first. */
static bool place_accomplice(struct stage *stage)
{
	struct patience patience = patience_start(REACH_MS);
	int status;

	if (stage->point->keeper && stage->point->role != KEEPER)
		return place_keeper(stage);
	if (!stage->point->accomplice)
		return true;
	start_member(stage, ACCOMPLICE, stage->point->accomplice_role, stage->point->accomplice);
	while ((status = look_at(stage, ACCOMPLICE)) == -1)
		if (!patience_left(patience))
			return false;
	expect(WIFSTOPPED(status));
	if (stage->point->resumed) {
		wait_ms(RESUMED_MS);
		expect(kill(stage->members[ACCOMPLICE], SIGCONT) == 0);
	}
	return true;
}

/* ---- the deed ------------------------------------------------------------------------------------------------------ */

static bool hurt_keeper(struct stage *stage)
{
	bool stops = stage->deed == STOP_IT;

	if (!keeper_reaches(stage, stage->point->name, stops))
		return false;
	settle(stage, true);
	store_relaxed(&stage->crowd->quiet, 0);
	if (stops) {
		wait_ms(STOPPED_MS);
		continue_keeper(stage);
	}
	await_keeper(stage);
	settle(stage, false);
	return true;
}

static bool hurt_client(struct stage *stage)
{
	struct patience patience = patience_start(REACH_MS);
	int status;

	if (!stage->point->keeper)
		start_victim(stage);
	while ((status = look_at(stage, VICTIM)) == -1) {
		for (uint32_t number = 0; number < ORDINARY_MEMBERS; number++)
			expect_alive(stage, number);
		if (!patience_left(patience))
			return false;
	}
	if (stage->deed == KILL_IT ? !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL : !WIFSTOPPED(status))
		expect_failed("the %s ended with status %#x", role_name(stage->point->role), status);
	store_relaxed(&stage->crowd->quiet, 0);
	if (stage->point->keeper) {
		continue_keeper(stage);
		await_keeper(stage);
		settle(stage, false);
	}
	if (stage->deed == STOP_IT) {
		wait_ms(STOPPED_MS);
		expect(kill(stage->members[VICTIM], SIGCONT) == 0);
	}
	return true;
}

/* ---- the end ------------------------------------------------------------------------------------------------------- */

static void check_calls(const struct stage *stage, struct outcome_of *outcome)
{
	const struct point *point = stage->point;
	uint64_t late_ms = load_relaxed(&stage->crowd->late_ms);
	uint64_t longest_ns = (CALL_MS + LATE_FACTOR * late_ms) * NS_PER_MS;
	bool keeper_stops = point->role == KEEPER ? stage->deed == STOP_IT : point->keeper != NULL;

	for (uint32_t number = 0; number < ORDINARY_MEMBERS; number++) {
		struct member *member = &stage->crowd->members[number];
		uint64_t read_ns = load_relaxed(&member->longest_read_ns);
		uint64_t write_ns = load_relaxed(&member->longest_write_ns);

		outcome->calls += load_relaxed(&member->calls);
		outcome->timeouts += load_relaxed(&member->timeouts);
		if (read_ns > outcome->longest_read_ns)
			outcome->longest_read_ns = read_ns;
		if (write_ns > outcome->longest_write_ns)
			outcome->longest_write_ns = write_ns;
	}
	expect(outcome->calls > 0);
	if (outcome->longest_read_ns > longest_ns)
		expect_failed("a read took %" PRIu64 " ms", outcome->longest_read_ns / NS_PER_MS);
	if (outcome->longest_write_ns > longest_ns && !keeper_stops)
		expect_failed("a write took %" PRIu64 " ms", outcome->longest_write_ns / NS_PER_MS);
	/* Of a machine on which nobody runs for so long the next keeper comes too late for some. */
	if (outcome->timeouts && !keeper_stops && point->scene != REMOTE &&
	    !(point->role == KEEPER && LATE_FACTOR * late_ms > SUCCESSION_MS))
		expect_failed("%" PRIu64 " writes gave up although the keeper was not stopped", outcome->timeouts);
}

static bool all_free(const struct arena *arena, bool remote, uint64_t *ret_free)
{
	uint32_t reserve = 0;
	bool done = true;

	*ret_free = 0;
	for (uint32_t segment = 0; segment < arena->segment_count; segment++) {
		enum segment_state state = segment_load(arena, segment).state;

		*ret_free += state == SEGMENT_FREE;
		reserve += state == SEGMENT_RESERVE; /* as good as free, but the keeper's */
		/* In a read-only arena nobody but the keeper can make anything expire. */
		done &= state == SEGMENT_FREE || state == SEGMENT_RESERVE || state == SEGMENT_SYSTEM ||
		        state == SEGMENT_INDEX || state == SEGMENT_ABSENT || (remote && state == SEGMENT_OPEN);
	}
	return done && reserve <= RESERVE_MAX;
}

static void print_states(const struct arena *arena)
{
	for (uint32_t segment = 0; segment < arena->segment_count; segment++)
		fprintf(stderr, " %u", segment_load(arena, segment).state);
	fputc('\n', stderr);
}

/* Puts the end of every life into the past, so that the keeper takes all data segments back. */
static void expire_everything(struct cache *cache, bool remote, uint64_t *ret_free)
{
	struct patience patience = patience_start(FREE_MS);
	struct arena *arena = &cache->arena;

	while (!all_free(arena, remote, ret_free)) {
		for (uint32_t segment = 0; !remote && segment < arena->segment_count; segment++) {
			if (segment_load(arena, segment).state != SEGMENT_OPEN)
				continue;
			store_relaxed(&arena->table[segment].expires_ms, 1);
			store_relaxed(&arena->table[segment].opened_ms, 1);
		}
		if (!patience_left(patience)) {
			print_states(arena);
			expect_failed("memory is lost: not all segments became free within %d ms", FREE_MS);
		}
	}
}

/* Whether the directory names an index segment, or one of which it is a child. */
static bool is_named(const struct arena *arena, uint32_t segment)
{
	for (uint32_t i = 0; i < 1u << arena->directory_bits; i++) {
		uint32_t entry = load_acquire(&arena->directory[i]);             /* A11 <- R11 */
		uint64_t children = load_acquire(&arena->table[entry].children); /* A12 <- R12 */

		if (entry == segment ||
		    (children && ((uint32_t)children == segment || (uint32_t)(children >> 32) == segment)))
			return true;
	}
	return false;
}

/* The index shrinks now: for a moment there may be a segment of which nobody has been told yet, or that is about to be retired. */
static void expect_no_lost_index(const struct arena *arena)
{
	struct patience patience = patience_start(FREE_MS);

	for (uint32_t segment = 0; segment < arena->segment_count; segment++)
		while (segment_load(arena, segment).state == SEGMENT_INDEX && !is_named(arena, segment))
			if (!patience_left(patience))
				expect_failed("index segment %u is lost: nothing leads to it", segment);
}

static void report_fault(void *context, const char *sentence)
{
	(void)context;
	fprintf(stderr, "verify: %s\n", sentence);
}

static void expect_sound(struct cache_thread *thread, struct cache_verify_counts *ret_counts)
{
	if (cache_verify(thread, report_fault, NULL, ret_counts))
		expect_failed("the arena is not sound");
}

/* With the descriptors of an ordinary client, whose arena can be looked into. */
static void check_arena(struct stage *stage, struct outcome_of *outcome)
{
	bool remote = stage->point->scene == REMOTE;
	struct cache_verify_counts counts;
	struct wire_welcome welcome;
	struct cache_thread thread;
	struct lease lease;
	struct cache cache;
	struct fault fault = { "" };
	int fds[RAW_FDS], channel = raw_attach(&stage->server, &welcome, fds);

	expect_equal(lease_take(fds[RAW_LEASE], &lease, NULL), 0);
	if (cache_attach(&cache, fds[RAW_ARENA], fds[RAW_CONTROL], !remote, false, 0, &fault))
		expect_failed("%s", fault.text);
	expect_equal(cache_thread_start(&cache, &thread), 0);
	expect_sound(&thread, &counts);
	if (!crowd_evicts(stage->crowd))
		expect_equal(load_relaxed(&cache.arena.header->evicted_segments), 0);
	crowd_check(stage->crowd);
	expire_everything(&cache, remote, &outcome->segments_freed);
	expect_no_lost_index(&cache.arena);
	expect_sound(&thread, &counts);
	if (!remote)
		expect_equal(counts.entries + counts.objects + counts.intents, 0);
	cache_thread_stop(&thread);
	cache_detach(&cache);
	lease_give_up(&lease);
	for (int i = 0; i < RAW_FDS; i++)
		close(fds[i]);
	close(channel);
}

static void give_up(struct stage *stage)
{
	for (uint32_t number = 0; number < MEMBERS; number++)
		if (stage->members[number])
			kill(stage->members[number], SIGKILL);
	kill(stage->watchman, SIGKILL);
	kill(server_keeper(&stage->server), SIGCONT);
}

void scene_play(const struct point *point, enum deed deed, struct outcome_of *ret_outcome)
{
	struct stage stage = { .point = point, .deed = deed };
	bool reached;

	start_server(&stage);
	start_crowd(&stage);
	reached = place_accomplice(&stage) && (point->role == KEEPER ? hurt_keeper(&stage) : hurt_client(&stage));
	if (!reached) {
		give_up(&stage);
		server_stop(&stage.server);
		ret_outcome->outcome = NOT_REACHED;
		return;
	}
	if (point->accomplice && !point->resumed)
		expect(kill(stage.members[ACCOMPLICE], SIGCONT) == 0);
	wait_ms(AFTERWARDS_MS);
	end_members(&stage);
	if (point->role == KEEPER)
		ret_outcome->hits = keeper_hits(&stage, point->name);
	else
		ret_outcome->hits = 1; /* it was seen to be killed or stopped */
	check_calls(&stage, ret_outcome);
	check_arena(&stage, ret_outcome);
	server_stop(&stage.server);
	ret_outcome->outcome = PASSED;
}
