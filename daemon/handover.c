/* SPDX-License-Identifier: MIT */
#include "daemon/handover.h"

#include <stdlib.h>
#include <unistd.h>

void handover_each(const struct handover *handover, void (*act)(int fd))
{
	const int own[] = { handover->listener, handover->lock,   handover->arena,
		            handover->wake,     handover->roster, handover->arena_lock };

	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
		if (own[i] >= 0)
			act(own[i]);
	for (uint32_t i = 0; i < handover->clients.count; i++)
		for (int kind = 0; kind < VAULT_FDS; kind++)
			if (handover->clients.clients[i].fds[kind] >= 0)
				act(handover->clients.clients[i].fds[kind]);
}

static void close_one(int fd)
{
	close(fd);
}

void handover_discard(struct handover *handover)
{
	handover_each(handover, close_one);
	free(handover->clients.clients);
	*handover = HANDOVER_NONE;
}
