/* SPDX-License-Identifier: MIT */
/* An arena in a file with a name, which a larderd finds again that was started without anything being handed to it. */
#ifndef LARDER_DAEMON_ARENA_FILE_H
#define LARDER_DAEMON_ARENA_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "arena/arena.h"
#include "base/fault.h"

/*
 * Opens a file that has an arena. Return: the descriptor; -ENOENT: there is none; -EPERM: others could write to it;
 * -EEXIST: it is something else; -errno.
 */
int arena_file_open(const char *path, struct fault *fault);

/* Makes the memory of a new arena under a name of its own, so that no half-made one is ever found. As arena_memory_of. */
int arena_file_create(const char *path, struct arena_size size, enum page_choice choice, uint64_t *ret_page_bytes,
                      struct fault *fault);

/* Gives the new arena its name, or (with an arena that did not come to be) forgets it. */
int arena_file_publish(const char *path, struct fault *fault);
void arena_file_discard(const char *path);

/* Whether the descriptor is of the file at this path. */
bool arena_file_at(const char *path, int fd);

/*
 * Whether nobody uses the arena but by this descriptor, or copies of it. Return: 1; 0: somebody does; -errno: the
 * kernel does not tell.
 */
int arena_file_sole(int fd);

#endif
