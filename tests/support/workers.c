/* SPDX-License-Identifier: MIT */
#include "tests/support/workers.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/expect.h"

#define RUN_TIMEOUT_SECONDS 60

void *shared_memory(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	expect(memory != MAP_FAILED);
	return memory;
}

void shared_barrier(pthread_barrier_t *barrier, unsigned count)
{
	pthread_barrierattr_t attributes;

	expect(pthread_barrierattr_init(&attributes) == 0);
	expect(pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0);
	expect(pthread_barrier_init(barrier, &attributes, count) == 0);
	pthread_barrierattr_destroy(&attributes);
}

void workers_start(struct workers *workers, unsigned count, worker_function *work, void *context)
{
	pid_t parent = getpid();

	expect(count <= WORKERS_MAX);
	workers->count = count;
	fflush(NULL);
	for (unsigned i = 0; i < count; i++) {
		workers->pids[i] = fork();
		expect(workers->pids[i] >= 0);
		if (workers->pids[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() == parent)
				work(context, i);
			_exit(getppid() != parent);
		}
	}
}

static void kill_all(const struct workers *workers)
{
	for (unsigned i = 0; i < workers->count; i++)
		if (workers->pids[i] != 0)
			kill(workers->pids[i], SIGKILL);
}

void workers_join(struct workers *workers, unsigned timeout_seconds)
{
	struct patience patience = patience_start(timeout_seconds * 1000);
	unsigned running;

	do {
		running = 0;
		for (unsigned i = 0; i < workers->count; i++) {
			int status = 0;

			if (workers->pids[i] == 0)
				continue;
			if (waitpid(workers->pids[i], &status, WNOHANG) == 0) {
				running++;
				continue;
			}
			workers->pids[i] = 0;
			if (status != 0) {
				kill_all(workers);
				expect_failed("worker %u ended with %s %d", i,
				              WIFSIGNALED(status) ? "signal" : "status",
				              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
			}
		}
	} while (running > 0 && patience_left(patience));
	if (running > 0) {
		kill_all(workers);
		expect_failed("%u of %u workers still ran after %u s", running, workers->count, timeout_seconds);
	}
}

void worker_run(worker_function *work, void *context)
{
	struct workers one;

	workers_start(&one, 1, work, context);
	workers_join(&one, RUN_TIMEOUT_SECONDS);
}
