/* SPDX-License-Identifier: MIT */
/*
 * The configuration: one table gives every key its type, default, range and text, and from it come the structure, the
 * parser of the file, the command line options, --help and --dump-config.
 */
#ifndef LARDER_DAEMON_CONFIG_H
#define LARDER_DAEMON_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/fault.h"

#define CONFIG_DEFAULT_FILE "/etc/larderd.conf"
#define CONFIG_PATH_MAX 108 /* what fits in a unix socket address, the zero included */
#define CONFIG_IDS_MAX 64   /* users or groups in one list */
#define CONFIG_LINE_MAX 4096

/* Users or groups, as numbers: names are looked up when the configuration is read, never while a client waits. */
struct config_ids {
	uint32_t count;
	uint32_t id[CONFIG_IDS_MAX];
};

#define CONFIG_QUOTAS_MAX 15 /* lines: TENANTS of base/layout.h, without the one that all others are */

/* What some users, or a group of them, may have of the memory (daemon/tenant.h). */
struct config_quota {
	uint32_t kind, id;         /* enum tenant_kind */
	uint64_t guarantee, limit; /* bytes; 0: none */
};

struct config_quotas {
	uint64_t count;
	struct config_quota quota[CONFIG_QUOTAS_MAX];
};

typedef uint64_t config_number;
typedef char config_path[CONFIG_PATH_MAX];

/*
 * X(key, C type, kind, default, least, most, choices, when, help)
 *   kind	how the text is read and written (enum config_kind)
 *   choices	of a CHOICE, in the order of their values
 *   when	RUNNING: SIGHUP changes it; START: only a new start does
 */
#define CONFIG_TABLE(X) \
	X(size, config_number, BYTES, "256M", UINT64_C(1) << 20, UINT64_C(1) << 39, "", RUNNING, \
	  "size of the arena: all memory for keys, values and index") \
	X(size_max, config_number, BYTES, "0", 0, UINT64_C(1) << 39, "", START, \
	  "size up to which the arena can grow while it is used; 0: that with which it begins") \
	X(socket, config_path, PATH, "/run/larderd/socket", 1, CONFIG_PATH_MAX - 1, "", START, \
	  "socket on which clients attach") \
	X(socket_mode, config_number, MODE, "0666", 0, 0777, "", START, \
	  "permission bits of the socket; larderd itself checks who calls") \
	X(access, config_number, CHOICE, "shared-write", 0, 1, "shared-write read-only", START, \
	  "shared-write: clients write into the arena; read-only: they can only read it, larderd writes for them") \
	X(allow_users, struct config_ids, USERS, "", 0, CONFIG_IDS_MAX, "", RUNNING, \
	  "users to admit besides root and larderd's own, by name or number") \
	X(allow_groups, struct config_ids, GROUPS, "", 0, CONFIG_IDS_MAX, "", RUNNING, \
	  "groups whose members to admit, by name or number") \
	X(pages, config_number, CHOICE, "auto", 0, 2, "auto huge small", START, \
	  "page size of the arena; auto: huge pages when they can be had") \
	X(arena_file, config_path, PATH, "", 0, CONFIG_PATH_MAX - 1, "", START, \
	  "file on tmpfs or hugetlbfs that holds the arena beyond larderd's life; needs shared-write access") \
	X(stall_ms, config_number, MILLISECONDS, "1000", 10, 3600000, "", RUNNING, \
	  "how long a stopped thread may hold memory back") \
	X(eviction, config_number, CHOICE, "s3-fifo", 0, 1, "s3-fifo fifo", RUNNING, \
	  "what goes when memory is full; s3-fifo: what is used least; fifo: what is oldest") \
	X(quota, struct config_quotas, QUOTAS, "", 0, CONFIG_QUOTAS_MAX, "", RUNNING, \
	  "\"user NAME, guarantee BYTES, limit BYTES\" (or group): what of its data nobody else can evict, and all it may have") \
	X(max_clients, config_number, COUNT, "1024", 1, 16384, "", RUNNING, \
	  "processes that may be attached at a time") \
	X(log_level, config_number, CHOICE, "info", 0, 4, "error warning notice info debug", RUNNING, \
	  "least urgent lines to log")

#define CONFIG_FIELD(key, type, kind, initial, least, most, choices, when, help) type key;
struct config {
	CONFIG_TABLE(CONFIG_FIELD)
};
#undef CONFIG_FIELD

#define CONFIG_COUNT(key, type, kind, initial, least, most, choices, when, help) +1
enum { CONFIG_KEYS = 0 CONFIG_TABLE(CONFIG_COUNT) };
#undef CONFIG_COUNT

void config_defaults(struct config *config);

/* Whether the values go together. Return: 0; -EINVAL. */
int config_check(const struct config *config, struct fault *fault);

/* The key with this index (0 .. CONFIG_KEYS - 1). */
const char *config_key(int index);

/* Sets one key from text. Return: 0; -ENOENT: no such key; -EINVAL: bad value. The fault says what is allowed. */
int config_set(struct config *config, const char *key, const char *value, struct fault *fault);

/*
 * Reads a file over what is there; on an error nothing of it has changed and the fault begins with file:line.
 * Return: 0; -EINVAL: bad content; -errno of opening or reading it.
 */
int config_load(struct config *config, const char *path, struct fault *fault);

/* As config_load, from an open stream that is called name. */
int config_read(struct config *config, FILE *stream, const char *name, struct fault *fault);

/* Writes a file that config_load reads back as the same configuration. */
void config_dump(const struct config *config, FILE *stream);

/* One paragraph for each key: its option, text, default and range. */
void config_help(FILE *stream);

/*
 * Takes over from next what may change in a running daemon. Return: the first key whose change waits for a new start,
 * or NULL.
 */
const char *config_update(struct config *config, const struct config *next);

bool config_ids_contain(const struct config_ids *ids, uint32_t id);

#endif
