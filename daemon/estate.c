/* SPDX-License-Identifier: MIT */
#include "daemon/estate.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/lockfile.h"
#include "daemon/log.h"
#include "daemon/owner.h"
#include "daemon/upgrade.h"

static int receive(struct handover *ret_handover, struct fault *fault)
{
	*ret_handover = HANDOVER_NONE;
	if (upgrade_present())
		return upgrade_receive(ret_handover, fault);
	fdstore_receive(ret_handover);
	return 0;
}

static int open_listener(const struct config *config, struct handover *handover, struct listener *ret_listener,
                         struct fault *fault)
{
	int result;

	if (handover->listener < 0)
		return listener_open(config->socket, (mode_t)config->socket_mode, ret_listener, fault);
	result = listener_adopt(handover->listener, ret_listener, fault);
	if (result)
		return result;
	if (handover->lock >= 0 && strcmp(ret_listener->path, config->socket) != 0)
		return fault_set(fault, -EINVAL, "the configuration has another socket now; that needs a restart");
	ret_listener->lock_fd = handover->lock;
	handover->listener = handover->lock = -1;
	return 0;
}

static int adopt(const struct config *config, struct handover *handover, struct estate *estate, struct fault *fault)
{
	return fdstore_adopt(handover, config, &estate->holding, &estate->vault, &estate->store, fault);
}

/* The arena of an earlier larderd, if there is one that can be used, else a new one. */
static int open_holding(const struct config *config, struct handover *handover, struct estate *estate,
                        struct fault *fault)
{
	int result = adopt(config, handover, estate, fault);

	if (result == 0) {
		log_info("going on with the arena of an earlier larderd and its %" PRIu32 " clients",
		         estate->vault.count);
		return 0;
	}
	if (result != -ENOENT)
		log_warning("the arena of an earlier larderd is given up, its clients must attach anew: %s",
		            fault->text);
	fdstore_clear(&estate->store, &handover->clients);
	handover_discard(handover);
	result = holding_open(config, &estate->holding, fault);
	if (result == 0)
		fdstore_begin(&estate->store, config, &estate->holding);
	return result;
}

int estate_open(const struct config *config, struct estate *ret_estate, struct fault *fault)
{
	struct handover handover;
	int result = receive(&handover, fault);

	upgrade_forget();
	*ret_estate = ESTATE_NONE;
	if (result == 0)
		result = open_listener(config, &handover, &ret_estate->listener, fault);
	if (result == 0)
		result = open_holding(config, &handover, ret_estate, fault);
	handover_discard(&handover);
	return result;
}

int estate_try(const struct config *config, struct fault *fault)
{
	struct estate estate = ESTATE_NONE;
	struct handover handover;
	int result = receive(&handover, fault);

	if (result == 0)
		result = open_listener(config, &handover, &estate.listener, fault);
	if (result == 0)
		result = adopt(config, &handover, &estate, fault);
	handover_discard(&handover);
	estate_release(&estate);
	return result;
}

struct handover estate_lend(const struct estate *estate)
{
	return (struct handover){ .listener = estate->listener.fd,
		                  .lock = estate->listener.lock_fd,
		                  .arena = estate->holding.arena_fd,
		                  .wake = estate->holding.wake_fd,
		                  .roster = estate->store.roster_fd,
		                  .arena_lock = estate->holding.lock_fd,
		                  .clients = estate->vault };
}

void estate_release(struct estate *estate)
{
	listener_release(&estate->listener);
	holding_release(&estate->holding);
	vault_free(&estate->vault);
	fdstore_release(&estate->store);
}

/* Whether the arena may be touched: who was let in can have cut the file that it is in. */
static bool arena_is_whole(const struct holding *holding)
{
	struct stat file;

	return holding->arena.base && fstat(holding->arena_fd, &file) == 0 &&
	       (uint64_t)file.st_size == holding->arena.bytes;
}

void estate_close(struct estate *estate, const struct config *config)
{
	listener_close(&estate->listener);
	if (arena_is_whole(&estate->holding))
		owner_resign(estate->holding.arena.header);
	if (estate->holding.lock_fd >= 0)
		lockfile_remove(config->arena_file);
	estate_release(estate);
}
