/* SPDX-License-Identifier: MIT */
#include "bench/connection.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/suite.h"

static char directory[] = "/tmp/larder-test-XXXXXX", path[64];
static int listening, other;
static struct connection connection;

static void setup(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/socket", directory);
	memcpy(address.sun_path, path, strlen(path));
	listening = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(listening, (struct sockaddr *)&address, sizeof address), 0);
	ck_assert_int_eq(listen(listening, 1), 0);
	ck_assert_int_eq(connection_open(&connection, path, 100), 0);
	other = accept(listening, NULL, NULL);
	ck_assert_int_ge(other, 0);
}

static void teardown(void)
{
	connection_close(&connection);
	close(other);
	close(listening);
	unlink(path);
	rmdir(directory);
}

static void say(const char *text)
{
	ck_assert_int_eq(send(other, text, strlen(text), 0), (ssize_t)strlen(text));
}

START_TEST(test_lines_and_bytes)
{
	say("VA 4\r\nab\r\n\r\nEND\r\n");
	ck_assert_str_eq(connection_line(&connection), "VA 4");
	ck_assert_mem_eq(connection_take(&connection, 6), "ab\r\n\r\n", 6);
	ck_assert_str_eq(connection_line(&connection), "END");
}
END_TEST

START_TEST(test_more_than_the_buffer_holds_passes_through_it)
{
	static char block[10001];

	memset(block, 'x', 9998);
	memcpy(block + 9998, "\r\n", 3);
	for (int i = 0; i < 50; i++) {
		say(block);
		say("short\r\n");
		ck_assert_uint_eq(strlen(connection_line(&connection)), 9998);
		ck_assert_str_eq(connection_line(&connection), "short");
	}
}
END_TEST

/* So that a line begins near the end of the buffer and has to be moved to its front. */
START_TEST(test_more_at_once_than_the_buffer_holds)
{
	static char block[10001];

	memset(block, 'x', 9998);
	memcpy(block + 9998, "\r\n", 3);
	for (int i = 0; i < 10; i++)
		say(block);
	for (int i = 0; i < 10; i++)
		ck_assert_uint_eq(strlen(connection_line(&connection)), 9998);
}
END_TEST

START_TEST(test_a_line_that_came_in_parts)
{
	say("VALUE of something long\r\nSTO");
	ck_assert_str_eq(connection_line(&connection), "VALUE of something long");
	say("RED\r\n");
	ck_assert_str_eq(connection_line(&connection), "STORED");
}
END_TEST

START_TEST(test_the_other_end_goes_away)
{
	say("half a li");
	shutdown(other, SHUT_WR);
	ck_assert_ptr_null(connection_line(&connection));
	ck_assert_ptr_null(connection_take(&connection, 100));
}
END_TEST

START_TEST(test_a_line_must_end_as_the_protocols_say)
{
	say("a\nb\r\n");
	ck_assert_ptr_null(connection_line(&connection));
}
END_TEST

START_TEST(test_nobody_there)
{
	struct connection none;

	ck_assert_int_lt(connection_open(&none, "/nonexistent/socket", 100), 0);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("connection");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_lines_and_bytes);
	tcase_add_test(tests, test_more_than_the_buffer_holds_passes_through_it);
	tcase_add_test(tests, test_more_at_once_than_the_buffer_holds);
	tcase_add_test(tests, test_a_line_that_came_in_parts);
	tcase_add_test(tests, test_the_other_end_goes_away);
	tcase_add_test(tests, test_a_line_must_end_as_the_protocols_say);
	tcase_add_test(tests, test_nobody_there);
	return suite_run("connection", tests);
}
