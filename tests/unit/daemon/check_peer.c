/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/message.h"
#include "daemon/peer.h"
#include "tests/support/suite.h"

/* A child that connected to us and waits; it sent a pidfd of itself. */
struct child {
	pid_t pid;
	int socket;
	int offered;
};

static int listen_abstract(struct sockaddr_un *address, socklen_t *size)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	/* The kernel finds a name in the abstract namespace. */
	*size = sizeof *address;
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	ck_assert_int_eq(bind(fd, (struct sockaddr *)address, sizeof(sa_family_t)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)address, size), 0);
	return fd;
}

/* uid, gid 0: stay root. groups: supplementary ones. */
static struct child start_child(uid_t uid, gid_t gid, const gid_t *groups, size_t group_count)
{
	struct sockaddr_un address;
	socklen_t size;
	struct child child;
	int fds[MESSAGE_FDS_MAX], count = 0, listener = listen_abstract(&address, &size);
	char byte;

	child.pid = fork();
	if (child.pid == 0) {
		int socket_fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
		int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);

		if (geteuid() == 0 && (setgroups(group_count, groups) || setgid(gid) || setuid(uid)))
			_exit(1);
		if (connect(socket_fd, (struct sockaddr *)&address, size) || message_send(socket_fd, "x", 1, &pidfd, 1))
			_exit(1);
		for (;;)
			pause();
	}
	child.socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	ck_assert_int_ge(child.socket, 0);
	while (message_receive(child.socket, &byte, 1, fds, &count) == -EAGAIN)
		;
	ck_assert_int_eq(count, 1);
	child.offered = fds[0];
	return child;
}

static void end_child(struct child *child)
{
	kill(child->pid, SIGKILL);
	ck_assert_int_eq(waitpid(child->pid, NULL, 0), child->pid);
}

static struct peer peer_of_child(const struct child *child)
{
	struct peer peer;

	ck_assert_int_eq(peer_of(child->socket, &peer), 0);
	return peer;
}

START_TEST(test_who_it_is)
{
	struct child child = start_child(0, 0, NULL, 0);
	struct peer peer = peer_of_child(&child);

	ck_assert_int_eq(peer.pid, child.pid);
	ck_assert_uint_eq(peer.uid, getuid());
	ck_assert_uint_eq(peer.gid, getgid());
	ck_assert_int_lt(peer_of(open("/dev/null", O_RDONLY), &peer), 0);
	end_child(&child);
}
END_TEST

/* Root, and who we are, need no list. */
START_TEST(test_own_user_is_admitted)
{
	struct child child = start_child(0, 0, NULL, 0);
	struct peer peer = peer_of_child(&child);
	struct config config;

	config_defaults(&config);
	ck_assert(peer_admitted(child.socket, &peer, &config));
	peer.uid = 0;
	ck_assert(peer_admitted(child.socket, &peer, &config));
	peer.uid = geteuid() + 4711;
	ck_assert(!peer_admitted(child.socket, &peer, &config));
	end_child(&child);
}
END_TEST

START_TEST(test_lists)
{
	gid_t groups[200];
	struct config config;
	struct child child;
	struct peer peer;

	if (geteuid() != 0)
		return; /* only root can be somebody else */
	for (size_t i = 0; i < 200; i++)
		groups[i] = (gid_t)(70000 + i);
	child = start_child(60001, 60002, groups, 200);
	peer = peer_of_child(&child);
	config_defaults(&config);
	ck_assert(!peer_admitted(child.socket, &peer, &config));
	ck_assert_int_eq(config_set(&config, "allow_users", "60003 60002", NULL), 0);
	ck_assert(!peer_admitted(child.socket, &peer, &config));
	ck_assert_int_eq(config_set(&config, "allow_users", "60003 60001", NULL), 0);
	ck_assert(peer_admitted(child.socket, &peer, &config));
	ck_assert_int_eq(config_set(&config, "allow_users", "", NULL), 0);
	ck_assert_int_eq(config_set(&config, "allow_groups", "60001 70200", NULL), 0);
	ck_assert(!peer_admitted(child.socket, &peer, &config));
	ck_assert_int_eq(config_set(&config, "allow_groups", "60002", NULL), 0);
	ck_assert(peer_admitted(child.socket, &peer, &config));
	ck_assert_int_eq(config_set(&config, "allow_groups", "70199", NULL), 0); /* the last of its many groups */
	ck_assert(peer_admitted(child.socket, &peer, &config));
	end_child(&child);
}
END_TEST

