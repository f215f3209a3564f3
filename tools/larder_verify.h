/* SPDX-License-Identifier: MIT */
/* larder verify: whether the arena is sound. */
#ifndef LARDER_TOOLS_LARDER_VERIFY_H
#define LARDER_TOOLS_LARDER_VERIFY_H

#include "tools/larder_invocation.h"

enum outcome command_verify(struct invocation *invocation);

#endif
