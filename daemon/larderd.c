/* SPDX-License-Identifier: MIT */
/* larderd(8): the command line. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/layout.h"
#include "daemon/config.h"
#include "daemon/estate.h"
#include "daemon/log.h"
#include "daemon/quantity.h"
#include "daemon/supervisor.h"
#include "daemon/upgrade.h"
#include "larder.h"

#define OVERRIDES_MAX 64 /* settings on a command line */

enum action { RUN, CHECK, DUMP, CHECK_UPGRADE };

enum option_value {
	OPTION_CONFIG = 1,
	OPTION_CHECK,
	OPTION_DUMP,
	OPTION_READY_FD,
	OPTION_CHECK_UPGRADE,
	OPTION_VERSION,
	OPTION_HELP,
	OPTION_KEY
};

struct override {
	const char *key, *value;
};

struct invocation {
	enum action action;
	const char *config_file; /* NULL: the default one, if there is one */
	struct override overrides[OVERRIDES_MAX];
	int override_count;
	int ready_fd;
};

static const struct option own_options[] = {
	{ "config", required_argument, NULL, OPTION_CONFIG },
	{ "check-config", no_argument, NULL, OPTION_CHECK },
	{ "dump-config", no_argument, NULL, OPTION_DUMP },
	{ "ready-fd", required_argument, NULL, OPTION_READY_FD },
	{ UPGRADE_OPTION, no_argument, NULL, OPTION_CHECK_UPGRADE },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ "help", no_argument, NULL, OPTION_HELP },
};

#define OWN_OPTIONS (sizeof own_options / sizeof own_options[0])

/* Where anything is wrong with how we were called. */
static _Noreturn void usage(const char *text)
{
	fprintf(stderr, "larderd: %s\n", text);
	fputs("larderd: see larderd --help\n", stderr);
	exit(STATUS_USAGE);
}

static void print_version(void)
{
	printf("larderd %d.%d.%d (arena layout %d)\n", LARDER_VERSION_MAJOR, LARDER_VERSION_MINOR, LARDER_VERSION_PATCH,
	       LAYOUT_VERSION);
}

static void print_help(void)
{
	puts("Usage: larderd [OPTION]...\n"
	     "Keeps a cache in shared memory for the processes of this host.\n"
	     "\n"
	     "  --config FILE\n      read the configuration from FILE (default: " CONFIG_DEFAULT_FILE
	     ", if it exists)\n"
	     "  --check-config\n      check the configuration and end\n"
	     "  --dump-config\n      print the configuration in force as a file and end\n"
	     "  --ready-fd N\n      write a newline to descriptor N, and close it, once clients are served\n"
	     "  --version\n      print version and arena layout and end\n"
	     "  --help\n      print this and end\n"
	     "\n"
	     "Each key of the configuration file is an option, too, which wins over the file:\n");
	config_help(stdout);
	puts("\nUnits: K M G T (also KiB, MiB, ...) for bytes; ms s min h for times.\n"
	     "Exit status: 0 ended as told, 1 failure, 2 bad arguments, 4 no permission, 6 bad configuration.");
}

/* All options for getopt_long: our own, and each key of the configuration as it is and with dashes. */
static void list_options(struct option ret_options[OWN_OPTIONS + 2 * CONFIG_KEYS + 1])
{
	static char dashed[CONFIG_KEYS][32];
	struct option *next = ret_options + OWN_OPTIONS;

	memcpy(ret_options, own_options, sizeof own_options);
	for (int i = 0; i < CONFIG_KEYS; i++) {
		snprintf(dashed[i], sizeof dashed[i], "%s", config_key(i));
		for (char *at = dashed[i]; *at; at++)
			*at = *at == '_' ? '-' : *at;
		*next++ = (struct option){ config_key(i), required_argument, NULL, OPTION_KEY + i };
		*next++ = (struct option){ dashed[i], required_argument, NULL, OPTION_KEY + i };
	}
	*next = (struct option){ 0 };
}

static void add_override(struct invocation *invocation, const char *key, const char *value)
{
	if (invocation->override_count == OVERRIDES_MAX)
		usage("too many options");
	invocation->overrides[invocation->override_count++] = (struct override){ key, value };
}

