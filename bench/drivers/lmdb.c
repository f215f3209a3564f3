/* SPDX-License-Identifier: MIT */
/*
 * LMDB on a file in memory, shared by processes. It is tuned for a cache, which need not survive a crash: written through
 * the map, never synchronised. Each get is a read transaction of its own, renewed as LMDB's documentation recommends, so that
 * it sees what was committed before; a batch of gets is one; each set is a transaction, for others are to see it.
 */
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/drivers/in_process.h"
#include "bench/drivers/loops.h"

#define SPARE_BYTES ((size_t)4 << 30) /* of address space: old pages stay while a reader of them is not let run */
#define ENTRY_BYTES 64                /* what an entry may take beyond key and value, with pages half full */

struct session {
	MDB_env *environment;
	MDB_txn *reading;
	MDB_dbi table;
};

static int fail(int error, const char *what, char why[DRIVER_WHY_BYTES])
{
	snprintf(why, DRIVER_WHY_BYTES, "%s: %s", what, mdb_strerror(error));
	return error > 0 ? -error : -EIO;
}

static int open_lmdb(const struct driver_setup *setup, void *instance, void **ret_session, char why[DRIVER_WHY_BYTES])
{
	const unsigned flags = MDB_NOSYNC | MDB_WRITEMAP | MDB_NOTLS | MDB_NORDAHEAD;
	struct session *session = calloc(1, sizeof *session);
	MDB_txn *txn;
	int error;

	(void)instance;
	if (!session)
		return -ENOMEM;
	*ret_session = session;
	error = mdb_env_create(&session->environment);
	if (error == 0)
		error = mdb_env_set_mapsize(session->environment,
		                            (size_t)setup->keys * 2 * (KEY_BYTES + setup->value_bytes + ENTRY_BYTES) +
		                                    SPARE_BYTES);
	if (error == 0)
		error = mdb_env_open(session->environment, setup->directory, flags, 0600);
	if (error != 0)
		return fail(error, "mdb_env_open", why);
	error = mdb_txn_begin(session->environment, NULL, 0, &txn);
	if (error == 0)
		error = mdb_dbi_open(txn, NULL, 0, &session->table);
	if (error == 0)
		error = mdb_txn_commit(txn);
	if (error == 0)
		error = mdb_txn_begin(session->environment, NULL, MDB_RDONLY, &session->reading);
	if (error != 0)
		return fail(error, "a first transaction", why);
	mdb_txn_reset(session->reading);
	return 0;
}

static void close_lmdb(void *context)
{
	struct session *session = context;

	if (session->reading)
		mdb_txn_abort(session->reading);
	mdb_env_close(session->environment);
	free(session);
}

static inline int find(struct session *session, const unsigned char *key, MDB_val *ret_value)
{
	MDB_val wanted = { .mv_size = KEY_BYTES, .mv_data = (void *)(uintptr_t)key };

	return mdb_get(session->reading, session->table, &wanted, ret_value) == 0 ? 0 : -EILSEQ;
}

static inline int touch(void *context, const unsigned char *key, uint64_t *ret_word)
{
	struct session *session = context;
	MDB_val value;
	int result;

	if (mdb_txn_renew(session->reading) != 0)
		return -EIO;
	result = find(session, key, &value);
	if (result == 0)
		*ret_word = value_word(value.mv_data);
	mdb_txn_reset(session->reading);
	return result;
}

/* count values, all of one snapshot. */
static inline int get_some(struct session *session, const unsigned char *keys, unsigned char *buffers,
                           size_t value_bytes, size_t count)
{
	MDB_val value;
	int result = 0;

	if (mdb_txn_renew(session->reading) != 0)
		return -EIO;
	for (size_t i = 0; result == 0 && i < count; i++) {
		result = find(session, keys + i * KEY_BYTES, &value);
		if (result == 0 && value.mv_size != value_bytes)
			result = -EILSEQ;
		if (result == 0)
			memcpy(buffers + i * value_bytes, value.mv_data, value_bytes);
	}
	mdb_txn_reset(session->reading);
	return result;
}

static inline int get(void *session, const unsigned char *key, unsigned char *buffer, size_t value_bytes)
{
	return get_some(session, key, buffer, value_bytes, 1);
}

static inline int get_batch(void *session, const unsigned char *keys, unsigned char *buffers, size_t value_bytes,
                            uint32_t *missing)
{
	(void)missing; /* nothing is ever evicted */
	return get_some(session, keys, buffers, value_bytes, DRIVER_BATCH);
}

static inline int set_some(struct session *session, const unsigned char *keys, const unsigned char *values,
                           size_t value_bytes, size_t count)
{
	MDB_txn *txn;
	int error = mdb_txn_begin(session->environment, NULL, 0, &txn);

	if (error != 0)
		return -EIO;
	for (size_t i = 0; error == 0 && i < count; i++) {
		MDB_val key = { .mv_size = KEY_BYTES, .mv_data = (void *)(uintptr_t)(keys + i * KEY_BYTES) };
		MDB_val value = { .mv_size = value_bytes, .mv_data = (void *)(uintptr_t)(values + i * value_bytes) };

		error = mdb_put(txn, session->table, &key, &value, 0);
	}
	if (error != 0) {
		mdb_txn_abort(txn);
		return error > 0 ? -error : -EIO;
	}
	return mdb_txn_commit(txn) == 0 ? 0 : -EIO;
}

static inline int set(void *session, const unsigned char *key, const unsigned char *value, size_t value_bytes)
{
	return set_some(session, key, value, value_bytes, 1);
}

static inline int set_batch(void *session, const unsigned char *keys, const unsigned char *values, size_t value_bytes)
{
	return set_some(session, keys, values, value_bytes, DRIVER_BATCH);
}

static int run(void *session, const struct driver_work *work, struct driver_result *ret_result)
{
	return loop_run(
		session, work, ret_result,
		(struct loop_calls){
			.touch = touch, .get = get, .get_batch = get_batch, .set = set, .set_batch = set_batch });
}

const struct driver larder_bench_driver = {
	.name = "lmdb",
	.use = "LMDB in /dev/shm, MDB_WRITEMAP and MDB_NOSYNC; a renewed transaction for each get, one for each set",
	.operations = (1u << DRIVER_OPERATIONS) - 1,
	.shared = true,
	.start = in_process_start,
	.stop = in_process_stop,
	.open = open_lmdb,
	.close = close_lmdb,
	.run = run,
};
