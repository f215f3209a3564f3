/* SPDX-License-Identifier: MIT */
#include "daemon/message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* cmsghdr wants its own alignment. */
union control {
	char bytes[CMSG_SPACE(MESSAGE_FDS_MAX * sizeof(int))];
	struct cmsghdr align;
};

/* The kernel fills padding with descriptors too: a sender could leave one here that nobody would ever close. */
_Static_assert(CMSG_SPACE(MESSAGE_FDS_MAX * sizeof(int)) == CMSG_LEN(MESSAGE_FDS_MAX * sizeof(int)), "no padding");

int message_send(int socket, const void *data, size_t size, const int *fds, int fd_count)
{
	struct iovec part = { .iov_base = (void *)data, .iov_len = size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	union control control = { 0 };
	ssize_t sent;

	if (fd_count > 0) {
		struct cmsghdr *header = &control.align;

		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE((size_t)fd_count * sizeof(int));
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN((size_t)fd_count * sizeof(int));
		memcpy(CMSG_DATA(header), fds, (size_t)fd_count * sizeof(int));
	}
	do
		sent = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

void message_close(const int *fds, int fd_count)
{
	for (int i = 0; i < fd_count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* Collects the descriptors that came along; the kernel closed those for which there was no room. */
static int collect(struct msghdr *message, int ret_fds[MESSAGE_FDS_MAX])
{
	int count = 0;

	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		int bytes = (int)header->cmsg_len - (int)CMSG_LEN(0);

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		for (int at = 0; at < bytes && count < MESSAGE_FDS_MAX; at += (int)sizeof(int))
			memcpy(&ret_fds[count++], CMSG_DATA(header) + at, sizeof(int));
	}
	return count;
}

ssize_t message_receive(int socket, void *buffer, size_t size, int ret_fds[MESSAGE_FDS_MAX], int *ret_fd_count)
{
	struct iovec part = { .iov_base = buffer, .iov_len = size };
	union control control;
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes
	};
	ssize_t received;
	int count;

	do
		received = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (received < 0 && errno == EINTR);
	if (received < 0)
		return -errno;
	count = collect(&message, ret_fds);
	if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		message_close(ret_fds, count);
		return -EPROTO;
	}
	*ret_fd_count = count;
	return received;
}

ssize_t message_peek(int socket, void *buffer, size_t size)
{
	ssize_t received;

	do
		received = recv(socket, buffer, size, MSG_DONTWAIT | MSG_PEEK);
	while (received < 0 && errno == EINTR);
	return received < 0 ? -errno : received;
}
