/* SPDX-License-Identifier: MIT */
/*
 * The problem: systems that take processor and memory for themselves, each in its way, are to be measured in turns within
 * one run, and one of them that fails must not end the others' run.
 *
 * So each worker is a process that is forked before anything is measured and then sleeps in recv() until an order comes.
 * An order is a message; the answer is one, too. Workers that are to run at once say first that they have warmed up; the
 * parent then names a moment a little later at which all begin, and each stops by the clock.
 *
 * A worker goes on in its stream where its last order ended, so that no round finds the cache lines of the one before.
 */
#include "bench/crew.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/harness.h"
#include "larder.h"

#define ANSWER_TIMEOUT_MS 300000
#define FILL_BLOCK 65536u
#define FILL_READS 4
#define LEAD_NS UINT64_C(5000000) /* from the word to the moment at which all begin */
#define CHUNK 512u                /* operations between two looks at the clock; a multiple of DRIVER_BATCH */
#define CHUNK_WAITING 32u
#define OVERHEAD_SAMPLES 10001

/* What a worker answers: that it is ready, and what it measured. */
struct answer {
	int result;
	double processor, wall, rate;
	uint64_t missed;
	char why[DRIVER_WHY_BYTES];
};

/* ---- the worker -------------------------------------------------------------------------------------------------- */

struct worker {
	const struct driver *driver;
	const struct driver_setup *setup;
	unsigned index;
	int fd;
	void *session;
	unsigned char *buffer, *value;
	struct histogram *histogram;
	uint64_t position;    /* in whatever stream comes */
	uint64_t overhead_ns; /* of a look at the clock */
};

/* What a stretch of work came to. */
struct stretch {
	uint64_t begin, operations, sum, own_ns, missed;
};

/* Works on, over the end of the stream. */
static int work_on(struct worker *worker, const struct crew_order *order, size_t count, struct stretch *stretch)
{
	struct driver_work work = {
		.operation = order->operation,
		.write_percent = order->write_percent,
		.stream = order->stream,
		.value_bytes = worker->setup->value_bytes,
		.buffer = worker->buffer,
		.value = worker->value,
	};

	while (count > 0) {
		struct driver_result found = { 0 };
		int result;

		work.first = worker->position % order->stream->count;
		work.count = order->stream->count - work.first;
		if (work.count > count)
			work.count = count;
		result = worker->driver->run(worker->session, &work, &found);
		if (result != 0)
			return result;
		worker->position += work.count;
		count -= work.count;
		stretch->operations += work.count;
		stretch->own_ns += found.own_ns;
		stretch->sum += found.sum;
		stretch->missed += found.missed;
	}
	return 0;
}

/* Whether what was read and written in a stretch is what should have been. */
static int check(const struct stretch *stretch, const struct stream *stream)
{
	uint64_t expected = 0;

	for (uint64_t i = stretch->begin; i < stretch->begin + stretch->operations; i++)
		expected += workload_word(stream->ids[i % stream->count]);
	return stretch->sum == expected ? 0 : -EBADMSG;
}

/* Single operations (or batches), each timed. */
static int work_singly(struct worker *worker, const struct crew_order *order, struct stretch *stretch)
{
	const size_t step = order->operation == DRIVER_GET32 || order->operation == DRIVER_SET32 ? DRIVER_BATCH : 1;

	for (size_t done = 0; done < order->operations; done += step) {
		uint64_t began = monotonic_ns(), own = stretch->own_ns, ns;
		int result = work_on(worker, order, step, stretch);

		ns = monotonic_ns() - began;
		if (result != 0)
			return result;
		if (stretch->own_ns > own)
			ns = stretch->own_ns - own;
		else
			ns -= ns > worker->overhead_ns ? worker->overhead_ns : ns;
		histogram_record(worker->histogram, ns);
	}
	return 0;
}

