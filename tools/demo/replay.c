/* SPDX-License-Identifier: MIT */
/*
 * Checking: only this process writes the keys of its share, so it knows what a read must find: what it wrote last, or
 * nothing. It remembers that for as many keys as its table has room (a newer key displaces an older one of the same place).
 * Of a key that it does not remember it can still tell whether the value is whole and the key's own:
 *
 *	value := body tail
 *	body  := { sequence, size of the body, hash of these and the rest by the key's hash } filler    24 bytes and more
 *	       | letters that depend on the key                                                          less
 *	       | decimal digits                                                                          a counter
 *	tail  := '+' ...                                                                                 what was appended
 */
#include "tools/demo/replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "tools/demo/random.h"
#include "tools/demo/trace.h"

#define TABLE_BITS 18
#define TAIL '+'
#define NAP_NS UINT64_C(100000000)

struct body_header {
	uint64_t sequence;
	uint64_t size;
	uint64_t check;
};

enum known { KNOWN_NOTHING = 0, KNOWN_VALUE, KNOWN_COUNTER, KNOWN_DELETED };

struct memory {
	uint64_t key_hash;
	uint64_t sequence; /* value: 0 for a short one */
	uint64_t size;     /* value, with what was appended */
	int64_t number;    /* counter */
	enum known known;
};

struct replayer {
	larder *cache;
	struct tally *tally;
	struct memory *table;
	uint64_t sequence;
	uint64_t key_hash; /* of the record at hand */
	char *buffer;      /* a value to write */
	size_t buffer_size;
	uint64_t value_size_max;
};

/* ---- values ------------------------------------------------------------------------------------------------------ */

static uint64_t body_check(const struct body_header *header, const char *filler, uint64_t key_hash)
{
	return XXH3_64bits_withSeed(filler, header->size - sizeof *header,
	                            key_hash ^ random_mix(header->sequence) ^ header->size);
}

static char letter(uint64_t key_hash, size_t place)
{
	return (char)('a' + random_mix(key_hash + place) % 26);
}

/* Fills replayer->buffer, which has room. Return: the sequence by which the value can be told from others, or 0. */
static uint64_t body_make(struct replayer *replayer, size_t size)
{
	struct body_header header = { .sequence = replayer->sequence + 1, .size = size };
	uint64_t state;

	if (size < sizeof header) {
		for (size_t i = 0; i < size; i++)
			replayer->buffer[i] = letter(replayer->key_hash, i);
		return 0;
	}
	state = replayer->key_hash + header.sequence;
	for (size_t at = sizeof header; at < size; at += sizeof state) {
		uint64_t word = random_next(&state);

		memcpy(replayer->buffer + at, &word, size - at < sizeof word ? size - at : sizeof word);
	}
	header.check = body_check(&header, replayer->buffer + sizeof header, replayer->key_hash);
	memcpy(replayer->buffer, &header, sizeof header);
	return ++replayer->sequence;
}

static bool is_tail(const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] != TAIL)
			return false;
	}
	return true;
}

/* Whether a value is one that some write to this key could have made; and its sequence, or 0. */
static bool value_possible(const char *value, size_t size, uint64_t key_hash, uint64_t *ret_sequence)
{
	struct body_header header;
	size_t body = 0;

	*ret_sequence = 0;
	if (size >= sizeof header) {
		memcpy(&header, value, sizeof header);
		if (header.size >= sizeof header && header.size <= size &&
		    header.check == body_check(&header, value + sizeof header, key_hash)) {
			*ret_sequence = header.sequence;
			return is_tail(value + header.size, size - header.size);
		}
	}
	while (body < size && body < sizeof header && value[body] == letter(key_hash, body))
		body++;
	if (is_tail(value + body, size - body))
		return true;
	for (body = size > 1 && value[0] == '-'; body < size && value[body] >= '0' && value[body] <= '9'; body++)
		;
	return body > 0 && is_tail(value + body, size - body);
}

/* ---- what is known ----------------------------------------------------------------------------------------------- */

