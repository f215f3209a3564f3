/* SPDX-License-Identifier: MIT */
/*
 * DPDK's rte_hash in this process, with lock-free readers beside a writer and DPDK's own QSBR. Its entries hold a copy of
 * the key and a pointer, which names the value here. Its hash function is its own (CRC32 where the processor has it).
 */
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_rcu_qsbr.h>
#include <stdlib.h>

#include "bench/drivers/in_process.h"
#include "bench/drivers/loops.h"
#include "bench/machine.h"

#define THREAD 0
#define SLOTS_PER_KEY \
	2 /* 16 bytes of index for each, as larder's; a fuller table would look in both buckets more often */
#define MIB(bytes) ((unsigned long)((bytes) >> 20))

struct session {
	struct rte_hash *table;
	struct rte_rcu_qsbr *readers;
	struct pool pool;
	unsigned since_quiet;
};

/* Its huge pages are reserved ones only; without where larder has none, or too few are reserved. Nothing of it is shared with other processes. */
static int start_environment(const struct driver_setup *setup, char why[DRIVER_WHY_BYTES])
{
	const uint64_t bytes = (uint64_t)setup->keys * SLOTS_PER_KEY * 2 * (64 + 16) + (UINT64_C(64) << 20);
	char memory[24], cpus[24];
	const char *const arguments[] = {
		"larder-bench",
		"--no-telemetry",
		"--no-shconf",
		"--no-pci",
		"--log-level=*:error",
		"--lcores",
		cpus,
		"-m",
		memory,
		setup->page_bytes == HUGE_PAGE_BYTES && machine_huge_free() > bytes ? "--in-memory" : "--no-huge",
		NULL,
	};

	snprintf(memory, sizeof memory, "%lu", MIB(bytes));
	snprintf(cpus, sizeof cpus, "0@%d", setup->cpus.own < 0 ? 0 : setup->cpus.own);
	if (rte_eal_init(10, (char **)(uintptr_t)arguments) < 0) {
		snprintf(why, DRIVER_WHY_BYTES, "rte_eal_init: %s", rte_strerror(rte_errno));
		return -EIO;
	}
	return 0;
}

static int create_readers(struct session *session)
{
	const size_t size = rte_rcu_qsbr_get_memsize(1);

	session->readers = aligned_alloc(RTE_CACHE_LINE_SIZE,
	                                 (size + RTE_CACHE_LINE_SIZE - 1) / RTE_CACHE_LINE_SIZE * RTE_CACHE_LINE_SIZE);
	if (!session->readers || rte_rcu_qsbr_init(session->readers, 1) != 0 ||
	    rte_rcu_qsbr_thread_register(session->readers, THREAD) != 0)
		return -ENOMEM;
	rte_rcu_qsbr_thread_online(session->readers, THREAD);
	return 0;
}

static int open_rte_hash(const struct driver_setup *setup, void *instance, void **ret_session,
                         char why[DRIVER_WHY_BYTES])
{
	const struct rte_hash_parameters parameters = {
		.name = "larder-bench",
		.entries = setup->keys * SLOTS_PER_KEY,
		.key_len = KEY_BYTES,
		.socket_id = SOCKET_ID_ANY,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF,
	};
	struct session *session = calloc(1, sizeof *session);
	struct rte_hash_rcu_config reclaim = { 0 };
	int result = session ? 0 : -ENOMEM;

	(void)instance;
	if (result == 0)
		result = start_environment(setup, why);
	if (result == 0)
		result = pool_create(setup, setup->value_bytes, &session->pool, why);
	if (result == 0)
		result = create_readers(session);
	if (result == 0) {
		session->table = rte_hash_create(&parameters);
		reclaim.v = session->readers;
		if (!session->table || rte_hash_rcu_qsbr_add(session->table, &reclaim) != 0) {
			snprintf(why, DRIVER_WHY_BYTES, "rte_hash_create: %s", rte_strerror(rte_errno));
			result = -ENOMEM;
		}
	}
	*ret_session = session;
	return result;
}

