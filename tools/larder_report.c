/* SPDX-License-Identifier: MIT */
#include "tools/larder_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/larder_json.h"

/* ---- stat ---------------------------------------------------------------------------------------------------------- */

enum stat_kind { STAT_COUNT, STAT_BYTES, STAT_MILLISECONDS, STAT_ACCESS };

/* Every field of struct larder_stat behind its size, in the order in which they are shown. */
#define STAT_TABLE(X) \
	X(arena_bytes, STAT_BYTES) \
	X(page_bytes, STAT_BYTES) \
	X(segment_bytes, STAT_BYTES) \
	X(segments, STAT_COUNT) \
	X(segments_free, STAT_COUNT) \
	X(segments_data, STAT_COUNT) \
	X(segments_index, STAT_COUNT) \
	X(segments_condemned, STAT_COUNT) \
	X(segments_system, STAT_COUNT) \
	X(value_size_max, STAT_BYTES) \
	X(access, STAT_ACCESS) \
	X(epoch, STAT_COUNT) \
	X(clients, STAT_COUNT) \
	X(entries, STAT_COUNT) \
	X(key_bytes, STAT_BYTES) \
	X(value_bytes, STAT_BYTES) \
	X(used_bytes, STAT_BYTES) \
	X(gets, STAT_COUNT) \
	X(hits, STAT_COUNT) \
	X(sets, STAT_COUNT) \
	X(deletes, STAT_COUNT) \
	X(expired_segments, STAT_COUNT) \
	X(evicted_segments, STAT_COUNT) \
	X(uptime_ms, STAT_MILLISECONDS)

static const struct stat_field {
	const char *name;
	size_t offset;
	enum stat_kind kind;
} stat_fields[] = {
#define STAT_FIELD(name, kind) { #name, offsetof(struct larder_stat, name), kind },
	STAT_TABLE(STAT_FIELD)
#undef STAT_FIELD
};

#define STAT_FIELDS (sizeof stat_fields / sizeof stat_fields[0])

_Static_assert(sizeof(struct larder_stat) == sizeof(size_t) + STAT_FIELDS * sizeof(uint64_t),
               "STAT_TABLE names every field of struct larder_stat");

static uint64_t field_value(const struct larder_stat *stat, const struct stat_field *field)
{
	uint64_t value;

	memcpy(&value, (const char *)stat + field->offset, sizeof value);
	return value;
}

static const char *access_name(uint64_t access)
{
	return access == LARDER_READ_ONLY ? "read-only" : "shared-write";
}

static void stat_json(const struct larder_stat *stat)
{
	putchar('{');
	for (size_t i = 0; i < STAT_FIELDS; i++) {
		uint64_t value = field_value(stat, &stat_fields[i]);

		if (stat_fields[i].kind == STAT_ACCESS)
			printf("\"%s\":\"%s\",", stat_fields[i].name, access_name(value));
		else
			printf("\"%s\":%" PRIu64 ",", stat_fields[i].name, value);
	}
}

static void stat_text(const struct larder_stat *stat)
{
	for (size_t i = 0; i < STAT_FIELDS; i++) {
		uint64_t value = field_value(stat, &stat_fields[i]);
		char human[TEXT_HUMAN_BYTES];

		printf("%-24s ", stat_fields[i].name);
		switch (stat_fields[i].kind) {
		case STAT_COUNT:
			printf("%" PRIu64 "\n", value);
			break;
		case STAT_BYTES:
			printf("%" PRIu64 " (%s)\n", value, text_human_bytes(value, human));
			break;
		case STAT_MILLISECONDS:
			printf("%" PRIu64 " (%s)\n", value, text_human_duration(value, human));
			break;
		case STAT_ACCESS:
			printf("%s\n", access_name(value));
			break;
		}
	}
}

/* A quotient that is shown beside the fields; there is none where nothing was counted yet. */
static void show_quotient(const struct invocation *invocation, const char *name, double dividend, uint64_t divisor,
                          const char *json_end)
{
	if (invocation->json)
		printf("\"%s\":", name);
	else
		printf("%-24s ", name);
	if (divisor == 0)
		fputs(invocation->json ? "null" : "-", stdout);
	else
		printf("%.4f", dividend / (double)divisor);
	fputs(invocation->json ? json_end : "\n", stdout);
}

enum outcome command_stat(struct invocation *invocation)
{
	struct larder_stat stat = { .size = sizeof stat };
	enum outcome outcome = invocation_attach(invocation);
	int result;

	if (outcome != OUTCOME_OK)
		return outcome;
	result = larder_stat(invocation->cache, &stat);
	if (result != 0)
		return invocation_fail(invocation, OUTCOME_FAILED, "%s", larder_strerror(result));
	if (invocation->json)
		stat_json(&stat);
	else
		stat_text(&stat);
	show_quotient(invocation, "hit_ratio", (double)stat.hits, stat.gets, ",");
	/* Counted while others write, the sums may disagree for a moment, so the difference may be below zero. */
	show_quotient(invocation, "overhead_bytes_per_entry",
	              (double)stat.used_bytes - (double)stat.key_bytes - (double)stat.value_bytes, stat.entries, "}\n");
	return OUTCOME_OK;
}

/* ---- verify -------------------------------------------------------------------------------------------------------- */

#define SENTENCES_MAX 20 /* faults shown one by one; a scribbled arena may have millions */

struct sentences {
	bool json;
	uint64_t count;
};

static void show_fault(void *context, const char *sentence)
{
	struct sentences *sentences = context;

	if (sentences->count++ >= SENTENCES_MAX)
		return;
	if (sentences->json) {
		fputs(sentences->count > 1 ? "," : "", stdout);
		json_string(stdout, sentence, strlen(sentence));
	} else {
		fprintf(stderr, "larder: verify: %s\n", sentence);
	}
}

enum outcome command_verify(struct invocation *invocation)
{
	struct sentences sentences = { .json = invocation->json };
	struct cache_verify_counts counts = { 0 };
	struct cache_thread *thread;
	enum outcome outcome = invocation_attach(invocation);
	bool sound;

	if (outcome == OUTCOME_OK)
		outcome = invocation_thread(invocation, &thread);
	if (outcome != OUTCOME_OK)
		return outcome;
	if (invocation->json)
		fputs("{\"broken\":[", stdout);
	sound = cache_verify(thread, show_fault, &sentences, &counts) == 0;
	if (!invocation->json && sentences.count > SENTENCES_MAX)
		fprintf(stderr, "larder: verify: and %" PRIu64 " more\n", sentences.count - SENTENCES_MAX);
	if (invocation->json)
		printf("],\"sound\":%s,\"faults\":%" PRIu64 ",\"segments\":%" PRIu64 ",\"buckets\":%" PRIu64
		       ",\"entries\":%" PRIu64 ",\"objects\":%" PRIu64 ",\"intents\":%" PRIu64 "}\n",
		       sound ? "true" : "false", counts.faults, counts.segments, counts.buckets, counts.entries,
		       counts.objects, counts.intents);
	else
		printf("%s: %" PRIu64 " faults; %" PRIu64 " segments, %" PRIu64 " buckets, %" PRIu64
		       " entries, %" PRIu64 " objects, %" PRIu64 " intents\n",
		       sound ? "sound" : "unsound", counts.faults, counts.segments, counts.buckets, counts.entries,
		       counts.objects, counts.intents);
	return sound ? OUTCOME_OK : OUTCOME_NO;
}
