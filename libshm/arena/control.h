/* SPDX-License-Identifier: MIT */
/* The control page: a small memfd that one client and the keeper share (epoch words, pins, counters). */
#ifndef LARDER_ARENA_CONTROL_H
#define LARDER_ARENA_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fault.h"
#include "base/layout.h"

struct control {
	struct control_page *page;
	atomic_u32 *pins; /* [PIN_SHARDS][segment_count] */
	uint64_t bytes;
	uint32_t segment_count;
};

/* The size of a control page for an arena of so many segments, in bytes. */
uint64_t control_bytes(uint32_t segment_count);

/* Keeper: makes a sealed memfd with a formatted, empty page. Return: the descriptor or -errno. */
int control_create(uint32_t segment_count, uint64_t client_id);

/*
 * Maps a control page. A client passes private_to_process: the page is not inherited over fork (MADV_DONTFORK), and its
 * head is checked. The keeper, which made it, relies on its size alone. Return: 0, -EPROTO: not a control page for an
 * arena of this size, -errno.
 */
int control_map(int fd, uint32_t segment_count, bool private_to_process, struct control *ret_control,
                struct fault *fault);

void control_unmap(struct control *control);

/* Keeper: whether any thread of the client ever had a line here. */
static inline bool control_used(const struct control *control)
{
	return load_relaxed(&control->page->thread_high) != 0;
}

static inline atomic_u32 *control_pin(const struct control *control, uint32_t shard, uint32_t segment)
{
	return &control->pins[(uint64_t)shard * control->segment_count + segment];
}

#endif
