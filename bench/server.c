/* SPDX-License-Identifier: MIT */
#include "bench/server.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

#define READY_TIMEOUT_MS 300000 /* the kernel fills gigabytes with zeroes first */

static int find_larderd(char *buffer, size_t buffer_size)
{
	const char *chosen = getenv("LARDERD");
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash;

	if (chosen) {
		snprintf(buffer, buffer_size, "%s", chosen);
	} else {
		self[length > 0 ? length : 0] = '\0';
		slash = strrchr(self, '/');
		snprintf(buffer, buffer_size, "%.*s/larderd", slash ? (int)(slash - self) : 0, self);
	}
	if (access(buffer, X_OK) != 0)
		return complain(-ENOENT, "cannot run %s: %s; build it, or set LARDERD", buffer, strerror(errno));
	return 0;
}

static void become_larderd(const char *path, const struct server *server, const char *size, const char *pages,
                           const char *access, const struct machine_cpus *cpus, int ready_fd, pid_t parent)
{
	char ready_text[16];
	/* The machine's own configuration must not change what is measured. */
	const char *argv[16] = { path,           "--config", "/dev/null", "--log_level", "warning", "--socket",
		                 server->socket, "--size",   size,        "--ready-fd",  ready_text };
	size_t count = 11;

	if (pages) {
		argv[count++] = "--pages";
		argv[count++] = pages;
	}
	if (access) {
		argv[count++] = "--access";
		argv[count++] = access;
	}
	/* When the parent ends in whatever way, larderd ends. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(127);
	if (!cpus->shared)
		sched_setaffinity(0, sizeof cpus->others, &cpus->others);
	snprintf(ready_text, sizeof ready_text, "%d", ready_fd);
	fcntl(ready_fd, F_SETFD, 0);
	execv(path, (char *const *)argv);
	_exit(127);
}

/* larderd writes a byte when it is ready; its end without one closes the pipe. */
static int wait_until_ready(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	char byte;
	int count = poll(&ready, 1, READY_TIMEOUT_MS);

	if (count < 0)
		return -errno;
	if (count == 0)
		return complain(-ETIMEDOUT, "larderd was not ready within %d s", READY_TIMEOUT_MS / 1000);
	if (read(fd, &byte, 1) != 1)
		return complain(-ECHILD, "larderd ended before it was ready");
	return 0;
}

int server_start(const char *size, const char *pages, const char *access, const struct machine_cpus *cpus,
                 struct server *ret_server)
{
	const char *parent_directory = getenv("TMPDIR");
	const pid_t self = getpid();
	struct server server = { 0 };
	char path[PATH_MAX];
	int ready[2];
	int result = find_larderd(path, sizeof path);

	if (result != 0)
		return result;
	/* A socket's path has to fit in 108 bytes. */
	if (!parent_directory || strlen(parent_directory) > 64)
		parent_directory = "/tmp";
	snprintf(server.directory, sizeof server.directory, "%s/larder-bench-XXXXXX", parent_directory);
	if (!mkdtemp(server.directory))
		return complain(-errno, "cannot make %s: %s", server.directory, strerror(errno));
	snprintf(server.socket, sizeof server.socket, "%s/socket", server.directory);

	if (pipe2(ready, O_CLOEXEC) != 0) {
		result = complain(-errno, "cannot make a pipe: %s", strerror(errno));
		rmdir(server.directory);
		return result;
	}
	server.pid = fork();
	if (server.pid == 0)
		become_larderd(path, &server, size, pages, access, cpus, ready[1], self);
	close(ready[1]);
	result = server.pid < 0 ? complain(-EAGAIN, "cannot fork") : wait_until_ready(ready[0]);
	close(ready[0]);
	if (result != 0) {
		server_stop(&server);
		return result;
	}
	*ret_server = server;
	return 0;
}

void server_stop(struct server *server)
{
	int status = 0;

	if (server->pid == 0)
		return;
	if (server->pid > 0) {
		kill(server->pid, SIGTERM);
		/* Whoever interrupts this wait has waited long enough. */
		while (waitpid(server->pid, &status, 0) < 0 && errno == EINTR)
			kill(server->pid, SIGKILL);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			complain(0, "larderd ended with wait status 0x%x", (unsigned)status);
	}
	unlink(server->socket);
	rmdir(server->directory);
	*server = (struct server){ 0 };
}
