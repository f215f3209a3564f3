/* SPDX-License-Identifier: MIT */
/*
 * Every structure that two processes share, and nothing else. docs/LAYOUT.md draws them.
 *
 * Rules: fixed-width types; offsets, never pointers; no field whose meaning depends on a process. A change here changes
 * LAYOUT_STAMP (it hashes the sizes and offsets), and processes with different stamps refuse each other. Change
 * LAYOUT_VERSION when the meaning of a field changes while its place does not.
 *
 * All of it may be overwritten by a hostile process: read a field once, check the copy, use the copy.
 */
#ifndef LARDER_BASE_LAYOUT_H
#define LARDER_BASE_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"

#ifndef LAYOUT_VERSION /* a test of upgrades makes a larderd of another layout */
#define LAYOUT_VERSION 6
#endif
#define ARENA_MAGIC UINT64_C(0x414e4552414c4452) /* "RDLARENA": an arena */
#define CONTROL_MAGIC UINT64_C(0x4c5254434c4452) /* "RDLCTRL": a control page */

#define CACHE_LINE 64    /* a bucket */
#define PRIVATE_LINE 128 /* what one writer owns: two lines, because adjacent ones are prefetched in pairs */

/* ---- geometry ---------------------------------------------------------------------------------------------------- */

#define ARENA_BYTES_MIN (UINT64_C(1) << 20)
#define ARENA_BYTES_MAX (UINT64_C(1) << 39) /* 36-bit offsets in units of 8 bytes */
#define SEGMENT_BYTES_MIN (UINT64_C(64) << 10)
#define SEGMENT_BYTES_MAX (UINT64_C(2) << 20)
#define CHUNK_BYTES (UINT64_C(4) << 10)
#define OBJECT_UNIT 8 /* objects begin and end on multiples of this */
#define SECRET_BYTES 192
#define VALUE_BYTES_MAX (UINT64_C(64) << 20) /* but never more than a quarter of the arena */
#define DIRECTORY_BITS_MAX 18
#define SEGMENTS_LEAST 16 /* that an arena can do with */

/*
 * Extents, for objects larger than a segment, are asked for by their length: those of 2 segments, of 3 or 4, of 5 to 8... are
 * a class each, so that a short one is never cut from a long one that somebody else waits for.
 */
#define EXTENT_CLASSES 9

/*
 * TTL classes: class 0 holds what does not expire; class c > 0 holds objects whose life is in [2^(c-1), 2^c) s, class 1
 * also all shorter ones and the last class also all longer ones.
 */
#define TTL_CLASSES 24

/*
 * Eviction pools: new keys begin in probation; what is used there, or comes back soon after it was evicted, is in main.
 */
enum pool { POOL_PROBATION = 0, POOL_MAIN = 1, POOLS };

/*
 * A segment's data belong to one tenant: those users for whom the configuration has a quota of their own, or tenant 0, all others.
 * A slab is the segments of one tenant, pool and TTL class: slab number = (tenant * POOLS + pool) * TTL_CLASSES + TTL class.
 */
#define TENANTS 16
#define TENANT_SLABS (POOLS * TTL_CLASSES)
#define SLABS (TENANTS * TENANT_SLABS)

enum tenant_kind { TENANT_NOBODY = 0, TENANT_USER = 1, TENANT_GROUP = 2 };
#define ROOM_UNLIMITED UINT32_MAX

/* What is known of a tenant; written by the keeper, but for room. In segments. */
struct tenant {
	atomic_u32 kind; /* enum tenant_kind; the first one is never a user or group */
	atomic_u32 id;   /* its number */
	atomic_u32 guarantee;
	atomic_u32 limit; /* 0: none */
	atomic_u32 used;
	atomic_u32 room; /* how many more it may take now: a hint, counted down by who takes one; or ROOM_UNLIMITED */
	atomic_u32 wanted; /* how many it needs at once, for an extent; raised by writers */
};

