/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/layout.h"
#include "daemon/config.h"
#include "larder.h"
#include "tests/support/suite.h"

/* Reads text as a file called "test" over the defaults. */
static int read_text(const char *text, size_t size, struct config *ret_config, struct fault *ret_fault)
{
	FILE *stream = fmemopen((void *)text, size, "r");
	int result;

	ck_assert_ptr_nonnull(stream);
	config_defaults(ret_config);
	memset(ret_fault, 0, sizeof *ret_fault);
	result = config_read(ret_config, stream, "test", ret_fault);
	fclose(stream);
	return result;
}

static struct config read_good(const char *text)
{
	struct config config;
	struct fault fault;

	ck_assert_msg(read_text(text, strlen(text), &config, &fault) == 0, "%s", fault.text);
	return config;
}

/* The fault must be reported at this line, with these words, and nothing of the file must have been taken over. */
static void assert_bad_bytes(const char *text, size_t size, int line, const char *words)
{
	struct config config, defaults;
	struct fault fault;
	char place[32];

	config_defaults(&defaults);
	snprintf(place, sizeof place, "test:%d: ", line);
	ck_assert_msg(read_text(text, size, &config, &fault) < 0, "taken: %.60s", text);
	ck_assert_msg(strncmp(fault.text, place, strlen(place)) == 0, "not at %s but \"%s\"", place, fault.text);
	ck_assert_msg(strstr(fault.text, words) != NULL, "no \"%s\" in \"%s\"", words, fault.text);
	ck_assert_int_eq(memcmp(&config, &defaults, sizeof config), 0);
}

static void assert_bad(const char *text, int line, const char *words)
{
	assert_bad_bytes(text, strlen(text), line, words);
}

START_TEST(test_defaults)
{
	struct config config;

	config_defaults(&config);
	ck_assert_uint_eq(config.size, 256 << 20);
	ck_assert_str_eq(config.socket, "/run/larderd/socket");
	ck_assert_uint_eq(config.socket_mode, 0666);
	ck_assert_uint_eq(config.access, 0);
	ck_assert_uint_eq(config.allow_users.count, 0);
	ck_assert_uint_eq(config.allow_groups.count, 0);
	ck_assert_uint_eq(config.pages, 0);
	ck_assert_str_eq(config.arena_file, "");
	ck_assert_uint_eq(config.stall_ms, 1000);
	ck_assert_uint_eq(config.max_clients, 1024);
	ck_assert_uint_eq(config.log_level, 3);
}
END_TEST

START_TEST(test_every_key)
{
	struct config config = read_good("size = 1G\n"
	                                 "socket=/tmp/a socket\n"
	                                 "socket_mode = 600\n"
	                                 "access = read-only\n"
	                                 "allow_users = root, 12 4000000000\n"
	                                 "allow_groups = root\t7\n"
	                                 "pages = small\n"
	                                 "stall_ms = 5s\n"
	                                 "max_clients = 16384\n"
	                                 "log_level = debug\n");

	ck_assert_uint_eq(config.size, 1 << 30);
	ck_assert_str_eq(config.socket, "/tmp/a socket");
	ck_assert_uint_eq(config.socket_mode, 0600);
	ck_assert_uint_eq(config.access, 1);
	ck_assert_uint_eq(config.allow_users.count, 3);
	ck_assert_uint_eq(config.allow_users.id[0], 0);
	ck_assert_uint_eq(config.allow_users.id[1], 12);
	ck_assert_uint_eq(config.allow_users.id[2], 4000000000);
	ck_assert_uint_eq(config.allow_groups.count, 2);
	ck_assert_uint_eq(config.allow_groups.id[1], 7);
	ck_assert_uint_eq(config.pages, 2);
	ck_assert_uint_eq(config.stall_ms, 5000);
	ck_assert_uint_eq(config.max_clients, 16384);
	ck_assert_uint_eq(config.log_level, 4);
}
END_TEST

START_TEST(test_form_of_lines)
{
	struct config config = read_good("# size = 1M\n"
	                                 "; size = 2M\n"
	                                 "\n"
	                                 "   \t\n"
	                                 "  size = 3M   # behind a value\n"
	                                 "\tpages=huge\r\n"
	                                 "socket = /tmp/a#b\n"
	                                 "max_clients = 7"); /* no newline at the end */

	ck_assert_uint_eq(config.size, 3 << 20);
	ck_assert_uint_eq(config.pages, 1);
	ck_assert_str_eq(config.socket, "/tmp/a#b");
	ck_assert_uint_eq(config.max_clients, 7);
	read_good(" ");
}
END_TEST

