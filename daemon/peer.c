/* SPDX-License-Identifier: MIT */
#include "daemon/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/layout.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

int peer_of(int socket, struct peer *ret_peer)
{
	struct ucred credentials;
	socklen_t size = sizeof credentials;

	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size))
		return -errno;
	*ret_peer = (struct peer){ .uid = credentials.uid, .gid = credentials.gid, .pid = credentials.pid };
	return 0;
}

/* Asked again with the size the kernel names, for a process may be in any number of groups. */
static bool in_listed_group(int socket, const struct config_ids *groups)
{
	socklen_t size = 64 * sizeof(gid_t);
	gid_t *members = malloc(size);
	bool found = false;

	while (members && getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, members, &size)) {
		gid_t *larger = errno == ERANGE ? realloc(members, size) : NULL;

		if (!larger) {
			size = 0;
			break;
		}
		members = larger;
	}
	for (size_t i = 0; members && i < size / sizeof *members && !found; i++)
		found = config_ids_contain(groups, members[i]);
	free(members);
	return found;
}

const struct config_quota *peer_quota(int socket, const struct peer *peer, const struct config_quotas *quotas)
{
	for (uint64_t i = 0; i < quotas->count; i++) {
		const struct config_quota *quota = &quotas->quota[i];
		const struct config_ids groups = { .count = 1, .id = { quota->id } };

		if (quota->kind == TENANT_USER ? peer->uid == quota->id
		                               : peer->gid == quota->id || in_listed_group(socket, &groups))
			return quota;
	}
	return NULL;
}

bool peer_owns(const struct peer *peer)
{
	return peer->uid == 0 || peer->uid == geteuid();
}

bool peer_admitted(int socket, const struct peer *peer, const struct config *config)
{
	if (peer_owns(peer) || config_ids_contain(&config->allow_users, peer->uid))
		return true;
	if (config->allow_groups.count == 0)
		return false;
	return config_ids_contain(&config->allow_groups, peer->gid) || in_listed_group(socket, &config->allow_groups);
}

/* ---- proof of death ---------------------------------------------------------------------------------------------- */

pid_t peer_pidfd_number(int fd)
{
	char path[64], target[64], line[128];
	ssize_t length;
	FILE *info;
	int number = -EINVAL;

	/* Only the kernel names a link like this: a file's would begin with a slash. */
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	length = readlink(path, target, sizeof target - 1);
	if (length < 0)
		return -errno;
	target[length] = '\0';
	if (strcmp(target, "anon_inode:[pidfd]") != 0 && strncmp(target, "pidfd:", 6) != 0)
		return -EINVAL;
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	info = fopen(path, "re");
	if (!info)
		return -errno;
	while (fgets(line, sizeof line, info))
		if (sscanf(line, "Pid: %d", &number) == 1)
			break;
	fclose(info);
	return number == -1 ? -ESRCH : number;
}

bool peer_dead(int pidfd)
{
	struct pollfd wait = { .fd = pidfd, .events = POLLIN };

	return poll(&wait, 1, 0) > 0 && (wait.revents & (POLLIN | POLLHUP));
}

int peer_pidfd_of_kernel(int socket)
{
	int fd;
	socklen_t size = sizeof fd;

	if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &fd, &size))
		return errno == EINVAL ? -ESRCH : -errno; /* EINVAL is what kernels before 6.16 say of a dead peer */
	return fd;
}

int peer_pidfd_offered(const struct peer *peer, int offered_fd, struct fault *fault)
{
	pid_t number = peer_pidfd_number(offered_fd);
	int fd;

	if (number == -ESRCH)
		return fault_set(fault, -ESRCH, "the process died while it attached");
	/* 0 is what any process outside our PID namespace looks like: that proves nothing. */
	if (number <= 0 || number != peer->pid)
		return fault_set(fault, -EPROTO, "the descriptor sent along is no pidfd of the process that connected");
	fd = fcntl(offered_fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? fault_set(fault, -errno, "larderd cannot have one more descriptor") : fd;
}

int peer_pidfd_of_number(int socket, const struct peer *peer, struct fault *fault)
{
	struct pollfd wait = { .fd = socket, .events = POLLRDHUP };
	int fd;

	if (peer->pid <= 0)
		return fault_set(fault, -EPROTO,
		                 "larderd cannot see this process (it is in another PID namespace), the kernel "
		                 "is too old to tell (before 6.5), and the process sent no pidfd of itself");
	fd = (int)syscall(SYS_pidfd_open, peer->pid, 0);
	if (fd < 0)
		return fault_set(fault, -errno, "larderd cannot watch this process: %s", strerror(errno));
	/* Had the peer died before, its number might now be somebody else's; its socket would have hung up. */
	if (poll(&wait, 1, 0) > 0 && (wait.revents & (POLLRDHUP | POLLHUP | POLLERR))) {
		close(fd);
		return fault_set(fault, -ESRCH, "the process died while it attached");
	}
	return fd;
}

int peer_pidfd(int socket, const struct peer *peer, int offered_fd, struct fault *fault)
{
	int fd = peer_pidfd_of_kernel(socket);

	if (fd >= 0)
		return fd;
	if (fd == -ESRCH)
		return fault_set(fault, -ESRCH, "the process died while it attached");
	return offered_fd >= 0 ? peer_pidfd_offered(peer, offered_fd, fault)
	                       : peer_pidfd_of_number(socket, peer, fault);
}
