/* SPDX-License-Identifier: MIT */
/*
 * The memory model. weak.h says what its rules are; here is how a race is judged.
 *
 * Each thread counts its releases. Of every four bytes it is kept who wrote them last and who read them, and at which count;
 * an access races with it if the view of the thread that makes it does not reach so far.
 *
 * A reader inside a section may race with the next owner of memory that was taken from it, if it learns so in time:
 *  - what it read was written by somebody it is not ordered after: then it must not find its section valid afterwards. To
 *    have read that counts like a relaxed load of what the writer had acquired when it wrote, or had put before it by a release
 *    fence (which is what processors do, and C11 would, were the bytes atomic), so an acquire fence makes it see the mark;
 *  - what it read is written later by somebody it is not ordered before: then that one must know of the mark, and
 *    the reader must have had its acquire fence between reading and finding the section valid.
 * All other races are failures.
 */
#include "tests/weak/memory.h"

#include <stdlib.h>
#include <string.h>

#include "tests/weak/explore.h"
#include "tests/weak/places.h"

#define WORDS_MAX 65536
#define MESSAGES_MAX 65536
#define VIEWS_MAX 16384
#define ATTEMPTS_MAX 64

struct view {
	uint32_t clock[WEAK_THREADS];
	uint16_t seen[PLACES_HISTORIES];
};

struct message {
	struct message *older;
	const struct view *view;
	uint64_t value;
	uint32_t stamp;
};

/* An atomic word. Only those with a history keep older messages. */
struct word {
	struct message *newest;
	uint32_t bytes;
	uint32_t first, count; /* stamps */
	bool overwritten;      /* by something not atomic */
};

/* One stay in a section. */
struct attempt {
	uint64_t entered;
	uint32_t mark;         /* the message with which another thread revoked it */
	uint32_t valid_until;  /* what was read up to then was found valid, */
	uint32_t fenced_until; /* and with a fence behind what was read up to then */
	uint32_t late;         /* read before its memory was written to by one who knows of the mark */
	bool raced, revoked;
};

struct thread {
	struct view view;     /* what it may not read behind */
	struct view acquired; /* the part of it that it got from others */
	struct view pending;  /* from relaxed loads, for an acquire fence */
	struct view ordered;  /* what a release fence put before all that is written after it */
	bool orders;          /* there was one */
	const struct view *acquired_copy, *ordered_copy;
	uint32_t sequence, fence;
	uint32_t attempts, current; /* 0: outside */
	struct attempt attempt[ATTEMPTS_MAX];
	int64_t section; /* the unit of its section word; -1: none */
};

static struct thread threads[WEAK_THREADS];
static unsigned thread_count;
static struct word words[WORDS_MAX];
static struct message messages[MESSAGES_MAX];
static struct view views[VIEWS_MAX];
static uint32_t word_count, message_count, view_count;

/* ---- views --------------------------------------------------------------------------------------------------------- */

static struct thread *self(void)
{
	return &threads[explore_thread];
}

static void join(struct view *view, const struct view *other)
{
	for (unsigned i = 0; i < WEAK_THREADS; i++)
		view->clock[i] = view->clock[i] > other->clock[i] ? view->clock[i] : other->clock[i];
	for (unsigned i = 0; i < PLACES_HISTORIES; i++)
		view->seen[i] = view->seen[i] > other->seen[i] ? view->seen[i] : other->seen[i];
}

static struct view *keep(const struct view *view)
{
	if (view_count == VIEWS_MAX)
		weak_fail("the execution does not end: too many releases");
	views[view_count] = *view;
	return &views[view_count++];
}

static void acquire(struct thread *thread, const struct view *view)
{
	join(&thread->view, view);
	join(&thread->acquired, view);
	thread->acquired_copy = NULL;
}

static const struct view *release(struct thread *thread)
{
	const struct view *view = keep(&thread->view);

	thread->view.clock[explore_thread]++;
	return view;
}

/* What whoever reads what is written without a release of its own sees, if it has an acquire fence; NULL: nothing. */
static const struct view *fenced(struct thread *thread, const struct view *inherited)
{
	struct view *view;

	if (!thread->orders)
		return inherited;
	if (!thread->ordered_copy)
		thread->ordered_copy = keep(&thread->ordered);
	if (!inherited)
		return thread->ordered_copy;
	view = keep(thread->ordered_copy);
	join(view, inherited);
	return view;
}

static bool acquires(int order)
{
	return order == memory_order_acquire || order == memory_order_acq_rel || order == memory_order_seq_cst;
}

