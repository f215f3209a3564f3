/* SPDX-License-Identifier: MIT */
/*
 * larder-torture: kills and stops clients and the keeper at random instants, some hundred times a second, while all that
 * the clients see is compared with a journal that survives them. The last line is one JSON object; the status is 1 when
 * anything was wrong.
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "larder.h"
#include "tests/support/expect.h"
#include "tests/support/workers.h"
#include "tests/torture/aftermath.h"
#include "tests/torture/forensic.h"
#include "tests/torture/grace.h"
#include "tests/torture/judge.h"
#include "tests/torture/steward.h"
#include "tests/torture/storm.h"

#define LARGE_MAX (UINT32_C(1) << 20)

static int usage(const char *program)
{
	fprintf(stderr,
	        "usage: %s [--duration SECONDS] [--seed N] [--evict | --large | --grow] [--access read-only]\n"
	        "  --evict             a small arena, in which memory is reused all the time\n"
	        "  --large             the same, with values of up to four segments\n"
	        "  --grow              many keys, for which the index must grow, and few, for which it shrinks\n"
	        "  --access read-only  larderd writes for the clients\n"
	        "Starts larderd ($LARDERD).\n"
	        "       %s grace --help\n",
	        program, program);
	return 2;
}

static bool parse(int argc, char **argv, struct settings *settings)
{
	static const struct option options[] = {
		{ "duration", required_argument, NULL, 'd' },
		{ "seed", required_argument, NULL, 's' },
		{ "evict", no_argument, NULL, 'e' },
		{ "grow", no_argument, NULL, 'g' },
		{ "access", required_argument, NULL, 'a' },
		{ "large", no_argument, NULL, 'l' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'd':
			settings->seconds = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 's':
			settings->seed = strtoull(optarg, NULL, 10);
			break;
		case 'e':
			settings->evict = true;
			settings->arena = "32M";
			settings->keys = 200;
			settings->large_max = UINT32_C(200) << 10;
			settings->large_share = 60;
			settings->stall_ms = 20;
			break;
		case 'l':
			settings->evict = true;
			settings->arena = "32M";
			settings->keys = 200;
			settings->large_max = UINT32_C(1800) << 10;
			settings->large_share = 60;
			settings->stall_ms = 20;
			break;
		case 'g':
			settings->arena = "12M"; /* of small segments, so that the index has many */
			settings->keys = 6000;
			settings->value_max = 64;
			settings->large_max = 0;
			settings->tide_ms = 5000; /* longer than they live */
			break;
		case 'a':
			if (strcmp(optarg, "read-only") != 0)
				return false;
			settings->read_only = true;
			settings->arena = "96M"; /* writes by larderd are slower, and so is filling it in the end */
			break;
		default:
			return false;
		}
	}
	return optind == argc;
}

static void create_counters(void *context, unsigned number)
{
	struct larder_incr_options options = LARDER_INCR_OPTIONS;
	larder *cache = steward_open(context);
	struct name name;

	(void)number;
	options.flags = LARDER_INCR_CREATE;
	for (uint32_t counter = 0; counter < COUNTERS; counter++) {
		judge_counter_name(counter, &name);
		expect_equal(larder_incr(cache, name.bytes, name.size, 1, &options, NULL), 0);
	}
	larder_close(cache);
}

static uint64_t sum_calls(const struct board *board)
{
	uint64_t sum = 0;

	for (uint32_t actor = 0; actor < ACTORS; actor++)
		sum += load_relaxed(&board->actors[actor].calls);
	return sum;
}

static void start(struct board *board, struct holdings *ret_holdings)
{
	const struct settings *settings = &board->settings;
	struct server server; /* not on the board: fork would write its two results to one place */
	char stall[16];

	snprintf(stall, sizeof stall, "%" PRIu32, settings->stall_ms);
	server_start(&server, settings->arena, "--stall-ms", stall, "--log-level", "info", "--access",
	             settings->read_only ? "read-only" : "shared-write", NULL);
	board->server = server;
	*ret_holdings = aftermath_settled(&board->server);
	worker_run(create_counters, board);
}

static void print(const struct board *board, const struct storm_counts *counts, const struct leaks *leaks)
{
	fprintf(stderr,
	        "verified %" PRIu64 " times; attached again %" PRIu64 " times; longest call (%s) %" PRIu64
	        " ms; evicted segments: %" PRIu64 "; index segments: %" PRIu32 " after %" PRIu64 " splits and %" PRIu64
	        " merges\n",
	        load_relaxed(&board->verified), load_relaxed(&board->attach_retries),
	        watch_names[counts->longest.operation], counts->longest.ms, load_relaxed(&board->evicted),
	        load_relaxed(&board->index_segments), load_relaxed(&board->splits), load_relaxed(&board->merges));
	printf("{\"client_kills\":%" PRIu64 ",\"keeper_kills\":%" PRIu64 ",\"stops\":%" PRIu64 ",\"ops\":%" PRIu64
	       ",\"wrong\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"hangs\":%" PRIu64 ",\"leaked_bytes\":%" PRIu64
	       ",\"verify\":\"%s\"}\n",
	       counts->client_kills, counts->keeper_kills, counts->stops, sum_calls(board), load_relaxed(&board->wrong),
	       load_relaxed(&board->lost), load_relaxed(&board->hangs), leaks->bytes,
	       load_relaxed(&board->unsound) ? "unsound" : "sound");
}

int main(int argc, char **argv)
{
	struct settings settings = { .seed = (uint64_t)time(NULL),
		                     .seconds = 10,
		                     .keys = 400,
		                     .value_max = 700,
		                     .large_max = LARGE_MAX,
		                     .large_share = 2,
		                     .stall_ms = 50,
		                     .arena = "512M" };
	struct storm_counts counts;
	struct holdings holdings;
	struct leaks leaks = { 0 };
	struct board *board;
	struct server server;

	if (argc > 1 && strcmp(argv[1], "grace") == 0)
		return grace_main(argc - 1, argv + 1);
	if (!parse(argc, argv, &settings))
		return usage(argv[0]);
	board = board_create(&settings);
	start(board, &holdings);
	storm_run(board, &counts);
	if (load_relaxed(&board->failure_count) == 0)
		aftermath_run(board, holdings, &leaks);
	if (!settings.evict && load_relaxed(&board->evicted) != 0)
		fprintf(stderr, "%" PRIu64 " segments were evicted where nothing should be\n",
		        load_relaxed(&board->evicted));
	if (load_relaxed(&board->failure_count) != 0) {
		forensic_report(board);
		storm_bury(board);
		kill(board->server.pid, SIGTERM);
	} else {
		server = board->server;
		server_stop(&server);
	}
	print(board, &counts, &leaks);
	return load_relaxed(&board->failure_count) != 0;
}
