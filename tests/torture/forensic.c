/* SPDX-License-Identifier: MIT */
#include "tests/torture/forensic.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index/index.h"
#include "tests/support/expect.h"
#include "tests/support/raw.h"
#include "tests/support/workers.h"
#include "tests/torture/value.h"

#define REPORT_SECONDS 60

static const char *const kinds[] = { [VERDICT_WRONG] = "wrong", [VERDICT_LOST] = "lost", [VERDICT_HANG] = "hang" };
static const char *const states[] = { "free",   "open",    "condemned", "index",  "retired",
	                              "system", "reserve", "absent",    "extent", "ready" };

static void show_segment(const struct arena *arena, uint32_t segment)
{
	struct segment_word word = segment_load(arena, segment);
	const struct segment_entry *entry = &arena->table[segment];

	fprintf(stderr,
	        "    segment %" PRIu32 ": %s, generation %" PRIu32 ", pool %" PRIu32 ", class %" PRIu32
	        ", next chunk %" PRIu32 ", dead %" PRIu32 " units, opened %" PRIu64 ", expires %" PRIu64
	        " (now %" PRIu64 "), children %" PRIx64 ", depth %" PRIu32 ", overflow used %" PRIu32 "\n",
	        segment, word.state <= SEGMENT_READY ? states[word.state] : "?", word.generation, word.pool,
	        word.ttl_class, word.next_chunk, load_relaxed(&entry->dead_units), load_relaxed(&entry->opened_ms),
	        load_relaxed(&entry->expires_ms), arena_now_ms(arena), load_relaxed(&entry->children),
	        load_relaxed(&entry->depth), load_relaxed(&entry->overflow_used));
}

static void show_object(const struct arena *arena, uint64_t word, const struct failure *failure)
{
	struct object_view object;
	struct block block;

	if (!object_parse(arena, slot_offset(word), &object)) {
		fprintf(stderr, "      no object there\n");
		return;
	}
	fprintf(stderr,
	        "      object at %" PRIx64 ": key of %" PRIu32 " bytes \"%.*s\"%s, value of %" PRIu32
	        ", version %" PRIu64 ", expires %" PRIu64 "\n",
	        object.offset, object.key_size, object.key_size < 40 ? (int)object.key_size : 40,
	        (const char *)object.key, object_has_key(&object, failure->key, failure->key_size) ? " (this key)" : "",
	        object.value_size, object.version, object.expires_ms);
	if (!object.counter && object.value_size >= sizeof block) {
		memcpy(&block, object.value, sizeof block);
		fprintf(stderr,
		        "      written by actor %" PRIu32 " for key %" PRIx64 " as write %" PRIu64 " (block of %" PRIu32
		        " bytes)\n",
		        block.writer, block.key, block.sequence, block.size);
	}
	show_segment(arena, (uint32_t)(object.offset >> arena->segment_shift));
}

static void show_bucket(const struct arena *arena, const struct bucket *bucket, const struct failure *failure)
{
	fprintf(stderr, "    control %016" PRIx64 "\n", load_acquire(&bucket->control)); /* A18 <- R18 */
	for (int i = 0; i < BUCKET_SLOTS; i++) {
		uint64_t word = load_acquire(&bucket->slots[i]); /* A1 <- R1 */

		fprintf(stderr, "    slot %d %016" PRIx64 "%s\n", i, word,
		        slot_is_object(word) ? ""
		        : slot_is_link(word) ? " link"
		                             : " empty");
		if (slot_is_object(word))
			show_object(arena, word, failure);
	}
}

/* All index segments that the key's hash leads through, and the chain in each. */
static void show_key(const struct arena *arena, const struct failure *failure)
{
	uint64_t hash = hash_key(arena->secret, failure->key, failure->key_size);
	uint32_t segment = index_segment(arena, hash), home = hash_home(hash, arena->homes);

	fprintf(stderr, "  hash %016" PRIx64 ", home bucket %" PRIu32 "\n", hash, home);
	for (int step = 0; segment < arena->segment_count && step <= DIRECTORY_BITS_MAX; step++) {
		struct bucket *bucket = &index_buckets(arena, segment)[home];

		show_segment(arena, segment);
		for (int level = 0; bucket && level < CHAIN_BUCKETS; level++) {
			uint64_t last = load_acquire(&bucket->slots[BUCKET_SLOTS - 1]); /* A19 <- R19 */

			show_bucket(arena, bucket, failure);
			bucket = slot_is_link(last) ? index_linked(arena, segment, last) : NULL;
		}
		segment = index_child(arena, segment, hash);
	}
}

