/* SPDX-License-Identifier: MIT */
/*
 * What the caller must not notice of a call that goes to the system: errno stays what it was, and a thread that is
 * cancelled meanwhile goes on until it holds no lock any more.
 */
#ifndef LARDER_CLIENT_GUARD_H
#define LARDER_CLIENT_GUARD_H

#include <errno.h>
#include <pthread.h>

struct guard {
	int error, cancel_state;
};

static inline struct guard guard_begin(void)
{
	struct guard guard = { .error = errno };

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &guard.cancel_state);
	return guard;
}

static inline void guard_end(struct guard guard)
{
	pthread_setcancelstate(guard.cancel_state, NULL);
	errno = guard.error;
}

#endif
