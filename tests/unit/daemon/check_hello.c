/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "base/layout.h"
#include "base/wire.h"
#include "daemon/hello.h"
#include "tests/support/suite.h"

static struct wire_hello good(void)
{
	return (struct wire_hello){ .type = WIRE_HELLO, .protocol = WIRE_PROTOCOL, .layout_stamp = layout_stamp() };
}

static void assert_refused(const void *message, size_t size, const char *words)
{
	struct fault fault = { "" };

	ck_assert_int_eq(hello_check(message, size, &fault), -EPROTO);
	ck_assert_msg(strstr(fault.text, words) != NULL, "no \"%s\" in \"%s\"", words, fault.text);
}

START_TEST(test_good)
{
	struct wire_hello hello = good();

	ck_assert_int_eq(hello_check(&hello, sizeof hello, NULL), 0);
}
END_TEST

/* Another protocol is named as such, whatever else it has in its HELLO. */
START_TEST(test_other_protocols)
{
	struct {
		struct wire_hello hello;
		char more[64];
	} message = { .hello = good() };

	message.hello.protocol = WIRE_PROTOCOL + 1;
	for (size_t size = 8; size <= sizeof message; size++)
		assert_refused(&message, size, "the client 4;");
	message.hello.protocol = 0;
	assert_refused(&message, sizeof message.hello, "the client 0;");
}
END_TEST

START_TEST(test_other_layout)
{
	struct wire_hello hello = good();

	hello.layout_stamp++;
	assert_refused(&hello, sizeof hello, "differently");
}
END_TEST

START_TEST(test_other_messages)
{
	struct {
		struct wire_hello hello;
		char more[8];
	} message = { .hello = good() };

	for (size_t size = 0; size <= sizeof message; size++)
		if (size != sizeof message.hello)
			assert_refused(&message, size, "expects a HELLO");
	message.hello.type = WIRE_REQUEST;
	assert_refused(&message, sizeof message.hello, "expects a HELLO");
	message.hello.protocol++;
	assert_refused(&message, sizeof message.hello, "expects a HELLO");
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("hello");

	tcase_add_test(tests, test_good);
	tcase_add_test(tests, test_other_protocols);
	tcase_add_test(tests, test_other_layout);
	tcase_add_test(tests, test_other_messages);
	return suite_run("daemon/hello", tests);
}