/* Each way to a pidfd gives one that tells the child's death, and no other's. */
START_TEST(test_proof_of_death)
{
	struct child child = start_child(0, 0, NULL, 0), other = start_child(0, 0, NULL, 0);
	struct peer peer = peer_of_child(&child);
	int fds[] = { peer_pidfd_of_kernel(child.socket), peer_pidfd_offered(&peer, child.offered, NULL),
		      peer_pidfd_of_number(child.socket, &peer, NULL), peer_pidfd(child.socket, &peer, -1, NULL),
		      peer_pidfd(child.socket, &peer, child.offered, NULL) };

	for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
		if (i == 0 && fds[i] == -ENOPROTOOPT)
			continue; /* a kernel before 6.5 */
		ck_assert_msg(fds[i] >= 0, "way %zu: %d", i, fds[i]);
		ck_assert_int_eq(peer_pidfd_number(fds[i]), child.pid);
		ck_assert_int_eq(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
		ck_assert(!peer_dead(fds[i]));
	}
	end_child(&other);
	for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
		ck_assert(fds[i] < 0 || !peer_dead(fds[i]));
	end_child(&child);
	for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
		ck_assert(fds[i] < 0 || peer_dead(fds[i]));
}
END_TEST

START_TEST(test_the_dead_are_not_attached)
{
	struct child child = start_child(0, 0, NULL, 0);
	struct peer peer = peer_of_child(&child);
	int kernel;

	end_child(&child);
	kernel = peer_pidfd_of_kernel(child.socket);
	if (kernel >= 0) /* this kernel gives one that is readable at once */
		ck_assert(peer_dead(kernel));
	else
		ck_assert(kernel == -ESRCH || kernel == -ENOPROTOOPT);
	ck_assert_int_eq(peer_pidfd_offered(&peer, child.offered, NULL), -ESRCH);
	ck_assert_int_eq(peer_pidfd_of_number(child.socket, &peer, NULL), -ESRCH);
}
END_TEST

/* Its number may have gone to somebody else by now: the hang-up gives it away. */
START_TEST(test_recycled_number)
{
	struct child child = start_child(0, 0, NULL, 0), other = start_child(0, 0, NULL, 0);
	struct peer peer = peer_of_child(&child);

	end_child(&child);
	peer.pid = other.pid;
	ck_assert_int_eq(peer_pidfd_of_number(child.socket, &peer, NULL), -ESRCH);
	end_child(&other);
}
END_TEST

START_TEST(test_false_offers)
{
	struct child child = start_child(0, 0, NULL, 0), other = start_child(0, 0, NULL, 0);
	struct peer peer = peer_of_child(&child), invisible = peer;
	int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC), pair[2];
	struct fault fault = { "" };

	/* Another's pidfd; a file that has a line "Pid:"; a pipe; nothing. */
	ck_assert_int_eq(peer_pidfd_offered(&peer, other.offered, &fault), -EPROTO);
	ck_assert_ptr_nonnull(strstr(fault.text, "no pidfd of the process that connected"));
	ck_assert_int_eq(peer_pidfd_offered(&peer, file, NULL), -EPROTO);
	ck_assert_int_eq(pipe2(pair, O_CLOEXEC), 0);
	ck_assert_int_eq(peer_pidfd_offered(&peer, pair[0], NULL), -EPROTO);
	ck_assert_int_eq(peer_pidfd_offered(&peer, -1, NULL), -EPROTO);
	ck_assert_int_eq(peer_pidfd_number(file), -EINVAL);
	ck_assert_int_eq(peer_pidfd_number(pair[0]), -EINVAL);

	/* From where we cannot see it, it has no number that would prove anything. */
	invisible.pid = 0;
	ck_assert_int_eq(peer_pidfd_offered(&invisible, child.offered, NULL), -EPROTO);
	ck_assert_int_eq(peer_pidfd_of_number(child.socket, &invisible, NULL), -EPROTO);
	end_child(&child);
	end_child(&other);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("peer");

	tcase_add_test(tests, test_who_it_is);
	tcase_add_test(tests, test_own_user_is_admitted);
	tcase_add_test(tests, test_lists);
	tcase_add_test(tests, test_proof_of_death);
	tcase_add_test(tests, test_the_dead_are_not_attached);
	tcase_add_test(tests, test_recycled_number);
	tcase_add_test(tests, test_false_offers);
	return suite_run("daemon/peer", tests);
}
