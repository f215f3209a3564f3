/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "daemon/request.h"
#include "larder.h"
#include "tests/support/suite.h"

/* Large enough for any value of the arena below; a real arena is not needed, only its numbers. */
#define SEGMENT (UINT64_C(64) << 10)

static struct arena_header header = { .segment_target = 16 };
static const struct arena arena = {
	.header = &header, .segment_bytes = SEGMENT, .segment_shift = 16, .segment_count = 16, .bytes = SEGMENT * 16
};
static unsigned char payload[LARDER_KEY_MAX + SEGMENT * 4];

struct message {
	struct wire_request head;
	unsigned char tail[WIRE_INLINE_MAX];
};

static struct message message;

/* A good set of "key" to "value" inline. */
static size_t good_message(void)
{
	message.head = (struct wire_request){
		.type = WIRE_REQUEST, .operation = WRITE_SET, .id = 5, .key_size = 3, .value_size = 5
	};
	memcpy(message.tail, "keyvalue", 8);
	return sizeof message.head + 8;
}

static int read_message(size_t size, int fd, struct write_request *ret_request)
{
	struct wire_request wire;

	return request_read(&arena, &message, size, fd, payload, &wire, ret_request);
}

static void assert_refused(size_t size)
{
	struct write_request request;

	ck_assert_int_eq(read_message(size, -1, &request), -EPROTO);
}

START_TEST(test_good)
{
	struct wire_request wire;
	struct write_request request;
	size_t size = good_message();

	message.head.ttl_ms = 1;
	message.head.flags = 7;
	message.head.expected_version = 2;
	ck_assert_int_eq(request_read(&arena, &message, size, -1, payload, &wire, &request), 0);
	ck_assert_uint_eq(wire.id, 5);
	ck_assert_int_eq(request.operation, WRITE_SET);
	ck_assert_uint_eq(request.key_size, 3);
	ck_assert_mem_eq(request.key, "key", 3);
	ck_assert_uint_eq(request.value_size, 5);
	ck_assert_mem_eq(request.value, "value", 5);
	ck_assert_uint_eq(request.ttl_ms, 1);
	ck_assert_uint_eq(request.flags, 7);
	ck_assert_uint_eq(request.expected_version, 2);
}
END_TEST

START_TEST(test_bad_fields)
{
	size_t size = good_message();

	message.head.type = WIRE_HELLO;
	assert_refused(size);
	size = good_message();
	message.head.operation = WRITE_OPERATIONS;
	assert_refused(size);
	message.head.operation = UINT32_MAX;
	assert_refused(size);
	size = good_message();
	message.head.incr_flags = LARDER_INCR_CREATE << 1;
	assert_refused(size);
	size = good_message();
	message.head.payload_in_memfd = 2;
	assert_refused(size);
	size = good_message();
	message.head.operation = WRITE_DELETE; /* which has no value */
	assert_refused(size);
	message.head.operation = WRITE_INCR;
	assert_refused(size);
	message.head.operation = WRITE_TOUCH;
	assert_refused(size);
}
END_TEST

START_TEST(test_bad_sizes)
{
	size_t size = good_message();

	/* Every cut of the message, and a byte too many. */
	for (size_t shorter = 0; shorter < size; shorter++)
		assert_refused(shorter);
	assert_refused(size + 1);
	message.head.key_size = 0;
	assert_refused(size);
	good_message();
	message.head.key_size = 4;
	assert_refused(size);
	message.head.key_size = LARDER_KEY_MAX + 1;
	assert_refused(size);
	message.head.key_size = UINT32_MAX;
	assert_refused(size);
	good_message();
	message.head.value_size = 4;
	assert_refused(size);
	/* Sums that come out right when they overflow. */
	message.head.key_size = 9;
	message.head.value_size = UINT64_MAX;
	assert_refused(size);
	message.head.value_size = (UINT64_C(1) << 32) - 1;
	assert_refused(size);
	message.head.key_size = UINT32_MAX;
	message.head.value_size = 9;
	assert_refused(size);
}
END_TEST

static int memory_with(const char *text, size_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, size), (ssize_t)size);
	return fd;
}

START_TEST(test_payload_in_memory)
{
	struct write_request request;
	int fd = memory_with("keyvalue and more", 17);

	good_message();
	message.head.payload_in_memfd = 1;
	ck_assert_int_eq(read_message(sizeof message.head, fd, &request), 0);
	ck_assert_mem_eq(request.key, "key", 3);
	ck_assert_mem_eq(request.value, "value", 5);
	ck_assert_ptr_eq(request.key, payload);

	/* It must not come along both ways, nor be promised and not come. */
	ck_assert_int_eq(read_message(sizeof message.head + 8, fd, &request), -EPROTO);
	ck_assert_int_eq(read_message(sizeof message.head, -1, &request), -EPROTO);
	message.head.payload_in_memfd = 0;
	ck_assert_int_eq(read_message(sizeof message.head + 8, fd, &request), -EPROTO);

	/* Shorter than it says. */
	message.head.payload_in_memfd = 1;
	message.head.value_size = 15;
	ck_assert_int_eq(read_message(sizeof message.head, fd, &request), -EPROTO);
	close(fd);
}
END_TEST

