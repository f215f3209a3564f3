/* SPDX-License-Identifier: MIT */
#include "tools/larder_verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/larder_json.h"

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
