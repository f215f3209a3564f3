/* SPDX-License-Identifier: MIT */
/*
 * Every number here comes from a client that may be hostile. Sizes are compared in 64 bits before anything is added
 * to them; a payload is read, not mapped, so that a client that shortens it meanwhile gives us a short read and not
 * SIGBUS.
 */
#include "daemon/request.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "larder.h"

uint64_t request_payload_max(const struct arena *arena)
{
	return LARDER_KEY_MAX + arena_value_ever(arena);
}

static bool has_value(uint32_t operation)
{
	return operation == WRITE_SET || operation == WRITE_ADD || operation == WRITE_REPLACE ||
	       operation == WRITE_CAS || operation == WRITE_APPEND;
}

static int check_fields(const struct wire_request *wire)
{
	if (wire->type != WIRE_REQUEST || wire->operation >= WRITE_OPERATIONS || wire->payload_in_memfd > 1)
		return -EPROTO;
	if (wire->key_size == 0 || wire->key_size > LARDER_KEY_MAX)
		return -EPROTO;
	if (wire->value_size > 0 && !has_value(wire->operation))
		return -EPROTO;
	if (wire->incr_flags & ~LARDER_INCR_CREATE)
		return -EPROTO;
	return 0;
}

/*
 * Reads size bytes of a memfd. Only memory is acceptable: another file, of a file system in user space say, could make
 * this call wait for as long as its owner likes. Having seals is what tells memory from files.
 */
static int fetch(int fd, void *payload, uint64_t size)
{
	uint64_t done = 0;

	if (fcntl(fd, F_GET_SEALS) < 0)
		return -EPROTO;
	while (done < size) {
		ssize_t count = pread(fd, (char *)payload + done, size - done, (off_t)done);

		if (count <= 0)
			return -EPROTO;
		done += (uint64_t)count;
	}
	return 0;
}

int request_read(const struct arena *arena, const void *message, size_t message_size, int fd, void *payload,
                 struct wire_request *ret_wire, struct write_request *ret_request)
{
	struct wire_request wire;
	const unsigned char *bytes = (const unsigned char *)message + sizeof wire;
	uint64_t inline_size;
	int result;

	if (message_size < sizeof wire)
		return -EPROTO;
	inline_size = message_size - sizeof wire;
	memcpy(&wire, message, sizeof wire);
	result = check_fields(&wire);
	if (result)
		return result;
	if ((wire.payload_in_memfd == 1) != (fd >= 0) || (fd >= 0 && inline_size != 0))
		return -EPROTO;
	if (fd < 0 && (wire.key_size > inline_size || wire.value_size != inline_size - wire.key_size))
		return -EPROTO;
	*ret_wire = wire;
	if (wire.value_size > arena_value_max(arena))
		return -E2BIG;
	if (fd >= 0) {
		result = fetch(fd, payload, wire.key_size + wire.value_size);
		bytes = payload;
	}
	*ret_request = (struct write_request){
		.operation = (enum write_operation)wire.operation,
		.key = bytes,
		.key_size = wire.key_size,
		.value = bytes + wire.key_size,
		.value_size = wire.value_size,
		.ttl_ms = wire.ttl_ms,
		.expected_version = wire.expected_version,
		.delta = wire.delta,
		.initial = wire.initial,
		.flags = wire.flags,
		.incr_flags = wire.incr_flags,
	};
	return result;
}

void request_forget(const struct arena *arena, void *payload)
{
	if (request_payload_max(arena) > PAYLOAD_KEPT)
		madvise((char *)payload + PAYLOAD_KEPT, request_payload_max(arena) - PAYLOAD_KEPT, MADV_DONTNEED);
}

bool request_is_resize(const void *message, size_t message_size)
{
	uint32_t type;

	if (message_size < sizeof type)
		return false;
	memcpy(&type, message, sizeof type);
	return type == WIRE_RESIZE;
}

int request_read_resize(const void *message, size_t message_size, int fd, struct wire_resize *ret_wire)
{
	if (message_size != sizeof *ret_wire || fd >= 0)
		return -EPROTO;
	memcpy(ret_wire, message, sizeof *ret_wire);
	return ret_wire->reserved == 0 ? 0 : -EPROTO;
}
