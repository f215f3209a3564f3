/* SPDX-License-Identifier: MIT */
#include "tests/support/raw.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/layout.h"
#include "tests/support/client.h"
#include "tests/support/expect.h"

#define ANSWER_TIMEOUT_MS 30000

union ancillary {
	char bytes[CMSG_SPACE(RAW_FDS_MAX * sizeof(int))];
	struct cmsghdr align;
};

int raw_connect(const struct server *server)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int channel = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	expect(channel >= 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", server->socket);
	if (connect(channel, (const struct sockaddr *)&address, sizeof address) != 0)
		expect_failed("cannot connect to %s: %s", server->socket, strerror(errno));
	return channel;
}

int raw_send(int channel, const void *message, size_t size, const int *fds, size_t fd_count)
{
	union ancillary ancillary;
	struct iovec part = { .iov_base = (void *)(uintptr_t)message, .iov_len = size };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd_count > 0) {
		struct cmsghdr *control;

		header.msg_control = &ancillary;
		header.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		control = CMSG_FIRSTHDR(&header);
		*control = (struct cmsghdr){ .cmsg_len = CMSG_LEN(fd_count * sizeof(int)),
			                     .cmsg_level = SOL_SOCKET,
			                     .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(control), fds, fd_count * sizeof(int));
	}
	return sendmsg(channel, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

size_t raw_receive(int channel, void *message, size_t size, int *ret_fds, size_t *ret_fd_count)
{
	union ancillary ancillary;
	struct iovec part = { .iov_base = message, .iov_len = size };
	struct msghdr header = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &ancillary, .msg_controllen = sizeof ancillary
	};
	struct pollfd wait_for = { .fd = channel, .events = POLLIN };
	size_t fd_count = 0;
	ssize_t got;

	if (poll(&wait_for, 1, ANSWER_TIMEOUT_MS) != 1)
		expect_failed("larderd neither answered nor hung up within %d ms", ANSWER_TIMEOUT_MS);
	got = recvmsg(channel, &header, MSG_CMSG_CLOEXEC);
	if (got < 0 && errno == ECONNRESET)
		return 0;
	expect(got >= 0);
	for (struct cmsghdr *control = CMSG_FIRSTHDR(&header); control != NULL;
	     control = CMSG_NXTHDR(&header, control)) {
		int fds[RAW_FDS_MAX];

		expect(control->cmsg_type == SCM_RIGHTS);
		fd_count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(control), fd_count * sizeof(int));
		for (size_t i = 0; i < fd_count; i++) {
			if (ret_fds != NULL)
				ret_fds[i] = fds[i];
			else
				close(fds[i]);
		}
	}
	if (ret_fd_count != NULL)
		*ret_fd_count = fd_count;
	return (size_t)got;
}

struct wire_hello raw_hello(void)
{
	return (struct wire_hello){ .type = WIRE_HELLO, .protocol = WIRE_PROTOCOL, .layout_stamp = layout_stamp() };
}

int raw_attach(const struct server *server, struct wire_welcome *ret_welcome, int ret_fds[RAW_FDS])
{
	struct wire_hello hello = raw_hello();
	int channel = raw_connect(server), fds[RAW_FDS_MAX];
	size_t fd_count = 0;

	expect_equal(raw_send(channel, &hello, sizeof hello, NULL, 0), 0);
	expect_equal(raw_receive(channel, ret_welcome, sizeof *ret_welcome, fds, &fd_count), sizeof *ret_welcome);
	expect_equal(ret_welcome->type, WIRE_WELCOME);
	if (ret_welcome->result != 0)
		expect_failed("refused: %s", ret_welcome->text);
	expect_equal(fd_count, RAW_FDS);
	memcpy(ret_fds, fds, RAW_FDS * sizeof(int));
	return channel;
}

int raw_memfd(size_t size)
{
	int fd = memfd_create("test payload", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char *bytes = malloc(size + 1);

	expect(fd >= 0 && bytes != NULL);
	pattern_fill(bytes, size, size);
	expect(write(fd, bytes, size) == (ssize_t)size);
	free(bytes);
	return fd;
}
