/* SPDX-License-Identifier: MIT */
/* The size of the arena at the moment, and how it becomes another one: the keeper's part of arena/arena.h. */
#ifndef LARDER_DAEMON_RESIZE_H
#define LARDER_DAEMON_RESIZE_H

#include "arena/arena.h"
#include "base/fault.h"
#include "daemon/survey.h"

struct resize {
	const struct arena *arena;
	int fd;           /* of the arena's memory; -1: there is none to be had or given back */
	bool has_all;     /* the memory of absent segments is there already */
	bool keeps_pages; /* and it cannot be given back */
	bool turn;        /* the next segment that comes back is the arena's loss, and not the writers' gain */
	bool unreleased;  /* some absent segments may have memory */
	uint8_t *pages;   /* whether each segment, if it is absent, may */
	bool poor;        /* there was no memory for an exchange */
	uint32_t target;  /* segments that shall not be absent: our own copy */
	uint32_t surplus; /* how many there are too many */
	uint32_t cursor;  /* growing: where to look for the next segment to be given memory, */
	uint32_t granted; /* and how many have it and have not joined */
};

/* Finds in the arena what was wanted last. Return: 0, -ENOMEM. */
int resize_init(struct resize *resize, const struct arena *arena);
void resize_free(struct resize *resize);
void resize_set_memory(struct resize *resize, int fd);

/* The size that is wanted, in bytes. */
uint64_t resize_bytes(const struct resize *resize);

/*
 * Wants another size, rounded down to whole segments. Return: 0; -ERANGE: the arena cannot have it, ret_bytes is the nearest that it
 * can; -ENOMEM: the host has not so much memory. On an error nothing has changed.
 */
int resize_want(struct resize *resize, uint64_t bytes, uint64_t *ret_bytes, struct fault *fault);

/*
 * The configuration's size. Only a new value of it matters: as long as it is the one that was dealt with last, the size stays what
 * else was asked for, over restarts of any kind.
 */
void resize_configure(struct resize *resize, uint64_t bytes);

/* Takes one step, with what a survey found, which is brought up to date. Return: whether there is more to do at once. */
bool resize_step(struct resize *resize, struct survey *survey);

/* Whether a segment that comes free shall be absent instead. */
bool resize_claims(struct resize *resize);

/* A segment became absent. */
void resize_note_absent(struct resize *resize, uint32_t segment);

/*
 * Puts an absent segment in reserve, because of where it lies; then there is one too many, and the next that comes free is absent in its
 * place. False: it has no memory, and if resize->poor, there is none to be had.
 */
bool resize_exchange(struct resize *resize, uint32_t segment);

/* Gives memory of absent segments back. Nobody may be in a section that was revoked. Return: whether there is more. */
bool resize_release(struct resize *resize);

#endif
