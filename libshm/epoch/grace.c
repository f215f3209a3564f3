/* SPDX-License-Identifier: MIT */
/*
 * Each word is read with an atomic addition of zero. For a thread in fenced mode that makes the two exchanges of the
 * protocol meet in the word's modification order: one of the two sides sees the other (a plain load here is not
 * enough). For a thread in plain mode the membarrier of grace_barrier does it, and the addition costs one line transfer
 * per thread and grace period.
 *
 * The words are the client's to scribble on; a client that lies here harms the memory it reads itself, or holds
 * segments back until it dies. Nothing but comparisons is done with the values.
 */
#include "epoch/grace.h"

#include "base/failpoint.h"
#include "base/platform.h"

#define EPOCH_LIMIT (UINT64_C(1) << 62) /* nobody comes so far by counting */

static uint64_t read_word(atomic_u64 *word)
{
	/*
	 * A4 <- R4; A5 <- R5; A6 <- R6; A7 <- R7; A17 <- R17; A24 <- R24; A25 <- R25; A27 <- R27
	 * R16 -> A16: whoever writes the word only later sees what was unlinked, condemned or revoked before.
	 */
	return fetch_add_acq_rel(word, 0);
}

static uint32_t lines(const struct control *control)
{
	uint64_t high = read_word(&control->page->thread_high);

	return high < THREADS_MAX ? (uint32_t)high : THREADS_MAX;
}

int grace_barrier(const struct arena *arena)
{
	return arena->plain_epochs ? platform_barrier() : 0;
}

uint64_t grace_first(const struct arena *arena)
{
	uint64_t epoch = load_relaxed(&arena->header->epoch);

	return epoch == 0 || epoch > EPOCH_LIMIT ? 1 : epoch;
}

void grace_restore(const struct arena *arena, uint64_t epoch)
{
	if (load_relaxed(&arena->header->epoch) != epoch)
		store_release(&arena->header->epoch, epoch); /* R3 -> A3: as in grace_begin */
}

uint64_t grace_begin(const struct arena *arena, uint64_t last)
{
	/* R3 -> A3: who reads this epoch also sees that what is to be freed has been unlinked. */
	store_release(&arena->header->epoch, last + 1);
	failpoint("grace.begun");
	return last + 1;
}

uint64_t grace_oldest(const struct control *control)
{
	uint64_t oldest = UINT64_MAX; /* which is also EPOCH_REVOKED */
	uint32_t count = lines(control);

	for (uint32_t i = 0; i < count; i++) {
		uint64_t entered = read_word(&control->page->threads[i].epoch);

		if (entered != 0 && entered < oldest)
			oldest = entered;
	}
	return oldest;
}

uint32_t grace_revoke(const struct control *control, uint64_t epoch)
{
	uint32_t revoked = 0, count = lines(control);

	for (uint32_t i = 0; i < count; i++) {
		atomic_u64 *word = &control->page->threads[i].epoch;
		uint64_t entered = read_word(word);

		/* The mark is published by what is done with the memory afterwards: R14 in segment.c, R16 for views. */
		if (entered == 0 || entered >= epoch || !cas_relaxed(word, &entered, EPOCH_REVOKED))
			continue;
		failpoint("grace.revoked");
		revoked++;
	}
	return revoked;
}

uint32_t grace_revoked(const struct control *control)
{
	uint32_t revoked = 0, count = lines(control);

	for (uint32_t i = 0; i < count; i++)
		revoked += read_word(&control->page->threads[i].epoch) == EPOCH_REVOKED;
	return revoked;
}

bool grace_write_pinned(const struct control *control, uint32_t segment)
{
	uint32_t count = lines(control);

	for (uint32_t i = 0; i < count; i++)
		if (read_word(&control->page->threads[i].write_pin) == (uint64_t)segment + 1)
			return true;
	return false;
}

static bool index_pinned(struct thread_line *line, uint64_t word)
{
	for (uint32_t which = 0; which < INDEX_PINS; which++)
		if (read_word(&line->index_pins[which]) == word)
			return true;
	return false;
}

bool grace_index_pinned(const struct control *control, uint32_t segment)
{
	uint32_t count = lines(control);

	for (uint32_t i = 0; i < count; i++)
		if (index_pinned(&control->page->threads[i], (uint64_t)segment + 1))
			return true;
	return false;
}

/* Whether a view holds the segment for which there was no room in a line. */
static bool view_counted(const struct control *control, uint32_t segment)
{
	for (uint32_t shard = 0; shard < PIN_SHARDS; shard++)
		/* A17 <- R17; R16 -> A16: as in read_word */
		if (fetch_add_acq_rel(control_pin(control, shard, segment), 0) != 0)
			return true;
	return false;
}

bool grace_view_pinned(const struct control *control, uint32_t segment)
{
	uint32_t count = lines(control);

	for (uint32_t i = 0; i < count; i++)
		if (read_word(&control->page->threads[i].view_pin) == (uint64_t)segment + 1)
			return true;
	return view_counted(control, segment);
}

bool grace_idle(const struct control *control)
{
	uint32_t count = lines(control);

	for (uint32_t i = 0; i < count; i++)
		if (read_word(&control->page->threads[i].epoch) != 0 || /* index pins are set in sections only */
		    read_word(&control->page->threads[i].write_pin) != 0 ||
		    read_word(&control->page->threads[i].view_pin) != 0)
			return false;
	for (uint32_t segment = 0; segment < control->segment_count; segment++)
		if (view_counted(control, segment))
			return false;
	return true;
}
