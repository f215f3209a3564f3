/* SPDX-License-Identifier: MIT */
/* The arena gets another size while clients are at work: by larder_resize, by SIGHUP, through the deaths of keepers and upgrades. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena/lease.h"
#include "cache/cache.h"
#include "tests/support/client.h"
#include "tests/support/expect.h"
#include "tests/support/raw.h"
#include "tests/support/server.h"
#include "tests/support/suite.h"
#include "tests/support/workers.h"

#define MIB (UINT64_C(1) << 20)
#define PATIENCE_MS 20000
#define WORKERS 4
#define KEYS 4000u /* of each worker: some 60 MiB together */
#define VALUE_MAX 8000u
#define NOBODY 65534

static struct server server;
static char text[65536];

/* ---- looking ------------------------------------------------------------------------------------------------------- */

/* Memory that the kernel has given to the arena: the supervisor holds its descriptor. */
static uint64_t memory(void)
{
	for (int fd = 0; fd < 64; fd++) {
		char path[64], target[64] = "";
		struct stat file;

		snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)server.pid, fd);
		if (readlink(path, target, sizeof target - 1) > 0 && strstr(target, "larder-arena") &&
		    !strstr(target, ".lock") && stat(path, &file) == 0)
			return (uint64_t)file.st_blocks * 512;
	}
	expect_failed("larderd holds no arena");
}

/* Memory of an arena of a size that may become most: huge pages are all taken at the start, and kept. */
static uint64_t memory_for(uint64_t bytes, uint64_t most)
{
	const char *pages = getenv("LARDER_TEST_PAGES");

	return pages && strcmp(pages, "huge") == 0 ? most : bytes;
}

static void await_size(larder *cache, uint64_t bytes)
{
	struct patience patience = patience_start(PATIENCE_MS);

	while (client_stat(cache).arena_bytes != bytes || client_stat(cache).arena_bytes_wanted != bytes) {
		if (!patience_left(patience)) {
			server_read_file(server.log, text, sizeof text);
			expect_failed("the arena has %" PRIu64 " bytes, not %" PRIu64 "; larderd said\n%s",
			              client_stat(cache).arena_bytes, bytes, text);
		}
	}
}

/* What was given back is given back a moment after the size is reached. */
static void await_memory(uint64_t bytes)
{
	struct patience patience = patience_start(PATIENCE_MS);

	while (memory() != bytes)
		if (!patience_left(patience))
			expect_failed("the arena has memory of %" PRIu64 " bytes, not %" PRIu64, memory(), bytes);
}

/* Also while there is no keeper, for then the next one is asked. */
static int ask(larder *cache, uint64_t bytes, uint64_t *ret_bytes)
{
	struct patience patience = patience_start(PATIENCE_MS);
	int result;

	while ((result = larder_resize(cache, bytes, ret_bytes)) == -EIO || result == -ENOTCONN || result == -ETIMEDOUT)
		expect(patience_left(patience));
	return result;
}

static void resize(larder *cache, uint64_t bytes)
{
	uint64_t given = 0;

	expect_equal(ask(cache, bytes, &given), 0);
	expect_equal(given, bytes);
}

static void report(void *context, const char *sentence)
{
	(void)context;
	fprintf(stderr, "verify: %s\n", sentence);
}

static void expect_sound(void)
{
	struct wire_welcome welcome;
	struct cache_thread thread;
	struct lease lease;
	struct cache cache;
	int fds[RAW_FDS], channel = raw_attach(&server, &welcome, fds);

	/* Without it larderd may take us for gone when memory is held up. */
	expect_equal(lease_take(fds[RAW_LEASE], &lease, NULL), 0);
	expect_equal(cache_attach(&cache, fds[RAW_ARENA], fds[RAW_CONTROL], welcome.access == LARDER_SHARED_WRITE,
	                          false, 0, NULL),
	             0);
	expect_equal(cache_thread_start(&cache, &thread), 0);
	expect_equal(cache_verify(&thread, report, NULL, NULL), 0);
	cache_thread_stop(&thread);
	cache_detach(&cache);
	lease_give_up(&lease);
	for (int i = 0; i < RAW_FDS; i++)
		close(fds[i]);
	close(channel);
}

