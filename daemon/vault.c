/* SPDX-License-Identifier: MIT */
#include "daemon/vault.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int vault_put(struct vault *vault, const struct vault_client *client)
{
	if (vault->count == vault->capacity) {
		uint32_t capacity = vault->capacity ? vault->capacity * 2 : 64;
		struct vault_client *clients = realloc(vault->clients, capacity * sizeof *clients);

		if (!clients)
			return -ENOMEM;
		vault->clients = clients;
		vault->capacity = capacity;
	}
	vault->clients[vault->count++] = *client;
	if (client->id >= vault->next_id)
		vault->next_id = client->id + 1;
	return 0;
}

struct vault_client *vault_find(struct vault *vault, uint64_t id)
{
	for (uint32_t i = 0; i < vault->count; i++)
		if (vault->clients[i].id == id)
			return &vault->clients[i];
	return NULL;
}

static void close_client(const struct vault_client *client)
{
	for (int i = 0; i < VAULT_FDS; i++)
		if (client->fds[i] >= 0)
			close(client->fds[i]);
}

void vault_drop(struct vault *vault, uint64_t id)
{
	struct vault_client *client = vault_find(vault, id);

	if (!client)
		return;
	close_client(client);
	*client = vault->clients[--vault->count];
}

void vault_free(struct vault *vault)
{
	for (uint32_t i = 0; i < vault->count; i++)
		close_client(&vault->clients[i]);
	free(vault->clients);
	*vault = (struct vault){ 0 };
}
