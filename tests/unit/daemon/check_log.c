/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/log.h"
#include "tests/support/suite.h"

static int reader; /* of what goes to standard error */
static int terminal;

static void open_log(void)
{
	int pair[2];

	ck_assert_int_eq(pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
	terminal = dup(STDERR_FILENO);
	dup2(pair[1], STDERR_FILENO);
	close(pair[1]);
	reader = pair[0];
	unsetenv("JOURNAL_STREAM");
	log_open("test");
	log_set_level(LOG_INFO);
}

static void close_log(void)
{
	dup2(terminal, STDERR_FILENO);
}

static const char *logged(void)
{
	static char text[65536];
	ssize_t size = read(reader, text, sizeof text - 1);

	text[size > 0 ? size : 0] = '\0';
	return text;
}

START_TEST(test_form)
{
	char wanted[64];

	snprintf(wanted, sizeof wanted, "test[%d]: five 5\n", (int)getpid());
	log_info("five %d", 5);
	ck_assert_str_eq(logged(), wanted);
}
END_TEST

START_TEST(test_level)
{
	log_debug("unheard");
	ck_assert_str_eq(logged(), "");
	log_set_level(LOG_ERROR);
	log_warning("unheard");
	log_provoked(LOG_WARNING, "unheard");
	ck_assert_str_eq(logged(), "");
	log_error("heard");
	ck_assert_ptr_nonnull(strstr(logged(), "heard"));
}
END_TEST

START_TEST(test_journal)
{
	struct stat file;
	char stream[64];

	ck_assert_int_eq(fstat(STDERR_FILENO, &file), 0);
	snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)file.st_dev, (unsigned long long)file.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open("test");
	log_warning("low");
	ck_assert_str_eq(logged(), "<4>test: low\n");
	setenv("JOURNAL_STREAM", "1:1", 1); /* somebody redirected standard error elsewhere */
	log_open("test");
	log_warning("low");
	ck_assert_int_eq(logged()[0], 't');
}
END_TEST

START_TEST(test_long_line)
{
	char text[5000];
	const char *line;

	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	log_info("%s", text);
	line = logged();
	ck_assert_uint_le(strlen(line), 1024);
	ck_assert_uint_gt(strlen(line), 1000);
	ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
}
END_TEST

START_TEST(test_provoked_lines_are_limited)
{
	const char *text;
	int lines = 0;

	for (int i = 0; i < 1000; i++)
		log_provoked(LOG_INFO, "again");
	for (text = logged(); (text = strchr(text, '\n')); text++)
		lines++;
	ck_assert_int_ge(lines, 10);
	ck_assert_int_le(lines, 100); /* some seconds may pass on a busy machine */
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("log");

	tcase_add_checked_fixture(tests, open_log, close_log);
	tcase_add_test(tests, test_form);
	tcase_add_test(tests, test_level);
	tcase_add_test(tests, test_journal);
	tcase_add_test(tests, test_long_line);
	tcase_add_test(tests, test_provoked_lines_are_limited);
	return suite_run("daemon/log", tests);
}
