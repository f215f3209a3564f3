/* SPDX-License-Identifier: MIT */
/*
 * A library that talks to something that is not larderd, or a larderd gone wrong: whatever is sent and handed out, opening
 * ends with a documented result, and so does each call after it; every descriptor is closed again.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena/arena.h"
#include "arena/control.h"
#include "arena/lease.h"
#include "base/wire.h"
#include "client/channel.h"
#include "larder.h"
#include "tests/fuzz/daemon_script.h"
#include "tests/fuzz/input.h"

const char fuzz_name[] = "client";

#define ARENA_BYTES (UINT64_C(1) << 20)
#define TIMEOUT_MS 5
#define CALLS_MAX 24
#define FDS_MAX 6
#define FDS_WATCHED 256

static int handed[HANDED_FDS];
static unsigned char *image; /* of the arena */
static uint64_t control_size;

/* larderd's end of the connection, and what it sends when somebody connects. */
static struct {
	int socket;
	struct wire_welcome welcome;
	size_t size;
	int fds[FDS_MAX];
	uint32_t fd_count;
	uint64_t last_id; /* of the requests that the client has sent */
} script;

/* ---- what can be handed out ---------------------------------------------------------------------------------------- */

/* A copy of the arena's memory that is not sealed. */
static int loose_copy(uint64_t bytes, const void *content)
{
	int fd = memfd_create("loose", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	FUZZ_EXPECT(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
	FUZZ_EXPECT(pwrite(fd, content, bytes, 0) == (ssize_t)bytes);
	return fd;
}

static int make_arena(uint64_t bytes)
{
	struct arena_plan plan = { .access = LARDER_READ_ONLY };
	struct arena arena;
	int fd = arena_memory(bytes, PAGES_SMALL, &plan.page_bytes, NULL);

	FUZZ_EXPECT(fd >= 0 && arena_format(fd, &plan, &arena, NULL) == 0);
	memset(arena.header->secret, 7, SECRET_BYTES);
	if (bytes == ARENA_BYTES && !image) {
		image = malloc(bytes);
		FUZZ_EXPECT(image != NULL);
		memcpy(image, arena.base, bytes);
	}
	arena_unmap(&arena);
	return fd;
}

static void fill_pipe(int fd)
{
	static const char bytes[4096];

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (write(fd, bytes, sizeof bytes) > 0)
		;
	while (write(fd, bytes, 1) > 0)
		;
	fcntl(fd, F_SETFL, 0);
}

static void make_handed(void)
{
	const uint32_t segments = (uint32_t)(ARENA_BYTES / SEGMENT_BYTES_MIN);
	unsigned char *page;
	int ends[2];

	control_size = control_bytes(segments);
	handed[HANDED_ARENA] = make_arena(ARENA_BYTES);
	handed[HANDED_LARGE_ARENA] = make_arena(2 * ARENA_BYTES);
	handed[HANDED_SCRIBBLED_ARENA] = make_arena(ARENA_BYTES);
	handed[HANDED_LOOSE_ARENA] = loose_copy(ARENA_BYTES, image);
	handed[HANDED_ODD_SIZE] = loose_copy(ARENA_BYTES - 4096, image);
	handed[HANDED_CONTROL] = control_create(segments, 1);
	handed[HANDED_SCRIBBLED_CONTROL] = control_create(segments, 1);
	handed[HANDED_LARGE_CONTROL] = control_create(segments * 4, 1);
	page = calloc(1, control_size);
	FUZZ_EXPECT(page && pread(handed[HANDED_CONTROL], page, control_size, 0) == (ssize_t)control_size);
	handed[HANDED_LOOSE_CONTROL] = loose_copy(control_size, page);
	free(page);
	handed[HANDED_LEASE] = lease_create();
	handed[HANDED_NULL] = open("/dev/null", O_RDWR | O_CLOEXEC);
	FUZZ_EXPECT(pipe2(ends, O_CLOEXEC) == 0);
	fill_pipe(ends[1]);
	handed[HANDED_PIPE] = ends[1]; /* the other end stays open, too */
	for (int i = 0; i < HANDED_FDS; i++)
		FUZZ_EXPECT(handed[i] >= 0);
}

/* Puts back what an input may have written over or cut off. */
static void restore_handed(void)
{
	static const enum handed_fd arenas[] = { HANDED_ARENA, HANDED_SCRIBBLED_ARENA, HANDED_LOOSE_ARENA };
	static const enum handed_fd pages[] = { HANDED_CONTROL, HANDED_SCRIBBLED_CONTROL, HANDED_LOOSE_CONTROL };
	static struct control_page page = { .magic = CONTROL_MAGIC };

	for (size_t i = 0; i < sizeof arenas / sizeof arenas[0]; i++)
		FUZZ_EXPECT(pwrite(handed[arenas[i]], image, ARENA_BYTES, 0) == (ssize_t)ARENA_BYTES);
	page.layout_stamp = layout_stamp();
	page.segment_count = ARENA_BYTES / SEGMENT_BYTES_MIN;
	for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
		FUZZ_EXPECT(pwrite(handed[pages[i]], &page, sizeof page, 0) == sizeof page);
		FUZZ_EXPECT(ftruncate(handed[pages[i]], (off_t)control_size) == 0);
	}
}

/* ---- larderd ------------------------------------------------------------------------------------------------------- */

static void send_message(const void *message, size_t size, const int *fds, uint32_t fd_count)
{
	union {
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control = { .bytes = { 0 } };
	struct iovec part = { .iov_base = (void *)(uintptr_t)message, .iov_len = size };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd_count > 0) {
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, fd_count * sizeof(int));
	}
	if (script.socket >= 0)
		(void)!sendmsg(script.socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The linker puts this in the place of channel.c's: there is one who listens everywhere, and has answered already. */
int __wrap_channel_connect(const char *path, uint64_t deadline_ms, struct fault *fault);

int __wrap_channel_connect(const char *path, uint64_t deadline_ms, struct fault *fault)
{
	int ends[2];

	(void)path, (void)deadline_ms, (void)fault;
	/* Who is hung up on comes again. */
	if (script.socket >= 0)
		close(script.socket);
	FUZZ_EXPECT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	script.socket = ends[1];
	if (script.size > 0)
		send_message(&script.welcome, script.size, script.fds, script.fd_count);
	else
		shutdown(script.socket, SHUT_WR);
	return ends[0];
}

static void write_welcome(struct input *input)
{
	static const enum handed_fd right[] = { HANDED_LEASE, HANDED_ARENA, HANDED_CONTROL };
	struct wire_welcome *welcome = &script.welcome;
	uint8_t options = input_byte(input), lie = input_byte(input) % WELCOME_LIES;
	const uint8_t *text;
	size_t length;

	*welcome = (struct wire_welcome){ .type = WIRE_WELCOME,
		                          .client_id = 1,
		                          .arena_bytes = ARENA_BYTES,
		                          .control_bytes = control_size,
		                          .access = options & 1 };
	script.size = sizeof *welcome;
	script.fd_count = options & 2 ? input_below(input, FDS_MAX + 1) : 3;
	for (uint32_t i = 0; i < script.fd_count; i++)
		script.fds[i] = handed[i < 3 && !(options >> (2 + i) & 1) ? (uint32_t)right[i]
		                                                          : input_below(input, HANDED_FDS)];
	switch ((enum welcome_lie)lie) {
	case WELCOME_TYPE:
		welcome->type = (uint32_t)input_number(input, 4);
		break;
	case WELCOME_RESULT:
		welcome->result = (int32_t)(input_number(input, 2) << 16) >> 16;
		break;
	case WELCOME_BYTES:
		welcome->arena_bytes = input_number(input, 8);
		break;
	case WELCOME_ACCESS:
		welcome->access = input_number(input, 8);
		break;
	case WELCOME_SIZE:
		script.size = input_below(input, sizeof *welcome);
		break;
	case WELCOME_TEXT: /* without an end */
		welcome->result = -EBUSY;
		script.fd_count = 0;
		length = input_take(input, sizeof welcome->text, &text);
		memset(welcome->text, 'x', sizeof welcome->text);
		memcpy(welcome->text, text, length);
		break;
	case WELCOME_SILENCE:
		script.size = 0;
		break;
	case WELCOME_TRUE:
	case WELCOME_LIES:
		break;
	}
	if (options & 0x20) { /* words of what is handed out */
		uint64_t word = input_number(input, 8);

		(void)!pwrite(handed[HANDED_SCRIBBLED_ARENA], &word, sizeof word,
		              (off_t)(input_below(input, 128) * sizeof word));
		word = input_number(input, 8);
		(void)!pwrite(handed[HANDED_SCRIBBLED_CONTROL], &word, sizeof word,
		              (off_t)(input_below(input, 32) * sizeof word));
	}
}

/* Answers the next request before it is sent. */
static void write_reply(struct input *input)
{
	struct {
		struct wire_reply reply;
		char more[16];
	} message = { { .type = WIRE_REPLY, .id = ++script.last_id, .version = 5, .value = 6 }, "" };
	enum reply_lie lie = (enum reply_lie)(input_byte(input) % REPLY_LIES);
	size_t size = sizeof message.reply;

	switch (lie) {
	case REPLY_TYPE:
		message.reply.type = (uint32_t)input_number(input, 4);
		break;
	case REPLY_RESULT:
		message.reply.result = (int32_t)(input_number(input, 2) << 16) >> 16;
		break;
	case REPLY_ID: /* sooner or later */
		message.reply.id += input_byte(input) - UINT64_C(4);
		break;
	case REPLY_SIZE:
		size = input_below(input, sizeof message + 1);
		break;
	case REPLY_HANG_UP:
		if (script.socket >= 0)
			shutdown(script.socket, SHUT_RDWR);
		return;
	default:
		break;
	}
	send_message(&message, size, handed, lie == REPLY_WITH_FDS ? 1 + input_below(input, FDS_MAX) : 0);
	if (lie == REPLY_TWICE)
		send_message(&message, size, NULL, 0);
	if (lie != REPLY_TRUE && script.socket >= 0)
		shutdown(script.socket, SHUT_WR); /* or the client would wait for the right one */
}

/* ---- the client ---------------------------------------------------------------------------------------------------- */

static void expect_documented(int result)
{
	FUZZ_EXPECT(result <= LARDER_END && result >= -4095);
	FUZZ_EXPECT(larder_strerror(result)[0] != '\0');
}

static void set_many(larder *cache)
{
	struct larder_mset_entry entries[3];

	for (int i = 0; i < 3; i++)
		entries[i] =
			(struct larder_mset_entry){ .key = "many", .key_size = 4, .value = "abc", .value_size = 3 };
	FUZZ_EXPECT(larder_mset(cache, entries, 3) == 0);
	for (int i = 0; i < 3; i++)
		expect_documented(entries[i].result);
}

static void call(larder *cache, enum client_call what, struct input *input)
{
	static unsigned char large[60000], buffer[64];
	static const enum handed_fd loose[] = { HANDED_LOOSE_ARENA, HANDED_LOOSE_CONTROL };
	struct larder_stat stat = { .size = sizeof stat };
	struct larder_view view;
	int64_t number;
	int result;

	switch (what) {
	case CALL_GET:
		expect_documented(larder_get(cache, "key", 3, buffer, sizeof buffer, NULL));
		break;
	case CALL_VIEW:
		result = larder_view(cache, "key", 3, &view);
		expect_documented(result);
		if (result == 0)
			larder_release(cache, &view);
		break;
	case CALL_SET:
		write_reply(input);
		expect_documented(larder_set(cache, "key", 3, large, input_byte(input), NULL, NULL));
		break;
	case CALL_DELETE:
		write_reply(input);
		expect_documented(larder_delete(cache, "key", 3, 0));
		break;
	case CALL_INCR:
		write_reply(input);
		expect_documented(larder_incr(cache, "key", 3, 1, NULL, &number));
		break;
	case CALL_MSET:
		for (int i = 0; i < 3; i++)
			write_reply(input);
		set_many(cache);
		break;
	case CALL_LARGE_SET:
		write_reply(input);
		expect_documented(larder_set(cache, large, 50000, large, sizeof large, NULL, NULL));
		break;
	case CALL_FILL: /* until there is no room, and larderd has been told */
		for (result = 0; result == 0 && buffer[0] < 32; buffer[0]++) {
			write_reply(input);
			result = larder_set(cache, buffer, 1, large, 50000, NULL, NULL);
			expect_documented(result);
		}
		buffer[0] = 0;
		break;
	case CALL_STAT:
		expect_documented(larder_stat(cache, &stat));
		break;
	case CALL_CUT:
		for (size_t i = 0; i < sizeof loose / sizeof loose[0]; i++)
			FUZZ_EXPECT(ftruncate(handed[loose[i]], 0) == 0);
		break;
	case CALLS:
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
	struct larder_open_options options = LARDER_OPEN_OPTIONS;
	struct input input = { bytes, bytes + size };
	bool before[FDS_WATCHED], after[FDS_WATCHED];
	char text[300] = "";
	larder *cache;
	int result;

	if (!image)
		make_handed();
	restore_handed();
	script.socket = -1;
	script.last_id = 0;
	write_welcome(&input);
	options.timeout_ms = TIMEOUT_MS;
	options.error = text;
	options.error_size = sizeof text;
	list_descriptors(before);
	result = larder_open("/socket", &options, &cache);
	FUZZ_EXPECT(result <= 0 && result >= -4095);
	FUZZ_EXPECT((result == 0) == (text[0] == '\0'));
	for (int i = 0; result == 0 && i < CALLS_MAX && !input_over(&input); i++)
		call(cache, (enum client_call)(input_byte(&input) % CALLS), &input);
	if (result == 0)
		larder_close(cache);
	if (script.socket >= 0)
		close(script.socket);
	list_descriptors(after);
	FUZZ_EXPECT(memcmp(before, after, sizeof before) == 0);
	return 0;
}
