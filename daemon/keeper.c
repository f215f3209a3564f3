/* SPDX-License-Identifier: MIT */
#include "daemon/keeper.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/arena_file.h"
#include "base/failpoint.h"
#include "daemon/connection.h"
#include "daemon/log.h"
#include "daemon/message.h"
#include "daemon/owner.h"
#include "daemon/request.h"
#include "daemon/waker.h"

#define ACCEPTS_PER_TURN 16
#define ACCEPT_PAUSE_MS 100 /* when the host has no descriptors left */
#define RETRY_MS 5          /* between two tries of what waits for memory, or for the supervisor */
#define DRAIN_MS 1000       /* for clients that are being let in when we are told to end */
#define ASK_ALL_MS 50       /* between two rounds of questions while memory is held up; doubled each time, up to */
#define ASK_ALL_MS_MAX 3200
#define CROWDED_MS 20 /* between two looks whether unknown users of the arena are gone */

static struct timeval delay_of(uint64_t us)
{
	return (struct timeval){ (time_t)(us / 1000000), (suseconds_t)(us % 1000000) };
}

static uint64_t monotonic_us(void)
{
	return monotonic_ns() / 1000;
}

void keeper_fail(struct keeper *keeper)
{
	keeper->failed = true;
	event_base_loopbreak(keeper->loop);
}

/* ---- house-keeping ----------------------------------------------------------------------------------------------- */

static void plan_tick(struct keeper *keeper, uint64_t in_us)
{
	const struct timeval delay = delay_of(in_us);

	keeper->tick_us = monotonic_us() + in_us;
	evtimer_add(&keeper->tick, &delay);
}

/* Never puts the tick off. */
static void plan_earlier_tick(struct keeper *keeper, uint64_t in_us)
{
	if (monotonic_us() + in_us < keeper->tick_us)
		plan_tick(keeper, in_us);
}

void keeper_return_soon(struct keeper *keeper)
{
	plan_earlier_tick(keeper, RETRY_MS * 1000);
}

/* While there are users of whom we know nothing, no memory may be reused. */
static bool still_crowded(struct keeper *keeper)
{
	if (keeper->crowded && arena_file_sole(keeper->arena_fd) > 0) {
		log_info("the processes of the earlier larderd are gone; memory is reused again");
		keeper->crowded = false;
	}
	return keeper->crowded;
}

int keeper_resize(struct keeper *keeper, const struct peer *peer, uint64_t bytes, int64_t *ret_bytes)
{
	struct fault fault = { "" };
	uint64_t given = 0;
	int result;

	if (peer_owns(peer))
		result = resize_want(reclaim_resize(keeper->reclaim), bytes, &given, &fault);
	else
		result = fault_set(&fault, -EPERM, "only root and the user of larderd may");
	if (result)
		log_provoked(LOG_NOTICE, "refused another size to process %d of user %u: %s", (int)peer->pid,
		             (unsigned int)peer->uid, fault.text);
	*ret_bytes = (int64_t)given;
	keeper_return_soon(keeper);
	return result;
}

uint32_t keeper_tenant_of(const struct keeper *keeper, int socket, const struct peer *peer)
{
	return tenants_number_of(reclaim_tenants(keeper->reclaim), peer_quota(socket, peer, &keeper->config.quota));
}

int keeper_write(struct keeper *keeper, uint32_t tenant, const struct write_request *request,
                 struct write_result *ret_result)
{
	/* By the keeper's own control page: what the client's says is the client's word. */
	store_relaxed(&keeper->cache.control.page->tenant, tenant);
	return cache_write(&keeper->thread, request, ret_result);
}

int keeper_write_now(struct keeper *keeper, uint32_t tenant, const struct write_request *request,
                     struct write_result *ret_result)
{
	int result = keeper_write(keeper, tenant, request, ret_result);

	if (result != -EAGAIN)
		return result;
	keeper_make_room(keeper);
	return keeper_write(keeper, tenant, request, ret_result);
}

/* Return: in how many microseconds to come again. */
static uint64_t run_reclaim(struct keeper *keeper)
{
	uint64_t began_us = monotonic_us(), ended_us;
	bool crowded = still_crowded(keeper);
	uint32_t next_ms = crowded ? CROWDED_MS : reclaim_run(keeper->reclaim);

	ended_us = monotonic_us();
	pace_note(&keeper->pace, began_us, ended_us, !crowded && reclaim_gained(keeper->reclaim));
	return next_ms == RECLAIM_WAITING_MS ? pace_left_us(&keeper->pace, ended_us) : (uint64_t)next_ms * 1000;
}

void keeper_make_room(struct keeper *keeper)
{
	if (pace_left_us(&keeper->pace, monotonic_us()) == 0)
		plan_earlier_tick(keeper, run_reclaim(keeper));
}