static bool logged(const char *words)
{
	server_read_file(server.log, text, sizeof text);
	return strstr(text, words) != NULL;
}

static void await_logged(const char *words)
{
	for (struct patience patience = patience_start(PATIENCE_MS); !logged(words);)
		if (!patience_left(patience))
			expect_failed("larderd did not say \"%s\" but\n%s", words, text);
}

static void start(const char *const arguments[])
{
	if (!server_run(&server, arguments)) {
		logged("");
		expect_failed("larderd did not start: %s", text);
	}
}

/* ---- clients at work ------------------------------------------------------------------------------------------------ */

struct stage {
	atomic_bool over;
	atomic_ulong reads, hits, writes;
};

static size_t make(unsigned number, unsigned key, char ret_key[32], unsigned char *ret_value)
{
	uint64_t seed = number * UINT64_C(1000000) + key;
	size_t size = 100 + seed * 7919 % (VALUE_MAX - 100);

	snprintf(ret_key, 32, "worker %u key %u", number, key);
	pattern_fill(ret_value, size, seed);
	return size;
}

/* Writes its own keys and reads everybody's, as long as it is not over. Only one that is there must be right. */
static void work(void *context, unsigned number)
{
	static unsigned char value[VALUE_MAX], back[VALUE_MAX];
	struct stage *stage = context;
	larder *cache = client_open(&server);
	unsigned turn = number;
	char key[32];

	while (!atomic_load(&stage->over)) {
		struct larder_item item = { 0 };
		struct larder_view view;
		size_t size = make(number, turn++ % KEYS, key, value);
		int result;

		expect_equal(larder_set(cache, key, strlen(key), value, size, NULL, NULL), 0);
		size = make(turn % WORKERS, turn * 7919 % KEYS, key, value);
		result = larder_get(cache, key, strlen(key), back, sizeof back, &item);
		expect(result == LARDER_MISS || result == 0);
		expect(result != 0 || (item.value_size == size && memcmp(back, value, size) == 0));
		atomic_fetch_add(&stage->hits, result == 0);
		atomic_fetch_add(&stage->reads, 1);
		atomic_fetch_add(&stage->writes, 1);
		if (larder_view(cache, key, strlen(key), &view) == 0) {
			expect(view.size == size && memcmp(view.data, value, size) == 0);
			larder_release(cache, &view);
		}
	}
	larder_close(cache);
}

START_TEST(clients_notice_nothing)
{
	static const uint64_t sizes[] = { 64, 16, 48, 16, 64, 24, 16 };
	struct stage *stage = shared_memory(sizeof *stage);
	struct workers workers;
	larder *cache;

	server_start(&server, "16M", "--size-max", "64M", NULL);
	expect_equal(memory(), memory_for(16 * MIB, 64 * MIB));
	cache = client_open(&server);
	expect_equal(client_stat(cache).arena_bytes, 16 * MIB);
	expect_equal(client_stat(cache).arena_bytes_max, 64 * MIB);
	workers_start(&workers, WORKERS, work, stage);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		unsigned long writes = atomic_load(&stage->writes);
		struct patience patience = patience_start(PATIENCE_MS);
		struct larder_stat stat;

		resize(cache, sizes[i] * MIB);
		await_size(cache, sizes[i] * MIB);
		/* Some megabytes more, so that memory is short again, and what was given back would be touched if it were in use. */
		while (atomic_load(&stage->writes) < writes + 5000)
			expect(patience_left(patience));
		await_memory(memory_for(sizes[i] * MIB, 64 * MIB));
		stat = client_stat(cache);
		expect_equal(stat.segments * stat.segment_bytes, sizes[i] * MIB);
		expect_sound();
	}
	atomic_store(&stage->over, true);
	workers_join(&workers, 60);
	expect(atomic_load(&stage->hits) > 0 && client_stat(cache).evicted_segments > 0);
	larder_close(cache);
	server_stop(&server);
}
END_TEST

