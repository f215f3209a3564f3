/* SPDX-License-Identifier: MIT */
/* What becomes of the memory that a killed process left, found out on a copy. */
#ifndef LARDER_STEP_TRIAL_H
#define LARDER_STEP_TRIAL_H

#include "tests/step/scene.h"

/*
 * The values that a subject may have, in their order: as a client first finds it before the operation; as it is once a
 * writer has completed what a dead one left pending; after the operation. None may be followed by an earlier one.
 */
enum rank { RANK_FOUND, RANK_COMPLETED, RANK_AFTER, RANKS };

/* How one looks: at once, or after a writer came by; before the keeper knows, or after it cleaned up. */
enum look { LOOK_AT_ONCE, LOOK_AFTER_WRITER, LOOK_AFTER_KEEPER, LOOKS };

struct trial {
	struct scene *scene;
	struct image image;
	bool keeper; /* the killed process is the keeper */
	struct reading allowed[SUBJECTS_MAX][RANKS];
	enum rank reached[SUBJECTS_MAX][LOOKS];
	uint64_t states;
	char fault[256]; /* what was wrong first */
};

/* The scene is as it is before the operation. What this will make of the subjects, if anything, the caller then tells in allowed. */
void trial_open(struct trial *trial, struct scene *scene, bool keeper);
void trial_close(struct trial *trial);

/* Recovers from the last state of the stage, in all ways. False: something is wrong, which fault tells. */
bool trial_recover(struct trial *trial);

/* Whether the operation has come to its end: all subjects are as they shall be after it. */
bool trial_complete(struct trial *trial);

#endif
