/* SPDX-License-Identifier: MIT */
#include "bench/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define LINE_MAX_BYTES 4096
#define RECORD_BYTES 24
#define FIELDS 7

/* Keys by their hash: each gets the next number. */
struct key_table {
	uint64_t *hashes; /* 0: empty */
	uint32_t *numbers;
	size_t places; /* a power of two */
	uint32_t count;
};

struct reader {
	const char *path;
	FILE *file;
	char *error;
	struct requests requests;
	size_t room;
	struct key_table keys;
	uint32_t *bytes; /* of each key, the most it had */
	size_t bytes_room;
	struct trace_facts facts;
	uint32_t first_time_s, last_time_s;
};

static int fail(const struct reader *reader, int result, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int fail(const struct reader *reader, int result, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reader->error, 256, format, arguments);
	va_end(arguments);
	return result;
}

/* ---- keys ---------------------------------------------------------------------------------------------------------- */

static size_t place_of(const struct key_table *keys, uint64_t hash)
{
	size_t place = (size_t)(hash * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (keys->places - 1);

	while (keys->hashes[place] && keys->hashes[place] != hash)
		place = (place + 1) & (keys->places - 1);
	return place;
}

static int keys_grow(struct key_table *keys)
{
	struct key_table larger = { .places = keys->places ? keys->places * 2 : 65536, .count = keys->count };

	larger.hashes = calloc(larger.places, sizeof *larger.hashes);
	larger.numbers = malloc(larger.places * sizeof *larger.numbers);
	if (!larger.hashes || !larger.numbers) {
		free(larger.hashes);
		free(larger.numbers);
		return -ENOMEM;
	}
	for (size_t i = 0; i < keys->places; i++) {
		size_t place;

		if (keys->hashes[i] == 0)
			continue;
		place = place_of(&larger, keys->hashes[i]);
		larger.hashes[place] = keys->hashes[i];
		larger.numbers[place] = keys->numbers[i];
	}
	free(keys->hashes);
	free(keys->numbers);
	*keys = larger;
	return 0;
}

static int key_number(struct key_table *keys, uint64_t hash, uint32_t *ret_number)
{
	size_t place;

	hash += hash == 0;
	if ((size_t)keys->count * 2 >= keys->places) {
		int result = keys_grow(keys);

		if (result)
			return result;
	}
	place = place_of(keys, hash);
	if (keys->hashes[place] == 0) {
		keys->hashes[place] = hash;
		keys->numbers[place] = keys->count++;
	}
	*ret_number = keys->numbers[place];
	return 0;
}

/* ---- requests ------------------------------------------------------------------------------------------------------ */

/* The key gets its number, sizes their bounds, and time begins with the trace. */
static int add(struct reader *reader, uint64_t key_hash, uint64_t bytes, uint32_t time_s, uint64_t ttl_s,
               enum request_operation operation)
{
	struct request *request;
	uint32_t key;

	if (reader->requests.count == reader->room) {
		size_t room = reader->room ? reader->room * 2 : 65536;
		struct request *larger = realloc(reader->requests.request, room * sizeof *larger);

		if (!larger)
			return -ENOMEM;
		reader->requests.request = larger;
		reader->room = room;
	}
	if (key_number(&reader->keys, key_hash, &key))
		return -ENOMEM;
	if (key >= reader->bytes_room) {
		size_t room = reader->bytes_room ? reader->bytes_room * 2 : 65536;
		uint32_t *larger = realloc(reader->bytes, room * sizeof *larger);

		if (!larger)
			return -ENOMEM;
		memset(larger + reader->bytes_room, 0, (room - reader->bytes_room) * sizeof *larger);
		reader->bytes = larger;
		reader->bytes_room = room;
	}
	reader->facts.cut += bytes > TRACE_BYTES_MAX;
	bytes = bytes < REQUEST_BYTES_MIN ? REQUEST_BYTES_MIN : bytes > TRACE_BYTES_MAX ? TRACE_BYTES_MAX : bytes;
	if (bytes > reader->bytes[key]) {
		reader->facts.distinct_bytes += bytes - reader->bytes[key];
		reader->bytes[key] = (uint32_t)bytes;
	}
	if (reader->requests.count == 0)
		reader->first_time_s = reader->last_time_s = time_s;
	if (time_s > reader->last_time_s) /* a clock that was set back stands still */
		reader->last_time_s = time_s;
	request = &reader->requests.request[reader->requests.count++];
	*request = (struct request){
		.key = key,
		.bytes = (uint32_t)bytes,
		.ttl_s = ttl_s < UINT32_MAX / 2 ? (uint32_t)ttl_s : UINT32_MAX / 2,
		.time_s = reader->last_time_s - reader->first_time_s,
		.operation = operation,
	};
	return 0;
}

/* ---- lines --------------------------------------------------------------------------------------------------------- */

/* What a request of the trace is to a cache: whatever writes is a set. */
static bool operation_of(const char *name, enum request_operation *ret_operation)
{
	static const struct {
		const char *name;
		enum request_operation operation;
	} operations[] = {
		{ "get", REQUEST_GET },    { "gets", REQUEST_GET },      { "set", REQUEST_SET },
		{ "add", REQUEST_SET },    { "replace", REQUEST_SET },   { "cas", REQUEST_SET },
		{ "append", REQUEST_SET }, { "prepend", REQUEST_SET },   { "incr", REQUEST_SET },
		{ "decr", REQUEST_SET },   { "delete", REQUEST_DELETE },
	};

	for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
		if (strcmp(operations[i].name, name) == 0) {
			*ret_operation = operations[i].operation;
			return true;
		}
	}
	return false;
}

