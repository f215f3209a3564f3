/* SPDX-License-Identifier: MIT */
/*
 * The problem: operations of several processes on one key overlap in time. The history is linearizable when there is an
 * order of all of them that (1) keeps every pair that did not overlap in its order of time and (2) gives, executed one
 * by one on a plain register, the very results that were seen.
 *
 * The idea is that of Wing and Gong: search for such an order depth first. The next operation may be any one that no
 * other remaining operation precedes in time, and whose result is right in the present state. As Lowe noted, the
 * result of a search depends only on the set of operations done and the state reached, so a pair of these seen before
 * is not searched again.
 *
 * The register: absent, or present with what one operation wrote. Each value is written once, so the number of the last
 * writer stands for value and version. A version must be greater than that of the writer before.
 *
 * To name the fault, the shortest faulty prefix is found: all that had been called when some operation returned, where
 * those which had not yet returned may have had their effect or not. Once a prefix is faulty every longer one is. Then
 * the beginning is cut off behind as many operations as possible.
 */
#include "tests/linear/checker.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_MAX (UINT64_C(1) << 20) /* configurations remembered, at most */
#define MEMORY_FIRST (UINT64_C(1) << 10)

/* What a search has reached: which operations are done, who wrote last, and whether that still stands. */
struct configuration {
	uint64_t done;
	uint32_t writer; /* index + 1; 0: nobody yet */
	uint32_t present;
};

/* A set of configurations; a slot counts only when its mark is that of the present search, so emptying it is free. */
struct checker {
	struct configuration *slots;
	uint64_t *marks;
	uint64_t size, used, mark;
};

struct search {
	const struct operation *operations; /* sorted by invoked */
	unsigned count;
	uint64_t required; /* those which must be in the order; the others may */
	uint64_t before[HISTORY_MAX];
	bool may_evict;
};

struct checker *checker_create(void)
{
	struct checker *checker = calloc(1, sizeof *checker);

	if (checker == NULL)
		return NULL;
	checker->size = MEMORY_FIRST;
	checker->slots = calloc(checker->size, sizeof *checker->slots);
	checker->marks = calloc(checker->size, sizeof *checker->marks);
	if (checker->slots == NULL || checker->marks == NULL) {
		checker_destroy(checker);
		return NULL;
	}
	return checker;
}

void checker_destroy(struct checker *checker)
{
	if (checker == NULL)
		return;
	free(checker->slots);
	free(checker->marks);
	free(checker);
}

static uint64_t configuration_hash(const struct configuration *c)
{
	uint64_t hash = (c->done ^ ((uint64_t)c->writer << 1 | c->present)) * UINT64_C(0x9e3779b97f4a7c15);

	hash ^= hash >> 32;
	hash *= UINT64_C(0xd6e8feb86659fd93);
	return hash ^ hash >> 32;
}

/* The slot where a configuration is or belongs. */
static uint64_t memory_find(const struct checker *checker, const struct configuration *c)
{
	uint64_t i = configuration_hash(c) & (checker->size - 1);

	while (checker->marks[i] == checker->mark &&
	       (checker->slots[i].done != c->done || checker->slots[i].writer != c->writer ||
	        checker->slots[i].present != c->present))
		i = (i + 1) & (checker->size - 1);
	return i;
}

static bool memory_grow(struct checker *checker)
{
	struct checker larger = { .size = checker->size * 2, .mark = 1 };

	if (larger.size > 2 * MEMORY_MAX)
		return false;
	larger.slots = calloc(larger.size, sizeof *larger.slots);
	larger.marks = calloc(larger.size, sizeof *larger.marks);
	if (larger.slots == NULL || larger.marks == NULL) {
		free(larger.slots);
		free(larger.marks);
		return false;
	}
	for (uint64_t i = 0; i < checker->size; i++) {
		if (checker->marks[i] == checker->mark) {
			uint64_t place = memory_find(&larger, &checker->slots[i]);

			larger.slots[place] = checker->slots[i];
			larger.marks[place] = larger.mark;
		}
	}
	larger.used = checker->used;
	free(checker->slots);
	free(checker->marks);
	*checker = larger;
	return true;
}

/* Return: 1: it is new; 0: it was there; -1: no more memory. */
static int memory_add(struct checker *checker, const struct configuration *c)
{
	uint64_t place = memory_find(checker, c);

	if (checker->marks[place] == checker->mark)
		return 0;
	if (checker->used >= checker->size / 2) {
		if (!memory_grow(checker))
			return -1;
		place = memory_find(checker, c);
	}
	checker->slots[place] = *c;
	checker->marks[place] = checker->mark;
	checker->used++;
	return 1;
}

