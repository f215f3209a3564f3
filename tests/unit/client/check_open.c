/* SPDX-License-Identifier: MIT */
/* What larder_open says when there is no larderd, or not one as it should be, and that it then holds nothing. */
#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "client/channel.h"
#include "larder.h"
#include "tests/unit/client/fake.h"

#define TIMEOUT_MS 60000 /* of what must not time out */
#define SHORT_MS 50      /* of what must */

static char sentence[512];

static int open_with_timeout(const char *path, uint32_t timeout_ms)
{
	struct larder_open_options options = LARDER_OPEN_OPTIONS;
	larder *cache = NULL;
	int result;

	options.timeout_ms = timeout_ms;
	options.error = sentence;
	options.error_size = sizeof sentence;
	sentence[0] = '\0';
	errno = EXDEV;
	result = larder_open(path, &options, &cache);
	ck_assert_int_eq(errno, EXDEV);
	ck_assert_int_ne(result, 0);
	ck_assert_ptr_null(cache);
	return result;
}

#define assert_refused(path, expected_result, words) \
	do { \
		ck_assert_int_eq(open_with_timeout(path, TIMEOUT_MS), expected_result); \
		ck_assert_msg(strstr(sentence, words) != NULL, "\"%s\" does not say \"%s\"", sentence, words); \
	} while (0)

/* ---- nobody there ------------------------------------------------------------------------------------------------ */

START_TEST(test_missing_path)
{
	struct fake fake;

	fake_prepare(&fake);
	assert_refused(fake.path, -ENOENT, fake.path);
	assert_refused(fake.path, -ENOENT, "start larderd");
	fake_remove(&fake);
}
END_TEST

