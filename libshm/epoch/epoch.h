/* SPDX-License-Identifier: MIT */
/*
 * Epochs: how a reader in one process keeps the keeper in another from reusing memory under it.
 *
 * A thread that looks at the index or at objects does so inside a section: it writes the current epoch into its own line of
 * its control page and zero when it leaves. The keeper, once nothing refers to some memory any more, raises the epoch
 * and waits until every line is zero or has the new epoch (a grace period); whoever entered before has then left, and
 * whoever enters later cannot find the memory. The word is a 64-bit epoch, not a parity, so one phase is enough: a thread
 * that writes an old epoch after the keeper looked has, by the barrier, not loaded anything that was unlinked before it.
 *
 * The store of the word must come before the loads of the section, which processors do not grant. Plain mode leaves that to
 * the keeper's membarrier(2), and entering is two plain instructions; fenced mode pays for an exchange at each entry.
 *
 * A section is a bounded number of instructions and never spans code of the user. A thread that is stopped inside one for
 * too long is revoked: the keeper replaces its word by EPOCH_REVOKED and goes on. Memory stays mapped, so such a thread can
 * at worst read recycled bytes; epoch_exit tells it, and it throws away what it read and starts over.
 *
 * The theory is that of epoch-based reclamation (K. Fraser, "Practical lock-freedom", 2004) and of RCU's asymmetric
 * barriers (Desnoyers et al., "User-Level Implementations of Read-Copy Update", 2012).
 */
#ifndef LARDER_EPOCH_EPOCH_H
#define LARDER_EPOCH_EPOCH_H

#include "arena/arena.h"
#include "arena/segment.h"
#include "base/failpoint.h"

struct epoch_reader {
	struct thread_line *line;
	const atomic_u64 *epoch; /* the arena's */
	uint64_t entered;
	bool fenced;
};

/*
 * Enters a section, for who has all that takes at hand, keeps the epoch himself, and leaves by epoch_leave. fenced: the mode of the process.
 * Return: the epoch.
 */
static inline __attribute__((always_inline)) uint64_t epoch_begin(struct thread_line *line,
                                                                  const atomic_u64 *arena_epoch, bool fenced)
{
	uint64_t epoch = load_acquire(arena_epoch); /* A3 <- R3 */

	if (__builtin_expect(fenced, 0)) {
		(void)exchange_acquire(&line->epoch, epoch); /* A16 <- R16 */
	} else {
		store_relaxed(&line->epoch, epoch);
		/* R4 -> A4: by its membarrier the keeper does not miss a section that still sees what it unlinked. */
		compiler_barrier();
	}
	failpoint("epoch.entered");
	return epoch;
}

static inline __attribute__((always_inline)) void epoch_enter(struct epoch_reader *reader)
{
	reader->entered = epoch_begin(reader->line, reader->epoch, reader->fenced);
}

/*
 * False: the section was revoked; nothing that was read in it may be used, or even trusted to be absent. True: all that was
 * read so far was read in time.
 */
static inline bool epoch_valid(const struct epoch_reader *reader)
{
	fence_acquire(); /* what the section read was read before the word is looked at: A14 <- R14 */
	return load_relaxed(&reader->line->epoch) == reader->entered;
}

/* Leaves the section that was entered in this epoch, for who keeps both in registers. Return: as epoch_valid. */
static inline __attribute__((always_inline)) bool epoch_leave(struct thread_line *line, uint64_t entered)
{
	bool valid;

	fence_acquire(); /* as in epoch_valid: A14 <- R14 */
	valid = load_relaxed(&line->epoch) == entered;
	failpoint("epoch.leaving");
	/* R5 -> A5: the keeper reuses memory only after this section's loads are done. */
	store_release(&line->epoch, 0);
	return valid;
}

/* Leaves the section. Return: as epoch_valid. */
static inline bool epoch_exit(struct epoch_reader *reader)
{
	return epoch_leave(reader->line, reader->entered);
}

/*
 * Write pin: while a thread writes into a segment, the segment is not recycled, whether or not the thread's section was
 * revoked meanwhile. Pin first, then look at the state: either the writer sees that the keeper condemned the segment, or
 * the keeper sees the pin. False: the segment is not (any more) open in that generation; it is not pinned then.
 */