/* Which outcomes an operation has at all. */
static const uint8_t possible[] = {
	[OPERATION_GET] = 1u << OUTCOME_OK | 1u << OUTCOME_MISS,
	[OPERATION_SET] = 1u << OUTCOME_OK,
	[OPERATION_ADD] = 1u << OUTCOME_OK | 1u << OUTCOME_EXISTS,
	[OPERATION_REPLACE] = 1u << OUTCOME_OK | 1u << OUTCOME_MISS,
	[OPERATION_CAS] = 1u << OUTCOME_OK | 1u << OUTCOME_MISS | 1u << OUTCOME_CHANGED,
	[OPERATION_DELETE] = 1u << OUTCOME_OK | 1u << OUTCOME_MISS | 1u << OUTCOME_CHANGED,
};

/* What operation i does to the register: true when its result is the right one, and then state has changed. */
static bool apply(const struct search *search, unsigned i, struct configuration *state)
{
	const struct operation *operation = &search->operations[i];
	const struct operation *last = state->writer > 0 ? &search->operations[state->writer - 1] : NULL;
	bool writes = operation->kind != OPERATION_GET && operation->kind != OPERATION_DELETE;
	bool needs_present = operation->outcome == OUTCOME_CHANGED || operation->outcome == OUTCOME_EXISTS ||
	                     (operation->outcome == OUTCOME_OK && operation->kind != OPERATION_SET &&
	                      operation->kind != OPERATION_ADD);
	bool needs_absent = operation->outcome == OUTCOME_MISS ||
	                    (operation->outcome == OUTCOME_OK && operation->kind == OPERATION_ADD);
	bool asks_version = operation->kind == OPERATION_CAS ||
	                    (operation->kind == OPERATION_DELETE && operation->expected);

	if (!(possible[operation->kind] >> operation->outcome & 1) || (needs_present && !state->present))
		return false;
	if (needs_absent && state->present) {
		if (!search->may_evict)
			return false;
		state->present = 0;
	}
	if (operation->outcome == OUTCOME_CHANGED)
		return asks_version && operation->expected != last->version;
	if (operation->outcome != OUTCOME_OK)
		return true;
	if (operation->kind == OPERATION_GET)
		return operation->value == last->value && operation->version == last->version;
	if (asks_version && operation->expected != last->version)
		return false;
	if (writes) {
		if (last != NULL && operation->version <= last->version)
			return false;
		state->writer = i + 1;
	}
	state->present = writes;
	return true;
}

/* Depth first, without recursion: frames[d] is the configuration after d operations and the next candidate to try. */
static enum verdict find_order(struct checker *checker, const struct search *search)
{
	struct frame {
		struct configuration state;
		unsigned next;
	} frames[HISTORY_MAX + 1];
	unsigned depth = 0;

	checker->mark++;
	checker->used = 0;
	frames[0].state = (struct configuration){ 0, 0, 0 };
	frames[0].next = 0;
	for (;;) {
		struct frame *frame = &frames[depth];
		struct configuration state = frame->state;
		unsigned i;
		int is_new;

		if ((search->required & ~state.done) == 0)
			return VERDICT_LINEARIZABLE;
		for (i = frame->next; i < search->count; i++) {
			if (state.done >> i & 1 || (search->before[i] & ~state.done) != 0)
				continue;
			if (apply(search, i, &state))
				break;
			state = frame->state;
		}
		if (i == search->count) {
			if (depth-- == 0)
				return VERDICT_VIOLATION;
			continue;
		}
		frame->next = i + 1;
		state.done |= UINT64_C(1) << i;
		is_new = memory_add(checker, &state);
		if (is_new < 0)
			return VERDICT_UNDECIDED;
		if (is_new > 0) {
			frames[++depth].state = state;
			frames[depth].next = 0;
		}
	}
}

/* Looks at what happened until `until`: what returned by then must be in the order, what was called by then may. */
static enum verdict check_until(struct checker *checker, const struct operation *operations, unsigned count,
                                uint64_t until, bool may_evict)
{
	struct search search = { .operations = operations, .may_evict = may_evict };

	for (unsigned i = 0; i < count && operations[i].invoked <= until; i++) {
		search.count = i + 1;
		if (operations[i].returned <= until)
			search.required |= UINT64_C(1) << i;
		for (unsigned j = 0; j < i; j++)
			if (operations[j].returned < operations[i].invoked)
				search.before[i] |= UINT64_C(1) << j;
	}
	return find_order(checker, &search);
}

static int by_invocation(const void *left, const void *right)
{
	const struct operation *a = left, *b = right;

	return (a->invoked > b->invoked) - (a->invoked < b->invoked);
}

