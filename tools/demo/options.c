/* SPDX-License-Identifier: MIT */
#include "tools/demo/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "larder.h"
#include "tools/demo/board.h"

#define SECONDS_MAX (24 * 3600)
#define USERS_MIN 1000
#define USERS_MAX 10000000

static const char help[] =
	"Usage: larder-demo [option...]\n"
	"\n"
	"Starts a private larderd, lets several processes share one cache, checks every value they read, and says how fast\n"
	"it was. It needs no privileges and leaves nothing behind.\n"
	"\n"
	"  --seconds S      how long the workers work (12)\n"
	"  --workers N      worker processes, 1 to 64 (4)\n"
	"  --users N        users of the web shop, 1000 to 10000000 (200000)\n"
	"  --size SIZE      size of the arena (256M)\n"
	"  --seed N         another sequence of requests (1)\n"
	"  --no-kill        do not kill a worker half-way\n"
	"  --larderd PATH   the daemon; otherwise $LARDERD, else larderd beside this program or in ../sbin\n"
	"  --trace FILE     replay a trace instead of the web shop, to its end\n"
	"  --speed X        replay X times as fast as it was recorded; otherwise as fast as possible\n"
	"  --help, --version\n"
	"\n"
	"The workload is a web shop: JSON sessions of 256 bytes to 16 KiB (log-normal, median 700), 200000 users of Zipfian\n"
	"popularity (0.99, the constant of YCSB, SoCC 2010), pages of 8 fragments each, page and rate counters; lives from\n"
	"seconds to a day; about 90 % of the calls read. Compare: 30 reads per write in Facebook's general memcached pool\n"
	"(Atikoglu et al., SIGMETRICS 2012); a median of 230 bytes per object, lives from minutes to days, and more than\n"
	"30 % writes in a third of the clusters at Twitter (Yang, Yue, Rashmi, OSDI 2020).\n"
	"\n"
	"A trace has one request per line: time,key,key_size,value_size,client,operation,ttl as in the traces that Twitter\n"
	"published (github.com/twitter/cache-trace): times in seconds; operation one of get gets set add replace cas append\n"
	"prepend delete incr decr. A get that misses is followed by a set; prepend is replayed as append.\n"
	"\n"
	"Exit status: 0 when everything was right, 1 when something was not, 2 for a wrong command line, 130 when interrupted.\n";

static int wrong_number(const char *name, const char *text, double least, double most)
{
	fprintf(stderr, "larder-demo: --%s %s: expected a number from %.10g to %.10g\n", name, text, least, most);
	return -EINVAL;
}

static int parse_real(const char *name, const char *text, double least, double most, double *ret_number)
{
	char *end;
	double number = strtod(text, &end);

	if (end == text || *end != '\0' || !(number >= least && number <= most))
		return wrong_number(name, text, least, most);
	*ret_number = number;
	return 0;
}

static int parse_whole(const char *name, const char *text, uint32_t least, uint32_t most, uint32_t *ret_number)
{
	char *end;
	long long number;

	errno = 0;
	number = strtoll(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0 || number < least || number > most)
		return wrong_number(name, text, least, most);
	*ret_number = (uint32_t)number;
	return 0;
}

int options_parse(int argc, char **argv, struct options *ret_options)
{
	enum { SECONDS = 1, WORKERS, USERS, SIZE, SEED, NO_KILL, LARDERD, TRACE, SPEED, HELP, VERSION };
	static const struct option known[] = {
		{ "seconds", required_argument, NULL, SECONDS }, { "workers", required_argument, NULL, WORKERS },
		{ "users", required_argument, NULL, USERS },     { "size", required_argument, NULL, SIZE },
		{ "seed", required_argument, NULL, SEED },       { "no-kill", no_argument, NULL, NO_KILL },
		{ "larderd", required_argument, NULL, LARDERD }, { "trace", required_argument, NULL, TRACE },
		{ "speed", required_argument, NULL, SPEED },     { "help", no_argument, NULL, HELP },
		{ "version", no_argument, NULL, VERSION },       { 0 },
	};
	struct options options = {
		.workers = 4, .seconds = 12, .users = 200000, .seed = 1, .size = "256M", .kill = true
	};
	uint32_t seed;
	int option, result = 0;

	while (result == 0 && (option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case SECONDS:
			result = parse_real("seconds", optarg, 0.1, SECONDS_MAX, &options.seconds);
			break;
		case WORKERS:
			result = parse_whole("workers", optarg, 1, BOARD_WORKERS_MAX, &options.workers);
			break;
		case USERS:
			result = parse_whole("users", optarg, USERS_MIN, USERS_MAX, &options.users);
			break;
		case SIZE:
			options.size = optarg;
			break;
		case SEED:
			result = parse_whole("seed", optarg, 0, UINT32_MAX, &seed);
			if (result == 0)
				options.seed = seed;
			break;
		case NO_KILL:
			options.kill = false;
			break;
		case LARDERD:
			options.larderd = optarg;
			break;
		case TRACE:
			options.trace = optarg;
			break;
		case SPEED:
			result = parse_real("speed", optarg, 0.001, 1e9, &options.speed);
			break;
		case HELP:
			fputs(help, stdout);
			return 1;
		case VERSION:
			printf("larder-demo %s\n", larder_version());
			return 1;
		default:
			fprintf(stderr, "Try larder-demo --help.\n");
			return -EINVAL;
		}
	}
	if (result == 0 && optind < argc) {
		fprintf(stderr, "larder-demo: '%s': there are options only; a trace is given by --trace FILE\n",
		        argv[optind]);
		return -EINVAL;
	}
	if (result == 0 && options.speed > 0 && options.trace == NULL) {
		fprintf(stderr, "larder-demo: --speed: only with --trace\n");
		return -EINVAL;
	}
	if (result == 0)
		*ret_options = options;
	return result;
}
