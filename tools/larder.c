/* SPDX-License-Identifier: MIT */
/*
 * larder - the cache from the command line. This file is the table of commands; larder_command_line.c reads the command line
 * into a struct invocation, and the function of the command does the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/layout.h"
#include "tools/larder_command_line.h"
#include "tools/larder_invocation.h"
#include "tools/larder_read.h"
#include "tools/larder_resize.h"
#include "tools/larder_stat.h"
#include "tools/larder_verify.h"
#include "tools/larder_write.h"

static enum outcome help(struct invocation *invocation);
static enum outcome version(struct invocation *invocation);

#define ANY SIZE_MAX
#define STORE_OPTIONS (OPTION_ESCAPED | OPTION_TTL | OPTION_FLAGS)
#define COUNT_OPTIONS (OPTION_ESCAPED | OPTION_TTL | OPTION_INITIAL)

static const struct command commands[] = {
	{ "get", "KEY", "write the value of a key to standard output", 1, 1, OPTION_ESCAPED, command_get },
	{ "mget", "KEY...", "show several keys with their values", 1, ANY, OPTION_ESCAPED, command_mget },
	{ "ttl", "KEY", "show how long a key will live", 1, 1, OPTION_ESCAPED, command_ttl },
	{ "scan", "[PREFIX]", "list the keys, or those that begin with PREFIX", 0, 1,
	  OPTION_ESCAPED | OPTION_LONG | OPTION_ZERO | OPTION_LIMIT, command_scan },
	{ "set", "KEY [VALUE]", "store a value", 1, 2, STORE_OPTIONS, command_set },
	{ "add", "KEY [VALUE]", "store a value where the key is absent", 1, 2, STORE_OPTIONS, command_add },
	{ "replace", "KEY [VALUE]", "store a value where the key is present", 1, 2, STORE_OPTIONS, command_replace },
	{ "cas", "KEY VERSION [VALUE]", "store a value where the key still has VERSION", 2, 3, STORE_OPTIONS,
	  command_cas },
	{ "append", "KEY [VALUE]", "add bytes to the end of a value", 1, 2, OPTION_ESCAPED, command_append },
	{ "del", "KEY...", "remove keys", 1, ANY, OPTION_ESCAPED | OPTION_IF_VERSION, command_del },
	{ "incr", "KEY [NUMBER]", "add NUMBER (1) to a counter and show it", 1, 2, COUNT_OPTIONS, command_incr },
	{ "decr", "KEY [NUMBER]", "subtract NUMBER (1) from a counter and show it", 1, 2, COUNT_OPTIONS, command_decr },
	{ "touch", "KEY LIFE", "give a key a new life, as of --ttl", 2, 2, OPTION_ESCAPED, command_touch },
	{ "stat", "", "show what the cache holds and does", 0, 0, 0, command_stat },
	{ "resize", "SIZE", "give the arena another size while it is used", 1, 1, OPTION_WAIT, command_resize },
	{ "verify", "", "check every invariant of the arena", 0, 0, 0, command_verify },
	{ "version", "", "show the versions of command, library and arena layout", 0, 0, 0, version },
	{ "help", "[COMMAND]", "show this, or the options of COMMAND", 0, 1, 0, help },
	{ 0 },
};

static enum outcome help(struct invocation *invocation)
{
	const struct command *command = NULL;

	if (invocation->operand_count > 0) {
		command = command_line_find(commands, invocation->operands[0]);
		if (!command)
			return OUTCOME_USAGE;
	}
	command_line_help(stdout, commands, command);
	return OUTCOME_OK;
}

static enum outcome version(struct invocation *invocation)
{
	char own[32];

	snprintf(own, sizeof own, "%d.%d.%d", LARDER_VERSION_MAJOR, LARDER_VERSION_MINOR, LARDER_VERSION_PATCH);
	/* The stamp is text: JSON readers that hold numbers as doubles would round it. */
	printf(invocation->json
	               ? "{\"larder\":\"%s\",\"library\":\"%s\",\"layout_version\":%d,\"layout_stamp\":\"%016" PRIx64
	                 "\"}\n"
	               : "larder %s, library %s, arena layout %d (stamp %016" PRIx64 ")\n",
	       own, larder_version(), LAYOUT_VERSION, layout_stamp());
	return OUTCOME_OK;
}

static enum outcome run(struct invocation *invocation)
{
	enum outcome outcome;

	if (invocation->given & OPTION_HELP) {
		command_line_help(stdout, commands, invocation->command);
		return OUTCOME_OK;
	}
	if (invocation->given & OPTION_VERSION)
		return version(invocation);
	outcome = invocation->command->run(invocation);
	larder_close(invocation->cache);
	return outcome;
}

/*
 * Where the caller closed a standard stream, the next descriptor to be opened would take its place: standard output would
 * go into a socket. Such a place is taken by something that fails, which is what reading or writing there should do.
 */
static bool fill_standard_descriptors(void)
{
	static const int useless_modes[] = { O_WRONLY, O_RDONLY, O_RDONLY };

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", useless_modes[fd]) != fd)
			return false;
	return true;
}

int main(int argc, char **argv)
{
	char **operands = calloc((size_t)argc + 1, sizeof *operands);
	struct invocation invocation;
	enum outcome outcome;

	if (!operands || !fill_standard_descriptors()) {
		fputs("larder: out of memory or of descriptors\n", stderr);
		free(operands);
		return OUTCOME_FAILED;
	}
	outcome = command_line_read(argc, argv, commands, operands, &invocation);
	if (outcome == OUTCOME_OK)
		outcome = run(&invocation);
	free(operands);
	/* An answer that did not arrive (a full disk, say) is not an answer. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "larder: cannot write to standard output: %s\n", strerror(errno));
		return OUTCOME_FAILED;
	}
	return (int)outcome;
}
