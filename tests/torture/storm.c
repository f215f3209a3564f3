/* SPDX-License-Identifier: MIT */
#include "tests/torture/storm.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/expect.h"
#include "tests/torture/client.h"
#include "tests/torture/steward.h"

#define EVENT_US_MEAN 5000 /* between two events */
#define KEEPER_SHARE 26    /* of 1000 events: the keeper is killed; else: */
#define STOP_SHARE 300     /* a client is stopped; else: one is killed */
#define STOP_STALLS_MAX 12 /* longest stop, in stall_ms */
#define WATCH_MS 50
#define ORDER_AGAIN_MS 100 /* an inherited client that was ordered has not come: its parent was killed */
#define END_MS 20000       /* for the clients to end when the storm is over */

struct place {
	bool killed; /* and not yet buried */
	bool stopped;
	uint64_t resume_ns;            /* when it goes on */
	uint64_t since_ns, stopped_ns; /* this stop; all stops */
	uint64_t ordered_ms;
};

struct storm {
	struct board *board;
	struct storm_counts *counts;
	struct random random;
	struct place places[SLOTS];
	struct watch watches[ACTORS];
	struct larderd_watch larderd;
	pid_t steward, last_keeper;
	uint64_t event_ns, watch_ns;
	uint64_t late_ns; /* by which the watch came too late, in all */
};

static uint32_t pid_of(const struct storm *storm, uint32_t slot)
{
	return load_acquire(&storm->board->slots[slot].pid);
}

/* ---- coming and going ---------------------------------------------------------------------------------------------- */

static pid_t fork_process(void)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	expect(pid >= 0);
	return pid;
}

static void fill(struct storm *storm, uint32_t slot)
{
	struct slot *place = &storm->board->slots[slot];
	pid_t pid;

	if (slot_kind(slot) == KIND_INHERITED) {
		if (monotonic_ms() - storm->places[slot].ordered_ms < ORDER_AGAIN_MS)
			return;
		storm->places[slot].ordered_ms = monotonic_ms();
		store_release(&place->wanted, 1);
		return;
	}
	pid = fork_process();
	if (pid == 0)
		client_run(storm->board, slot);
	store_release(&place->pid, (uint32_t)pid);
}