static bool releases(int order)
{
	return order == memory_order_release || order == memory_order_acq_rel || order == memory_order_seq_cst;
}

/* ---- races --------------------------------------------------------------------------------------------------------- */

static struct attempt *attempt_of(struct thread *thread, uint32_t number)
{
	return &thread->attempt[number % ATTEMPTS_MAX];
}

/* This thread read what was written by one it is not ordered after. */
static void read_early(const struct unit *unit)
{
	struct thread *thread = self();

	if (!thread->current)
		weak_fail("a race: what is read was written by a thread that this one is not ordered after");
	attempt_of(thread, thread->current)->raced = true;
	if (unit->write_view)
		join(&thread->pending, unit->write_view);
}

/* This thread writes what another has read that is not ordered before it. */
static void written_early(unsigned reader, struct access read)
{
	struct thread *thread = &threads[reader];
	struct attempt *attempt = attempt_of(thread, read.attempt);
	bool known;

	if (!read.attempt)
		weak_fail("a race: what is written was read by thread %u, which is not ordered before this one",
		          reader);
	if (read.attempt + ATTEMPTS_MAX <= thread->attempts)
		weak_fail("the execution does not end: too many sections");
	known = attempt->mark && self()->view.seen[places_usage[thread->section].history] >= attempt->mark;
	if (attempt->revoked)
		return;
	if (read.sequence > attempt->valid_until && read.attempt == thread->current) {
		attempt->raced |= !known;
		attempt->late = read.sequence > attempt->late ? read.sequence : attempt->late;
	} else if (read.sequence <= attempt->valid_until && (!known || read.sequence > attempt->fenced_until)) {
		weak_fail("memory is reused that thread %u has read in a section that it found valid", reader);
	}
}

/* A thread looked whether its section is still valid. */
static void validated(struct thread *thread, uint64_t value)
{
	struct attempt *attempt = attempt_of(thread, thread->current);

	if (!thread->current)
		return;
	if (value != attempt->entered) {
		attempt->revoked = true;
		return;
	}
	if (attempt->raced || attempt->late > thread->fence)
		weak_fail("a section is found valid although memory was reused that it has read");
	attempt->valid_until = thread->sequence;
	attempt->fenced_until = thread->fence;
}

static void section_stored(int64_t number, uint64_t value, uint32_t stamp)
{
	for (unsigned i = 0; i < thread_count; i++) {
		struct thread *thread = &threads[i];

		if (thread->section != number)
			continue;
		if (i != explore_thread) {
			if (thread->current && !attempt_of(thread, thread->current)->mark)
				attempt_of(thread, thread->current)->mark = stamp;
		} else if (value == 0) {
			thread->current = 0;
		} else {
			thread->current = ++thread->attempts;
			*attempt_of(thread, thread->current) = (struct attempt){ .entered = value };
		}
	}
}

static bool unordered(uint8_t writer, uint32_t clock)
{
	return writer && writer - 1u != explore_thread && self()->view.clock[writer - 1] < clock;
}

static struct access this_access(void)
{
	struct thread *thread = self();

	return (struct access){ thread->view.clock[explore_thread], ++thread->sequence, thread->current };
}

static void check_reads(const struct access reads[WEAK_THREADS])
{
	for (unsigned i = 0; i < thread_count; i++)
		if (i != explore_thread && reads[i].clock > self()->view.clock[i])
			written_early(i, reads[i]);
}

static void atomic_read(void *address, int64_t number, unsigned bytes)
{
	for (unsigned i = 0; i < bytes / UNIT; i++) {
		struct unit *unit = places_touch((char *)address + i * UNIT, number + i);

		if (unordered(unit->writer, unit->write_clock))
			read_early(unit);
		unit->atomic_reads[explore_thread] = this_access();
	}
}

static void atomic_write(void *address, int64_t number, unsigned bytes, const struct view *view)
{
	for (unsigned i = 0; i < bytes / UNIT; i++) {
		struct unit *unit = places_touch((char *)address + i * UNIT, number + i);

		if (unordered(unit->writer, unit->write_clock))
			weak_fail("a race: what is written was written by a thread that this one is not ordered after");
		check_reads(unit->reads);
		unit->atomic_writer = (uint8_t)(explore_thread + 1);
		unit->atomic_write_clock = self()->view.clock[explore_thread];
		unit->write_view = view;
	}
}

