/* SPDX-License-Identifier: MIT */
#include "daemon/owner.h"

#include <endian.h>
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INCARNATION_SHIFT 32

_Static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "the futex is the first half of the word");
_Static_assert(OWNER_DIED == FUTEX_OWNER_DIED, "the mark is the kernel's");

/* Head and entry are private, so that no client can lead the kernel anywhere else; only the offset leads to the arena. */
static struct robust_list_head head;
static struct robust_list entry;
static uint64_t signature;

int owner_sign(struct arena_header *header)
{
	uint64_t incarnation = (load_relaxed(&header->owner) >> INCARNATION_SHIFT) + 1;

	entry.next = &head.list;
	head.list.next = &entry;
	head.futex_offset = (long)((uintptr_t)&header->owner - (uintptr_t)&entry);
	head.list_op_pending = NULL;
	if (syscall(SYS_set_robust_list, &head, sizeof head))
		return -errno;
	signature = incarnation << INCARNATION_SHIFT | (uint32_t)syscall(SYS_gettid);
	store_relaxed(&header->owner, signature);
	return 0;
}

static uint64_t obituary(void)
{
	return (signature & ~UINT64_C(0xffffffff)) | OWNER_DIED;
}

void owner_resign(struct arena_header *header)
{
	if (signature)
		store_relaxed(&header->owner, obituary());
}

void owner_restore(struct arena_header *header)
{
	uint64_t found = load_relaxed(&header->owner);

	/* By compare-and-swap, or the mark of a supervisor that dies right now would be lost. */
	if (found != signature && found != obituary())
		cas_relaxed(&header->owner, &found, signature);
}
