/* SPDX-License-Identifier: MIT */
/* An arena in a file: the next larderd finds it, and reuses nothing that somebody of before may be looking at. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/layout.h"
#include "tests/support/client.h"
#include "tests/support/expect.h"
#include "tests/support/raw.h"
#include "tests/support/server.h"
#include "tests/support/suite.h"

#define PATIENCE_MS 30000
#define VALUE_BYTES 20000

static struct server server;
static char folder[64], file[80]; /* on tmpfs */
static char text[65536];

static void setup(void)
{
	unsetenv("LARDER_TEST_PAGES"); /* the page size is the filesystem's */
	server_prepare(&server);
	strcpy(folder, "/dev/shm/larder-test-XXXXXX");
	expect(mkdtemp(folder) != NULL);
	snprintf(file, sizeof file, "%s/arena", folder);
}

static void remove_beside(const char *suffix)
{
	char path[96];

	snprintf(path, sizeof path, "%s%s", file, suffix);
	unlink(path);
}

static void teardown(void)
{
	server_stop(&server);
	remove_beside("");
	remove_beside(".lock");
	remove_beside(".new");
	expect(rmdir(folder) == 0);
}

static void start_at(const char *size, const char *path)
{
	if (server_run(&server,
	               (const char *[]){ "--socket", server.socket, "--size", size, "--arena-file", path, NULL }))
		return;
	server_read_file(server.log, text, sizeof text);
	expect_failed("larderd did not start: %s", text);
}

static void start(const char *size)
{
	start_at(size, file);
}

static void crash(void)
{
	expect(kill(server.pid, SIGKILL) == 0);
	expect_equal(server_wait(&server), 128 + SIGKILL);
}

static void end(void)
{
	expect(kill(server.pid, SIGTERM) == 0);
	expect_equal(server_wait(&server), 0);
}

static unsigned times_logged(const char *words)
{
	unsigned times = 0;

	server_read_file(server.log, text, sizeof text);
	for (const char *at = text; (at = strstr(at, words)) != NULL; at++)
		times++;
	return times;
}

static bool logged(const char *words)
{
	return times_logged(words) > 0;
}

static void expect_logged(const char *words)
{
	if (!logged(words))
		expect_failed("larderd did not say \"%s\" but\n%s", words, text);
}

static void await_logged_times(const char *words, unsigned times)
{
	for (struct patience patience = patience_start(PATIENCE_MS); times_logged(words) < times;)
		if (!patience_left(patience))
			expect_failed("larderd did not say \"%s\" %u times but\n%s", words, times, text);
}

static void await_logged(const char *words)
{
	await_logged_times(words, 1);
}

/* Writes until memory is short, at most so many values. Return: what the last write said. */
static int write_on(larder *cache, unsigned count)
{
	static char value[VALUE_BYTES];
	int result = 0;

	for (unsigned i = 0; i < count && result == 0; i++) {
		char key[32];

		snprintf(key, sizeof key, "filler %u", i);
		result = larder_set(cache, key, strlen(key), value, sizeof value, NULL, NULL);
	}
	return result;
}

/* ---- what is found again ----------------------------------------------------------------------------------------- */

START_TEST(next_larderd_finds_it)
{
	struct stat status;
	larder *cache;

	start("4M");
	expect_equal(stat(file, &status), 0);
	expect_equal(status.st_mode & 07777, 0600);
	expect_equal(status.st_size, 4 << 20);
	for (int round = 0; round < 6; round++) {
		char key[16];

		cache = client_open(&server);
		for (int earlier = 0; earlier < round; earlier++) {
			snprintf(key, sizeof key, "round %d", earlier);
			client_expect(cache, key, "value");
		}
		snprintf(key, sizeof key, "round %d", round);
		client_put(cache, key, "value");
		larder_close(cache);
		if (round % 2)
			crash();
		else
			end();
		start("4M");
		expect_logged("going on with the arena in");
	}
	expect(!logged("of an earlier larderd use it"));
	cache = client_open(&server);
	expect_equal(write_on(cache, 1000), 0);
	expect(client_stat(cache).evicted_segments > 0);
	larder_close(cache);
	end();
	remove_beside("");
	expect(rmdir(folder) == 0); /* nothing else is left there */
	expect(mkdir(folder, 0700) == 0);
}
END_TEST

