/* SPDX-License-Identifier: MIT */
/*
 * larder.h - a cache that the processes of one host share and read in place.
 *
 * larderd(8) creates an arena of shared memory; every process that opens it reads values straight from that memory:
 * no lock, no copy unless asked for, no system call. A complete program:
 *
 *	#include <larder.h>
 *	#include <stdio.h>
 *
 *	int main(void)
 *	{
 *		larder *cache;
 *		struct larder_view view;
 *		int result = larder_open(NULL, NULL, &cache);
 *
 *		if (result == 0)
 *			result = larder_set(cache, "greeting", 8, "hello", 5, NULL, NULL);
 *		if (result == 0)
 *			result = larder_view(cache, "greeting", 8, &view);
 *		if (result != 0)
 *			return fprintf(stderr, "larder: %s\n", larder_strerror(result)), 1;
 *		printf("%.*s\n", (int)view.size, (const char *)view.data);
 *		larder_release(cache, &view);
 *		larder_close(cache);
 *	}
 *
 * What every call has in common
 *   Results	0 is success; a positive value is one of the documented conditions of enum larder_result; a negative
 *		value is -errno. Output parameters come last, are named ret_..., may be NULL where it says so, and are
 *		untouched unless the call says otherwise. The library never prints, never exits, never sets errno.
 *   Keys	1 to 65535 bytes of any content; otherwise -EINVAL.
 *   Values	0 bytes to larder_stat.value_size_max (64 MiB, or a quarter of the arena if that is less, and what the quota
 *		of larderd.conf(5) allows); otherwise -E2BIG, and nothing has changed. One larger than a segment takes whole
 *		segments, side by side, for which larderd makes room: that may take some milliseconds.
 *   Threads	A handle may be used by any number of threads, of which 1024 at a time can be known to larderd; a
 *		call by one more gives -EUSERS. Threads that end make room. Not from signal handlers.
 *   fork	A handle opened before fork() works in parent and child; the child needs no call of its own: its first
 *		one attaches anew, and so may give the errors of larder_open. A view taken by the parent is the
 *		parent's: valid in the child while the parent holds it. Not supported: vfork() without exec, and
 *		clone(CLONE_VM) without CLONE_THREAD.
 *   Death	A process may be killed at any instruction. Others never wait for it, and no other key is touched.
 *   larderd	A handle outlives larderds. While there is none, reads and shared writes go on in the memory there is, from
 *		which nothing expires or is evicted; writes that larderd would do give -ENOTCONN. When one serves other
 *		memory at the socket, a call within some 200 ms changes over, and then every handle that was on the same
 *		shared-write arena at its next call. What was stored before is gone; views of it stay valid until they are
 *		released. A handle never goes back. A call that attaches may take up to timeout_ms.
 *   Eviction	This is a cache: a value may be gone at any time. A value read is never older than the last completed
 *		write or delete of its key.
 *   Memory	A write that finds no free memory, or no place in the index, waits up to the open option timeout_ms for
 *		larderd to make room, then gives -EAGAIN; nothing has changed. So does one that others were faster than
 *		all that time, who change the same key without a pause. While there is no larderd, no write waits longer
 *		than 200 ms.
 *   Options	Optional structures begin with their own size, so that they can grow; each has an initialiser:
 *		struct larder_set_options o = LARDER_SET_OPTIONS; o.ttl_ms = 500; NULL or zero means default.
 */
#ifndef LARDER_H
#define LARDER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __GNUC__
#pragma GCC visibility push(default) /* the library itself is compiled with all else hidden */
#endif

#define LARDER_VERSION_MAJOR 0
#define LARDER_VERSION_MINOR 1
#define LARDER_VERSION_PATCH 0

#define LARDER_KEY_MAX 65535   /* longest key, in bytes */
#define LARDER_BATCH_MAX 1024  /* most keys in one mget, mview or mset */


