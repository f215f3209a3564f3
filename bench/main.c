/* SPDX-License-Identifier: MIT */
/* larder-bench: the command line. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/harness.h"
#include "larder.h"

#define EXIT_USAGE 2

static const struct subcommand {
	const char *name;
	int (*run)(const struct bench_options *options);
	bool takes_operation;
	const char *summary;
	const char *help;
} subcommands[] = {
	{ "core", bench_core, false, "what one process's operations cost, beside the least they can cost",
	  "Starts a larderd of its own with an arena of 512 MiB and stores 1000000 entries with keys of 20 bytes\n"
	  "and values of 100. Headlines:\n"
	  "  get_vs_floor              get_ns / floor_ns: a lookup against the plain walk: a hash table with neither\n"
	  "                            sharing nor change nor expiry that does XXH3, two dependent loads, compare and\n"
	  "                            copy, in memory of the arena's page size; independent keys\n"
	  "  view_1m_vs_100b           a view of a value of 1 MiB against one of 100 bytes, 64 keys each\n"
	  "  overhead_bytes_per_entry  memory in use beyond keys and values, for each entry\n"
	  "The chained variants take each key out of the value before, so that no two lookups overlap. The minimal\n"
	  "floor is a loop of constant sizes that is told the slot. bench/README.md explains each number.\n" },
	{ "quick", bench_quick, false, "larder beside what else could be used, in less than a minute",
	  "Measures larder, memcached, Redis, LMDB, APCu, DPDK's rte_hash, liburcu's cds_lfht and Concurrency Kit's ck_ht, as\n"
	  "far as they are installed (make bench-deps, make peers), in turns, on a million keys of 20 bytes and values of 100.\n"
	  "docs/PERFORMANCE.md explains each number. Ratios with memcached, redis, lmdb, apcu and servers in their names say how\n"
	  "many times as fast larder is; all others how many times as long it takes.\n" },
	{ "full", bench_full, false,
	  "the same at length: more keys, sizes, mixes and processes, and latencies; JSON only",
	  "What quick measures, on 1 and 10 million keys, values of 100 bytes and of 1 KiB, uniform and Zipf, with reads, writes and\n"
	  "mixes, by 1, 2 and 8 processes, with the distribution of single operations' times. tools/bench_report.py makes a page\n"
	  "of it. --quick: 100000 keys and 3 rounds, to see whether it works.\n" },
	{ "scaling", bench_scaling, false, "how larder's costs move with keys, processes, sizes, writes and arenas",
	  "Varies one of them at a time: 1000 to 40 million keys (as far as memory goes), 1 to 64 processes, values of 16 bytes\n"
	  "to 1 MiB, 0 to 100 percent of writes, 1 to 8 arenas.\n" },
	{ "missratio", bench_missratio, false, "how often larder misses, beside simulated policies of the same size",
	  "Runs five sequences of requests through an arena of 128 MiB with its keeper, and through simulations of LRU,\n"
	  "CLOCK, S3-FIFO and Belady's optimum that get as many bytes. Headlines:\n"
	  "  worst_vs_s3fifo_ref       larder's miss ratio / that of simulated S3-FIFO, where it is highest\n"
	  "  worst_vs_lru              the same for LRU\n"
	  "With --trace, the requests are those of a file: lines of Twitter's cache traces, or records of libCacheSim's\n"
	  "oracleGeneral. The arena then has room for a tenth of the keys, and at least 8 MiB.\n" },
	{ "memory", bench_memory, false, "how well memory is used, and how soon it comes back",
	  "Miss ratios as by larder-bench missratio, and five measurements with a larderd of their own. Headlines:\n"
	  "  worst_vs_s3fifo_ref       as of missratio\n"
	  "  worst_vs_lru              as of missratio\n"
	  "  utilisation               as of fragmentation\n"
	  "  expiry_lag_ms             from the last end of a life in a segment until it is free; the worst\n"
	  "  growth_worst_over_median  the longest time that reads take because the index grows, for the median;\n"
	  "                            bench/README.md says how that is told\n"
	  "  overload_rate_ratio       the rate of writes where as much is evicted as is written, for one without\n" },
	{ "expiry", bench_expiry, false, "how soon memory comes back whose objects have expired",
	  "A segment at a time, and most of an arena at one moment while others write. Headline:\n"
	  "  expiry_lag_ms             as of memory\n" },
	{ "growth", bench_growth, false, "what reads take while the index grows",
	  "One process inserts keys until the index has grown many times, another reads. As of memory, by itself. Headline:\n"
	  "  growth_worst_over_median  as of memory\n" },
	{ "overload", bench_overload, false, "what writes take when as much must be evicted as is written",
	  "Writes new keys into an arena that has room for a tenth of them, and by turns into one that has room for all. As of memory, by\n"
	  "itself. Headline:\n"
	  "  overload_rate_ratio       as of memory\n" },
	{ "fragmentation", bench_fragmentation, false, "how much of a full arena is living objects",
	  "Writes ten times the bytes of an arena of 128 MiB: sizes from 1 byte to 1 MiB whose logarithm is uniform, with overwrites\n"
	  "and deletes, twice as many keys as fit. Tells what the bytes are in the last of the ten rounds, and verifies the arena. Headline:\n"
	  "  utilisation               living objects (header, key, value), of the bytes of the arena, index and all\n" },
	{ "instructions", bench_instructions, true, "run one operation over and over, for callgrind",
	  "OPERATION is get, view, set, mget32, get-ttl, view-ttl or mget32-ttl. Prints nothing: bench/instructions.sh runs this under callgrind\n"
	  "and makes the table.\n" },
};

#define SUBCOMMANDS (sizeof subcommands / sizeof subcommands[0])

static void print_help(const struct subcommand *subcommand)
{
	if (subcommand) {
		printf("Usage: larder-bench %s %s[OPTION]...\n\n%s", subcommand->name,
		       subcommand->takes_operation ? "OPERATION " : "", subcommand->help);
	} else {
		puts("Usage: larder-bench SUBCOMMAND [OPTION]...\n\nMeasures larder on this machine.\n\nSubcommands:");
		for (size_t i = 0; i < SUBCOMMANDS; i++)
			printf("  %-14s %s\n", subcommands[i].name, subcommands[i].summary);
	}
	puts("\nOptions:\n"
	     "  --json          one JSON object instead of a table\n"
	     "  --quick         3 rounds instead of 11; memory: within a minute\n"
	     "  --full          memory, growth: 40 million keys in 8 GiB, for some minutes\n"
	     "  --trace FILE    missratio: requests from a file\n"
	     "  --rounds N      so many rounds (1 to 31)\n"
	     "  --pages WHICH   page size of the arena: huge, small or auto, as larderd's option\n"
	     "  --reserve-huge  have the kernel set aside huge pages, and give them back at the end (root)\n"
	     "  --keys N        quick: so many entries instead of a million\n"
	     "  --count N       instructions: operations (default 10000); missratio: requests of the trace (10000000)\n"
	     "  --help          this text, or that of the subcommand\n"
	     "  --version\n"
	     "\n"
	     "Environment: LARDERD: the larderd to run, else the one beside this program; TMPDIR.\n"
	     "Exit status: 0; 1: it failed, and said why; 2: usage.");
}

static bool parse_number(const char *text, unsigned long limit, unsigned long *ret_number)
{
	char *end;

	errno = 0;
	*ret_number = strtoul(text, &end, 10);
	return errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0' && *ret_number > 0 &&
	       *ret_number <= limit;
}

static bool is_page_choice(const char *text)
{
	return strcmp(text, "huge") == 0 || strcmp(text, "small") == 0 || strcmp(text, "auto") == 0;
}

static const struct subcommand *find_subcommand(const char *name)
{
	for (size_t i = 0; i < SUBCOMMANDS; i++)
		if (strcmp(name, subcommands[i].name) == 0)
			return &subcommands[i];
	return NULL;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "json", no_argument, NULL, 'j' },         { "quick", no_argument, NULL, 'q' },
		{ "rounds", required_argument, NULL, 'r' }, { "pages", required_argument, NULL, 'p' },
		{ "reserve-huge", no_argument, NULL, 'R' }, { "count", required_argument, NULL, 'c' },
		{ "full", no_argument, NULL, 'f' },         { "trace", required_argument, NULL, 't' },
		{ "keys", required_argument, NULL, 'k' },   { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },      { NULL, 0, NULL, 0 },
	};
	struct bench_options options = { 0 };
	const struct subcommand *subcommand = NULL;
	unsigned long number;
	bool help = false;
	int option, operands;

	while ((option = getopt_long(argc, argv, "hV", long_options, NULL)) != -1) {
		switch (option) {
		case 'j':
			options.json = true;
			break;
		case 'q':
			options.quick = true;
			break;
		case 'f':
			options.full = true;
			break;
		case 't':
			options.trace = optarg;
			break;
		case 'r':
			if (!parse_number(optarg, HARNESS_ROUNDS_MAX, &number))
				return complain(EXIT_USAGE, "--rounds %s: not a number from 1 to %d", optarg,
				                HARNESS_ROUNDS_MAX);
			options.rounds = (unsigned)number;
			break;
		case 'p':
			if (!is_page_choice(optarg))
				return complain(EXIT_USAGE, "--pages %s: neither huge nor small nor auto", optarg);
			options.pages = optarg;
			break;
		case 'R':
			options.reserve_huge = true;
			break;
		case 'c':
			if (!parse_number(optarg, 1000000000, &options.count))
				return complain(EXIT_USAGE, "--count %s: not a number from 1 to 1000000000", optarg);
			break;
		case 'k':
			if (!parse_number(optarg, 100000000, &options.keys))
				return complain(EXIT_USAGE, "--keys %s: not a number from 1 to 100000000", optarg);
			break;
		case 'h':
			help = true;
			break;
		case 'V':
			printf("larder-bench %s\n", larder_version());
			return 0;
		default:
			return EXIT_USAGE; /* getopt has said why */
		}
	}

	operands = argc - optind;
	if (operands > 0) {
		subcommand = find_subcommand(argv[optind]);
		if (!subcommand)
			return complain(EXIT_USAGE, "%s: no such subcommand; see larder-bench --help", argv[optind]);
	}
	if (help) {
		print_help(subcommand);
		return 0;
	}
	if (!subcommand)
		return complain(EXIT_USAGE, "no subcommand; see larder-bench --help");
	if (operands != (subcommand->takes_operation ? 2 : 1))
		return complain(EXIT_USAGE, "%s takes %s; see larder-bench %s --help", subcommand->name,
		                subcommand->takes_operation ? "one operand, the operation" : "no operand",
		                subcommand->name);
	if (subcommand->takes_operation)
		options.operation = argv[optind + 1];

	harness_catch_signals();
	return subcommand->run(&options) == 0 ? 0 : 1;
}