/*
 * Clients of the larderd that was killed go on, together with those of the next. Nobody overwrites what they look at, if
 * need be by refusing writes, until they are gone.
 */
START_TEST(clients_of_before_are_respected)
{
	char value[1000];
	struct larder_view view;
	larder *before, *after;

	start("4M");
	before = client_open_hasty(&server, 100);
	pattern_fill(value, sizeof value, 1);
	expect_equal(larder_set(before, "viewed", 6, value, sizeof value, NULL, NULL), 0);
	expect_equal(larder_view(before, "viewed", 6, &view), 0);
	for (int round = 0; round < 3; round++) {
		crash();
		client_put(before, "before", "while it was away");
		start("4M");
		after = client_open_hasty(&server, 100);
		client_expect(after, "before", "while it was away");
		client_put(after, "after", "value");
		client_expect(before, "after", "value");
		larder_close(after);
	}
	expect_logged("of an earlier larderd use it still");
	after = client_open_hasty(&server, 100);
	expect_equal(write_on(after, 1000), -EAGAIN);
	expect_equal(write_on(before, 1000), -EAGAIN);
	expect_equal(client_stat(after).evicted_segments, 0);
	expect(pattern_holds(view.data, sizeof value, 1));
	expect(!logged("memory is reused again"));
	larder_release(before, &view);
	larder_close(before);
	await_logged("memory is reused again");
	larder_close(after);
	after = client_open(&server);
	expect_equal(write_on(after, 1000), 0);
	expect(client_stat(after).evicted_segments > 0);
	larder_close(after);
}
END_TEST

/* However they end: nobody has to say anything. */
START_TEST(clients_of_before_are_killed)
{
	int ready[2];
	char byte;
	pid_t child;
	larder *cache;

	start("4M");
	expect(pipe2(ready, O_CLOEXEC) == 0);
	child = fork();
	if (child == 0) {
		struct larder_view view;

		cache = client_open(&server);
		client_put(cache, "key", "value");
		expect_equal(larder_view(cache, "key", 3, &view), 0);
		expect(write(ready[1], "", 1) == 1);
		pause();
	}
	expect(read(ready[0], &byte, 1) == 1);
	crash();
	start("4M");
	expect_logged("of an earlier larderd use it still");
	/* The keeper that takes over knows it, too. */
	expect(kill(server_keeper(&server), SIGKILL) == 0);
	cache = client_open_hasty(&server, 100);
	client_expect(cache, "key", "value");
	expect_equal(write_on(cache, 1000), -EAGAIN);
	larder_close(cache);
	expect(kill(child, SIGKILL) == 0);
	expect(waitpid(child, NULL, 0) == child);
	await_logged("memory is reused again");
	cache = client_open(&server);
	expect_equal(write_on(cache, 1000), 0);
	larder_close(cache);
}
END_TEST

/* The lock goes over to the new program, and so does the knowledge of who is there. */
START_TEST(upgrade_keeps_it)
{
	struct server second;
	larder *cache;

	start("4M");
	cache = client_open(&server);
	client_put(cache, "key", "value");
	for (unsigned round = 1; round <= 2; round++) {
		expect(kill(server.pid, SIGUSR2) == 0);
		await_logged_times("serving ", round + 1);
	}
	expect_logged("going on with the arena of an earlier larderd and its 1 clients");
	server_prepare(&second);
	expect(!server_run(&second,
	                   (const char *[]){ "--socket", second.socket, "--size", "4M", "--arena-file", file, NULL }));
	expect_equal(server_wait(&second), 1);
	server_stop(&second);
	client_expect(cache, "key", "value");
	expect_equal(write_on(cache, 1000), 0);
	expect(!logged("use it still"));
	larder_close(cache);
}
END_TEST

