/* SPDX-License-Identifier: MIT */
/* larder with its keys spread over several arenas, each with a larderd, all open in each worker. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/drivers/loops.h"
#include "larder.h"

#define ARENAS_MAX 8

struct arenas {
	unsigned count;
	void *each[ARENAS_MAX]; /* instances of driver_larder_shared, or sessions */
};

static void stop(void *instance)
{
	struct arenas *arenas = instance;

	while (arenas->count > 0)
		driver_larder_shared.stop(arenas->each[--arenas->count]);
	free(arenas);
}

static int start(const struct driver_setup *setup, void **ret_instance, char why[DRIVER_WHY_BYTES])
{
	struct driver_setup part = *setup;
	struct arenas *arenas = calloc(1, sizeof *arenas);
	int result = arenas && setup->arenas <= ARENAS_MAX ? 0 : -ENOMEM;

	part.keys = setup->keys / (setup->arenas > 0 ? setup->arenas : 1);
	for (unsigned i = 0; result == 0 && i < setup->arenas; i++) {
		result = driver_larder_shared.start(&part, &arenas->each[i], why);
		arenas->count += result == 0;
	}
	if (result != 0) {
		if (arenas)
			stop(arenas);
		return result;
	}
	*ret_instance = arenas;
	return 0;
}

static void close_arenas(void *session)
{
	struct arenas *arenas = session;

	while (arenas->count > 0)
		driver_larder_shared.close(arenas->each[--arenas->count]);
	free(arenas);
}

static int open_arenas(const struct driver_setup *setup, void *instance, void **ret_session, char why[DRIVER_WHY_BYTES])
{
	const struct arenas *started = instance;
	struct arenas *arenas = calloc(1, sizeof *arenas);
	int result = arenas ? 0 : -ENOMEM;

	for (unsigned i = 0; result == 0 && i < started->count; i++) {
		result = driver_larder_shared.open(setup, started->each[i], &arenas->each[i], why);
		arenas->count += result == 0;
	}
	if (result != 0) {
		if (arenas)
			close_arenas(arenas);
		return result;
	}
	*ret_session = arenas;
	return 0;
}

/* The last digit of the key says which. */
static inline larder *arena_of(const struct arenas *arenas, const unsigned char *key)
{
	return arenas->each[key[KEY_BYTES - 1] % ARENAS_MAX % arenas->count];
}

static inline int get(void *session, const unsigned char *key, unsigned char *buffer, size_t value_bytes)
{
	return larder_get(arena_of(session, key), key, KEY_BYTES, buffer, value_bytes, NULL);
}

static inline int set(void *session, const unsigned char *key, const unsigned char *value, size_t value_bytes)
{
	return larder_set(arena_of(session, key), key, KEY_BYTES, value, value_bytes, NULL, NULL);
}

static int run(void *session, const struct driver_work *work, struct driver_result *ret_result)
{
	switch (work->operation) {
	case DRIVER_GET:
		return loop_get(session, work, ret_result, get);
	case DRIVER_SET:
		return loop_set(session, work, ret_result, set);
	case DRIVER_MIXED:
		return loop_mixed(session, work, ret_result, get, set);
	default:
		return -ENOSYS;
	}
}

const struct driver driver_larder_arenas = {
	.name = "larder-arenas",
	.use = "larder, the keys spread over several arenas",
	.operations = 1u << DRIVER_GET | 1u << DRIVER_SET | 1u << DRIVER_MIXED,
	.shared = true,
	.start = start,
	.stop = stop,
	.open = open_arenas,
	.close = close_arenas,
	.run = run,
};
