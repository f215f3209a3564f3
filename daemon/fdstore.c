/* SPDX-License-Identifier: MIT */
/*
 * An adopted arena has clients that go on using it at this very moment. Their epochs and pins are in their control
 * pages; to adopt the arena without knowing each of these pages would be to reuse memory under somebody's eyes. The
 * store may lack descriptors (it has a limit, and its messages can be lost), so it cannot be believed to be complete.
 * The roster says what complete is: a page of ids in a memfd of its own. A client is in the store before it is on the
 * roster, on the roster before it gets the arena, and off the roster before it leaves the store. So whoever is on the
 * roster has to be found in the store, and whoever is not on it does not use the arena.
 */
#include "daemon/fdstore.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/peer.h"
#include "larder.h"

#define ROSTER_MAX 16384 /* the most that max_clients can be */

struct roster {
	atomic_u64 next_id;
	atomic_u64 ids[ROSTER_MAX]; /* 0: free */
};

/* ---- the roster -------------------------------------------------------------------------------------------------- */

static int map_roster(int fd, struct roster **ret_roster)
{
	struct stat file;
	void *base;

	if (fstat(fd, &file) || file.st_size != sizeof(struct roster))
		return -EINVAL;
	base = mmap(NULL, sizeof(struct roster), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	/* The keeper, which strangers talk to, has no business here. */
	madvise(base, sizeof(struct roster), MADV_DONTFORK);
	*ret_roster = base;
	return 0;
}

/* The place of an id, or of a free one for id 0; -1: there is none. */
static int roster_find(const struct roster *roster, uint64_t id)
{
	for (int i = 0; i < ROSTER_MAX; i++)
		if (load_relaxed(&roster->ids[i]) == id)
			return i;
	return -1;
}

/* ---- what was handed over ---------------------------------------------------------------------------------------- */

/* The descriptors of a client have one name; what each of them is shows by itself. */
static enum vault_fd kind_of(int fd)
{
	struct stat file;

	if (fstat(fd, &file) == 0 && S_ISSOCK(file.st_mode))
		return VAULT_SOCKET;
	if (peer_pidfd_number(fd) != -EINVAL)
		return VAULT_PIDFD;
	return file.st_size == 0 ? VAULT_LEASE : VAULT_CONTROL;
}

static int take_client(struct vault *clients, uint64_t id, int fd)
{
	struct vault_client client = { .id = id, .fds = { -1, -1, -1, -1 } };
	struct vault_client *known = vault_find(clients, id);
	enum vault_fd kind = kind_of(fd);

	if (!known) {
		if (vault_put(clients, &client))
			return -ENOMEM;
		known = vault_find(clients, id);
	}
	if (known->fds[kind] >= 0)
		close(known->fds[kind]);
	known->fds[kind] = fd;
	return 0;
}

static void take(void *context, const char *name, int fd)
{
	struct handover *handover = context;
	uint64_t id;
	int *place = strcmp(name, "arena") == 0    ? &handover->arena
	             : strcmp(name, "wake") == 0   ? &handover->wake
	             : strcmp(name, "roster") == 0 ? &handover->roster
	                                           : &handover->listener;

	if (strncmp(name, "client-", 7) == 0) {
		if (sscanf(name + 7, "%" SCNu64, &id) != 1 || id == 0 || take_client(&handover->clients, id, fd))
			close(fd);
		return;
	}
	if (*place >= 0)
		close(*place);
	*place = fd;
}

void fdstore_receive(struct handover *ret_handover)
{
	*ret_handover = HANDOVER_NONE;
	notify_handed_over(take, ret_handover);
}

/* ---- adoption ---------------------------------------------------------------------------------------------------- */

static bool complete(const struct vault_client *client)
{
	for (int i = 0; i < VAULT_FDS; i++)
		if (client->fds[i] < 0)
			return false;
	return true;
}

/* Everybody on the roster must be there with all that belongs to a client. Others are dropped. */
static int check_clients(struct vault *clients, const struct roster *roster, struct fault *fault)
{
	for (uint32_t i = clients->count; i-- > 0;)
		if (roster_find(roster, clients->clients[i].id) < 0)
			vault_drop(clients, clients->clients[i].id);
	for (int i = 0; i < ROSTER_MAX; i++) {
		uint64_t id = load_relaxed(&roster->ids[i]);
		const struct vault_client *client = id ? vault_find(clients, id) : NULL;

		if (id && (!client || !complete(client)))
			return fault_set(fault, -EINVAL,
			                 "client %" PRIu64 " is missing in the descriptor store; "
			                 "FileDescriptorStoreMax= may be too small",
			                 id);
	}
	clients->next_id = load_relaxed(&roster->next_id);
	return 0;
}

int fdstore_adopt(struct handover *handover, const struct config *config, struct holding *ret_holding,
                  struct vault *ret_vault, struct fdstore *ret_store, struct fault *fault)
{
	struct fdstore store = { .roster_fd = handover->roster };
	struct holding holding = { .arena_fd = handover->arena,
		                   .wake_fd = handover->wake,
		                   .lock_fd = handover->arena_lock };
	int result;

	if (handover->arena < 0)
		return -ENOENT;
	if (handover->wake < 0 || (handover->roster < 0 && !handover->whole))
		return fault_set(fault, -EINVAL, "the descriptor store lacks what belongs to it");
	if (handover->roster >= 0 && map_roster(handover->roster, &store.roster))
		return fault_set(fault, -EINVAL, "there is no list of its clients");
	result = holding_adopt(&holding, config, fault);
	if (result == 0 && store.roster)
		result = check_clients(&handover->clients, store.roster, fault);
	if (result) {
		if (holding.lock_fd != handover->arena_lock)
			close(holding.lock_fd);
		arena_unmap(&holding.arena);
		if (store.roster)
			munmap(store.roster, sizeof *store.roster);
		return -EINVAL;
	}
	*ret_holding = holding;
	*ret_vault = handover->clients;
	*ret_store = store;
	handover->arena = handover->wake = handover->roster = handover->arena_lock = -1;
	handover->clients = (struct vault){ 0 };
	return 0;
}

/* ---- keeping ----------------------------------------------------------------------------------------------------- */

struct store_name {
	char text[32];
};

static struct store_name name_of(uint64_t id)
{
	struct store_name name;

	snprintf(name.text, sizeof name.text, "client-%" PRIu64, id);
	return name;
}

static int make_roster(struct fdstore *store)
{
	int result;

	store->roster_fd = memfd_create("larder-roster", MFD_CLOEXEC);
	if (store->roster_fd < 0)
		return -errno;
	if (ftruncate(store->roster_fd, sizeof(struct roster)))
		result = -errno;
	else
		result = map_roster(store->roster_fd, &store->roster);
	if (result == 0)
		store_relaxed(&store->roster->next_id, 1);
	return result;
}

void fdstore_begin(struct fdstore *ret_store, const struct config *config, const struct holding *holding)
{
	struct fdstore store = FDSTORE_NONE;
	int result;

	*ret_store = store;
	if (!notify_present())
		return;
	if (config->access != LARDER_SHARED_WRITE) {
		log_info("a restart will begin with an empty arena: in read-only mode nobody can adopt this one");
		return;
	}
	result = make_roster(&store);
	if (result == 0)
		result = notify_store("roster", &store.roster_fd, 1);
	if (result == 0)
		result = notify_store("wake", &holding->wake_fd, 1);
	if (result == 0)
		result = notify_store("arena", &holding->arena_fd, 1);
	if (result) {
		log_warning("a restart will begin with an empty arena: the service manager does not keep this one (%s)",
		            strerror(-result));
		fdstore_release(&store);
		return;
	}
	*ret_store = store;
}

void fdstore_await_keeper(const struct fdstore *store)
{
	/* A lock of the process: not handed over to children or the next larderd with the descriptor. */
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (store->roster_fd < 0)
		return;
	while (fcntl(store->roster_fd, F_SETLKW, &lock) && errno == EINTR)
		;
}

int fdstore_keep(struct fdstore *store, const struct vault_client *client)
{
	struct store_name name = name_of(client->id);
	int place, result;

	if (!store->roster)
		return 0;
	place = roster_find(store->roster, 0);
	if (place < 0)
		return -ENOSPC;
	result = notify_store(name.text, client->fds, VAULT_FDS);
	if (result)
		return result;
	store_relaxed(&store->roster->next_id, client->id + 1);
	store_relaxed(&store->roster->ids[place], client->id);
	return 0;
}

void fdstore_forget(struct fdstore *store, uint64_t id)
{
	int place = store->roster ? roster_find(store->roster, id) : -1;

	if (place < 0)
		return;
	store_relaxed(&store->roster->ids[place], 0);
	notify_forget(name_of(id).text);
}

void fdstore_clear(struct fdstore *store, const struct vault *vault)
{
	notify_forget("arena");
	notify_forget("wake");
	notify_forget("roster");
	for (uint32_t i = 0; i < vault->count; i++)
		notify_forget(name_of(vault->clients[i].id).text);
	fdstore_release(store);
}

void fdstore_release(struct fdstore *store)
{
	if (store->roster)
		munmap(store->roster, sizeof *store->roster);
	if (store->roster_fd >= 0)
		close(store->roster_fd);
	*store = FDSTORE_NONE;
}
