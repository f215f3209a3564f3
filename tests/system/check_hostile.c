/* SPDX-License-Identifier: MIT */
/*
 * Whoever may connect may send anything. larderd refuses with a reason or hangs up, goes on as the same process, and
 * serves the next client as if nothing had happened.
 */
#include "tests/support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arena/lease.h"
#include "base/layout.h"
#include "cache/cache.h"
#include "tests/support/client.h"
#include "tests/support/expect.h"
#include "tests/support/raw.h"
#include "tests/support/workers.h"

static struct server server;
static pid_t keeper;

static void setup(void)
{
	/* Writes travel over the socket in this mode: there is more to attack. */
	server_start(&server, "16M", "--access", "read-only", NULL);
	keeper = server_keeper(&server);
}

/* larderd is what it was before and does its work. */
static void expect_well(void)
{
	larder *cache = client_open(&server);

	client_put(cache, "k", "v");
	client_expect(cache, "k", "v");
	larder_close(cache);
	ck_assert(server_alive(&server));
	ck_assert_int_eq(server_keeper(&server), keeper);
}

static void teardown(void)
{
	expect_well();
	server_stop(&server);
}

/* Sends it as the first message and expects a refusal with this sentence in it, or NULL: a hang-up will do as well. */
static void expect_refusal(const void *message, size_t size, const int *fds, size_t fd_count, const char *sentence)
{
	int channel = raw_connect(&server);
	struct wire_welcome welcome;
	size_t got, came = 0;

	ck_assert_int_eq(raw_send(channel, message, size, fds, fd_count), 0);
	got = raw_receive(channel, &welcome, sizeof welcome, NULL, &came);
	ck_assert(got == sizeof welcome || (got == 0 && sentence == NULL));
	if (got != 0) {
		ck_assert_int_lt(welcome.result, 0);
		ck_assert_uint_eq(came, 0);
		welcome.text[sizeof welcome.text - 1] = '\0';
		ck_assert_uint_gt(strlen(welcome.text), 20);
		if (sentence != NULL)
			ck_assert_msg(strstr(welcome.text, sentence) != NULL, "\"%s\"", welcome.text);
		ck_assert_uint_eq(raw_receive(channel, &welcome, sizeof welcome, NULL, NULL), 0);
	}
	close(channel);
}

START_TEST(other_versions)
{
	struct wire_hello hello = raw_hello();

	hello.layout_stamp ^= 1;
	expect_refusal(&hello, sizeof hello, NULL, 0, "same version");
	hello = raw_hello();
	hello.protocol++;
	expect_refusal(&hello, sizeof hello, NULL, 0, "protocol");
	hello.layout_stamp++;
	expect_refusal(&hello, sizeof hello, NULL, 0, "protocol");
	/* A later protocol may have a longer HELLO; it is told what is the matter all the same. */
	expect_refusal((char[64]){ 0x31, 0x48, 0x44, 0x4c, 99 }, 64, NULL, 0, "protocol");
}
END_TEST

START_TEST(other_first_messages)
{
	static unsigned char noise[150000];
	struct wire_hello hello = raw_hello();
	static const size_t sizes[] = { 1, 3, 4, 7, 8, 12, 15, 17, 24, 80, 296, 1000, 65536, 98304, 100000, 150000 };

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		memset(noise, 0, sizeof noise);
		expect_refusal(noise, sizes[i], NULL, 0, NULL);
		memset(noise, 0xff, sizeof noise);
		expect_refusal(noise, sizes[i], NULL, 0, NULL);
		pattern_fill(noise, sizeof noise, sizes[i]);
		expect_refusal(noise, sizes[i], NULL, 0, NULL);
		memset(noise, 0, sizeof noise);
		memcpy(noise, &hello, sizeof hello);
		if (sizes[i] != sizeof hello)
			expect_refusal(noise, sizes[i], NULL, 0, NULL);
	}
	for (uint32_t type = WIRE_WELCOME; type <= WIRE_REPLY; type++) {
		hello.type = type;
		expect_refusal(&hello, sizeof hello, NULL, 0, NULL);
	}
	hello = raw_hello();
	expect_refusal(&hello, 0, NULL, 0, NULL);
}
END_TEST

/*
 * Descriptors that are not what they should be, and too many of them; the client is let in or not, larderd keeps none.
 */
