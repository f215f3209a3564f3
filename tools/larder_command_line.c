/* SPDX-License-Identifier: MIT */
#include "tools/larder_command_line.h"

#include <getopt.h>
#include <stdarg.h>
#include <string.h>

struct option_text {
	char letter;
	const char *name, *argument, *help;
};

#define OPTION_TEXT(id, letter, long_name, argument, help) { letter, long_name, argument, help },
static const struct option_text option_texts[OPTION_COUNT] = { OPTION_TABLE(OPTION_TEXT) };

#define LONG_OPTION_BASE 256 /* getopt_long returns this + the bit, or the letter */

static int option_bit_of(int code)
{
	for (int bit = 0; bit < OPTION_COUNT; bit++)
		if (code == LONG_OPTION_BASE + bit || (option_texts[bit].letter && code == option_texts[bit].letter))
			return bit;
	return -1;
}

/* Before the command is known, messages name only the program. */
static enum outcome __attribute__((format(printf, 2, 3)))
bad_usage(const struct invocation *invocation, const char *format, ...)
{
	const char *name = invocation->command ? invocation->command->name : NULL;
	va_list arguments;

	fprintf(stderr, "larder: %s%s", name ? name : "", name ? ": " : "");
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "; see larder help%s%s\n", name ? " " : "", name ? name : "");
	return OUTCOME_USAGE;
}

static enum outcome read_option(struct invocation *invocation, int bit, const char *argument)
{
	uint64_t number;
	bool good = true;

	switch ((enum option_bit)bit) {
	case OPTION_BIT_SOCKET:
		invocation->socket = argument;
		break;
	case OPTION_BIT_TIMEOUT:
		good = text_duration(argument, 1, &number) && number > 0 && number <= UINT32_MAX;
		if (!good)
			return bad_usage(invocation, "--timeout takes milliseconds, at least 1, not '%s'", argument);
		invocation->timeout_ms = (uint32_t)number;
		break;
	case OPTION_BIT_TTL:
		if (!text_duration(argument, 1000, &invocation->ttl_ms))
			return bad_usage(invocation,
			                 "--ttl takes a number with a unit of " TEXT_UNITS ", or never, not '%s'",
			                 argument);
		break;
	case OPTION_BIT_FLAGS:
		if (!text_unsigned(argument, UINT32_MAX, &number))
			return bad_usage(invocation, "--flags takes a number of 0 to 4294967295, not '%s'", argument);
		invocation->flags = (uint32_t)number;
		break;
	case OPTION_BIT_INITIAL:
		if (!text_signed(argument, &invocation->initial))
			return bad_usage(invocation, "--initial takes a signed 64-bit number, not '%s'", argument);
		break;
	case OPTION_BIT_IF_VERSION:
		if (!text_unsigned(argument, UINT64_MAX, &invocation->if_version) || invocation->if_version == 0)
			return bad_usage(invocation, "--if-version takes a version as get --json prints it, not '%s'",
			                 argument);
		break;
	case OPTION_BIT_LIMIT:
		if (!text_unsigned(argument, UINT64_MAX, &invocation->limit))
			return bad_usage(invocation, "--limit takes a number, not '%s'", argument);
		break;
	case OPTION_BIT_JSON:
		invocation->json = true;
		break;
	case OPTION_BIT_ESCAPED:
	case OPTION_BIT_LONG:
	case OPTION_BIT_ZERO:
	case OPTION_BIT_WAIT:
	case OPTION_BIT_HELP:
	case OPTION_BIT_VERSION:
	case OPTION_COUNT:
		break;
	}
	invocation->given |= 1u << bit;
	return OUTCOME_OK;
}

static bool is_negative_number(const char *argument)
{
	return argument[0] == '-' && argument[1] >= '1' && argument[1] <= '9';
}

/* The first option given that the command does not take, or -1. */
static int misplaced_option(const struct invocation *invocation)
{
	unsigned misplaced = invocation->given & ~(OPTIONS_OF_ALL | invocation->command->options);

	for (int bit = 0; bit < OPTION_COUNT; bit++)
		if (misplaced >> bit & 1)
			return bit;
	return -1;
}

/* Whether options and operands are such as the command takes. */
static enum outcome check_command(const struct invocation *invocation)
{
	const struct command *command = invocation->command;
	int misplaced = misplaced_option(invocation);

	if (misplaced >= 0)
		return bad_usage(invocation, "it does not take --%s", option_texts[misplaced].name);
	if (invocation->given & (OPTION_HELP | OPTION_VERSION))
		return OUTCOME_OK;
	if (invocation->operand_count < command->operands_min)
		return bad_usage(invocation, "too few arguments, it takes %s", command->operands);
	if (invocation->operand_count > command->operands_max)
		return bad_usage(invocation, "too many arguments, it takes %s",
		                 command->operands[0] ? command->operands : "none");
	return OUTCOME_OK;
}

/* What getopt_long is to be told, from the table. */
struct getopt_tables {
	struct option longs[OPTION_COUNT + 1];
	char shorts[2 * OPTION_COUNT + 3];
};

static void fill_tables(struct getopt_tables *ret_tables)
{
	/* Operands are handed over in their place, and an option whose argument is missing is told from an unknown one. */
	size_t used = (size_t)snprintf(ret_tables->shorts, sizeof ret_tables->shorts, "-:");

	for (int bit = 0; bit < OPTION_COUNT; bit++) {
		const struct option_text *text = &option_texts[bit];

		ret_tables->longs[bit].name = text->name;
		ret_tables->longs[bit].has_arg = text->argument ? required_argument : no_argument;
		ret_tables->longs[bit].val = LONG_OPTION_BASE + bit;
		if (text->letter)
			ret_tables->shorts[used++] = text->letter;
		if (text->letter && text->argument)
			ret_tables->shorts[used++] = ':';
	}
}