enum larder_result {
	LARDER_OK = 0,
	LARDER_MISS = 1,       /* there is no such key (or its life is over) */
	LARDER_EXISTS = 2,     /* add: the key is there already */
	LARDER_CHANGED = 3,    /* cas, delete: the version is no longer the expected one */
	LARDER_TRUNCATED = 4,  /* get: the value is larger than the buffer, which holds its beginning */
	LARDER_NOT_NUMBER = 5, /* incr, decr: the value is not a decimal 64-bit integer */
	LARDER_END = 6         /* scan: there is nothing more */
};

typedef struct larder larder; /* one process's handle on one arena */

/* What is known of a key beside its value. */
struct larder_item {
	uint64_t version;    /* grows with every change of the key; the token for cas */
	uint64_t value_size; /* bytes */
	uint64_t ttl_ms;     /* remaining life in milliseconds (of a view: up to 20 less); 0: it does not expire */
	uint32_t flags;      /* the caller's own 32 bits, as given to set */
	uint32_t reserved;
};

/* ---- open and close ---------------------------------------------------------------------------------------------- */

#define LARDER_OPEN_FENCED 1u /* never be interrupted by larderd's memory barriers (isolated cores); reads cost more */

struct larder_open_options {
	size_t size;         /* sizeof(struct larder_open_options) */
	uint32_t flags;      /* LARDER_OPEN_... */
	uint32_t timeout_ms; /* longest wait for larderd: for an answer, or for room; 0: 1000 */
	char *error;         /* where a sentence goes that names the fault and its cure, or NULL */
	size_t error_size;   /* bytes there */
};
#define LARDER_OPEN_OPTIONS { sizeof(struct larder_open_options), 0, 0, NULL, 0 }

/*
 * Attaches to the larderd that listens at socket_path (NULL: $LARDER_SOCKET, else /run/larderd/socket).
 * Best called before the process has threads: with threads, registering for barriers takes some 10 ms once.
 * Return: 0; -ENOENT or -ECONNREFUSED: nobody listens there; -EACCES: larderd does not admit this user; -EPROTO: another
 * version or layout; -ETIMEDOUT; -EBUSY: larderd has as many clients as it may; -EMFILE or -ENOMEM: out of descriptors
 * or memory; -EINVAL or -ENAMETOOLONG: the options or the path cannot be.
 */
int larder_open(const char *socket_path, const struct larder_open_options *options, larder **ret_cache);

/*
 * Ends the use of a handle. No other thread may be inside a call; every view must have been released (their memory is
 * unmapped). NULL does nothing.
 */
void larder_close(larder *cache);

/* ---- read -------------------------------------------------------------------------------------------------------- */

/*
 * Copies the value of a key out. At most buffer_size bytes are written. A counter reads as its decimal text.
 * ret_item may be NULL; it is filled on 0 and LARDER_TRUNCATED.
 * Return: 0, LARDER_MISS, LARDER_TRUNCATED, -EINVAL.
 */
int larder_get(larder *cache, const void *key, size_t key_size, void *buffer, size_t buffer_size,
               struct larder_item *ret_item);

/*
 * A value in place. data stays valid and unchanged until larder_release, whatever happens to the key. It is aligned for
 * any C type (of up to 8-byte alignment) of which size is a multiple, unless somebody who may write to the arena wrote
 * over it. One view holds back the reuse of one segment of memory, so release it soon. Do not copy the structure: a counter's text lives inside it.
 */
struct larder_view {
	const void *data;
	size_t size;
	struct larder_item item;
	uint64_t attachment; /* private: which attachment, pin shard and segment this view holds */
	uint32_t shard, segment;
	char text[24];
};

/* Return: 0, LARDER_MISS, -EINVAL. */
int larder_view(larder *cache, const void *key, size_t key_size, struct larder_view *ret_view);

/* Gives a view back; any thread may. Sets data to NULL; a view whose data is NULL is left alone. */
void larder_release(larder *cache, struct larder_view *view);

