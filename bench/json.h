/* SPDX-License-Identifier: MIT */
/* Writes one JSON value to standard output, piece by piece. A name is NULL inside an array. */
#ifndef LARDER_BENCH_JSON_H
#define LARDER_BENCH_JSON_H

#include <stdbool.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 8

struct json {
	unsigned depth;
	char closing[JSON_DEPTH_MAX];
	bool filled[JSON_DEPTH_MAX + 1];
};

void json_object(struct json *json, const char *name);
void json_array(struct json *json, const char *name);
void json_end(struct json *json); /* of the innermost object or array */

/* The text alone, quoted. */
void json_write_text(const char *text);

void json_text(struct json *json, const char *name, const char *text);
void json_count(struct json *json, const char *name, uint64_t count);
void json_number(struct json *json, const char *name, double number); /* null where it is not finite */

#endif
