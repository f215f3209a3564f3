/* SPDX-License-Identifier: MIT */
/* A program of somebody else's that serves on a socket in a temporary directory, as long as it is needed. */
#ifndef LARDER_BENCH_SERVICE_H
#define LARDER_BENCH_SERVICE_H

#include <stddef.h>
#include <sys/types.h>

#include "bench/driver.h"

struct service {
	pid_t pid;
	char socket[128];
};

/*
 * Finds a program in PATH and in the folders of system programs. Return: 0, -ENOENT: why names the package that has it.
 */
int service_find(const char *program, const char *package, char path[256], char why[DRIVER_WHY_BYTES]);

/*
 * Runs a program, silently, that will serve on service->socket, which its arguments name. It is ready when greeting, sent
 * there, is answered by what begins with answer. Return: 0 or -errno: why says why.
 */
int service_start(struct service *service, const char *const argv[], const char *greeting, const char *answer,
                  char why[DRIVER_WHY_BYTES]);

/* Ends it. */
void service_stop(struct service *service);

#endif
