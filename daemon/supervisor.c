/* SPDX-License-Identifier: MIT */
/*
 * The supervisor makes the arena and the listening socket, forks the keeper, and waits. It parses nothing that a client
 * sent and never looks into the arena, so that there is little in it that could fail; what does fail is the keeper,
 * which is forked anew. A new keeper gets by the fork all that the old one had: the writable mapping of the arena (in
 * read-only mode the seal keeps everybody from making another), the socket, and the descriptors of each client.
 */
#include "daemon/supervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "daemon/debt.h"
#include "daemon/estate.h"
#include "daemon/keeper.h"
#include "daemon/log.h"
#include "daemon/message.h"
#include "daemon/notify.h"
#include "daemon/owner.h"
#include "daemon/quantity.h"
#include "daemon/upgrade.h"
#include "daemon/vault.h"
#include "larder.h"

#define SPARE_FDS 64        /* of the limit, kept for everything but clients */
#define EARLY_DEATH_MS 5000 /* a keeper that dies younger may have died of how it found things */
#define EARLY_FAULTS_MAX 8  /* in a row, not counting those that somebody killed; then we give up */
#define RESTART_MS 20       /* before the second try; doubled for each further one, up to */
#define RESTART_MS_MAX 1280
#define STOP_MS 5000         /* for a keeper that was asked to end */
#define MESSAGES_PER_TURN 64 /* then signals have their turn */
#define NEVER UINT64_MAX

struct supervisor {
	const struct supervisor_start *start;
	struct config config;
	struct estate estate;
	struct debt *debts;
	int signal_fd;
	int ready_fd;

	pid_t keeper;                        /* 0: none at the moment */
	int keeper_fd;                       /* our end of the socket pair; -1: none */
	uint64_t since_ms;                   /* when the keeper was forked */
	bool ready;                          /* it came as far as to serve clients */
	uint32_t early_deaths, early_faults; /* in a row */
	uint64_t fork_ms;                    /* when to fork the next one, or NEVER */
	uint64_t kill_ms;                    /* when to kill one that was asked to end, or NEVER */
	uint64_t ping_ms;                    /* when to ask for the next sign of life, or NEVER */
	uint32_t watchdog_ms;
	struct trial trial; /* of the program that is to take over */
	bool upgrading;     /* when the keeper has ended it takes over */
	bool announced;
	bool stopping;
	bool ended;
	int status;
};

/* ---- the keeper -------------------------------------------------------------------------------------------------- */

static _Noreturn void become_keeper(struct supervisor *supervisor, pid_t parent, int keeper_end)
{
	const struct keeper_start start = { .arena = &supervisor->estate.holding.arena,
		                            .config = &supervisor->config,
		                            .vault = &supervisor->estate.vault,
		                            .debts = supervisor->debts,
		                            .arena_fd = supervisor->estate.holding.arena_fd,
		                            .wake_fd = supervisor->estate.holding.wake_fd,
		                            .crowded = supervisor->estate.holding.crowded,
		                            .listener_fd = supervisor->estate.listener.fd,
		                            .supervisor_fd = keeper_end };

	/* Without a supervisor nobody would restart us, and a new one must not find us at work. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(STATUS_FAILURE);
	fdstore_await_keeper(&supervisor->estate.store);
	close(supervisor->signal_fd);
	close(supervisor->keeper_fd);
	/* The locks are kept: they tell the next larderd when we are gone. */
	if (supervisor->ready_fd >= 0)
		close(supervisor->ready_fd);
	if (supervisor->trial.child)
		close(supervisor->trial.note_fd);
	_exit(keeper_run(&start));
}