static void note_death(struct storm *storm, uint32_t slot, pid_t pid, int status)
{
	struct culprit culprit = { slot * SLOT_THREADS, NULL, 0, NULL };
	uint32_t dead = (uint32_t)pid;

	storm->places[slot] = (struct place){ 0 };
	memset(&storm->watches[slot * SLOT_THREADS], 0, SLOT_THREADS * sizeof storm->watches[0]);
	/* An inherited successor may be there already: it takes over when the kernel lets go of the dead one's mutex. */
	cas_acq_rel(&storm->board->slots[slot].pid, &dead, 0);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		storm->counts->client_kills++;
	else if (status != 0)
		board_fail(storm->board, VERDICT_WRONG, &culprit, "client %d in slot %" PRIu32 " ended with %s %d",
		           (int)pid, slot, WIFSIGNALED(status) ? "signal" : "status",
		           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* Return: how many clients there still are. */
static uint32_t reap(struct storm *storm)
{
	uint32_t left = 0;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		expect(pid != storm->board->server.pid);
		if (pid == storm->steward) {
			expect_equal(status, 0);
			storm->steward = 0;
		}
		for (uint32_t slot = 0; slot < SLOTS; slot++)
			if (pid_of(storm, slot) == (uint32_t)pid)
				note_death(storm, slot, pid, status);
	}
	for (uint32_t slot = 0; slot < SLOTS; slot++)
		left += pid_of(storm, slot) != 0;
	return left + (storm->steward != 0);
}

/* ---- events -------------------------------------------------------------------------------------------------------- */

static void resume(struct storm *storm, uint32_t slot)
{
	struct place *place = &storm->places[slot];

	place->stopped_ns += monotonic_ns() - place->since_ns;
	place->stopped = false;
	kill((pid_t)pid_of(storm, slot), SIGCONT);
}

static void resume_due(struct storm *storm)
{
	uint64_t now_ns = monotonic_ns();

	for (uint32_t slot = 0; slot < SLOTS; slot++)
		if (storm->places[slot].stopped && now_ns >= storm->places[slot].resume_ns)
			resume(storm, slot);
}

static void stop(struct storm *storm, uint32_t slot)
{
	struct place *place = &storm->places[slot];
	uint32_t most = random_below(&storm->random, 3) == 0 ? 10 : storm->board->settings.stall_ms * STOP_STALLS_MAX;

	if (place->stopped || kill((pid_t)pid_of(storm, slot), SIGSTOP) != 0)
		return;
	place->stopped = true;
	place->since_ns = monotonic_ns();
	place->resume_ns = place->since_ns + (1 + random_below(&storm->random, most)) * NS_PER_MS;
	storm->counts->stops++;
}

/* The keeper is the supervisor's child; one that is dead already and not yet buried counts once. */
static void kill_keeper(struct storm *storm)
{
	pid_t keeper = server_keeper(&storm->board->server);

	if (keeper == 0 || keeper == storm->last_keeper || kill(keeper, SIGKILL) != 0)
		return;
	storm->last_keeper = keeper;
	storm->counts->keeper_kills++;
}

static void strike(struct storm *storm)
{
	/* The first slots are hit more often, so that some clients live long. */
	uint32_t a = random_below(&storm->random, SLOTS), b = random_below(&storm->random, SLOTS);
	uint32_t slot = a < b ? a : b, share = random_below(&storm->random, 1000);

	if (share < KEEPER_SHARE)
		kill_keeper(storm);
	else if (pid_of(storm, slot) == 0)
		return;
	else if (share < KEEPER_SHARE + STOP_SHARE)
		stop(storm, slot);
	else
		storm->places[slot].killed = kill((pid_t)pid_of(storm, slot), SIGKILL) == 0;
}

static void strike_due(struct storm *storm)
{
	uint64_t now_ns = monotonic_ns();

	while (now_ns >= storm->event_ns) {
		strike(storm);
		storm->event_ns += (1 + random_below(&storm->random, 2 * EVENT_US_MEAN)) * UINT64_C(1000);
		if (storm->event_ns + 100 * NS_PER_MS < now_ns)
			storm->event_ns = now_ns; /* we were held up ourselves */
	}
}

static void watch(struct storm *storm)
{
	struct moment moment = { .now_ns = monotonic_ns(), .keeper_kills = (uint32_t)storm->counts->keeper_kills };

	if (moment.now_ns < storm->watch_ns)
		return;
	storm->late_ns += storm->watch_ns ? moment.now_ns - storm->watch_ns : 0;
	storm->watch_ns = moment.now_ns + WATCH_MS * NS_PER_MS;
	moment.late_ns = storm->late_ns;
	watch_larderd(&storm->larderd, &storm->board->server, &moment);
	for (uint32_t actor = 0; actor < ACTORS; actor++) {
		const struct place *place = &storm->places[actor / SLOT_THREADS];

		moment.pid = pid_of(storm, actor / SLOT_THREADS);
		moment.stopped_ns = place->stopped_ns;
		if (actor_exists(actor) && moment.pid != 0 && !place->stopped && !place->killed)
			watch_actor(&storm->watches[actor], storm->board, actor, &moment, &storm->counts->longest);
	}
}

static void pause_until_next(const struct storm *storm)
{
	struct timespec pause = { 0, NS_PER_MS };
	uint64_t now_ns = monotonic_ns();

	if (storm->event_ns < now_ns + NS_PER_MS)
		pause.tv_nsec = storm->event_ns > now_ns ? (long)(storm->event_ns - now_ns) : 0;
	nanosleep(&pause, NULL);
}

static bool failed(const struct storm *storm)
{
	return load_acquire(&storm->board->failure_count) != 0;
}

static void end(struct storm *storm)
{
	struct patience patience = patience_start(END_MS);

	store_release(&storm->board->stop, 1);
	for (uint32_t slot = 0; slot < SLOTS; slot++)
		if (storm->places[slot].stopped)
			resume(storm, slot);
	while (reap(storm) > 0 && !failed(storm))
		if (!patience_left(patience)) {
			board_fail(storm->board, VERDICT_HANG, &(struct culprit){ 0, NULL, 0, NULL },
			           "clients do not end within %d ms", END_MS);
			break;
		}
}

/* What they were about when something was found wrong shall be seen. */
static void freeze(struct storm *storm)
{
	for (uint32_t slot = 0; slot < SLOTS; slot++)
		if (pid_of(storm, slot) != 0)
			kill((pid_t)pid_of(storm, slot), SIGSTOP);
}

void storm_run(struct board *board, struct storm_counts *ret_counts)
{
	struct storm storm = { .board = board, .counts = ret_counts, .random = board_random(board, 0, 0) };
	uint64_t end_ms = monotonic_ms() + board->settings.seconds * UINT64_C(1000);

	*ret_counts = (struct storm_counts){ 0 };
	/* Inherited clients become our children when the process that forked them ends. */
	expect(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	storm.steward = fork_process();
	if (storm.steward == 0)
		steward_run(board);
	storm.event_ns = monotonic_ns();
	while (monotonic_ms() < end_ms && !failed(&storm)) {
		expect(server_alive(&board->server));
		reap(&storm);
		for (uint32_t slot = 0; slot < SLOTS; slot++)
			if (pid_of(&storm, slot) == 0)
				fill(&storm, slot);
		resume_due(&storm);
		strike_due(&storm);
		watch(&storm);
		pause_until_next(&storm);
	}
	end(&storm);
	if (failed(&storm))
		freeze(&storm);
}

void storm_bury(struct board *board)
{
	for (uint32_t slot = 0; slot < SLOTS; slot++) {
		pid_t pid = (pid_t)load_acquire(&board->slots[slot].pid);

		if (pid != 0 && kill(pid, SIGKILL) == 0)
			waitpid(pid, NULL, 0);
	}
}
