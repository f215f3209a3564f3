/* SPDX-License-Identifier: MIT */
/* SIGUSR2: another binary takes over while clients are at work, or it does not and nothing has happened. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/client.h"
#include "tests/support/expect.h"
#include "tests/support/server.h"
#include "tests/support/suite.h"
#include "tests/support/workers.h"

#define PATIENCE_MS 60000
#define UPGRADES 10
#define WORKERS 3
#define VALUES 500u /* a worker writes in each round */

static struct server server;
static char original[512]; /* the larderd of this build */
static char binary[128];   /* the one that runs, in the server's directory, for us to replace */
static char text[65536];

/* ---- binaries ---------------------------------------------------------------------------------------------------- */

static void copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	char buffer[65536];
	ssize_t got;

	expect(in >= 0 && out >= 0);
	while ((got = read(in, buffer, sizeof buffer)) > 0)
		expect(write(out, buffer, (size_t)got) == got);
	expect(got == 0);
	close(in);
	close(out);
}

/* Replaces the binary as an installation does. */
static void install(const char *from)
{
	char path[160];

	snprintf(path, sizeof path, "%s.new", binary);
	copy_file(from, path);
	expect(rename(path, binary) == 0);
}

static void install_script(const char *script)
{
	char path[160];
	FILE *file;

	snprintf(path, sizeof path, "%s.new", binary);
	file = fopen(path, "we");
	expect(file && fprintf(file, "#!/bin/sh\n%s\n", script) > 0 && fchmod(fileno(file), 0755) == 0 &&
	       fclose(file) == 0);
	expect(rename(path, binary) == 0);
}

/* Both lie in the build's directory. */
static void find_original(void)
{
	ssize_t length = readlink("/proc/self/exe", original, sizeof original - 64);

	expect(length > 0);
	original[length] = '\0';
	strcpy(strrchr(original, '/'), "/../../bin/larderd");
}

static const char *other_layout(void)
{
	static char path[512];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 64);

	expect(length > 0);
	path[length] = '\0';
	strcpy(strrchr(path, '/'), "/../larderd-other-layout");
	return path;
}

static void setup(void)
{
	server_prepare(&server);
	find_original();
	snprintf(binary, sizeof binary, "%s/larderd", server.directory);
	install(getenv("LARDERD") ? getenv("LARDERD") : original);
	setenv("LARDERD", binary, 1);
}

static void teardown(void)
{
	server_stop(&server);
}

/* ---- what larderd does ------------------------------------------------------------------------------------------- */

static unsigned count_logged(const char *words)
{
	unsigned count = 0;

	server_read_file(server.log, text, sizeof text);
	for (const char *at = text; (at = strstr(at, words)) != NULL; at++)
		count++;
	return count;
}

static void await_logged(const char *words, unsigned count)
{
	for (struct patience patience = patience_start(PATIENCE_MS); count_logged(words) < count;)
		if (!patience_left(patience))
			expect_failed("larderd did not say \"%s\" %u times but\n%s", words, count, text);
}

/* Whether the file at this path is what the process executes. */
static bool executes(pid_t pid, const char *path)
{
	struct stat running, wanted;
	char link[32];

	snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
	return stat(link, &running) == 0 && stat(path, &wanted) == 0 && running.st_dev == wanted.st_dev &&
	       running.st_ino == wanted.st_ino;
}

static void upgrade(void)
{
	unsigned served = count_logged("serving ");

	install(original);
	expect(!executes(server.pid, binary));
	expect(kill(server.pid, SIGUSR2) == 0);
	await_logged("serving ", served + 1);
	expect(executes(server.pid, binary));
	expect(executes(server_keeper(&server), binary));
}

/* Asks for an upgrade that must not happen, and finds that nothing has. */
static void refuse(const char *why)
{
	unsigned refused = count_logged("no upgrade");
	pid_t keeper = server_keeper(&server);

	expect(kill(server.pid, SIGUSR2) == 0);
	await_logged("no upgrade", refused + 1);
	if (!strstr(text, why))
		expect_failed("\"%s\" is not in: %s", why, text);
	expect(server_alive(&server));
	expect_equal(server_keeper(&server), keeper);
}

static void start(const char *const arguments[])
{
	if (!server_run(&server, arguments)) {
		server_read_file(server.log, text, sizeof text);
		expect_failed("larderd did not start: %s", text);
	}
}

static void start_usual(const char *size)
{
	start((const char *[]){ "--socket", server.socket, "--size", size, NULL });
}

/* ---- upgrades under load ----------------------------------------------------------------------------------------- */

struct stage {
	atomic_uint round;
	atomic_bool stop;
	atomic_uint at_work[WORKERS + 1]; /* the last round of which each worker is done */
};

