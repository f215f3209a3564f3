/* SPDX-License-Identifier: MIT */
#include "daemon/holding.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/platform.h"
#include "daemon/arena_file.h"
#include "daemon/lockfile.h"
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

static int open_wake(struct holding *holding, struct fault *fault)
{
	holding->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return holding->wake_fd < 0 ? fault_set(fault, -errno, "cannot make an eventfd: %s", strerror(errno)) : 0;
}

/* ---- a new arena --------------------------------------------------------------------------------------------------- */

static struct arena_size size_of(const struct config *config)
{
	uint64_t bytes = arena_round_bytes(config->size);

	return (struct arena_size){ bytes, config->size_max ? arena_round_bytes(config->size_max) : bytes };
}

static int make_arena(const struct config *config, struct holding *holding, struct fault *fault)
{
	struct arena_plan plan = { .access = (uint32_t)config->access, .plain_epochs = platform_barrier() == 0 };
	const char *path = config->arena_file[0] ? config->arena_file : NULL;
	enum page_choice pages = (enum page_choice)config->pages;
	struct arena_size size = size_of(config);
	int result;

	if (size.bytes != config->size)
		log_notice("size is rounded down to %" PRIu64 " bytes, a multiple of what the arena is made of",
		           size.bytes);
	plan.bytes = size.bytes;
	holding->arena_fd = path ? arena_file_create(path, size, pages, &plan.page_bytes, fault)
	                         : arena_memory_of(size, pages, &plan.page_bytes, fault);
	if (holding->arena_fd < 0)
		return holding->arena_fd;
	result = arena_format(holding->arena_fd, &plan, &holding->arena, fault);
	holding->page_bytes = plan.page_bytes;
	if (result == 0)
		result = path ? arena_file_publish(path, fault) : protect(holding->arena_fd, config->access, fault);
	if (result && path)
		arena_file_discard(path);
	return result;
}

/* ---- the arena of an earlier larderd ------------------------------------------------------------------------------- */

static int check(const struct holding *holding, const struct config *config, struct fault *fault)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	const struct arena *arena = &holding->arena;

	if (config->arena_file[0] && !arena_file_at(config->arena_file, holding->arena_fd))
		return fault_set(fault, -EINVAL, "the configuration has another arena_file now");
	if (!config->arena_file[0] && (fcntl(holding->arena_fd, F_GET_SEALS) & seals) != seals)
		return fault_set(fault, -EINVAL, "its size is not sealed");
	if (arena->bytes < arena_round_bytes(config->size))
		return fault_set(fault, -EINVAL, "the configuration has another size now, that this one cannot have");
	if (config->size_max && arena->bytes != arena_round_bytes(config->size_max))
		return fault_set(fault, -EINVAL, "the configuration has another size_max now");
	if (config->access != LARDER_SHARED_WRITE || arena->header->access != LARDER_SHARED_WRITE)
		return fault_set(fault, -EINVAL, "the configuration has another access now");
	if (arena->header->plain_epochs && platform_barrier() != 0)
		return fault_set(fault, -EINVAL,
		                 "its readers rely on membarrier(2), which larderd may not use any more");
	return 0;
}

int holding_adopt(struct holding *holding, const struct config *config, struct fault *fault)
{
	struct statfs memory;
	int result = 0;

	if (fstatfs(holding->arena_fd, &memory))
		return fault_set(fault, -EINVAL, "it cannot be examined: %s", strerror(errno));
	holding->page_bytes = (uint64_t)memory.f_bsize;
	result = arena_map(holding->arena_fd, true, &holding->arena, fault);
	if (result == 0)
		result = check(holding, config, fault);
	if (result == 0 && config->arena_file[0] && holding->lock_fd < 0)
		result = holding->lock_fd = lockfile_take(config->arena_file, "arena_file", fault);
	if (result >= 0 && config->arena_file[0]) {
		result = arena_file_sole(holding->arena_fd);
		holding->crowded = result == 0;
		if (result < 0)
			fault_set(fault, result, "the kernel does not tell whether others use it: %s",
			          strerror(-result));
	}
	if (result >= 0)
		return 0;
	arena_unmap(&holding->arena);
	return result;
}

/* Return: 0; -ENOENT: there is none, or none that can be used; -errno: and none can be made there. */
static int adopt_file(const struct config *config, struct holding *holding, struct fault *fault)
{
	const char *path = config->arena_file;

	holding->arena_fd = arena_file_open(path, fault);
	if (holding->arena_fd < 0)
		return holding->arena_fd;
	if (holding_adopt(holding, config, fault) == 0) {
		log_info("going on with the arena in %s", path);
		if (holding->crowded)
			log_warning(
				"processes of an earlier larderd use it still: memory is reused only when they have "
				"ended, or attached anew");
		return 0;
	}
	log_warning("the arena in %s is given up, its clients must attach anew: %s", path, fault->text);
	close(holding->arena_fd);
	return -ENOENT;
}

int holding_open(const struct config *config, struct holding *ret_holding, struct fault *fault)
{
	struct holding holding = HOLDING_NONE;
	int result = -ENOENT;

	if (config->arena_file[0]) {
		holding.lock_fd = lockfile_take(config->arena_file, "arena_file", fault);
		if (holding.lock_fd < 0)
			return holding.lock_fd;
		result = adopt_file(config, &holding, fault);
	}
	if (result == -ENOENT)
		result = make_arena(config, &holding, fault);
	if (result == 0)
		result = open_wake(&holding, fault);
	if (result)
		holding_release(&holding);
	else
		*ret_holding = holding;
	return result;
}

void holding_abandon(const struct config *config)
{
	if (config->arena_file[0])
		unlink(config->arena_file);
}

void holding_release(struct holding *holding)
{
	arena_unmap(&holding->arena);
	if (holding->arena_fd >= 0)
		close(holding->arena_fd);
	if (holding->wake_fd >= 0)
		close(holding->wake_fd);
	if (holding->lock_fd >= 0)
		close(holding->lock_fd);
	holding->arena_fd = holding->wake_fd = holding->lock_fd = -1;
}
