/* SPDX-License-Identifier: MIT */
/* The commands that look at the whole arena. */
#ifndef LARDER_TOOLS_LARDER_REPORT_H
#define LARDER_TOOLS_LARDER_REPORT_H

#include "tools/larder_invocation.h"

enum outcome command_stat(struct invocation *invocation);
enum outcome command_verify(struct invocation *invocation);

#endif
