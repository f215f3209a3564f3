/* SPDX-License-Identifier: MIT */
/* Read-only mode: a write for which there is no memory waits a while in larderd, and larderd waits for nobody. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "arena/lease.h"
#include "cache/cache.h"
#include "tests/support/client.h"
#include "tests/support/expect.h"
#include "tests/support/raw.h"
#include "tests/support/server.h"
#include "tests/support/suite.h"

#define VIEWS_MAX 64
#define PATIENCE_MS 30000
#define ANSWER_MS 20 /* much less than a write may wait, and much more than an answer takes */

static struct server server;
static struct larder_view views[VIEWS_MAX];
static unsigned view_count;
static unsigned char value[50000]; /* most of a segment of an arena of this size */

static void setup(void)
{
	server_start(&server, "1M", "--access", "read-only", NULL);
}

static void teardown(void)
{
	server_stop(&server);
}

/* Stores and holds until there is no memory left. Where we are slow a value may be evicted before it is held. */
static void hold_everything(larder *cache)
{
	for (struct patience patience = patience_start(PATIENCE_MS);;) {
		char key[8];
		int result;

		snprintf(key, sizeof key, "%u", view_count);
		expect(view_count < VIEWS_MAX);
		result = larder_set(cache, key, strlen(key), value, sizeof value, NULL, NULL);
		if (result == -EAGAIN)
			return;
		expect_equal(result, 0);
		result = larder_view(cache, key, strlen(key), &views[view_count]);
		expect(result == 0 || (result == LARDER_MISS && patience_left(patience)));
		view_count += result == 0;
	}
}

static void release_everything(larder *cache)
{
	while (view_count > 0)
		larder_release(cache, &views[--view_count]);
}

static void send_set(int channel, uint64_t id)
{
	static struct {
		struct wire_request head;
		unsigned char tail[3 + sizeof value];
	} request;

	request.head = (struct wire_request){
		.type = WIRE_REQUEST, .operation = WRITE_SET, .id = id, .key_size = 3, .value_size = sizeof value
	};
	memcpy(request.tail, "key", 3);
	expect_equal(raw_send(channel, &request, sizeof request.head + sizeof request.tail, NULL, 0), 0);
}

static struct wire_reply receive_reply(int channel, uint64_t id)
{
	struct wire_reply reply;

	expect_equal(raw_receive(channel, &reply, sizeof reply, NULL, NULL), sizeof reply);
	expect_equal(reply.type, WIRE_REPLY);
	expect_equal(reply.id, id);
	return reply;
}

/* There is none for a moment after one was killed. */
static void kill_keeper(void)
{
	pid_t keeper;

	for (struct patience patience = patience_start(PATIENCE_MS); (keeper = server_keeper(&server)) == 0;)
		expect(patience_left(patience));
	kill(keeper, SIGKILL);
}

static bool answers_within(int channel, int milliseconds)
{
	struct pollfd wait = { .fd = channel, .events = POLLIN };

	return poll(&wait, 1, milliseconds) == 1;
}

/*
 * The write waits, and succeeds once there is memory. A busy machine may take so long for the release that it fails
 * instead, so it may try again.
 */
START_TEST(memory_comes_back)
{
	larder *cache = client_open(&server);
	struct wire_welcome welcome;
	int fds[RAW_FDS], channel = raw_attach(&server, &welcome, fds), result = -EAGAIN;

	for (uint64_t id = 1; result == -EAGAIN && id < 40; id += 2) {
		bool waited;

		hold_everything(cache);
		send_set(channel, id);
		send_set(channel, id + 1); /* answered in order, so after the one that waits */
		waited = !answers_within(channel, ANSWER_MS);
		release_everything(cache);
		result = receive_reply(channel, id).result;
		if (!waited)
			result = -EAGAIN; /* nothing is proved */
		receive_reply(channel, id + 1);
	}
	ck_assert_int_eq(result, 0);
	close(channel);
	larder_close(cache);
}
END_TEST

/* The next keeper knows nothing of a write that waited, but that somebody waits for an answer. */
START_TEST(keeper_dies_meanwhile)
{
	larder *cache = client_open(&server);
	struct wire_welcome welcome;
	int fds[RAW_FDS], channel = raw_attach(&server, &welcome, fds), result = -EAGAIN;
	struct lease lease;

	expect_equal(lease_take(fds[RAW_LEASE], &lease, NULL), 0);
	hold_everything(cache);
	for (uint64_t id = 1; result == -EAGAIN && id < 40; id++) {
		send_set(channel, id);
		if (!answers_within(channel, ANSWER_MS))
			kill_keeper();
		result = receive_reply(channel, id).result;
	}
	ck_assert_int_eq(result, -EIO);
	expect(!answers_within(channel, ANSWER_MS)); /* once */
	release_everything(cache);
	close(channel);
	larder_close(cache);
}
END_TEST

/* While writes wait, everybody else is served; and they do not wait for ever. */
START_TEST(memory_does_not_come_back)
{
	larder *cache = client_open(&server), *other;
	struct wire_welcome welcome;
	int channels[8];

	hold_everything(cache);
	for (int i = 0; i < 8; i++) {
		int fds[RAW_FDS];

		channels[i] = raw_attach(&server, &welcome, fds);
		send_set(channels[i], 7);
	}
	other = client_open(&server);
	expect_equal(larder_delete(other, "nothing", 7, 0), LARDER_MISS);
	for (int i = 0; i < 7; i++)
		expect_equal(receive_reply(channels[i], 7).result, -EAGAIN);
	close(channels[7]); /* who goes while its write waits takes nothing along */
	release_everything(cache);
	/* Another key: the write of him who went may be done before it is known that he did. */
	client_put(other, "another", "value");
	client_expect(other, "another", "value");
	for (int i = 0; i < 7; i++)
		close(channels[i]);
	larder_close(other);
	larder_close(cache);
}
END_TEST

/* Who does not take its replies is not served any further, nor is anybody else hurt; when it takes them all is done. */
START_TEST(replies_are_not_taken)
{
	struct wire_welcome welcome;
	int fds[RAW_FDS], channel = raw_attach(&server, &welcome, fds);
	struct wire_request request = { .type = WIRE_REQUEST, .operation = WRITE_DELETE, .key_size = 1 };
	unsigned char message[sizeof request + 1] = { 0 };
	larder *other = client_open(&server);
	uint64_t sent = 0;

	/* larderd takes some of them each time it turns to others: when it does not, it has stopped to. */
	for (int full = 0; full < 20;) {
		request.id = sent + 1;
		memcpy(message, &request, sizeof request);
		if (raw_send(channel, message, sizeof message, NULL, 0) == 0) {
			sent++;
			full = 0;
		} else {
			client_put(other, "key", "value");
			full++;
		}
	}
	client_expect(other, "key", "value");
	for (uint64_t id = 1; id <= sent; id++)
		expect_equal(receive_reply(channel, id).result, LARDER_MISS);
	close(channel);
	larder_close(other);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("waiting");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, memory_comes_back);
	tcase_add_test(tests, keeper_dies_meanwhile);
	tcase_add_test(tests, memory_does_not_come_back);
	tcase_add_test(tests, replies_are_not_taken);
	return suite_run("waiting", tests);
}
