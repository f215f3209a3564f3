/* SPDX-License-Identifier: MIT */
/*
 * The protocol on larderd's unix SEQPACKET socket. Client and daemon are on one host and of one byte order, so messages are
 * these structures as they are; each begins with its type. Every field of a received message is checked before use.
 *
 *	client				larderd
 *	HELLO (+ pidfd of itself)  ->
 *				   <-	WELCOME (+ lease, arena, control page), or with result < 0 a reason in text
 *	REQUEST + key + value	   ->					(read-only mode: writes travel this way)
 *				   <-	REPLY
 *	RESIZE			   ->					(from root and larderd's own user)
 *				   <-	REPLY
 *
 * Requests are answered in order. A key and value that together exceed WIRE_INLINE_MAX travel in a memfd that goes with
 * the REQUEST and holds first the key, then the value. A client that breaks the protocol is disconnected.
 *
 * The client maps the lease before it maps anything else (arena/lease.h). A client on which larderd hangs up before the
 * WELCOME, or whose lease it does not let be mapped any more, begins again with another connection: the keeper died.
 */
#ifndef LARDER_BASE_WIRE_H
#define LARDER_BASE_WIRE_H

#include <stdint.h>

#define WIRE_PROTOCOL 3
#define WIRE_INLINE_MAX (96u << 10)
#define WIRE_DEFAULT_SOCKET "/run/larderd/socket"

enum wire_type {
	WIRE_HELLO = 0x4c444831,
	WIRE_WELCOME = 0x4c444832,
	WIRE_REQUEST = 0x4c444833,
	WIRE_REPLY = 0x4c444834,
	WIRE_RESIZE = 0x4c444835
};

struct wire_hello {
	uint32_t type;
	uint32_t protocol;
	uint64_t layout_stamp;
};

struct wire_welcome {
	uint32_t type;
	int32_t result; /* 0, or -errno: refused, no descriptors come along, text says why */
	uint64_t client_id;
	uint64_t arena_bytes;
	uint64_t control_bytes;
	uint64_t access; /* enum larder_access */
	char text[256];
};

struct wire_request {
	uint32_t type;
	uint32_t operation; /* enum write_operation */
	uint64_t id;        /* comes back in the reply */
	uint64_t ttl_ms;
	uint64_t expected_version;
	int64_t delta, initial;
	uint32_t flags;
	uint32_t incr_flags;
	uint32_t key_size;
	uint32_t payload_in_memfd; /* 1: key and value are in the descriptor that came along */
	uint64_t value_size;
};

struct wire_resize {
	uint32_t type;
	uint32_t reserved;
	uint64_t id; /* in the place where a request has it */
	uint64_t bytes;
};

struct wire_reply {
	uint32_t type;
	int32_t result;
	uint64_t id;
	uint64_t version;
	int64_t value; /* incr, decr: the value after; resize: bytes, as of larder_resize */
};

#endif