static struct memory *recall(struct replayer *replayer)
{
	struct memory *memory = &replayer->table[replayer->key_hash >> (64 - TABLE_BITS)];

	if (memory->key_hash != replayer->key_hash)
		*memory = (struct memory){ .key_hash = replayer->key_hash };
	return memory;
}

static void check_value(struct replayer *replayer, const struct trace_record *record, const char *value, size_t size)
{
	const struct memory *memory = recall(replayer);
	struct tally *tally = replayer->tally;
	int shown = record->key_size > 60 ? 60 : (int)record->key_size;
	uint64_t sequence;
	char text[24];

	tally->checked_bytes += size;
	if (!value_possible(value, size, replayer->key_hash, &sequence)) {
		tally_wrong(tally, "key %.*s: %zu bytes that were never written to it", shown, record->key, size);
		return;
	}
	switch (memory->known) {
	case KNOWN_NOTHING:
		break;
	case KNOWN_VALUE:
		if (sequence != memory->sequence || size != memory->size)
			tally_wrong(tally, "key %.*s: read write %llu of %zu bytes, the last one was %llu of %llu",
			            shown, record->key, (unsigned long long)sequence, size,
			            (unsigned long long)memory->sequence, (unsigned long long)memory->size);
		break;
	case KNOWN_COUNTER:
		if ((size_t)snprintf(text, sizeof text, "%lld", (long long)memory->number) != size ||
		    memcmp(text, value, size) != 0)
			tally_wrong(tally, "key %.*s: the counter should be %s", shown, record->key, text);
		break;
	case KNOWN_DELETED:
		tally_wrong(tally, "key %.*s: it has a value after a delete", shown, record->key);
		break;
	}
}

/* ---- operations -------------------------------------------------------------------------------------------------- */

/* Looks a key up in place and checks what is there. Return: 0, LARDER_MISS, -errno. */
static int read_key(struct replayer *replayer, const struct trace_record *record, uint64_t *ret_version)
{
	struct tally *tally = replayer->tally;
	struct larder_view view;
	uint64_t begun = tally_begin(tally, CALL_VIEW);
	int result = larder_view(replayer->cache, record->key, record->key_size, &view);

	tally_end(tally, CALL_VIEW, begun);
	tally->lookups++;
	if (result == 0) {
		tally->hits++;
		check_value(replayer, record, view.data, view.size);
		*ret_version = view.item.version;
		larder_release(replayer->cache, &view);
	} else if (result != LARDER_MISS) {
		tally_failed(tally, "larder_view", result);
	}
	return result;
}

static bool buffer_reserve(struct replayer *replayer, size_t size)
{
	char *larger;

	if (size <= replayer->buffer_size)
		return true;
	if (size > replayer->value_size_max)
		return false;
	larger = realloc(replayer->buffer, size);
	if (larger == NULL)
		return false;
	replayer->buffer = larger;
	replayer->buffer_size = size;
	return true;
}

/* Counts a write that did not happen for a reason that is nobody's fault. Return: whether the result is an ordinary one. */
static bool write_happened(struct replayer *replayer, const char *call, int result)
{
	if (result == -EAGAIN)
		replayer->tally->refused++;
	else if (result == -E2BIG)
		replayer->tally->too_large++;
	else if (result < 0)
		tally_failed(replayer->tally, call, result);
	return result >= 0;
}

