/* SPDX-License-Identifier: MIT */
#include "client/session.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/layout.h"
#include "base/wire.h"
#include "client/channel.h"
#include "larder.h"

#define TRIES 14 /* half a second of pauses in all */
#define PAUSE_MS_MAX 64

enum { WELCOME_LEASE, WELCOME_ARENA, WELCOME_CONTROL, WELCOME_FDS };

_Static_assert((int)WELCOME_FDS == CHANNEL_FDS_MAX, "a channel has room for what comes with a welcome");

/*
 * The descriptor lets larderd see this process die. A kernel without it is no reason to fail: larderd then finds another
 * proof, or goes by the connection.
 */
static int send_hello(int channel, uint64_t deadline_ms)
{
	const struct wire_hello hello = {
		.type = WIRE_HELLO,
		.protocol = WIRE_PROTOCOL,
		.layout_stamp = layout_stamp(),
	};
	const struct iovec part = { .iov_base = (void *)(uintptr_t)&hello, .iov_len = sizeof hello };
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	int result = channel_send(channel, &part, 1, pidfd, deadline_ms);

	if (pidfd >= 0)
		close(pidfd);
	return result;
}

static int exchange_fault(const char *path, int result, struct fault *fault)
{
	switch (result) {
	case -ETIMEDOUT:
		return fault_set(fault, result,
		                 "larderd at %s did not answer in time: see whether it is stopped or overloaded", path);
	case -ECONNRESET:
		return fault_set(fault, result,
		                 "who listens on %s hung up without an answer: see whether it is larderd, and its log",
		                 path);
	case -EPROTO:
		return fault_set(
			fault, result,
			"who listens on %s is no larderd of protocol %d: let it and the library be of one release",
			path, WIRE_PROTOCOL);
	case -EMFILE:
		return fault_set(fault, result,
		                 "no room for %d more descriptors: close some, or raise the limit of open files",
		                 WELCOME_FDS);
	default:
		return fault_set(fault, result, "cannot talk to larderd at %s: %s", path, strerrordesc_np(-result));
	}
}

/* Return: 0: admitted. Else the welcome is a refusal, or none that makes sense. */
static int check_welcome(const char *path, struct wire_welcome *welcome, size_t fd_count, struct fault *fault)
{
	welcome->text[sizeof welcome->text - 1] = '\0';
	if (welcome->type != WIRE_WELCOME || welcome->result > 0 || welcome->result < -4095 ||
	    fd_count != (welcome->result == 0 ? WELCOME_FDS : 0))
		return exchange_fault(path, -EPROTO, fault);
	if (welcome->result != 0)
		return fault_set(fault, welcome->result, "larderd at %s refused: %s", path,
		                 welcome->text[0] ? welcome->text : larder_strerror(welcome->result));
	if (welcome->access != LARDER_SHARED_WRITE && welcome->access != LARDER_READ_ONLY)
		return exchange_fault(path, -EPROTO, fault);
	return 0;
}

/* Return: as session_open; -ECONNRESET: they hung up without letting us in. */
static int try_open(const char *path, uint64_t deadline_ms, struct session *ret_session, struct fault *fault)
{
	struct session session = { .read_only = false };
	struct wire_welcome welcome;
	int fds[CHANNEL_FDS_MAX];
	size_t fd_count = 0;
	int channel, result;

	channel = channel_connect(path, deadline_ms, fault);
	if (channel < 0)
		return channel;
	failpoint("attach.connected");
	result = send_hello(channel, deadline_ms);
	failpoint("attach.hello_sent");
	if (result == 0)
		result = channel_receive(channel, &welcome, sizeof welcome, fds, &fd_count, deadline_ms);
	if (result != 0)
		result = exchange_fault(path, result, fault);
	else
		result = check_welcome(path, &welcome, fd_count, fault);
	if (result == 0)
		result = lease_take(fds[WELCOME_LEASE], &session.lease, fault);
	if (result != 0) {
		while (fd_count > 0)
			close(fds[--fd_count]);
		close(channel);
		return result;
	}
	failpoint("attach.welcomed");
	close(fds[WELCOME_LEASE]);
	session.channel = channel;
	session.arena_fd = fds[WELCOME_ARENA];
	session.control_fd = fds[WELCOME_CONTROL];
	session.arena_bytes = welcome.arena_bytes;
	session.read_only = welcome.access == LARDER_READ_ONLY;
	*ret_session = session;
	return 0;
}

/* A keeper that dies while it lets us in is replaced soon. So who hangs up is asked again, but not for long: it may be no larderd. */
int session_open(const char *path, uint64_t deadline_ms, struct session *ret_session, struct fault *fault)
{
	int result = try_open(path, deadline_ms, ret_session, fault);
	uint64_t pause_ms = 1;

	for (int i = 1; result == -ECONNRESET && i < TRIES && monotonic_ms() + pause_ms < deadline_ms; i++) {
		nanosleep(&(struct timespec){ .tv_nsec = (long)(pause_ms * NS_PER_MS) }, NULL);
		result = try_open(path, deadline_ms, ret_session, fault);
		pause_ms = pause_ms < PAUSE_MS_MAX ? pause_ms * 2 : pause_ms;
	}
	return result == -ECONNRESET ? -EPROTO : result;
}
