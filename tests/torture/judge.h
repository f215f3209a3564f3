/* SPDX-License-Identifier: MIT */
/*
 * What a read may say. Of each key the journal tells which write was the last to be completed before the read began, and
 * which was the last to be begun before it ended: the read must have seen one of these, or one between them. Whether the writer
 * was killed meanwhile makes no difference: a write that was begun and never completed may be seen or not.
 */
#ifndef LARDER_TORTURE_JUDGE_H
#define LARDER_TORTURE_JUDGE_H

#include "larder.h"
#include "tests/torture/board.h"

/* The name of a key, and what identifies it in its values. */
struct name {
	char bytes[KEY_MAX];
	uint32_t size;
	uint64_t id;
};
void judge_name(const struct board *board, uint32_t actor, uint32_t key, struct name *ret_name);

/* A read of one key that is under way. */
struct inquiry {
	struct board *board;
	struct record *record;
	struct name name;
	uint32_t reader; /* actor */
	uint64_t named, done, life_ms, begun_ms;
};

/* Before the read. */
void judge_begin(struct inquiry *inquiry, struct board *board, uint32_t reader, uint32_t actor, uint32_t key);

/* After it: false when something is wrong, which has been reported. */
bool judge_value(const struct inquiry *inquiry, const void *value, size_t size);
bool judge_miss(const struct inquiry *inquiry);
bool judge_error(const struct inquiry *inquiry, int result);

/* Errors by which a call says that larderd was not to be reached, or that it is out of memory: nothing has happened. */
bool judge_excusable(const struct board *board, int result);

/* A counter: the least that a read that begins now may say; the most that one that ended just now may have said. */
uint64_t judge_counter_least(const struct board *board, uint32_t counter);
uint64_t judge_counter_most(const struct board *board, uint32_t counter);
void judge_counter_name(uint32_t counter, struct name *ret_name);
void judge_hot_name(uint32_t hot, struct name *ret_name);

#endif
