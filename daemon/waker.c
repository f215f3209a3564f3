/* SPDX-License-Identifier: MIT */
#include "daemon/waker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/platform.h"

#define STACK_BYTES (64 << 10)

struct waker {
	atomic_u32 *word;
	uint32_t seen;
	int event_fd;
	struct timespec pause;
};

uint32_t waker_look(atomic_u32 *word)
{
	return load_acquire(word); /* A22 <- R22 */
}

uint32_t waker_wait(atomic_u32 *word, uint32_t seen)
{
	platform_futex_wait(word, seen, UINT32_MAX);
	return waker_look(word);
}

/* Clients may change the word or wake us as often as they like; the pause bounds what that costs. */
static void *pass_on(void *context)
{
	struct waker *waker = context;

	for (;;) {
		uint32_t now = waker_wait(waker->word, waker->seen);

		if (now != waker->seen)
			platform_event_signal(waker->event_fd);
		waker->seen = now;
		nanosleep(&waker->pause, NULL);
	}
	return NULL;
}

int waker_start(atomic_u32 *word, int event_fd, uint32_t pause_us)
{
	struct waker *waker = malloc(sizeof *waker);
	pthread_attr_t attributes;
	pthread_t thread;
	int result;

	if (!waker)
		return -ENOMEM;
	*waker = (struct waker){ .word = word,
		                 .seen = waker_look(word),
		                 .event_fd = event_fd,
		                 .pause = { .tv_sec = pause_us / 1000000,
		                            .tv_nsec = (long)(pause_us % 1000000) * 1000 } };
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	result = pthread_create(&thread, &attributes, pass_on, waker);
	pthread_attr_destroy(&attributes);
	if (result)
		free(waker);
	return -result;
}
