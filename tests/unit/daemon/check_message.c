/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/message.h"
#include "tests/support/suite.h"

static int pair[2];

static void open_pair(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
}

static int next_descriptor(void)
{
	int fd = fcntl(pair[0], F_DUPFD_CLOEXEC, 0);

	close(fd);
	return fd;
}

START_TEST(test_bytes_and_descriptors)
{
	int sent[MESSAGE_FDS_MAX], received[MESSAGE_FDS_MAX], count = -1;
	char buffer[8];

	for (int i = 0; i < MESSAGE_FDS_MAX; i++)
		sent[i] = pair[i % 2];
	for (int fds = 0; fds <= MESSAGE_FDS_MAX; fds++) {
		ck_assert_int_eq(message_send(pair[0], "hello", 5, sent, fds), 0);
		ck_assert_int_eq(message_receive(pair[1], buffer, sizeof buffer, received, &count), 5);
		ck_assert_mem_eq(buffer, "hello", 5);
		ck_assert_int_eq(count, fds);
		for (int i = 0; i < count; i++)
			ck_assert_int_eq(fcntl(received[i], F_GETFD), FD_CLOEXEC);
		message_close(received, count);
	}
}
END_TEST

START_TEST(test_nothing_waits)
{
	char buffer[4096] = "";
	int fds[MESSAGE_FDS_MAX], count, sent = 0;

	ck_assert_int_eq(message_receive(pair[1], buffer, sizeof buffer, fds, &count), -EAGAIN);
	while (message_send(pair[0], buffer, sizeof buffer, NULL, 0) == 0)
		sent++;
	ck_assert_int_gt(sent, 0);
	ck_assert_int_eq(message_send(pair[0], buffer, sizeof buffer, NULL, 0), -EAGAIN);
}
END_TEST

START_TEST(test_hang_up)
{
	char byte;
	int fds[MESSAGE_FDS_MAX], count;

	message_send(pair[0], "x", 1, NULL, 0);
	close(pair[0]);
	ck_assert_int_eq(message_receive(pair[1], &byte, 1, fds, &count), 1);
	ck_assert_int_eq(message_receive(pair[1], &byte, 1, fds, &count), 0);
	ck_assert_int_eq(message_send(pair[1], "x", 1, NULL, 0), -EPIPE); /* and no SIGPIPE */
}
END_TEST

/* What does not fit is refused as a whole, and not one of its descriptors stays behind. */
START_TEST(test_too_much)
{
	union {
		char bytes[CMSG_SPACE(253 * sizeof(int))];
		struct cmsghdr header;
	} control = { .bytes = { 0 } };
	int fds[MESSAGE_FDS_MAX], count, before = next_descriptor();
	char buffer[8];

	ck_assert_int_eq(message_send(pair[0], "123456789", 9, pair, 2), 0);
	ck_assert_int_eq(message_receive(pair[1], buffer, sizeof buffer, fds, &count), -EPROTO);
	ck_assert_int_eq(next_descriptor(), before);
	for (int many = MESSAGE_FDS_MAX + 1; many <= 253; many++) {
		struct iovec part = { .iov_base = buffer, .iov_len = 1 };
		struct msghdr message = { .msg_iov = &part,
			                  .msg_iovlen = 1,
			                  .msg_control = control.bytes,
			                  .msg_controllen = CMSG_SPACE((size_t)many * sizeof(int)) };

		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN((size_t)many * sizeof(int));
		for (int i = 0; i < many; i++)
			memcpy(CMSG_DATA(&control.header) + (size_t)i * sizeof(int), &pair[0], sizeof(int));
		ck_assert_int_eq(sendmsg(pair[0], &message, 0), 1);
		ck_assert_int_eq(message_receive(pair[1], buffer, sizeof buffer, fds, &count), -EPROTO);
		ck_assert_int_eq(next_descriptor(), before);
	}
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("message");

	tcase_add_checked_fixture(tests, open_pair, NULL);
	tcase_add_test(tests, test_bytes_and_descriptors);
	tcase_add_test(tests, test_nothing_waits);
	tcase_add_test(tests, test_hang_up);
	tcase_add_test(tests, test_too_much);
	return suite_run("daemon/message", tests);
}
