/* SPDX-License-Identifier: MIT */
/*
 * A word of the arena that says whether its larderd lives. It is a robust futex of the supervisor's: when the thread that
 * signed it ends, however that comes, or executes another program, the kernel puts OWNER_DIED in the place of its number. So
 * clients can see it by a load.
 */
#ifndef LARDER_DAEMON_OWNER_H
#define LARDER_DAEMON_OWNER_H

#include "base/layout.h"

/* Signs an arena, of which there is one in a process. The list of robust futexes of the C library is given up for it. */
int owner_sign(struct arena_header *header);

/* Does what the kernel would, before the arena is unmapped. An arena that was not signed is left alone. */
void owner_resign(struct arena_header *header);

/* Puts right what some client wrote there, in the process that signed or a child of it. The kernel's mark stays. */
void owner_restore(struct arena_header *header);

#endif
