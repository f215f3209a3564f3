/* SPDX-License-Identifier: MIT */
/* What tests of the public API do all the time. Each call ends the process with a message when it does not work out. */
#ifndef LARDER_TESTS_CLIENT_H
#define LARDER_TESTS_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "larder.h"
#include "tests/support/server.h"

larder *client_open(const struct server *server);

/* A handle that does not wait long for larderd later; opening it may take its time on a busy machine all the same. */
larder *client_open_hasty(const struct server *server, uint32_t timeout_ms);

/* Stores a string under a string. */
void client_put(larder *cache, const char *key, const char *value);

/* Expects that the key has this value; NULL: that there is no such key. */
void client_expect(larder *cache, const char *key, const char *value);

struct larder_stat client_stat(larder *cache);

/* Values that check themselves: size bytes that follow from a seed. */
void pattern_fill(void *bytes, size_t size, uint64_t seed);
int pattern_holds(const void *bytes, size_t size, uint64_t seed);

#endif
