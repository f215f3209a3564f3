/* SPDX-License-Identifier: MIT */
#include "daemon/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/message.h"

#define FIRST_FD 3   /* where the protocol of socket activation begins to count */
#define WAIT_MS 1000 /* for a service manager that is still busy with what it was told before */

bool notify_present(void)
{
	return getenv("NOTIFY_SOCKET") != NULL;
}

/*
 * Its socket may hold as few as ten messages (net.unix.max_dgram_qlen), and we send one for each client. Once it has not listened for
 * so long nobody waits for it, until it does again.
 */
static int send_when_it_listens(int fd, const char *text, const int *fds, int fd_count)
{
	static bool deaf;
	struct pollfd room = { .fd = fd, .events = POLLOUT };
	int result = message_send(fd, text, strlen(text), fds, fd_count);

	if (result == -EAGAIN && !deaf && poll(&room, 1, WAIT_MS) > 0)
		result = message_send(fd, text, strlen(text), fds, fd_count);
	deaf = result == -EAGAIN;
	return result;
}

/* One datagram. */
static int send_text(const char *text, const int *fds, int fd_count)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t size;
	int fd, result;

	if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof address.sun_path)
		return -ENOENT;
	memcpy(address.sun_path, path, strlen(path));
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	result = connect(fd, (struct sockaddr *)&address, size) == 0 ? 0 : -errno;
	if (result == 0)
		result = send_when_it_listens(fd, text, fds, fd_count);
	close(fd);
	return result;
}

void notify_send(const char *format, ...)
{
	char text[512];
	va_list arguments;

	if (!notify_present())
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	/* A service manager that is gone, or does not listen: there is nobody else to tell. */
	(void)send_text(text, NULL, 0);
}

void notify_reloading(void)
{
	notify_send("RELOADING=1\nMONOTONIC_USEC=%" PRIu64, monotonic_ns() / 1000);
}

int notify_store(const char *name, const int *fds, int fd_count)
{
	char text[128];

	snprintf(text, sizeof text, "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	return send_text(text, fds, fd_count);
}

void notify_forget(const char *name)
{
	notify_send("FDSTOREREMOVE=1\nFDNAME=%s", name);
}

/* The decimal number in a variable of the environment; 0 where there is none. */
static uint64_t environment_number(const char *variable)
{
	const char *text = getenv(variable);

	return text ? strtoull(text, NULL, 10) : 0;
}

uint32_t notify_watchdog_ms(void)
{
	uint64_t for_process = environment_number("WATCHDOG_PID");
	uint64_t period_ms = environment_number("WATCHDOG_USEC") / 1000;

	if (for_process && for_process != (uint64_t)getpid())
		return 0;
	return period_ms < UINT32_MAX ? (uint32_t)period_ms : UINT32_MAX;
}

void notify_handed_over(notify_take *take, void *context)
{
	uint64_t count = environment_number("LISTEN_FDS");
	char *names = getenv("LISTEN_FDNAMES"), *copy = NULL, *rest;

	if (environment_number("LISTEN_PID") != (uint64_t)getpid())
		count = 0;
	copy = rest = names ? strdup(names) : NULL;
	for (uint64_t i = 0; i < count && i < INT32_MAX - FIRST_FD; i++) {
		char *name = rest ? strsep(&rest, ":") : NULL;
		int fd = FIRST_FD + (int)i;

		if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
			take(context, name ? name : "", fd);
	}
	free(copy);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}