static void show_failure(const struct board *board, const struct arena *arena, const struct failure *failure)
{
	const struct slot *slot = &board->slots[failure->actor / SLOT_THREADS];
	const struct record *record = failure->record;

	fprintf(stderr,
	        "\n%s, noticed after %" PRIu64 " ms by process %" PRIu32 " (actor %" PRIu32 " of slot %" PRIu32
	        ", incarnation %" PRIu32 ")\n  %s\n",
	        kinds[failure->kind], failure->at_ms, failure->pid, failure->actor, failure->actor / SLOT_THREADS,
	        load_relaxed(&slot->incarnation), failure->text);
	if (failure->key_size == 0)
		return;
	fprintf(stderr, "  key \"%.*s\"\n", (int)failure->key_size, failure->key);
	if (record)
		fprintf(stderr,
		        "  journal of actor %" PRIu32 ": begun %" PRIu64 ", done %" PRIu64 " (%s), last delete %" PRIu64
		        ", life until %" PRIu64 " (now %" PRIu64 ")\n",
		        (uint32_t)((uint64_t)(record - board->records) / board->settings.keys),
		        load_relaxed(&record->begun), load_relaxed(&record->done) >> 1,
		        load_relaxed(&record->done) & 1 ? "there" : "absent", load_relaxed(&record->deleted),
		        load_relaxed(&record->life_ms), monotonic_ms());
	if (arena)
		show_key(arena, failure);
}

/* What is still held when everything was deleted, has expired or was evicted. */
static void show_held(const struct arena *arena)
{
	for (uint32_t segment = 0; segment < arena->segment_count; segment++)
		switch (segment_load(arena, segment).state) {
		case SEGMENT_FREE:
		case SEGMENT_INDEX:
		case SEGMENT_SYSTEM:
			break;
		default:
			show_segment(arena, segment);
		}
}

static void save(const struct board *board, int arena_fd)
{
	char path[128];
	struct stat file;
	off_t at = 0;
	int fd;

	snprintf(path, sizeof path, "%s/arena", board->server.directory);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	expect(fd >= 0 && fstat(arena_fd, &file) == 0);
	while (at < file.st_size && sendfile(fd, arena_fd, &at, (size_t)(file.st_size - at)) > 0)
		;
	close(fd);
	fprintf(stderr, "\nkept: %s (the arena), %s (larderd's log)\n", path, board->server.log);
}

static void report_work(void *context, unsigned number)
{
	const struct board *board = context;
	uint32_t count = load_acquire(&board->failure_count);
	struct wire_welcome welcome;
	struct arena arena;
	int fds[RAW_FDS];

	(void)number;
	for (uint32_t i = 0; i < count && i < FAILURES_MAX; i++)
		show_failure(board, NULL, &board->failures[i]);
	fflush(stderr);
	raw_attach(&board->server, &welcome, fds);
	expect_equal(arena_map(fds[RAW_ARENA], false, &arena, NULL), 0);
	save(board, fds[RAW_ARENA]);
	fprintf(stderr, "segments that expired: %" PRIu64 ", that were evicted: %" PRIu64 "\n",
	        load_relaxed(&arena.header->expired_segments), load_relaxed(&arena.header->evicted_segments));
	for (uint32_t i = 0; i < count && i < FAILURES_MAX; i++)
		if (board->failures[i].key_size)
			show_failure(board, &arena, &board->failures[i]);
		else
			show_held(&arena);
	fflush(stderr);
}

void forensic_report(struct board *board)
{
	struct workers workers;

	fprintf(stderr, "\n%" PRIu32 " failures; seed %" PRIu64 "\n", load_acquire(&board->failure_count),
	        board->settings.seed);
	/* Where larderd does not answer any more, this process must come to its end all the same. */
	workers_start(&workers, 1, report_work, board);
	workers_join(&workers, REPORT_SECONDS);
}
