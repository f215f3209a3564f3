/* SPDX-License-Identifier: MIT */
#include "tests/torture/board.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/expect.h"
#include "tests/support/workers.h"

struct board *board_create(const struct settings *settings)
{
	struct board *board = shared_memory(sizeof *board + sizeof(struct record) * ACTORS * settings->keys);
	pthread_mutexattr_t robust;

	board->settings = *settings;
	board->begun_ms = monotonic_ms();
	board->director = (uint32_t)getpid();
	expect(pthread_mutexattr_init(&robust) == 0);
	expect(pthread_mutexattr_setpshared(&robust, PTHREAD_PROCESS_SHARED) == 0);
	expect(pthread_mutexattr_setrobust(&robust, PTHREAD_MUTEX_ROBUST) == 0);
	for (uint32_t actor = 0; actor < ACTORS; actor++)
		expect(pthread_mutex_init(&board->actors[actor].owner, &robust) == 0);
	pthread_mutexattr_destroy(&robust);
	return board;
}

bool board_fail(struct board *board, enum verdict_kind kind, const struct culprit *culprit, const char *format, ...)
{
	uint32_t place = fetch_add_acq_rel(&board->failure_count, 1);
	struct failure *failure = &board->failures[place];
	va_list arguments;

	fetch_add_relaxed(kind == VERDICT_WRONG  ? &board->wrong
	                  : kind == VERDICT_LOST ? &board->lost
	                                         : &board->hangs,
	                  1);
	if (place >= FAILURES_MAX)
		return false;
	*failure = (struct failure){ .kind = kind,
		                     .pid = (uint32_t)getpid(),
		                     .actor = culprit->actor,
		                     .at_ms = monotonic_ms() - board->begun_ms,
		                     .key_size = culprit->key_size,
		                     .record = culprit->record };
	if (culprit->key)
		memcpy(failure->key, culprit->key, culprit->key_size);
	va_start(arguments, format);
	vsnprintf(failure->text, sizeof failure->text, format, arguments);
	va_end(arguments);
	return false;
}

struct random board_random(const struct board *board, uint32_t part, uint32_t incarnation)
{
	struct random random = { board->settings.seed * UINT64_C(0x9e3779b97f4a7c15) + part };

	random.state = random_next(&random) + incarnation;
	return random;
}
