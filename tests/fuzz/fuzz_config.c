/* SPDX-License-Identifier: MIT */
/*
 * A configuration file of any content is a valid configuration, or has an error of which file and line are told and that
 * changes nothing. What is dumped of a valid one reads back as the same. Likewise numbers with units, here and on the
 * command line: what can be read can be written and read again.
 *
 * Numbers and durations are tried on every line and on the value in it.
 */
#include "daemon/config.h"

#include <errno.h>
#include <string.h>

#include "daemon/quantity.h"
#include "tests/fuzz/fuzz.h"
#include "tools/larder_text.h"

const char fuzz_name[] = "config";

#define NAME "file"
#define TEXT_MAX 65536

/* ---- the file ------------------------------------------------------------------------------------------------------ */

static int read_from(struct config *config, const void *bytes, size_t size, struct fault *fault)
{
	FILE *stream = fmemopen((void *)(uintptr_t)bytes, size, "r");
	int result;

	FUZZ_EXPECT(stream != NULL);
	result = config_read(config, stream, NAME, fault);
	fclose(stream);
	return result;
}

/* "file:12: sentence" with the number of a line that there is, or of the one behind the last. */
static void expect_place(const struct fault *fault, const uint8_t *bytes, size_t size)
{
	unsigned long line, lines = 1;
	char *rest;

	for (size_t i = 0; i < size; i++)
		lines += bytes[i] == '\n';
	FUZZ_EXPECT(strncmp(fault->text, NAME ":", strlen(NAME) + 1) == 0);
	line = strtoul(fault->text + strlen(NAME) + 1, &rest, 10);
	FUZZ_EXPECT(line >= 1 && line <= lines && strncmp(rest, ": ", 2) == 0 && rest[2] != '\0');
}

static void expect_round_trip(const struct config *config)
{
	static char text[TEXT_MAX];
	FILE *stream = fmemopen(text, sizeof text, "w");
	struct config again;
	struct fault fault = { "" };
	long size;

	FUZZ_EXPECT(stream != NULL);
	config_dump(config, stream);
	size = ftell(stream);
	fclose(stream);
	FUZZ_EXPECT(size > 0 && size < (long)sizeof text);
	config_defaults(&again);
	if (read_from(&again, text, (size_t)size, &fault) != 0) {
		fprintf(stderr, "%s\n%s", fault.text, text);
		abort();
	}
	FUZZ_EXPECT(memcmp(&again, config, sizeof again) == 0);
}

static void try_file(const uint8_t *bytes, size_t size)
{
	struct config config, before;
	struct fault fault = { "" };
	int result;

	config_defaults(&config);
	before = config;
	result = read_from(&config, bytes, size, &fault);
	FUZZ_EXPECT(result == 0 || result == -EINVAL);
	FUZZ_EXPECT((result == 0) == (fault.text[0] == '\0'));
	if (result == 0) {
		expect_round_trip(&config);
	} else {
		expect_place(&fault, bytes, size);
		FUZZ_EXPECT(memcmp(&config, &before, sizeof config) == 0);
	}
}

/* ---- one text ------------------------------------------------------------------------------------------------------ */

static void try_quantities(const char *text)
{
	char again[QUANTITY_TEXT_MAX];
	uint64_t number, same;
	int result;

	result = quantity_parse_bytes(text, &number);
	FUZZ_EXPECT(result == 0 || result == -EINVAL || result == -ERANGE);
	if (result == 0) {
		quantity_format_bytes(number, again);
		FUZZ_EXPECT(quantity_parse_bytes(again, &same) == 0 && same == number);
	}
	result = quantity_parse_milliseconds(text, &number);
	FUZZ_EXPECT(result == 0 || result == -EINVAL || result == -ERANGE);
	if (result == 0) {
		quantity_format_milliseconds(number, again);
		FUZZ_EXPECT(quantity_parse_milliseconds(again, &same) == 0 && same == number);
	}
	if (quantity_parse_mode(text, &number) == 0)
		FUZZ_EXPECT(number <= 0777);
	if (text_unsigned(text, UINT64_MAX, &same))
		FUZZ_EXPECT(quantity_parse_count(text, &number) == 0 && number == same);
}

static void try_command_line(const char *text)
{
	char human[TEXT_HUMAN_BYTES], quoted[TEXT_QUOTED_BYTES], *copy = strdup(text);
	uint64_t number, same;
	int64_t value;
	size_t size;

	FUZZ_EXPECT(copy != NULL);
	if (text_duration(text, 1, &number)) {
		/* What it is without a unit depends on the option; with one it does not. Too much is too much. */
		if (text_duration(text, 1000, &same))
			FUZZ_EXPECT(same == number || same == number * 1000);
		else
			FUZZ_EXPECT(number > UINT64_MAX / 1000);
		FUZZ_EXPECT(text_human_duration(number, human) == human && strlen(human) < sizeof human);
		FUZZ_EXPECT(text_human_bytes(number, human) == human && strlen(human) < sizeof human);
	}
	if (text_signed(text, &value)) {
		char plain[24];

		snprintf(plain, sizeof plain, "%lld", (long long)value);
		FUZZ_EXPECT(text_signed(plain, (int64_t *)&same) && (int64_t)same == value);
	}
	FUZZ_EXPECT(strlen(text_quote(text, strlen(text), quoted)) < sizeof quoted);
	if (text_unescape(copy, &size))
		FUZZ_EXPECT(size <= strlen(text));
	free(copy);
}

/* Any bytes can be escaped, and come back. */
static void try_escapes(const uint8_t *bytes, size_t size)
{
	size_t room = size * 4 + 1, used;
	char *text = malloc(room + 1);
	FILE *stream;

	FUZZ_EXPECT(text != NULL);
	stream = fmemopen(text, room + 1, "w");
	FUZZ_EXPECT(stream != NULL);
	text_escape(stream, bytes, size);
	used = (size_t)ftell(stream);
	fclose(stream);
	FUZZ_EXPECT(used < room);
	text[used] = '\0';
	FUZZ_EXPECT(text_unescape(text, &used) && used == size && memcmp(text, bytes, size) == 0);
	free(text);
}

static void try_text(const uint8_t *bytes, size_t size)
{
	char *text = malloc(size + 1), *equals;

	FUZZ_EXPECT(text != NULL);
	memcpy(text, bytes, size);
	text[size] = '\0';
	try_quantities(text);
	try_command_line(text);
	equals = strchr(text, '=');
	if (equals) {
		equals += 1 + strspn(equals + 1, " ");
		try_quantities(equals);
		try_command_line(equals);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const uint8_t *end = bytes + size;

	if (size == 0) /* fmemopen would not take it */
		return 0;
	try_file(bytes, size);
	try_escapes(bytes, size);
	for (const uint8_t *line = bytes; line < end;) {
		const uint8_t *newline = memchr(line, '\n', (size_t)(end - line));
		const uint8_t *stop = newline ? newline : end;

		try_text(line, (size_t)(stop - line));
		line = stop + 1;
	}
	return 0;
}