/* The ghost table: a cache line for each so many bytes of arena, so one ghost for 256 bytes, in 0.8 % of the memory. */
#define GHOST_GRAIN_SHIFT 13
#define GHOST_GRAIN (UINT64_C(1) << GHOST_GRAIN_SHIFT)
#define GHOSTS_PER_LINE 32

/* ---- arena header ------------------------------------------------------------------------------------------------ */

#define ESTIMATES 5 /* for a quarter, half, all, twice, four times the memory */
#define ESTIMATE_UNKNOWN UINT64_MAX
#define EVICTED_AGES 40 /* powers of two of a millisecond; the last one also counts what was older than 17 years */

#define HEADER_BYTES 8192 /* the second half is for open_segment */
#define DIRECTORY_OFFSET HEADER_BYTES

struct arena_header {
	uint64_t magic;
	uint64_t layout_version;
	uint64_t layout_stamp;
	uint64_t arena_bytes;
	uint64_t segment_bytes;
	uint64_t segment_count;
	uint64_t system_segments;  /* segments 0.. of which hold this header and the tables */
	uint64_t table_offset;     /* struct segment_entry[segment_count] */
	uint64_t directory_offset; /* DIRECTORY_OFFSET: atomic_u32[1 << directory_bits], by the highest bits of the hash */
	uint64_t directory_bits;
	uint64_t ghost_offset; /* struct ghost_line[ghost_lines] */
	uint64_t ghost_lines;
	uint64_t page_bytes;      /* page size of the memory, for information */
	uint64_t access;          /* enum larder_access */
	uint64_t arena_id;        /* random: tells one arena from the next */
	uint64_t clock_offset_ns; /* arena time = CLOCK_MONOTONIC + this; was the wall clock when the arena was made */
	uint64_t created_ms;      /* arena time */
	uint64_t plain_epochs;    /* 1: larderd can issue memory barriers, so readers need not */
	atomic_u64 size_configured; /* bytes: the configuration's size that was dealt with last; the keeper's */
	atomic_u32 segment_target;  /* how many segments shall not be absent, the tables among them; the keeper's */
	uint32_t reserved;
	uint8_t secret[SECRET_BYTES]; /* of the key hash */

	/* Written by the keeper only. */
	_Alignas(PRIVATE_LINE) atomic_u64 epoch; /* begins at 1 */
	atomic_u64 owner; /* { which larderd this is for the arena : 32 | thread id of its supervisor, or OWNER_DIED : 32 } */

	/* Written by the keeper only, and read by nobody but for being shown: away from the epoch, which every read looks at. */
	_Alignas(PRIVATE_LINE) atomic_u64 clients;
	atomic_u64 expired_segments;
	atomic_u64 evicted_segments;
	atomic_u64 compacted_segments;
	atomic_u64 quota_segments; /* evicted because their tenant came to its limit */
	atomic_u64 expired_objects; /* unlinked by the keeper because their life was over */
	atomic_u64 evicted_objects; /* alive when their segment was evicted, and not moved */
	atomic_u64 moved_objects;   /* by eviction and compaction */
	atomic_u64 evicted_age_ms;  /* of the evicted objects together, since they were written */
	atomic_u64 evicted_ages[EVICTED_AGES]; /* [0]: evicted less than 1 ms old; [i]: from 2^(i-1) ms to less than 2^i */
	atomic_u64 index_splits;
	atomic_u64 index_rebuilds;
	atomic_u64 index_merges;
	atomic_u64 gets, hits, sets,
		deletes; /* of all clients, dead and alive; brought up to date a few times a second */
	atomic_u64 ghosts;       /* keys that became ghosts, ever: the ghost table's clock, for writers */
	atomic_u64 ghost_window; /* a ghost fades when so many others came after it */
	atomic_u32 usage_threshold; /* uses of keys whose hash is not below it need not be reported (struct usage) */
	atomic_u64 estimate_keys, estimate_samples; /* what the next line rests on */
	atomic_u64 estimate_misses[ESTIMATES]; /* of a million lookups with other sizes of memory; ESTIMATE_UNKNOWN */

