/* SPDX-License-Identifier: MIT */
/* A stand-in for larderd that hands out a real arena, and lets a test look at the control pages of its clients. */
#ifndef LARDER_TESTS_FAKE_ARENA_H
#define LARDER_TESTS_FAKE_ARENA_H

#include "arena/arena.h"
#include "arena/control.h"
#include "arena/lease.h"
#include "base/atomics.h"
#include "larder.h"
#include "tests/support/views.h"
#include "tests/unit/client/fake.h"

#define FAKE_CLIENTS_MAX 4096

struct fake_arena {
	struct fake fake;
	struct arena arena;
	int arena_fd;
	fake_serve *talk; /* what to do with a connection after the welcome; NULL: let it stand */
	void *context;

	pthread_mutex_t mutex; /* for what follows */
	uint32_t clients;      /* that were welcomed */
	struct control controls[FAKE_CLIENTS_MAX];
	/* Kept to the end, so that a test in the same process can count its own descriptors. */
	int connections[FAKE_CLIENTS_MAX];
	int control_fds[FAKE_CLIENTS_MAX], lease_fds[FAKE_CLIENTS_MAX];
};

static inline void fake_arena_welcome(struct fake *fake, int *connection)
{
	struct fake_arena *server = fake->context;
	const uint32_t client = server->clients; /* which only this thread changes */
	struct wire_welcome welcome = {
		.type = WIRE_WELCOME,
		.client_id = client + 1,
		.arena_bytes = server->arena.bytes,
		.control_bytes = control_bytes(server->arena.segment_count),
		.access = server->arena.header->access,
	};
	int fds[] = { lease_create(), server->arena_fd, control_create(server->arena.segment_count, client + 1) };

	pthread_mutex_lock(&server->mutex);
	if (control_map(fds[2], server->arena.segment_count, true, &server->controls[client], NULL) != 0)
		abort();
	server->connections[client] = *connection;
	server->control_fds[client] = fds[2];
	server->lease_fds[client] = fds[0];
	server->clients = client + 1;
	pthread_mutex_unlock(&server->mutex);
	fake_send(*connection, &welcome, sizeof welcome, fds, sizeof fds / sizeof fds[0]);
	if (server->talk)
		server->talk(fake, connection);
	*connection = -1;
}

/* access: of the arena. talk and context: see above. */
static inline struct fake_arena *fake_arena_start(enum larder_access access, fake_serve *talk, void *context)
{
	struct fake_arena *server = calloc(1, sizeof *server);
	struct arena_plan plan = { .access = access };

	ck_assert_ptr_nonnull(server);
	server->arena_fd = arena_memory(ARENA_BYTES_MIN, PAGES_SMALL, &plan.page_bytes, NULL);
	ck_assert_int_ge(server->arena_fd, 0);
	ck_assert_int_eq(arena_format(server->arena_fd, &plan, &server->arena, NULL), 0);
	pthread_mutex_init(&server->mutex, NULL);
	server->talk = talk;
	server->context = context;
	fake_start(&server->fake, fake_arena_welcome, server);
	return server;
}

static inline void fake_arena_stop(struct fake_arena *server)
{
	fake_stop(&server->fake);
	for (uint32_t i = 0; i < server->clients; i++) {
		close(server->connections[i]);
		close(server->control_fds[i]);
		close(server->lease_fds[i]);
		control_unmap(&server->controls[i]);
	}
	arena_unmap(&server->arena);
	close(server->arena_fd);
	free(server);
}

static inline larder *fake_arena_open(struct fake_arena *server)
{
	struct larder_open_options options = LARDER_OPEN_OPTIONS;
	char sentence[512];
	larder *cache = NULL;
	int result;

	options.timeout_ms = 60000;
	options.error = sentence;
	options.error_size = sizeof sentence;
	result = larder_open(server->fake.path, &options, &cache);
	ck_assert_msg(result == 0, "%s", sentence);
	return cache;
}

static inline uint32_t fake_arena_clients(struct fake_arena *server)
{
	uint32_t clients;

	pthread_mutex_lock(&server->mutex);
	clients = server->clients;
	pthread_mutex_unlock(&server->mutex);
	return clients;
}

/* The control page of the client that came as that many-th, from 0. */
static inline const struct control *fake_arena_control(struct fake_arena *server, uint32_t client)
{
	ck_assert_uint_lt(client, fake_arena_clients(server));
	return &server->controls[client];
}

/* How many views a client holds. */
static inline uint32_t fake_arena_pins(struct fake_arena *server, uint32_t client)
{
	return views_held(fake_arena_control(server, client));
}

#endif
