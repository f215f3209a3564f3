/* SPDX-License-Identifier: MIT */
/* The commands that change keys. */
#ifndef LARDER_TOOLS_LARDER_WRITE_H
#define LARDER_TOOLS_LARDER_WRITE_H

#include "tools/larder_invocation.h"

enum outcome command_set(struct invocation *invocation);
enum outcome command_add(struct invocation *invocation);
enum outcome command_replace(struct invocation *invocation);
enum outcome command_cas(struct invocation *invocation);
enum outcome command_append(struct invocation *invocation);
enum outcome command_del(struct invocation *invocation);
enum outcome command_incr(struct invocation *invocation);
enum outcome command_decr(struct invocation *invocation);
enum outcome command_touch(struct invocation *invocation);

#endif
