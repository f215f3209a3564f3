/* SPDX-License-Identifier: MIT */
#include "tools/demo/server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READY_TIMEOUT_MS 20000
#define EXIT_TIMEOUT_MS 2000 /* from closing its descriptor without a word to its end */
#define STOP_TIMEOUT_MS 10000
#define READY_FD 3

static void describe_status(int status, char *text, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(text, size, "was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(text, size, "exited with status %d", WEXITSTATUS(status));
}

/* Writes what larderd said to stderr, marked as not the demo's own words. */
static void print_log(const struct server *server)
{
	char path[sizeof server->directory + 16], line[1024];
	FILE *log;

	snprintf(path, sizeof path, "%s/log", server->directory);
	log = fopen(path, "re");
	if (log == NULL)
		return;
	while (fgets(line, sizeof line, log) != NULL)
		fprintf(stderr, "  | %s", line);
	fclose(log);
}

/* The signal that says it has ended is blocked, so it can be waited for. */
static bool wait_end(struct server *server, int timeout_ms, int *ret_status)
{
	struct timespec slice = { .tv_nsec = 50000000 };
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (int waited = 0; waited < timeout_ms; waited += 50) {
		if (waitpid(server->pid, ret_status, WNOHANG) == server->pid)
			return true;
		sigtimedwait(&child, NULL, &slice);
	}
	return false;
}

/* ---- start ------------------------------------------------------------------------------------------------------- */

static int find_program(struct server *server, const char *given)
{
	static const char *const places[] = { "/larderd", "/../sbin/larderd" };
	char folder[PATH_MAX - 32];
	ssize_t size;
	char *slash;

	if (given == NULL)
		given = getenv("LARDERD");
	if (given != NULL && *given != '\0') {
		if ((size_t)snprintf(server->program, sizeof server->program, "%s", given) < sizeof server->program &&
		    access(server->program, X_OK) == 0)
			return 0;
		fprintf(stderr, "larder-demo: %s cannot be executed: %s\n", given, strerror(errno));
		return -ENOENT;
	}
	size = readlink("/proc/self/exe", folder, sizeof folder - 1);
	folder[size > 0 ? size : 0] = '\0';
	slash = strrchr(folder, '/');
	if (slash != NULL)
		*slash = '\0';
	for (size_t i = 0; slash != NULL && i < sizeof places / sizeof places[0]; i++) {
		snprintf(server->program, sizeof server->program, "%s%s", folder, places[i]);
		if (access(server->program, X_OK) == 0)
			return 0;
	}
	fprintf(stderr, "larder-demo: there is no larderd in %s or ../sbin; say where it is with --larderd PATH\n",
	        folder);
	return -ENOENT;
}

/* In the child: becomes larderd. A process group of its own keeps the terminal's interrupt from it. */
_Noreturn static void become_larderd(const struct server *server, const char *size, int ready_fd, pid_t parent)
{
	char log_path[sizeof server->directory + 16], ready[16];
	int null_fd, log_fd;
	sigset_t none;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	snprintf(log_path, sizeof log_path, "%s/log", server->directory);
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	/* dup2 onto itself would leave close-on-exec set. */
	if (ready_fd == READY_FD)
		fcntl(READY_FD, F_SETFD, 0);
	if (null_fd < 0 || log_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(log_fd, STDOUT_FILENO) < 0 ||
	    dup2(log_fd, STDERR_FILENO) < 0 || dup2(ready_fd, READY_FD) < 0)
		_exit(EXIT_FAILURE);
	snprintf(ready, sizeof ready, "%d", READY_FD);
	execl(server->program, "larderd", "--socket", server->socket, "--size", size, "--ready-fd", ready,
	      (char *)NULL);
	dprintf(STDERR_FILENO, "%s: %s\n", server->program, strerror(errno));
	_exit(EXIT_FAILURE);
}

/* Return: 0: it wrote its byte; -EPIPE: it closed the descriptor without; -ETIMEDOUT, -EINTR. */
static int wait_ready(int ready_fd)
{
	struct pollfd ready = { .fd = ready_fd, .events = POLLIN };
	char byte;
	int count;

	count = poll(&ready, 1, READY_TIMEOUT_MS);
	if (count < 0)
		return -errno;
	if (count == 0)
		return -ETIMEDOUT;
	return read(ready_fd, &byte, 1) == 1 ? 0 : -EPIPE;
}

/* What did not become ready is ended at once, so that its last words are there to be shown. */
static void give_up(struct server *server, int result)
{
	char text[128] = "does not become ready";
	int status;

	if (result == -EPIPE && wait_end(server, EXIT_TIMEOUT_MS, &status)) {
		describe_status(status, text, sizeof text);
	} else {
		kill(server->pid, SIGKILL);
		waitpid(server->pid, &status, 0);
	}
	server->pid = 0;
	fprintf(stderr, "larder-demo: %s %s; it said:\n", server->program, text);
	print_log(server);
}

int server_start(struct server *server, const char *program, const char *size)
{
	const char *temporary = getenv("TMPDIR");
	int ready[2], result;
	pid_t parent = getpid();

	*server = (struct server){ 0 };
	result = find_program(server, program);
	if (result != 0)
		return result;
	if (temporary == NULL || *temporary == '\0')
		temporary = "/tmp";
	snprintf(server->directory, sizeof server->directory, "%s/larder-demo.XXXXXX", temporary);
	if (mkdtemp(server->directory) == NULL) {
		result = -errno;
		fprintf(stderr, "larder-demo: no temporary directory %s: %s\n", server->directory, strerror(-result));
		server->directory[0] = '\0';
		return result;
	}
	snprintf(server->socket, sizeof server->socket, "%s/socket", server->directory);
	if (pipe2(ready, O_CLOEXEC) < 0) {
		result = -errno;
		fprintf(stderr, "larder-demo: pipe: %s\n", strerror(-result));
		return result;
	}
	server->pid = fork();
	if (server->pid == 0)
		become_larderd(server, size, ready[1], parent);
	close(ready[1]);
	if (server->pid < 0) {
		result = -errno;
		server->pid = 0;
		fprintf(stderr, "larder-demo: fork: %s\n", strerror(-result));
	} else {
		result = wait_ready(ready[0]);
		if (result != 0)
			give_up(server, result);
	}
	close(ready[0]);
	return result;
}

/* ---- stop -------------------------------------------------------------------------------------------------------- */

int server_check(struct server *server)
{
	char text[128];
	int status;

	if (server->pid == 0 || waitpid(server->pid, &status, WNOHANG) != server->pid)
		return 0;
	server->pid = 0;
	describe_status(status, text, sizeof text);
	fprintf(stderr, "\nlarder-demo: larderd %s; it said:\n", text);
	print_log(server);
	return 1;
}

static void remove_directory(const struct server *server)
{
	DIR *directory = opendir(server->directory);
	struct dirent *entry;

	while (directory != NULL && (entry = readdir(directory)) != NULL)
		unlinkat(dirfd(directory), entry->d_name, 0);
	if (directory != NULL)
		closedir(directory);
	if (rmdir(server->directory) < 0)
		fprintf(stderr, "larder-demo: %s stays behind: %s\n", server->directory, strerror(errno));
}

int server_stop(struct server *server)
{
	int status = 0, result = 0;
	char text[128];

	if (server->pid != 0) {
		kill(server->pid, SIGTERM);
		if (!wait_end(server, STOP_TIMEOUT_MS, &status)) {
			fprintf(stderr, "larder-demo: larderd does not end on SIGTERM; killing it\n");
			kill(server->pid, SIGKILL);
			waitpid(server->pid, &status, 0);
			result = -EIO;
		} else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
			describe_status(status, text, sizeof text);
			fprintf(stderr, "larder-demo: asked to stop, larderd %s; it said:\n", text);
			print_log(server);
			result = -EIO;
		}
		server->pid = 0;
	}
	if (server->directory[0] != '\0')
		remove_directory(server);
	server->directory[0] = '\0';
	return result;
}