/* Keepers die all the time; the size is reached all the same. */
START_TEST(keepers_die)
{
	static const uint64_t sizes[] = { 64, 16, 48, 16 };
	struct stage *stage = shared_memory(sizeof *stage);
	struct workers workers;
	larder *cache;

	server_start(&server, "16M", "--size-max", "64M", NULL);
	cache = client_open(&server);
	workers_start(&workers, WORKERS, work, stage);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		resize(cache, sizes[i] * MIB);
		for (int deaths = 0; deaths < 10; deaths++) {
			struct patience patience = patience_start(PATIENCE_MS);
			pid_t keeper;

			while ((keeper = server_keeper(&server)) == 0)
				expect(patience_left(patience));
			kill(keeper, SIGKILL);
			while (server_keeper(&server) == keeper)
				expect(patience_left(patience));
		}
		await_size(cache, sizes[i] * MIB);
		await_memory(memory_for(sizes[i] * MIB, 64 * MIB));
		expect_sound();
	}
	atomic_store(&stage->over, true);
	workers_join(&workers, 60);
	larder_close(cache);
	server_stop(&server);
}
END_TEST

/* What is used is what stays. */
START_TEST(shrinking_keeps_what_is_used)
{
	static unsigned char value[VALUE_MAX], back[VALUE_MAX];
	struct larder_view view;
	unsigned kept = 0;
	larder *cache;
	char key[32];

	server_start(&server, "32M", NULL);
	cache = client_open(&server);
	for (unsigned i = 0; i < KEYS; i++) {
		size_t size = make(0, i, key, value);

		expect_equal(larder_set(cache, key, strlen(key), value, size, NULL, NULL), 0);
		/* One in ten is read again and again. */
		for (unsigned used = 0; i % 50 == 0 && used < i; used += 10) {
			make(0, used, key, value);
			larder_get(cache, key, strlen(key), back, sizeof back, NULL);
		}
	}
	make(0, 17, key, value);
	expect_equal(larder_view(cache, key, strlen(key), &view), 0);
	resize(cache, 16 * MIB);
	await_size(cache, 16 * MIB);
	for (unsigned used = 0; used < KEYS; used += 10) {
		size_t size = make(0, used, key, value);
		struct larder_item item;

		if (larder_get(cache, key, strlen(key), back, sizeof back, &item) == 0) {
			kept++;
			expect(item.value_size == size && memcmp(back, value, size) == 0);
		}
	}
	if (kept <= KEYS / 10 * 9 / 10)
		expect_failed("of %u keys that are used all the time only %u are left", KEYS / 10, kept);
	make(0, 17, key, value);
	expect(memcmp(view.data, value, view.size) == 0);
	larder_release(cache, &view);
	larder_close(cache);
	server_stop(&server);
}
END_TEST

/* Clients may not write: the kernel then lets nobody give memory back, but the size is another one all the same. */
START_TEST(read_only)
{
	larder *cache;

	unsetenv("LARDER_TEST_PAGES"); /* of huge pages none would be given back anyway */
	server_start(&server, "4M", "--size-max", "8M", "--access", "read-only", NULL);
	cache = client_open(&server);
	client_put(cache, "key", "value");
	resize(cache, 8 * MIB);
	await_size(cache, 8 * MIB);
	expect_equal(memory(), 8 * MIB);
	resize(cache, 4 * MIB);
	await_size(cache, 4 * MIB);
	await_logged("the seal that keeps clients from writing");
	expect_equal(memory(), 8 * MIB);
	client_expect(cache, "key", "value");
	resize(cache, 8 * MIB);
	await_size(cache, 8 * MIB);
	client_put(cache, "key", "other");
	expect_sound();
	larder_close(cache);
	server_stop(&server);
}
END_TEST

/* ---- refusals ------------------------------------------------------------------------------------------------------ */

