/* SPDX-License-Identifier: MIT */
/* Who is at the other end of a socket, whether it is let in, and a descriptor that tells when it has died. */
#ifndef LARDER_DAEMON_PEER_H
#define LARDER_DAEMON_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/fault.h"
#include "daemon/config.h"

struct peer {
	uid_t uid;
	gid_t gid;
	pid_t pid; /* in our PID namespace; 0: not visible from it. For log lines only: never an identity */
};

/* As the kernel noted it when the peer connected. Return: 0 or -errno. */
int peer_of(int socket, struct peer *ret_peer);

/*
 * Root and the daemon's own user are always admitted, then the users listed, then the members of the groups listed,
 * supplementary groups included (the kernel is asked, not the user database).
 */
bool peer_admitted(int socket, const struct peer *peer, const struct config *config);

/* The first quota that is about the peer or a group of its, supplementary ones included; NULL: there is none. */
const struct config_quota *peer_quota(int socket, const struct peer *peer, const struct config_quotas *quotas);

/* Whether it is root or the daemon's own user, who may change more than what is in the cache. */
bool peer_owns(const struct peer *peer);

/*
 * A pidfd of the peer: from the kernel where it gives one (6.5), else the one the peer offered when it is proved to be
 * the peer's (offered_fd; -1: none), else one made from the peer's number. offered_fd stays the caller's.
 * Return: the descriptor; -ESRCH: the peer is dead; -EPROTO: what it offered is not its own; -errno.
 */
int peer_pidfd(int socket, const struct peer *peer, int offered_fd, struct fault *fault);

/* The three ways of peer_pidfd, each by itself. */
int peer_pidfd_of_kernel(int socket);
int peer_pidfd_offered(const struct peer *peer, int offered_fd, struct fault *fault);
int peer_pidfd_of_number(int socket, const struct peer *peer, struct fault *fault);

/*
 * Whether fd is a pidfd, and of which process: its number in our PID namespace; -EINVAL: it is none; -ESRCH: of a
 * dead one.
 */
pid_t peer_pidfd_number(int fd);

/* True once the process of a pidfd has ended. */
bool peer_dead(int pidfd);

#endif
