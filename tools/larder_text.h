/* SPDX-License-Identifier: MIT */
/* How the command reads and shows numbers, durations and bytes of any content. */
#ifndef LARDER_TOOLS_LARDER_TEXT_H
#define LARDER_TOOLS_LARDER_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Bytes that belong to somebody else. */
struct bytes {
	const void *data;
	size_t size;
};

/* The whole text must be a decimal number in range; no blanks, no sign (signed: a leading '-' or '+' is allowed). */
bool text_unsigned(const char *text, uint64_t max, uint64_t *ret_value);
bool text_signed(const char *text, int64_t *ret_value);

#define TEXT_UNITS "ms, s, m, h, d, w" /* of text_duration, for messages */

/* A whole number and a unit, or "never" (0). A number without a unit counts unitless_ms each. */
bool text_duration(const char *text, uint64_t unitless_ms, uint64_t *ret_ms);

/* A whole number of bytes and a unit: none, or K, M, G, T, each also as KiB or KB (powers of 1024). */
bool text_bytes(const char *text, uint64_t *ret_bytes);

/*
 * C escapes: printable ASCII stands for itself, the backslash is doubled, tab, newline and carriage return are \t \n \r,
 * all else is \x and exactly two hexadecimal digits. text_unescape works in place; false: not such a text.
 */
void text_escape(FILE *stream, const void *data, size_t size);
bool text_unescape(char *text, size_t *ret_size);

#define TEXT_QUOTED_BYTES 288

/* The escaped bytes in double quotes, shortened to fit, for messages. Returns quoted. */
const char *text_quote(const void *data, size_t size, char quoted[TEXT_QUOTED_BYTES]);

#define TEXT_HUMAN_BYTES 32

/* A number of bytes or milliseconds rounded for reading. They return human. */
const char *text_human_bytes(uint64_t bytes, char human[TEXT_HUMAN_BYTES]);
const char *text_human_duration(uint64_t ms, char human[TEXT_HUMAN_BYTES]);

#endif