START_TEST(test_bad_values)
{
	assert_bad("size = 12Q", 1, "\"12Q\" is not a number of bytes such as 512M");
	assert_bad("size =", 1, "size: \"\" is not a number of bytes");
	assert_bad("\nsize = 1023K", 2, "from 1M to 512G is allowed");
	assert_bad("size = 513G", 1, "out of range");
	assert_bad("size = 99999999999999999999T", 1, "out of range");
	assert_bad("socket = larder", 1, "\"larder\" is not an absolute path");
	assert_bad("socket =", 1, "not an absolute path");
	assert_bad("arena_file = larder", 1, "\"larder\" is not an absolute path");
	ck_assert_str_eq(read_good("arena_file =\n").arena_file, "");
	assert_bad("socket_mode = 0o660", 1, "octal");
	assert_bad("socket_mode = 7777", 1, "from 0000 to 0777 is allowed");
	assert_bad("access = write", 1, "\"write\" is not one of: shared-write read-only");
	assert_bad("access = read", 1, "is not one of"); /* a beginning is not enough */
	assert_bad("access = shared-write read-only", 1, "is not one of");
	assert_bad("pages = 4K", 1, "not one of: auto huge small");
	assert_bad("stall_ms = 9", 1, "from 10ms to 1h is allowed");
	assert_bad("stall_ms = 2h", 1, "out of range");
	assert_bad("stall_ms = soon", 1, "such as 500ms or 5s");
	assert_bad("max_clients = 0", 1, "from 1 to 16384 is allowed");
	assert_bad("max_clients = many", 1, "whole number");
	assert_bad("log_level = 7", 1, "error warning notice info debug");
	assert_bad("allow_users = root no-such-user-here", 1, "there is no user \"no-such-user-here\"");
	assert_bad("allow_groups = no-such-group-here", 1, "there is no group \"no-such-group-here\"");
	assert_bad("allow_users = 4294967295", 1, "there is no user"); /* what the kernel means by nobody */
	assert_bad("allow_users = -1", 1, "there is no user");
}
END_TEST

START_TEST(test_bad_lines)
{
	assert_bad("size = 1M\nsiez = 2M\npages = huge\n", 2, "unknown key \"siez\"; the keys are: size, size_max, ");
	assert_bad("Size = 1M\n", 1, "unknown key \"Size\"");
	assert_bad("# a\nsize = 1M\n\nsize = 1M\n", 4, "size was set in line 2 already");
	assert_bad("size = 1M\nthis is nothing\n", 2, "neither key = value nor a # comment");
	assert_bad("[larderd]\nsize = 1M\n", 1, "no [sections]");
	assert_bad("size = 1M\n  [x\n", 2, "no [sections]");
	assert_bad("= 5\n", 1, "unknown key \"\"");
	assert_bad_bytes("size = 1M\nso\0ck", 16, 2, "zero byte");
}
END_TEST

/* The first fault is the one that is told. */
START_TEST(test_first_fault)
{
	assert_bad("pages = no\nsize = no\n", 1, "pages: ");
	assert_bad("nothing\nsize = no\n", 1, "neither");
}
END_TEST

START_TEST(test_long_lines)
{
	char text[3 * CONFIG_LINE_MAX] = "# ";

	/* As long as a line can be, then one byte more, and a very long one. */
	memset(text + 2, 'x', sizeof text - 3);
	strcpy(text + CONFIG_LINE_MAX - 1, "\nsize = 2M\n");
	ck_assert_uint_eq(read_good(text).size, 2 << 20);
	memset(text + 2, 'x', sizeof text - 3);
	strcpy(text + CONFIG_LINE_MAX, "\nsize = 2M\n");
	assert_bad(text, 1, "too long");
	memset(text + 2, 'x', sizeof text - 3);
	assert_bad(text, 1, "too long");

	/* The path is too long for a socket, though not for a line. */
	snprintf(text, sizeof text, "socket = /%0*d\n", CONFIG_PATH_MAX - 1, 0);
	assert_bad(text, 1, "the path has 108 bytes; 107 are allowed");
	snprintf(text, sizeof text, "socket = /%0*d\n", CONFIG_PATH_MAX - 2, 0);
	ck_assert_uint_eq(strlen(read_good(text).socket), CONFIG_PATH_MAX - 1);
}
END_TEST

START_TEST(test_list_limit)
{
	char text[1024] = "allow_users =";

	for (int i = 0; i < CONFIG_IDS_MAX; i++)
		sprintf(text + strlen(text), " %d", i);
	ck_assert_uint_eq(read_good(text).allow_users.count, CONFIG_IDS_MAX);
	strcat(text, " 99");
	assert_bad(text, 1, "more than 64 entries");
	ck_assert_uint_eq(read_good("allow_users =").allow_users.count, 0);
}
END_TEST

