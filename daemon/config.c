/* SPDX-License-Identifier: MIT */
#include "daemon/config.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <ini.h>
#include <pwd.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/layout.h"
#include "daemon/quantity.h"
#include "larder.h"

enum config_kind { BYTES, MILLISECONDS, COUNT, MODE, CHOICE, PATH, USERS, GROUPS, QUOTAS };
enum config_when { START, RUNNING };

struct row {
	const char *key;
	size_t offset, size;
	enum config_kind kind;
	const char *initial;
	uint64_t least, most;
	const char *choices;
	enum config_when when;
	const char *help;
};

#define ROW(key, type, kind, initial, least, most, choices, when, help) \
	{ #key, offsetof(struct config, key), sizeof(type), kind, initial, least, most, choices, when, help },
static const struct row table[] = { CONFIG_TABLE(ROW) };
#undef ROW

static void *field(const struct row *row, struct config *config)
{
	return (char *)config + row->offset;
}

static const void *const_field(const struct row *row, const struct config *config)
{
	return (const char *)config + row->offset;
}

static const struct row *find(const char *key)
{
	for (int i = 0; i < CONFIG_KEYS; i++)
		if (strcmp(table[i].key, key) == 0)
			return &table[i];
	return NULL;
}

const char *config_key(int index)
{
	return table[index].key;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

/* The text of one number of a row. */
static void format_number(const struct row *row, uint64_t number, char ret_text[QUANTITY_TEXT_MAX])
{
	if (row->kind == BYTES)
		quantity_format_bytes(number, ret_text);
	else if (row->kind == MILLISECONDS)
		quantity_format_milliseconds(number, ret_text);
	else
		snprintf(ret_text, QUANTITY_TEXT_MAX, row->kind == MODE ? "%04" PRIo64 : "%" PRIu64, number);
}

static int set_number(const struct row *row, const char *value, config_number *ret_number, struct fault *fault)
{
	static int (*const parsers[])(const char *, uint64_t *) = {
		[BYTES] = quantity_parse_bytes,
		[MILLISECONDS] = quantity_parse_milliseconds,
		[COUNT] = quantity_parse_count,
		[MODE] = quantity_parse_mode,
	};
	static const char *const forms[] = {
		[BYTES] = "a number of bytes such as 512M (units: K, M, G, T, or KiB, MiB, GiB, TiB)",
		[MILLISECONDS] = "a time such as 500ms or 5s (units: ms, s, min, h; none: ms)",
		[COUNT] = "a whole number",
		[MODE] = "permission bits in octal such as 0660",
	};
	char least[QUANTITY_TEXT_MAX], most[QUANTITY_TEXT_MAX];
	uint64_t number = 0;
	int result = parsers[row->kind](value, &number);

	if (result == -EINVAL)
		return fault_set(fault, -EINVAL, "%s: \"%.64s\" is not %s", row->key, value, forms[row->kind]);
	if (result || number < row->least || number > row->most) {
		format_number(row, row->least, least);
		format_number(row, row->most, most);
		return fault_set(fault, -EINVAL, "%s: %.64s is out of range: from %s to %s is allowed", row->key, value,
		                 least, most);
	}
	*ret_number = number;
	return 0;
}

/* The word of a list "a b c" that stands at position index, and its length; NULL past the end. */
static const char *choice_at(const char *choices, uint64_t index, size_t *ret_length)
{
	for (; index > 0; index--) {
		choices = strchr(choices, ' ');
		if (!choices)
			return NULL;
		choices++;
	}
	*ret_length = strcspn(choices, " ");
	return choices;
}

static int set_choice(const struct row *row, const char *value, config_number *ret_number, struct fault *fault)
{
	const char *choice;
	size_t length;

	for (uint64_t i = 0; (choice = choice_at(row->choices, i, &length)); i++) {
		if (strlen(value) == length && memcmp(choice, value, length) == 0) {
			*ret_number = i;
			return 0;
		}
	}
	return fault_set(fault, -EINVAL, "%s: \"%.64s\" is not one of: %s", row->key, value, row->choices);
}

static int set_path(const struct row *row, const char *value, char *ret_path, struct fault *fault)
{
	size_t length = strlen(value);

	if (value[0] != '/' && (length > 0 || row->least > 0))
		return fault_set(fault, -EINVAL, "%s: \"%.64s\" is not an absolute path", row->key, value);
	if (length > row->most)
		return fault_set(fault, -EINVAL, "%s: the path has %zu bytes; %" PRIu64 " are allowed", row->key,
		                 length, row->most);
	memset(ret_path, 0, row->size); /* no remains of the old path: whole structures are compared */
	memcpy(ret_path, value, length);
	return 0;
}

/* A name, else a number. (uid_t)-1 means "nobody in particular" to the kernel and is refused. */
static int find_id(const struct row *row, const char *name, uint32_t *ret_id, struct fault *fault)
{
	const struct passwd *user = row->kind == USERS ? getpwnam(name) : NULL;
	const struct group *group = row->kind == GROUPS ? getgrnam(name) : NULL;
	uint64_t number;

	if (user)
		*ret_id = user->pw_uid;
	else if (group)
		*ret_id = group->gr_gid;
	else if (quantity_parse_count(name, &number) == 0 && number < UINT32_MAX)
		*ret_id = (uint32_t)number;
	else
		return fault_set(fault, -EINVAL,
		                 "%s: there is no %s \"%.64s\"; give names or numbers that exist, "
		                 "separated by spaces",
		                 row->key, row->kind == USERS ? "user" : "group", name);
	return 0;
}

static int set_ids(const struct row *row, const char *value, struct config_ids *ret_ids, struct fault *fault)
{
	struct config_ids ids = { 0 };
	char *copy = strdup(value), *rest = NULL;
	int result = copy ? 0 : -ENOMEM;

	for (char *name = copy ? strtok_r(copy, ", \t", &rest) : NULL; name && result == 0;
	     name = strtok_r(NULL, ", \t", &rest)) {
		if (ids.count == CONFIG_IDS_MAX)
			result = fault_set(fault, -EINVAL, "%s: more than %d entries", row->key, CONFIG_IDS_MAX);
		else
			result = find_id(row, name, &ids.id[ids.count++], fault);
	}
	free(copy);
	if (result == 0)
		*ret_ids = ids;
	return result;
}

/* One of the parts of a quota that are separated by commas. The first one says whose it is. */
static int read_quota_part(char *part, struct config_quota *quota, struct fault *fault)
{
	static const struct row users = { .key = "quota", .kind = USERS }, groups = { .key = "quota", .kind = GROUPS };
	char *rest = NULL, *word = strtok_r(part, " \t", &rest), *value = strtok_r(NULL, " \t", &rest);
	uint64_t *bytes = word && strcmp(word, "guarantee") == 0 ? &quota->guarantee
	                  : word && strcmp(word, "limit") == 0   ? &quota->limit
	                                                         : NULL;
	bool user = word && strcmp(word, "user") == 0;

	if (!value || strtok_r(NULL, " \t", &rest) || (!bytes && !user && strcmp(word, "group") != 0) ||
	    (bytes == NULL) != (quota->kind == TENANT_NOBODY))
		return fault_set(fault, -EINVAL,
		                 "quota: write user NAME or group NAME, then guarantee BYTES, limit BYTES, or both, "
		                 "with commas between");
	if (!bytes) {
		quota->kind = user ? TENANT_USER : TENANT_GROUP;
		return find_id(user ? &users : &groups, value, &quota->id, fault);
	}
	if (quantity_parse_bytes(value, bytes) || *bytes == 0 || *bytes > ARENA_BYTES_MAX)
		return fault_set(fault, -EINVAL, "quota: \"%.64s\" is not a number of bytes such as 512M, up to 512G",
		                 value);
	return 0;
}

/* Adds one to those that there are; an empty text takes all away. */
static int set_quota(const char *value, struct config_quotas *ret_quotas, struct fault *fault)
{
	struct config_quota quota = { 0 };
	char *copy = strdup(value), *rest = NULL;
	int result = copy ? 0 : -ENOMEM;

	if (value[strspn(value, " \t")] == '\0') {
		memset(ret_quotas, 0, sizeof *ret_quotas);
		free(copy);
		return 0;
	}
	for (char *part = copy ? strtok_r(copy, ",", &rest) : NULL; part && result == 0;
	     part = strtok_r(NULL, ",", &rest))
		result = read_quota_part(part, &quota, fault);
	free(copy);
	if (result)
		return result;
	if (!quota.guarantee && !quota.limit)
		return fault_set(fault, -EINVAL, "quota: give a guarantee, a limit, or both");
	if (quota.limit && quota.guarantee > quota.limit)
		return fault_set(fault, -EINVAL, "quota: the guarantee is larger than the limit");
	for (uint64_t i = 0; i < ret_quotas->count; i++)
		if (ret_quotas->quota[i].kind == quota.kind && ret_quotas->quota[i].id == quota.id)
			return fault_set(fault, -EINVAL, "quota: there is one of this %s already",
			                 quota.kind == TENANT_USER ? "user" : "group");
	if (ret_quotas->count == CONFIG_QUOTAS_MAX)
		return fault_set(fault, -EINVAL, "quota: more than %d of them", CONFIG_QUOTAS_MAX);
	ret_quotas->quota[ret_quotas->count++] = quota;
	return 0;
}

static void print_quota(const struct config_quota *quota, FILE *stream)
{
	char bytes[QUANTITY_TEXT_MAX];

	fprintf(stream, "%s %" PRIu32, quota->kind == TENANT_USER ? "user" : "group", quota->id);
	if (quota->guarantee) {
		quantity_format_bytes(quota->guarantee, bytes);
		fprintf(stream, ", guarantee %s", bytes);
	}
	if (quota->limit) {
		quantity_format_bytes(quota->limit, bytes);
		fprintf(stream, ", limit %s", bytes);
	}
}

/* Guarantees of which not all can be kept are none. The tables and the index need room as well. */
static int check_quotas(const struct config *config, struct fault *fault)
{
	char sum[QUANTITY_TEXT_MAX], size[QUANTITY_TEXT_MAX];
	uint64_t bytes = 0;

	for (uint64_t i = 0; i < config->quota.count; i++)
		bytes += config->quota.quota[i].guarantee;
	if (bytes < config->size)
		return 0;
	quantity_format_bytes(bytes, sum);
	quantity_format_bytes(config->size, size);
	return fault_set(fault, -EINVAL, "quota: the guarantees come to %s together; that must be less than size, %s",
	                 sum, size);
}

static int set_row(struct config *config, const struct row *row, const char *value, struct fault *fault)
{
	switch (row->kind) {
	case CHOICE:
		return set_choice(row, value, field(row, config), fault);
	case PATH:
		return set_path(row, value, field(row, config), fault);
	case USERS:
	case GROUPS:
		return set_ids(row, value, field(row, config), fault);
	case QUOTAS:
		return set_quota(value, field(row, config), fault);
	default:
		return set_number(row, value, field(row, config), fault);
	}
}

static void print_row(const struct config *config, const struct row *row, FILE *stream)
{
	const void *value = const_field(row, config);
	char text[QUANTITY_TEXT_MAX];
	size_t length = 0;

	switch (row->kind) {
	case CHOICE:
		value = choice_at(row->choices, *(const config_number *)value, &length);
		fprintf(stream, "%.*s", (int)length, (const char *)value);
		break;
	case PATH:
		fprintf(stream, "%s", (const char *)value);
		break;
	case USERS:
	case GROUPS:
		for (uint32_t i = 0; i < ((const struct config_ids *)value)->count; i++)
			fprintf(stream, "%s%" PRIu32, i ? " " : "", ((const struct config_ids *)value)->id[i]);
		break;
	case QUOTAS: /* each further one in a line of its own */
		for (uint64_t i = 0; i < config->quota.count; i++) {
			fprintf(stream, "%s", i ? "\nquota = " : "");
			print_quota(&config->quota.quota[i], stream);
		}
		break;
	default:
		format_number(row, *(const config_number *)value, text);
		fprintf(stream, "%s", text);
	}
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

void config_defaults(struct config *config)
{
	memset(config, 0, sizeof *config);
	/* That none of these can fail is a test's business, not a user's. */
	for (int i = 0; i < CONFIG_KEYS; i++)
		(void)set_row(config, &table[i], table[i].initial, NULL);
}

int config_set(struct config *config, const char *key, const char *value, struct fault *fault)
{
	const struct row *row = find(key);
	char known[256] = "";

	if (row)
		return set_row(config, row, value, fault);
	for (int i = 0; i < CONFIG_KEYS; i++) {
		strncat(known, i ? ", " : "", sizeof known - strlen(known) - 1);
		strncat(known, table[i].key, sizeof known - strlen(known) - 1);
	}
	return fault_set(fault, -ENOENT, "unknown key \"%.64s\"; the keys are: %s", key, known);
}

void config_dump(const struct config *config, FILE *stream)
{
	for (int i = 0; i < CONFIG_KEYS; i++) {
		fprintf(stream, "%s = ", table[i].key);
		print_row(config, &table[i], stream);
		fputc('\n', stream);
	}
}

static void print_allowed(const struct row *row, FILE *stream)
{
	char least[QUANTITY_TEXT_MAX], most[QUANTITY_TEXT_MAX];

	switch (row->kind) {
	case CHOICE:
		fprintf(stream, "one of: %s", row->choices);
		break;
	case PATH:
		fprintf(stream, "an absolute path");
		break;
	case USERS:
	case GROUPS:
		fprintf(stream, "at most %d, separated by spaces", CONFIG_IDS_MAX);
		break;
	case QUOTAS:
		fprintf(stream, "may be given up to %d times", CONFIG_QUOTAS_MAX);
		break;
	default:
		format_number(row, row->least, least);
		format_number(row, row->most, most);
		fprintf(stream, "%s to %s", least, most);
	}
}

void config_help(FILE *stream)
{
	for (int i = 0; i < CONFIG_KEYS; i++) {
		const struct row *row = &table[i];

		fprintf(stream, "  --%s VALUE\n      %s\n      (", row->key, row->help);
		print_allowed(row, stream);
		fprintf(stream, "; default: %s%s)\n", row->initial[0] ? row->initial : "none",
		        row->when == RUNNING ? "; SIGHUP changes it" : "");
	}
}

int config_check(const struct config *config, struct fault *fault)
{
	if (config->access == LARDER_READ_ONLY && config->arena_file[0])
		return fault_set(
			fault, -EINVAL,
			"access = read-only and arena_file do not go together: the kernel seals no file, so its "
			"owner could always map it writable; leave arena_file empty");
	if (config->size_max && config->size_max < config->size)
		return fault_set(
			fault, -EINVAL,
			"size_max is smaller than size: it is the size up to which the arena can grow; make it "
			"larger, or leave it out");
	return check_quotas(config, fault);
}

const char *config_update(struct config *config, const struct config *next)
{
	const char *waiting = NULL;

	for (int i = 0; i < CONFIG_KEYS; i++) {
		const struct row *row = &table[i];

		if (row->when == RUNNING)
			memcpy(field(row, config), const_field(row, next), row->size);
		else if (!waiting && memcmp(const_field(row, config), const_field(row, next), row->size) != 0)
			waiting = row->key;
	}
	return waiting;
}

bool config_ids_contain(const struct config_ids *ids, uint32_t id)
{
	for (uint32_t i = 0; i < ids->count; i++)
		if (ids->id[i] == id)
			return true;
	return false;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

/*
 * inih splits lines into keys and values, but tells its handler no line numbers, cuts long lines in two, and lets
 * anything stand behind a section's name. So it gets its lines from a reader of ours that counts and checks them.
 */
struct reading {
	struct config config; /* as read so far; taken over when all of it was good */
	FILE *stream;
	const char *name;
	unsigned int line;
	unsigned int set_at[CONFIG_KEYS]; /* line that set a key; 0: none */
	int result;                       /* the first error, whose sentence is in fault */
	struct fault *fault;
};

/* Reports the fault of the current line, which text (of config_set, or our own) describes. */
static void refuse(struct reading *reading, int result, const char *text)
{
	if (reading->result)
		return;
	reading->result = fault_set(reading->fault, result, "%.128s:%u: %.240s", reading->name, reading->line, text);
}

/* fgets for inih: one whole line without its newline, or NULL at the end and at the first error. */
static char *read_line(char *buffer, int size, void *context)
{
	struct reading *reading = context;
	int used = 0, c;

	if (reading->result)
		return NULL;
	reading->line++;
	while ((c = getc(reading->stream)) != EOF && c != '\n') {
		if (c == '\0') {
			refuse(reading, -EINVAL, "there is a zero byte in this line; this is no text file");
			return NULL;
		}
		if (used == size - 1) {
			refuse(reading, -EINVAL, "this line is too long");
			return NULL;
		}
		buffer[used++] = (char)c;
	}
	buffer[used] = '\0';
	if (ferror(reading->stream)) {
		refuse(reading, -errno, strerror(errno)); /* a folder, say */
		return NULL;
	}
	if (c == EOF && used == 0)
		return NULL;
	if (buffer[strspn(buffer, " \t")] == '[') {
		refuse(reading, -EINVAL, "there are no [sections] here; write key = value");
		return NULL;
	}
	return buffer;
}

static int take_value(void *context, const char *section, const char *name, const char *value)
{
	struct reading *reading = context;
	const struct row *row = find(name);
	struct fault fault;
	int result;

	(void)section;
	if (row && row->kind != QUOTAS && reading->set_at[row - table]) {
		fault_set(&fault, -EINVAL, "%s was set in line %u already", name, reading->set_at[row - table]);
		refuse(reading, -EINVAL, fault.text);
		return 0;
	}
	result = config_set(&reading->config, name, value, &fault);
	if (result)
		refuse(reading, -EINVAL, fault.text);
	else
		reading->set_at[row - table] = reading->line;
	return result == 0;
}

int config_read(struct config *config, FILE *stream, const char *name, struct fault *fault)
{
	static char inline_comments[] = "#;";
	struct reading reading = { .config = *config, .stream = stream, .name = name, .fault = fault };
	struct fault refused;
	int result;

	ini_use_stack = false; /* its line on the stack has 200 bytes */
	ini_initial_alloc = CONFIG_LINE_MAX;
	ini_max_line = CONFIG_LINE_MAX;
	ini_allow_multiline = false; /* an indented line is a line like any other */
	ini_inline_comment_prefixes = inline_comments;
	ini_stop_on_first_error = true;
	result = ini_parse_stream(read_line, &reading, take_value, &reading);
	if (reading.result)
		return reading.result;
	if (result > 0) {
		reading.line = (unsigned int)result;
		refuse(&reading, -EINVAL, "this is neither key = value nor a # comment");
		return reading.result;
	}
	if (result < 0)
		return fault_set(fault, -ENOMEM, "out of memory while reading %s", name);
	/* Where the file has both; a size may come from the command line, too. */
	reading.line = reading.set_at[find("quota") - table];
	if (reading.line && reading.set_at[find("size") - table] && check_quotas(&reading.config, &refused)) {
		refuse(&reading, -EINVAL, refused.text);
		return reading.result;
	}
	*config = reading.config;
	return 0;
}

int config_load(struct config *config, const char *path, struct fault *fault)
{
	FILE *stream = fopen(path, "re");
	int result;

	if (!stream) {
		result = errno;
		return fault_set(fault, -result, "cannot open %s: %s", path, strerror(result));
	}
	result = config_read(config, stream, path, fault);
	fclose(stream);
	return result;
}
