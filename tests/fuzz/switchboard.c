/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/switchboard.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/connection.h"
#include "daemon/log.h"
#include "daemon/message.h"
#include "daemon/peer.h"
#include "daemon/request.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/guarded.h"

#define ARENA_BYTES (UINT64_C(1) << 20)
#define LINES_MAX 256

static struct switchboard board;
static unsigned char *image; /* of the arena when nobody had called */

/* ---- who calls ----------------------------------------------------------------------------------------------------- */

/* By the number of the keeper's end: what its kernel would know of the other one, also when that is gone. */
static struct line {
	int death; /* the eventfd of the caller, or 0 */
	bool stranger;
} lines[LINES_MAX];

static void set_line(int socket, int death, bool stranger)
{
	FUZZ_EXPECT(socket < LINES_MAX);
	if (lines[socket].death > 0)
		close(lines[socket].death);
	lines[socket] = (struct line){ death, stranger };
}

/* The linker puts these in the place of peer.c's: all callers are this process, which is not going to die. */
bool __wrap_peer_admitted(int socket, const struct peer *peer, const struct config *config);
int __wrap_peer_pidfd(int socket, const struct peer *peer, int offered_fd, struct fault *fault);
int __real_peer_pidfd(int socket, const struct peer *peer, int offered_fd, struct fault *fault);

bool __wrap_peer_admitted(int socket, const struct peer *peer, const struct config *config)
{
	(void)peer, (void)config;
	return !lines[socket].stranger;
}

int __wrap_peer_pidfd(int socket, const struct peer *peer, int offered_fd, struct fault *fault)
{
	int fd = offered_fd >= 0 ? peer_pidfd_offered(peer, offered_fd, fault)
	                         : __real_peer_pidfd(socket, peer, -1, fault);

	if (fd < 0)
		return fd;
	close(fd);
	return fcntl(lines[socket].death, F_DUPFD_CLOEXEC, 0);
}

/* ---- setting up ---------------------------------------------------------------------------------------------------- */

static void on_timer(evutil_socket_t fd, short events, void *context)
{
	(void)fd, (void)events, (void)context;
}

static void make_arena(struct keeper *keeper)
{
	struct arena_plan plan = { .access = LARDER_READ_ONLY };
	struct arena arena;
	int control_fd;

	keeper->arena_fd = arena_memory(ARENA_BYTES, PAGES_SMALL, &plan.page_bytes, NULL);
	FUZZ_EXPECT(keeper->arena_fd >= 0 && arena_format(keeper->arena_fd, &plan, &arena, NULL) == 0);
	guarded_arena(&arena);
	memset(arena.secret, 7, SECRET_BYTES); /* so that an input means the same in every run */
	memset(arena.header->secret, 7, SECRET_BYTES);
	image = malloc(arena.bytes);
	FUZZ_EXPECT(image != NULL);
	memcpy(image, arena.base, arena.bytes);
	control_fd = control_create(arena.segment_count, 0);
	FUZZ_EXPECT(cache_adopt(&keeper->cache, &arena, control_fd, 0, NULL) == 0);
	FUZZ_EXPECT(cache_thread_start(&keeper->cache, &keeper->thread) == 0);
	close(control_fd);
}

static void make_keeper(void)
{
	struct keeper *keeper = &board.keeper;
	int ends[2];

	log_set_level(LOG_ERROR);
	config_defaults(&keeper->config);
	keeper->config.access = LARDER_READ_ONLY;
	make_arena(keeper);
	FUZZ_EXPECT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	keeper->supervisor_fd = ends[0];
	board.supervisor = ends[1];
	keeper->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	keeper->loop = event_base_new();
	FUZZ_EXPECT(keeper->loop != NULL);
	evtimer_assign(&keeper->tick, keeper->loop, on_timer, keeper);
	LIST_INIT(&keeper->connections);
	TAILQ_INIT(&keeper->deferred);
	TAILQ_INIT(&keeper->undeposited);
	keeper->debts = debt_book();
	keeper->message = malloc(REQUEST_MESSAGE_MAX);
	keeper->payload = malloc(request_payload_max(&keeper->cache.arena));
	FUZZ_EXPECT(keeper->debts && keeper->message && keeper->payload);
}

struct switchboard *switchboard_set(void)
{
	struct keeper *keeper = &board.keeper;

	if (!keeper->loop)
		make_keeper();
	memcpy(keeper->cache.arena.base, image, ARENA_BYTES);
	*keeper->thread.allocator = (struct allocator){ 0 };
	keeper->reclaim = reclaim_create(&keeper->thread, 0);
	FUZZ_EXPECT(keeper->reclaim != NULL);
	keeper->next_id = 1;
	keeper->config.max_clients = CALLERS - 1;
	for (int i = 0; i < CALLERS; i++)
		board.callers[i] = (struct caller){ .socket = -1, .death = -1 };
	return &board;
}

/* ---- the keeper's and the supervisor's part ------------------------------------------------------------------------ */

void switchboard_run(struct switchboard *switchboard)
{
	event_base_loop(switchboard->keeper.loop, EVLOOP_NONBLOCK);
}

void switchboard_tick(struct switchboard *switchboard)
{
	struct keeper *keeper = &switchboard->keeper;

	reclaim_run(keeper->reclaim);
	connection_retry_deferred(keeper);
	connection_deposit_more(keeper);
}

