/* SPDX-License-Identifier: MIT */
/* Writes of a read-only client, with a server that keeps to a script. */
#include <errno.h>

#include "client/handle.h"
#include "tests/unit/client/fake_arena.h"

#define SHORT_MS 50

/* One request as it arrived, with key and value one after the other. */
struct arrived {
	struct wire_request head;
	unsigned char *payload;
	size_t payload_size;
	int seals; /* of the memfd; -1: it came inline */
};

static void arrived_free(struct arrived *arrived)
{
	free(arrived->payload);
}

static bool receive_request(int connection, struct arrived *ret_arrived)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	unsigned char *payload = malloc(WIRE_INLINE_MAX);
	struct iovec parts[] = {
		{ .iov_base = &ret_arrived->head, .iov_len = sizeof ret_arrived->head },
		{ .iov_base = payload, .iov_len = WIRE_INLINE_MAX },
	};
	struct msghdr message = {
		.msg_iov = parts,
		.msg_iovlen = 2,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes,
	};
	ssize_t size = recvmsg(connection, &message, MSG_CMSG_CLOEXEC);
	struct stat file;
	int memfd;

	ret_arrived->payload = payload;
	ret_arrived->seals = -1;
	if (size < (ssize_t)sizeof ret_arrived->head)
		return false;
	ret_arrived->payload_size = (size_t)size - sizeof ret_arrived->head;
	if (!CMSG_FIRSTHDR(&message))
		return true;
	memcpy(&memfd, CMSG_DATA(&control.header), sizeof memfd);
	ret_arrived->seals = fcntl(memfd, F_GET_SEALS);
	fstat(memfd, &file);
	ret_arrived->payload_size = (size_t)file.st_size;
	ret_arrived->payload = realloc(payload, ret_arrived->payload_size);
	if (pread(memfd, ret_arrived->payload, ret_arrived->payload_size, 0) != file.st_size)
		abort();
	close(memfd);
	return true;
}

static void reply(int connection, uint64_t id, int32_t result, uint64_t version, int64_t value)
{
	const struct wire_reply message = {
		.type = WIRE_REPLY,
		.result = result,
		.id = id,
		.version = version,
		.value = value,
	};

	fake_send(connection, &message, sizeof message, NULL, 0);
}

/* What a server does with one connection; the connection is its to close. */
struct script {
	void (*play)(struct script *script, int connection);
	struct arrived arrived;
	int32_t result;
	pthread_t waiting;
};

static void play(struct fake *fake, int *connection)
{
	struct fake_arena *server = fake->context;
	struct script *script = server->context;

	script->play(script, *connection);
}