	/* Written by whoever allocates. */
	_Alignas(PRIVATE_LINE) atomic_u32 free_sequence; /* futex: the keeper adds 1 when segments became free */
	atomic_u32 free_segments;                        /* a hint; the keeper counts anew */
	atomic_u32 free_low_mark;                        /* below this a writer wakes the keeper */
	atomic_u32 search_hint;                          /* segment from which to look for a free one */
	atomic_u32 wake_sequence; /* futex: a writer adds 1 when the keeper should look for memory */
	atomic_u32 superseded; /* 1: a client found another arena served in the place of this one */
	atomic_u32 class_shift; /* two to the power of it TTL classes in a row share a slab; the keeper's */
	atomic_u64 displaced_objects; /* keys that were taken out because the index could have no slot for them or for another */
	atomic_u64 segments_opened;   /* data segments and extents, ever, and again when what was left of one is taken: they are numbered so */
	_Alignas(PRIVATE_LINE) struct tenant tenants[TENANTS];
	_Alignas(4096)
		atomic_u32 open_segment[SLABS]; /* segment + 1 in which a slab allocates; 0: none */
	_Alignas(PRIVATE_LINE)
		atomic_u32 extent_wanted[EXTENT_CLASSES]; /* the longest that somebody waits for, in segments; 0: none */
};

#define OWNER_DIED UINT64_C(0x40000000) /* set by the kernel: FUTEX_OWNER_DIED of robust futexes */

/* ---- segments ---------------------------------------------------------------------------------------------------- */

enum segment_state {
	SEGMENT_FREE = 0,      /* zeroed chunk headers; any writer may take it */
	SEGMENT_OPEN = 1,      /* data: chunks can be taken while there are some */
	SEGMENT_CONDEMNED = 2, /* data: no more objects; being unlinked by the keeper */
	SEGMENT_INDEX = 3,     /* buckets */
	SEGMENT_RETIRED =
		4,         /* nothing refers to it: an index segment before or after its life, data about to be free */
	SEGMENT_SYSTEM = 5,  /* header and tables */
	SEGMENT_RESERVE = 6, /* as free, but the keeper's: room for what it moves, or for an extent */
	SEGMENT_ABSENT = 7,  /* beyond the size that the arena has now: there may be no memory behind it */
	SEGMENT_EXTENT = 8,  /* continues the extent of a head before it; of no use by itself */
	SEGMENT_READY = 9    /* head of an extent that the keeper made ready; any writer may take it */
};

/*
 * The state word of a segment, changed by compare-and-swap only, so that taking a chunk, condemning and recycling exclude
 * each other:	{ next chunk:16 | pool:1 | TTL class:7 | tenant:4 | state:4 | generation:32 }, generation lowest.
 *
 * An extent is a run of segments that holds one object. The word of its head, the first, speaks for all of them: it is OPEN,
 * CONDEMNED or READY, and its next chunk is the number of chunks of the whole extent, which is more than a segment has.
 *
 * A thread that keeps a run for hours compares the whole generation; a slot word has room for its lowest bits only, which
 * serve the length of one operation.
 */
#define SEGMENT_STATE_SHIFT 32
#define SEGMENT_TENANT_SHIFT 36
#define SEGMENT_CLASS_SHIFT 40
#define SEGMENT_POOL_SHIFT 47
#define SEGMENT_CHUNK_SHIFT 48

struct segment_entry {
	_Alignas(CACHE_LINE) atomic_u64 state;
	atomic_u64 expires_ms; /* data: no object lives longer (arena time); 0: some do not expire */
	atomic_u64 opened_ms;  /* data: when it was taken from free (arena time) */
	atomic_u64 children; /* index: { segment of the hashes with 1 : 32 | with 0 : 32 } once a split or merge began, else 0 */
	atomic_u32 prefix;   /* index: the first directory entry it serves */
	atomic_u32 depth;    /* index: how many directory bits its keys share */
	atomic_u32 overflow_used; /* index: overflow buckets that have an owner; a hint for growth */
	atomic_u32 dead_units; /* data: OBJECT_UNITs of objects that were replaced or deleted; a hint for compaction */
	atomic_u64 parents; /* index: { upper sibling : 32 | lower : 32 } that were merged in it, else 0 */
	atomic_u64 opened;  /* data: segments_opened when it, or what was left of it, was taken: whose is lowest is evicted first */
};

