/* SPDX-License-Identifier: MIT */
/*
 * Shared memory between inaccessible pages. Sanitizers do not know the bounds of a mapping; this way whatever reads or
 * writes a byte too early or too late is ended by the processor.
 */
#ifndef LARDER_FUZZ_GUARDED_H
#define LARDER_FUZZ_GUARDED_H

#include "arena/arena.h"
#include "arena/control.h"

/* Moves a mapping to a place of its own, with inaccessible memory close to both ends. */
void guarded_arena(struct arena *arena);
void guarded_control(struct control *control);

#endif