static enum outcome bad_option(const struct invocation *invocation, int code, const char *argument)
{
	const char letter[] = { '-', (char)optopt, '\0' }; /* it may stand within a cluster, as x in -lx */
	const char *option = argument[1] == '-' ? argument : letter;

	if (code == ':')
		return bad_usage(invocation, "option %s needs an argument", option);
	return bad_usage(invocation, "unknown option %s", option);
}

/* The first operand is the command. */
static enum outcome read_operand(struct invocation *invocation, const struct command *commands, char *operand)
{
	if (invocation->command) {
		invocation->operands[invocation->operand_count++] = operand;
		return OUTCOME_OK;
	}
	invocation->command = command_line_find(commands, operand);
	return invocation->command ? OUTCOME_OK : OUTCOME_USAGE;
}

enum outcome command_line_read(int argc, char **argv, const struct command *commands, char **operands,
                               struct invocation *ret_invocation)
{
	struct getopt_tables tables = { 0 };
	enum outcome outcome = OUTCOME_OK;

	*ret_invocation = (struct invocation){ .operands = operands };
	fill_tables(&tables);
	opterr = 0;
	while (outcome == OUTCOME_OK && optind < argc) {
		char *argument = argv[optind];
		int code;

		if (is_negative_number(argument)) {
			optind++;
			outcome = read_operand(ret_invocation, commands, argument);
			continue;
		}
		code = getopt_long(argc, argv, tables.shorts, tables.longs, NULL);
		if (code == -1)
			break;
		if (code == 1)
			outcome = read_operand(ret_invocation, commands, optarg);
		else if (code == '?' || code == ':')
			outcome = bad_option(ret_invocation, code, argument);
		else
			outcome = read_option(ret_invocation, option_bit_of(code), optarg);
	}
	for (; outcome == OUTCOME_OK && optind < argc; optind++)
		outcome = read_operand(ret_invocation, commands, argv[optind]);
	if (outcome != OUTCOME_OK)
		return outcome;
	if (ret_invocation->command)
		return check_command(ret_invocation);
	if (!(ret_invocation->given & (OPTION_HELP | OPTION_VERSION)))
		return bad_usage(ret_invocation, "no command was given");
	return OUTCOME_OK;
}

/* ---- finding a command --------------------------------------------------------------------------------------------- */

#define NAME_MAX_BYTES 15 /* longer than any command; a longer word is compared by its beginning */

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How many letters must be inserted, removed or exchanged to make one word of the other. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t a_size = strnlen(a, NAME_MAX_BYTES), b_size = strnlen(b, NAME_MAX_BYTES);
	size_t row[NAME_MAX_BYTES + 1];

	for (size_t j = 0; j <= b_size; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_size; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_size; j++) {
			size_t above = row[j];

			row[j] = smaller(smaller(above, row[j - 1]) + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[b_size];
}

const struct command *command_line_find(const struct command *commands, const char *name)
{
	const struct command *nearest = NULL;
	size_t least = SIZE_MAX;
	char quoted[TEXT_QUOTED_BYTES];

	for (const struct command *command = commands; command->name; command++) {
		size_t distance = edit_distance(name, command->name);

		if (strcmp(name, command->name) == 0)
			return command;
		/* A longer or shorter form, such as "delete" for del, is nearer than any other word. */
		if (name[0] && strncmp(name, command->name, smaller(strlen(name), strlen(command->name))) == 0)
			distance = 0;
		if (distance < least) {
			least = distance;
			nearest = command;
		}
	}
	fprintf(stderr, "larder: there is no command %s; did you mean %s? larder help lists all\n",
	        text_quote(name, strlen(name), quoted), nearest->name);
	return NULL;
}

/* ---- help ---------------------------------------------------------------------------------------------------------- */

static void print_options(FILE *stream, unsigned mask)
{
	for (int bit = 0; bit < OPTION_COUNT; bit++) {
		const struct option_text *text = &option_texts[bit];
		char left[32];

		if (!(mask >> bit & 1))
			continue;
		snprintf(left, sizeof left, "--%s%s%s", text->name, text->argument ? " " : "",
		         text->argument ? text->argument : "");
		fprintf(stream, "  %c%c%c %-22s %s\n", text->letter ? '-' : ' ', text->letter ? text->letter : ' ',
		        text->letter ? ',' : ' ', left, text->help);
	}
}

void command_line_help(FILE *stream, const struct command *commands, const struct command *command)
{
	if (command) {
		fprintf(stream, "usage: larder %s%s%s [options]\n\n%s\n\n", command->name,
		        command->operands[0] ? " " : "", command->operands, command->summary);
		print_options(stream, OPTIONS_OF_ALL | command->options);
		return;
	}
	fputs("usage: larder COMMAND [ARGUMENT...] [options]\n\nReads and writes the cache that larderd keeps on this host.\n\n",
	      stream);
	for (command = commands; command->name; command++)
		fprintf(stream, "  %-8s%-23s %s\n", command->name, command->operands, command->summary);
	fputs("\nA VALUE that is absent or - is read from standard input.\n\n", stream);
	print_options(stream, OPTIONS_OF_ALL);
	fputs("\nExit status: 0 done; 1 no (a miss, say); 2 wrong usage; 3 cannot attach; 4 another failure.\n"
	      "larder help COMMAND tells more, and so does larder(1).\n",
	      stream);
}