START_TEST(odd_descriptors)
{
	struct wire_hello hello = raw_hello();
	struct wire_welcome welcome;
	unsigned before = server_descriptors(keeper); /* anybody came */
	int ends[2], odd[6], many[RAW_FDS_MAX];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	odd[0] = ends[0];
	odd[1] = ends[1];
	odd[2] = raw_memfd(4096);
	odd[3] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	odd[4] = eventfd(0, EFD_CLOEXEC);
	odd[5] = raw_connect(&server);
	for (size_t i = 0; i < RAW_FDS_MAX; i++)
		many[i] = odd[i % 6];
	for (size_t i = 0; i < 6 + 4; i++) {
		static const size_t numbers[] = { 2, 3, 16, RAW_FDS_MAX };
		int channel = raw_connect(&server);
		size_t count = i < 6 ? 1 : numbers[i - 6];

		ck_assert_int_eq(raw_send(channel, &hello, sizeof hello, i < 6 ? &odd[i] : many, count), 0);
		raw_receive(channel, &welcome, sizeof welcome, NULL, NULL);
		close(channel);
		expect_well();
	}
	for (size_t i = 0; i < 6; i++)
		close(odd[i]);
	for (struct patience patience = patience_start(20000); server_descriptors(keeper) > before;)
		ck_assert_msg(patience_left(patience), "%u descriptors, before: %u", server_descriptors(keeper),
		              before);
}
END_TEST

/*
 * ---- after the welcome ---------------------------------------------------------------------------------------------
 */

struct request {
	struct wire_request wire;
	char payload[64];
};

static struct request good_request(void)
{
	struct request request = {
		.wire = { .type = WIRE_REQUEST, .operation = WRITE_SET, .id = 77, .key_size = 1, .value_size = 5 }
	};

	memcpy(request.payload, "kvalue", 6);
	return request;
}

static int attach(void)
{
	struct wire_welcome welcome;
	int fds[RAW_FDS], channel = raw_attach(&server, &welcome, fds);

	for (size_t i = 0; i < RAW_FDS; i++)
		close(fds[i]);
	return channel;
}

/* An attached client sends this; larderd hangs up, or (when that is a proper answer) replies with a failure. */
static void expect_rebuff(const void *message, size_t size, const int *fds, size_t fd_count)
{
	int channel = attach();
	struct wire_reply reply;
	size_t got;

	ck_assert_int_eq(raw_send(channel, message, size, fds, fd_count), 0);
	got = raw_receive(channel, &reply, sizeof reply, NULL, NULL);
	ck_assert(got == 0 || (got == sizeof reply && reply.result < 0 && reply.type == WIRE_REPLY));
	close(channel);
	ck_assert_int_eq(server_keeper(&server), keeper);
}

START_TEST(bad_requests)
{
	const struct request good = good_request();
	const size_t good_size = sizeof good.wire + 6;
	struct request bad;
	struct wire_reply reply;
	struct wire_hello hello = raw_hello();
	int channel = attach();

	ck_assert_int_eq(raw_send(channel, &good, good_size, NULL, 0), 0);
	ck_assert_uint_eq(raw_receive(channel, &reply, sizeof reply, NULL, NULL), sizeof reply);
	ck_assert_int_eq(reply.result, 0);
	ck_assert_uint_eq(reply.id, 77);
	close(channel);
	for (size_t size = 0; size < good_size; size++)
		expect_rebuff(&good, size, NULL, 0);
	expect_rebuff(&good, good_size + 1, NULL, 0);
	expect_rebuff(&hello, sizeof hello, NULL, 0);
#define WITH(change) \
	do { \
		bad = good; \
		bad.wire.change; \
		expect_rebuff(&bad, good_size, NULL, 0); \
	} while (0)
	WITH(type = WIRE_REPLY);
	WITH(type = 0);
	WITH(operation = WRITE_OPERATIONS);
	WITH(operation = UINT32_MAX);
	WITH(key_size = 0);
	WITH(key_size = 2);
	WITH(key_size = 65535);
	WITH(key_size = 65536);
	WITH(key_size = UINT32_MAX);
	WITH(value_size = 0);
	WITH(value_size = 4);
	WITH(value_size = 6);
	WITH(value_size = UINT64_MAX);
	WITH(value_size = UINT64_MAX - 1);
	WITH(value_size = UINT64_MAX - sizeof(struct wire_request));
	WITH(value_size = UINT64_C(1) << 32);
	WITH(value_size = (UINT64_C(1) << 32) + 5);
	WITH(payload_in_memfd = 1);
	WITH(payload_in_memfd = 2);
	WITH(operation = WRITE_DELETE);
	WITH(operation = WRITE_INCR);
#undef WITH
}
END_TEST