void memory_read(const void *address, size_t bytes)
{
	int64_t first = places_unit_of(address), last = places_unit_of((const char *)address + bytes - 1);

	for (int64_t number = first; number <= last; number++) {
		struct unit *unit = places_touch((char *)(uintptr_t)address + (number - first) * UNIT, number);

		if (unordered(unit->writer, unit->write_clock) ||
		    unordered(unit->atomic_writer, unit->atomic_write_clock))
			read_early(unit);
		unit->reads[explore_thread] = this_access();
	}
}

void memory_write(void *address, size_t bytes)
{
	int64_t first = places_unit_of(address), last = places_unit_of((const char *)address + bytes - 1);
	struct thread *thread = self();

	if (!thread->acquired_copy)
		thread->acquired_copy = fenced(thread, keep(&thread->acquired));
	for (int64_t number = first; number <= last; number++) {
		struct unit *unit = places_touch((char *)address + (number - first) * UNIT, number);

		if (unordered(unit->writer, unit->write_clock) ||
		    unordered(unit->atomic_writer, unit->atomic_write_clock))
			weak_fail("a race: what is written was written by a thread that this one is not ordered after");
		check_reads(unit->reads);
		check_reads(unit->atomic_reads);
		unit->writer = (uint8_t)(explore_thread + 1);
		unit->write_clock = thread->view.clock[explore_thread];
		unit->write_view = thread->acquired_copy;
		if (unit->word)
			unit->word->overwritten = true; /* what is atomic here later begins with these bytes */
	}
}

/* ---- atomic accesses ----------------------------------------------------------------------------------------------- */

static uint64_t value_at(const void *address, unsigned bytes)
{
	return bytes == 8 ? *(const volatile uint64_t *)address : *(const volatile uint32_t *)address;
}

static struct message *append(struct word *word, uint64_t value, const struct view *view)
{
	struct message *message = &messages[message_count++];

	if (message_count == MESSAGES_MAX)
		weak_fail("the execution does not end: too many stores");
	*message = (struct message){ word->newest, view, value, word->count++ };
	word->newest = message;
	return message;
}

static struct word *word_at(void *address, int64_t number, unsigned bytes)
{
	struct unit *unit = places_touch(address, number);
	uint32_t first = unit->word ? unit->word->count : 0;

	if (!unit->word || unit->word->overwritten || unit->word->bytes != bytes) {
		if (word_count == WORDS_MAX)
			abort();
		unit->word = &words[word_count++];
		*unit->word = (struct word){ .bytes = bytes, .first = first, .count = first };
		append(unit->word, value_at(address, bytes), NULL);
	}
	return unit->word;
}

static uint16_t begin_access(int64_t number, bool writes)
{
	places_usage[number].users |= (uint8_t)(1u << explore_thread);
	if (writes)
		places_usage[number].writers |= (uint8_t)(1u << explore_thread);
	/* What only this thread writes is the same for it whenever it reads it. */
	if (places_usage[number].history && (writes || places_usage[number].others_write >> explore_thread & 1))
		explore_point();
	return places_usage[number].history;
}

/* How many messages the thread may read. */
static uint32_t readable(const struct word *word, uint16_t history)
{
	uint32_t oldest = self()->view.seen[history];

	return word->count - (oldest > word->first ? oldest : word->first);
}

static uint64_t take(int64_t number, uint16_t history, const struct message *message, int order)
{
	struct thread *thread = self();

	if (history)
		thread->view.seen[history] = (uint16_t)message->stamp;
	if (message->view && acquires(order))
		acquire(thread, message->view);
	else if (message->view)
		join(&thread->pending, message->view);
	if (number == thread->section)
		validated(thread, message->value);
	return message->value;
}

static void put(void *address, int64_t number, uint16_t history, struct word *word, uint64_t value,
                const struct view *view)
{
	struct message *message;

	atomic_write(address, number, word->bytes, view);
	message = append(word, value, view);
	if (history)
		self()->view.seen[history] = (uint16_t)message->stamp;
	if (word->bytes == 8)
		*(volatile uint64_t *)address = value;
	else
		*(volatile uint32_t *)address = (uint32_t)value;
	section_stored(number, value, message->stamp);
}

/* What a release puts into its message: the view with the message itself in it. */
static const struct view *released_view(uint16_t history, const struct word *word, int order,
                                        const struct view *inherited)
{
	struct thread *thread = self();
	struct view *view;

	if (!releases(order))
		return fenced(thread, inherited);
	if (history)
		thread->view.seen[history] = (uint16_t)word->count;
	view = (struct view *)(uintptr_t)release(thread);
	if (inherited)
		join(view, inherited);
	return view;
}

