/* SPDX-License-Identifier: MIT */
#include "tools/larder_json.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The length of the UTF-8 character that bytes begin with; 0: it is not one (cut off, overlong, a surrogate, or beyond
 * U+10FFFF). size is at least 1.
 */
static size_t utf8_length(const unsigned char *bytes, size_t size)
{
	unsigned char first = bytes[0];
	unsigned char low = 0x80, high = 0xbf; /* range of the second byte: where the exceptions are */
	size_t length;

	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first <= 0xdf) {
		length = 2;
	} else if (first >= 0xe0 && first <= 0xef) {
		length = 3;
		if (first == 0xe0)
			low = 0xa0;
		if (first == 0xed)
			high = 0x9f;
	} else if (first >= 0xf0 && first <= 0xf4) {
		length = 4;
		if (first == 0xf0)
			low = 0x90;
		if (first == 0xf4)
			high = 0x8f;
	} else {
		return 0;
	}
	if (size < length || bytes[1] < low || bytes[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

static bool is_utf8(const unsigned char *bytes, size_t size)
{
	while (size > 0) {
		size_t length = utf8_length(bytes, size);

		if (length == 0)
			return false;
		bytes += length;
		size -= length;
	}
	return true;
}

/* The character after the backslash where JSON has a short form, else 0. */
static char short_escape(unsigned char byte)
{
	switch (byte) {
	case '"':
	case '\\':
		return (char)byte;
	case '\b':
		return 'b';
	case '\f':
		return 'f';
	case '\n':
		return 'n';
	case '\r':
		return 'r';
	case '\t':
		return 't';
	default:
		return 0;
	}
}

void json_string(FILE *stream, const void *data, size_t size)
{
	const unsigned char *bytes = data;

	putc('"', stream);
	while (size > 0) {
		size_t length = utf8_length(bytes, size);

		if (length == 0) {
			fputs("\\ufffd", stream);
			length = 1;
		} else if (short_escape(*bytes)) {
			putc('\\', stream);
			putc(short_escape(*bytes), stream);
		} else if (*bytes < 0x20 || *bytes == 0x7f) {
			fprintf(stream, "\\u%04x", *bytes);
		} else {
			fwrite(bytes, 1, length, stream);
		}
		bytes += length;
		size -= length;
	}
	putc('"', stream);
}

static void base64(FILE *stream, const unsigned char *bytes, size_t size)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < size; i += 3) {
		size_t rest = size - i;
		uint32_t triple = (uint32_t)bytes[i] << 16;

		if (rest > 1)
			triple |= (uint32_t)bytes[i + 1] << 8;
		if (rest > 2)
			triple |= bytes[i + 2];
		putc(digits[triple >> 18], stream);
		putc(digits[triple >> 12 & 63], stream);
		putc(rest > 1 ? digits[triple >> 6 & 63] : '=', stream);
		putc(rest > 2 ? digits[triple & 63] : '=', stream);
	}
}

void json_bytes(FILE *stream, const char *name, const void *data, size_t size)
{
	if (is_utf8(data, size)) {
		fprintf(stream, "\"%s\":", name);
		json_string(stream, data, size);
	} else {
		fprintf(stream, "\"%s_base64\":\"", name);
		base64(stream, data, size);
		putc('"', stream);
	}
}