/* At the start of every run of chunks. The words of an unused chunk are zero. */
struct chunk_header {
	atomic_u32 chunks; /* length of the run; 0: nobody came as far as to write here */
	uint32_t reserved;
};

/* ---- objects ----------------------------------------------------------------------------------------------------- */

/*
 * An object: this header, then in this order and only where a flag says so: expiry (8 bytes, arena ms), user flags
 * (4 bytes); then the key; then padding, as the head says; then the value, aligned for its size; padded to OBJECT_UNIT.
 * A counter has no value bytes: its pair of words stands at the first 16-byte boundary after the key.
 * The head is written last, with release. Nothing is changed once it is published, except the words of a counter.
 */
struct object {
	atomic_u64
		head; /* { value size:32 | padding:8 | OBJECT_...:8 | key size:16 }; 0: no object here (yet) */
	uint64_t version;
};
#define OBJECT_FLAGS_SHIFT 16
#define OBJECT_PADDING_SHIFT 24 /* bytes between key and value; of a counter 0 */
#define OBJECT_VALUE_SIZE_SHIFT 32

#define OBJECT_EXPIRES 1u /* has the expiry word */
#define OBJECT_FLAGS 2u   /* has the user flags word */
#define OBJECT_COUNTER 4u /* value is struct counter */
#define OBJECT_LARGE 8u   /* has an extent of its own: too much to be copied inside a section */

/*
 * A counter changes in place, both words at once. Once frozen it never changes again: who wants to change it makes a new
 * object and replaces this one, so that cas and relocation cannot lose an increment.
 */
struct counter {
	_Alignas(16) atomic_u64 value; /* int64_t in two's complement */
	atomic_u64 version;            /* { version:63 | frozen:1 }, frozen lowest */
};
#define COUNTER_FROZEN UINT64_C(1)

/* ---- index ------------------------------------------------------------------------------------------------------- */

#define BUCKET_SLOTS 7
#define CHAIN_BUCKETS 4 /* a home bucket and at most this - 1 overflow buckets: bounds every lookup */
#define CHAIN_SLOTS (CHAIN_BUCKETS * BUCKET_SLOTS)

/* Slot words: an object, or a link to an overflow bucket (last slot of a bucket only), or empty. */
#define SLOT_OBJECT (UINT64_C(1) << 63) /* { 1 | tag:9 | heat:2 | generation:15 | frozen:1 | offset in units:36 } */
#define SLOT_LINK (UINT64_C(1) << 62)   /* { 01 | zero | frozen:1 | bucket in this segment:36 } */
#define SLOT_FROZEN (UINT64_C(1) << 36) /* a split is copying this bucket: no change any more */
#define SLOT_OFFSET_MASK ((UINT64_C(1) << 36) - 1)
#define SLOT_GENERATION_SHIFT 37
#define SLOT_GENERATION_MASK UINT64_C(0x7fff) /* of a segment's generation */
#define SLOT_HEAT_SHIFT 52 /* how often the object was used, 0 to HEAT_MAX; for eviction */
#define SLOT_HEAT_MASK (UINT64_C(3) << SLOT_HEAT_SHIFT)
#define HEAT_MAX 3u
#define SLOT_TAG_SHIFT 54
#define SLOT_TAG_MASK UINT64_C(0x1ff)
#define SLOT_SEQUENCE_SHIFT 37 /* empty: { 00 | zero:4 | sequence:21 | frozen:1 | nonce:36 }; all zero: never used */

