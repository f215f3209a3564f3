/* SPDX-License-Identifier: MIT */
/*
 * The socket itself is blocking, for then SO_SNDTIMEO bounds connect(), which a non-blocking unix socket would give up at
 * once when the queue of the listener is full. Everything else is asked for with MSG_DONTWAIT and waited for with poll(),
 * so that signals cannot stretch the deadline.
 */
#include "client/channel.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

#define FDS_NOTICED ((CHANNEL_FDS_MAX + 2) & ~1) /* room for one too many, so that it shows; an even number */

_Static_assert(CMSG_SPACE(FDS_NOTICED * sizeof(int)) == CMSG_LEN(FDS_NOTICED * sizeof(int)),
               "no padding in which the kernel could place another descriptor");

uint64_t channel_deadline(uint32_t timeout_ms)
{
	return monotonic_ms() + timeout_ms;
}

bool channel_too_late(uint64_t deadline_ms)
{
	return monotonic_ms() >= deadline_ms;
}

static uint64_t remaining_ms(uint64_t deadline_ms)
{
	uint64_t now = monotonic_ms();

	return now < deadline_ms ? deadline_ms - now : 0;
}

static int channel_wait(int channel, short events, uint64_t deadline_ms)
{
	for (;;) {
		struct pollfd one = { .fd = channel, .events = events };
		uint64_t remaining = remaining_ms(deadline_ms);
		int ready = poll(&one, 1, remaining < INT_MAX ? (int)remaining : INT_MAX);

		if (ready > 0)
			return 0;
		if (ready < 0 && errno != EINTR)
			return -errno;
		if (remaining == 0)
			return -ETIMEDOUT;
	}
}

/* Says in words what connect() reported, looking at the path where the error number alone is ambiguous. */
static int connect_fault(const char *path, int error, struct fault *fault)
{
	struct stat file;

	switch (error) {
	case ENOENT:
	case ENOTDIR:
		return fault_set(fault, -ENOENT,
		                 "there is no socket %s: start larderd, or name its socket in LARDER_SOCKET", path);
	case EACCES:
	case EPERM:
		return fault_set(fault, -EACCES, "this user may not connect to %s: let it join the group of the socket",
		                 path);
	case ECONNREFUSED:
		if (stat(path, &file) == 0 && !S_ISSOCK(file.st_mode))
			return fault_set(fault, -ECONNREFUSED, "%s is not a socket: name the one larderd listens on",
			                 path);
		return fault_set(fault, -ECONNREFUSED, "nobody listens on %s: start larderd", path);
	case EAGAIN:
		return fault_set(fault, -ETIMEDOUT,
		                 "larderd at %s accepts no connection: see whether it is stopped or overloaded", path);
	case EPROTOTYPE:
		return fault_set(fault, -EPROTO, "%s is the socket of another program: name the one larderd listens on",
		                 path);
	default:
		return fault_set(fault, -error, "cannot connect to %s: %s", path, strerrordesc_np(error));
	}
}

int channel_connect(const char *path, uint64_t deadline_ms, struct fault *fault)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(path);
	int channel, result;

	if (length >= sizeof address.sun_path)
		return fault_set(fault, -ENAMETOOLONG,
		                 "the socket path has %zu bytes, the system takes %zu at most: use a shorter one",
		                 length, sizeof address.sun_path - 1);
	memcpy(address.sun_path, path, length);

	channel = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (channel < 0)
		return fault_set(fault, -errno, "cannot make a socket: %s", strerrordesc_np(errno));
	do {
		uint64_t remaining = remaining_ms(deadline_ms);
		struct timeval timeout = {
			.tv_sec = (time_t)(remaining / 1000),
			.tv_usec = (suseconds_t)(remaining % 1000 * 1000 + 1), /* zero would mean for ever */
		};

		result = setsockopt(channel, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
		if (result == 0)
			result = connect(channel, (const struct sockaddr *)&address, sizeof address);
	} while (result != 0 && errno == EINTR);
	if (result != 0) {
		result = connect_fault(path, errno, fault);
		close(channel);
		return result;
	}
	return channel;
}

int channel_send(int channel, const struct iovec *parts, size_t part_count, int passed_fd, uint64_t deadline_ms)
{
	struct iovec vector[CHANNEL_PARTS_MAX];
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .bytes = { 0 } };
	struct msghdr message = { .msg_iov = vector, .msg_iovlen = part_count };

	memcpy(vector, parts, part_count * sizeof *parts);
	if (passed_fd >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof control.bytes;
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &passed_fd, sizeof passed_fd);
	}
	for (;;) {
		int result;

		if (sendmsg(channel, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return 0;
		if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
			return -ECONNRESET;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		result = channel_wait(channel, POLLOUT, deadline_ms);
		if (result != 0)
			return result;
	}
}

/* Takes every descriptor out of a received message. There are never more than the control buffer had room for. */
static size_t take_fds(struct msghdr *message, int *ret_fds)
{
	size_t count = 0;

	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
		size_t here = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(ret_fds + count, CMSG_DATA(part), here * sizeof(int));
		count += here;
	}
	return count;
}

int channel_receive(int channel, void *ret_message, size_t size, int *ret_fds, size_t *ret_fd_count,
                    uint64_t deadline_ms)
{
	const size_t room = ret_fds ? CHANNEL_FDS_MAX : 0;
	int fds[FDS_NOTICED];
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof fds)];
	} control;
	struct iovec vector = { .iov_base = ret_message, .iov_len = size };
	struct msghdr message;
	size_t fd_count;
	ssize_t received;
	int result;

	for (;;) {
		message = (struct msghdr){
			.msg_iov = &vector,
			.msg_iovlen = 1,
			.msg_control = control.bytes,
			.msg_controllen = sizeof control.bytes,
		};
		received = recvmsg(channel, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		if (received >= 0)
			break;
		if (errno == ECONNRESET || errno == ENOTCONN)
			return -ECONNRESET;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		result = channel_wait(channel, POLLIN, deadline_ms);
		if (result != 0)
			return result;
	}

	fd_count = take_fds(&message, fds);
	if (received == 0)
		result = -ECONNRESET;
	else if ((message.msg_flags & MSG_CTRUNC) && fd_count <= room)
		result = -EMFILE; /* the buffer had room for more, so it was this process that had none */
	else if (fd_count > room || (message.msg_flags & MSG_TRUNC) || (size_t)received != size)
		result = -EPROTO;
	else
		result = 0;

	if (result != 0) {
		while (fd_count > 0)
			close(fds[--fd_count]);
		return result;
	}
	if (ret_fds) {
		memcpy(ret_fds, fds, fd_count * sizeof(int));
		*ret_fd_count = fd_count;
	}
	return 0;
}
