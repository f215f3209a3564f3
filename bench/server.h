/* SPDX-License-Identifier: MIT */
/* A larderd of this program's own, in a directory of its own, away from the processor that measures. */
#ifndef LARDER_BENCH_SERVER_H
#define LARDER_BENCH_SERVER_H

#include <sys/types.h>

#include "bench/machine.h"

struct server {
	pid_t pid;
	char directory[128];
	char socket[160];
};

/*
 * Runs $LARDERD, else the larderd beside this program, and returns when it is ready. pages, access: its options, or NULL.
 * Return: 0 or a negative value; it has complained by then.
 */
int server_start(const char *size, const char *pages, const char *access, const struct machine_cpus *cpus,
                 struct server *ret_server);

/* Ends it and removes the directory. Does nothing where pid is 0. */
void server_stop(struct server *server);

#endif