static bool number_of(const char *text, uint64_t max, uint64_t *ret_number)
{
	char *end;

	errno = 0;
	*ret_number = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *ret_number <= max;
}

/* Keys may hold commas: the other six fields are counted from both ends. */
static bool split(char *line, char *fields[FIELDS])
{
	char *comma = strchr(line, ',');

	if (!comma)
		return false;
	*comma = '\0';
	fields[0] = line;
	fields[1] = comma + 1;
	for (int field = FIELDS - 1; field > 1; field--) {
		comma = strrchr(fields[1], ',');
		if (!comma)
			return false;
		*comma = '\0';
		fields[field] = comma + 1;
	}
	return true;
}

static int read_line(struct reader *reader, char *line, uint64_t line_number)
{
	static const char *const names[FIELDS] = {
		"time", "key", "key size", "value size", "client", "operation", "ttl"
	};
	uint64_t numbers[FIELDS] = { 0 };
	enum request_operation operation;
	char *fields[FIELDS];

	if (!split(line, fields))
		return fail(reader, -EINVAL, "%s:%" PRIu64 ": not seven fields between commas", reader->path,
		            line_number);
	for (int field = 0; field < FIELDS; field++) {
		if (field == 1 || field == 4 || field == 5)
			continue;
		if (!number_of(fields[field], UINT32_MAX, &numbers[field]))
			return fail(reader, -EINVAL, "%s:%" PRIu64 ": %s: %.40s: not a number of 32 bits", reader->path,
			            line_number, names[field], fields[field]);
	}
	if (!operation_of(fields[5], &operation))
		return fail(reader, -EINVAL, "%s:%" PRIu64 ": operation: %.40s: none that is known", reader->path,
		            line_number, fields[5]);
	return add(reader, XXH3_64bits(fields[1], strlen(fields[1])), numbers[2] + numbers[3], (uint32_t)numbers[0],
	           numbers[6], operation);
}

static int read_lines(struct reader *reader, size_t max)
{
	char line[LINE_MAX_BYTES];
	int result = 0;

	for (uint64_t number = 1; result == 0 && reader->requests.count < max && fgets(line, sizeof line, reader->file);
	     number++) {
		size_t length = strlen(line);

		if (length > 0 && line[length - 1] == '\n')
			line[--length] = '\0';
		else if (!feof(reader->file))
			return fail(reader, -EINVAL, "%s:%" PRIu64 ": longer than %d bytes, or a zero byte in it",
			            reader->path, number, LINE_MAX_BYTES - 2);
		if (length > 0 && line[length - 1] == '\r')
			line[--length] = '\0';
		if (length > 0)
			result = read_line(reader, line, number);
	}
	return result;
}

/* ---- records ------------------------------------------------------------------------------------------------------- */

static uint64_t little_endian(const unsigned char *bytes, int count)
{
	uint64_t number = 0;

	for (int i = count; i-- > 0;)
		number = number << 8 | bytes[i];
	return number;
}

static int read_records(struct reader *reader, size_t max)
{
	unsigned char record[RECORD_BYTES];
	uint64_t offset = 0;
	int result = 0;

	while (result == 0 && reader->requests.count < max) {
		size_t size = fread(record, 1, sizeof record, reader->file);

		if (size == 0)
			break;
		if (size < sizeof record)
			return fail(reader, -EINVAL, "%s: offset %" PRIu64 ": a record of %zu bytes instead of %d",
			            reader->path, offset, size, RECORD_BYTES);
		if (little_endian(record + 12, 4) == 0)
			return fail(reader, -EINVAL, "%s: offset %" PRIu64 ": an object of no bytes", reader->path,
			            offset + 12);
		result = add(reader, XXH3_64bits(record + 4, 8), little_endian(record + 12, 4),
		             (uint32_t)little_endian(record, 4), 0, REQUEST_GET);
		offset += sizeof record;
	}
	return result;
}

/* ---- the file ------------------------------------------------------------------------------------------------------ */

/* Lines begin with digits and a comma, and records with a time, of which some byte is none of these. */
static bool begins_with_lines(FILE *file)
{
	int c, digits = 0;

	while ((c = getc(file)) >= '0' && c <= '9' && digits < 20)
		digits++;
	rewind(file);
	return digits > 0 && c == ',';
}

int trace_read(const char *path, size_t max, struct requests *ret_requests, struct trace_facts *ret_facts,
               char error[256])
{
	struct reader reader = { .path = path, .error = error, .file = fopen(path, "rbe") };
	int result;

	error[0] = '\0';
	if (!reader.file)
		return fail(&reader, -errno, "%s: %s", path, strerror(errno));
	result = begins_with_lines(reader.file) ? read_lines(&reader, max) : read_records(&reader, max);
	if (result == 0 && ferror(reader.file))
		result = fail(&reader, -EIO, "%s: cannot be read", path);
	if (result == 0 && reader.requests.count == 0)
		result = fail(&reader, -EINVAL, "%s: no requests in it", path);
	if (result == -ENOMEM)
		fail(&reader, result, "%s: out of memory", path);
	fclose(reader.file);
	free(reader.keys.hashes);
	free(reader.keys.numbers);
	free(reader.bytes);
	reader.requests.keys = reader.keys.count;
	if (result)
		requests_destroy(&reader.requests);
	*ret_requests = reader.requests;
	*ret_facts = reader.facts;
	return result;
}