/* Batches: memory latencies overlap, so 32 keys at a time cost a fraction of 32 calls. */
struct larder_mget_entry {
	const void *key;
	size_t key_size;
	void *buffer;
	size_t buffer_size;
	struct larder_item item; /* result, as by larder_get */
	int result;              /* result of this key, as of larder_get */
};

struct larder_mview_entry {
	const void *key;
	size_t key_size;
	struct larder_view view; /* result; larder_release or larder_mrelease when result was 0 */
	int result;
};

/* Return: 0: look at each result; -E2BIG: more than LARDER_BATCH_MAX entries. */
int larder_mget(larder *cache, struct larder_mget_entry *entries, size_t count);
int larder_mview(larder *cache, struct larder_mview_entry *entries, size_t count);
void larder_mrelease(larder *cache, struct larder_mview_entry *entries, size_t count);

/* ---- write ------------------------------------------------------------------------------------------------------- */

struct larder_set_options {
	size_t size;     /* sizeof(struct larder_set_options) */
	uint64_t ttl_ms; /* life in milliseconds from now; 0: does not expire */
	uint32_t flags;  /* 32 bits of the caller's, given back with the value */
	uint32_t reserved;
};
#define LARDER_SET_OPTIONS { sizeof(struct larder_set_options), 0, 0, 0 }

/*
 * set stores; add stores where the key is absent; replace where it is present; cas where its version is still the
 * expected one. options and ret_version (the new version) may be NULL.
 * Return: 0; add: LARDER_EXISTS; replace: LARDER_MISS; cas: LARDER_MISS, LARDER_CHANGED; -EINVAL, -E2BIG, -EAGAIN;
 * -EIO, -ETIMEDOUT: larderd went away, or did not answer in time (read-only mode only: the write may have happened);
 * -ENOTCONN: there is no larderd at the moment (read-only mode only: nothing has changed).
 */
int larder_set(larder *cache, const void *key, size_t key_size, const void *value, size_t value_size,
               const struct larder_set_options *options, uint64_t *ret_version);
int larder_add(larder *cache, const void *key, size_t key_size, const void *value, size_t value_size,
               const struct larder_set_options *options, uint64_t *ret_version);
int larder_replace(larder *cache, const void *key, size_t key_size, const void *value, size_t value_size,
                   const struct larder_set_options *options, uint64_t *ret_version);
int larder_cas(larder *cache, const void *key, size_t key_size, const void *value, size_t value_size,
               uint64_t expected_version, const struct larder_set_options *options, uint64_t *ret_version);

/* Appends bytes to the value of a key; flags and life stay. Return: as replace. */
int larder_append(larder *cache, const void *key, size_t key_size, const void *bytes, size_t byte_count,
                  uint64_t *ret_version);

/* Removes a key; with expected_version not 0, only that version. Return: 0, LARDER_MISS, LARDER_CHANGED, -EINVAL. */
int larder_delete(larder *cache, const void *key, size_t key_size, uint64_t expected_version);

/* Gives a key a new life of ttl_ms from now (0: for ever); the value stays. Return: as replace. */
int larder_touch(larder *cache, const void *key, size_t key_size, uint64_t ttl_ms, uint64_t *ret_version);

#define LARDER_INCR_CREATE 1u /* where the key is absent, store the initial value and return it */

struct larder_incr_options {
	size_t size;     /* sizeof(struct larder_incr_options) */
	int64_t initial; /* for LARDER_INCR_CREATE */
	uint64_t ttl_ms; /* life of a counter that is created; an existing one keeps its own */
	uint32_t flags;  /* LARDER_INCR_... */
	uint32_t reserved;
};
#define LARDER_INCR_OPTIONS { sizeof(struct larder_incr_options), 0, 0, 0, 0 }

/*
 * Adds to (subtracts from) a signed 64-bit counter, atomically and in place. A value that is decimal text becomes a
 * counter. options and ret_value (the value after) may be NULL.
 * Return: 0, LARDER_MISS, LARDER_NOT_NUMBER; -EOVERFLOW: the result does not fit 64 bits (larder_decr: nor does the
 * negative of INT64_MIN), nothing changed; -EINVAL, -EAGAIN, -EIO as set.
 */
