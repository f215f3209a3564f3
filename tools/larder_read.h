/* SPDX-License-Identifier: MIT */
/* The commands that read keys. */
#ifndef LARDER_TOOLS_LARDER_READ_H
#define LARDER_TOOLS_LARDER_READ_H

#include "tools/larder_invocation.h"

enum outcome command_get(struct invocation *invocation);
enum outcome command_mget(struct invocation *invocation);
enum outcome command_ttl(struct invocation *invocation);
enum outcome command_scan(struct invocation *invocation);

#endif