static void read_back(larder *cache, unsigned number, unsigned round)
{
	char value[200], back[200];
	struct larder_item item;

	for (unsigned i = 0; i < VALUES; i++) {
		char key[48];

		snprintf(key, sizeof key, "worker %u round %u key %u", number, round, i);
		pattern_fill(value, sizeof value, round * VALUES + i);
		expect_equal(larder_get(cache, key, strlen(key), back, sizeof back, &item), 0);
		expect(item.value_size == sizeof value && memcmp(value, back, sizeof value) == 0);
	}
}

/* Counts without a pause, and writes new values in each round; what was written is there for ever. */
static void work(void *context, unsigned number)
{
	struct stage *stage = context;
	larder *cache = client_open(&server);
	char counter[32], key[48], value[200];
	int64_t counted = 0, now;
	unsigned done = 0;

	snprintf(counter, sizeof counter, "counter of %u", number);
	while (!atomic_load(&stage->stop)) {
		unsigned round = atomic_load(&stage->round);

		for (unsigned i = 0; round != done && i < VALUES; i++) {
			snprintf(key, sizeof key, "worker %u round %u key %u", number, round, i);
			pattern_fill(value, sizeof value, round * VALUES + i);
			expect_equal(larder_set(cache, key, strlen(key), value, sizeof value, NULL, NULL), 0);
		}
		done = round;
		for (int i = 0; i < 1000; i++) {
			struct larder_incr_options options = LARDER_INCR_OPTIONS;

			options.flags = LARDER_INCR_CREATE;
			expect_equal(larder_incr(cache, counter, strlen(counter), 1, &options, &now), 0);
			expect_equal(now, counted++);
		}
		read_back(cache, number, round);
		atomic_store(&stage->at_work[number], round);
	}
	for (unsigned round = 1; round <= done; round++)
		read_back(cache, number, round);
	larder_close(cache);
}

/* Comes and goes: nobody is turned away, whatever the moment. */
static void attach_on(void *context, unsigned number)
{
	struct stage *stage = context;
	struct larder_open_options options = LARDER_OPEN_OPTIONS;

	(void)number;
	options.timeout_ms = PATIENCE_MS;
	while (!atomic_load(&stage->stop)) {
		unsigned round = atomic_load(&stage->round);
		larder *cache;
		int result = larder_open(server.socket, &options, &cache);

		if (result)
			expect_failed("larder_open: %s", larder_strerror(result));
		client_put(cache, "of a visitor", "value");
		client_expect(cache, "of a visitor", "value");
		larder_close(cache);
		atomic_store(&stage->at_work[WORKERS], round);
	}
}

static void begin_round(struct stage *stage, unsigned round)
{
	struct patience patience = patience_start(PATIENCE_MS);

	atomic_store(&stage->round, round);
	for (unsigned i = 0; i <= WORKERS; i++)
		while (atomic_load(&stage->at_work[i]) < round)
			expect(patience_left(patience));
}

static void play(void *context, unsigned number)
{
	if (number < WORKERS)
		work(context, number);
	else
		attach_on(context, number);
}

START_TEST(clients_notice_nothing)
{
	struct stage *stage = shared_memory(sizeof *stage);
	struct patience patience;
	struct workers workers;
	larder *cache;
	pid_t pid;

	start_usual("64M");
	pid = server.pid;
	atomic_store(&stage->round, 1);
	workers_start(&workers, WORKERS + 1, play, stage);
	for (unsigned round = 1; round <= UPGRADES; round++) {
		begin_round(stage, round);
		upgrade();
		if (round == UPGRADES / 2) {
			install(other_layout());
			refuse("use the same version of larder on both sides");
		}
	}
	begin_round(stage, UPGRADES + 1);
	atomic_store(&stage->stop, true);
	workers_join(&workers, 60);
	expect_equal(server.pid, pid);
	expect_equal(count_logged("takes over"), UPGRADES);
	expect_equal(count_logged("signal"), 0);

	/* Who left is not kept, and memory comes back. */
	cache = client_open(&server);
	for (patience = patience_start(PATIENCE_MS); client_stat(cache).clients != 1;)
		expect(patience_left(patience));
	expect_equal(client_stat(cache).evicted_segments, 0);
	for (unsigned i = 0; i < 1000; i++) {
		static char value[100000];
		char key[16];

		snprintf(key, sizeof key, "%u", i);
		expect_equal(larder_set(cache, key, strlen(key), value, sizeof value, NULL, NULL), 0);
	}
	expect(client_stat(cache).evicted_segments > 0);
	larder_close(cache);
}
END_TEST

/* A reader's view and a writer's room live through it. */
START_TEST(views_stay)
{
	char value[1000];
	struct larder_view view;
	larder *cache;

	start_usual("4M");
	cache = client_open(&server);
	pattern_fill(value, sizeof value, 1);
	expect_equal(larder_set(cache, "viewed", 6, value, sizeof value, NULL, NULL), 0);
	expect_equal(larder_view(cache, "viewed", 6, &view), 0);
	for (int round = 0; round < 3; round++) {
		upgrade();
		/* Several arenas full: the viewed segment is wanted, and must stay. */
		for (unsigned i = 0; i < 200; i++) {
			static char large[50000];
			char key[16];

			snprintf(key, sizeof key, "%u", i);
			expect_equal(larder_set(cache, key, strlen(key), large, sizeof large, NULL, NULL), 0);
		}
		expect(pattern_holds(view.data, sizeof value, 1));
	}
	larder_release(cache, &view);
	larder_close(cache);
}
END_TEST

