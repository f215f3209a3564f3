/* SPDX-License-Identifier: MIT */
/*
 * Replies that are owed, written down in memory that outlives the keeper: when it dies between taking a request and
 * answering it, the next keeper tells the client, which would otherwise wait for nothing until its time is over.
 */
#ifndef LARDER_DAEMON_DEBT_H
#define LARDER_DAEMON_DEBT_H

#include "base/atomics.h"

struct debt {
	atomic_u64 client_id; /* 0: nothing is owed here */
	atomic_u64 request_id;
};

/* Makes the memory, which is shared with every process forked later. NULL: there is none. */
struct debt *debt_book(void);

/* Writes down that a client is owed a reply. NULL: there is no place, so a death of the keeper will not be told. */
struct debt *debt_incur(struct debt *book, uint64_t client_id, uint64_t request_id);

/* The reply is on its way, or there is nobody to take it. NULL does nothing. */
void debt_settle(struct debt *debt);

/* What is owed to a client, or NULL. */
struct debt *debt_find(struct debt *book, uint64_t client_id);

#endif
