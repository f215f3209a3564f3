/* SPDX-License-Identifier: MIT */
#include "tools/larder_resize.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "tools/larder_command_line.h"

#define LOOK_MS 20 /* between two looks how far it has come */

static void show(const struct invocation *invocation, uint64_t now, uint64_t wanted)
{
	char human_now[TEXT_HUMAN_BYTES], human_wanted[TEXT_HUMAN_BYTES];

	if (invocation->json)
		printf("{\"arena_bytes\":%" PRIu64 ",\"arena_bytes_wanted\":%" PRIu64 "}\n", now, wanted);
	else
		printf("%" PRIu64 " (%s) of %" PRIu64 " (%s)\n", now, text_human_bytes(now, human_now), wanted,
		       text_human_bytes(wanted, human_wanted));
	fflush(stdout); /* who waits wants to see it */
}

/* Follows what larderd does, with --wait until it is done. */
static enum outcome follow(const struct invocation *invocation, uint64_t asked)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
	uint64_t now, wanted, shown = UINT64_MAX;
	struct cache_thread *thread;

	for (;;) {
		enum outcome outcome = invocation_thread(invocation, &thread);

		if (outcome != OUTCOME_OK)
			return outcome;
		cache_size(&thread->cache->arena, &now, &wanted);
		if (now != shown)
			show(invocation, now, wanted);
		shown = now;
		if (wanted != asked)
			return invocation_fail(
				invocation, OUTCOME_FAILED,
				"larderd could not get the memory, or was asked for yet another size: its log "
				"tells");
		if (now == wanted || !(invocation->given & OPTION_WAIT))
			return OUTCOME_OK;
		nanosleep(&pause, NULL);
	}
}

enum outcome command_resize(struct invocation *invocation)
{
	uint64_t bytes, possible = 0;
	char human[TEXT_HUMAN_BYTES];
	enum outcome outcome;
	int result;

	if (!text_bytes(invocation->operands[0], &bytes))
		return invocation_fail(invocation, OUTCOME_USAGE,
		                       "SIZE is a number of bytes such as 512M (units: K, M, G, T), not '%s'",
		                       invocation->operands[0]);
	outcome = invocation_attach(invocation);
	if (outcome != OUTCOME_OK)
		return outcome;
	result = larder_resize(invocation->cache, bytes, &possible);
	if (result == -ERANGE)
		return invocation_fail(invocation, OUTCOME_FAILED, "the arena can have %s %" PRIu64 " bytes (%s)",
		                       bytes > possible ? "at most" : "no less than", possible,
		                       text_human_bytes(possible, human));
	if (result != 0)
		return invocation_fail(invocation, OUTCOME_FAILED, "%s",
		                       result == -ENOMEM ? "the host has not so much memory to give"
		                                         : larder_strerror(result));
	return follow(invocation, possible);
}
