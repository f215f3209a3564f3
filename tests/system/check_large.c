/* SPDX-License-Identifier: MIT */
/*
 * Values of 100 bytes to the largest there can be, by several processes at once, each of which has the arena at another address and may be
 * killed at any moment: what is read is whole, and in the end every segment comes back.
 */
#include "tests/support/suite.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena/lease.h"
#include "cache/cache.h"
#include "tests/support/client.h"
#include "tests/support/expect.h"
#include "tests/support/raw.h"
#include "tests/support/workers.h"
#include "tests/unit/support/random.h"

#define WORKERS 4
#define KEYS 30
#define LIFE_MS 3000
#define KILLS 60
#define PAUSE_MS 60
#define LEAST 100
#define PATIENCE_MS 60000
#define TIMEOUT_MS 10000

static const struct mode {
	const char *access, *size;
	unsigned kills;
} modes[] = { { "shared-write", "96M", KILLS }, { "read-only", "64M", KILLS / 3 } };

static struct server server;

struct progress {
	atomic_uint writes, large, reads;
};
static struct progress *progress;

struct head {
	uint64_t key, size, seed;
};

static void check_value(const void *bytes, size_t size, uint64_t key)
{
	struct head head;

	expect(size >= sizeof head);
	memcpy(&head, bytes, sizeof head);
	expect(head.key == key && head.size == size);
	expect(pattern_holds((const char *)bytes + sizeof head, size - sizeof head, head.seed));
}

static void read_one(larder *cache, uint64_t key, unsigned char *buffer, size_t most)
{
	struct larder_item item;
	struct larder_view view;
	char name[16];
	size_t name_size = (size_t)snprintf(name, sizeof name, "large %u", (unsigned)key);

	if (key % 2) {
		if (larder_get(cache, name, name_size, buffer, most, &item) == 0)
			check_value(buffer, item.value_size, key);
	} else if (larder_view(cache, name, name_size, &view) == 0) {
		check_value(view.data, view.size, key);
		larder_release(cache, &view);
	}
	atomic_fetch_add(&progress->reads, 1);
}

static void write_one(larder *cache, uint64_t key, size_t size, uint64_t seed, unsigned char *buffer, size_t segment)
{
	struct larder_set_options options = LARDER_SET_OPTIONS;
	struct head head = { key, size, seed };
	char name[16];
	size_t name_size = (size_t)snprintf(name, sizeof name, "large %u", (unsigned)key);
	int result;

	memcpy(buffer, &head, sizeof head);
	pattern_fill(buffer + sizeof head, size - sizeof head, seed);
	options.ttl_ms = LIFE_MS;
	result = larder_set(cache, name, name_size, buffer, size, &options, NULL);
	if (result != 0 && result != -EAGAIN)
		expect_failed("set of %zu bytes: %s", size, larder_strerror(result));
	atomic_fetch_add(&progress->writes, result == 0);
	atomic_fetch_add(&progress->large, result == 0 && size > segment);
}

/* Until it is killed. */
static void work(unsigned number)
{
	struct larder_open_options options = LARDER_OPEN_OPTIONS;
	struct random random = { number };
	struct larder_stat stat = { .size = sizeof stat };
	unsigned char *buffer;
	larder *cache;

	expect(mmap(NULL, (size_t)(1 + number % 64) << 21, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	       MAP_FAILED);
	options.timeout_ms = TIMEOUT_MS;
	if (larder_open(server.socket, &options, &cache))
		expect_failed("worker %u cannot attach", number);
	expect(larder_stat(cache, &stat) == 0);
	buffer = malloc(stat.value_size_max);
	expect(buffer != NULL);
	for (;;) {
		double part = random_below(&random, 10001) / 10000.0;
		size_t size = (size_t)(LEAST * pow((double)stat.value_size_max / LEAST, part));

		write_one(cache, random_below(&random, KEYS), size, random_next(&random), buffer, stat.segment_bytes);
		for (int i = 0; i < 3; i++)
			read_one(cache, random_below(&random, KEYS), buffer, stat.value_size_max);
	}
}

static pid_t start(unsigned number)
{
	pid_t parent = getpid(), child = fork();

	expect(child >= 0);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			work(number);
		_exit(1);
	}
	return child;
}

static void end(pid_t worker)
{
	int status;

	ck_assert_int_eq(kill(worker, SIGKILL), 0);
	ck_assert_int_eq(waitpid(worker, &status, 0), worker);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "a worker ended by itself: %#x", status);
}

