/* SPDX-License-Identifier: MIT */
/* liburcu's cds_lfht in this process, with the QSBR flavour, whose readers pay least. An entry holds node, key and value. */
#define _LGPL_SOURCE
#include <urcu-qsbr.h>
#include <urcu/rculfhash.h>

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bench/drivers/in_process.h"
#include "bench/drivers/loops.h"

struct entry {
	struct cds_lfht_node node;
	unsigned char key[KEY_BYTES];
	unsigned char value[];
};

struct session {
	struct cds_lfht *table;
	struct pool pool;
	unsigned since_quiet;
};

static int open_lfht(const struct driver_setup *setup, void *instance, void **ret_session, char why[DRIVER_WHY_BYTES])
{
	struct session *session = calloc(1, sizeof *session);
	unsigned long buckets = 1;
	int result;

	(void)instance;
	if (!session)
		return -ENOMEM;
	result = pool_create(setup, sizeof(struct entry) + setup->value_bytes, &session->pool, why);
	if (result != 0)
		goto no_pool;
	while (buckets < setup->keys)
		buckets *= 2;
	rcu_register_thread();
	/* As many buckets as it will need from the beginning, so that it never resizes. */
	session->table = cds_lfht_new(buckets, buckets, buckets, 0, NULL);
	if (!session->table) {
		result = -ENOMEM;
		goto no_table;
	}
	*ret_session = session;
	return 0;

no_table:
	rcu_unregister_thread();
	pool_destroy(&session->pool);
no_pool:
	free(session);
	return result;
}

/* The table goes with its process. */
static void close_lfht(void *context)
{
	struct session *session = context;

	rcu_unregister_thread();
	pool_destroy(&session->pool);
	free(session);
}

static int match(struct cds_lfht_node *node, const void *key)
{
	return memcmp(caa_container_of(node, struct entry, node)->key, key, KEY_BYTES) == 0;
}

static inline const struct entry *find(struct session *session, const unsigned char *key)
{
	struct cds_lfht_iter iterator;
	struct cds_lfht_node *node;

	cds_lfht_lookup(session->table, XXH3_64bits(key, KEY_BYTES), match, key, &iterator);
	node = cds_lfht_iter_get_node(&iterator);
	return node ? caa_container_of(node, struct entry, node) : NULL;
}

static inline void leave(struct session *session)
{
	rcu_read_unlock();
	if (++session->since_quiet == POOL_QUIET_EVERY) {
		session->since_quiet = 0;
		rcu_quiescent_state();
	}
}

static inline int touch(void *context, const unsigned char *key, uint64_t *ret_word)
{
	const struct entry *entry;

	rcu_read_lock();
	entry = find(context, key);
	if (entry)
		*ret_word = value_word(entry->value);
	leave(context);
	return entry ? 0 : -EILSEQ;
}

static inline int get(void *context, const unsigned char *key, unsigned char *buffer, size_t value_bytes)
{
	const struct entry *entry;

	rcu_read_lock();
	entry = find(context, key);
	if (entry)
		memcpy(buffer, entry->value, value_bytes);
	leave(context);
	return entry ? 0 : -EILSEQ;
}

static inline int set(void *context, const unsigned char *key, const unsigned char *value, size_t value_bytes)
{
	struct session *session = context;
	struct entry *entry = pool_take(&session->pool);
	struct cds_lfht_node *old;
	bool due = false;

	cds_lfht_node_init(&entry->node);
	memcpy(entry->key, key, KEY_BYTES);
	memcpy(entry->value, value, value_bytes);
	rcu_read_lock();
	old = cds_lfht_add_replace(session->table, XXH3_64bits(key, KEY_BYTES), match, entry->key, &entry->node);
	if (old)
		due = pool_retire(&session->pool, caa_container_of(old, struct entry, node));
	leave(session);
	if (due) {
		synchronize_rcu();
		pool_recycle(&session->pool);
	}
	return 0;
}

static int run(void *session, const struct driver_work *work, struct driver_result *ret_result)
{
	return loop_run(session, work, ret_result, (struct loop_calls){ .touch = touch, .get = get, .set = set });
}

const struct driver larder_bench_driver = {
	.name = "lfht",
	.use = "liburcu cds_lfht in one process, QSBR flavour, as many buckets as keys from the start; compares keys",
	.operations = 1u << DRIVER_TOUCH | 1u << DRIVER_GET | 1u << DRIVER_SET | 1u << DRIVER_MIXED,
	.start = in_process_start,
	.stop = in_process_stop,
	.open = open_lfht,
	.close = close_lfht,
	.run = run,
};