START_TEST(test_files)
{
	struct config config;
	struct fault fault;

	config_defaults(&config);
	ck_assert_int_eq(config_load(&config, "/no/such/file", &fault), -ENOENT);
	ck_assert_ptr_nonnull(strstr(fault.text, "/no/such/file: No such file"));
	ck_assert_int_lt(config_load(&config, "/tmp", &fault), 0);
	ck_assert_ptr_nonnull(strstr(fault.text, "Is a directory"));
}
END_TEST

START_TEST(test_set)
{
	struct config config;
	struct fault fault;

	config_defaults(&config);
	ck_assert_int_eq(config_set(&config, "size", "2M", &fault), 0);
	ck_assert_int_eq(config_set(&config, "size", "4M", &fault), 0); /* the last option wins */
	ck_assert_uint_eq(config.size, 4 << 20);
	ck_assert_int_eq(config_set(&config, "size", "4X", &fault), -EINVAL);
	ck_assert_uint_eq(config.size, 4 << 20);
	ck_assert_int_eq(config_set(&config, "socket-mode", "0600", &fault), -ENOENT);
}
END_TEST

static void dump(const struct config *config, char *text, size_t size)
{
	FILE *stream = fmemopen(text, size, "w");

	ck_assert_ptr_nonnull(stream);
	config_dump(config, stream);
	fclose(stream);
}

START_TEST(test_values_that_do_not_go_together)
{
	struct config config = read_good("arena_file = /dev/shm/larder\n");
	struct fault fault = { "" };

	ck_assert_int_eq(config_check(&config, &fault), 0);
	config.access = LARDER_READ_ONLY;
	ck_assert_int_eq(config_check(&config, &fault), -EINVAL);
	ck_assert_ptr_nonnull(strstr(fault.text, "leave arena_file empty"));
	config.arena_file[0] = '\0';
	ck_assert_int_eq(config_check(&config, &fault), 0);
}
END_TEST

START_TEST(test_dump_reads_back)
{
	static const char *const texts[] = {
		"",
		"size = 3145729\nsocket = /tmp/x\nsocket_mode = 0\naccess = read-only\nallow_users = 1 2 3\n"
		"allow_groups = 4\n"
		"pages = huge\narena_file = /dev/shm/larder\nstall_ms = 1501\nmax_clients = 1\nlog_level = error\n",
		"size_max = 1G\nquota = user 7, limit 5M\nquota = group 8, guarantee 3M, limit 4M\nquota = user 9, guarantee 1M\n",
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct config config, again;
		char text[2048];

		config_defaults(&config);
		if (texts[i][0])
			config = read_good(texts[i]);
		dump(&config, text, sizeof text);
		again = read_good(text);
		ck_assert_int_eq(memcmp(&config, &again, sizeof config), 0);
	}
}
END_TEST

START_TEST(test_quotas)
{
	struct config config = read_good(
		"size = 64M\nquota = user root, guarantee 8M\nquota = group 7 , limit 4M\n"
		"quota=user 12,limit 32M,guarantee 16M # in any order\n"
		"quota =\nquota = group root, guarantee 8M, limit 16M\nquota = user 5, limit 1M\n");
	char text[1200] = "";

	ck_assert_uint_eq(config.quota.count, 2);
	ck_assert_uint_eq(config.quota.quota[0].kind, TENANT_GROUP);
	ck_assert_uint_eq(config.quota.quota[0].id, 0);
	ck_assert_uint_eq(config.quota.quota[0].guarantee, 8 << 20);
	ck_assert_uint_eq(config.quota.quota[0].limit, 16 << 20);
	ck_assert_uint_eq(config.quota.quota[1].kind, TENANT_USER);
	ck_assert_uint_eq(config.quota.quota[1].id, 5);
	ck_assert_uint_eq(config.quota.quota[1].guarantee, 0);
	assert_bad("quota = root, limit 1M\n", 1, "write user NAME or group NAME");
	assert_bad("quota = limit 1M\n", 1, "write user NAME");
	assert_bad("quota = user root\n", 1, "give a guarantee, a limit");
	assert_bad("quota = user root, limit\n", 1, "write user NAME");
	assert_bad("quota = user root, limit 1M 2M\n", 1, "write user NAME");
	assert_bad("quota = user root, group root, limit 1M\n", 1, "write user NAME");
	assert_bad("quota = user root, size 1M\n", 1, "write user NAME");
	assert_bad("quota = user none-of-this-name, limit 1M\n", 1, "there is no user");
	assert_bad("quota = user root, limit many\n", 1, "not a number of bytes");
	assert_bad("quota = user root, limit 0\n", 1, "not a number of bytes");
	assert_bad("quota = user root, limit 1M, guarantee 2M\n", 1, "larger than the limit");
	assert_bad("\nquota = user 1, limit 1M\nquota = user 1, limit 2M\n", 3, "one of this user already");
	assert_bad("quota = user 1, guarantee 32M\nquota = user 2, guarantee 32M\nsize = 64M\n", 2,
	           "come to 64M together; that must be less than size, 64M");
	for (int i = 0; i < 16; i++)
		sprintf(text + strlen(text), "quota = user %d, limit 1M\n", i + 1);
	assert_bad(text, 16, "more than 15");
}
END_TEST

