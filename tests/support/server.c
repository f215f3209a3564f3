/* SPDX-License-Identifier: MIT */
#include "tests/support/server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/expect.h"

#define ARGUMENTS_MAX 32
#define START_TIMEOUT_MS 30000
#define STOP_TIMEOUT_MS 30000

/* Tests lie in build/<flavour>/tests/<kind>/, larder-linear in build/<flavour>/bin/. */
static const char *find_larderd(void)
{
	static char path[512];
	const char *const places[] = { "/larderd", "/../bin/larderd", "/../../bin/larderd" };
	const char *chosen = getenv("LARDERD");
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 32);

	if (chosen != NULL)
		return chosen;
	expect(length > 0);
	path[length] = '\0';
	*strrchr(path, '/') = '\0';
	length = (ssize_t)strlen(path);
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		strcpy(path + length, places[i]);
		if (access(path, X_OK) == 0)
			return path;
	}
	expect_failed("there is no larderd beside this program; build it or set LARDERD");
	return NULL;
}

void server_prepare(struct server *server)
{
	const char *parent = getenv("TMPDIR");

	memset(server, 0, sizeof *server);
	if (parent == NULL || strlen(parent) > 32)
		parent = "/tmp";
	snprintf(server->directory, sizeof server->directory, "%s/larder-test-XXXXXX", parent);
	expect(mkdtemp(server->directory) != NULL);
	expect(chmod(server->directory, 0755) == 0);
	snprintf(server->socket, sizeof server->socket, "%s/socket", server->directory);
	snprintf(server->log, sizeof server->log, "%s/log", server->directory);
}

/* Huge pages are of 2 MiB: arenas whose size is no multiple of that cannot be on them. */
static bool fits_huge_pages(const char *const arguments[])
{
	for (; *arguments != NULL; arguments++)
		if (strcmp(*arguments, "--size") == 0 && arguments[1] != NULL)
			return strtoul(arguments[1], NULL, 10) % 2 == 0;
	return false;
}

static void become_larderd(const struct server *server, const char *const arguments[], int ready_fd, pid_t parent)
{
	const char *argv[ARGUMENTS_MAX + 6];
	const char *pages = getenv("LARDER_TEST_PAGES");
	char fd_text[16];
	int log_fd = open(server->log, O_WRONLY | O_CREAT | O_APPEND, 0644);
	size_t count = 0;

	/* A test that fails leaves without stopping its server. In a PID namespace of its own it cannot see its parent. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if ((getppid() != parent && getppid() != 0) || log_fd < 0 || dup2(log_fd, STDERR_FILENO) < 0 ||
	    dup2(log_fd, STDOUT_FILENO) < 0)
		_exit(127);
	close(log_fd);
	snprintf(fd_text, sizeof fd_text, "%d", ready_fd);
	argv[count++] = find_larderd();
	argv[count++] = "--ready-fd";
	argv[count++] = fd_text;
	if (pages != NULL && fits_huge_pages(arguments)) {
		argv[count++] = "--pages";
		argv[count++] = pages;
	}
	for (; *arguments != NULL; arguments++) {
		expect(count < ARGUMENTS_MAX + 5);
		argv[count++] = *arguments;
	}
	argv[count] = NULL;
	execv(argv[0], (char *const *)argv);
	expect_failed("cannot run %s: %s", argv[0], strerror(errno));
}

bool server_run(struct server *server, const char *const arguments[])
{
	int ready[2];
	pid_t parent = getpid();
	struct pollfd wait_for;
	char byte;
	ssize_t got;

	/* Only larderd's copy may stay open over exec: a later child of ours must not keep the pipe alive. */
	expect(pipe2(ready, O_CLOEXEC) == 0);
	server->pid = fork();
	expect(server->pid >= 0);
	if (server->pid == 0) {
		fcntl(ready[1], F_SETFD, 0);
		become_larderd(server, arguments, ready[1], parent);
	}
	close(ready[1]);
	wait_for = (struct pollfd){ .fd = ready[0], .events = POLLIN };
	if (poll(&wait_for, 1, START_TIMEOUT_MS) != 1)
		expect_failed("larderd was not ready after %d ms; see %s", START_TIMEOUT_MS, server->log);
	got = read(ready[0], &byte, 1);
	close(ready[0]);
	return got == 1;
}

void server_start(struct server *server, const char *size, ...)
{
	const char *arguments[ARGUMENTS_MAX] = { "--socket", server->socket, "--size", size };
	size_t count = 4;
	va_list more;

	va_start(more, size);
	do {
		expect(count < ARGUMENTS_MAX);
		arguments[count] = va_arg(more, const char *);
	} while (arguments[count++] != NULL);
	va_end(more);
	server_prepare(server);
	if (!server_run(server, arguments)) {
		char text[2048];

		server_read_file(server->log, text, sizeof text);
		expect_failed("larderd ended with status %d before it was ready, and said:\n%s", server_wait(server),
		              text);
	}
}

bool server_alive(const struct server *server)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)server->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

int server_wait(struct server *server)
{
	struct patience patience = patience_start(STOP_TIMEOUT_MS);
	int status = 0;
	pid_t ended;

	while ((ended = waitpid(server->pid, &status, WNOHANG)) == 0)
		if (!patience_left(patience))
			expect_failed("larderd did not end within %d ms; see %s", STOP_TIMEOUT_MS, server->log);
	expect_equal(ended, server->pid);
	server->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void remove_directory(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;

	expect(directory != NULL);
	while ((entry = readdir(directory)) != NULL)
		unlinkat(dirfd(directory), entry->d_name, 0);
	closedir(directory);
	rmdir(path);
}

void server_stop(struct server *server)
{
	int status;

	if (server->pid != 0) {
		expect(server_alive(server));
		expect(kill(server->pid, SIGTERM) == 0);
		status = server_wait(server);
		if (status != 0)
			expect_failed("larderd ended with status %d; see %s", status, server->log);
		expect(access(server->socket, F_OK) != 0);
	}
	remove_directory(server->directory);
}

pid_t server_keeper(const struct server *server)
{
	char path[64], text[64];

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)server->pid, (int)server->pid);
	server_read_file(path, text, sizeof text);
	return (pid_t)strtol(text, NULL, 10);
}

unsigned server_descriptors(pid_t pid)
{
	char path[32];
	unsigned count = 0;
	DIR *directory;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	directory = opendir(path);
	expect(directory != NULL);
	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}

void server_read_file(const char *path, char *buffer, size_t buffer_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t got;

	if (fd < 0)
		expect_failed("cannot open %s: %s", path, strerror(errno));
	while ((got = read(fd, buffer + used, buffer_size - 1 - used)) > 0)
		used += (size_t)got;
	close(fd);
	buffer[used] = '\0';
}

void server_write_file(const struct server *server, const char *name, const char *text, char ret_path[128])
{
	FILE *file;

	snprintf(ret_path, 128, "%s/%s", server->directory, name);
	file = fopen(ret_path, "we");
	expect(file != NULL);
	expect(fputs(text, file) >= 0);
	expect(fclose(file) == 0);
}
