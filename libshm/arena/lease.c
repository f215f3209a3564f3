/* SPDX-License-Identifier: MIT */
#include "arena/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LEASE_BYTES 4096 /* of address space: there are no bytes behind it */

/*
 * Empty for ever: where there is no page none can be pinned, and for a pinned one the kernel would let the keeper wait
 * before it grants the seal.
 */
int lease_create(void)
{
	int fd = memfd_create("larder-lease", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int result;

	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0)
		return fd;
	result = -errno;
	close(fd);
	return result;
}

bool lease_over(int fd)
{
	return fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0;
}

int lease_take(int fd, struct lease *ret_lease, struct fault *fault)
{
	void *mapping = mmap(NULL, LEASE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int result;

	if (mapping == MAP_FAILED && errno == EPERM)
		return fault_set(fault, -ECONNRESET, "larderd gave this attachment up before it began");
	if (mapping == MAP_FAILED)
		return fault_set(fault, -errno, "cannot map the lease: %s", strerror(errno));
	if (madvise(mapping, LEASE_BYTES, MADV_DONTFORK) || madvise(mapping, LEASE_BYTES, MADV_DONTDUMP)) {
		result = fault_set(fault, -errno, "cannot keep the lease out of child processes: %s", strerror(errno));
		munmap(mapping, LEASE_BYTES);
		return result;
	}
	ret_lease->mapping = mapping;
	return 0;
}

void lease_give_up(struct lease *lease)
{
	if (lease->mapping)
		munmap(lease->mapping, LEASE_BYTES);
	lease->mapping = NULL;
}
