/* SPDX-License-Identifier: MIT */
/* The two JSON values that need care: text, and bytes that may not be text. All else is plain printf. */
#ifndef LARDER_TOOLS_LARDER_JSON_H
#define LARDER_TOOLS_LARDER_JSON_H

#include <stddef.h>
#include <stdio.h>

/* A JSON string. What is not UTF-8 in it becomes U+FFFD. */
void json_string(FILE *stream, const void *data, size_t size);

/*
 * A member of an object: "name":"text" when the bytes are UTF-8, else "name_base64":"...", so that a reader loses
 * nothing and cannot take one for the other.
 */
void json_bytes(FILE *stream, const char *name, const void *data, size_t size);

#endif
