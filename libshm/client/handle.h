/* SPDX-License-Identifier: MIT */
/* What is behind the public type larder: one process's handle on one arena, and its attachment to it. */
#ifndef LARDER_CLIENT_HANDLE_H
#define LARDER_CLIENT_HANDLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "arena/lease.h"
#include "cache/cache.h"
#include "client/process.h"

/* A mapped arena with the connection over which it came. */
struct attachment {
	struct cache cache;
	struct lease lease;   /* while we have it larderd honours our control page */
	int channel;          /* to larderd; -1: given up */
	dev_t channel_device; /* tell whether the descriptor is still ours */
	ino_t channel_inode;

	/* Writes of a read-only client travel one at a time, under the mutex. */
	pthread_mutex_t exchange;
	uint64_t last_request;
	bool lost; /* larderd hung up */

	struct attachment *inherited; /* of the process that forked this one */
};

struct larder {
	struct process *process;
	struct attachment *attachment; /* this process's, if process->token is not 0; else an ancestor's, or NULL */
	char *socket_path;             /* absolute: a child may attach after it changed its directory */
	uint32_t timeout_ms;
	bool fenced;
	pthread_key_t key; /* of the thread states */
};

/*
 * Whether there is a connection, whose descriptor the program has not closed. Its number may be a file of the program's
 * by now, so nothing is written to it before this was asked.
 */
bool attachment_connected(const struct attachment *attachment);

/*
 * Makes sure that this process has an attachment. After a fork the child makes its own at its first call.
 * Return: 0 or what larder_open may give.
 */
int handle_attach(struct larder *cache, struct fault *fault);

#endif
