/* SPDX-License-Identifier: MIT */
#include "bench/trace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/expect.h"
#include "tests/support/suite.h"

static char path[] = "/tmp/larder-check-trace-XXXXXX";
static struct requests requests;
static struct trace_facts facts;
static char error[256];

static int read_bytes(const void *bytes, size_t size, size_t max)
{
	int fd, result;

	strcpy(strrchr(path, '-'), "-XXXXXX");
	fd = mkstemp(path);
	expect(fd >= 0 && write(fd, bytes, size) == (ssize_t)size && close(fd) == 0);
	result = trace_read(path, max, &requests, &facts, error);
	unlink(path);
	return result;
}

static int read_text(const char *text)
{
	return read_bytes(text, strlen(text), SIZE_MAX);
}

static void expect_request(size_t number, uint32_t key, uint32_t bytes, uint32_t time_s, uint32_t ttl_s,
                           enum request_operation operation)
{
	const struct request *request = &requests.request[number];

	ck_assert_uint_lt(number, requests.count);
	ck_assert_uint_eq(request->key, key);
	ck_assert_uint_eq(request->bytes, bytes);
	ck_assert_uint_eq(request->time_s, time_s);
	ck_assert_uint_eq(request->ttl_s, ttl_s);
	ck_assert_int_eq(request->operation, operation);
}

START_TEST(test_lines)
{
	ck_assert_int_eq(read_text("100,alpha,30,70,1,get,0\n"
	                           "100,beta,,x,2,20,1,set,300\r\n"
	                           "\n"
	                           "105,alpha,30,170,1,cas,0\n"
	                           "103,beta,,x,2,20,1,delete,0\n"
	                           "106,gamma,1,1,1,gets,0"),
	                 0);
	ck_assert_uint_eq(requests.count, 5);
	ck_assert_uint_eq(requests.keys, 3);
	expect_request(0, 0, 100, 0, 0, REQUEST_GET);
	expect_request(1, 1, 22, 0, 300, REQUEST_SET); /* the key holds commas */
	expect_request(2, 0, 200, 5, 0, REQUEST_SET);
	expect_request(3, 1, 22, 5, 0, REQUEST_DELETE); /* time does not go back */
	expect_request(4, 2, REQUEST_BYTES_MIN, 6, 0, REQUEST_GET);
	ck_assert_uint_eq(facts.distinct_bytes, 200 + 22 + REQUEST_BYTES_MIN);
	ck_assert_uint_eq(facts.cut, 0);
	requests_destroy(&requests);
}
END_TEST

static void expect_error(const char *text, const char *sentence)
{
	ck_assert_int_eq(read_text(text), -EINVAL);
	ck_assert_ptr_null(requests.request);
	ck_assert_msg(strncmp(error, path, strlen(path)) == 0 && strstr(error, sentence), "%s", error);
}

START_TEST(test_lines_that_are_wrong)
{
	static char long_line[5000];

	expect_error("1,a,1,1,1,get,0\n1,a,1,1,1,get\n", ":2: not seven fields");
	expect_error("1,a,1,1,1,get,0\nnonsense\n", ":2: not seven fields");
	expect_error("1,a,one,1,1,get,0\n", ":1: key size: one:");
	expect_error("1,a,1,-1,1,get,0\n", ":1: value size: -1:");
	expect_error("1,a,1,4294967296,1,get,0\n", ":1: value size: 4294967296:");
	expect_error("1,a,1,1,1,get,0\n,a,1,1,1,get,0\n", ":2: time: :");
	expect_error("1,a,1,1,1,peek,0\n", ":1: operation: peek:");
	memset(long_line, 'a', sizeof long_line - 1);
	memcpy(long_line, "1,", 2);
	expect_error(long_line, ":1: longer than");
	expect_error("", "no requests");
}
END_TEST

/* A record of the other format. */
static void put_record(unsigned char record[24], uint32_t time, uint64_t key, uint32_t size)
{
	memset(record, 0xff, 24);
	for (int i = 0; i < 4; i++) {
		record[i] = (unsigned char)(time >> 8 * i);
		record[12 + i] = (unsigned char)(size >> 8 * i);
	}
	for (int i = 0; i < 8; i++)
		record[4 + i] = (unsigned char)(key >> 8 * i);
}

START_TEST(test_records)
{
	unsigned char records[4 * 24];

	put_record(records, 7, UINT64_C(0x123456789abcdef0), 1000);
	put_record(records + 24, 8, 5, 10000000);
	put_record(records + 48, 0x01020304, UINT64_C(0x123456789abcdef0), 900);
	put_record(records + 72, 0x01020304, 6, 0);
	ck_assert_int_eq(read_bytes(records, 72, SIZE_MAX), 0);
	ck_assert_uint_eq(requests.count, 3);
	ck_assert_uint_eq(requests.keys, 2);
	expect_request(0, 0, 1000, 0, 0, REQUEST_GET);
	expect_request(1, 1, TRACE_BYTES_MAX, 1, 0, REQUEST_GET);
	expect_request(2, 0, 900, 0x01020304 - 7, 0, REQUEST_GET);
	ck_assert_uint_eq(facts.cut, 1);
	requests_destroy(&requests);
	ck_assert_int_eq(read_bytes(records, 72, 2), 0);
	ck_assert_uint_eq(requests.count, 2);
	requests_destroy(&requests);
	ck_assert_int_eq(read_bytes(records, 50, SIZE_MAX), -EINVAL);
	ck_assert_msg(strstr(error, "offset 48: a record of 2 bytes"), "%s", error);
	ck_assert_int_eq(read_bytes(records, 96, SIZE_MAX), -EINVAL);
	ck_assert_msg(strstr(error, "offset 84: an object of no bytes"), "%s", error);
}
END_TEST

START_TEST(test_many_keys)
{
	enum { COUNT = 300000 };
	static unsigned char records[COUNT * 24];

	for (uint32_t i = 0; i < COUNT; i++)
		put_record(records + i * 24, i, i % 200000, 100 + i % 200000 % 50);
	ck_assert_int_eq(read_bytes(records, sizeof records, SIZE_MAX), 0);
	ck_assert_uint_eq(requests.keys, 200000);
	for (uint32_t i = 0; i < COUNT; i++)
		expect(requests.request[i].key == i % 200000);
	requests_destroy(&requests);
	ck_assert_int_eq(trace_read("/nonexistent", 1, &requests, &facts, error), -ENOENT);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("trace");

	tcase_add_test(tests, test_lines);
	tcase_add_test(tests, test_lines_that_are_wrong);
	tcase_add_test(tests, test_records);
	tcase_add_test(tests, test_many_keys);
	return suite_run("trace", tests);
}
