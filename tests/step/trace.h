/* SPDX-License-Identifier: MIT */
/* A child process that is stopped after each of its instructions. */
#ifndef LARDER_STEP_TRACE_H
#define LARDER_STEP_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef int trace_body(void *context);

struct trace {
	pid_t pid;
	struct trace_board *board; /* shared with the child */
	int signal;                /* that ended or stopped it unasked; 0: none */
};

/* Once; the same structure serves for one child after another. */
void trace_open(struct trace *trace);
void trace_close(struct trace *trace);

/* Forks a child that calls prepare at full speed, and halts it where it is about to call act. */
void trace_start(struct trace *trace, trace_body *prepare, trace_body *act, void *context);

/* Lets it execute one instruction (one round of one that repeats; a system call is one). False: act has returned, or it died. */
bool trace_step(struct trace *trace);

/* Lets it run until act has returned. */
void trace_run(struct trace *trace);

/* What act returned. */
int trace_result(const struct trace *trace);

/* Where it stands, as an address that addr2line understands with the program's file. */
uint64_t trace_place(const struct trace *trace);

void trace_kill(struct trace *trace);

#endif
