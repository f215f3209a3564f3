/* SPDX-License-Identifier: MIT */
/* One process of a crowd, and how it calls the library: each call is timed, and what cannot be ends the process. */
#ifndef LARDER_TESTS_WORKER_H
#define LARDER_TESTS_WORKER_H

#include "base/clock.h"
#include "tests/failpoint/crowd.h"
#include "tests/unit/support/random.h"

struct worker {
	struct crowd *crowd;
	struct member *self;
	uint32_t number;
	enum role role;
	bool eager;
	larder *cache;
	struct random random;
	uint64_t called_ns;
	int schedule_fd;      /* /proc/self/schedstat */
	uint64_t unserved_ns; /* how long it had waited for a processor when its turn began */
	uint32_t turns;
	uint32_t passing;  /* keys that expire, so far */
	uint32_t coming;   /* keys that are deleted again, so far */
	bool journal_torn; /* the last record may or may not be there */
	struct larder_view held;
	uint32_t held_owner, held_key, held_turns;
};

/* Opens a handle. eager: the caller may have been stopped. Where that is so, or the keeper may be stopped or dead, tries for a while. */
larder *worker_attach(const struct crowd *crowd, bool eager);

/* Whatever happens to the keeper, larder_stat counts who was a client all the time. */
void worker_count_clients(struct worker *worker);

/*
 * Whether a key that was not deleted may be gone. A keeper that has stopped is noticed soon, and nobody adds keys then; but on a
 * machine that is late the index may have become full before, and a new key have driven out an old one, which is counted.
 */
bool worker_may_miss(const struct worker *worker);

/* Writes the configuration of the sized scene, with a size. */
void worker_configure(const struct server *server, const char *size);

/* How long this process has been runnable without running: no fault of larder's. */
uint64_t worker_unserved_ns(const struct worker *worker);

/*
 * Takes the time of a call that began at called_ns. An error ends the process, but for those that come of a keeper that is stopped
 * or dead.
 */
int worker_noted(struct worker *worker, const char *what, int result, atomic_u64 *longest_ns);

#define CALL(worker, what, longest, ...) \
	((worker)->called_ns = monotonic_ns(), worker_noted((worker), (what), (__VA_ARGS__), &(worker)->self->longest))
#define READ(worker, what, ...) CALL(worker, what, longest_read_ns, __VA_ARGS__)
#define WRITE(worker, what, ...) CALL(worker, what, longest_write_ns, __VA_ARGS__)

#endif