static void fork_keeper(struct supervisor *supervisor)
{
	pid_t parent = getpid(), child;
	int pair[2];

	supervisor->fork_ms = NEVER;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		log_error("cannot make a socket pair: %s", strerror(errno));
		supervisor->fork_ms = monotonic_ms() + EARLY_DEATH_MS;
		return;
	}
	supervisor->keeper_fd = pair[0];
	supervisor->since_ms = monotonic_ms();
	supervisor->ready = false;
	child = fork();
	if (child == 0)
		become_keeper(supervisor, parent, pair[1]);
	close(pair[1]);
	if (child < 0) {
		log_error("cannot fork the keeper: %s", strerror(errno));
		close(pair[0]);
		supervisor->keeper_fd = -1;
		supervisor->fork_ms = monotonic_ms() + EARLY_DEATH_MS;
		return;
	}
	supervisor->keeper = child;
	failpoint_next_keeper();
}

static void announce(struct supervisor *supervisor)
{
	const struct arena *arena = &supervisor->estate.holding.arena;
	char size[QUANTITY_TEXT_MAX], pages[QUANTITY_TEXT_MAX];

	quantity_format_bytes((uint64_t)arena_segment_target(arena) << arena->segment_shift, size);
	quantity_format_bytes(supervisor->estate.holding.page_bytes, pages);
	log_info("serving %s: an arena of %s in pages of %s, %s", supervisor->estate.listener.path, size, pages,
	         supervisor->config.access ? "read-only" : "shared-write");
	notify_send("READY=1\nSTATUS=arena of %s in pages of %s", size, pages);
	if (supervisor->ready_fd >= 0) {
		if (write(supervisor->ready_fd, "\n", 1) != 1)
			log_warning("nobody reads --ready-fd: %s", strerror(errno));
		close(supervisor->ready_fd);
		supervisor->ready_fd = -1;
	}
	supervisor->announced = true;
}

static void keep_client(struct supervisor *supervisor, struct vault_message *message, const int *fds, int fd_count)
{
	struct vault_client client = { .id = message->id };

	message->kind = VAULT_KEPT;
	message->result = -EMFILE; /* what the kernel could not install is missing */
	if (fd_count == VAULT_FDS) {
		memcpy(client.fds, fds, sizeof client.fds);
		message->result = vault_put(&supervisor->estate.vault, &client);
	}
	if (message->result)
		message_close(fds, fd_count);
	else
		message->result = fdstore_keep(&supervisor->estate.store, &client);
	if (message->result)
		vault_drop(&supervisor->estate.vault, client.id);
	/*
	 * There is always room for this, see DEPOSITS_MAX. A keeper that cannot be told has died, its client is not
	 * let in.
	 */
	message_send(supervisor->keeper_fd, message, sizeof *message, NULL, 0);
}

/* Reads what the keeper sent. False: there is no more. */
static bool hear_keeper(struct supervisor *supervisor)
{
	struct vault_message message;
	int fds[MESSAGE_FDS_MAX], fd_count = 0;
	ssize_t size = message_receive(supervisor->keeper_fd, &message, sizeof message, fds, &fd_count);

	if (size < 0)
		return false;
	if (size != sizeof message) {
		message_close(fds, fd_count);
		return false;
	}
	if (message.kind == VAULT_KEEP) {
		keep_client(supervisor, &message, fds, fd_count);
		return true;
	}
	message_close(fds, fd_count);
	if (message.kind == VAULT_FORGET) {
		fdstore_forget(&supervisor->estate.store, message.id);
		vault_drop(&supervisor->estate.vault, message.id);
	} else if (message.kind == VAULT_READY) {
		supervisor->ready = true;
		if (!supervisor->announced)
			announce(supervisor);
	} else if (message.kind == VAULT_PONG) {
		notify_send("WATCHDOG=1");
	}
	return true;
}

static void log_death(const struct supervisor *supervisor, int status)
{
	if (WIFSIGNALED(status))
		log_error("keeper %d was killed by signal %d (%s)%s", (int)supervisor->keeper, WTERMSIG(status),
		          strsignal(WTERMSIG(status)), WCOREDUMP(status) ? " and dumped core" : "");
	else
		log_error("keeper %d ended with status %d", (int)supervisor->keeper, WEXITSTATUS(status));
}

