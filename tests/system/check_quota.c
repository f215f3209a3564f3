/* SPDX-License-Identifier: MIT */
/* Quotas: what one user fills the cache with does not drive out what is guaranteed to another, and nobody goes beyond a limit. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/client.h"
#include "tests/support/expect.h"
#include "tests/support/server.h"
#include "tests/support/suite.h"
#include "tests/support/workers.h"

#define MIB (UINT64_C(1) << 20)
#define PATIENCE_MS 20000
#define NOBODY 65534u /* who may be flooded */
#define FLOODER 65533u
#define VALUE_BYTES 4000
#define OURS 2400u /* keys: 9.6 MB, more than half of the arena */
#define FEW 800u
#define FLOOD 12000u /* 48 MB, several times the arena */

enum { MODES = 2 };

static struct server server;
static char text[65536];
static const char *const accesses[] = { "shared-write", "read-only" };

static bool cannot_be_others(void)
{
	if (getuid() != 0)
		fprintf(stderr, "not root, so nobody can be another user: not tested\n");
	return getuid() != 0;
}

static void configure(const char *quotas, int mode)
{
	char content[1024], path[128];

	snprintf(content, sizeof content, "socket = %s\nsize = 16M\naccess = %s\nallow_users = 65533 65534\n%s\n",
	         server.socket, accesses[mode], quotas);
	server_write_file(&server, "larderd.conf", content, path);
}

static void start(const char *quotas, int mode)
{
	char path[128];

	server_prepare(&server);
	configure(quotas, mode);
	snprintf(path, sizeof path, "%s/larderd.conf", server.directory);
	if (!server_run(&server, (const char *[]){ "--config", path, NULL })) {
		server_read_file(server.log, text, sizeof text);
		expect_failed("larderd did not start: %s", text);
	}
	expect(chmod(server.directory, 0755) == 0);
}

struct task {
	uint32_t user;
	unsigned keys;
	uint64_t ttl_ms;
	const char *name;
};

/* Writes as somebody. */
static void write_keys(void *context, unsigned number)
{
	struct larder_set_options options = LARDER_SET_OPTIONS;
	const struct task *task = context;
	unsigned char value[VALUE_BYTES];
	larder *cache;
	char key[48];

	(void)number;
	expect(setgid(task->user) == 0 && setuid(task->user) == 0);
	cache = client_open(&server);
	options.ttl_ms = task->ttl_ms;
	for (unsigned i = 0; i < task->keys; i++) {
		struct patience patience = patience_start(PATIENCE_MS);

		snprintf(key, sizeof key, "%s %u", task->name, i);
		pattern_fill(value, sizeof value, i);
		while (larder_set(cache, key, strlen(key), value, sizeof value, &options, NULL) != 0)
			expect(patience_left(patience));
	}
	larder_close(cache);
}

static void write_as(uint32_t user, const char *name, unsigned keys)
{
	struct task task = { .user = user, .keys = keys, .name = name };

	worker_run(write_keys, &task);
}

static unsigned count_keys(larder *cache, const char *name, unsigned keys)
{
	unsigned char value[VALUE_BYTES];
	unsigned count = 0;
	char key[48];

	for (unsigned i = 0; i < keys; i++) {
		snprintf(key, sizeof key, "%s %u", name, i);
		if (larder_get(cache, key, strlen(key), value, sizeof value, NULL) == 0) {
			expect(pattern_holds(value, sizeof value, i));
			count++;
		}
	}
	return count;
}

static struct larder_stat_tenant tenant_of(larder *cache, uint64_t kind, uint64_t id)
{
	static struct larder_stat stat;

	stat = client_stat(cache);
	for (int i = 0; i < LARDER_STAT_TENANTS; i++)
		if (stat.tenants[i].kind == kind && stat.tenants[i].id == id)
			return stat.tenants[i];
	expect_failed("there is no tenant %" PRIu64, id);
}

/* ---- guarantees ---------------------------------------------------------------------------------------------------- */

START_TEST(guaranteed_data_stays)
{
	larder *cache;

	if (cannot_be_others())
		return;
	start("quota = user 65534, guarantee 12M\n", _i);
	cache = client_open(&server);
	write_as(NOBODY, "ours", OURS);
	write_as(FLOODER, "flood", FLOOD);
	expect(client_stat(cache).evicted_segments > 0);
	expect_equal(count_keys(cache, "ours", OURS), OURS);
	/* The other way round: whoever has no guarantee gives way, down to what is guaranteed. */
	write_as(NOBODY, "more", FLOOD / 2);
	expect_equal(tenant_of(cache, 1, NOBODY).guarantee_bytes, 12 * MIB);
	expect(tenant_of(cache, 1, NOBODY).used_bytes > 10 * MIB);
	larder_close(cache);
	server_stop(&server);
}
END_TEST

