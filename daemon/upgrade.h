/* SPDX-License-Identifier: MIT */
/* SIGUSR2: another binary takes over, and no client notices more than a pause. */
#ifndef LARDER_DAEMON_UPGRADE_H
#define LARDER_DAEMON_UPGRADE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/fault.h"
#include "daemon/handover.h"

#define UPGRADE_TRY_MS 5000 /* for the new program to find that it can go on */
#define UPGRADE_OPTION "check-upgrade"

/* What to execute, as we were called ourselves. */
struct program {
	const char *path;
	const char *const *arguments; /* the first is the name, NULL ends them */
};

/* A child that tries whether the new program could go on with what we have. */
struct trial {
	pid_t child; /* 0: none */
	int note_fd;
	uint64_t until_ms;
};

/*
 * Begins a trial. Nothing in the arena is touched, and we go on as before. Return: 0 or -errno.
 */
int upgrade_try(const struct program *program, const struct handover *held, struct trial *ret_trial);

/* Judges a trial whose child has ended with this status. Return: 0: the new program may take over; else the fault. */
int upgrade_judge(struct trial *trial, int status, struct fault *fault);

/* Executes the new program over this one. Returns only when that cannot be done: -errno, and all is as it was. */
int upgrade_execute(const struct program *program, const struct handover *held);

/* In the new program: whether it was executed by an old one. */
bool upgrade_present(void);

/* Takes what the old one left. Return: 0; -EPROTO: this program does not understand it. */
int upgrade_receive(struct handover *ret_handover, struct fault *fault);

/* In a trial: says that this program could go on. Return: 0 or -errno. */
int upgrade_accept(struct fault *fault);

/* Forgets what the old one wrote down, so that no child believes it is meant. */
void upgrade_forget(void);

#endif
