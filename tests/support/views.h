/* SPDX-License-Identifier: MIT */
/* How many views the control page of a client says it holds. */
#ifndef LARDER_TESTS_VIEWS_H
#define LARDER_TESTS_VIEWS_H

#include "arena/control.h"

static inline uint32_t views_in_lines(const struct control *control)
{
	uint32_t views = 0;

	for (uint32_t line = 0; line < THREADS_MAX; line++)
		views += load_relaxed(&control->page->threads[line].view_pin) != 0;
	return views;
}

static inline uint32_t views_counted(const struct control *control)
{
	uint32_t views = 0;

	for (uint32_t i = 0; i < PIN_SHARDS * control->segment_count; i++)
		views += load_relaxed(&control->pins[i]);
	return views;
}

static inline uint32_t views_held(const struct control *control)
{
	return views_in_lines(control) + views_counted(control);
}

#endif
