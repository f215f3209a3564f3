/* SPDX-License-Identifier: MIT */
/*
 * What clients can do to the keeper over their sockets: messages of any content and size, with any descriptors, in any
 * order, and hanging up or dying in between. The keeper answers what is a request, in order; hangs up on the rest; and
 * has nothing left of anybody who is dead, no descriptor and no byte.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/layout.h"
#include "daemon/request.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/protocol.h"
#include "tests/fuzz/switchboard.h"

const char fuzz_name[] = "protocol";

#define ACTIONS_MAX 64
#define FDS_SENT_MAX 6
#define FDS_WATCHED 256
#define PAYLOAD_MAX (1u << 18)

/* Bytes that messages are made of. */
static unsigned char filler[PAYLOAD_MAX];

/* What goes with the next message. */
struct parcel {
	int fds[FDS_SENT_MAX];
	uint32_t count;
};

static int odd_fds[ODD_FDS];

static void make_odd_fds(void)
{
	char path[64];
	int pipe_ends[2], socket_ends[2];

	for (size_t i = 0; i < sizeof filler; i++)
		filler[i] = (unsigned char)('a' + i % 23);
	FUZZ_EXPECT(pipe2(pipe_ends, O_CLOEXEC) == 0);
	FUZZ_EXPECT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socket_ends) == 0);
	odd_fds[ODD_PIPE] = pipe_ends[0];
	odd_fds[ODD_SOCKET] = socket_ends[0];
	odd_fds[ODD_EVENT] = eventfd(1, EFD_CLOEXEC);
	odd_fds[ODD_NULL] = open("/dev/null", O_RDWR | O_CLOEXEC);
	odd_fds[ODD_FOLDER] = open("/", O_PATH | O_CLOEXEC);
	odd_fds[ODD_PIDFD] = (int)syscall(SYS_pidfd_open, getpid(), 0);
	odd_fds[ODD_SHORT] = memfd_create("short", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	FUZZ_EXPECT(odd_fds[ODD_SHORT] >= 0 && ftruncate(odd_fds[ODD_SHORT], 3) == 0);
	odd_fds[ODD_LONG] = memfd_create("long", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	FUZZ_EXPECT(write(odd_fds[ODD_LONG], filler, sizeof filler) == sizeof filler);
	snprintf(path, sizeof path, "/proc/self/fd/%d", odd_fds[ODD_LONG]);
	odd_fds[ODD_UNREADABLE] = open(path, O_WRONLY | O_CLOEXEC);
	for (int i = 0; i < ODD_FDS; i++)
		FUZZ_EXPECT(odd_fds[i] >= 0);
}

/* False: there is no line, or no room in it. */
static bool send_message(struct caller *caller, const void *message, size_t size, struct parcel *parcel)
{
	union {
		char bytes[CMSG_SPACE(FDS_SENT_MAX * sizeof(int))];
		struct cmsghdr align;
	} control = { .bytes = { 0 } };
	struct iovec part = { .iov_base = (void *)(uintptr_t)message, .iov_len = size };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };

	if (parcel->count > 0) {
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(parcel->count * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(parcel->count * sizeof(int));
		memcpy(CMSG_DATA(&control.align), parcel->fds, parcel->count * sizeof(int));
	}
	parcel->count = 0;
	return caller->socket >= 0 && sendmsg(caller->socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

/* ---- messages ------------------------------------------------------------------------------------------------------ */

static void say_hello(struct caller *caller, struct input *input, struct parcel *parcel)
{
	struct {
		struct wire_hello hello;
		char more[16];
	} message = { { WIRE_HELLO, WIRE_PROTOCOL, layout_stamp() }, "" };
	size_t size = sizeof message.hello;

	switch (input_byte(input) % 8) {
	case 1:
		message.hello.type = (uint32_t)input_number(input, 4);
		break;
	case 2:
		message.hello.protocol = (uint32_t)input_number(input, 4);
		break;
	case 3:
		message.hello.layout_stamp ^= UINT64_C(1) << input_below(input, 64);
		break;
	case 4:
		size = input_below(input, sizeof message + 1);
		break;
	default:
		break;
	}
	caller->odd |= caller->welcome;
	send_message(caller, &message, size, parcel);
}

static void say_anything(struct caller *caller, struct input *input, struct parcel *parcel)
{
	const uint8_t *bytes;
	size_t size = input_take(input, input_byte(input), &bytes);
	unsigned char *exact = malloc(size + 1);

	FUZZ_EXPECT(exact != NULL);
	memcpy(exact, bytes, size);
	caller->odd = true;
	send_message(caller, exact, size, parcel);
	free(exact);
}

static void say_much(struct caller *caller, struct input *input, struct parcel *parcel)
{
	caller->odd = true;
	send_message(caller, filler, input_number(input, 3) % PAYLOAD_MAX, parcel);
}

/* Sizes that fit each other and the message, and then, if the input says so, one of them does not. */
static void say_request(struct caller *caller, struct input *input, struct parcel *parcel)
{
	static unsigned char message[REQUEST_MESSAGE_MAX + 64];
	uint8_t operation = input_byte(input), options = input_byte(input);
	struct wire_request wire = { .type = WIRE_REQUEST, .operation = operation % WRITE_OPERATIONS };
	bool in_memfd = options & 1, has_value;
	size_t size = sizeof wire;

	has_value = wire.operation == WRITE_SET || wire.operation == WRITE_ADD || wire.operation == WRITE_REPLACE ||
	            wire.operation == WRITE_CAS || wire.operation == WRITE_APPEND;
	wire.key_size = 1 + (uint32_t)input_number(input, options & 2 ? 2 : 1) % LARDER_KEY_MAX;
	wire.value_size = has_value ? input_number(input, options & 4 ? 2 : 1) : 0;
	wire.ttl_ms = options & 8 ? UINT64_C(1) << input_below(input, 64) : 0;
	wire.delta = operation & 0x80 ? INT64_MAX : 1;
	wire.incr_flags = operation & 0x40 ? LARDER_INCR_CREATE : 0;
	wire.expected_version = operation & 0x20 ? 1 : 0;
	wire.payload_in_memfd = in_memfd;
	if (in_memfd) {
		parcel->count = 1;
		parcel->fds[0] = odd_fds[ODD_LONG];
	} else if (wire.key_size + wire.value_size > WIRE_INLINE_MAX) {
		wire.value_size = 0;
	}
	if (!in_memfd)
		size += wire.key_size + wire.value_size;
	if (parcel->count != in_memfd)
		caller->odd = true; /* it will be disconnected, and nothing is owed */
	wire.id = ++caller->last_id;
	if (options & 0x10) {
		caller->odd = true;
		switch (input_byte(input) % REQUEST_LIES) {
		case LIE_TYPE:
			wire.type = (uint32_t)input_number(input, 4);
			break;
		case LIE_OPERATION:
			wire.operation = (uint32_t)input_number(input, 4);
			break;
		case LIE_KEY_SIZE:
			wire.key_size = (uint32_t)input_number(input, 4);
			break;
		case LIE_VALUE_SIZE:
			wire.value_size = input_number(input, 8);
			break;
		case LIE_MEMFD:
			wire.payload_in_memfd = (uint32_t)input_number(input, 4);
			break;
		case LIE_MESSAGE_SIZE:
			size = input_number(input, 3) % (sizeof message + 1);
			break;
		case LIE_FLAGS:
			wire.incr_flags = (uint32_t)input_number(input, 4);
			break;
		default:
			wire.id = input_number(input, 8);
			break;
		}
	}
	memcpy(message, &wire, sizeof wire);
	memcpy(message + sizeof wire, filler + wire.key_size % 7, sizeof message - sizeof wire);
	if (!send_message(caller, message, size, parcel))
		caller->last_id--;
}

/* ---- everything else ----------------------------------------------------------------------------------------------- */

static void pack(struct input *input, struct parcel *parcel)
{
	parcel->count = input_below(input, FDS_SENT_MAX + 1);
	for (uint32_t i = 0; i < parcel->count; i++)
		parcel->fds[i] = odd_fds[input_below(input, ODD_FDS)];
}

/* Writes into the control page: a word, or (so that no memory comes back) a pin of everything. */
static void scribble_page(struct caller *caller, struct input *input)
{
	struct control *control = &caller->control;
	uint32_t at = input_below(input, 256);

	if (!control->page)
		return;
	if (at == 0)
		for (uint32_t segment = 0; segment < control->segment_count; segment++)
			store_relaxed(control_pin(control, 0, segment), 1);
	else
		store_relaxed((atomic_u64 *)(void *)control->page + at % 128, input_number(input, 8));
}

static void act(struct switchboard *board, struct caller *caller, enum protocol_action action, struct input *input,
                struct parcel *parcel)
{
	switch (action) {
	case ACTION_DIAL:
		caller_dial(board, caller, input_byte(input) % 8 == 7);
		break;
	case ACTION_HELLO:
		say_hello(caller, input, parcel);
		break;
	case ACTION_ANYTHING:
		say_anything(caller, input, parcel);
		break;
	case ACTION_MUCH:
		say_much(caller, input, parcel);
		break;
	case ACTION_REQUEST:
		say_request(caller, input, parcel);
		break;
	case ACTION_PACK:
		pack(input, parcel);
		break;
	case ACTION_LISTEN:
		caller_listen(caller);
		break;
	case ACTION_SHUTDOWN:
		if (caller->socket >= 0)
			shutdown(caller->socket, (int)input_below(input, 3));
		break;
	case ACTION_HANG_UP:
		caller_hang_up(caller);
		break;
	case ACTION_DIE:
		caller_die(caller);
		break;
	case ACTION_TICK:
		switchboard_tick(board);
		break;
	case ACTION_SUPERVISE:
		switchboard_supervise(board, input_byte(input) % 8 == 7 ? -ENOMEM : 0);
		break;
	case ACTION_SCRIBBLE:
		scribble_page(caller, input);
		break;
	case ACTION_ATTACH: /* a shortcut for the usual beginning */
		caller_dial(board, caller, false);
		say_hello(caller, &(struct input){ NULL, NULL }, parcel);
		switchboard_run(board);
		switchboard_supervise(board, 0);
		caller_listen(caller);
		break;
	case ACTIONS:
		break;
	}
}

static void list_descriptors(bool open[FDS_WATCHED])
{
	for (int fd = 0; fd < FDS_WATCHED; fd++)
		open[fd] = fcntl(fd, F_GETFD) >= 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input input = { bytes, bytes + size };
	bool before[FDS_WATCHED], after[FDS_WATCHED];
	struct parcel parcel = { .count = 0 };
	struct switchboard *board = switchboard_set();

	if (odd_fds[ODD_EVENT] == 0)
		make_odd_fds();
	list_descriptors(before);
	for (int i = 0; i < ACTIONS_MAX && !input_over(&input); i++) {
		uint8_t action = input_byte(&input);

		act(board, &board->callers[action >> 6], (enum protocol_action)((action & 0x1f) % ACTIONS), &input,
		    &parcel);
		if (!(action & 0x20)) /* else the next one comes before the keeper looks */
			switchboard_run(board);
	}
	switchboard_clear(board);
	list_descriptors(after);
	FUZZ_EXPECT(memcmp(before, after, sizeof before) == 0);
	return 0;
}
