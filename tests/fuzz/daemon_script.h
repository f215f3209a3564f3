/* SPDX-License-Identifier: MIT */
/* What the bytes of an input for fuzz_client.c mean: the part of a larderd that is not what it should be. */
#ifndef LARDER_FUZZ_DAEMON_SCRIPT_H
#define LARDER_FUZZ_DAEMON_SCRIPT_H

/* What is handed out, or something in its place. */
enum handed_fd {
	HANDED_ARENA,
	HANDED_CONTROL,
	HANDED_LEASE,
	HANDED_SCRIBBLED_ARENA,
	HANDED_LARGE_ARENA,
	HANDED_LOOSE_ARENA, /* can still be cut off */
	HANDED_ODD_SIZE,
	HANDED_SCRIBBLED_CONTROL,
	HANDED_LOOSE_CONTROL,
	HANDED_LARGE_CONTROL,
	HANDED_PIPE, /* a full one, on which a writer would wait */
	HANDED_NULL,
	HANDED_FDS
};

/* What of a welcome is not so. */
enum welcome_lie {
	WELCOME_TRUE,
	WELCOME_TYPE,
	WELCOME_RESULT,
	WELCOME_BYTES,
	WELCOME_ACCESS,
	WELCOME_SIZE,
	WELCOME_TEXT,
	WELCOME_SILENCE,
	WELCOME_LIES
};

/* What of a reply is not so. */
enum reply_lie {
	REPLY_TRUE,
	REPLY_TYPE,
	REPLY_RESULT,
	REPLY_ID,
	REPLY_SIZE,
	REPLY_WITH_FDS,
	REPLY_TWICE,
	REPLY_HANG_UP,
	REPLY_LIES
};

enum client_call {
	CALL_GET,
	CALL_VIEW,
	CALL_SET,
	CALL_DELETE,
	CALL_INCR,
	CALL_MSET,
	CALL_LARGE_SET, /* by memfd */
	CALL_STAT,
	CALL_FILL,
	CALL_CUT, /* not a call: larderd takes away the memory of what it handed out, where it can */
	CALLS
};

#endif