/* Control word of a home bucket: { sequence:21 | moved:1 | frozen:1 | target slot:5 | intent, an object offset:36 }. */
#define CONTROL_OFFSET_MASK ((UINT64_C(1) << 36) - 1)
#define CONTROL_TARGET_SHIFT 36
#define CONTROL_TARGET_MASK UINT64_C(31)
#define CONTROL_FROZEN (UINT64_C(1) << 41)
#define CONTROL_MOVED (UINT64_C(1) << 42)
#define CONTROL_SEQUENCE_SHIFT 43
#define SEQUENCE_MASK ((UINT64_C(1) << 21) - 1)

struct bucket {
	_Alignas(CACHE_LINE) atomic_u64 control; /* overflow bucket: { level:32 | home bucket + 1 : 32 } of its owner */
	atomic_u64 slots[BUCKET_SLOTS];
};

/* ---- ghosts ------------------------------------------------------------------------------------------------------ */

/* Fingerprints of keys that were evicted: { time:5 | fingerprint:11 }. Hints: a wrong one costs a worse guess. */
struct ghost_line {
	_Alignas(CACHE_LINE) atomic_u16 ghosts[GHOSTS_PER_LINE];
};
#define GHOST_TIME_SHIFT 11
#define GHOST_FINGERPRINT_MASK 0x7ffu

/* ---- control page: one client's, shared by it and the keeper only ------------------------------------------------- */

#define THREADS_MAX 1024
#define PIN_SHARDS 8
#define INDEX_PINS 2 /* a split is done in two segments at a time */
#define USES 16

/* One thread of the client. Written by that thread; epoch also by the keeper when it revokes, view_pin by who releases the view, and uses. */
struct thread_line {
	_Alignas(PRIVATE_LINE) atomic_u64 epoch; /* 0: outside; else the epoch in which it entered, or EPOCH_REVOKED */
	atomic_u64 write_pin;                    /* segment + 1 into which it writes at the moment; 0: none */
	atomic_u64 index_pins[INDEX_PINS];       /* segments + 1 of the index that it is about to change; 0: none */
	atomic_u64 hits, misses, sets, deletes;  /* counters */
	atomic_u64 view_pin; /* segment + 1 of one view; 0: none. Further ones are counted in pins */
	/* Slot words of objects that it used and whose heat does not tell of that yet; 0: none. The keeper takes them away, too. */
	_Alignas(PRIVATE_LINE) atomic_u64 uses[USES];
};
#define EPOCH_REVOKED UINT64_MAX

/* Slot words of objects that were used, from clients that cannot raise the heat themselves. Old ones are written over. */
#define SAMPLES 512

/*
 * Uses of keys that are in a sample: those of which the lowest USAGE_SAMPLE_BITS bits of the hash are zero and the next 16 below
 * usage_threshold. For estimates: one may be lost, or its words of two different uses.
 */
#define USAGES 2048
#define USAGE_SAMPLE_BITS 8
#define USAGE_THRESHOLD_MAX 65536u
enum usage_kind { USAGE_MISS = 1, USAGE_HIT, USAGE_STORE, USAGE_DELETE };

struct usage {
	atomic_u64 key;    /* { hash without the bits that are zero : 56 | enum usage_kind : 8 }; 0: larderd has it */
	atomic_u64 object; /* { remaining life in ms, 0 for ever : 32 | bytes : 32 } */
};

struct control_page {
	uint64_t magic;
	uint64_t layout_stamp;
	uint64_t client_id;
	uint64_t segment_count;
	atomic_u64 fenced;      /* 1: its threads enter with a full barrier of their own */
	atomic_u64 thread_high; /* lines ever used: the keeper looks at no others */
	atomic_u64 tenant;      /* to which what the client writes belongs; the keeper's */
	_Alignas(PRIVATE_LINE) atomic_u64 sample_count; /* samples ever written */
	_Alignas(PRIVATE_LINE) atomic_u64 samples[SAMPLES];
	_Alignas(PRIVATE_LINE) atomic_u64 usage_count; /* usages ever written */
	_Alignas(PRIVATE_LINE) struct usage usages[USAGES];
	_Alignas(PRIVATE_LINE) struct thread_line threads[THREADS_MAX];
	/* atomic_u32 pins[PIN_SHARDS][segment_count]: how many views hold a segment back, but for those in the lines */
};

