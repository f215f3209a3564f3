/* SPDX-License-Identifier: MIT */
/* What the public API hides. */
#ifndef LARDER_BENCH_INSIDE_H
#define LARDER_BENCH_INSIDE_H

#include "arena/arena.h"
#include "larder.h"

/* The arena behind a handle, valid until the handle is closed or attaches anew. NULL: this thread cannot use it. */
const struct arena *inside_arena(larder *cache);

#endif
