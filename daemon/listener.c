/* SPDX-License-Identifier: MIT */
/*
 * Two larderds must not serve one path, and a socket left behind must not keep the next one from starting. The
 * existence of the socket file tells nothing of that, so a lock does (daemon/lockfile.h). Whoever has it may replace the
 * socket.
 */
#include "daemon/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/lockfile.h"

#define BACKLOG 1024

/* A program that does not take our lock may listen there nevertheless. */
static bool answers(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool served = fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ||
	                          errno == EAGAIN || errno == EPROTOTYPE);

	if (fd >= 0)
		close(fd);
	return served;
}

static int clear_path(const struct sockaddr_un *address, struct fault *fault)
{
	const char *path = address->sun_path;
	struct stat file;

	if (lstat(path, &file))
		return errno == ENOENT ? 0 : fault_set(fault, -errno, "cannot look at %s: %s", path, strerror(errno));
	if (!S_ISSOCK(file.st_mode))
		return fault_set(fault, -EEXIST, "%s is there and is no socket; remove it, or choose another socket",
		                 path);
	if (answers(address))
		return fault_set(fault, -EADDRINUSE, "another program serves %s; stop it, or choose another socket",
		                 path);
	if (unlink(path))
		return fault_set(fault, -errno, "cannot remove the old socket %s: %s", path, strerror(errno));
	return 0;
}

static int listen_at(const struct sockaddr_un *address, mode_t mode, struct fault *fault)
{
	const char *path = address->sun_path;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int result;

	if (fd < 0)
		return fault_set(fault, -errno, "cannot make a socket: %s", strerror(errno));
	/*
	 * The umask gives it 0700 at most until chmod, so that nobody gets in through a door that is still being
	 * hung.
	 */
	if (bind(fd, (const struct sockaddr *)address, sizeof *address) || chmod(path, mode) || listen(fd, BACKLOG)) {
		result = fault_set(fault, -errno, "cannot listen at %s: %s", path, strerror(errno));
		close(fd);
		return result;
	}
	return fd;
}

int listener_open(const char *path, mode_t mode, struct listener *ret_listener, struct fault *fault)
{
	struct listener listener = { .fd = -1 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int result;

	snprintf(listener.path, sizeof listener.path, "%s", path);
	memcpy(address.sun_path, listener.path, sizeof address.sun_path);
	listener.lock_fd = lockfile_take(path, "socket", fault);
	if (listener.lock_fd < 0)
		return listener.lock_fd;
	result = clear_path(&address, fault);
	if (result == 0)
		result = listener.fd = listen_at(&address, mode, fault);
	if (result < 0) {
		lockfile_remove(path);
		close(listener.lock_fd);
		return result;
	}
	*ret_listener = listener;
	return 0;
}

int listener_adopt(int fd, struct listener *ret_listener, struct fault *fault)
{
	struct listener listener = { .fd = fd, .lock_fd = -1 };
	struct sockaddr_un address = { 0 };
	socklen_t size = sizeof address, type_size = sizeof(int), listening_size = sizeof(int);
	int type = 0, listening = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) || type != SOCK_SEQPACKET ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &listening_size) || !listening ||
	    getsockname(fd, (struct sockaddr *)&address, &size) || address.sun_family != AF_UNIX)
		return fault_set(fault, -EPROTOTYPE,
		                 "descriptor %d, which the service manager passed, is no listening unix "
		                 "socket of type SEQPACKET; use ListenSequentialPacket= in larderd.socket",
		                 fd);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	snprintf(listener.path, sizeof listener.path, "%.107s", address.sun_path);
	*ret_listener = listener;
	return 0;
}

void listener_release(struct listener *listener)
{
	if (listener->fd >= 0)
		close(listener->fd);
	if (listener->lock_fd >= 0)
		close(listener->lock_fd);
	listener->fd = listener->lock_fd = -1;
}

void listener_close(struct listener *listener)
{
	if (listener->lock_fd >= 0) {
		/* While the lock is held nobody else can have made a new socket at this path. */
		unlink(listener->path);
		lockfile_remove(listener->path);
	}
	listener_release(listener);
}
