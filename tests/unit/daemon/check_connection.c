/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/wire.h"
#include "daemon/connection_internal.h"
#include "daemon/connection.h"
#include "daemon/log.h"
#include "daemon/message.h"
#include "daemon/request.h"
#include "tests/support/suite.h"

static struct keeper keeper;
static int client;

/* A keeper to whom somebody has just connected, and nothing else. */
static void setup(void)
{
	int pair[2];

	log_set_level(LOG_ERROR);
	keeper = (struct keeper){ .loop = event_base_new(), .message = malloc(REQUEST_MESSAGE_MAX) };
	ck_assert(keeper.loop && keeper.message);
	config_defaults(&keeper.config);
	LIST_INIT(&keeper.connections);
	TAILQ_INIT(&keeper.deferred);
	TAILQ_INIT(&keeper.undeposited);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	client = pair[0];
	connection_accept(&keeper, pair[1]);
	ck_assert_uint_eq(keeper.connection_count, 1);
}

static void teardown(void)
{
	ck_assert_uint_eq(keeper.connection_count, 0);
	event_base_free(keeper.loop);
	free(keeper.message);
	close(client);
}

/* The time for its HELLO is over before the loop comes to anything else. */
static void let_time_pass(void)
{
	event_active(&LIST_FIRST(&keeper.connections)->timer, EV_TIMEOUT, 1);
	ck_assert_int_ge(event_base_loop(keeper.loop, EVLOOP_NONBLOCK), 0);
}

START_TEST(test_said_nothing)
{
	char byte;

	let_time_pass();
	ck_assert_int_eq(recv(client, &byte, 1, MSG_DONTWAIT), 0);
}
END_TEST

/* A keeper that was stopped for so long finds the time over, and what was said in it. */
START_TEST(test_said_something_in_time)
{
	struct wire_welcome welcome;

	ck_assert_int_eq(message_send(client, "hello", 5, NULL, 0), 0);
	let_time_pass();
	ck_assert_int_eq(recv(client, &welcome, sizeof welcome, MSG_DONTWAIT), sizeof welcome);
	ck_assert_int_eq(welcome.type, WIRE_WELCOME);
	ck_assert_int_lt(welcome.result, 0); /* it was no HELLO */
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("connection");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_said_nothing);
	tcase_add_test(tests, test_said_something_in_time);
	return suite_run("connection", tests);
}
