/* SPDX-License-Identifier: MIT */
/* The supervisor: holds every descriptor, keeps a keeper running, and does nothing else. */
#ifndef LARDER_DAEMON_SUPERVISOR_H
#define LARDER_DAEMON_SUPERVISOR_H

#include "base/fault.h"
#include "daemon/config.h"
#include "daemon/upgrade.h"

/* Exit statuses, as daemon(7) recommends them. */
enum { STATUS_OK = 0, STATUS_FAILURE = 1, STATUS_USAGE = 2, STATUS_PERMISSION = 4, STATUS_CONFIG = 6 };

struct supervisor_start {
	struct config config;
	int ready_fd; /* gets a newline once clients are served, and is closed; -1: none */

	/* Reads the configuration anew, for SIGHUP. Return: 0 or -errno. */
	int (*reload)(void *context, struct config *ret_config, struct fault *fault);
	void *context;

	struct program program; /* what SIGUSR2 executes */
};

/* Runs until told to end. Return: the exit status. */
int supervisor_run(const struct supervisor_start *start);

#endif