static inline bool epoch_pin_write(struct epoch_reader *reader, const struct arena *arena, uint32_t segment,
                                   uint32_t generation)
{
	struct segment_word word;

	if (reader->fenced) {
		(void)exchange_acquire(&reader->line->write_pin, (uint64_t)segment + 1); /* A16 <- R16 */
	} else {
		store_relaxed(&reader->line->write_pin, (uint64_t)segment + 1);
		/* R6 -> A6: by its membarrier the keeper sees the pin, or the writer that the segment is condemned. */
		compiler_barrier();
	}
	failpoint("pin.set");
	word = segment_load(arena, segment);
	if (word.state == SEGMENT_OPEN && word.generation == generation)
		return true;
	failpoint("pin.refused");
	/* R7 -> A7: what an earlier pin was for is complete, too: the keeper may have missed that this thread gave it up. */
	store_release(&reader->line->write_pin, 0);
	return false;
}

static inline void epoch_unpin_write(struct epoch_reader *reader)
{
	failpoint("pin.releasing");
	/* R7 -> A7: what was written and published is complete when the keeper finds the pin gone. */
	store_release(&reader->line->write_pin, 0);
}

/*
 * Index pin: while a thread may change the buckets of an index segment, the segment is not recycled, whether or not the
 * thread's section is revoked meanwhile; so its late compare-and-swap finds the bucket as it left it. Pin what was found in the
 * section, then look whether the section was revoked: either it is so late that it is told, or the keeper sees the pin. The
 * first pin is of the segment to be changed, the second of what changes with it: the child that a split fills, or the other parent of a merge.
 * Each is taken away before it is set anew.
 * False: the section was revoked, so this may be another segment by now, and must not be changed.
 */
enum index_pin { INDEX_PIN_SEGMENT, INDEX_PIN_OTHER };

static inline bool epoch_pin_index(struct epoch_reader *reader, enum index_pin which, uint32_t segment)
{
	atomic_u64 *pin = &reader->line->index_pins[which];

	if (reader->fenced) {
		/* R24 -> A24: else both could miss each other, and a bucket be changed that is one no more. */
		(void)exchange_relaxed(pin, (uint64_t)segment + 1); /* epoch_valid has the fence */
	} else {
		store_relaxed(pin, (uint64_t)segment + 1);
		compiler_barrier(); /* R24 -> A24 by the keeper's membarrier */
	}
	failpoint("pin.index_set");
	return epoch_valid(reader);
}

static inline void epoch_unpin_index(struct epoch_reader *reader, enum index_pin which)
{
	atomic_u64 *pin = &reader->line->index_pins[which];

	failpoint("pin.index_releasing");
	if (__builtin_expect(reader->fenced, 0)) {
		/*
		 * R25 -> A25: the last change of a bucket comes before its memory is used again. An exchange, since a store would hide from
		 * the next one, for another segment in the same section, that the keeper has looked in between.
		 */
		(void)exchange_release(pin, 0);
	} else {
		/* R25 -> A25: the same; the next pin is a store, behind which there is the keeper's membarrier. */
		store_release(pin, 0);
	}
}

/*
 * View pin: keeps an object in its place after the section in which it was found. As for an index pin: pin in the section, and believe
 * it if the section was left in time. The line has room for one view; only its own thread sets the pin, and only where there is none,
 * and only whoever releases that view takes it away, which any thread may. So the word has one writer at a time, and in plain mode
 * neither needs more than a store.
 * False: the line holds another view, and this one is not pinned.
 */
static inline __attribute__((always_inline)) bool epoch_pin_view(struct thread_line *line, bool fenced,
                                                                 uint32_t segment)
{
	atomic_u64 *pin = &line->view_pin;

	/* A17 <- R17: if another thread released the last view, the keeper may learn it only from the pin of the next. */
	if (__builtin_expect(load_acquire(pin) != 0, 0))
		return false;
	if (__builtin_expect(fenced, 0)) {
		/* R27 -> A27: else both could miss each other, and a view be held of what is used again. */
		(void)exchange_relaxed(pin, (uint64_t)segment + 1); /* epoch_leave has the fence */
	} else {
		/* R27 -> A27, by the keeper's membarrier; and if the keeper missed that the last view was released, it learns it here. */
		store_release(pin, (uint64_t)segment + 1);
		compiler_barrier();
	}
	return true;
}

/* Whoever holds the view; fenced: the mode of the process. */
static inline __attribute__((always_inline)) void epoch_unpin_view(struct thread_line *line, bool fenced)
{
	/* R17 -> A17: the holder's loads are done when the keeper finds the pin gone. */
	if (__builtin_expect(fenced, 0)) /* a store would hide from the next exchange, as in epoch_unpin_index */
		(void)exchange_release(&line->view_pin, 0);
	else
		store_release(&line->view_pin, 0); /* R17 -> A17 */
}

#endif
