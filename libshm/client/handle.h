/* SPDX-License-Identifier: MIT */
/* What is behind the public type larder: one process's handle on the arena that is served at one socket. */
#ifndef LARDER_CLIENT_HANDLE_H
#define LARDER_CLIENT_HANDLE_H

#include <pthread.h>

#include "client/attachment.h"
#include "client/process.h"

struct larder {
	struct process *process;
	/*
	 * The current attachment, and all there are: those whose arena is not served any more stay while a view or a
	 * thread is in them, and then as room for the next one. While process->token is 0 all are the parent's.
	 */
	_Atomic(struct attachment *) current;
	struct attachment *attachments;
	struct attachment
		*inherited; /* of those from whom this process was forked, once it has attachments of its own */
	struct attachment_source source; /* the path is absolute: a child may attach after it changed its directory */
	pthread_key_t key;               /* of the thread states */
};

/*
 * Makes sure that this process has an attachment: after a fork the child makes its own at its first call, and where the
 * arena is not served any more it is replaced when there is another one.
 * Return: 0 or what larder_open may give; always 0 where there is an attachment already.
 */
int handle_attach(struct larder *cache, struct fault *fault);

/* Unmaps an attachment in which nobody is any more and which is not the current one. Call it with process_lock held. */
void handle_tidy(struct larder *cache, struct attachment *attachment);

/* This process's attachment of that token, or NULL. Call it with process_lock held. */
struct attachment *handle_find(struct larder *cache, uint64_t token);

#endif
