/* SPDX-License-Identifier: MIT */
/* Damage: the input says where in shared memory something is overwritten, and with what. */
#ifndef LARDER_FUZZ_SCRIBBLE_H
#define LARDER_FUZZ_SCRIBBLE_H

#include "tests/fuzz/input.h"
#include "tests/fuzz/stage.h"

enum scribble_place {
	PLACE_ANYWHERE,
	PLACE_HEADER,
	PLACE_TABLE,
	PLACE_DIRECTORY,
	PLACE_CHAIN,  /* of a key: the bucket at some level */
	PLACE_BUCKET, /* by number */
	PLACE_OBJECT, /* of a key */
	PLACE_RUN,    /* the beginning of a chunk */
	PLACE_CONTROL,
	PLACES
};

enum scribble_content {
	CONTENT_WORD,
	CONTENT_BYTE,
	CONTENT_FLIP,
	CONTENT_EXTREME,
	CONTENT_SMALL,
	CONTENT_COPY,     /* of another place */
	CONTENT_LINK,     /* to a bucket */
	CONTENT_SLOT,     /* that a lookup of a key takes for its own */
	CONTENT_INTENT,   /* or another control word */
	CONTENT_STATE,    /* of a segment */
	CONTENT_CHILDREN, /* of a split */
	CONTENT_HEAD,     /* of an object */
	CONTENTS
};

enum scribble_offset {
	OFFSET_ANY,
	OFFSET_END, /* close before the end of the arena, or behind it */
	OFFSET_SEGMENT,
	OFFSET_OBJECT,
	OFFSET_BUCKET,
	OFFSETS
};

/* Overwrites one thing. */
void scribble(const struct stage *stage, struct input *input);

/* Overwrites one thing many times, with two things in turn. */
void scribble_again(const struct stage *stage, struct input *input, uint32_t times);

#endif
