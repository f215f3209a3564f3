/* SPDX-License-Identifier: MIT */
/*
 * Someone who uses the cache: this process, or another one that does what it is told over a socket pair. So one test
 * can be played with any cast.
 */
#ifndef LARDER_TESTS_ACTOR_H
#define LARDER_TESTS_ACTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "larder.h"
#include "tests/support/server.h"

#define ACTOR_TEXT_MAX 256

struct actor {
	larder *cache; /* here */
	int channel;   /* elsewhere */
	pid_t pid;
};

enum verb { GET, VIEW, SET, ADD, REPLACE, CAS, APPEND, TOUCH, DELETE, INCR, DECR };

struct act {
	enum verb verb;
	char key[64], value[ACTOR_TEXT_MAX];
	uint64_t expected, ttl_ms;
	uint32_t flags;
	bool create; /* incr, decr */
	int64_t delta, initial;
};

/* What came of it. What the call did not fill is as it was before: all bits set in numbers, "" in text. */
struct effect {
	int result;
	uint64_t version;
	int64_t number;
	struct larder_item item;
	char text[ACTOR_TEXT_MAX];
};

void actor_start(struct actor *actor, const struct server *server, bool elsewhere);
void actor_stop(struct actor *actor);
struct effect actor_do(struct actor *actor, const struct act *act);

/* do_as(who, SET, "key", "value", .flags = 7) */
#define do_as(who, what, ...) actor_do((who), &(struct act){ .verb = (what), __VA_ARGS__ })

#endif
