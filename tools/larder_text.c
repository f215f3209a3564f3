/* SPDX-License-Identifier: MIT */
#include "tools/larder_text.h"

#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads the digits that text begins with. Returns what follows them, or NULL: there are none, or they exceed max. */
static const char *digits(const char *text, uint64_t max, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (!is_digit(*text))
		return NULL;
	for (; is_digit(*text); text++) {
		uint64_t digit = (uint64_t)(*text - '0');

		if (digit > max || value > (max - digit) / 10)
			return NULL;
		value = value * 10 + digit;
	}
	*ret_value = value;
	return text;
}

bool text_unsigned(const char *text, uint64_t max, uint64_t *ret_value)
{
	uint64_t value;
	const char *rest = digits(text, max, &value);

	if (!rest || *rest)
		return false;
	*ret_value = value;
	return true;
}

bool text_signed(const char *text, int64_t *ret_value)
{
	bool negative = *text == '-';
	uint64_t magnitude;

	if (negative || *text == '+')
		text++;
	if (!text_unsigned(text, (uint64_t)INT64_MAX + negative, &magnitude))
		return false;
	/* INT64_MIN has no positive counterpart, so it cannot be reached by negation. */
	*ret_value = magnitude > INT64_MAX ? INT64_MIN : negative ? -(int64_t)magnitude : (int64_t)magnitude;
	return true;
}

bool text_bytes(const char *text, uint64_t *ret_bytes)
{
	static const char units[] = "KMGT";
	size_t digits = strspn(text, "0123456789");
	const char *unit = text + digits;
	char number[32];
	unsigned shift = 0;

	if (digits >= sizeof number)
		return false;
	memcpy(number, text, digits);
	number[digits] = '\0';
	if (*unit) {
		const char *known = strchr(units, *unit);

		if (!known || (unit[1] && strcmp(unit + 1, "iB") != 0 && strcmp(unit + 1, "B") != 0))
			return false;
		shift = 10 * (unsigned)(known - units + 1);
	}
	if (!text_unsigned(number, UINT64_MAX >> shift, ret_bytes))
		return false;
	*ret_bytes <<= shift;
	return true;
}

bool text_duration(const char *text, uint64_t unitless_ms, uint64_t *ret_ms)
{
	static const struct {
		char name[3];
		uint64_t ms;
	} units[] = {
		{ "ms", 1 },          { "s", 1000 },         { "m", 60 * 1000 },
		{ "h", 3600 * 1000 }, { "d", 86400 * 1000 }, { "w", 7 * 86400 * 1000 },
	};
	uint64_t number, scale = 0;
	const char *unit;

	if (strcmp(text, "never") == 0) {
		*ret_ms = 0;
		return true;
	}
	unit = digits(text, UINT64_MAX, &number);
	if (!unit)
		return false;
	if (!*unit)
		scale = unitless_ms;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (strcmp(unit, units[i].name) == 0)
			scale = units[i].ms;
	if (scale == 0 || number > UINT64_MAX / scale)
		return false;
	*ret_ms = number * scale;
	return true;
}

/* Writes the escaped form of a byte. Returns its length, at most 4. */
static size_t escape_byte(unsigned char byte, char escaped[5])
{
	switch (byte) {
	case '\\':
		return (size_t)snprintf(escaped, 5, "\\\\");
	case '\t':
		return (size_t)snprintf(escaped, 5, "\\t");
	case '\n':
		return (size_t)snprintf(escaped, 5, "\\n");
	case '\r':
		return (size_t)snprintf(escaped, 5, "\\r");
	default:
		if (byte >= 0x20 && byte < 0x7f) {
			escaped[0] = (char)byte;
			return 1;
		}
		return (size_t)snprintf(escaped, 5, "\\x%02x", byte);
	}
}

void text_escape(FILE *stream, const void *data, size_t size)
{
	const unsigned char *bytes = data;
	char escaped[5];

	for (size_t i = 0; i < size; i++)
		fwrite(escaped, 1, escape_byte(bytes[i], escaped), stream);
}

static int hexadecimal(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool text_unescape(char *text, size_t *ret_size)
{
	char *out = text;

	for (const char *in = text; *in; in++) {
		if (*in != '\\') {
			*out++ = *in;
			continue;
		}
		switch (*++in) {
		case '\\':
			*out++ = '\\';
			break;
		case 't':
			*out++ = '\t';
			break;
		case 'n':
			*out++ = '\n';
			break;
		case 'r':
			*out++ = '\r';
			break;
		case 'x':
			if (hexadecimal(in[1]) < 0 || hexadecimal(in[2]) < 0)
				return false;
			*out++ = (char)(hexadecimal(in[1]) * 16 + hexadecimal(in[2]));
			in += 2;
			break;
		default: /* also the end of the text */
			return false;
		}
	}
	*ret_size = (size_t)(out - text);
	return true;
}

const char *text_quote(const void *data, size_t size, char quoted[TEXT_QUOTED_BYTES])
{
	const size_t tail = sizeof "...\""; /* what must still fit behind the last byte */
	const unsigned char *bytes = data;
	char escaped[5];
	size_t used = 0;
	size_t i;

	quoted[used++] = '"';
	for (i = 0; i < size && used + 4 + tail <= TEXT_QUOTED_BYTES; i++) {
		size_t length = escape_byte(bytes[i], escaped);

		memcpy(quoted + used, escaped, length);
		used += length;
	}
	snprintf(quoted + used, TEXT_QUOTED_BYTES - used, i < size ? "...\"" : "\"");
	return quoted;
}

const char *text_human_bytes(uint64_t bytes, char human[TEXT_HUMAN_BYTES])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double scaled = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		snprintf(human, TEXT_HUMAN_BYTES, "%u bytes", (unsigned)bytes);
		return human;
	}
	while (scaled >= 1024) {
		scaled /= 1024;
		unit++;
	}
	snprintf(human, TEXT_HUMAN_BYTES, "%.1f %s", scaled, units[unit]);
	return human;
}

const char *text_human_duration(uint64_t ms, char human[TEXT_HUMAN_BYTES])
{
	uint64_t seconds = ms / 1000;
	unsigned minutes = (unsigned)(seconds / 60 % 60);
	unsigned hours = (unsigned)(seconds / 3600 % 24);

	if (seconds < 60)
		snprintf(human, TEXT_HUMAN_BYTES, "%.1f s", (double)ms / 1000);
	else if (seconds < 3600)
		snprintf(human, TEXT_HUMAN_BYTES, "%u min %u s", minutes, (unsigned)(seconds % 60));
	else if (seconds < 86400)
		snprintf(human, TEXT_HUMAN_BYTES, "%u h %u min", hours, minutes);
	else
		snprintf(human, TEXT_HUMAN_BYTES, "%llu d %u h", (unsigned long long)(seconds / 86400), hours);
	return human;
}