START_TEST(bad_payloads)
{
	struct wire_request wire = good_request().wire;
	int memory = raw_memfd(200000), ends[2], odd[5], two[2] = { memory, memory };
	char path[64];

	wire.payload_in_memfd = 1;
	wire.value_size = 199999;
	/* Shorter than announced, by a byte and by much, and empty. */
	wire.value_size++;
	expect_rebuff(&wire, sizeof wire, &memory, 1);
	wire.value_size = 1000000;
	expect_rebuff(&wire, sizeof wire, &memory, 1);
	wire.value_size = UINT64_C(1) << 40;
	expect_rebuff(&wire, sizeof wire, &memory, 1);
	wire.value_size = UINT64_MAX;
	expect_rebuff(&wire, sizeof wire, &memory, 1);
	wire.value_size = 1000;
	expect_rebuff(&wire, sizeof wire, NULL, 0);
	expect_rebuff(&wire, sizeof wire, two, 2);
	expect_rebuff(&(struct request){ .wire = wire }, sizeof wire + 1, &memory, 1);
	wire.payload_in_memfd = 0;
	expect_rebuff(&wire, sizeof wire, &memory, 1);
	wire.payload_in_memfd = 1;
	/* What is no memory: reading a pipe or a socket would wait for ever. */
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
	odd[0] = ends[0];
	odd[1] = eventfd(1, EFD_CLOEXEC);
	odd[2] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	odd[3] = open(path, O_WRONLY | O_CLOEXEC);
	odd[4] = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	for (size_t i = 0; i < 5; i++) {
		ck_assert_int_ge(odd[i], 0);
		expect_rebuff(&wire, sizeof wire, &odd[i], 1);
		close(odd[i]);
	}
	ck_assert_int_eq(ftruncate(memory, 0), 0);
	expect_rebuff(&wire, sizeof wire, &memory, 1);
	close(ends[1]);
	close(memory);
}
END_TEST

/* A client that sends and never reads: others are served meanwhile; what it gets when it reads at last is in order. */
START_TEST(flood)
{
	struct request request = good_request();
	int channel = attach();
	struct wire_reply reply;
	uint64_t sent = 0;
	struct patience patience = patience_start(1000);

	while (sent < 50000) {
		request.wire.id = sent;
		if (raw_send(channel, &request, sizeof request.wire + 6, NULL, 0) == 0)
			sent++;
		else if (!patience_left(patience))
			break; /* it is not listened to any more */
	}
	ck_assert_uint_gt(sent, 10);
	for (int i = 0; i < 20; i++)
		expect_well();
	for (uint64_t i = 0; i < sent; i++) {
		ck_assert_uint_eq(raw_receive(channel, &reply, sizeof reply, NULL, NULL), sizeof reply);
		expect_equal(reply.id, i);
		expect_equal(reply.result, 0);
	}
	close(channel);
}
END_TEST

START_TEST(silent_connections)
{
	int channels[200];

	for (int i = 0; i < 40; i++) {
		channels[i] = raw_connect(&server);
		if (i % 3 == 1)
			shutdown(channels[i], SHUT_WR);
		if (i % 3 == 2)
			shutdown(channels[i], SHUT_RD);
		expect_well();
	}
	for (int i = 40; i < 80; i++) {
		channels[i] = attach();
		if (i % 3 == 1)
			shutdown(channels[i], SHUT_WR);
		if (i % 3 == 2)
			shutdown(channels[i], SHUT_RD);
		expect_well();
	}
	for (int i = 0; i < 80; i++)
		close(channels[i]);
}
END_TEST

START_TEST(hasty_connections)
{
	struct wire_hello hello = raw_hello();
	struct request request = good_request();

	for (int i = 0; i < 1000; i++) {
		int channel = raw_connect(&server);

		if (i % 4 >= 1)
			raw_send(channel, &hello, sizeof hello, NULL, 0);
		if (i % 4 >= 2)
			raw_send(channel, &request, sizeof request.wire + 6, NULL, 0);
		if (i % 4 == 3)
			raw_send(channel, &request, 3, NULL, 0);
		close(channel);
	}
}
END_TEST

/*
 * ---- shared memory -------------------------------------------------------------------------------------------------
 */

static uint64_t random_state;

static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Writes several arenas full, so that the keeper has to look at every client's control page. */
static void fill(int may_fail)
{
	larder *cache = client_open(&server);
	static char value[8000];
	char key[32];

	for (unsigned i = 0; i < 6000; i++) {
		int result;

		snprintf(key, sizeof key, "key %u", i);
		result = larder_set(cache, key, strlen(key), value, sizeof value, NULL, NULL);
		if (result == -EAGAIN && may_fail)
			break;
		expect_equal(result, 0);
	}
	larder_close(cache);
}

