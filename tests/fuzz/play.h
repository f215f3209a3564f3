/* SPDX-License-Identifier: MIT */
/*
 * Everything that can be done with an arena, by its keeper and its clients. Each step expects what must be so in an arena
 * that was written over as well: a documented result, and nothing that leads out of the arena.
 */
#ifndef LARDER_FUZZ_PLAY_H
#define LARDER_FUZZ_PLAY_H

#include "tests/fuzz/input.h"
#include "tests/fuzz/stage.h"

#define VIEWS_MAX 8

struct play {
	struct stage *stage;
	struct larder_view views[VIEWS_MAX]; /* held by the reader; data is NULL: none */
};

enum play_step {
	STEP_SCRIBBLE, /* not one of play_step(): the caller's */
	STEP_GET,
	STEP_VIEW,
	STEP_RELEASE,
	STEP_BATCH,
	STEP_SCAN,
	STEP_CENSUS,
	STEP_VERIFY,
	STEP_WRITE,
	STEP_REQUEST, /* the keeper writes for a client that may not */
	STEP_HOUSE,   /* the keeper keeps house */
	STEP_KEEPER,  /* a keeper takes charge */
	STEP_ADVANCE, /* time passes */
	STEP_ATTACH,  /* a process attaches */
	STEPS
};

/* One step, the details of which come from the input. */
void play_step(struct play *play, enum play_step step, struct input *input);

/* Once each of everything, and the keeper until it waits for nobody but sleeping threads. */
void play_round(struct play *play);

/* Gives everything back; expects that nothing is left of it in the control pages. */
void play_end(struct play *play);

#endif
