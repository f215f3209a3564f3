/* SPDX-License-Identifier: MIT */
/* larder stat: what the arena holds and does, as tables or as one JSON object. */
#ifndef LARDER_TOOLS_LARDER_STAT_H
#define LARDER_TOOLS_LARDER_STAT_H

#include "tools/larder_invocation.h"

enum outcome command_stat(struct invocation *invocation);

#endif