static struct fake_arena *start(struct script *script)
{
	return fake_arena_start(LARDER_READ_ONLY, play, script);
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static void play_one(struct script *script, int connection)
{
	if (receive_request(connection, &script->arrived))
		reply(connection, script->arrived.head.id, script->result, 77, -5);
}

START_TEST(test_set)
{
	struct script script = { .play = play_one };
	struct fake_arena *server = start(&script);
	larder *cache = fake_arena_open(server);
	struct larder_set_options options = LARDER_SET_OPTIONS;
	uint64_t version = 0;

	options.ttl_ms = 1234;
	options.flags = 0xabcd;
	ck_assert_int_eq(larder_set(cache, "key", 3, "value", 5, &options, &version), 0);
	ck_assert_uint_eq(version, 77);
	larder_close(cache);
	fake_arena_stop(server);

	ck_assert_uint_eq(script.arrived.head.type, WIRE_REQUEST);
	ck_assert_uint_eq(script.arrived.head.operation, WRITE_SET);
	ck_assert_uint_eq(script.arrived.head.ttl_ms, 1234);
	ck_assert_uint_eq(script.arrived.head.flags, 0xabcd);
	ck_assert_uint_eq(script.arrived.head.key_size, 3);
	ck_assert_uint_eq(script.arrived.head.value_size, 5);
	ck_assert_uint_eq(script.arrived.head.payload_in_memfd, 0);
	ck_assert_uint_eq(script.arrived.payload_size, 8);
	ck_assert_mem_eq(script.arrived.payload, "keyvalue", 8);
	ck_assert_int_eq(script.arrived.seals, -1);
	arrived_free(&script.arrived);
}
END_TEST

START_TEST(test_decr)
{
	struct script script = { .play = play_one };
	struct fake_arena *server = start(&script);
	larder *cache = fake_arena_open(server);
	struct larder_incr_options options = LARDER_INCR_OPTIONS;
	int64_t value = 0;

	ck_assert_int_eq(larder_decr(cache, "key", 3, INT64_MIN, NULL, &value), -EOVERFLOW);
	options.flags = LARDER_INCR_CREATE << 1;
	ck_assert_int_eq(larder_decr(cache, "key", 3, 1, &options, &value), -EINVAL);
	options.flags = LARDER_INCR_CREATE;
	options.initial = 50;
	ck_assert_int_eq(larder_decr(cache, "key", 3, 3, &options, &value), 0);
	ck_assert_int_eq(value, -5);
	larder_close(cache);
	fake_arena_stop(server);

	ck_assert_uint_eq(script.arrived.head.operation, WRITE_INCR);
	ck_assert_int_eq(script.arrived.head.delta, -3);
	ck_assert_int_eq(script.arrived.head.initial, 50);
	ck_assert_uint_eq(script.arrived.head.incr_flags, LARDER_INCR_CREATE);
	ck_assert_uint_eq(script.arrived.head.value_size, 0);
	arrived_free(&script.arrived);
}
END_TEST

START_TEST(test_conditions_come_back)
{
	struct script script = { .play = play_one, .result = LARDER_CHANGED };
	struct fake_arena *server = start(&script);
	larder *cache = fake_arena_open(server);
	uint64_t version = 0;

	ck_assert_int_eq(larder_cas(cache, "key", 3, "", 0, 42, NULL, &version), LARDER_CHANGED);
	ck_assert_uint_eq(version, 0);
	larder_close(cache);
	fake_arena_stop(server);
	ck_assert_uint_eq(script.arrived.head.operation, WRITE_CAS);
	ck_assert_uint_eq(script.arrived.head.expected_version, 42);
	arrived_free(&script.arrived);
}
END_TEST

static const size_t sizes_around_inline[] = { WIRE_INLINE_MAX - 4, WIRE_INLINE_MAX - 3, WIRE_INLINE_MAX - 2 };

START_TEST(test_large_values_travel_in_a_sealed_memfd)
{
	struct script script = { .play = play_one };
	const int descriptors = open_descriptors();
	struct fake_arena *server = start(&script);
	larder *cache = fake_arena_open(server);
	const size_t size = sizes_around_inline[_i];
	const bool in_memfd = 3 + size > WIRE_INLINE_MAX;
	unsigned char *value = malloc(size);

	for (size_t i = 0; i < size; i++)
		value[i] = (unsigned char)(i * 7);
	/* Room for it in an arena whose segments are small: this is about the way, not about what is at its end. */
	cache->current->cache.arena.segment_bytes = SEGMENT_BYTES_MAX;
	cache->current->cache.arena.chunks = SEGMENT_BYTES_MAX / CHUNK_BYTES;
	ck_assert_int_eq(larder_set(cache, "key", 3, value, size, NULL, NULL), 0);
	larder_close(cache);
	fake_arena_stop(server);
	ck_assert_int_eq(open_descriptors(), descriptors);

	ck_assert_uint_eq(script.arrived.head.payload_in_memfd, in_memfd);
	ck_assert_uint_eq(script.arrived.head.value_size, size);
	ck_assert_uint_eq(script.arrived.payload_size, 3 + size);
	ck_assert_mem_eq(script.arrived.payload, "key", 3);
	ck_assert_mem_eq(script.arrived.payload + 3, value, size);
	if (in_memfd)
		ck_assert_int_eq(script.arrived.seals & (F_SEAL_SHRINK | F_SEAL_WRITE), F_SEAL_SHRINK | F_SEAL_WRITE);
	else
		ck_assert_int_eq(script.arrived.seals, -1);
	arrived_free(&script.arrived);
	free(value);
}
END_TEST

static void play_nothing(struct script *script, int connection)
{
	(void)script;
	shutdown(connection, SHUT_RDWR);
}

START_TEST(test_what_is_wrong_is_not_sent)
{
	struct script script = { .play = play_nothing };
	struct fake_arena *server = start(&script);
	larder *cache = fake_arena_open(server);
	struct larder_set_options options = LARDER_SET_OPTIONS;
	const size_t size = arena_value_max(&cache->current->cache.arena) + 1;
	char *value = calloc(1, size);

	ck_assert_int_eq(larder_set(cache, "key", 3, value, size, NULL, NULL), -E2BIG);
	ck_assert_int_eq(larder_set(cache, "key", 0, value, 1, NULL, NULL), -EINVAL);
	ck_assert_int_eq(larder_set(cache, "key", LARDER_KEY_MAX + 1, value, 1, NULL, NULL), -EINVAL);
	ck_assert_int_eq(larder_set(cache, NULL, 3, value, 1, NULL, NULL), -EINVAL);
	ck_assert_int_eq(larder_set(cache, "key", 3, NULL, 1, NULL, NULL), -EINVAL);
	ck_assert_int_eq(larder_set(NULL, "key", 3, value, 1, NULL, NULL), -EINVAL);
	options.reserved = 1;
	ck_assert_int_eq(larder_set(cache, "key", 3, value, 1, &options, NULL), -EINVAL);
	free(value);
	larder_close(cache);
	fake_arena_stop(server);
}
END_TEST

/* ---- a server that fails ----------------------------------------------------------------------------------------- */

static void play_hang_up(struct script *script, int connection)
{
	receive_request(connection, &script->arrived);
	arrived_free(&script->arrived);
	shutdown(connection, SHUT_RDWR);
}

START_TEST(test_hang_up)
{
	struct script script = { .play = play_hang_up };
	struct fake_arena *server = start(&script);
	larder *cache = fake_arena_open(server);
	char byte;

	ck_assert_int_eq(larder_set(cache, "key", 3, "value", 5, NULL, NULL), -EIO);
	ck_assert_int_eq(larder_set(cache, "key", 3, "value", 5, NULL, NULL), -EIO); /* of another conversation */
	ck_assert_int_eq(larder_get(cache, "key", 3, &byte, 1, NULL), LARDER_MISS);
	larder_close(cache);
	fake_arena_stop(server);
}
END_TEST

static void play_wait(struct script *script, int connection)
{
	char byte;

	(void)script;
	(void)!read(connection, &byte, 1);
}

/* The first that the client notices is that it cannot send; it must not be a signal. */
START_TEST(test_hang_up_before_the_request)
{
	struct script script = { .play = play_wait };
	struct fake_arena *server = start(&script);
	larder *cache = fake_arena_open(server);

	ck_assert_uint_eq(fake_arena_clients(server), 1);
	ck_assert_int_eq(shutdown(server->fake.listener, SHUT_RDWR), 0); /* nobody is there any more */
	ck_assert_int_eq(shutdown(server->connections[0], SHUT_RDWR), 0);
	ck_assert_int_eq(larder_delete(cache, "key", 3, 0), -ENOTCONN);
	larder_close(cache);
	fake_arena_stop(server);
}
END_TEST

static void reply_of_another_type(struct script *script, int connection)
{
	const struct wire_reply message = { .type = WIRE_WELCOME, .id = script->arrived.head.id };

	fake_send(connection, &message, sizeof message, NULL, 0);
}

static void reply_of_another_size(struct script *script, int connection)
{
	const struct wire_reply message = { .type = WIRE_REPLY, .id = script->arrived.head.id };

	fake_send(connection, &message, sizeof message - 1, NULL, 0);
}

static void reply_to_the_future(struct script *script, int connection)
{
	reply(connection, script->arrived.head.id + 1, 0, 1, 0);
}

static void reply_with_impossible_condition(struct script *script, int connection)
{
	reply(connection, script->arrived.head.id, LARDER_END + 1, 1, 0);
}

static void reply_with_impossible_error(struct script *script, int connection)
{
	reply(connection, script->arrived.head.id, INT32_MIN, 1, 0);
}

static void reply_with_descriptor(struct script *script, int connection)
{
	const struct wire_reply message = { .type = WIRE_REPLY, .id = script->arrived.head.id };

	fake_send(connection, &message, sizeof message, &connection, 1);
}

static void (*const nonsense[])(struct script *script, int connection) = {
	reply_of_another_type,           reply_of_another_size,       reply_to_the_future,
	reply_with_impossible_condition, reply_with_impossible_error, reply_with_descriptor,
};
#define NONSENSE_COUNT (sizeof nonsense / sizeof nonsense[0])

static int nonsense_chosen;

static void play_nonsense(struct script *script, int connection)
{
	if (receive_request(connection, &script->arrived))
		nonsense[nonsense_chosen](script, connection);
}

START_TEST(test_nonsense_ends_the_conversation)
{
	struct script script = { .play = play_nonsense };
	int descriptors = open_descriptors();
	struct fake_arena *server = start(&script);
	larder *cache = fake_arena_open(server);

	nonsense_chosen = _i;
	ck_assert_int_eq(larder_set(cache, "key", 3, "value", 5, NULL, NULL), -EIO);
	arrived_free(&script.arrived);
	ck_assert_uint_eq(fake_arena_clients(server), 1);
	ck_assert_int_eq(larder_set(cache, "key", 3, "value", 5, NULL, NULL), -EIO);
	ck_assert_uint_eq(fake_arena_clients(server), 2); /* another conversation */
	larder_close(cache);
	fake_arena_stop(server);
	ck_assert_int_eq(open_descriptors(), descriptors);
	arrived_free(&script.arrived);
}
END_TEST

/* Answers the first request when the second has come. */
static void play_late(struct script *script, int connection)
{
	struct arrived first;

	if (!receive_request(connection, &first) || !receive_request(connection, &script->arrived))
		abort();
	reply(connection, first.head.id, LARDER_MISS, 0, 0);
	reply(connection, script->arrived.head.id, 0, 2, 0);
	arrived_free(&first);
}

START_TEST(test_late_reply_is_dropped)
{
	struct script script = { .play = play_late };
	struct fake_arena *server = start(&script);
	larder *cache = fake_arena_open(server);
	uint64_t version = 0;

	cache->source.timeout_ms = SHORT_MS;
	ck_assert_int_eq(larder_replace(cache, "key", 3, "1", 1, NULL, &version), -ETIMEDOUT);
	cache->source.timeout_ms = 60000;
	ck_assert_int_eq(larder_replace(cache, "key", 3, "2", 1, NULL, &version), 0);
	ck_assert_uint_eq(version, 2);
	larder_close(cache);
	fake_arena_stop(server);
	arrived_free(&script.arrived);
}
END_TEST

/* ---- threads ----------------------------------------------------------------------------------------------------- */

#define WRITERS 4
#define WRITES 200

/* Answers only when the thread that waits for the answer was cancelled. */
static void play_cancelled(struct script *script, int connection)
{
	receive_request(connection, &script->arrived);
	pthread_cancel(script->waiting);
	reply(connection, script->arrived.head.id, 0, 1, 0);
}

struct cancelled {
	larder *cache;
	struct script *script;
	int result;
};

static void *set_and_be_cancelled(void *context)
{
	struct cancelled *cancelled = context;

	cancelled->script->waiting = pthread_self();
	cancelled->result = larder_set(cancelled->cache, "key", 3, "value", 5, NULL, NULL);
	pthread_testcancel();
	return NULL;
}

START_TEST(test_cancelled_thread_leaves_no_lock)
{
	struct script script = { .play = play_cancelled };
	struct fake_arena *server = start(&script);
	struct cancelled cancelled = { .cache = fake_arena_open(server), .script = &script, .result = -1 };
	pthread_t thread;
	void *end;

	ck_assert_int_eq(pthread_create(&thread, NULL, set_and_be_cancelled, &cancelled), 0);
	ck_assert_int_eq(pthread_join(thread, &end), 0);
	ck_assert(end == PTHREAD_CANCELED);
	ck_assert_int_eq(cancelled.result, 0);
	ck_assert_int_eq(shutdown(server->fake.listener, SHUT_RDWR), 0); /* nobody is there any more */
	ck_assert_int_eq(shutdown(server->connections[0], SHUT_RDWR), 0);
	ck_assert_int_eq(larder_delete(cancelled.cache, "key", 3, 0), -ENOTCONN);
	larder_close(cancelled.cache);
	fake_arena_stop(server);
	arrived_free(&script.arrived);
}
END_TEST

static void play_echo(struct script *script, int connection)
{
	struct arrived arrived;
	uint64_t number;

	(void)script;
	while (receive_request(connection, &arrived)) {
		memcpy(&number, arrived.payload + arrived.head.key_size, sizeof number);
		reply(connection, arrived.head.id, 0, number, 0);
		arrived_free(&arrived);
	}
	arrived_free(&arrived);
}

struct writer {
	larder *cache;
	pthread_t thread;
	uint64_t number;
	int mistakes;
};

static void *write_numbers(void *context)
{
	struct writer *writer = context;

	for (uint64_t i = 0; i < WRITES; i++) {
		uint64_t number = writer->number * WRITES + i, version;

		if (larder_set(writer->cache, "key", 3, &number, sizeof number, NULL, &version) != 0 ||
		    version != number)
			writer->mistakes++;
	}
	return NULL;
}

START_TEST(test_each_thread_gets_its_own_reply)
{
	struct script script = { .play = play_echo };
	struct fake_arena *server = start(&script);
	larder *cache = fake_arena_open(server);
	struct writer writers[WRITERS];

	for (uint64_t i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){ .cache = cache, .number = i };
		ck_assert_int_eq(pthread_create(&writers[i].thread, NULL, write_numbers, &writers[i]), 0);
	}
	for (int i = 0; i < WRITERS; i++) {
		pthread_join(writers[i].thread, NULL);
		ck_assert_int_eq(writers[i].mistakes, 0);
	}
	larder_close(cache);
	fake_arena_stop(server);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("remote");

	tcase_add_test(tests, test_set);
	tcase_add_test(tests, test_decr);
	tcase_add_test(tests, test_conditions_come_back);
	tcase_add_loop_test(tests, test_large_values_travel_in_a_sealed_memfd, 0, 3);
	tcase_add_test(tests, test_what_is_wrong_is_not_sent);
	tcase_add_test(tests, test_hang_up);
	tcase_add_test(tests, test_hang_up_before_the_request);
	tcase_add_loop_test(tests, test_nonsense_ends_the_conversation, 0, (int)NONSENSE_COUNT);
	tcase_add_test(tests, test_late_reply_is_dropped);
	tcase_add_test(tests, test_cancelled_thread_leaves_no_lock);
	tcase_add_test(tests, test_each_thread_gets_its_own_reply);
	return suite_run("remote", tests);
}
