/* SPDX-License-Identifier: MIT */
#include "bench/service.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/connection.h"

#define READY_TIMEOUT_MS 20000
#define TRY_EVERY_MS 2
#define STOP_TIMEOUT_MS 10000

int service_find(const char *program, const char *package, char path[256], char why[DRIVER_WHY_BYTES])
{
	const char *search = getenv("PATH");
	char folders[4096], *rest = folders, *folder;

	snprintf(folders, sizeof folders, "%s:/usr/bin:/usr/sbin:/usr/local/bin", search ? search : "");
	while ((folder = strsep(&rest, ":"))) {
		snprintf(path, 256, "%s/%s", folder, program);
		if (folder[0] == '/' && access(path, X_OK) == 0)
			return 0;
	}
	snprintf(why, DRIVER_WHY_BYTES, "%s is not installed (Debian: %s, see make bench-deps)", program, package);
	return -ENOENT;
}

static _Noreturn void become(const char *const argv[], pid_t parent)
{
	const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(127);
	dup2(nowhere, STDIN_FILENO);
	dup2(nowhere, STDOUT_FILENO);
	dup2(nowhere, STDERR_FILENO);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

/* Whether it has ended; it is no longer anybody's child then. */
static bool has_ended(struct service *service)
{
	if (waitpid(service->pid, NULL, WNOHANG) == 0)
		return false;
	service->pid = 0;
	return true;
}

/* There is nothing to wait on until the program listens, so the question is asked again until it is answered. */
static int wait_until_answering(struct service *service, const char *greeting, const char *answer,
                                char why[DRIVER_WHY_BYTES])
{
	const uint64_t deadline = monotonic_ms() + READY_TIMEOUT_MS;

	do {
		struct connection connection;
		int result = connection_open(&connection, service->socket, strlen(answer) + 256);

		if (result == 0) {
			const char *line;

			result = connection_send(&connection, greeting, strlen(greeting));
			line = result == 0 ? connection_line(&connection) : NULL;
			result = line && strncmp(line, answer, strlen(answer)) == 0 ? 0 : -EPROTO;
			connection_close(&connection);
			if (result == 0)
				return 0;
		}
		if (has_ended(service)) {
			snprintf(why, DRIVER_WHY_BYTES, "it ended before it was ready");
			return -ECHILD;
		}
		poll(NULL, 0, TRY_EVERY_MS);
	} while (monotonic_ms() < deadline);
	snprintf(why, DRIVER_WHY_BYTES, "it was not ready within %d s", READY_TIMEOUT_MS / 1000);
	return -ETIMEDOUT;
}

int service_start(struct service *service, const char *const argv[], const char *greeting, const char *answer,
                  char why[DRIVER_WHY_BYTES])
{
	const pid_t self = getpid();
	int result;

	fflush(NULL);
	service->pid = fork();
	if (service->pid < 0)
		return -EAGAIN;
	if (service->pid == 0)
		become(argv, self);
	result = wait_until_answering(service, greeting, answer, why);
	if (result != 0)
		service_stop(service);
	return result;
}

void service_stop(struct service *service)
{
	const uint64_t deadline = monotonic_ms() + STOP_TIMEOUT_MS;

	if (service->pid <= 0)
		return;
	kill(service->pid, SIGTERM);
	while (!has_ended(service)) {
		if (monotonic_ms() > deadline)
			kill(service->pid, SIGKILL);
		poll(NULL, 0, TRY_EVERY_MS);
	}
}