/* Without one, the same flood leaves nothing: so what stays above stays because of it. */
START_TEST(without_guarantee_it_goes)
{
	larder *cache;

	if (cannot_be_others())
		return;
	start("", _i);
	cache = client_open(&server);
	write_as(NOBODY, "ours", OURS);
	write_as(FLOODER, "flood", FLOOD);
	expect(count_keys(cache, "ours", OURS) < OURS / 10);
	larder_close(cache);
	server_stop(&server);
}
END_TEST

/* Tenants without a guarantee share: who has more gives way. */
START_TEST(tenants_share)
{
	unsigned left;
	larder *cache;

	if (cannot_be_others())
		return;
	start("quota = user 65534, limit 16M\n", _i);
	cache = client_open(&server);
	write_as(NOBODY, "ours", OURS);
	write_as(FLOODER, "flood", FLOOD);
	left = count_keys(cache, "ours", OURS);
	expect(left > OURS / 2 && left < OURS - OURS / 10);
	larder_close(cache);
	server_stop(&server);
}
END_TEST

/* Of a group, too; and what a keeper kept for somebody the next one keeps for him. */
START_TEST(keepers_and_groups)
{
	struct patience patience = patience_start(PATIENCE_MS);
	pid_t keeper;
	larder *cache;

	if (cannot_be_others())
		return;
	start("quota = user 1, limit 8M\nquota = group 65534, guarantee 12M\n", 0);
	cache = client_open(&server);
	write_as(NOBODY, "ours", OURS);
	keeper = server_keeper(&server);
	kill(keeper, SIGKILL);
	while (server_keeper(&server) == keeper || server_keeper(&server) == 0)
		expect(patience_left(patience));
	write_as(FLOODER, "flood", FLOOD);
	expect_equal(count_keys(cache, "ours", OURS), OURS);
	expect(tenant_of(cache, 2, NOBODY).used_bytes >= (uint64_t)OURS * VALUE_BYTES);
	larder_close(cache);
	server_stop(&server);
}
END_TEST

/* ---- limits -------------------------------------------------------------------------------------------------------- */

START_TEST(limit_is_kept)
{
	struct larder_stat_tenant tenant;
	larder *cache;

	if (cannot_be_others())
		return;
	start("quota = user 65533, limit 6M\n", _i);
	cache = client_open(&server);
	client_put(cache, "of root", "value");
	write_as(NOBODY, "ours", FEW);
	write_as(FLOODER, "flood", FLOOD);
	tenant = tenant_of(cache, 1, FLOODER);
	expect_equal(tenant.limit_bytes, 6 * MIB);
	/* A writer may take a segment while the keeper counts. */
	expect(tenant.used_bytes <= 6 * MIB + client_stat(cache).segment_bytes);
	expect(tenant.used_bytes >= 4 * MIB);
	expect(client_stat(cache).quota_segments > 0);
	expect_equal(client_stat(cache).evicted_segments, 0);
	expect(client_stat(cache).segments_free * client_stat(cache).segment_bytes >= 4 * MIB);
	expect_equal(count_keys(cache, "ours", FEW), FEW);
	client_expect(cache, "of root", "value");
	/* The newest of its own are there. */
	expect(count_keys(cache, "flood", FLOOD) > 500);
	larder_close(cache);
	server_stop(&server);
}
END_TEST

/* Quotas come, change and go with SIGHUP, also for clients that are attached. */
START_TEST(sighup)
{
	larder *cache;

	if (cannot_be_others())
		return;
	start("", 0);
	cache = client_open(&server);
	write_as(FLOODER, "flood", FLOOD);
	expect_equal(client_stat(cache).quota_segments, 0);
	configure("quota = user 65533, limit 6M\nquota = user 0, guarantee 1M\n", 0);
	kill(server.pid, SIGHUP);
	for (struct patience patience = patience_start(PATIENCE_MS); client_stat(cache).tenants[1].kind == 0;)
		expect(patience_left(patience));
	/* The quota is in the statistics before each client is told that it writes under it. */
	for (struct patience patience = patience_start(PATIENCE_MS); tenant_of(cache, 1, 0).used_bytes == 0;) {
		client_put(cache, "of root", "value");
		expect(patience_left(patience));
	}
	write_as(FLOODER, "again", FLOOD);
	expect(tenant_of(cache, 1, FLOODER).used_bytes <= 6 * MIB + client_stat(cache).segment_bytes);
	client_expect(cache, "of root", "value");
	larder_close(cache);
	server_stop(&server);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("quota");

	tcase_add_loop_test(tests, guaranteed_data_stays, 0, MODES);
	tcase_add_loop_test(tests, without_guarantee_it_goes, 0, MODES);
	tcase_add_loop_test(tests, tenants_share, 0, MODES);
	tcase_add_test(tests, keepers_and_groups);
	tcase_add_loop_test(tests, limit_is_kept, 0, MODES);
	tcase_add_test(tests, sighup);
	return suite_run("quota", tests);
}
