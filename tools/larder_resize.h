/* SPDX-License-Identifier: MIT */
/* larder resize. */
#ifndef LARDER_TOOLS_LARDER_RESIZE_H
#define LARDER_TOOLS_LARDER_RESIZE_H

#include "tools/larder_invocation.h"

enum outcome command_resize(struct invocation *invocation);

#endif
