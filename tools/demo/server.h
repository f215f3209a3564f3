/* SPDX-License-Identifier: MIT */
/* A larderd of the demo's own, with its socket and its log in a temporary directory. */
#ifndef LARDER_DEMO_SERVER_H
#define LARDER_DEMO_SERVER_H

#include <limits.h>
#include <sys/types.h>

struct server {
	pid_t pid; /* 0: not running */
	char program[PATH_MAX];
	char directory[PATH_MAX];
	char socket[PATH_MAX + 16];
};

/*
 * Starts it and waits until it says that it is ready. program: NULL: $LARDERD, else beside the demo or in ../sbin.
 * Return: 0, or -errno after a sentence, and what larderd said, went to stderr.
 */
int server_start(struct server *server, const char *program, const char *size);

/*
 * Asks whether it has ended by itself, which it should not. Return: 0: it is running; 1: it has ended, and a sentence went
 * to stderr.
 */
int server_check(struct server *server);

/* Ends it and removes the directory; also when it was never started. Return: 0; -EIO: it did not end as it should. */
int server_stop(struct server *server);

#endif