static void take_mail(struct switchboard *switchboard)
{
	struct vault_message message;
	int fds[MESSAGE_FDS_MAX], count = 0;

	while (message_receive(switchboard->supervisor, &message, sizeof message, fds, &count) == sizeof message) {
		FUZZ_EXPECT(count == (message.kind == VAULT_KEEP ? VAULT_FDS : 0));
		message_close(fds, count);
		if (message.kind == VAULT_KEEP)
			switchboard->kept[switchboard->kept_count++] = message.id;
		else
			FUZZ_EXPECT(message.kind == VAULT_FORGET);
	}
}

void switchboard_supervise(struct switchboard *switchboard, int result)
{
	uint64_t id;

	take_mail(switchboard);
	if (switchboard->kept_count == 0)
		return;
	id = switchboard->kept[0];
	switchboard->kept_count--;
	memmove(switchboard->kept, switchboard->kept + 1, switchboard->kept_count * sizeof switchboard->kept[0]);
	connection_kept(&switchboard->keeper, id, result);
}

/* ---- callers ------------------------------------------------------------------------------------------------------- */

void caller_dial(struct switchboard *switchboard, struct caller *caller, bool stranger)
{
	int ends[2];

	caller_die(caller); /* a process has one line */
	FUZZ_EXPECT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	*caller = (struct caller){ .socket = ends[0], .stranger = stranger };
	caller->death = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	FUZZ_EXPECT(caller->death >= 0);
	set_line(ends[1], fcntl(caller->death, F_DUPFD_CLOEXEC, 0), stranger);
	connection_accept(&switchboard->keeper, ends[1]);
}

static void take_welcome(struct caller *caller, const struct wire_welcome *welcome, const int *fds, int count)
{
	FUZZ_EXPECT(welcome->type == WIRE_WELCOME && welcome->result <= 0);
	FUZZ_EXPECT(memchr(welcome->text, '\0', sizeof welcome->text) != NULL);
	if (welcome->result < 0) {
		FUZZ_EXPECT(count == 0 && welcome->text[0] != '\0');
		return;
	}
	FUZZ_EXPECT(count == 3 && !caller->welcome && !caller->stranger);
	FUZZ_EXPECT(control_map(fds[2], board.keeper.cache.arena.segment_count, true, &caller->control, NULL) == 0);
	caller->welcome = true;
}

static void take_reply(struct caller *caller, const struct wire_reply *reply)
{
	FUZZ_EXPECT(reply->type == WIRE_REPLY && caller->welcome);
	FUZZ_EXPECT((reply->result >= 0 && reply->result < LARDER_END) || reply->result == -E2BIG ||
	            reply->result == -EAGAIN || reply->result == -EOVERFLOW);
	if (caller->odd)
		return;
	FUZZ_EXPECT(reply->id == caller->replied + 1 && reply->id <= caller->last_id);
	caller->replied = reply->id;
}

void caller_listen(struct caller *caller)
{
	union {
		struct wire_welcome welcome;
		struct wire_reply reply;
	} message;
	int fds[MESSAGE_FDS_MAX], count = 0;
	ssize_t size;

	while (caller->socket >= 0 &&
	       (size = message_receive(caller->socket, &message, sizeof message, fds, &count)) > 0) {
		if (size == sizeof message.welcome) {
			take_welcome(caller, &message.welcome, fds, count);
		} else {
			FUZZ_EXPECT(size == sizeof message.reply && count == 0);
			take_reply(caller, &message.reply);
		}
		message_close(fds, count);
	}
}

void caller_hang_up(struct caller *caller)
{
	if (caller->socket >= 0)
		close(caller->socket);
	caller->socket = -1;
}

void caller_die(struct caller *caller)
{
	const uint64_t one = 1;

	caller_hang_up(caller);
	if (caller->death >= 0) {
		FUZZ_EXPECT(write(caller->death, &one, sizeof one) == sizeof one);
		close(caller->death);
	}
	control_unmap(&caller->control);
	*caller = (struct caller){ .socket = -1, .death = -1 };
}

void switchboard_clear(struct switchboard *switchboard)
{
	struct keeper *keeper = &switchboard->keeper;

	for (int i = 0; i < CALLERS; i++)
		caller_die(&switchboard->callers[i]);
	for (int turn = 0; turn < 100 && (keeper->connection_count > 0 || keeper->deposits > 0); turn++) {
		switchboard_run(switchboard);
		switchboard_supervise(switchboard, 0);
		connection_deposit_more(keeper);
	}
	take_mail(switchboard);
	for (int i = 0; i < LINES_MAX; i++)
		set_line(i, 0, false);
	FUZZ_EXPECT(keeper->connection_count == 0 && keeper->attached_count == 0 && keeper->stranger_count == 0);
	FUZZ_EXPECT(keeper->deferred_bytes == 0 && keeper->deposits == 0 && !keeper->failed);
	FUZZ_EXPECT(TAILQ_EMPTY(&keeper->deferred) && TAILQ_EMPTY(&keeper->undeposited));
	FUZZ_EXPECT(debt_find(keeper->debts, 0) == keeper->debts); /* the first note is free */
	FUZZ_EXPECT(cache_verify(&keeper->thread, NULL, NULL, NULL) == 0);
	reclaim_destroy(keeper->reclaim);
}
