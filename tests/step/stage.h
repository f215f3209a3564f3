/* SPDX-License-Identifier: MIT */
/*
 * All memory that the processes of one larder share: the smallest arena there can be, and the control pages of everybody. The
 * stepped process changes the living memory; what is found after each of its instructions is tried on a copy.
 */
#ifndef LARDER_STEP_STAGE_H
#define LARDER_STEP_STAGE_H

#include "tests/unit/support/objects.h"

enum role {
	ROLE_KEEPER,
	ROLE_VICTIM, /* a client that is stepped */
	ROLE_DEAD,   /* one that was killed before, in the middle of something */
	ROLE_OTHER,  /* one that goes on */
	ROLES
};

struct image {
	unsigned char *arena;
	unsigned char *page[ROLES];
};

struct stage {
	int arena_fd;
	int page_fd[ROLES];
	struct control page[ROLES]; /* the living pages */
	struct client other;        /* on the living memory, while no child runs */
	struct arena *arena;        /* its mapping */
	struct image live, last;
};

/* Keys hash alike in every run. */
void stage_open(struct stage *stage);
void stage_close(struct stage *stage);

/* In a child, or here: attaches to the living memory in a role. */
void stage_attach(const struct stage *stage, enum role role, struct client *ret_client);

/* Takes the living memory over into the last state. */
void stage_keep(struct stage *stage);

/*
 * Whether anything was changed since; if so, keeps it. Free segments are not looked at: stage_free_untouched does, which can be
 * called less often.
 */
bool stage_changed(struct stage *stage);
bool stage_free_untouched(const struct stage *stage);

/* Puts the clock of the arena forward for all who attach later. */
void stage_advance(struct stage *stage, uint64_t ms);

/* ---- copies ------------------------------------------------------------------------------------------------------- */

void image_create(const struct stage *stage, struct image *ret_image);
void image_destroy(struct image *image);
void image_copy_last(const struct stage *stage, struct image *ret_image);

/* Somebody who uses a copy as he would the original. Stays where it is while it is used. */
struct stand_in {
	struct cache cache;
	struct cache_thread thread;
	struct allocator allocator;
};
void stand_in_begin(const struct stage *stage, const struct image *image, enum role role,
                    struct stand_in *ret_stand_in);

#endif
