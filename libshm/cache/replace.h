/* SPDX-License-Identifier: MIT */
/* The usual write: a new value for a key that is there. */
#ifndef LARDER_CACHE_REPLACE_H
#define LARDER_CACHE_REPLACE_H

#include "cache/cache.h"

/*
 * Does a write if it is a set of a short key that has a plain object in its home bucket, and the thread has room at hand; and if nobody is in the way.
 * False: it is not, or somebody is. Then nothing has been written that others see.
 */
bool cache_replace(struct cache_thread *thread, const struct write_request *request, struct write_result *ret_result);

/* write.c: does whatever write there is, without trying this first. */
int cache_write_any(struct cache_thread *thread, const struct write_request *request, struct write_result *ret_result);

#endif