int larder_incr(larder *cache, const void *key, size_t key_size, int64_t delta,
                const struct larder_incr_options *options, int64_t *ret_value);
int larder_decr(larder *cache, const void *key, size_t key_size, int64_t delta,
                const struct larder_incr_options *options, int64_t *ret_value);

struct larder_mset_entry {
	const void *key;
	size_t key_size;
	const void *value;
	size_t value_size;
	uint64_t ttl_ms;
	uint32_t flags;
	int result;       /* result of this key, as of larder_set */
	uint64_t version; /* result: the new version */
};

/* Return: 0: look at each result; -E2BIG: more than LARDER_BATCH_MAX entries. */
int larder_mset(larder *cache, struct larder_mset_entry *entries, size_t count);

/* ---- look around ------------------------------------------------------------------------------------------------- */

/* Where a scan stands. Begin with all zero; may be kept for later; holds no memory back. */
struct larder_cursor {
	uint64_t position[2];
};

struct larder_scan_entry {
	const void *key; /* points into the buffer given to larder_scan */
	size_t key_size;
	struct larder_item item;
};

/*
 * The next keys that begin with prefix (prefix_size 0: all keys), in no order: up to max_entries, their bytes in buffer
 * (of at least LARDER_KEY_MAX bytes, else -EINVAL). A key that is there during the whole scan is found at least once; one
 * that comes or goes meanwhile may or may not be; growth may show a key more than once. A call does bounded work, so it
 * may find 0 keys and yet not be at the end.
 * Return: 0: call again; LARDER_END: these were the last. *ret_count entries are filled either way.
 */
int larder_scan(larder *cache, const void *prefix, size_t prefix_size, struct larder_cursor *cursor,
                struct larder_scan_entry *entries, size_t max_entries, void *buffer, size_t buffer_size,
                size_t *ret_count);

enum larder_access { LARDER_SHARED_WRITE = 0, LARDER_READ_ONLY = 1 };

#define LARDER_STAT_ESTIMATES 5
#define LARDER_STAT_UNKNOWN UINT64_MAX /* there are not enough samples yet */
#define LARDER_STAT_AGES 40
#define LARDER_STAT_POOLS 2
#define LARDER_STAT_CLASSES 24

/*
 * The data segments of one pool and TTL class. Class 0: keys that do not expire; c > 0: a life of 2^(c-1) s to less than 2^c
 * when they were written, the first and the last one also shorter and longer. In an arena of few segments several classes
 * share theirs, and all is counted for the longest-lived of them.
 */
struct larder_stat_class {
	uint64_t segments;      /* open and condemned ones */
	uint64_t used_bytes;    /* memory taken from them by writers */
	uint64_t objects;       /* keys, without expired ones */
	uint64_t live_bytes;    /* the objects of these: key, value and header */
	uint64_t expired_bytes; /* objects whose life is over; they go with their segment */
	uint64_t dead_bytes;    /* objects that were replaced or deleted; they go with their segment, or when it is compacted */
};

#define LARDER_STAT_TENANTS 16

/* A tenant: whom a quota in larderd's configuration is about, or (the first one) all others. */
struct larder_stat_tenant {
	uint64_t kind; /* 0: all others, or not in use; 1: a user; 2: a group */
	uint64_t id;   /* its number */
	uint64_t used_bytes;
	uint64_t guarantee_bytes; /* 0: none */
	uint64_t limit_bytes;     /* 0: none */
};