_Static_assert(sizeof(struct segment_entry) == CACHE_LINE, "a segment entry is a cache line");
_Static_assert(sizeof(struct bucket) == CACHE_LINE, "a bucket is a cache line");
_Static_assert(sizeof(struct ghost_line) == CACHE_LINE, "a line of ghosts is a cache line");
_Static_assert(sizeof(struct object) == 16, "object header");
_Static_assert(sizeof(struct chunk_header) == OBJECT_UNIT, "objects after it are aligned");
_Static_assert(sizeof(struct counter) == 16, "counter");
_Static_assert(sizeof(struct thread_line) % PRIVATE_LINE == 0, "no two threads share a line");
_Static_assert(sizeof(struct arena_header) <= HEADER_BYTES, "header pages");
_Static_assert(offsetof(struct arena_header, open_segment) == 4096, "the second page is for open_segment");
_Static_assert(offsetof(struct arena_header, epoch) % PRIVATE_LINE == 0, "the epoch has a line of its own");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_SHORT_LOCK_FREE == 2, "atomics work across processes");

/* What two processes must agree on, folded into one number (FNV-1a over the list). */
#define LAYOUT_FOLD(hash, x) (((hash) ^ (uint64_t)(x)) * UINT64_C(0x100000001b3))
static inline uint64_t layout_stamp(void)
{
	const uint64_t facts[] = {
		LAYOUT_VERSION,
		CHUNK_BYTES,
		OBJECT_UNIT,
		TTL_CLASSES,
		BUCKET_SLOTS,
		CHAIN_BUCKETS,
		THREADS_MAX,
		SAMPLES,
		USAGES,
		USAGE_SAMPLE_BITS,
		PIN_SHARDS,
		INDEX_PINS,
		SEGMENT_STATE_SHIFT,
		SEGMENT_TENANT_SHIFT,
		SEGMENT_CLASS_SHIFT,
		TENANTS,
		offsetof(struct arena_header, tenants),
		offsetof(struct arena_header, class_shift),
		offsetof(struct arena_header, displaced_objects),
		offsetof(struct arena_header, segments_opened),
		offsetof(struct control_page, tenant),
		SEGMENT_CHUNK_SHIFT,
		VALUE_BYTES_MAX,
		EXTENT_CLASSES,
		POOLS,
		GHOST_GRAIN,
		SLOT_HEAT_SHIFT,
		SLOT_TAG_SHIFT,
		CONTROL_TARGET_SHIFT,
		sizeof(struct arena_header),
		offsetof(struct arena_header, size_configured),
		offsetof(struct arena_header, segment_target),
		offsetof(struct arena_header, secret),
		offsetof(struct arena_header, epoch),
		offsetof(struct arena_header, free_sequence),
		offsetof(struct arena_header, wake_sequence),
		offsetof(struct arena_header, owner),
		offsetof(struct arena_header, clients),
		offsetof(struct arena_header, ghosts),
		offsetof(struct arena_header, superseded),
		offsetof(struct arena_header, open_segment),
		offsetof(struct arena_header, extent_wanted),
		offsetof(struct segment_entry, expires_ms),
		offsetof(struct segment_entry, children),
		offsetof(struct segment_entry, overflow_used),
		offsetof(struct segment_entry, dead_units),
		offsetof(struct segment_entry, parents),
		offsetof(struct segment_entry, opened),
		OBJECT_PADDING_SHIFT,
		OBJECT_VALUE_SIZE_SHIFT,
		offsetof(struct object, version),
		offsetof(struct bucket, slots),
		offsetof(struct thread_line, write_pin),
		offsetof(struct thread_line, index_pins),
		offsetof(struct thread_line, misses),
		offsetof(struct thread_line, view_pin),
		offsetof(struct thread_line, uses),
		sizeof(struct thread_line),
		offsetof(struct control_page, threads),
		sizeof(struct control_page),
	};
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++)
		hash = LAYOUT_FOLD(hash, facts[i]);
	return hash;
}

#endif