static int by_number(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

/* The operation with which the shortest faulty prefix ends. */
static unsigned find_last(struct checker *checker, const struct operation *operations, unsigned count, bool may_evict)
{
	uint64_t returns[HISTORY_MAX];
	unsigned sound = 0, faulty = count, last = 0; /* a prefix of so many returns is so */

	for (unsigned i = 0; i < count; i++)
		returns[i] = operations[i].returned;
	qsort(returns, count, sizeof *returns, by_number);
	while (faulty - sound > 1) {
		unsigned middle = (sound + faulty) / 2;

		if (check_until(checker, operations, count, returns[middle - 1], may_evict) == VERDICT_VIOLATION)
			faulty = middle;
		else
			sound = middle;
	}
	for (unsigned i = 0; i < count; i++)
		if (operations[i].returned == returns[faulty - 1])
			last = i;
	return last;
}

/*
 * An operation that overlapped with no other, and says what the state is, can stand at the beginning in place of all
 * before it: as a set, or as a get of nothing. False: it is no such operation.
 */
static bool make_beginning(const struct operation *operations, unsigned count, unsigned i,
                           struct operation *ret_beginning)
{
	struct operation beginning = operations[i];

	for (unsigned j = 0; j < count; j++)
		if (j < i ? operations[j].returned >= beginning.invoked
		          : j > i && operations[j].invoked <= beginning.returned)
			return false;
	if (beginning.outcome == OUTCOME_MISS ||
	    (beginning.outcome == OUTCOME_OK && beginning.kind == OPERATION_DELETE)) {
		beginning.kind = OPERATION_GET;
		beginning.outcome = OUTCOME_MISS;
	} else if (beginning.outcome == OUTCOME_OK) {
		beginning.kind = OPERATION_SET;
	} else {
		return false;
	}
	*ret_beginning = beginning;
	return true;
}

static unsigned find_first(struct checker *checker, const struct operation *operations, unsigned count, unsigned last,
                           bool may_evict)
{
	struct operation rest[HISTORY_MAX];

	for (unsigned first = last; first > 0; first--) {
		memcpy(rest, operations + first, (count - first) * sizeof *rest);
		if (make_beginning(operations, count, first, &rest[0]) &&
		    check_until(checker, rest, count - first, operations[last].returned, may_evict) ==
		            VERDICT_VIOLATION)
			return first;
	}
	return 0;
}

enum verdict checker_check(struct checker *checker, struct operation *operations, unsigned count, bool may_evict,
                           unsigned *ret_first, unsigned *ret_last)
{
	enum verdict verdict;

	if (count > HISTORY_MAX)
		return VERDICT_UNDECIDED;
	qsort(operations, count, sizeof *operations, by_invocation);
	verdict = check_until(checker, operations, count, UINT64_MAX, may_evict);
	if (verdict == VERDICT_VIOLATION) {
		*ret_last = find_last(checker, operations, count, may_evict);
		*ret_first = find_first(checker, operations, count, *ret_last, may_evict);
	}
	return verdict;
}

void checker_print(FILE *file, const struct operation *operations, unsigned count, unsigned first, unsigned last)
{
	static const char *const kinds[] = { "get", "set", "add", "replace", "cas", "delete" };
	static const char *const outcomes[] = { "ok", "MISS", "EXISTS", "CHANGED" };
	uint64_t start = operations[first].invoked;

	fprintf(file, "%10s %10s %7s  %s\n", "called", "returned", "process", "operation (times in ns)");
	for (unsigned i = first; i < count && operations[i].invoked <= operations[last].returned; i++) {
		const struct operation *operation = &operations[i];
		bool writes = operation->kind != OPERATION_GET && operation->kind != OPERATION_DELETE;

		fprintf(file, "%10" PRIu64 " %10" PRIu64 " %7u  %s", operation->invoked - start,
		        operation->returned - start, operation->process, kinds[operation->kind]);
		if (writes)
			fprintf(file, " value %" PRIu64, operation->value);
		if (operation->expected != 0)
			fprintf(file, " expecting version %" PRIx64, operation->expected);
		fprintf(file, " -> %s", outcomes[operation->outcome]);
		if (operation->outcome == OUTCOME_OK && operation->kind == OPERATION_GET)
			fprintf(file, " value %" PRIu64, operation->value);
		if (operation->outcome == OUTCOME_OK && operation->kind != OPERATION_DELETE)
			fprintf(file, " version %" PRIx64, operation->version);
		if (i == last)
			fputs("   <- cannot be explained", file);
		else if (operation->returned > operations[last].returned)
			fputs("   (returned later)", file);
		fputc('\n', file);
	}
}