/*
 * A keeper that worked and was killed was killed by somebody, and the next is started at once. One that dies soon after its
 * start is tried again less and less eagerly. If it was killed (for want of memory, say) that is all, since this may
 * end; but one that fails by itself is given up in the end: what it chokes on will not go away.
 */
static void plan_restart(struct supervisor *supervisor, int status)
{
	uint64_t now_ms = monotonic_ms(), pause_ms = 0;
	bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;

	if (now_ms - supervisor->since_ms >= EARLY_DEATH_MS || (killed && supervisor->ready)) {
		supervisor->early_deaths = supervisor->early_faults = 0;
		supervisor->fork_ms = now_ms;
		return;
	}
	supervisor->early_deaths++;
	supervisor->early_faults += !killed;
	if (supervisor->early_faults < EARLY_FAULTS_MAX) {
		for (uint32_t i = 1; i < supervisor->early_deaths && pause_ms < RESTART_MS_MAX; i++)
			pause_ms = pause_ms ? pause_ms * 2 : RESTART_MS;
		if (pause_ms)
			log_warning("%" PRIu32 " keepers died right after their start; the next one starts in %" PRIu64
			            " ms",
			            supervisor->early_deaths, pause_ms);
		supervisor->fork_ms = now_ms + pause_ms;
		return;
	}
	log_error("the keeper failed %d times right after its start; giving up, and giving up the arena",
	          EARLY_FAULTS_MAX);
	fdstore_clear(&supervisor->estate.store, &supervisor->estate.vault);
	holding_abandon(&supervisor->config);
	supervisor->status = STATUS_FAILURE;
	supervisor->ended = true;
}

static void close_keeper(struct supervisor *supervisor)
{
	if (supervisor->keeper_fd >= 0)
		close(supervisor->keeper_fd);
	supervisor->keeper_fd = -1;
}

/* ---- upgrade ----------------------------------------------------------------------------------------------------- */

static void begin_upgrade(struct supervisor *supervisor)
{
	const struct handover held = estate_lend(&supervisor->estate);
	int result;

	if (supervisor->stopping || supervisor->upgrading || supervisor->trial.child)
		return;
	if (supervisor->config.access != LARDER_SHARED_WRITE) {
		log_error("no upgrade in read-only mode: the seal keeps any new program from mapping the arena "
		          "writable; restart larderd, which begins with an empty arena");
		return;
	}
	if (!supervisor->announced) {
		log_error("no upgrade before clients are served; send SIGUSR2 again");
		return;
	}
	result = upgrade_try(&supervisor->start->program, &held, &supervisor->trial);
	if (result)
		log_error("no upgrade: cannot try the new program: %s", strerror(-result));
}

/* Clients that are just being let in are let in yet, the next ones wait in the socket's queue. */
static void drain_keeper(struct supervisor *supervisor)
{
	const struct vault_message drain = { .kind = VAULT_DRAIN };

	if (message_send(supervisor->keeper_fd, &drain, sizeof drain, NULL, 0))
		kill(supervisor->keeper, SIGTERM);
	supervisor->kill_ms = monotonic_ms() + STOP_MS;
}

/* The new program takes over. When it cannot be executed, we go on. */
static void take_over(struct supervisor *supervisor)
{
	const struct handover held = estate_lend(&supervisor->estate);
	int result = upgrade_execute(&supervisor->start->program, &held);

	log_error("no upgrade: cannot run %s: %s; going on as before", supervisor->start->program.path,
	          strerror(-result));
	supervisor->upgrading = false;
	supervisor->fork_ms = monotonic_ms();
}

static void end_trial(struct supervisor *supervisor)
{
	struct fault fault = { "" };
	int status;

	if (supervisor->trial.child == 0 ||
	    waitpid(supervisor->trial.child, &status, WNOHANG) != supervisor->trial.child)
		return;
	if (upgrade_judge(&supervisor->trial, status, &fault)) {
		log_error("no upgrade: %s; going on as before", fault.text);
		return;
	}
	if (supervisor->stopping)
		return;
	log_info("upgrading: %s takes over", supervisor->start->program.path);
	supervisor->upgrading = true;
	if (supervisor->keeper)
		drain_keeper(supervisor);
	else
		take_over(supervisor);
}

