/* SPDX-License-Identifier: MIT */
#include "daemon/holding.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/platform.h"
#include "daemon/log.h"
#include "daemon/quantity.h"
#include "larder.h"

/*
 * A memfd is made with mode 0777: who is given it could open it anew by /proc with other rights than it was given with.
 * The mode keeps other users from that, the seal keeps everybody from new writable mappings.
 */
static int protect(int fd, uint64_t access, struct fault *fault)
{
	int seals = F_SEAL_SEAL | (access == LARDER_READ_ONLY ? F_SEAL_FUTURE_WRITE : 0);

	if (fchmod(fd, 0600) || fcntl(fd, F_ADD_SEALS, seals))
		return fault_set(fault, -errno, "cannot seal the arena: %s; read-only access needs Linux 5.1 or later",
		                 strerror(errno));
	return 0;
}

int holding_create(const struct config *config, struct holding *ret_holding, struct fault *fault)
{
	struct holding holding = { .arena_fd = -1, .wake_fd = -1 };
	struct arena_plan plan = { .access = (uint32_t)config->access, .plain_epochs = platform_barrier() == 0 };
	uint64_t bytes = arena_round_bytes(config->size);
	int result;

	if (bytes != config->size)
		log_notice("size is rounded down to %" PRIu64 " bytes, a multiple of what the arena is made of", bytes);
	holding.arena_fd = arena_memory(bytes, (enum page_choice)config->pages, &plan.page_bytes, fault);
	if (holding.arena_fd < 0)
		return holding.arena_fd;
	result = arena_format(holding.arena_fd, &plan, &holding.arena, fault);
	holding.page_bytes = plan.page_bytes;
	if (result == 0)
		result = protect(holding.arena_fd, config->access, fault);
	if (result == 0) {
		holding.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (holding.wake_fd < 0)
			result = fault_set(fault, -errno, "cannot make an eventfd: %s", strerror(errno));
	}
	if (result) {
		holding_release(&holding);
		return result;
	}
	*ret_holding = holding;
	return 0;
}

void holding_release(struct holding *holding)
{
	arena_unmap(&holding->arena);
	if (holding->arena_fd >= 0)
		close(holding->arena_fd);
	if (holding->wake_fd >= 0)
		close(holding->wake_fd);
	holding->arena_fd = holding->wake_fd = -1;
}
