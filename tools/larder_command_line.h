/* SPDX-License-Identifier: MIT */
/* The command line: options, which command takes which, and the help that is written from the same tables. */
#ifndef LARDER_TOOLS_LARDER_COMMAND_LINE_H
#define LARDER_TOOLS_LARDER_COMMAND_LINE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/wire.h"
#include "tools/larder_invocation.h"

/* Every option once: name, letter or 0, long name, argument or NULL, what it does. */
#define OPTION_TABLE(X) \
	X(SOCKET, 's', "socket", "SOCKET", \
	  "where larderd listens (default: $LARDER_SOCKET, else " WIRE_DEFAULT_SOCKET ")") \
	X(TIMEOUT, 0, "timeout", "MS", "longest wait for larderd to answer or to make room (default: 1000)") \
	X(JSON, 0, "json", NULL, "results as JSON, one object a line") \
	X(ESCAPED, 'e', "escaped", NULL, \
	  "KEY, VALUE and PREFIX arguments are written with C escapes, as scan prints them") \
	X(TTL, 0, "ttl", "LIFE", "how long it lives: a number with ms, s, m, h, d or w (alone: seconds), or never") \
	X(FLAGS, 0, "flags", "NUMBER", "32 bits of your own, kept with the value") \
	X(INITIAL, 0, "initial", "NUMBER", "where the key is absent, store this and print it") \
	X(IF_VERSION, 0, "if-version", "VERSION", "only if the key still has this version") \
	X(LONG, 'l', "long", NULL, "version, life, size and flags before each key") \
	X(ZERO, '0', "null", NULL, "each key as it is, followed by a NUL byte") \
	X(LIMIT, 0, "limit", "NUMBER", "stop after so many keys") \
	X(WAIT, 0, "wait", NULL, "wait until it has that size, and show how far it has come") \
	X(HELP, 'h', "help", NULL, "this help") \
	X(VERSION, 0, "version", NULL, "versions of the command, the library and the arena layout")

#define OPTION_BIT(name, letter, long_name, argument, help) OPTION_BIT_##name,
enum option_bit { OPTION_TABLE(OPTION_BIT) OPTION_COUNT };
#undef OPTION_BIT

#define OPTION_ENUM(name, letter, long_name, argument, help) OPTION_##name = 1 << OPTION_BIT_##name,
enum option_mask { OPTION_TABLE(OPTION_ENUM) };
#undef OPTION_ENUM

#define OPTIONS_OF_ALL (OPTION_SOCKET | OPTION_TIMEOUT | OPTION_JSON | OPTION_HELP | OPTION_VERSION)

struct command {
	const char *name;
	const char *operands; /* for people */
	const char *summary;
	size_t operands_min, operands_max;
	unsigned options; /* OPTION_... beside OPTIONS_OF_ALL */
	enum outcome (*run)(struct invocation *invocation);
};

/*
 * Reads the command line: options and operands may come in any order, "--" ends the options, and negative numbers are
 * operands. commands ends with a NULL name. Sets invocation->command (NULL: none was named), ->given and the rest.
 * operands is room for argc pointers. Return: OUTCOME_OK, or OUTCOME_USAGE after a message.
 */
enum outcome command_line_read(int argc, char **argv, const struct command *commands, char **operands,
                               struct invocation *ret_invocation);

/* The help of one command (NULL: of all). */
void command_line_help(FILE *stream, const struct command *commands, const struct command *command);

/* Finds a command by its full name. NULL: a message with the nearest name has been printed. */
const struct command *command_line_find(const struct command *commands, const char *name);

#endif