/* set, add, replace and cas. */
static void write_key(struct replayer *replayer, const struct trace_record *record, enum call_kind kind,
                      uint64_t version)
{
	struct larder_set_options options = LARDER_SET_OPTIONS;
	larder *cache = replayer->cache;
	const char *key = record->key, *call;
	struct memory *memory = recall(replayer);
	size_t size = record->value_size;
	uint64_t sequence, begun;
	int result;

	if (!buffer_reserve(replayer, size)) {
		replayer->tally->too_large++;
		return;
	}
	sequence = body_make(replayer, size);
	options.ttl_ms = record->ttl * 1000;
	begun = tally_begin(replayer->tally, kind);
	switch (kind) {
	case CALL_ADD:
		call = "larder_add";
		result = larder_add(cache, key, record->key_size, replayer->buffer, size, &options, NULL);
		break;
	case CALL_REPLACE:
		call = "larder_replace";
		result = larder_replace(cache, key, record->key_size, replayer->buffer, size, &options, NULL);
		break;
	case CALL_CAS:
		call = "larder_cas";
		result = larder_cas(cache, key, record->key_size, replayer->buffer, size, version, &options, NULL);
		break;
	default:
		call = "larder_set";
		result = larder_set(cache, key, record->key_size, replayer->buffer, size, &options, NULL);
		break;
	}
	tally_end(replayer->tally, kind, begun);
	if (!write_happened(replayer, call, result))
		return;
	if (result == 0) {
		memory->known = KNOWN_VALUE;
		memory->sequence = sequence;
		memory->size = size;
	} else if (result == LARDER_CHANGED) {
		tally_wrong(replayer->tally, "key %.60s: cas says it changed, but nobody else writes it", key);
	} else if (result == LARDER_EXISTS && memory->known == KNOWN_DELETED) {
		tally_wrong(replayer->tally, "key %.60s: add finds a value after a delete", key);
	}
}

static void append_key(struct replayer *replayer, const struct trace_record *record)
{
	struct memory *memory = recall(replayer);
	uint64_t begun;
	int result;

	if (!buffer_reserve(replayer, record->value_size)) {
		replayer->tally->too_large++;
		return;
	}
	if (record->value_size > 0)
		memset(replayer->buffer, TAIL, record->value_size);
	begun = tally_begin(replayer->tally, CALL_APPEND);
	result = larder_append(replayer->cache, record->key, record->key_size, replayer->buffer, record->value_size,
	                       NULL);
	tally_end(replayer->tally, CALL_APPEND, begun);
	if (!write_happened(replayer, "larder_append", result) || result != 0)
		return;
	if (memory->known == KNOWN_DELETED)
		tally_wrong(replayer->tally, "key %.60s: append finds a value after a delete", record->key);
	else if (memory->known == KNOWN_VALUE)
		memory->size += record->value_size;
	else
		memory->known = KNOWN_NOTHING;
}

static void delete_key(struct replayer *replayer, const struct trace_record *record)
{
	struct memory *memory = recall(replayer);
	uint64_t begun = tally_begin(replayer->tally, CALL_DELETE);
	int result = larder_delete(replayer->cache, record->key, record->key_size, 0);

	tally_end(replayer->tally, CALL_DELETE, begun);
	if (!write_happened(replayer, "larder_delete", result))
		return;
	if (result == 0 && memory->known == KNOWN_DELETED)
		tally_wrong(replayer->tally, "key %.60s: it could be deleted twice", record->key);
	memory->known = KNOWN_DELETED;
}

static void count_key(struct replayer *replayer, const struct trace_record *record, int64_t delta)
{
	struct larder_incr_options options = LARDER_INCR_OPTIONS;
	struct larder_set_options set_options = LARDER_SET_OPTIONS;
	struct memory *memory = recall(replayer);
	int64_t number;
	uint64_t begun;
	int result;

	options.flags = LARDER_INCR_CREATE;
	options.initial = delta;
	options.ttl_ms = set_options.ttl_ms = record->ttl * 1000;
	begun = tally_begin(replayer->tally, CALL_INCR);
	if (delta > 0)
		result = larder_incr(replayer->cache, record->key, record->key_size, delta, &options, &number);
	else
		result = larder_decr(replayer->cache, record->key, record->key_size, -delta, &options, &number);
	tally_end(replayer->tally, CALL_INCR, begun);
	if (result == LARDER_NOT_NUMBER) {
		/* The trace's value was a number; the one made up for it was not. */
		if (memory->known == KNOWN_COUNTER || memory->known == KNOWN_DELETED)
			tally_wrong(replayer->tally, "key %.60s: incr finds no number in a counter", record->key);
		begun = tally_begin(replayer->tally, CALL_SET);
		result = larder_set(replayer->cache, record->key, record->key_size, "0", 1, &set_options, NULL);
		tally_end(replayer->tally, CALL_SET, begun);
		number = 0;
	} else if (result == 0 && number != delta &&
	           (memory->known == KNOWN_DELETED ||
	            (memory->known == KNOWN_COUNTER && number != memory->number + delta))) {
		tally_wrong(replayer->tally, "key %.60s: the counter went from %lld to %lld", record->key,
		            (long long)memory->number, (long long)number);
	}
	if (!write_happened(replayer, "larder_incr", result))
		return;
	memory->known = KNOWN_COUNTER;
	memory->number = number;
}