static void be_nobody(void *context, unsigned number)
{
	uint64_t bytes = 7;
	larder *cache;

	(void)context, (void)number;
	expect(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	cache = client_open(&server);
	expect_equal(larder_resize(cache, 6 * MIB, &bytes), -EPERM);
	expect_equal(bytes, 7);
	client_put(cache, "of", "nobody");
	larder_close(cache);
}

START_TEST(refusals)
{
	struct larder_stat before, after;
	uint64_t bytes = 0;
	larder *cache;

	server_start(&server, "4M", "--size-max", "8M", "--allow-users", "65534", NULL);
	cache = client_open(&server);
	before = client_stat(cache);
	expect_equal(larder_resize(cache, 8 * MIB + before.segment_bytes, &bytes), -ERANGE);
	expect_equal(bytes, 8 * MIB);
	expect_equal(larder_resize(cache, UINT64_MAX, &bytes), -ERANGE);
	expect_equal(bytes, 8 * MIB);
	expect_equal(larder_resize(cache, 0, &bytes), -ERANGE);
	expect_equal(bytes, SEGMENTS_LEAST * before.segment_bytes);
	expect_equal(larder_resize(cache, bytes - 1, NULL), -ERANGE);
	expect_equal(larder_resize(NULL, 4 * MIB, NULL), -EINVAL);
	if (getuid() == 0) {
		expect(chmod(server.directory, 0755) == 0);
		worker_run(be_nobody, NULL);
	} else {
		fprintf(stderr, "not root, so that another user is refused is not tested\n");
	}
	after = client_stat(cache);
	expect_equal(after.arena_bytes, before.arena_bytes);
	expect_equal(after.arena_bytes_wanted, before.arena_bytes);
	expect_equal(larder_resize(cache, 6 * MIB + 5, &bytes), 0);
	expect_equal(bytes, 6 * MIB);
	await_size(cache, 6 * MIB);
	larder_close(cache);
	server_stop(&server);
}
END_TEST

/* Messages that are none. The connection ends, and nothing else happens. */
START_TEST(malformed_requests)
{
	static const struct {
		struct wire_resize message;
		size_t size, fds;
	} cases[] = {
		{ { .type = WIRE_RESIZE, .reserved = 1, .id = 1, .bytes = 6 * MIB }, sizeof(struct wire_resize), 0 },
		{ { .type = WIRE_RESIZE, .id = 1, .bytes = 6 * MIB }, sizeof(struct wire_resize) - 1, 0 },
		{ { .type = WIRE_RESIZE, .id = 1, .bytes = 6 * MIB }, sizeof(uint32_t), 0 },
		{ { .type = WIRE_RESIZE, .id = 1, .bytes = 6 * MIB }, sizeof(struct wire_resize), 1 },
	};
	larder *cache;

	server_start(&server, "4M", "--size-max", "8M", NULL);
	cache = client_open(&server);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct wire_welcome welcome;
		int fds[RAW_FDS], channel = raw_attach(&server, &welcome, fds);
		char byte;

		expect_equal(raw_send(channel, &cases[i].message, cases[i].size, fds, cases[i].fds), 0);
		expect_equal(raw_receive(channel, &byte, 1, NULL, NULL), 0);
		for (int fd = 0; fd < RAW_FDS; fd++)
			close(fds[fd]);
		close(channel);
	}
	expect_equal(client_stat(cache).arena_bytes_wanted, 4 * MIB);
	larder_close(cache);
	server_stop(&server);
}
END_TEST

/* There is no memory: nothing changes, and the arena is used as before. A small filesystem stands for a small host. */
START_TEST(no_memory)
{
	char folder[96], file[128];
	uint64_t bytes;
	larder *cache;

	unsetenv("LARDER_TEST_PAGES"); /* the page size is the filesystem's */
	server_prepare(&server);
	snprintf(folder, sizeof folder, "%s/small", server.directory);
	snprintf(file, sizeof file, "%s/larder-arena", folder);
	expect(mkdir(folder, 0700) == 0);
	/* In a namespace of its own, which takes the mount with it whatever happens. */
	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", folder, "tmpfs", 0, "size=12M") != 0) {
		fprintf(stderr, "cannot mount a tmpfs (%s): not tested\n", strerror(errno));
		server_stop(&server);
		return;
	}
	start((const char *[]){ "--socket", server.socket, "--size", "4M", "--size-max", "64M", "--arena-file", file,
	                        NULL });
	cache = client_open(&server);
	client_put(cache, "key", "value");
	expect_equal(larder_resize(cache, 32 * MIB, &bytes), 0);
	await_logged("the arena cannot have 32M: no memory (No space left on device); it keeps its 4M");
	await_size(cache, 4 * MIB);
	await_memory(4 * MIB);
	client_expect(cache, "key", "value");
	resize(cache, 8 * MIB);
	await_size(cache, 8 * MIB);
	expect_equal(memory(), 8 * MIB);
	expect_sound();
	larder_close(cache);
	expect(kill(server.pid, SIGTERM) == 0);
	expect_equal(server_wait(&server), 0);
	expect(umount(folder) == 0 && rmdir(folder) == 0);
	server_stop(&server);
}
END_TEST

