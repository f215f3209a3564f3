/* SPDX-License-Identifier: MIT */
#include "bench/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void json_write_text(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < ' ')
			printf("\\u%04x", (unsigned)(unsigned char)*text);
		else
			putchar(*text);
	}
	putchar('"');
}

/* Objects and arrays begin on lines of their own, so that results can be told apart by eye and by diff. */
static void begin_value(struct json *json, const char *name)
{
	if (json->filled[json->depth])
		fputs(", ", stdout);
	json->filled[json->depth] = true;
	if (name) {
		json_write_text(name);
		fputs(": ", stdout);
	}
}

static void open(struct json *json, const char *name, char opening, char closing)
{
	if (json->depth == JSON_DEPTH_MAX)
		abort(); /* a mistake in this program */
	if (json->filled[json->depth] && !name)
		fputs(",\n", stdout);
	else
		begin_value(json, name);
	json->filled[json->depth] = true;
	putchar(opening);
	json->closing[json->depth++] = closing;
	json->filled[json->depth] = false;
}

void json_object(struct json *json, const char *name)
{
	open(json, name, '{', '}');
}

void json_array(struct json *json, const char *name)
{
	open(json, name, '[', ']');
}

void json_end(struct json *json)
{
	putchar(json->closing[--json->depth]);
	if (json->depth == 0)
		putchar('\n');
}

void json_text(struct json *json, const char *name, const char *text)
{
	begin_value(json, name);
	json_write_text(text);
}

void json_count(struct json *json, const char *name, uint64_t count)
{
	begin_value(json, name);
	printf("%" PRIu64, count);
}

void json_number(struct json *json, const char *name, double number)
{
	begin_value(json, name);
	if (isfinite(number))
		printf("%.7g", number);
	else
		fputs("null", stdout);
}