/* ---- the end of a keeper ----------------------------------------------------------------------------------------- */

static void bury_keeper(struct supervisor *supervisor)
{
	int status;

	if (supervisor->keeper == 0 || waitpid(supervisor->keeper, &status, WNOHANG) != supervisor->keeper)
		return;
	/* It may have sent descriptors before it died, and told a client that it is let in. */
	while (hear_keeper(supervisor))
		;
	close_keeper(supervisor);
	supervisor->kill_ms = NEVER;
	if (supervisor->stopping) {
		supervisor->ended = true;
	} else if (supervisor->upgrading) {
		take_over(supervisor);
	} else {
		log_death(supervisor, status);
		plan_restart(supervisor, status);
	}
	supervisor->keeper = 0;
}

/* ---- what we are told to do -------------------------------------------------------------------------------------- */

static void stop(struct supervisor *supervisor)
{
	if (supervisor->stopping)
		return;
	supervisor->stopping = true;
	notify_send("STOPPING=1");
	log_info("stopping");
	if (supervisor->keeper == 0) {
		supervisor->ended = true;
		return;
	}
	kill(supervisor->keeper, SIGTERM);
	supervisor->kill_ms = monotonic_ms() + STOP_MS;
}

/* Each client costs VAULT_FDS descriptors here and in the keeper. */
static void fit_descriptors(struct config *config)
{
	struct rlimit limit;
	uint64_t room;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	room = limit.rlim_cur > SPARE_FDS ? (limit.rlim_cur - SPARE_FDS) / VAULT_FDS : 1;
	if (room < config->max_clients) {
		log_warning("max_clients is %" PRIu64 " instead of %" PRIu64 ": the limit of %" PRIu64 " descriptors "
		            "allows no more (LimitNOFILE= or ulimit -n)",
		            room, config->max_clients, (uint64_t)limit.rlim_cur);
		config->max_clients = room;
	}
}

static void apply_config(struct supervisor *supervisor)
{
	log_set_level((enum log_level)(LOG_ERROR + supervisor->config.log_level));
	fit_descriptors(&supervisor->config);
}

static void reload(struct supervisor *supervisor)
{
	struct vault_message message = { .kind = VAULT_CONFIG };
	struct config next;
	struct fault fault = { "" };
	const char *waiting;

	notify_reloading();
	if (supervisor->start->reload(supervisor->start->context, &next, &fault)) {
		log_error("%s; the configuration stays as it was", fault.text);
	} else {
		waiting = config_update(&supervisor->config, &next);
		if (waiting)
			log_warning("a new value of %s needs a restart; the old one stays in force", waiting);
		apply_config(supervisor);
		message.config = supervisor->config;
		if (supervisor->keeper_fd >= 0 &&
		    message_send(supervisor->keeper_fd, &message, sizeof message, NULL, 0))
			log_error("the keeper does not take the new configuration; send SIGHUP again");
		else
			log_info("configuration read anew");
	}
	notify_send("READY=1");
}