/* ---- upgrades that do not happen --------------------------------------------------------------------------------- */

START_TEST(new_program_is_no_good)
{
	static const struct {
		const char *script, *why;
	} cases[] = {
		{ "exit 0", "no larderd that could go on" },
		{ "exit 3", "ended with status 3" },
		{ "kill -SEGV $$", "killed by signal 11" },
		{ "exec sleep 600", "killed by signal 9" },
		{ "echo >&2 no such library; exit 127", "ended with status 127" },
	};
	unsigned descriptors;
	larder *cache;

	start_usual("2M");
	cache = client_open(&server);
	client_put(cache, "key", "value");
	descriptors = server_descriptors(server.pid);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		install_script(cases[i].script);
		refuse(cases[i].why);
	}
	expect(unlink(binary) == 0);
	refuse("No such file");
	install(original);
	expect(chmod(binary, 0600) == 0);
	refuse("Permission denied");
	expect_equal(server_descriptors(server.pid), descriptors);
	client_expect(cache, "key", "value");
	upgrade();
	expect_equal(server_descriptors(server.pid), descriptors);
	client_expect(cache, "key", "value");
	larder_close(cache);
}
END_TEST

START_TEST(configuration_does_not_fit)
{
	char path[128], good[256], bad[300];
	larder *cache;

	snprintf(good, sizeof good, "size = 2M\nsocket = %s\n", server.socket);
	server_write_file(&server, "larderd.conf", good, path);
	start((const char *[]){ "--config", path, NULL });
	cache = client_open(&server);
	client_put(cache, "key", "value");
	server_write_file(&server, "larderd.conf", "size = lots\n", path);
	refuse("ended with status 6");
	snprintf(bad, sizeof bad, "size = 4M\nsocket = %s\n", server.socket);
	server_write_file(&server, "larderd.conf", bad, path);
	refuse("another size");
	server_write_file(&server, "larderd.conf", "size = 2M\nsocket = /nowhere\n", path);
	refuse("another socket");
	snprintf(bad, sizeof bad, "%saccess = read-only\n", good);
	server_write_file(&server, "larderd.conf", bad, path);
	refuse("another access");
	server_write_file(&server, "larderd.conf", good, path);
	upgrade();
	client_expect(cache, "key", "value");
	larder_close(cache);
}
END_TEST

/* It passes its trial, and then is not there any more: the old one has to go on, with a new keeper. */
START_TEST(program_disappears_after_its_trial)
{
	char script[1200];
	unsigned served;
	larder *cache;

	start_usual("2M");
	cache = client_open(&server);
	client_put(cache, "key", "value");
	served = count_logged("takes over");
	snprintf(script, sizeof script, "rm \"$0\"\nexec %s \"$@\"", original);
	install_script(script);
	expect(kill(server.pid, SIGUSR2) == 0);
	await_logged("going on as before", 1);
	expect_equal(count_logged("takes over"), served + 1);
	expect(strstr(text, "No such file") != NULL);
	client_expect(cache, "key", "value");
	larder_close(client_open(&server));
	upgrade();
	client_expect(cache, "key", "value");
	larder_close(cache);
}
END_TEST

START_TEST(read_only_mode)
{
	larder *cache;

	start((const char *[]){ "--socket", server.socket, "--size", "2M", "--access", "read-only", NULL });
	cache = client_open(&server);
	client_put(cache, "key", "value");
	refuse("read-only mode");
	client_expect(cache, "key", "value");
	client_put(cache, "key", "other");
	larder_close(cache);
}
END_TEST

/* Told to end in the midst of it, larderd ends. */
START_TEST(ends_during_an_upgrade)
{
	start_usual("2M");
	install_script("exec sleep 600");
	expect(kill(server.pid, SIGUSR2) == 0);
	expect(kill(server.pid, SIGTERM) == 0);
	expect_equal(server_wait(&server), 0);
	expect(access(server.socket, F_OK) != 0);
}
END_TEST

START_TEST(option_is_not_for_people)
{
	expect(!server_run(&server, (const char *[]){ "--check-upgrade", NULL }));
	expect_equal(server_wait(&server), 2);
	expect_equal(count_logged("SIGUSR2"), 1);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("upgrade");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, clients_notice_nothing);
	tcase_add_test(tests, views_stay);
	tcase_add_test(tests, new_program_is_no_good);
	tcase_add_test(tests, configuration_does_not_fit);
	tcase_add_test(tests, program_disappears_after_its_trial);
	tcase_add_test(tests, read_only_mode);
	tcase_add_test(tests, ends_during_an_upgrade);
	tcase_add_test(tests, option_is_not_for_people);
	return suite_run("upgrade", tests);
}
