/* SPDX-License-Identifier: MIT */
#include "arena/control.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/platform.h"

uint64_t control_bytes(uint32_t segment_count)
{
	uint64_t bytes = sizeof(struct control_page) + (uint64_t)PIN_SHARDS * segment_count * sizeof(atomic_u32);

	return (bytes + 4095) & ~UINT64_C(4095);
}

int control_create(uint32_t segment_count, uint64_t client_id)
{
	int fd = memfd_create("larder-control", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct control_page page = { .magic = CONTROL_MAGIC, .layout_stamp = layout_stamp() };
	const size_t head = offsetof(struct control_page, fenced);
	int result;

	if (fd < 0)
		return -errno;
	page.client_id = client_id;
	page.segment_count = segment_count;
	if (ftruncate(fd, (off_t)control_bytes(segment_count)) || pwrite(fd, &page, head, 0) != (ssize_t)head ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
		result = errno ? -errno : -EIO;
		close(fd);
		return result;
	}
	return fd;
}

int control_map(int fd, uint32_t segment_count, bool private_to_process, struct control *ret_control,
                struct fault *fault)
{
	struct control control = { .bytes = control_bytes(segment_count), .segment_count = segment_count };
	struct stat file;
	void *base;

	if (fstat(fd, &file) || (uint64_t)file.st_size != control.bytes)
		return fault_set(fault, -EPROTO, "the control page has not the size that belongs to this arena");
	if (!platform_cannot_shrink(fd))
		return fault_set(fault, -EPROTO, "the control page is not sealed, so its memory could be taken away");
	base = mmap(NULL, control.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return fault_set(fault, -errno, "cannot map the control page: %s", strerror(errno));
	control.page = base;
	control.pins = (atomic_u32 *)(void *)((char *)base + sizeof(struct control_page));
	/* The keeper made the page, and what stands in it now is whatever its client likes. */
	if (private_to_process &&
	    (control.page->magic != CONTROL_MAGIC || control.page->layout_stamp != layout_stamp() ||
	     control.page->segment_count != segment_count)) {
		munmap(base, control.bytes);
		return fault_set(fault, -EPROTO, "the control page is not one of this layout");
	}
	if (private_to_process && madvise(base, control.bytes, MADV_DONTFORK)) {
		int result = -errno;

		munmap(base, control.bytes);
		return fault_set(fault, result, "cannot keep the control page out of child processes: %s",
		                 strerror(-result));
	}
	*ret_control = control;
	return 0;
}

void control_unmap(struct control *control)
{
	if (control->page)
		munmap(control->page, control->bytes);
	control->page = NULL;
}