/* While memory is held up, asks the clients now and then whether they are still there. */
static void ask_clients(struct keeper *keeper)
{
	if (!reclaim_held_up(keeper->reclaim)) {
		keeper->ask_all_ms = ASK_ALL_MS;
		keeper->asked_ms = 0;
		return;
	}
	if (monotonic_ms() - keeper->asked_ms < keeper->ask_all_ms)
		return;
	if (keeper->asked_ms && keeper->ask_all_ms < ASK_ALL_MS_MAX)
		keeper->ask_all_ms *= 2;
	keeper->asked_ms = monotonic_ms();
	connection_ask_all(keeper);
}

static void on_tick(evutil_socket_t fd, short events, void *context)
{
	struct keeper *keeper = context;

	(void)fd, (void)events;
	plan_tick(keeper, run_reclaim(keeper));
	ask_clients(keeper);
	owner_restore(keeper->cache.arena.header);
	connection_retry_deferred(keeper);
	connection_deposit_more(keeper);
	if (!TAILQ_EMPTY(&keeper->deferred) || !TAILQ_EMPTY(&keeper->undeposited) || keeper->drain_ms)
		keeper_return_soon(keeper);
	if (keeper->drain_ms && (connection_none_waits(keeper) || monotonic_ms() >= keeper->drain_ms))
		event_base_loopbreak(keeper->loop);
	event_add(&keeper->wake, NULL);
}

static void on_wake(evutil_socket_t fd, short events, void *context)
{
	struct keeper *keeper = context;
	uint32_t left_us = pace_left_us(&keeper->pace, monotonic_us());
	uint64_t count;

	(void)events;
	if (read(fd, &count, sizeof count) < 0)
		return; /* another wake-up was quicker */
	if (left_us == 0) {
		on_tick(-1, 0, keeper);
		return;
	}
	event_del(&keeper->wake); /* until the tick */
	plan_earlier_tick(keeper, left_us);
}

/* ---- the outside ------------------------------------------------------------------------------------------------- */

static void on_accept(evutil_socket_t fd, short events, void *context)
{
	struct keeper *keeper = context;
	const struct timeval pause = delay_of(ACCEPT_PAUSE_MS * 1000);

	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int socket = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (socket >= 0) {
			connection_accept(keeper, socket);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			log_provoked(LOG_ERROR, "cannot accept a client: %s", strerror(errno));
			event_del(&keeper->listener); /* it stays readable: do not spin */
			evtimer_add(&keeper->pause, &pause);
		}
		return;
	}
}

static void on_pause_over(evutil_socket_t fd, short events, void *context)
{
	struct keeper *keeper = context;

	(void)fd, (void)events;
	event_add(&keeper->listener, NULL);
}

static void drain(struct keeper *keeper)
{
	event_del(&keeper->listener);
	event_del(&keeper->pause);
	keeper->drain_ms = monotonic_ms() + DRAIN_MS;
	keeper_return_soon(keeper);
}

static void on_supervisor(evutil_socket_t fd, short events, void *context)
{
	struct keeper *keeper = context;
	struct vault_message message;
	int fds[MESSAGE_FDS_MAX], count = 0;
	ssize_t size = message_receive(fd, &message, sizeof message, fds, &count);

	(void)events;
	if (size == -EAGAIN)
		return;
	message_close(fds, count);
	if (size != sizeof message) {
		keeper_fail(keeper); /* the supervisor is gone */
		return;
	}
	switch (message.kind) {
	case VAULT_KEPT:
		connection_kept(keeper, message.id, message.result);
		break;
	case VAULT_CONFIG:
		keeper->config = message.config;
		log_set_level((enum log_level)(LOG_ERROR + keeper->config.log_level));
		reclaim_set_stall(keeper->reclaim, (uint32_t)keeper->config.stall_ms);
		reclaim_set_policy(keeper->reclaim, policy_of(keeper->config.eviction));
		resize_configure(reclaim_resize(keeper->reclaim), keeper->config.size);
		tenants_configure(reclaim_tenants(keeper->reclaim), &keeper->config.quota);
		connection_assign_all(keeper);
		keeper_return_soon(keeper);
		break;
	case VAULT_PING:
		message.kind = VAULT_PONG;
		message_send(fd, &message, sizeof message, NULL, 0);
		break;
	case VAULT_DRAIN:
		drain(keeper);
		break;
	default:
		break;
	}
}

static void on_signal(evutil_socket_t fd, short events, void *context)
{
	struct keeper *keeper = context;

	(void)fd, (void)events;
	event_base_loopbreak(keeper->loop);
}

/* ---- beginning and end ------------------------------------------------------------------------------------------- */

static int watch(struct keeper *keeper, struct event *event, int fd, event_callback_fn callback)
{
	return event_assign(event, keeper->loop, fd, EV_READ | EV_PERSIST, callback, keeper) || event_add(event, NULL)
	               ? -ENOMEM
	               : 0;
}

