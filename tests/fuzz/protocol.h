/* SPDX-License-Identifier: MIT */
/* What the bytes of an input for fuzz_protocol.c mean. */
#ifndef LARDER_FUZZ_PROTOCOL_H
#define LARDER_FUZZ_PROTOCOL_H

/* The lowest 5 bits of a byte; the highest two say whose. */
enum protocol_action {
	ACTION_DIAL,
	ACTION_HELLO,
	ACTION_ANYTHING,
	ACTION_MUCH,
	ACTION_REQUEST,
	ACTION_PACK, /* descriptors that go with the next message */
	ACTION_LISTEN,
	ACTION_SHUTDOWN,
	ACTION_HANG_UP,
	ACTION_DIE,
	ACTION_TICK,
	ACTION_SUPERVISE,
	ACTION_SCRIBBLE,
	ACTION_ATTACH,
	ACTIONS
};

/* Descriptors that can go along. */
enum odd_fd {
	ODD_LONG, /* memory, and enough of it for every request */
	ODD_SHORT,
	ODD_UNREADABLE,
	ODD_PIPE,
	ODD_SOCKET,
	ODD_EVENT,
	ODD_NULL,
	ODD_FOLDER,
	ODD_PIDFD,
	ODD_FDS
};

/* What of a request is not so. */
enum request_lie {
	LIE_TYPE,
	LIE_OPERATION,
	LIE_KEY_SIZE,
	LIE_VALUE_SIZE,
	LIE_MEMFD,
	LIE_MESSAGE_SIZE,
	LIE_FLAGS,
	LIE_ID,
	REQUEST_LIES
};

#endif