START_TEST(test_payload_in_something_else)
{
	struct write_request request;
	int pair[2], file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int memory = memory_with("keyvalue", 8);
	char path[64];
	int write_only;

	good_message();
	message.head.payload_in_memfd = 1;
	ck_assert_int_eq(pipe2(pair, O_CLOEXEC), 0);
	ck_assert_int_eq(write(pair[1], "keyvalue", 8), 8);
	ck_assert_int_eq(read_message(sizeof message.head, pair[0], &request), -EPROTO);
	ck_assert_int_eq(read_message(sizeof message.head, file, &request), -EPROTO);
	snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
	write_only = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(write_only, 0);
	ck_assert_int_eq(read_message(sizeof message.head, write_only, &request), -EPROTO);
}
END_TEST

/* A value that cannot fit is a fair question, to which the answer is no; it is not even fetched. */
START_TEST(test_too_large)
{
	struct write_request request;
	int fd = memory_with("keyvalue", 8);

	good_message();
	message.head.payload_in_memfd = 1;
	message.head.value_size = arena_value_max(&arena) + 1;
	ck_assert_int_eq(read_message(sizeof message.head, fd, &request), -E2BIG);
	message.head.value_size = UINT64_MAX;
	ck_assert_int_eq(read_message(sizeof message.head, fd, &request), -E2BIG);
	message.head.value_size = UINT64_MAX - 2; /* the sum with the key would be 0 */
	ck_assert_int_eq(read_message(sizeof message.head, fd, &request), -E2BIG);
	close(fd);
}
END_TEST

/* The largest payload there can be fits in the buffer for it. */
START_TEST(test_payload_max)
{
	ck_assert_uint_le(request_payload_max(&arena), sizeof payload);
	ck_assert_uint_le(LARDER_KEY_MAX + arena_value_max(&arena), request_payload_max(&arena));
}
END_TEST

/* Whatever comes: what is accepted lies within what was received. */
START_TEST(test_noise)
{
	unsigned int accepted = 0;

	for (int round = 0; round < 200000; round++) {
		struct write_request request;
		uint32_t noise;
		size_t size;

		good_message();
		if (getrandom(&noise, sizeof noise, 0) != sizeof noise)
			ck_abort();
		((unsigned char *)&message)[noise % sizeof message.head] = (unsigned char)(noise >> 8);
		size = sizeof message.head + (noise >> 16) % 20;
		if (read_message(size, -1, &request))
			continue;
		accepted++;
		if (request.key != message.tail || request.value != message.tail + request.key_size ||
		    request.key_size + request.value_size != size - sizeof message.head)
			ck_abort();
	}
	ck_assert_uint_gt(accepted, 0);
}
END_TEST

START_TEST(test_resize)
{
	const struct wire_resize good = { .type = WIRE_RESIZE, .id = 7, .bytes = 5 };
	struct wire_resize wire, bad = good;

	ck_assert(request_is_resize(&good, sizeof good));
	ck_assert(request_is_resize(&good, sizeof good.type));
	ck_assert(!request_is_resize(&good, sizeof good.type - 1));
	message.head = (struct wire_request){ .type = WIRE_REQUEST };
	ck_assert(!request_is_resize(&message, sizeof message.head));
	ck_assert_int_eq(request_read_resize(&good, sizeof good, -1, &wire), 0);
	ck_assert_mem_eq(&wire, &good, sizeof good);
	ck_assert_int_eq(request_read_resize(&good, sizeof good - 1, -1, &wire), -EPROTO);
	ck_assert_int_eq(request_read_resize(&message, sizeof good + 1, -1, &wire), -EPROTO);
	ck_assert_int_eq(request_read_resize(&good, sizeof good, 0, &wire), -EPROTO);
	bad.reserved = 1;
	ck_assert_int_eq(request_read_resize(&bad, sizeof bad, -1, &wire), -EPROTO);
	ck_assert_uint_eq(offsetof(struct wire_resize, id), offsetof(struct wire_request, id));
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("request");

	tcase_add_test(tests, test_good);
	tcase_add_test(tests, test_bad_fields);
	tcase_add_test(tests, test_bad_sizes);
	tcase_add_test(tests, test_payload_in_memory);
	tcase_add_test(tests, test_payload_in_something_else);
	tcase_add_test(tests, test_too_large);
	tcase_add_test(tests, test_payload_max);
	tcase_add_test(tests, test_noise);
	tcase_add_test(tests, test_resize);
	return suite_run("daemon/request", tests);
}