uint64_t memory_load(void *address, unsigned bytes, int order)
{
	int64_t number = places_unit_of(address);
	uint16_t history = begin_access(number, false);
	struct word *word = word_at(address, number, bytes);
	const struct message *message = word->newest;

	atomic_read(address, number, bytes);
	if (history) {
		unsigned back = explore_choose(readable(word, history));

		while (back--)
			message = message->older;
	}
	return take(number, history, message, order);
}

void memory_store(void *address, unsigned bytes, uint64_t value, int order)
{
	int64_t number = places_unit_of(address);
	uint16_t history = begin_access(number, true);
	struct word *word = word_at(address, number, bytes);

	put(address, number, history, word, value, released_view(history, word, order, NULL));
}

uint64_t memory_modify(void *address, unsigned bytes, memory_change *change, uint64_t operand, int order)
{
	int64_t number = places_unit_of(address);
	uint16_t history = begin_access(number, true);
	struct word *word = word_at(address, number, bytes);
	const struct message *message = word->newest;
	uint64_t old;

	atomic_read(address, number, bytes);
	old = take(number, history, message, order);
	put(address, number, history, word, change(old, operand), released_view(history, word, order, message->view));
	return old;
}

bool memory_compare_exchange(void *address, unsigned bytes, uint64_t *expected, uint64_t desired, int success,
                             int failure)
{
	int64_t number = places_unit_of(address);
	uint16_t history = begin_access(number, true);
	struct word *word = word_at(address, number, bytes);
	const struct message *message = word->newest;

	/* A failure may read what is not the latest any more. */
	if (history) {
		const struct message *candidate[2] = { message };
		unsigned candidates = 1;

		for (uint32_t back = readable(word, history); back > 1 && candidates < 2; back--) {
			message = message->older;
			if (message->value != *expected)
				candidate[candidates++] = message;
		}
		message = candidate[explore_choose(candidates)];
	}
	atomic_read(address, number, bytes);
	if (message != word->newest || message->value != *expected) {
		*expected = take(number, history, message, failure);
		return false;
	}
	take(number, history, message, success);
	put(address, number, history, word, desired, released_view(history, word, success, message->view));
	return true;
}

bool memory_compare_exchange_pair(void *address, uint64_t expected[2], const uint64_t desired[2])
{
	int64_t number = places_unit_of(address);
	uint16_t history[2] = { begin_access(number, true), places_usage[number + 2].history };
	bool same = true;

	for (unsigned i = 0; i < 2; i++) {
		char *half = (char *)address + 8 * i;
		struct word *word = word_at(half, number + 2 * i, 8);

		places_usage[number + 2 * i].users |= (uint8_t)(1u << explore_thread);
		places_usage[number + 2 * i].writers |= (uint8_t)(1u << explore_thread);
		atomic_read(half, number + 2 * i, 8);
		same &= take(number + 2 * i, history[i], word->newest, memory_order_acquire) == expected[i];
	}
	/* It is one write: who has read one half does not read an older one of the other. */
	for (unsigned i = 0; same && i < 2; i++)
		if (history[i])
			self()->view.seen[history[i]] = (uint16_t)places_units[number + 2 * i].word->count;
	for (unsigned i = 0; i < 2; i++) {
		struct word *word = places_units[number + 2 * i].word;

		if (same)
			put((char *)address + 8 * i, number + 2 * i, history[i], word, desired[i],
			    released_view(history[i], word, memory_order_release, word->newest->view));
		else
			expected[i] = word->newest->value;
	}
	return same;
}

void memory_fence(int order)
{
	struct thread *thread = self();

	if (acquires(order)) {
		thread->fence = thread->sequence;
		acquire(thread, &thread->pending);
	}
	if (releases(order)) {
		thread->ordered = thread->view;
		thread->orders = true;
		thread->acquired_copy = thread->ordered_copy = NULL;
		thread->view.clock[explore_thread]++;
	}
}

void memory_barrier(void)
{
	struct view mine = self()->view;

	for (unsigned i = 0; i < thread_count; i++) {
		if (i == explore_thread)
			continue;
		acquire(self(), &threads[i].view);
		acquire(&threads[i], &mine);
		threads[i].view.clock[i]++;
	}
	self()->view.clock[explore_thread]++;
}

/* ---- executions ---------------------------------------------------------------------------------------------------- */

void memory_begin(unsigned count)
{
	thread_count = count;
	word_count = message_count = view_count = 0;
	memset(threads, 0, sizeof threads);
	for (unsigned i = 0; i < WEAK_THREADS; i++) {
		threads[i].section = places_sections[i];
		threads[i].view.clock[i] = 1;
	}
}

void memory_end(void)
{
	places_restore();
}