/* Sleeps until the moment that the parent names, works from then on, and stops by the clock. */
static int work_for(struct worker *worker, const struct crew_order *order, struct stretch *stretch, uint64_t *ret_ns)
{
	const size_t chunk = worker->driver->waits ? CHUNK_WAITING : CHUNK;
	struct answer ready = { 0 };
	struct timespec moment;
	uint64_t begin, now;
	int result = 0;

	if (send(worker->fd, &ready, sizeof ready, MSG_NOSIGNAL) < 0 ||
	    recv(worker->fd, &begin, sizeof begin, 0) != sizeof begin)
		return -EPIPE;
	moment = (struct timespec){ .tv_sec = (time_t)(begin / 1000000000), .tv_nsec = (long)(begin % 1000000000) };
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment, NULL) == EINTR)
		;
	do {
		result = work_on(worker, order, chunk, stretch);
		now = monotonic_ns();
	} while (result == 0 && now < begin + order->duration_ns);
	*ret_ns = now - begin;
	return result;
}

static int measure(struct worker *worker, const struct crew_order *order, struct answer *answer)
{
	struct stretch warm = { 0 }, stretch = { 0 };
	uint64_t processor, wall;
	int result;

	/* Those who work at once are in different places of the stream. */
	if (order->operations == 0)
		worker->position += order->stream->count / order->workers * worker->index / DRIVER_BATCH * DRIVER_BATCH;
	warm.begin = worker->position;
	result = work_on(worker, order, order->warm, &warm);
	stretch.begin = worker->position;
	if (result == 0)
		result = check(&warm, order->stream);
	if (result != 0)
		return result;

	wall = monotonic_ns();
	processor = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	if (order->operations == 0)
		result = work_for(worker, order, &stretch, &wall);
	else if (order->single)
		result = work_singly(worker, order, &stretch);
	else
		result = work_on(worker, order, order->operations, &stretch);
	processor = clock_ns(CLOCK_THREAD_CPUTIME_ID) - processor;
	if (order->operations > 0)
		wall = monotonic_ns() - wall;
	if (result == 0)
		result = check(&stretch, order->stream);
	if (stretch.own_ns > 0)
		wall = stretch.own_ns;
	if (result == 0) {
		answer->processor = worker->driver->waits ? 0 : (double)processor / (double)stretch.operations;
		answer->wall = (double)wall / (double)stretch.operations;
		answer->missed = stretch.missed;
		answer->rate = (double)stretch.operations * 1e9 / (double)wall;
	}
	return result;
}

/* All of a stream, in batches as far as that goes. */
static int work_through(struct worker *worker, const struct stream *stream, enum driver_operation batch,
                        enum driver_operation single)
{
	struct crew_order order = { .operation = batch, .stream = stream };
	size_t batches = driver_can(worker->driver, batch) ? stream->count / DRIVER_BATCH * DRIVER_BATCH : 0;
	struct stretch stretch = { 0 };
	int result;

	worker->position = 0;
	result = work_on(worker, &order, batches, &stretch);
	order.operation = single;
	if (result == 0)
		result = work_on(worker, &order, stream->count - batches, &stretch);
	return result == 0 ? check(&stretch, stream) : result;
}

/* Stores all entries, and reads them back: often enough that what counts how often a key is used has counted. */
static int fill(struct worker *worker)
{
	const int passes = worker->driver->waits ? 1 : FILL_READS;
	int result = 0;

	if (!driver_can(worker->driver, DRIVER_SET))
		return 0; /* it has brought its own */
	for (uint32_t done = 0; result == 0 && done < worker->setup->keys; done += FILL_BLOCK) {
		uint32_t left = worker->setup->keys - done, block = left < FILL_BLOCK ? left : FILL_BLOCK;
		struct stream stream;

		result = stream_create(STREAM_ASCENDING, done, block, block, NULL, &stream);
		if (result != 0)
			break;
		result = work_through(worker, &stream, DRIVER_SET32, DRIVER_SET);
		for (int i = 0; result == 0 && i < passes; i++)
			result = work_through(worker, &stream, DRIVER_GET32, DRIVER_GET);
		stream_destroy(&stream);
	}
	worker->position = 0;
	return result;
}

static int compare_u64(const void *left, const void *right)
{
	uint64_t l = *(const uint64_t *)left, r = *(const uint64_t *)right;

	return (l > r) - (l < r);
}

