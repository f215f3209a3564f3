/* SPDX-License-Identifier: MIT */
#include "daemon/hello.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/layout.h"
#include "base/wire.h"

/* The two fields at the beginning stay what they are in every protocol, so that versions can tell each other apart. */
static const size_t common_size = offsetof(struct wire_hello, layout_stamp);

int hello_check(const void *message, size_t size, struct fault *fault)
{
	struct wire_hello hello = { 0 };

	memcpy(&hello, message, size < sizeof hello ? size : sizeof hello);
	if (size >= common_size && hello.type == WIRE_HELLO && hello.protocol != WIRE_PROTOCOL)
		return fault_set(fault, -EPROTO,
		                 "this larderd speaks protocol %d, the client %" PRIu32
		                 "; use the same version of larder on both sides",
		                 WIRE_PROTOCOL, hello.protocol);
	if (size != sizeof hello || hello.type != WIRE_HELLO)
		return fault_set(fault, -EPROTO, "this is larderd, which expects a HELLO of larder's protocol %d here",
		                 WIRE_PROTOCOL);
	if (hello.layout_stamp != layout_stamp())
		return fault_set(fault, -EPROTO,
		                 "the client lays shared memory out differently (stamp %016" PRIx64 ", here %016" PRIx64
		                 "); use the same version of larder on both sides",
		                 hello.layout_stamp, layout_stamp());
	return 0;
}

int hello_refuse_stranger(uid_t user, struct fault *fault)
{
	return fault_set(fault, -EACCES,
	                 "user %u is not admitted; add it to allow_users, or a group of its to "
	                 "allow_groups, in larderd's configuration",
	                 (unsigned int)user);
}

int hello_refuse_one_more(uint64_t clients_max, struct fault *fault)
{
	return fault_set(fault, -EBUSY, "%" PRIu64 " clients are attached and max_clients allows no more", clients_max);
}