struct larder_stat {
	size_t size;                   /* in: sizeof(struct larder_stat) */
	uint64_t arena_bytes;          /* size of the arena at the moment */
	uint64_t page_bytes;           /* page size under it: 2097152 when huge pages were to be had */
	uint64_t segment_bytes;        /* size of one segment */
	uint64_t segments;             /* segments in all, and by use: */
	uint64_t segments_free;
	uint64_t segments_data;
	uint64_t segments_index;
	uint64_t segments_condemned;   /* on their way to free */
	uint64_t segments_system;      /* header, segment table, directory */
	uint64_t value_size_max;       /* largest value that can be stored, in bytes */
	uint64_t access;               /* enum larder_access */
	uint64_t epoch;                /* grace periods since the arena was made */
	uint64_t clients;              /* attached processes */
	uint64_t entries;              /* keys in the index, expired ones included (counted by this call) */
	uint64_t key_bytes;            /* their keys (counted by this call) */
	uint64_t value_bytes;          /* their values (counted by this call) */
	uint64_t used_bytes;           /* memory in use: data chunks taken, index segments, header and tables */
	uint64_t gets;                 /* lookups by all processes, living and dead (a moment late, like the next three) */
	uint64_t hits;
	uint64_t sets;                 /* writes that stored something */
	uint64_t deletes;
	uint64_t expired_segments;     /* segments given back because all in them had expired */
	uint64_t evicted_segments;     /* segments given back to make room */
	uint64_t uptime_ms;            /* age of the arena */
	uint64_t compacted_segments;   /* segments given back because most in them was dead; what lived was moved */
	uint64_t expired_objects;      /* keys taken out of the cache by larderd because their life was over */
	uint64_t evicted_objects;      /* living keys taken out to make room */
	uint64_t moved_objects;        /* keys moved to another segment, by eviction and compaction */
	uint64_t evicted_age_ms;       /* sum of the ages of evicted_objects, each since it was last written */
	uint64_t index_splits;         /* index segments that became two since the arena was made */
	uint64_t index_rebuilds;       /* index segments that were built anew, without becoming more */
	uint64_t index_merges;         /* how often two index segments became one */
	uint64_t index_splitting;      /* index segments of which one of these is under way */
	uint64_t estimate_keys;        /* what estimated_misses rests on: keys in a sample, */
	uint64_t estimate_samples;     /* and lookups of them that were counted */
	uint64_t arena_bytes_wanted;   /* size that it shall have: another one while it grows or shrinks */
	uint64_t arena_bytes_max;      /* size up to which it can grow */
	uint64_t quota_segments;       /* segments given back because their tenant came to its limit */
	uint64_t displaced_objects;    /* living keys taken out because the index could have no place for them or for another */
	/* Of a million lookups, how many would miss with a quarter, half, all, twice, four times the memory; LARDER_STAT_UNKNOWN. */
	uint64_t estimated_misses[LARDER_STAT_ESTIMATES];
	/* evicted_objects by age: [0]: less than 1 ms; [i]: from 2^(i-1) ms to less than 2^i; the last: all that were older. */
	uint64_t evicted_ages[LARDER_STAT_AGES];
	/* The data segments by eviction pool (0: probation, 1: main) and TTL class. */
	struct larder_stat_class classes[LARDER_STAT_POOLS][LARDER_STAT_CLASSES];
	struct larder_stat_tenant tenants[LARDER_STAT_TENANTS];
};

/*
 * Counts. Set ret_stat->size first. Walks the index and every object's header: some 100 ms for a million keys; nobody
 * waits for it.
 * (used_bytes - key_bytes - value_bytes) / entries is the overhead per entry. Return: 0, -EINVAL.
 */
int larder_stat(larder *cache, struct larder_stat *ret_stat);

/*
 * Asks larderd to give the arena another size while it is used. Return: 0: it is at it; larder_stat tells how far it has come;
 * -EPERM: only root and the user of larderd may; -ERANGE: the arena cannot have this size; -ENOMEM: the host has not so much
 * memory; -ETIMEDOUT, -EIO: so far no answer, it may have begun; -ENOTCONN: larderd is gone.
 * *ret_bytes, which may be NULL: the size that the arena is to have; after -ERANGE the nearest one that it could.
 */
int larder_resize(larder *cache, uint64_t bytes, uint64_t *ret_bytes);

/* A static English text for any result of any call. */
const char *larder_strerror(int result);

/* The version of the library in use, as "0.1.0". */
const char *larder_version(void);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
