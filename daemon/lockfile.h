/* SPDX-License-Identifier: MIT */
/*
 * Who may serve a path: an flock of the file path + ".lock", which the kernel gives up when the last process dies that
 * has the descriptor. Supervisor and keeper both have it: while a keeper is about to follow its supervisor into death,
 * nobody else begins.
 */
#ifndef LARDER_DAEMON_LOCKFILE_H
#define LARDER_DAEMON_LOCKFILE_H

#include "base/fault.h"

/*
 * Waits a moment for a larderd that is just ending. what: the key of the configuration, for the fault. Return: the
 * descriptor; -EADDRINUSE: another larderd has it; -errno.
 */
int lockfile_take(const char *path, const char *what, struct fault *fault);

/* Removes the file. The lock stays until the descriptor is closed. */
void lockfile_remove(const char *path);

#endif