static void expect_sound_arena(bool writable)
{
	int fds[RAW_FDS];
	struct wire_welcome welcome;
	struct fault fault = { "" };
	struct cache_thread thread;
	struct lease lease;
	struct cache cache;
	int channel = raw_attach(&server, &welcome, fds);

	/* Without it larderd may take us for gone when memory is held up. */
	ck_assert_int_eq(lease_take(fds[RAW_LEASE], &lease, NULL), 0);
	ck_assert_msg(cache_attach(&cache, fds[RAW_ARENA], fds[RAW_CONTROL], writable, false, 0, &fault) == 0, "%s",
	              fault.text);
	ck_assert_int_eq(cache_thread_start(&cache, &thread), 0);
	ck_assert_int_eq(cache_verify(&thread, NULL, NULL, NULL), 0);
	cache_thread_stop(&thread);
	cache_detach(&cache);
	lease_give_up(&lease);
	for (int i = 0; i < RAW_FDS; i++)
		close(fds[i]);
	close(channel);
}

/* All values have expired: nothing may be left of them, whoever was killed while he wrote them. */
static void expect_all_back(larder *cache, uint64_t segments_free)
{
	for (struct patience patience = patience_start(PATIENCE_MS);;) {
		struct larder_stat stat = client_stat(cache);

		if (stat.segments_free >= segments_free && stat.entries == 0)
			break;
		ck_assert_msg(patience_left(patience), "%u of %u segments are free, %u entries",
		              (unsigned)stat.segments_free, (unsigned)segments_free, (unsigned)stat.entries);
	}
}

START_TEST(killed_writers)
{
	const struct mode *mode = &modes[_i];
	struct random random = { 77 };
	pid_t workers[WORKERS];
	uint64_t segments_free;
	larder *cache;
	unsigned next = 0;

	progress = shared_memory(sizeof *progress);
	server_start(&server, mode->size, "--access", mode->access, NULL);
	cache = client_open(&server);
	segments_free = client_stat(cache).segments_free;
	for (unsigned i = 0; i < WORKERS; i++)
		workers[i] = start(next++);
	for (unsigned i = 0; i < mode->kills; i++) {
		unsigned victim = random_below(&random, WORKERS);

		poll(NULL, 0, (int)random_below(&random, 2 * PAUSE_MS));
		end(workers[victim]);
		workers[victim] = start(next++);
		if (i % 10 == 0)
			expect_sound_arena(_i == 0);
	}
	for (struct patience patience = patience_start(PATIENCE_MS); atomic_load(&progress->large) < 10;)
		ck_assert(patience_left(patience));
	for (unsigned i = 0; i < WORKERS; i++)
		end(workers[i]);
	expect_sound_arena(_i == 0);
	expect_all_back(cache, segments_free - (_i ? 1 : 0)); /* read-only: the keeper's own runs */
	expect_sound_arena(_i == 0);
	larder_close(cache);
	server_stop(&server);
}
END_TEST

#if !defined(__SANITIZE_ADDRESS__) && \
	!defined(__SANITIZE_THREAD__) /* which keep for long what is given back, or its shadow */
/* Of a process, what is its own; in KiB. */
static unsigned long own_memory(pid_t process)
{
	char path[64], line[256];
	unsigned long kib = 0;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/status", (int)process);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof line, file))
		if (sscanf(line, "RssAnon: %lu kB", &kib) == 1)
			break;
	fclose(file);
	return kib;
}

/* Large values go through the keeper when clients may not write; it does not keep their memory, but gives it back after it has answered. */
START_TEST(keeper_gives_memory_back)
{
	static char value[16 << 20];
	unsigned long before;
	larder *cache;

	server_start(&server, "64M", "--access", "read-only", NULL);
	cache = client_open(&server);
	ck_assert_int_eq(larder_set(cache, "small", 5, value, 100, NULL, NULL), 0);
	before = own_memory(server_keeper(&server));
	for (int i = 0; i < 20; i++) {
		int result = larder_set(cache, "large", 5, value, sizeof value, NULL, NULL);

		ck_assert(result == 0 || result == -EAGAIN);
	}
	for (struct patience patience = patience_start(PATIENCE_MS);
	     own_memory(server_keeper(&server)) >= before + 4 * 1024;)
		ck_assert(patience_left(patience));
	larder_close(cache);
	server_stop(&server);
}
END_TEST
#define MEMORY_IS_GIVEN_BACK
#endif

int main(void)
{
	TCase *tests = tcase_create("large");

#ifdef MEMORY_IS_GIVEN_BACK
	tcase_add_test(tests, keeper_gives_memory_back);
#endif
	tcase_add_loop_test(tests, killed_writers, 0, (int)(sizeof modes / sizeof modes[0]));
	return suite_run("large", tests);
}