static void close_rte_hash(void *context)
{
	struct session *session = context;

	rte_hash_free(session->table);
	pool_destroy(&session->pool);
	rte_eal_cleanup();
	free(session->readers);
	free(session);
}

static inline void leave(struct session *session)
{
	if (++session->since_quiet == POOL_QUIET_EVERY) {
		session->since_quiet = 0;
		rte_rcu_qsbr_quiescent(session->readers, THREAD);
	}
}

static inline int touch(void *context, const unsigned char *key, uint64_t *ret_word)
{
	struct session *session = context;
	void *value;

	if (rte_hash_lookup_data(session->table, key, &value) < 0)
		return -EILSEQ;
	*ret_word = value_word(value);
	leave(session);
	return 0;
}

static inline int get(void *context, const unsigned char *key, unsigned char *buffer, size_t value_bytes)
{
	struct session *session = context;
	void *value;

	if (rte_hash_lookup_data(session->table, key, &value) < 0)
		return -EILSEQ;
	memcpy(buffer, value, value_bytes);
	leave(session);
	return 0;
}

static inline int get_batch(void *context, const unsigned char *keys, unsigned char *buffers, size_t value_bytes,
                            uint32_t *missing)
{
	struct session *session = context;
	const void *wanted[DRIVER_BATCH];
	void *values[DRIVER_BATCH];
	uint64_t hits;

	(void)missing; /* nothing is ever evicted */
	for (size_t i = 0; i < DRIVER_BATCH; i++)
		wanted[i] = keys + i * KEY_BYTES;
	if (rte_hash_lookup_bulk_data(session->table, wanted, DRIVER_BATCH, &hits, values) != DRIVER_BATCH)
		return -EILSEQ;
	for (size_t i = 0; i < DRIVER_BATCH; i++) {
		__builtin_prefetch(values[i]);
		__builtin_prefetch((const char *)values[i] + 64);
	}
	for (size_t i = 0; i < DRIVER_BATCH; i++)
		memcpy(buffers + i * value_bytes, values[i], value_bytes);
	rte_rcu_qsbr_quiescent(session->readers, THREAD);
	return 0;
}

/* Adding a key that is there changes its pointer, but does not tell the old one; so it is looked up before. */
static inline int set(void *context, const unsigned char *key, const unsigned char *value, size_t value_bytes)
{
	struct session *session = context;
	const hash_sig_t signature = rte_hash_hash(session->table, key);
	void *stored = pool_take(&session->pool), *old;
	bool due = false;

	memcpy(stored, value, value_bytes);
	if (rte_hash_lookup_with_hash_data(session->table, key, signature, &old) >= 0)
		due = pool_retire(&session->pool, old);
	if (rte_hash_add_key_with_hash_data(session->table, key, signature, stored) < 0)
		return -ENOSPC;
	leave(session);
	if (due) {
		rte_rcu_qsbr_synchronize(session->readers, THREAD);
		pool_recycle(&session->pool);
	}
	return 0;
}

static int run(void *session, const struct driver_work *work, struct driver_result *ret_result)
{
	return loop_run(session, work, ret_result,
	                (struct loop_calls){ .touch = touch, .get = get, .get_batch = get_batch, .set = set });
}

const struct driver larder_bench_driver = {
	.name = "rte_hash",
	.use = "DPDK rte_hash in one process, lock-free readers, QSBR, two slots for each key; compares keys",
	.operations = 1u << DRIVER_TOUCH | 1u << DRIVER_GET | 1u << DRIVER_GET32 | 1u << DRIVER_SET |
	              1u << DRIVER_MIXED,
	.start = in_process_start,
	.stop = in_process_stop,
	.open = open_rte_hash,
	.close = close_rte_hash,
	.run = run,
};