static int parse_ready_fd(const char *text)
{
	uint64_t number;

	/* It was closed long ago, and its number may be another descriptor's now. */
	if (upgrade_present())
		return -1;
	if (quantity_parse_count(text, &number) || number > INT32_MAX || fcntl((int)number, F_GETFD) < 0)
		usage("--ready-fd: give the number of an open descriptor");
	fcntl((int)number, F_SETFD, FD_CLOEXEC);
	return (int)number;
}

static void parse_arguments(int count, char **arguments, struct invocation *ret_invocation)
{
	struct option options[OWN_OPTIONS + 2 * CONFIG_KEYS + 1];
	int option;

	list_options(options);
	while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
		switch (option) {
		case OPTION_CONFIG:
			ret_invocation->config_file = optarg;
			break;
		case OPTION_CHECK:
			ret_invocation->action = CHECK;
			break;
		case OPTION_DUMP:
			ret_invocation->action = DUMP;
			break;
		case OPTION_READY_FD:
			ret_invocation->ready_fd = parse_ready_fd(optarg);
			break;
		case OPTION_CHECK_UPGRADE:
			if (!upgrade_present())
				usage("--" UPGRADE_OPTION " is for larderd itself, when it gets SIGUSR2");
			ret_invocation->action = CHECK_UPGRADE;
			break;
		case OPTION_VERSION:
			print_version();
			exit(STATUS_OK);
		case OPTION_HELP:
			print_help();
			exit(STATUS_OK);
		case '?':
			exit(STATUS_USAGE); /* getopt_long has said what is wrong */
		default:
			add_override(ret_invocation, config_key(option - OPTION_KEY), optarg);
		}
	}
	if (optind < count)
		usage("there are no arguments besides options");
}

/* Defaults, then the file, then the command line. */
static int configure(void *context, struct config *ret_config, struct fault *fault)
{
	const struct invocation *invocation = context;
	const char *file = invocation->config_file ? invocation->config_file : CONFIG_DEFAULT_FILE;
	int result = 0;

	config_defaults(ret_config);
	if (invocation->config_file || access(file, F_OK) == 0)
		result = config_load(ret_config, file, fault);
	for (int i = 0; i < invocation->override_count && result == 0; i++)
		result = config_set(ret_config, invocation->overrides[i].key, invocation->overrides[i].value, fault);
	return result ? result : config_check(ret_config, fault);
}

/* Options are checked before the file is read, so that each fault has its own exit status. */
static void check_overrides(const struct invocation *invocation)
{
	struct config config;
	struct fault fault;

	config_defaults(&config);
	for (int i = 0; i < invocation->override_count; i++) {
		if (config_set(&config, invocation->overrides[i].key, invocation->overrides[i].value, &fault)) {
			fprintf(stderr, "larderd: --%s\n", fault.text);
			exit(STATUS_USAGE);
		}
	}
}

/* A program that was started without them would use 0, 1 and 2 for what it opens, and then log into its arena. */
static void open_standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* Run by the larderd that is to be replaced, with all that it would leave to us. */
static int check_upgrade(const struct config *config)
{
	struct fault fault = { "" };

	log_open("larderd: trial");
	if (estate_try(config, &fault) || upgrade_accept(&fault)) {
		log_error("%s", fault.text);
		return STATUS_FAILURE;
	}
	return STATUS_OK;
}

int main(int argc, char **argv)
{
	struct invocation invocation = { .action = RUN, .ready_fd = -1 };
	/* As it was found by a shell or service manager: a link that then leads to a new version is followed again. */
	const struct program program = { (const char *)(uintptr_t)getauxval(AT_EXECFN), (const char *const *)argv };
	struct supervisor_start start = { .reload = configure, .context = &invocation, .program = program };
	struct fault fault = { "" };

	open_standard_streams();
	umask(077);
	log_open("larderd");
	parse_arguments(argc, argv, &invocation);
	check_overrides(&invocation);
	if (configure(&invocation, &start.config, &fault)) {
		fprintf(stderr, "larderd: %s\n", fault.text);
		return STATUS_CONFIG;
	}
	if (invocation.action == CHECK_UPGRADE)
		return check_upgrade(&start.config);
	if (invocation.action == DUMP)
		config_dump(&start.config, stdout);
	if (invocation.action != RUN)
		return fflush(stdout) == 0 ? STATUS_OK : STATUS_FAILURE;
	start.ready_fd = invocation.ready_fd;
	return supervisor_run(&start);
}
