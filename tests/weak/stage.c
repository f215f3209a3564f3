/* SPDX-License-Identifier: MIT */
#include "tests/weak/stage.h"

#include "daemon/log.h"

#define KEYS 32
#define VALUE_BYTES 40

struct world stage_world;
struct arena *stage_arena;
struct cache_thread stage_threads[WEAK_THREADS];
static unsigned stage_thread_count;
static char keys[KEYS][STAGE_KEY_BYTES + 1];

/* Keys of one bucket; a split puts them by turns into one child and the other. */
static void choose_keys(void)
{
	for (unsigned number = 0, found = 0; found < KEYS; number++) {
		uint64_t hash;

		snprintf(keys[found], sizeof keys[found], "a key, number %06u", number % 1000000);
		hash = hash_key(stage_arena->secret, keys[found], STAGE_KEY_BYTES);
		found += hash_home(hash, stage_arena->homes) == 5 && hash >> 63 == found % 2;
	}
}

const char *stage_key(unsigned number)
{
	return keys[number];
}

void stage_open(enum stage_mode mode, unsigned threads)
{
	world_start(&stage_world, MIB);
	stage_arena = stage_world.arena;
	stage_world.self.cache.fenced = mode == STAGE_FENCED;
	stage_arena->plain_epochs = mode == STAGE_PLAIN;
	stage_thread_count = threads;
	choose_keys();
	for (unsigned i = 0; i < threads; i++)
		expect_equal(cache_thread_start(&stage_world.self.cache, &stage_threads[i]), 0);
}

void stage_share(void)
{
	weak_share(stage_arena->base, stage_arena->bytes, NULL);
	weak_share(stage_world.self.cache.control.page, stage_world.self.cache.control.bytes, NULL);
	for (unsigned i = 0; i < stage_thread_count; i++) {
		weak_restore(&stage_threads[i], sizeof stage_threads[i]);
		weak_restore(stage_threads[i].allocator, sizeof *stage_threads[i].allocator);
		weak_section(i, &stage_threads[i].reader.line->epoch);
	}
}

static int write_by(struct cache_thread *thread, enum write_operation operation, const char *key, const char *value,
                    size_t value_size, uint64_t version, int64_t delta, struct write_result *ret_result)
{
	struct write_request request = {
		.operation = operation,
		.key = key,
		.key_size = STAGE_KEY_BYTES,
		.value = value,
		.value_size = value_size,
		.expected_version = version,
		.delta = delta,
		.incr_flags = LARDER_INCR_CREATE,
	};

	return cache_write(thread, &request, ret_result);
}

int stage_write(unsigned thread, enum write_operation operation, const char *key, const char *value, size_t value_size,
                uint64_t version, int64_t delta, struct write_result *ret_result)
{
	return write_by(&stage_threads[thread], operation, key, value, value_size, version, delta, ret_result);
}

void stage_set(unsigned thread, const char *key, char letter)
{
	stage_set_by(&stage_threads[thread], key, letter);
}

static void store(struct cache_thread *thread, enum write_operation operation, const char *key, char letter)
{
	char value[VALUE_BYTES];
	struct write_result result;

	memset(value, letter, sizeof value);
	weak_expect(write_by(thread, operation, key, value, sizeof value, 0, 0, &result) == LARDER_OK);
}

void stage_set_by(struct cache_thread *thread, const char *key, char letter)
{
	char value[VALUE_BYTES];

	memset(value, letter, sizeof value);
	weak_expect(cache_set(thread, key, STAGE_KEY_BYTES, value, sizeof value, NULL) == LARDER_OK);
}

void stage_replace(unsigned thread, const char *key, char letter)
{
	store(&stage_threads[thread], WRITE_REPLACE, key, letter);
}

bool stage_delete(unsigned thread, const char *key)
{
	struct write_result ignored;
	int result = stage_write(thread, WRITE_DELETE, key, NULL, 0, 0, 0, &ignored);

	weak_expect(result == LARDER_OK || result == LARDER_MISS);
	return result == LARDER_OK;
}

int stage_look(unsigned thread, const char *key, char value[64], struct larder_item *ret_item)
{
	return cache_get(&stage_threads[thread], key, STAGE_KEY_BYTES, value, 64, ret_item);
}

static char letter_of(const char *value, size_t size)
{
	weak_expect(size == VALUE_BYTES);
	for (unsigned i = 1; i < VALUE_BYTES; i++)
		weak_expect(value[i] == value[0]);
	return value[0];
}

char stage_get(unsigned thread, const char *key)
{
	char value[64];
	struct larder_item item;
	int result = stage_look(thread, key, value, &item);

	if (result == LARDER_MISS)
		return 0;
	weak_expect(result == LARDER_OK);
	return letter_of(value, item.value_size);
}

char stage_view(unsigned thread, const char *key)
{
	struct larder_view view;
	int result = cache_view(&stage_threads[thread], key, STAGE_KEY_BYTES, &view);
	char value[64], letter;

	if (result == LARDER_MISS)
		return 0;
	weak_expect(result == LARDER_OK);
	weak_pause();
	weak_expect(view.size <= sizeof value);
	memcpy(value, view.data, view.size); /* which the model sees; this file's own accesses it does not */
	letter = letter_of(value, view.size);
	cache_release(&stage_world.self.cache, &view);
	return letter;
}

/* What the keeper has to say it says in each execution again. */
void log_line(enum log_level level, const char *format, ...)
{
	(void)level, (void)format;
}
