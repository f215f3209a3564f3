/* SPDX-License-Identifier: MIT */
/*
 * A stand-in for larderd, as well or as badly behaved as a test wants: a thread that accepts connections on a socket in a
 * directory of its own and hands each to a function of the test.
 */
#ifndef LARDER_TESTS_FAKE_H
#define LARDER_TESTS_FAKE_H

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/layout.h"
#include "base/wire.h"
#include "tests/support/suite.h"

#define FAKE_FDS_MAX 8

struct fake;
/* Serves one connection, which is closed when it returns unless it set *connection to -1. */
typedef void fake_serve(struct fake *fake, int *connection);

struct fake {
	char directory[64];
	char path[96];
	int listener;
	pthread_t thread;
	fake_serve *serve;
	void *context;

	/* The hello that came last. */
	struct wire_hello hello;
	ssize_t hello_size;
	int hello_fds;
	struct stat hello_file; /* of its first descriptor */
};

static inline void fake_address(const struct fake *fake, struct sockaddr_un *ret_address)
{
	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(ret_address->sun_path, sizeof ret_address->sun_path, "%s", fake->path);
}

/* Only the directory and the name of a socket that does not exist. */
static inline void fake_prepare(struct fake *fake)
{
	memset(fake, 0, sizeof *fake);
	snprintf(fake->directory, sizeof fake->directory, "/tmp/larder-unit-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(fake->directory));
	ck_assert_int_eq(chmod(fake->directory, 0755), 0);
	snprintf(fake->path, sizeof fake->path, "%s/socket", fake->directory);
	fake->listener = -1;
}

static inline void fake_bind(struct fake *fake, int type, int backlog)
{
	struct sockaddr_un address;

	fake_address(fake, &address);
	fake->listener = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(fake->listener, 0);
	ck_assert_int_eq(bind(fake->listener, (struct sockaddr *)&address, sizeof address), 0);
	ck_assert_int_eq(listen(fake->listener, backlog), 0);
}

static inline void fake_receive_hello(struct fake *fake, int connection)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(FAKE_FDS_MAX * sizeof(int))];
	} control;
	struct iovec vector = { .iov_base = &fake->hello, .iov_len = sizeof fake->hello };
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes,
	};
	struct cmsghdr *part;

	fake->hello_fds = 0;
	fake->hello_size = recvmsg(connection, &message, MSG_CMSG_CLOEXEC);
	part = CMSG_FIRSTHDR(&message);
	if (fake->hello_size > 0 && part) {
		int fds[FAKE_FDS_MAX];

		fake->hello_fds = (int)((part->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(part), (size_t)fake->hello_fds * sizeof(int));
		fstat(fds[0], &fake->hello_file);
		for (int i = 0; i < fake->hello_fds; i++)
			close(fds[i]);
	}
}

/* Sends a message with descriptors; they stay the caller's. */
static inline void fake_send(int connection, const void *bytes, size_t size, const int *fds, size_t fd_count)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(FAKE_FDS_MAX * sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec vector = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = size };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };

	if (fd_count > 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, fd_count * sizeof(int));
	}
	sendmsg(connection, &message, MSG_NOSIGNAL);
}

static inline void *fake_main(void *argument)
{
	struct fake *fake = argument;
	int connection;

	while ((connection = accept4(fake->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		fake_receive_hello(fake, connection);
		fake->serve(fake, &connection);
		if (connection >= 0)
			close(connection);
	}
	return NULL;
}

static inline void fake_start(struct fake *fake, fake_serve *serve, void *context)
{
	fake_prepare(fake);
	fake_bind(fake, SOCK_SEQPACKET, 16);
	fake->serve = serve;
	fake->context = context;
	ck_assert_int_eq(pthread_create(&fake->thread, NULL, fake_main, fake), 0);
}

static inline void fake_remove(struct fake *fake)
{
	if (fake->listener >= 0)
		close(fake->listener);
	unlink(fake->path);
	ck_assert_int_eq(rmdir(fake->directory), 0);
}

/* Ends the thread when it has served who is connected. */
static inline void fake_stop(struct fake *fake)
{
	shutdown(fake->listener, SHUT_RDWR);
	pthread_join(fake->thread, NULL);
	fake_remove(fake);
}

static inline int open_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	ck_assert_ptr_nonnull(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

#endif