static uint64_t clock_overhead(void)
{
	static uint64_t samples[OVERHEAD_SAMPLES];

	for (size_t i = 0; i < OVERHEAD_SAMPLES; i++) {
		samples[i] = monotonic_ns();
		samples[i] = monotonic_ns() - samples[i];
	}
	qsort(samples, OVERHEAD_SAMPLES, sizeof *samples, compare_u64);
	return samples[OVERHEAD_SAMPLES / 2];
}

static void explain(struct answer *answer)
{
	if (answer->result != 0 && answer->why[0] == '\0')
		snprintf(answer->why, sizeof answer->why, "%s",
		         answer->result == -EBADMSG ? "it returned wrong data" : larder_strerror(answer->result));
}

static void pin(const struct driver_setup *setup)
{
	cpu_set_t own;

	CPU_ZERO(&own);
	CPU_SET(setup->cpus.own, &own);
	sched_setaffinity(0, sizeof own, &own);
}

static _Noreturn void be_worker(const struct crew *crew, unsigned index, int fd, pid_t parent)
{
	struct worker worker = {
		.driver = crew->driver,
		.setup = &crew->setup,
		.index = index,
		.fd = fd,
		.buffer = calloc(DRIVER_BATCH, crew->setup.value_bytes),
		.value = malloc(crew->setup.value_bytes),
		.histogram = &crew->histograms[index],
	};
	struct answer answer = { 0 };
	struct crew_order order;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	/* One that waits for a server runs where the scheduler likes it best: beside the server, or on the same processor. */
	if (index == 0 && !crew->driver->waits)
		pin(&crew->setup);
	if (!worker.buffer || !worker.value) {
		answer.result = -ENOMEM;
	} else {
		workload_fill(worker.value, crew->setup.value_bytes);
		worker.overhead_ns = clock_overhead();
		answer.result = worker.driver->open(worker.setup, crew->instance, &worker.session, answer.why);
	}
	if (answer.result == 0 && index == 0)
		answer.result = fill(&worker);
	explain(&answer);
	while (send(fd, &answer, sizeof answer, MSG_NOSIGNAL) == sizeof answer && answer.result == 0 &&
	       recv(fd, &order, sizeof order, 0) == sizeof order) {
		answer = (struct answer){ 0 };
		answer.result = measure(&worker, &order, &answer);
		explain(&answer);
	}
	if (worker.session)
		worker.driver->close(worker.session);
	_exit(0);
}

/* ---- the parent -------------------------------------------------------------------------------------------------- */

static int start_worker(struct crew *crew, unsigned index)
{
	const pid_t self = getpid();
	struct crew_worker *worker = &crew->worker[index];
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -errno;
	fflush(NULL);
	worker->pid = fork();
	if (worker->pid == 0) {
		close(pair[0]);
		be_worker(crew, index, pair[1], self);
	}
	close(pair[1]);
	if (worker->pid < 0) {
		close(pair[0]);
		return -EAGAIN;
	}
	worker->fd = pair[0];
	crew->workers = index + 1;
	return 0;
}

static int receive(struct crew *crew, unsigned index, struct answer *ret_answer)
{
	struct pollfd answered = { .fd = crew->worker[index].fd, .events = POLLIN };
	int count = poll(&answered, 1, ANSWER_TIMEOUT_MS);

	if (count < 0)
		return harness_interrupted() != 0 ? -EINTR : -errno;
	if (count == 0) {
		snprintf(crew->why, sizeof crew->why, "no answer within %d s", ANSWER_TIMEOUT_MS / 1000);
		return -ETIMEDOUT;
	}
	if (recv(answered.fd, ret_answer, sizeof *ret_answer, 0) != sizeof *ret_answer) {
		snprintf(crew->why, sizeof crew->why, "its process ended");
		return -ECHILD;
	}
	if (ret_answer->result != 0)
		snprintf(crew->why, sizeof crew->why, "%s", ret_answer->why);
	return ret_answer->result;
}

/* The directory holds sockets and files only. */
static void remove_directory(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;

	if (!directory)
		return;
	while ((entry = readdir(directory)))
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(directory), entry->d_name, 0);
	closedir(directory);
	rmdir(path);
}

