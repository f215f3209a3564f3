/* SPDX-License-Identifier: MIT */
/* The socket on which clients arrive: made by ourselves at a path that we lock, or handed over by a service manager. */
#ifndef LARDER_DAEMON_LISTENER_H
#define LARDER_DAEMON_LISTENER_H

#include <sys/types.h>

#include "base/fault.h"
#include "daemon/config.h"

struct listener {
	int fd;
	int lock_fd; /* of path + ".lock"; -1: the socket was handed over, and is not ours to remove */
	config_path path;
};

/*
 * Makes the socket. One that a dead larderd left behind is replaced; one that is served is not.
 * Return: 0; -EADDRINUSE: another larderd serves it; -EEXIST: something that is no socket is there; -EACCES, -errno.
 */
int listener_open(const char *path, mode_t mode, struct listener *ret_listener, struct fault *fault);

/* Checks a descriptor that was handed over. Return: 0; -EPROTOTYPE: it is no listening SEQPACKET socket. */
int listener_adopt(int fd, struct listener *ret_listener, struct fault *fault);

/* Removes socket and lock where they are ours. */
void listener_close(struct listener *listener);

/* Closes the descriptors only: another process goes on with them. */
void listener_release(struct listener *listener);

#endif