static int open_loop(struct keeper *keeper)
{
	struct event_config *config;
	sigset_t end;

	sigemptyset(&end);
	sigaddset(&end, SIGTERM); /* blocked since before the fork */
	keeper->signal_fd = signalfd(-1, &end, SFD_CLOEXEC | SFD_NONBLOCK);
	if (keeper->signal_fd < 0)
		return -errno;
	config = event_config_new();
	if (!config)
		return -ENOMEM;
	/* Memory is waited for in steps of less than a millisecond; a look may take as long, and the pause begins only then. */
	event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
	event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME);
	keeper->loop = event_base_new_with_config(config);
	event_config_free(config);
	if (!keeper->loop)
		return -ENOMEM;
	evtimer_assign(&keeper->tick, keeper->loop, on_tick, keeper);
	evtimer_assign(&keeper->pause, keeper->loop, on_pause_over, keeper);
	if (watch(keeper, &keeper->signal, keeper->signal_fd, on_signal) ||
	    watch(keeper, &keeper->supervisor, keeper->supervisor_fd, on_supervisor) ||
	    watch(keeper, &keeper->wake, keeper->wake_fd, on_wake) ||
	    watch(keeper, &keeper->listener, keeper->listener_fd, on_accept))
		return -ENOMEM;
	return 0;
}

/* The keeper writes, too, for clients that may not: it has a control page like they have. */
static int open_cache(struct keeper *keeper, const struct arena *arena, struct fault *fault)
{
	int control_fd = control_create(arena->segment_count, 0);
	int result;

	if (control_fd < 0)
		return fault_set(fault, control_fd, "cannot make a control page: %s", strerror(-control_fd));
	/* It must not wait for memory, which only it can make. */
	result = cache_adopt(&keeper->cache, arena, control_fd, 0, fault);
	close(control_fd);
	if (result == 0)
		result = cache_thread_start(&keeper->cache, &keeper->thread);
	if (result)
		return result;
	keeper->message = malloc(REQUEST_MESSAGE_MAX);
	keeper->payload = mmap(NULL, request_payload_max(arena), PROT_READ | PROT_WRITE,
	                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	/* What is large goes back to the system when it is freed: else large requests that were set aside once would stay with us. */
	mallopt(M_MMAP_THRESHOLD, PAYLOAD_KEPT);
	keeper->reclaim = reclaim_create(&keeper->thread, (uint32_t)keeper->config.stall_ms);
	if (!keeper->message || keeper->payload == MAP_FAILED || !keeper->reclaim)
		return fault_set(fault, -ENOMEM, "out of memory");
	reclaim_set_policy(keeper->reclaim, policy_of(keeper->config.eviction));
	resize_set_memory(reclaim_resize(keeper->reclaim), keeper->arena_fd);
	resize_configure(reclaim_resize(keeper->reclaim), keeper->config.size);
	tenants_configure(reclaim_tenants(keeper->reclaim), &keeper->config.quota);
	return waker_start(&arena->header->wake_sequence, keeper->wake_fd, PACE_SHORTEST_US);
}

static int resume_clients(struct keeper *keeper, const struct vault *vault, struct fault *fault)
{
	keeper->next_id = vault->next_id ? vault->next_id : 1;
	for (uint32_t i = 0; i < vault->count; i++) {
		int result = connection_resume(keeper, &vault->clients[i]);

		if (result)
			return fault_set(fault, result, "cannot go on with client %" PRIu64 ": %s",
			                 vault->clients[i].id, strerror(-result));
	}
	keeper->resumed = true;
	connection_publish_count(keeper);
	return 0;
}

int keeper_run(const struct keeper_start *start)
{
	struct vault_message ready = { .kind = VAULT_READY };
	struct keeper keeper = { .config = *start->config,
		                 .debts = start->debts,
		                 .crowded = start->crowded,
		                 .arena_fd = start->arena_fd,
		                 .wake_fd = start->wake_fd,
		                 .listener_fd = start->listener_fd,
		                 .supervisor_fd = start->supervisor_fd };
	struct fault fault = { "" };
	int result;

	log_open("larderd: keeper");
	prctl(PR_SET_NAME, "larderd: keeper");
	failpoint_arm();
	LIST_INIT(&keeper.connections);
	TAILQ_INIT(&keeper.deferred);
	TAILQ_INIT(&keeper.undeposited);
	result = open_loop(&keeper);
	if (result == 0)
		result = open_cache(&keeper, start->arena, &fault);
	if (result == 0)
		result = resume_clients(&keeper, start->vault, &fault);
	if (result) {
		log_error("%s", fault.text[0] ? fault.text : strerror(-result));
		return EXIT_FAILURE;
	}
	if (start->vault->count)
		log_info("going on with %" PRIu32 " clients", start->vault->count);
	on_tick(-1, 0, &keeper);
	failpoint("keeper.ready");
	if (message_send(keeper.supervisor_fd, &ready, sizeof ready, NULL, 0) || event_base_dispatch(keeper.loop) < 0)
		return EXIT_FAILURE;
	return keeper.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