/* ---- the configuration ---------------------------------------------------------------------------------------------- */

static void configure(const char *size, const char *size_max, char path[128])
{
	char content[512];

	snprintf(content, sizeof content, "socket = %s\nsize = %s\n%s%s\n", server.socket, size,
	         size_max ? "size_max = " : "", size_max ? size_max : "");
	server_write_file(&server, "larderd.conf", content, path);
}

static void start_configured(const char *path)
{
	start((const char *[]){ "--config", path, NULL });
}

START_TEST(sighup)
{
	char path[128];
	larder *cache;

	unsetenv("LARDER_TEST_PAGES"); /* the page size is the filesystem's */
	server_prepare(&server);
	configure("4M", "8M", path);
	start_configured(path);
	cache = client_open(&server);
	client_put(cache, "key", "value");
	configure("8M", "8M", path);
	kill(server.pid, SIGHUP);
	await_size(cache, 8 * MIB);
	/* An unchanged configuration does not undo what was asked for meanwhile: read again, or by the next keeper. */
	resize(cache, 5 * MIB);
	await_size(cache, 5 * MIB);
	kill(server.pid, SIGHUP);
	await_logged("configuration read anew");
	kill(server_keeper(&server), SIGKILL);
	await_logged("going on with 1 clients");
	await_size(cache, 5 * MIB);
	configure("6M", "8M", path);
	kill(server.pid, SIGHUP);
	await_size(cache, 6 * MIB);
	/* Larger than it can become. */
	configure("16M", "16M", path);
	kill(server.pid, SIGHUP);
	await_logged("a new value of size_max needs a restart");
	await_logged("the arena cannot have 16M: it was made for 8M at the most");
	configure("16M", "8M", path);
	kill(server.pid, SIGHUP);
	await_logged("size_max is smaller than size");
	await_size(cache, 6 * MIB);
	client_expect(cache, "key", "value");
	larder_close(cache);
	server_stop(&server);
}
END_TEST

START_TEST(upgrade_keeps_the_size)
{
	char path[128];
	larder *cache;

	unsetenv("LARDER_TEST_PAGES"); /* the page size is the filesystem's */
	server_prepare(&server);
	configure("4M", "8M", path);
	start_configured(path);
	cache = client_open(&server);
	client_put(cache, "key", "value");
	resize(cache, 7 * MIB);
	await_size(cache, 7 * MIB);
	kill(server.pid, SIGUSR2);
	await_logged("serving");
	await_logged("an arena of 7M");
	await_size(cache, 7 * MIB);
	await_memory(7 * MIB);
	/* A size that is new in the configuration is what an upgrade goes to. */
	configure("6M", NULL, path);
	kill(server.pid, SIGUSR2);
	await_size(cache, 6 * MIB);
	await_memory(6 * MIB);
	client_expect(cache, "key", "value");
	larder_close(cache);
	server_stop(&server);
}
END_TEST

START_TEST(impossible_sizes)
{
	server_prepare(&server);
	expect(!server_run(&server,
	                   (const char *[]){ "--socket", server.socket, "--size", "8M", "--size-max", "4M", NULL }));
	expect_equal(server_wait(&server), 6);
	expect(logged("size_max is smaller than size"));
	expect(!server_run(&server,
	                   (const char *[]){ "--socket", server.socket, "--size", "1M", "--size-max", "512G", NULL }));
	expect_equal(server_wait(&server), 1);
	expect(logged("make size larger, or size_max smaller"));
	server_stop(&server);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("resize");

	tcase_add_test(tests, clients_notice_nothing);
	tcase_add_test(tests, keepers_die);
	tcase_add_test(tests, shrinking_keeps_what_is_used);
	tcase_add_test(tests, read_only);
	tcase_add_test(tests, refusals);
	tcase_add_test(tests, malformed_requests);
	tcase_add_test(tests, no_memory);
	tcase_add_test(tests, sighup);
	tcase_add_test(tests, upgrade_keeps_the_size);
	tcase_add_test(tests, impossible_sizes);
	return suite_run("resize", tests);
}
