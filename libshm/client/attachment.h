/* SPDX-License-Identifier: MIT */
/* One process's use of one arena: its mappings, its lease, and the connection over which they came. */
#ifndef LARDER_CLIENT_ATTACHMENT_H
#define LARDER_CLIENT_ATTACHMENT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "arena/lease.h"
#include "cache/cache.h"

struct attachment {
	struct cache cache; /* first, for attachment_of */
	struct lease lease; /* while we have it larderd honours our control page */
	atomic_u64 token;   /* no two attachments of one process had the same; 0: nothing is mapped here */
	uint32_t threads;   /* that have a line in it; under process_lock */

	int channel; /* to larderd; -1: given up */
	dev_t channel_device;
	ino_t channel_inode;

	/* Writes of a read-only client travel one at a time, under the mutex. */
	pthread_mutex_t exchange;
	uint64_t last_request;
	atomic_u32 lost; /* the conversation is over */

	/* Whether larderd is still there (handle.c). */
	atomic_u64 owner;    /* the arena's word for which that was found out last */
	atomic_u64 retry_ms; /* not to be tried again before */
	uint64_t pause_ms;   /* between the last two tries */
	atomic_u32 hurried;  /* there was a reason to try at once */

	struct attachment *next;
};

struct attachment_source {
	char *socket_path;
	uint32_t timeout_ms;
	bool fenced;
};

/* Fills one that is all zero, but for its token. Return: 0 or what larder_open may give. */
int attachment_begin(struct attachment *attachment, const struct attachment_source *source, uint64_t deadline_ms,
                     struct fault *fault);

/* Unmaps what attachment_begin mapped, and makes it all zero, but for the channel, which is to be closed. */
void attachment_unmap(struct attachment *attachment);

/*
 * Whether there is a connection, whose descriptor the program has not closed. Its number may be a file of the program's
 * by now, so nothing is written to it before this was asked.
 */
bool attachment_connected(const struct attachment *attachment);

/* Whether larderd hung up, as far as can be told from the connection. */
bool attachment_hung_up(const struct attachment *attachment);

/* hang_up: also where children hold the socket, for which closing it would tell larderd nothing. */
void attachment_close_channel(struct attachment *attachment, bool hang_up);

/* Whether something happened to larderd since we looked: it died, or another one took its place, or it hung up. */
static inline bool attachment_stale(const struct attachment *attachment)
{
	return load_relaxed(&attachment->lost) != 0 ||
	       load_relaxed(&attachment->cache.arena.header->owner) != load_relaxed(&attachment->owner);
}

static inline struct attachment *attachment_of(const struct cache_thread *thread)
{
	return (struct attachment *)thread->cache;
}

#endif
