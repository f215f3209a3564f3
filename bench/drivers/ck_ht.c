/* SPDX-License-Identifier: MIT */
/*
 * Concurrency Kit's ck_ht in this process: one writer, many readers. It leaves reclamation to its user; this is done here
 * with liburcu's QSBR, whose readers pay less than those of ck_epoch.
 */
#define _LGPL_SOURCE
#include <urcu-qsbr.h>

#include <ck_ht.h>
#include <stdlib.h>
#include <sys/mman.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bench/drivers/in_process.h"
#include "bench/drivers/loops.h"

struct entry {
	unsigned char key[KEY_BYTES];
	unsigned char value[];
};

struct session {
	ck_ht_t table;
	struct ck_malloc allocator;
	struct pool pool;
	unsigned since_quiet;
};

/* ck_ht's allocator has no context of its own. One table is all there is in a process. */
static const struct driver_setup *table_setup;
static struct machine_memory table_memory;

static void *table_malloc(size_t size)
{
	char why[DRIVER_WHY_BYTES];

	if (table_memory.address || size < HUGE_PAGE_BYTES ||
	    in_process_map(table_setup, size, &table_memory, why) != 0)
		return malloc(size);
	return table_memory.address;
}

static void table_free(void *memory, size_t size, bool defer)
{
	(void)size;
	(void)defer;
	if (memory != table_memory.address)
		free(memory);
}

static void hash(ck_ht_hash_t *ret_hash, const void *key, size_t key_size, uint64_t seed)
{
	(void)seed;
	ret_hash->value = XXH3_64bits(key, key_size);
}

static int open_ck_ht(const struct driver_setup *setup, void *instance, void **ret_session, char why[DRIVER_WHY_BYTES])
{
	struct session *session = calloc(1, sizeof *session);
	int result;

	(void)instance;
	if (!session)
		return -ENOMEM;
	result = pool_create(setup, sizeof(struct entry) + setup->value_bytes, &session->pool, why);
	if (result != 0) {
		free(session);
		return result;
	}
	rcu_register_thread();
	table_setup = setup;
	session->allocator = (struct ck_malloc){ .malloc = table_malloc, .free = table_free };
	/* It would grow when half of it is taken. */
	if (!ck_ht_init(&session->table, CK_HT_MODE_BYTESTRING, hash, &session->allocator, 2 * (CK_HT_TYPE)setup->keys,
	                1)) {
		rcu_unregister_thread();
		pool_destroy(&session->pool);
		free(session);
		return -ENOMEM;
	}
	*ret_session = session;
	return 0;
}

/* The table goes with its process. */
static void close_ck_ht(void *context)
{
	struct session *session = context;

	rcu_unregister_thread();
	pool_destroy(&session->pool);
	free(session);
}

static inline const struct entry *find(struct session *session, const unsigned char *key)
{
	ck_ht_entry_t slot;
	ck_ht_hash_t hashed = { .value = XXH3_64bits(key, KEY_BYTES) };

	ck_ht_entry_key_set(&slot, key, KEY_BYTES);
	return ck_ht_get_spmc(&session->table, hashed, &slot) ? ck_ht_entry_value(&slot) : NULL;
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
	const ck_ht_hash_t hashed = { .value = XXH3_64bits(key, KEY_BYTES) };
	ck_ht_entry_t slot;

	memcpy(entry->key, key, KEY_BYTES);
	memcpy(entry->value, value, value_bytes);
	ck_ht_entry_set(&slot, hashed, entry->key, KEY_BYTES, entry);
	if (!ck_ht_set_spmc(&session->table, hashed, &slot))
		return -ENOMEM;
	if (!ck_ht_entry_empty(&slot) && pool_retire(&session->pool, ck_ht_entry_value(&slot))) {
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
	.name = "ck_ht",
	.use = "Concurrency Kit ck_ht in one process, one writer, with liburcu's QSBR, half full; compares keys",
	.operations = 1u << DRIVER_TOUCH | 1u << DRIVER_GET | 1u << DRIVER_SET | 1u << DRIVER_MIXED,
	.start = in_process_start,
	.stop = in_process_stop,
	.open = open_ck_ht,
	.close = close_ck_ht,
	.run = run,
};