static void scribble_on_own_page(void *context, unsigned number)
{
	int pattern = *(const int *)context;
	struct wire_welcome welcome;
	int fds[RAW_FDS], channel = raw_attach(&server, &welcome, fds);
	uint64_t words = welcome.control_bytes / 8;
	uint64_t *page = mmap(NULL, welcome.control_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fds[RAW_CONTROL], 0);
	struct lease lease;

	(void)number;
	expect_equal(lease_take(fds[RAW_LEASE], &lease, NULL), 0);
	expect(page != MAP_FAILED);
	expect(ftruncate(fds[RAW_CONTROL], 0) != 0);
	random_state = (uint64_t)pattern + 1;
	if (pattern < 2)
		memset(page, pattern == 0 ? 0xff : 0, welcome.control_bytes);
	else
		for (uint64_t i = 0; i < words; i++)
			page[i] = random_next() >> random_next() % 64;
	/* It may pretend to use every segment, and so nobody finds memory; but only as long as it lives. */
	fill(1);
	close(channel);
}

START_TEST(scribbled_control_page)
{
	worker_run(scribble_on_own_page, &_i);
	fill(0);
}
END_TEST

/*
 * In shared-write mode every client can write anything anywhere. The others may then read nonsense, but larderd must
 * not fall, nor may a call hang or crash.
 */
START_TEST(scribbled_arena)
{
	struct wire_welcome welcome;
	static char buffer[LARDER_KEY_MAX];
	struct larder_scan_entry entries[32];
	struct larder_cursor cursor = { { 0, 0 } };
	struct larder_stat stat = { .size = sizeof stat };
	int fds[RAW_FDS], channel;
	struct server own;
	size_t count;
	uint64_t *words, word_count;
	larder *cache;
	pid_t own_keeper;

	server_start(&own, "2M", NULL);
	own_keeper = server_keeper(&own);
	cache = client_open(&own);
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(buffer, sizeof buffer, "key %u", i);
		client_put(cache, buffer, buffer);
	}
	larder_close(cache);
	/* Where no memory comes back any more every write takes as long as it may. */
	cache = client_open_hasty(&own, 200);
	channel = raw_attach(&own, &welcome, fds);
	words = mmap(NULL, welcome.arena_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fds[RAW_ARENA], 0);
	ck_assert_ptr_ne(words, MAP_FAILED);
	word_count = welcome.arena_bytes / 8;
	random_state = (uint64_t)_i * 7919 + 1;
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 500; i++) {
			/* Half of it near the beginning, where the tables are. */
			uint64_t at = random_next() % (i % 2 == 0 ? word_count : word_count / 64);

			if (_i % 2 == 0)
				words[at] ^= UINT64_C(1) << random_next() % 64;
			else
				words[at] = random_next() >> random_next() % 64;
		}
		for (unsigned i = 0; i < 300; i++) {
			struct larder_view view;

			snprintf(buffer, sizeof buffer, "key %u", (unsigned)(random_next() % 6000));
			larder_get(cache, buffer, strlen(buffer), buffer, 100, NULL);
			if (larder_view(cache, buffer, 8, &view) == 0)
				larder_release(cache, &view);
			if (i % 10 == 0) {
				int result = larder_set(cache, buffer, 8, buffer, 500, NULL, NULL);

				if (result == -EAGAIN)
					break;
			}
		}
		larder_scan(cache, NULL, 0, &cursor, entries, 32, buffer, sizeof buffer, &count);
		larder_stat(cache, &stat);
		ck_assert(server_alive(&own));
		ck_assert_int_eq(server_keeper(&own), own_keeper);
	}
	larder_close(cache);
	munmap(words, welcome.arena_bytes);
	for (size_t i = 0; i < RAW_FDS; i++)
		close(fds[i]);
	close(channel);
	ck_assert_int_eq(server_keeper(&own), own_keeper);
	server_stop(&own);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("hostile");

	signal(SIGPIPE, SIG_IGN);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, other_versions);
	tcase_add_test(tcase, other_first_messages);
	tcase_add_test(tcase, odd_descriptors);
	tcase_add_test(tcase, bad_requests);
	tcase_add_test(tcase, bad_payloads);
	tcase_add_test(tcase, flood);
	tcase_add_test(tcase, silent_connections);
	tcase_add_test(tcase, hasty_connections);
	tcase_add_loop_test(tcase, scribbled_control_page, 0, 6);
	tcase_add_loop_test(tcase, scribbled_arena, 0, 8);
	return suite_run("hostile", tcase);
}
