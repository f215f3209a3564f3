/* SPDX-License-Identifier: MIT */
#include "tools/demo/board.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "larder.h"

#define PRINTED_MAX 5 /* complaints per worker */
#define SHOW_EVERY 64 /* calls */

struct board *board_create(void)
{
	void *memory = mmap(NULL, sizeof(struct board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

uint64_t board_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void tally_end(struct tally *tally, enum call_kind kind, uint64_t begun)
{
	if (begun != 0)
		histogram_add(&tally->latency[kind], board_clock_ns() - begun);
	if (++tally->total_calls % SHOW_EVERY == 0)
		tally_show(tally);
}

void tally_show(struct tally *tally)
{
	tally->shown_calls = tally->total_calls;
	tally->shown_lookups = tally->lookups;
	tally->shown_hits = tally->hits;
}

/* One write(2) per complaint, so that those of several workers do not mix; a line of its own, so that it survives the
 * progress line. */
static void complain(const char *what, const char *detail)
{
	dprintf(STDERR_FILENO, "\n%s: %s (worker process %d)\n", what, detail, (int)getpid());
}

void tally_wrong(struct tally *tally, const char *format, ...)
{
	char detail[512];
	va_list arguments;

	if (atomic_fetch_add(&tally->wrong, 1) >= PRINTED_MAX)
		return;
	va_start(arguments, format);
	vsnprintf(detail, sizeof detail, format, arguments);
	va_end(arguments);
	complain("WRONG", detail);
}

void tally_failed(struct tally *tally, const char *call, int result)
{
	char detail[256];

	if (atomic_fetch_add(&tally->failed, 1) >= PRINTED_MAX)
		return;
	snprintf(detail, sizeof detail, "%s gave %d: %s", call, result, larder_strerror(result));
	complain("FAILED", detail);
}
