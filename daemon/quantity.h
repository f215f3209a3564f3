/* SPDX-License-Identifier: MIT */
/* Numbers with units, as people write them: 64M, 1GiB, 500ms, 5s. */
#ifndef LARDER_DAEMON_QUANTITY_H
#define LARDER_DAEMON_QUANTITY_H

#include <stddef.h>
#include <stdint.h>

#define QUANTITY_TEXT_MAX 32 /* room for any formatted quantity */

/*
 * Bytes: a whole number, then nothing or K, M, G, T, each also as KiB, KB... (all powers of 1024). 0, -EINVAL,
 * -ERANGE.
 */
int quantity_parse_bytes(const char *text, uint64_t *ret_bytes);

/* Milliseconds: a whole number, then nothing or ms, s, min, h. 0, -EINVAL, -ERANGE. */
int quantity_parse_milliseconds(const char *text, uint64_t *ret_milliseconds);

/* A whole decimal number without a unit. 0, -EINVAL, -ERANGE. */
int quantity_parse_count(const char *text, uint64_t *ret_count);

/* Permission bits in octal: 0 to 0777. 0, -EINVAL, -ERANGE. */
int quantity_parse_mode(const char *text, uint64_t *ret_mode);

/* The shortest text that parse gives back as exactly the same number. */
void quantity_format_bytes(uint64_t bytes, char ret_text[QUANTITY_TEXT_MAX]);
void quantity_format_milliseconds(uint64_t milliseconds, char ret_text[QUANTITY_TEXT_MAX]);

#endif
