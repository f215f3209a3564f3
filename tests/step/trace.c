/* SPDX-License-Identifier: MIT */
/*
 * The processor's single step (ptrace(2)): the child traps after every instruction, so whatever it had stored by then is in
 * memory and nothing more, which is what a SIGKILL at that instant would leave.
 *
 * On an aarch64 processor without the LSE instructions a loop of load-exclusive and store-exclusive never ends under single
 * step, since the trap gives up the exclusive access.
 */
#include "tests/step/trace.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomics.h"
#include "tests/support/expect.h"
#include "tests/support/workers.h"

struct trace_board {
	atomic_u32 begun, done;
	atomic_u32 result;
};

extern const char __ehdr_start[]; /* the linker's: where the program is loaded */

void trace_open(struct trace *trace)
{
	trace->board = shared_memory(sizeof *trace->board);
}

void trace_close(struct trace *trace)
{
	munmap(trace->board, sizeof *trace->board);
}

static _Noreturn void be_traced(struct trace_board *board, trace_body *prepare, trace_body *act, void *context)
{
	prepare(context);
	expect(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
	raise(SIGSTOP);
	store_relaxed(&board->begun, 1);
	store_relaxed(&board->result, (uint32_t)act(context));
	store_relaxed(&board->done, 1);
	for (;;)
		pause();
}

/* Resumes the child and waits until it stops. False: not by a trap. */
static bool resume(struct trace *trace, enum __ptrace_request how, int expected_signal)
{
	int status;

	if (how != PTRACE_SETOPTIONS)
		expect(ptrace(how, trace->pid, NULL, NULL) == 0);
	while (waitpid(trace->pid, &status, 0) < 0)
		expect(errno == EINTR);
	if (WIFSTOPPED(status) && WSTOPSIG(status) == expected_signal)
		return true;
	trace->signal = WIFSTOPPED(status) ? WSTOPSIG(status) : WIFSIGNALED(status) ? WTERMSIG(status) : SIGKILL;
	if (!WIFSTOPPED(status))
		trace->pid = 0;
	return false;
}

void trace_start(struct trace *trace, trace_body *prepare, trace_body *act, void *context)
{
	struct trace_board *board = trace->board;
	pid_t parent = getpid();

	trace->signal = 0;
	store_relaxed(&board->begun, 0);
	store_relaxed(&board->done, 0);
	fflush(NULL);
	trace->pid = fork();
	expect(trace->pid >= 0);
	if (trace->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		expect(getppid() == parent);
		be_traced(board, prepare, act, context);
	}
	if (!resume(trace, PTRACE_SETOPTIONS, SIGSTOP))
		expect_failed("the process ended before it came to the operation");
	expect(ptrace(PTRACE_SETOPTIONS, trace->pid, NULL, PTRACE_O_EXITKILL) == 0);
	while (!load_relaxed(&board->begun))
		expect(resume(trace, PTRACE_SINGLESTEP, SIGTRAP));
}

bool trace_step(struct trace *trace)
{
	return resume(trace, PTRACE_SINGLESTEP, SIGTRAP) && !load_relaxed(&trace->board->done);
}

void trace_run(struct trace *trace)
{
	struct patience patience = patience_start(60000);
	int status = 0;

	expect(ptrace(PTRACE_CONT, trace->pid, NULL, NULL) == 0);
	while (!load_relaxed(&trace->board->done) && waitpid(trace->pid, &status, WNOHANG) == 0)
		expect(patience_left(patience));
	if (status != 0) {
		trace->signal = WIFSTOPPED(status) ? WSTOPSIG(status) : SIGKILL;
		trace->pid = WIFSTOPPED(status) ? trace->pid : 0;
	}
}

int trace_result(const struct trace *trace)
{
	return (int)load_relaxed(&trace->board->result);
}

uint64_t trace_place(const struct trace *trace)
{
	struct user_regs_struct registers;
	struct iovec vector = { &registers, sizeof registers };

	if (trace->pid == 0 || ptrace(PTRACE_GETREGSET, trace->pid, (void *)(uintptr_t)NT_PRSTATUS, &vector))
		return 0;
#ifdef __x86_64__
	return registers.rip - (uint64_t)(uintptr_t)__ehdr_start;
#else
	return registers.pc - (uint64_t)(uintptr_t)__ehdr_start;
#endif
}

void trace_kill(struct trace *trace)
{
	if (trace->pid == 0)
		return;
	kill(trace->pid, SIGKILL);
	waitpid(trace->pid, NULL, 0);
	trace->pid = 0;
}
