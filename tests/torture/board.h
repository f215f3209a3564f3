/* SPDX-License-Identifier: MIT */
/*
 * The memory that director, clients and steward share. What a client notes here outlives its death: that is how it is known
 * what a killed one had completed.
 */
#ifndef LARDER_TORTURE_BOARD_H
#define LARDER_TORTURE_BOARD_H

#include <pthread.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/atomics.h"
#include "base/clock.h"
#include "tests/support/server.h"
#include "tests/unit/support/random.h"

#define SLOTS 12       /* client processes at a time */
#define SLOT_THREADS 3 /* most threads of one */
#define ACTORS (SLOTS * SLOT_THREADS)
#define HOT_KEYS 6 /* written by all */
#define COUNTERS 4 /* incremented by all */
#define FAILURES_MAX 8
#define FAILURE_TEXT 320
#define KEY_MAX 160

struct settings {
	uint64_t seed;
	uint32_t seconds;
	uint32_t keys;        /* of each actor */
	uint32_t value_max;   /* bytes of ordinary values */
	uint32_t large_max;   /* of some, if not 0 */
	uint32_t large_share; /* of how many in 1000 */
	uint32_t stall_ms;    /* larderd's */
	uint32_t tide_ms;     /* how long many keys are written, and then few; 0: always as many */
	bool evict;           /* the arena is so small that a miss is never wrong */
	bool read_only;       /* larderd writes for the clients */
	const char *arena;    /* its size */
};

/* How a client process comes into being. */
enum kind {
	KIND_SINGLE,   /* opens the cache itself; one thread; forks the inherited ones */
	KIND_THREADED, /* opens the cache itself; SLOT_THREADS threads */
	KIND_INHERITED /* forked from a single one that is attached; one thread */
};

struct slot {
	atomic_u32 pid;         /* 0: nobody */
	atomic_u32 incarnation; /* how many have been in it */
	atomic_u32 wanted;      /* an inherited one shall be forked */
};

/* A thread of a client: the one writer of its keys. Its successor in a new process goes on with them. */
struct actor {
	pthread_mutex_t owner; /* robust: the kernel says when the last owner is dead, down to its last instruction */
	atomic_u32 thread;     /* the kernel's number of the owner */
	atomic_u32 operation;  /* enum operation: the call it is in; 0: none */
	atomic_u64 calls;      /* made so far */
	atomic_u64 refused;    /* calls that found no memory */
	struct {
		atomic_u64 begun, completed; /* sums of what was added to each counter */
	} tally[COUNTERS];
};

/* The journal of one key. Written by its one writer, read by all. */
struct record {
	atomic_u64 begun;   /* the newest write that was begun: its sequence */
	atomic_u64 done;    /* the newest write that was completed: sequence << 1 | whether the key was there then */
	atomic_u64 deleted; /* the newest delete that was begun */
	atomic_u64 life_ms; /* until then (monotonic) no write that was begun lets it expire */
	atomic_u64 name;    /* part of the key: raised when an old write may still be on its way to larderd */
};
#define FOREVER UINT64_MAX

enum verdict_kind { VERDICT_WRONG, VERDICT_LOST, VERDICT_HANG };

struct failure {
	enum verdict_kind kind;
	uint32_t pid, actor;
	uint64_t at_ms; /* of the storm */
	char key[KEY_MAX];
	uint32_t key_size;
	struct record *record;
	char text[FAILURE_TEXT];
};

struct board {
	struct settings settings;
	struct server server;
	uint64_t begun_ms;
	uint32_t director;
	atomic_u32 stop;     /* clients end */
	atomic_u32 pressure; /* memory runs low: clients write nothing that needs memory */
	atomic_u32 permits;  /* writes of what does not expire */
	atomic_u64 wrong, lost, hangs;
	atomic_u32 unsound;  /* verifications that found a fault */
	atomic_u64 verified; /* verifications */
	atomic_u64 evicted;  /* segments */
	atomic_u32 index_segments;
	atomic_u64 splits, merges; /* of them */
	atomic_u64 attach_retries;
	atomic_u32 failure_count;
	struct failure failures[FAILURES_MAX];
	struct slot slots[SLOTS];
	struct actor actors[ACTORS];
	atomic_u64 hot_versions[HOT_KEYS]; /* of the newest completed write */
	struct record records[];           /* settings.keys for each actor */
};

struct board *board_create(const struct settings *settings);

static inline struct record *board_record(struct board *board, uint32_t actor, uint32_t key)
{
	return &board->records[(uint64_t)actor * board->settings.keys + key];
}

static inline enum kind slot_kind(uint32_t slot)
{
	return (enum kind)(slot % 3);
}

static inline uint32_t slot_threads(uint32_t slot)
{
	return slot_kind(slot) == KIND_THREADED ? SLOT_THREADS : 1;
}

static inline bool actor_exists(uint32_t actor)
{
	return actor % SLOT_THREADS < slot_threads(actor / SLOT_THREADS);
}

/* The calls a thread may be in. Those from OPERATION_ATTACH on may wait for larderd. */
enum operation {
	OPERATION_NONE,
	OPERATION_READ,
	OPERATION_WRITE,
	OPERATION_COUNT,
	OPERATION_LOOK,
	OPERATION_ATTACH,
	OPERATION_PATIENT_WRITE, /* one that may have to wait for memory, or for larderd's answer */
	OPERATIONS
};

/* Notes a failure with a sentence; key may be NULL. Return: false, for use in conditions. */
struct culprit {
	uint32_t actor;
	const char *key;
	uint32_t key_size;
	struct record *record;
};
bool board_fail(struct board *board, enum verdict_kind kind, const struct culprit *culprit, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The numbers that the storm of a seed hands to its parts. */
struct random board_random(const struct board *board, uint32_t part, uint32_t incarnation);

#endif