static void hear_signal(struct supervisor *supervisor)
{
	struct signalfd_siginfo info;

	while (read(supervisor->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo == SIGCHLD) {
			bury_keeper(supervisor);
			end_trial(supervisor);
		} else if (info.ssi_signo == SIGHUP)
			reload(supervisor);
		else if (info.ssi_signo == SIGUSR2)
			begin_upgrade(supervisor);
		else
			stop(supervisor);
	}
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

/* Does what is due and returns in how many milliseconds the next thing is; -1: nothing is planned. */
static int keep_time(struct supervisor *supervisor)
{
	const struct vault_message ping = { .kind = VAULT_PING };
	uint64_t now_ms = monotonic_ms(), next_ms;

	if (now_ms >= supervisor->fork_ms && !supervisor->stopping)
		fork_keeper(supervisor);
	if (now_ms >= supervisor->kill_ms) {
		log_warning("the keeper does not end; killing it");
		kill(supervisor->keeper, SIGKILL);
		supervisor->kill_ms = NEVER;
	}
	if (now_ms >= supervisor->ping_ms) {
		if (supervisor->keeper_fd >= 0)
			message_send(supervisor->keeper_fd, &ping, sizeof ping, NULL, 0);
		supervisor->ping_ms = now_ms + supervisor->watchdog_ms / 2;
	}
	if (supervisor->trial.child && now_ms >= supervisor->trial.until_ms) {
		log_warning("the new larderd does not come to an end of its trial; killing it");
		kill(supervisor->trial.child, SIGKILL);
		supervisor->trial.until_ms = NEVER;
	}
	next_ms = supervisor->trial.child ? supervisor->trial.until_ms : NEVER;
	next_ms = supervisor->fork_ms < next_ms ? supervisor->fork_ms : next_ms;
	next_ms = supervisor->kill_ms < next_ms ? supervisor->kill_ms : next_ms;
	next_ms = supervisor->ping_ms < next_ms ? supervisor->ping_ms : next_ms;
	if (next_ms == NEVER)
		return -1;
	now_ms = monotonic_ms();
	return next_ms > now_ms ? (int)(next_ms - now_ms) : 0;
}

static void loop(struct supervisor *supervisor)
{
	while (!supervisor->ended) {
		int timeout = keep_time(supervisor);
		struct pollfd wait[] = { { .fd = supervisor->signal_fd, .events = POLLIN },
			                 { .fd = supervisor->keeper_fd, .events = POLLIN } };

		if (poll(wait, 2, timeout) < 0 && errno != EINTR) {
			log_error("poll: %s", strerror(errno));
			supervisor->status = STATUS_FAILURE;
			break;
		}
		if (wait[1].revents & POLLIN)
			for (int i = 0; i < MESSAGES_PER_TURN && hear_keeper(supervisor); i++)
				;
		else if (wait[1].revents)
			close_keeper(supervisor); /* its death is about to be reported */
		if (wait[0].revents)
			hear_signal(supervisor);
	}
}

/* ---- beginning and end ------------------------------------------------------------------------------------------- */

static int open_signals(struct fault *fault)
{
	sigset_t signals;
	int fd;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGUSR2);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN); /* of a lease that somebody breaks, arena_file_sole */
	fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? fault_set(fault, -errno, "cannot make a signalfd: %s", strerror(errno)) : fd;
}

static int open_all(struct supervisor *supervisor, struct fault *fault)
{
	int result;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	supervisor->signal_fd = open_signals(fault);
	if (supervisor->signal_fd < 0)
		return supervisor->signal_fd;
	supervisor->debts = debt_book();
	if (!supervisor->debts)
		return fault_set(fault, -ENOMEM, "out of memory");
	result = estate_open(&supervisor->config, &supervisor->estate, fault);
	if (result)
		return result;
	result = owner_sign(supervisor->estate.holding.arena.header);
	return result ? fault_set(fault, result, "cannot sign the arena: %s", strerror(-result)) : 0;
}

int supervisor_run(const struct supervisor_start *start)
{
	struct supervisor supervisor = { .start = start,
		                         .config = start->config,
		                         .estate = ESTATE_NONE,
		                         .signal_fd = -1,
		                         .ready_fd = start->ready_fd,
		                         .keeper_fd = -1,
		                         .fork_ms = 0,
		                         .kill_ms = NEVER,
		                         .ping_ms = NEVER,
		                         .watchdog_ms = notify_watchdog_ms() };
	struct fault fault = { "" };
	int result;

	apply_config(&supervisor);
	if (supervisor.watchdog_ms)
		supervisor.ping_ms = 0;
	result = open_all(&supervisor, &fault);
	if (result) {
		log_error("%s", fault.text);
		supervisor.status = result == -EACCES || result == -EPERM ? STATUS_PERMISSION : STATUS_FAILURE;
	} else {
		loop(&supervisor);
	}
	estate_close(&supervisor.estate, &supervisor.config);
	return supervisor.status;
}