/* ---- what is not found again ------------------------------------------------------------------------------------- */

static const char *other_layout(void)
{
	static char path[512];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 64);

	expect(length > 0);
	path[length] = '\0';
	strcpy(strrchr(path, '/'), "/../larderd-other-layout");
	return path;
}

START_TEST(arena_does_not_fit)
{
	larder *old, *cache;

	start("4M");
	old = client_open(&server);
	client_put(old, "key", "value");
	crash();
	start("6M");
	expect_logged("is given up, its clients must attach anew: the configuration has another size now");
	cache = client_open(&server);
	client_expect(cache, "key", NULL);
	expect_equal(client_stat(cache).arena_bytes, 6 << 20);
	client_put(cache, "key", "other");
	client_expect(old, "key", "other"); /* it has attached anew */
	larder_close(old);
	larder_close(cache);
	end();
	setenv("LARDERD", other_layout(), 1);
	start("6M");
	expect_logged("use the same version of larder on both sides");
}
END_TEST

/* Killed while it made one: what is half made has another name, and is not in the way. */
START_TEST(half_made)
{
	char path[96];
	int fd;

	snprintf(path, sizeof path, "%s.new", file);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	expect(fd >= 0 && ftruncate(fd, 4 << 20) == 0);
	close(fd);
	start("4M");
	expect(access(path, F_OK) != 0);
}
END_TEST

/* Who was let in can cut the file. larderd ends with a word about it, and the next one begins with a new arena. */
START_TEST(file_is_cut)
{
	struct wire_welcome welcome;
	int fds[RAW_FDS], channel;
	larder *cache;

	start("4M");
	channel = raw_attach(&server, &welcome, fds);
	expect(ftruncate(fds[RAW_ARENA], 0) == 0);
	expect_equal(server_wait(&server), 1);
	expect_logged("was killed by signal 7");
	expect_logged("giving up the arena");
	for (int i = 0; i < RAW_FDS; i++)
		close(fds[i]);
	close(channel);
	start("4M");
	cache = client_open(&server);
	client_put(cache, "key", "value");
	larder_close(cache);
}
END_TEST

static void refuse(int status, const char *words, const char *const arguments[])
{
	expect(!server_run(&server, arguments));
	expect_equal(server_wait(&server), status);
	expect_logged(words);
	unlink(server.log);
}

static void refuse_usual(int status, const char *words)
{
	refuse(status, words,
	       (const char *[]){ "--socket", server.socket, "--size", "4M", "--arena-file", file, NULL });
}

static void make_file(mode_t mode, const char *content)
{
	int fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	expect(fd >= 0 && fchmod(fd, mode) == 0 && write(fd, content, strlen(content)) == (ssize_t)strlen(content));
	close(fd);
}

START_TEST(something_else_is_there)
{
	char target[96], back[32] = "";

	make_file(0600, "letters of mine");
	refuse_usual(1, "is no arena");
	server_read_file(file, back, sizeof back);
	expect(strcmp(back, "letters of mine") == 0);

	/* An arena behind a link is not followed to, nor is one used that others could have their hands on. */
	remove_beside("");
	start("4M");
	end();
	snprintf(target, sizeof target, "%s.new", file);
	expect(rename(file, target) == 0 && symlink(target, file) == 0);
	refuse_usual(1, "symbolic link");
	expect(unlink(file) == 0 && rename(target, file) == 0 && chmod(file, 0660) == 0);
	refuse_usual(4, "mode 0660");
	expect(chmod(file, 0600) == 0 && link(file, target) == 0);
	refuse_usual(4, "2 names");
	expect(unlink(target) == 0);
	if (geteuid() == 0) {
		expect(chown(file, 65534, 65534) == 0);
		refuse_usual(4, "belongs to user 65534");
		expect(chown(file, 0, 0) == 0);
	}
	start("4M");
	expect_logged("going on with");
	end();
	remove_beside("");
	expect(mkfifo(file, 0600) == 0);
	refuse_usual(1, "no ordinary file");
	remove_beside("");
	expect(mkdir(file, 0700) == 0);
	refuse_usual(1, "cannot open");
	expect(rmdir(file) == 0);
}
END_TEST