START_TEST(test_not_a_socket)
{
	struct fake fake;
	int file;

	fake_prepare(&fake);
	file = open(fake.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	ck_assert_int_ge(file, 0);
	close(file);
	assert_refused(fake.path, -ECONNREFUSED, "is not a socket");
	fake_remove(&fake);
}
END_TEST

START_TEST(test_nobody_listens)
{
	struct fake fake;

	fake_prepare(&fake);
	fake_bind(&fake, SOCK_SEQPACKET, 1);
	close(fake.listener);
	fake.listener = -1;
	assert_refused(fake.path, -ECONNREFUSED, "nobody listens");
	fake_remove(&fake);
}
END_TEST

START_TEST(test_socket_of_another_program)
{
	struct fake fake;

	fake_prepare(&fake);
	fake_bind(&fake, SOCK_STREAM, 1);
	assert_refused(fake.path, -EPROTO, "another program");
	fake_remove(&fake);
}
END_TEST

START_TEST(test_permission_denied)
{
	struct fake fake;

	fake_prepare(&fake);
	fake_bind(&fake, SOCK_SEQPACKET, 1);
	ck_assert_int_eq(chmod(fake.path, 0), 0);
	if (geteuid() == 0) /* whom no mode keeps out */
		ck_assert_int_eq(seteuid(65534), 0);
	assert_refused(fake.path, -EACCES, "group of the socket");
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
	fake_remove(&fake);
}
END_TEST

START_TEST(test_path_too_long)
{
	char path[200];

	memset(path, 'x', sizeof path - 1);
	path[0] = '/';
	path[sizeof path - 1] = '\0';
	assert_refused(path, -ENAMETOOLONG, "shorter");
}
END_TEST

START_TEST(test_path_from_environment)
{
	struct fake fake;

	fake_prepare(&fake);
	ck_assert_int_eq(setenv("LARDER_SOCKET", fake.path, 1), 0);
	assert_refused(NULL, -ENOENT, fake.path);
	fake_remove(&fake);
}
END_TEST

START_TEST(test_relative_path_is_made_absolute)
{
	struct fake fake;

	fake_prepare(&fake);
	ck_assert_int_eq(chdir(fake.directory), 0);
	assert_refused("socket", -ENOENT, fake.path);
	fake_remove(&fake);
}
END_TEST

/* ---- somebody else there ----------------------------------------------------------------------------------------- */

/* Each test tells this server what to answer. */
struct answer {
	const void *bytes;
	size_t size;
	size_t fd_count;
};

static void serve_answer(struct fake *fake, int *connection)
{
	const struct answer *answer = fake->context;
	int fds[FAKE_FDS_MAX];

	for (size_t i = 0; i < answer->fd_count; i++)
		fds[i] = memfd_create("not an arena", MFD_CLOEXEC);
	if (answer->size > 0)
		fake_send(*connection, answer->bytes, answer->size, fds, answer->fd_count);
	for (size_t i = 0; i < answer->fd_count; i++)
		close(fds[i]);
}

/* Opens against a server that gives this answer, and expects this result and no descriptor left over. */
#define assert_answer_refused(answer_, expected_result, words) \
	do { \
		struct answer given_ = answer_; \
		int before_ = open_descriptors(); \
		struct fake fake_; \
		fake_start(&fake_, serve_answer, &given_); \
		assert_refused(fake_.path, expected_result, words); \
		fake_stop(&fake_); \
		ck_assert_int_eq(open_descriptors(), before_); \
	} while (0)

static struct wire_welcome good_welcome(void)
{
	return (struct wire_welcome){
		.type = WIRE_WELCOME,
		.client_id = 1,
		.arena_bytes = ARENA_BYTES_MIN,
		.control_bytes = 4096,
	};
}

#define answer_of(object, fds) ((struct answer){ &(object), sizeof(object), fds })

START_TEST(test_hang_up_without_answer)
{
	assert_answer_refused(((struct answer){ NULL, 0, 0 }), -EPROTO, "hung up");
}
END_TEST

START_TEST(test_hello_says_who_we_are)
{
	struct answer nothing = { NULL, 0, 0 };
	struct fake fake;

	fake_start(&fake, serve_answer, &nothing);
	open_with_timeout(fake.path, TIMEOUT_MS);
	fake_stop(&fake);
	ck_assert_int_eq(fake.hello_size, sizeof fake.hello);
	ck_assert_uint_eq(fake.hello.type, WIRE_HELLO);
	ck_assert_uint_eq(fake.hello.protocol, WIRE_PROTOCOL);
	ck_assert_uint_eq(fake.hello.layout_stamp, layout_stamp());
	ck_assert_int_eq(fake.hello_fds, 1);
}
END_TEST

START_TEST(test_answer_of_another_size)
{
	static const char garbage[2 * sizeof(struct wire_welcome)] = "garbage";
	static const size_t sizes[] = { 1, sizeof(struct wire_welcome) - 1, sizeof(struct wire_welcome) + 1,
		                        sizeof garbage };

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		assert_answer_refused(((struct answer){ garbage, sizes[i], CHANNEL_FDS_MAX }), -EPROTO, "no larderd");
}
END_TEST

START_TEST(test_answer_of_another_type)
{
	struct wire_welcome welcome = good_welcome();

	welcome.type = WIRE_REPLY;
	assert_answer_refused(answer_of(welcome, CHANNEL_FDS_MAX), -EPROTO, "no larderd");
}
END_TEST

START_TEST(test_answer_with_impossible_fields)
{
	struct wire_welcome welcome = good_welcome();

	welcome.result = 1;
	assert_answer_refused(answer_of(welcome, CHANNEL_FDS_MAX), -EPROTO, "no larderd");
	welcome.result = INT32_MIN;
	assert_answer_refused(answer_of(welcome, 0), -EPROTO, "no larderd");
	welcome.result = 0;
	welcome.access = LARDER_READ_ONLY + 1;
	assert_answer_refused(answer_of(welcome, CHANNEL_FDS_MAX), -EPROTO, "no larderd");
}
END_TEST

START_TEST(test_wrong_number_of_descriptors)
{
	struct wire_welcome welcome = good_welcome();

	for (size_t count = 0; count <= FAKE_FDS_MAX; count++)
		if (count != CHANNEL_FDS_MAX)
			assert_answer_refused(answer_of(welcome, count), -EPROTO, "no larderd");
}
END_TEST

START_TEST(test_descriptors_of_something_else)
{
	struct wire_welcome welcome = good_welcome();

	assert_answer_refused(answer_of(welcome, CHANNEL_FDS_MAX), -EPROTO, "arena");
}
END_TEST

START_TEST(test_refusal_says_why)
{
	struct wire_welcome welcome = { .type = WIRE_WELCOME,
		                        .result = -EACCES,
		                        .text = "user 4711 is not on the list" };

	assert_answer_refused(answer_of(welcome, 0), -EACCES, "user 4711 is not on the list");
	assert_answer_refused(answer_of(welcome, CHANNEL_FDS_MAX), -EPROTO, "no larderd");
	welcome.text[0] = '\0';
	assert_answer_refused(answer_of(welcome, 0), -EACCES, larder_strerror(-EACCES));
	memset(welcome.text, 'x', sizeof welcome.text);
	assert_answer_refused(answer_of(welcome, 0), -EACCES, "xxx");
}
END_TEST

/* ---- nobody answers ---------------------------------------------------------------------------------------------- */

static void serve_until_told(struct fake *fake, int *connection)
{
	char byte;

	(void)connection;
	ck_assert_int_eq(read(*(int *)fake->context, &byte, 1), 0);
}

START_TEST(test_no_answer)
{
	int told[2];
	int before = open_descriptors();
	struct fake fake;

	ck_assert_int_eq(pipe2(told, O_CLOEXEC), 0);
	fake_start(&fake, serve_until_told, &told[0]);
	ck_assert_int_eq(open_with_timeout(fake.path, SHORT_MS), -ETIMEDOUT);
	ck_assert_ptr_nonnull(strstr(sentence, "did not answer"));
	close(told[1]);
	fake_stop(&fake);
	close(told[0]);
	ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

START_TEST(test_nobody_accepts)
{
	struct sockaddr_un address;
	struct fake fake;
	int waiting[8];
	int before;

	fake_prepare(&fake);
	fake_bind(&fake, SOCK_SEQPACKET, 0);
	fake_address(&fake, &address);
	for (int i = 0; i < 8; i++) {
		waiting[i] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(waiting[i], (struct sockaddr *)&address, sizeof address);
	}
	before = open_descriptors();
	ck_assert_int_eq(open_with_timeout(fake.path, SHORT_MS), -ETIMEDOUT);
	ck_assert_ptr_nonnull(strstr(sentence, "accepts no connection"));
	ck_assert_int_eq(open_descriptors(), before);
	for (int i = 0; i < 8; i++)
		close(waiting[i]);
	fake_remove(&fake);
}
END_TEST

/* The server is a process here, so that the limit is the client's only. */
START_TEST(test_out_of_descriptors)
{
	struct wire_welcome welcome = good_welcome();
	struct answer answer = answer_of(welcome, CHANNEL_FDS_MAX);
	int before = open_descriptors();
	struct rlimit limit;
	struct fake fake;
	int lowest, status;
	pid_t server;

	fake_prepare(&fake);
	fake_bind(&fake, SOCK_SEQPACKET, 1);
	fake.context = &answer;
	server = fork();
	ck_assert_int_ge(server, 0);
	if (server == 0) {
		int connection = accept(fake.listener, NULL, NULL);

		fake_receive_hello(&fake, connection);
		serve_answer(&fake, &connection);
		_exit(0);
	}
	lowest = dup(fake.listener);
	close(lowest);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)lowest + 3; /* the socket and two more */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_refused(fake.path, -EMFILE, "descriptors");
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	fake_remove(&fake);
	ck_assert_int_eq(open_descriptors(), before);
	ck_assert_int_eq(waitpid(server, &status, 0), server);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* ---- options ----------------------------------------------------------------------------------------------------- */

START_TEST(test_options_are_checked)
{
	/* A program that was built for a later release, whose options go on. */
	struct {
		struct larder_open_options known;
		uint64_t later;
	} options = { .known = LARDER_OPEN_OPTIONS };
	larder *cache;

	ck_assert_int_eq(larder_open("/nowhere", NULL, NULL), -EINVAL);
	ck_assert_int_eq(larder_open("/nowhere", NULL, &cache), -ENOENT);
	options.known.size = sizeof options;
	ck_assert_int_eq(larder_open("/nowhere", &options.known, &cache), -ENOENT);
	options.later = 1;
	ck_assert_int_eq(larder_open("/nowhere", &options.known, &cache), -EINVAL);
	options.known.size = 0;
	ck_assert_int_eq(larder_open("/nowhere", &options.known, &cache), -EINVAL);
	options.known.size = SIZE_MAX;
	ck_assert_int_eq(larder_open("/nowhere", &options.known, &cache), -EINVAL);
	/* One that was built for an earlier release, which had no place for a sentence. */
	options.known.size = offsetof(struct larder_open_options, error);
	options.known.error = (char *)(uintptr_t)1;
	options.known.error_size = 100;
	ck_assert_int_eq(larder_open("/nowhere", &options.known, &cache), -ENOENT);
}
END_TEST

START_TEST(test_unknown_flags_are_refused)
{
	struct larder_open_options options = LARDER_OPEN_OPTIONS;
	larder *cache;

	options.flags = 1u << 31;
	options.error = sentence;
	options.error_size = sizeof sentence;
	ck_assert_int_eq(larder_open("/nowhere", &options, &cache), -EINVAL);
	ck_assert_ptr_nonnull(strstr(sentence, "0x80000000"));
}
END_TEST

START_TEST(test_sentence_fits_where_it_goes)
{
	struct larder_open_options options = LARDER_OPEN_OPTIONS;
	char few[5] = "????";
	larder *cache;

	options.error = few;
	options.error_size = 0;
	ck_assert_int_eq(larder_open("/nowhere", &options, &cache), -ENOENT);
	ck_assert_str_eq(few, "????");
	options.error_size = 3;
	ck_assert_int_eq(larder_open("/nowhere", &options, &cache), -ENOENT);
	ck_assert_mem_eq(few, "th\0?", 5);
}
END_TEST

START_TEST(test_close_of_nothing)
{
	larder_close(NULL);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("open");

	tcase_add_test(tests, test_missing_path);
	tcase_add_test(tests, test_not_a_socket);
	tcase_add_test(tests, test_nobody_listens);
	tcase_add_test(tests, test_socket_of_another_program);
	tcase_add_test(tests, test_permission_denied);
	tcase_add_test(tests, test_path_too_long);
	tcase_add_test(tests, test_path_from_environment);
	tcase_add_test(tests, test_relative_path_is_made_absolute);
	tcase_add_test(tests, test_hang_up_without_answer);
	tcase_add_test(tests, test_hello_says_who_we_are);
	tcase_add_test(tests, test_answer_of_another_size);
	tcase_add_test(tests, test_answer_of_another_type);
	tcase_add_test(tests, test_answer_with_impossible_fields);
	tcase_add_test(tests, test_wrong_number_of_descriptors);
	tcase_add_test(tests, test_descriptors_of_something_else);
	tcase_add_test(tests, test_refusal_says_why);
	tcase_add_test(tests, test_no_answer);
	tcase_add_test(tests, test_nobody_accepts);
	tcase_add_test(tests, test_out_of_descriptors);
	tcase_add_test(tests, test_options_are_checked);
	tcase_add_test(tests, test_unknown_flags_are_refused);
	tcase_add_test(tests, test_sentence_fits_where_it_goes);
	tcase_add_test(tests, test_close_of_nothing);
	return suite_run("open", tests);
}