static void replay_record(struct replayer *replayer, const struct trace_record *record)
{
	uint64_t version;

	switch (record->operation) {
	case TRACE_GET:
	case TRACE_GETS:
		if (read_key(replayer, record, &version) == LARDER_MISS && record->value_size > 0) {
			replayer->tally->fills++;
			write_key(replayer, record, CALL_SET, 0);
		}
		break;
	case TRACE_SET:
		write_key(replayer, record, CALL_SET, 0);
		break;
	case TRACE_ADD:
		write_key(replayer, record, CALL_ADD, 0);
		break;
	case TRACE_REPLACE:
		write_key(replayer, record, CALL_REPLACE, 0);
		break;
	case TRACE_CAS:
		if (read_key(replayer, record, &version) == 0)
			write_key(replayer, record, CALL_CAS, version);
		break;
	case TRACE_APPEND:
	case TRACE_PREPEND:
		append_key(replayer, record);
		break;
	case TRACE_DELETE:
		delete_key(replayer, record);
		break;
	case TRACE_INCR:
		count_key(replayer, record, 1);
		break;
	case TRACE_DECR:
		count_key(replayer, record, -1);
		break;
	case TRACE_OPERATIONS:
		break;
	}
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

/* Waits until so much of the trace's time has passed, but not longer than the demo wants to live. */
static void wait_until(const struct replay *replay, uint64_t trace_seconds)
{
	uint64_t due = replay->board->start_ns + (uint64_t)((double)trace_seconds / replay->speed * 1e9), now;

	while ((now = board_clock_ns()) < due && !replay->board->stop) {
		uint64_t nap = due - now < NAP_NS ? due - now : NAP_NS;

		nanosleep(&(struct timespec){ .tv_nsec = (long)nap }, NULL);
	}
}

int replay_run(const struct replay *replay, larder *cache, uint32_t worker)
{
	struct replayer replayer = { .cache = cache, .tally = &replay->board->tallies[worker] };
	struct larder_stat stat = { .size = sizeof stat };
	uint64_t first_time = 0;
	struct trace_record record;
	struct trace trace;
	int result;

	result = larder_stat(cache, &stat);
	if (result != 0) {
		tally_failed(replayer.tally, "larder_stat", result);
		return EXIT_FAILURE;
	}
	replayer.value_size_max = stat.value_size_max;
	replayer.table = calloc((size_t)1 << TABLE_BITS, sizeof *replayer.table);
	if (replayer.table == NULL) {
		fprintf(stderr, "larder-demo: out of memory\n");
		return EXIT_FAILURE;
	}
	result = trace_open(&trace, replay->path);
	while (result == 0 && !replay->board->stop) {
		result = trace_next(&trace, &record);
		if (result != 0)
			break;
		if (trace.line_number == 1)
			first_time = record.time;
		replayer.key_hash = XXH3_64bits(record.key, record.key_size);
		if ((uint32_t)replayer.key_hash % replay->workers != worker)
			continue;
		if (replay->speed > 0 && record.time > first_time)
			wait_until(replay, record.time - first_time);
		replay_record(&replayer, &record);
	}
	/* All workers read the same lines; one of them says what is wrong with one. */
	if (result < 0 && !atomic_exchange(&replay->board->complained, true))
		fprintf(stderr, "\nlarder-demo: %s\n", trace.error);
	trace_close(&trace);
	tally_show(replayer.tally);
	free(replayer.table);
	free(replayer.buffer);
	return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
