/* SPDX-License-Identifier: MIT */
#include "tools/demo/trace.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "larder.h"

#define FIELDS_AFTER_KEY 5
#define BUFFER_BYTES (1 << 20)
#define NUMBER_MAX UINT64_C(1000000000000000)

static const char *const operation_names[TRACE_OPERATIONS] = {
	[TRACE_GET] = "get",         [TRACE_GETS] = "gets", [TRACE_SET] = "set",       [TRACE_ADD] = "add",
	[TRACE_REPLACE] = "replace", [TRACE_CAS] = "cas",   [TRACE_APPEND] = "append", [TRACE_PREPEND] = "prepend",
	[TRACE_DELETE] = "delete",   [TRACE_INCR] = "incr", [TRACE_DECR] = "decr",
};

__attribute__((format(printf, 2, 3))) static int malformed(struct trace *trace, const char *format, ...)
{
	int used = snprintf(trace->error, sizeof trace->error, "%s:%llu: ", trace->path,
	                    (unsigned long long)trace->line_number);
	va_list arguments;

	if (used < 0 || (size_t)used >= sizeof trace->error)
		return -EINVAL;
	va_start(arguments, format);
	vsnprintf(trace->error + used, sizeof trace->error - (size_t)used, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

int trace_open(struct trace *trace, const char *path)
{
	struct stat status;

	*trace = (struct trace){ .path = path };
	trace->file = fopen(path, "re");
	if (trace->file == NULL || fstat(fileno(trace->file), &status) < 0) {
		int error = errno;

		snprintf(trace->error, sizeof trace->error, "%s: %s", path, strerror(error));
		trace_close(trace);
		return -error;
	}
	if (!S_ISREG(status.st_mode)) {
		snprintf(trace->error, sizeof trace->error,
		         "%s: every worker reads the trace by itself, so it must be a file, not a pipe or a directory",
		         path);
		trace_close(trace);
		return -EINVAL;
	}
	setvbuf(trace->file, NULL, _IOFBF, BUFFER_BYTES);
	return 0;
}

void trace_close(struct trace *trace)
{
	if (trace->file != NULL)
		fclose(trace->file);
	free(trace->line);
	trace->file = NULL;
	trace->line = NULL;
}

/* Return: 0, or -EINVAL when the field is no number. */
static int parse_number(struct trace *trace, const char *text, const char *name, uint64_t *ret_number)
{
	uint64_t number = 0;

	if (*text == '\0')
		return malformed(trace, "%s is empty; expected a number", name);
	for (const char *at = text; *at != '\0'; at++) {
		if (*at < '0' || *at > '9' || number > NUMBER_MAX)
			return malformed(trace, "%s is '%.40s'; expected a number", name, text);
		number = number * 10 + (uint64_t)(*at - '0');
	}
	*ret_number = number;
	return 0;
}

static int parse_operation(struct trace *trace, const char *text, enum trace_operation *ret_operation)
{
	for (unsigned i = 0; i < TRACE_OPERATIONS; i++) {
		if (strcmp(text, operation_names[i]) == 0) {
			*ret_operation = i;
			return 0;
		}
	}
	return malformed(trace,
	                 "operation is '%.40s'; expected get, gets, set, add, replace, cas, append, prepend, delete, "
	                 "incr or decr",
	                 text);
}

/* A key may contain commas, so the other fields are counted from both ends. */
static int parse_line(struct trace *trace, char *line, size_t size, struct trace_record *record)
{
	char *fields[FIELDS_AFTER_KEY], *key = memchr(line, ',', size);
	uint64_t ignored;
	int result;

	for (int i = FIELDS_AFTER_KEY - 1; i >= 0; i--) {
		char *comma = key == NULL ? NULL : memrchr(key + 1, ',', size - (size_t)(key + 1 - line));

		if (comma == NULL)
			return malformed(trace, "there are too few fields; "
			                        "expected time,key,key_size,value_size,client,operation,ttl");
		*comma = '\0';
		fields[i] = comma + 1;
		size = (size_t)(comma - line);
	}
	*key++ = '\0';
	record->key = key;
	record->key_size = (size_t)(line + size - key);
	if (record->key_size == 0 || record->key_size > LARDER_KEY_MAX)
		return malformed(trace, "the key has %zu bytes; expected 1 to %d", record->key_size, LARDER_KEY_MAX);
	if ((result = parse_number(trace, line, "time", &record->time)) != 0 ||
	    (result = parse_number(trace, fields[0], "key_size", &ignored)) != 0 ||
	    (result = parse_number(trace, fields[1], "value_size", &record->value_size)) != 0 ||
	    (result = parse_operation(trace, fields[3], &record->operation)) != 0 ||
	    (result = parse_number(trace, fields[4], "ttl", &record->ttl)) != 0)
		return result;
	return 0;
}

int trace_next(struct trace *trace, struct trace_record *ret_record)
{
	ssize_t size = getline(&trace->line, &trace->line_capacity, trace->file);

	if (size < 0) {
		if (!ferror(trace->file))
			return TRACE_END;
		snprintf(trace->error, sizeof trace->error, "%s: cannot be read: %s", trace->path, strerror(errno));
		return -EIO;
	}
	trace->line_number++;
	while (size > 0 && (trace->line[size - 1] == '\n' || trace->line[size - 1] == '\r'))
		trace->line[--size] = '\0';
	return parse_line(trace, trace->line, (size_t)size, ret_record);
}