START_TEST(test_update)
{
	struct config config = read_good("size = 2M\nstall_ms = 1s\n");
	struct config next = read_good("size = 4M\nstall_ms = 2s\nallow_users = 5\nallow_groups = 6\nmax_clients = 9\n"
	                               "log_level = error\nsize_max = 8M\npages = small\n");

	ck_assert_str_eq(config_update(&config, &next), "size_max");
	ck_assert_uint_eq(config.size, 4 << 20);
	ck_assert_uint_eq(config.size_max, 0);
	ck_assert_uint_eq(config.pages, 0);
	ck_assert_uint_eq(config.stall_ms, 2000);
	ck_assert_uint_eq(config.max_clients, 9);
	ck_assert_uint_eq(config.log_level, 0);
	ck_assert(config_ids_contain(&config.allow_users, 5));
	ck_assert(!config_ids_contain(&config.allow_users, 6));
	ck_assert(config_ids_contain(&config.allow_groups, 6));
	next.size_max = config.size_max;
	next.pages = config.pages;
	ck_assert_ptr_null(config_update(&config, &next));
}
END_TEST

/* The example shows every key with its default: without its comment signs it is the default configuration. */
START_TEST(test_example_shows_the_defaults)
{
	FILE *example = fopen("daemon/larderd.conf", "r");
	char text[8192] = "", line[256];
	struct config defaults, config;
	int keys = 0;

	ck_assert_ptr_nonnull(example);
	while (fgets(line, sizeof line, example))
		if (line[0] == '#' && line[1] >= 'a' && line[1] <= 'z' && strstr(line, " =")) {
			strcat(text, line + 1);
			keys++;
		}
	fclose(example);
	config = read_good(text);
	config_defaults(&defaults);
	ck_assert_int_eq(keys, CONFIG_KEYS);
	ck_assert_int_eq(memcmp(&config, &defaults, sizeof config), 0);
	config_defaults(&config);
	ck_assert_int_eq(config_load(&config, "daemon/larderd.conf", NULL), 0);
}
END_TEST

/* The man page tells of each key, with the default that the table has. */
START_TEST(test_manual_knows_the_defaults)
{
	FILE *page = fopen("docs/man/larderd.conf.5", "r");
	char text[16384], wanted[128], dumped[2048], *line, *rest = dumped;
	struct config config;
	size_t size;

	ck_assert_ptr_nonnull(page);
	size = fread(text, 1, sizeof text - 1, page);
	text[size] = '\0';
	fclose(page);
	config_defaults(&config);
	config.stall_ms = 1000;
	dump(&config, dumped, sizeof dumped);
	while ((line = strsep(&rest, "\n")) && *line) {
		char *value = strstr(line, " = ") + 3;

		*strchr(line, ' ') = '\0';
		snprintf(wanted, sizeof wanted, ".It Cm %s No ", line);
		ck_assert_msg(strstr(text, wanted) != NULL, "%s is not in the manual", line);
		if (*value && strcmp(line, "stall_ms") != 0) /* which is shown in its own unit */
			ck_assert_msg(strstr(strstr(text, wanted), value) != NULL, "not the default of %s: %s", line,
			              value);
	}
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("config");

	tcase_add_test(tests, test_defaults);
	tcase_add_test(tests, test_every_key);
	tcase_add_test(tests, test_form_of_lines);
	tcase_add_test(tests, test_bad_values);
	tcase_add_test(tests, test_bad_lines);
	tcase_add_test(tests, test_first_fault);
	tcase_add_test(tests, test_long_lines);
	tcase_add_test(tests, test_list_limit);
	tcase_add_test(tests, test_files);
	tcase_add_test(tests, test_set);
	tcase_add_test(tests, test_values_that_do_not_go_together);
	tcase_add_test(tests, test_dump_reads_back);
	tcase_add_test(tests, test_update);
	tcase_add_test(tests, test_example_shows_the_defaults);
	tcase_add_test(tests, test_manual_knows_the_defaults);
	tcase_add_test(tests, test_quotas);
	return suite_run("daemon/config", tests);
}
