/* SPDX-License-Identifier: MIT */
#include "daemon/quantity.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/* The first spelling of each factor is the one to print; largest last. */
static const struct unit byte_units[] = {
	{ "", 1 },
	{ "K", UINT64_C(1) << 10 },
	{ "KB", UINT64_C(1) << 10 },
	{ "KiB", UINT64_C(1) << 10 },
	{ "M", UINT64_C(1) << 20 },
	{ "MB", UINT64_C(1) << 20 },
	{ "MiB", UINT64_C(1) << 20 },
	{ "G", UINT64_C(1) << 30 },
	{ "GB", UINT64_C(1) << 30 },
	{ "GiB", UINT64_C(1) << 30 },
	{ "T", UINT64_C(1) << 40 },
	{ "TB", UINT64_C(1) << 40 },
	{ "TiB", UINT64_C(1) << 40 },
	{ NULL, 0 },
};

static const struct unit time_units[] = {
	{ "ms", 1 }, { "", 1 }, { "s", 1000 }, { "min", 60000 }, { "h", 3600000 }, { NULL, 0 },
};

static const struct unit no_units[] = { { "", 1 }, { NULL, 0 } };

/* Digits of a base, then whatever follows. strtoull would take signs, spaces and 0x, which nobody means here. */
static int parse_digits(const char *text, uint64_t base, uint64_t *ret_number, const char **ret_rest)
{
	uint64_t number = 0;
	const char *at = text;

	for (; *at >= '0' && *at < (char)('0' + base); at++) {
		uint64_t digit = (uint64_t)(*at - '0');

		if (number > (UINT64_MAX - digit) / base)
			return -ERANGE;
		number = number * base + digit;
	}
	if (at == text)
		return -EINVAL;
	*ret_number = number;
	*ret_rest = at;
	return 0;
}

static int parse_with_units(const char *text, const struct unit *units, uint64_t *ret_number)
{
	uint64_t number;
	const char *rest;
	int result = parse_digits(text, 10, &number, &rest);

	if (result)
		return result;
	while (*rest == ' ')
		rest++;
	for (; units->name; units++) {
		if (strcasecmp(units->name, rest) != 0)
			continue;
		if (number > UINT64_MAX / units->factor)
			return -ERANGE;
		*ret_number = number * units->factor;
		return 0;
	}
	return -EINVAL;
}

int quantity_parse_bytes(const char *text, uint64_t *ret_bytes)
{
	return parse_with_units(text, byte_units, ret_bytes);
}

int quantity_parse_milliseconds(const char *text, uint64_t *ret_milliseconds)
{
	return parse_with_units(text, time_units, ret_milliseconds);
}

int quantity_parse_count(const char *text, uint64_t *ret_count)
{
	return parse_with_units(text, no_units, ret_count);
}

int quantity_parse_mode(const char *text, uint64_t *ret_mode)
{
	uint64_t mode;
	const char *rest;
	int result = parse_digits(text, 8, &mode, &rest);

	if (result)
		return result;
	if (*rest)
		return -EINVAL;
	if (mode > 0777)
		return -ERANGE;
	*ret_mode = mode;
	return 0;
}

static void format_with_units(uint64_t number, const struct unit *units, char ret_text[QUANTITY_TEXT_MAX])
{
	const struct unit *best = units;

	for (; units->name; units++)
		if (number != 0 && units->factor > best->factor && number % units->factor == 0)
			best = units;
	snprintf(ret_text, QUANTITY_TEXT_MAX, "%" PRIu64 "%s", number / best->factor, best->name);
}

void quantity_format_bytes(uint64_t bytes, char ret_text[QUANTITY_TEXT_MAX])
{
	format_with_units(bytes, byte_units, ret_text);
}

void quantity_format_milliseconds(uint64_t milliseconds, char ret_text[QUANTITY_TEXT_MAX])
{
	format_with_units(milliseconds, time_units, ret_text);
}
