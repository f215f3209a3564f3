/* SPDX-License-Identifier: MIT */
/*
 * The operations of the cache on a mapped arena: what the public API does once it is attached, and what the keeper does
 * for read-only clients. Results are those of larder.h; every call checks the sizes it is given.
 */
#ifndef LARDER_CACHE_CACHE_H
#define LARDER_CACHE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena/arena.h"
#include "arena/control.h"
#include "base/fault.h"
#include "epoch/epoch.h"
#include "larder.h"
#include "object/allocate.h"

/* One process's use of one arena. */
struct cache {
	struct arena arena;
	struct control control;
	atomic_u64 lines_in_use[THREADS_MAX / 64]; /* this process's own record of which thread lines are taken */
	bool wakes;                                /* writers may wake the keeper */
	uint32_t timeout_ms;                       /* how long a write waits for memory */
	bool fenced;                               /* enter sections with a full barrier */
	struct allocator *allocators;              /* the runs of each line: who takes a line over goes on in them */
};

#define CACHE_RECENT_BITS 6
#define DEAD_NOTES 8u

struct dead_note {
	uint32_t segment, generation, units;
};

/* One thread's use of it. */
struct cache_thread {
	struct arena_near near; /* for sections as most processes have them: of a fenced one it has no short sizes */
	struct cache *cache;
	struct allocator *allocator; /* the line's */
	struct epoch_reader reader;
	uint64_t guessed; /* by a get or view, for the part of it that does what is unusual (read.c) */
	uint32_t line;
	uint32_t shard;
	uint32_t dead_count;
	struct dead_note dead[DEAD_NOTES];       /* what it has replaced and not counted yet (dead.h) */
	uint32_t use_count;                      /* of the line's uses that are in use (heat.h) */
	uint64_t recent[1 << CACHE_RECENT_BITS]; /* objects whose use it noted not long ago (heat.h) */
	uint64_t recent_usage;                   /* the hash of the key whose use it reported last (usage.h) */
};

/*
 * Maps arena and control page (the descriptors may be closed afterwards). writable: whether the arena is mapped for
 * writing. force_fenced: use fenced sections even where plain ones are possible. Return: 0, -EPROTO, -errno.
 */
int cache_attach(struct cache *cache, int arena_fd, int control_fd, bool writable, bool force_fenced,
                 uint32_t timeout_ms, struct fault *fault);
void cache_detach(struct cache *cache);

/*
 * As cache_attach, over a mapping that exists already; cache_detach unmaps it. For the keeper, which wakes itself: what it writes for
 * clients makes the index grow, too, and must not fill it up before the next tick.
 */
int cache_adopt(struct cache *cache, const struct arena *arena, int control_fd, uint32_t timeout_ms,
                struct fault *fault);

/* Takes and returns a thread line. Return: 0; -EUSERS: THREADS_MAX threads are using it. */
int cache_thread_start(struct cache *cache, struct cache_thread *ret_thread);
void cache_thread_stop(struct cache_thread *thread);

static inline bool cache_key_valid(const void *key, size_t key_size)
{
	return key && key_size >= 1 && key_size <= LARDER_KEY_MAX;
}

/* ---- reads (read.c, batch.c, scan.c, census.c) ------------------------------------------------------------------ */

int cache_get(struct cache_thread *thread, const void *key, size_t key_size, void *buffer, size_t buffer_size,
              struct larder_item *ret_item);
int cache_view(struct cache_thread *thread, const void *key, size_t key_size, struct larder_view *ret_view);
void cache_release(struct cache *cache, struct larder_view *view);
void cache_mget(struct cache_thread *thread, struct larder_mget_entry *entries, size_t count);
void cache_mview(struct cache_thread *thread, struct larder_mview_entry *entries, size_t count);

/* Fetches what writing a group of at most CACHE_GROUP keys will look at, so that the memory accesses of all overlap. */
#define CACHE_GROUP 32
void cache_fetch(struct cache_thread *thread, const struct larder_mset_entry *group, size_t keys);

int cache_scan(struct cache_thread *thread, const void *prefix, size_t prefix_size, struct larder_cursor *cursor,
               struct larder_scan_entry *entries, size_t max_entries, void *buffer, size_t buffer_size,
               size_t *ret_count);

/* How large the arena is at the moment, and how large it shall be, in bytes. */
void cache_size(const struct arena *arena, uint64_t *ret_now, uint64_t *ret_wanted);

/* Everything of larder_stat, by walking. */
void cache_census(struct cache_thread *thread, struct larder_stat *ret_stat);

/* ---- writes (write.c, counter.c) ----------------------------------------------------------------------------------- */

enum write_operation {
	WRITE_SET,
	WRITE_ADD,
	WRITE_REPLACE,
	WRITE_CAS,
	WRITE_APPEND,
	WRITE_TOUCH,
	WRITE_INCR, /* decr is an incr of the negative */
	WRITE_DELETE,
	WRITE_OPERATIONS
};

/* One write, whichever: the same structure serves the local path and the way over the daemon's socket. */
struct write_request {
	enum write_operation operation;
	const void *key;
	size_t key_size;
	const void *value; /* set, add, replace, cas, append */
	size_t value_size;
	uint64_t ttl_ms;           /* set, add, replace, cas, touch; incr: of a new counter */
	uint64_t expected_version; /* cas; delete (0: any) */
	int64_t delta, initial;    /* incr */
	uint32_t flags;            /* the user's 32 bits */
	uint32_t incr_flags;
};

struct write_result {
	uint64_t version; /* the new version */
	int64_t value;    /* incr: the value after */
};

/* Return: as the call of larder.h that it stands for. ret_result is filled on 0. */
int cache_write(struct cache_thread *thread, const struct write_request *request, struct write_result *ret_result);

/* A set of what never expires and has no flags: the same as cache_write of such a request. ret_version may be NULL. */
int cache_set(struct cache_thread *thread, const void *key, size_t key_size, const void *value, size_t value_size,
              uint64_t *ret_version);

/* ---- move.c -------------------------------------------------------------------------------------------------------- */

struct index_chain;

/*
 * Keeper: moves the object that was found in a chain (index_find_object) to room that it has at a byte offset, inside a section.
 * False: somebody wrote the key meanwhile; the room is as it was, but for its bytes.
 */
bool cache_move(struct cache_thread *thread, const struct index_chain *chain, uint32_t generation, uint64_t offset,
                uint32_t heat);

/* ---- verify.c ------------------------------------------------------------------------------------------------------ */

/* Called for each broken invariant, with a sentence. */
typedef void cache_verify_report(void *context, const char *sentence);

struct cache_verify_counts {
	uint64_t faults, segments, buckets, entries, objects, intents;
};

/*
 * Walks the whole arena and checks every invariant; safe on a living or a scribbled one. report may be NULL.
 * Return: 0: sound; -EUCLEAN: not.
 */
int cache_verify(struct cache_thread *thread, cache_verify_report *report, void *context,
                 struct cache_verify_counts *ret_counts);

#endif