START_TEST(not_possible)
{
	struct statfs filesystem;
	char elsewhere[96];

	refuse(6, "do not go together",
	       (const char *[]){ "--socket", server.socket, "--arena-file", file, "--access", "read-only", NULL });
	refuse(1, "pages = huge",
	       (const char *[]){ "--socket", server.socket, "--arena-file", file, "--size", "4M", "--pages", "huge",
	                         NULL });
	snprintf(elsewhere, sizeof elsewhere, "%s/none/arena", folder);
	refuse(1, "the folder must exist",
	       (const char *[]){ "--socket", server.socket, "--arena-file", elsewhere, NULL });
	refuse(2, "absolute", (const char *[]){ "--arena-file", "arena", NULL });
	snprintf(elsewhere, sizeof elsewhere, "%s/arena", server.directory);
	expect(statfs(server.directory, &filesystem) == 0);
	if (filesystem.f_type != TMPFS_MAGIC)
		refuse(1, "in a file on tmpfs",
		       (const char *[]){ "--socket", server.socket, "--arena-file", elsewhere, NULL });
}
END_TEST

START_TEST(two_at_one_file)
{
	struct server second;

	start("4M");
	server_prepare(&second);
	expect(!server_run(&second,
	                   (const char *[]){ "--socket", second.socket, "--size", "4M", "--arena-file", file, NULL }));
	server_read_file(second.log, text, sizeof text);
	expect(strstr(text, "another larderd serves") != NULL && strstr(text, "another arena_file") != NULL);
	expect_equal(server_wait(&second), 1);
	server_stop(&second);
}
END_TEST

/* On huge pages, where they can be had. */
START_TEST(on_hugetlbfs)
{
	char on_huge[96];
	larder *before, *after;

	snprintf(on_huge, sizeof on_huge, "%s/arena", server.directory);
	/* In a namespace of its own, which takes the mount with it whatever happens. */
	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", server.directory, "hugetlbfs", 0, "pagesize=2M") != 0) {
		fprintf(stderr, "cannot mount a hugetlbfs (%s): not tested\n", strerror(errno));
		return;
	}
	snprintf(server.socket, sizeof server.socket, "%s/socket", folder);
	snprintf(server.log, sizeof server.log, "%s/log", folder);
	if (!server_run(&server,
	                (const char *[]){ "--socket", server.socket, "--size", "8M", "--arena-file", on_huge, NULL })) {
		server_wait(&server);
		expect_logged("cannot allocate 8 MiB");
		fprintf(stderr, "no huge pages: not tested\n");
	} else {
		before = client_open_hasty(&server, 100);
		client_put(before, "key", "value");
		crash();
		start_at("8M", on_huge);
		expect_logged("use it still");
		after = client_open_hasty(&server, 100);
		client_expect(after, "key", "value");
		expect_equal(write_on(after, 1000), -EAGAIN);
		larder_close(before);
		larder_close(after);
		await_logged("memory is reused again");
		after = client_open(&server);
		expect_equal(write_on(after, 1000), 0);
		larder_close(after);
		end();
	}
	expect(umount(server.directory) == 0);
	unlink(server.log);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("arena_file");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, next_larderd_finds_it);
	tcase_add_test(tests, clients_of_before_are_respected);
	tcase_add_test(tests, clients_of_before_are_killed);
	tcase_add_test(tests, upgrade_keeps_it);
	tcase_add_test(tests, arena_does_not_fit);
	tcase_add_test(tests, half_made);
	tcase_add_test(tests, file_is_cut);
	tcase_add_test(tests, something_else_is_there);
	tcase_add_test(tests, not_possible);
	tcase_add_test(tests, two_at_one_file);
	tcase_add_test(tests, on_hugetlbfs);
	return suite_run("arena_file", tests);
}