int crew_start(const struct driver *driver, const struct driver_setup *setup, struct crew *ret_crew)
{
	struct crew *crew = ret_crew;
	int result;

	*crew = (struct crew){ .driver = driver, .setup = *setup };
	if (!driver->shared)
		crew->setup.workers = 1;
	if (crew->setup.workers > CREW_WORKERS_MAX)
		crew->setup.workers = CREW_WORKERS_MAX;
	crew->histograms_bytes = crew->setup.workers * sizeof *crew->histograms;
	crew->histograms = mmap(NULL, crew->histograms_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
	                        0);
	if (crew->histograms == MAP_FAILED) {
		crew->histograms = NULL;
		return -ENOMEM;
	}
	/* In memory, where there is such a directory: what is stored in files is not to wait for a disk. */
	snprintf(crew->directory, sizeof crew->directory, "%s/larder-bench-%d-XXXXXX",
	         access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
	if (!mkdtemp(crew->directory)) {
		crew->directory[0] = '\0';
		result = -errno;
	} else {
		crew->setup.directory = crew->directory;
		result = driver->start(&crew->setup, &crew->instance, crew->why);
	}
	crew->started = result == 0;
	if (result == 0)
		result = start_worker(crew, 0);
	if (result != 0) {
		if (crew->why[0] == '\0')
			snprintf(crew->why, sizeof crew->why, "%s", larder_strerror(result));
		crew_stop(crew);
	}
	return result;
}

int crew_ready(struct crew *crew)
{
	struct answer answer;
	int result = receive(crew, 0, &answer);

	for (unsigned i = 1; result == 0 && i < crew->setup.workers; i++) {
		result = start_worker(crew, i);
		if (result == 0)
			result = receive(crew, i, &answer);
	}
	return result;
}

void crew_stop(struct crew *crew)
{
	/* Workers that were forked later hold the socket as well, so that closing it would not be seen. */
	for (unsigned i = 0; i < crew->workers; i++) {
		shutdown(crew->worker[i].fd, SHUT_RDWR);
		close(crew->worker[i].fd);
		if (crew->why[0] != '\0')
			kill(crew->worker[i].pid, SIGKILL);
	}
	for (unsigned i = 0; i < crew->workers; i++)
		while (waitpid(crew->worker[i].pid, NULL, 0) < 0 && errno == EINTR)
			kill(crew->worker[i].pid, SIGKILL);
	crew->workers = 0;
	if (crew->started)
		crew->driver->stop(crew->instance);
	crew->started = false;
	if (crew->histograms)
		munmap(crew->histograms, crew->histograms_bytes);
	crew->histograms = NULL;
	if (crew->directory[0] != '\0')
		remove_directory(crew->directory);
	crew->directory[0] = '\0';
}

int crew_work(struct crew *crew, const struct crew_order *order, struct crew_sample *ret_sample,
              struct histogram *ret_histogram)
{
	struct crew_sample sample = { 0 };
	struct answer answer;
	int result = 0;

	memset(crew->histograms, 0, crew->histograms_bytes);
	for (unsigned i = 0; i < order->workers; i++)
		if (send(crew->worker[i].fd, order, sizeof *order, MSG_NOSIGNAL) < 0)
			result = -errno;
	for (unsigned i = 0; result == 0 && order->operations == 0 && i < order->workers; i++)
		result = receive(crew, i, &answer);
	if (result == 0 && order->operations == 0) {
		const uint64_t begin = monotonic_ns() + LEAD_NS;

		for (unsigned i = 0; i < order->workers; i++)
			if (send(crew->worker[i].fd, &begin, sizeof begin, MSG_NOSIGNAL) < 0)
				result = -errno;
	}
	for (unsigned i = 0; result == 0 && i < order->workers; i++) {
		result = receive(crew, i, &answer);
		sample.processor += answer.processor / order->workers;
		sample.wall += answer.wall / order->workers;
		sample.rate += answer.rate;
		sample.missed += answer.missed;
	}
	if (result != 0) {
		if (crew->why[0] == '\0')
			snprintf(crew->why, sizeof crew->why, "%s", larder_strerror(result));
		return result;
	}
	if (ret_histogram)
		for (unsigned i = 0; i < order->workers; i++)
			histogram_add(ret_histogram, &crew->histograms[i]);
	*ret_sample = sample;
	return 0;
}
