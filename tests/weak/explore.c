/* SPDX-License-Identifier: MIT */
/*
 * The search, depth first: an execution is the list of choices made in it. To get the next one, the last choice that has an
 * alternative left takes it, and what came after is forgotten.
 */
#include "tests/weak/explore.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "tests/weak/memory.h"

#define STACK_BYTES (1u << 20)
#define CHOICES_MAX 65536
#define RESTORED_MAX 32

unsigned explore_thread;
bool explore_running, explore_tracing;

static struct choice {
	uint8_t made, count;
	bool deviates; /* when it is not 0 */
} choices[CHOICES_MAX];
static uint32_t choice_count, choices_replayed;
static unsigned deviations, deviations_max;

static struct coroutine {
	ucontext_t context;
	void *stack;
	void (*body)(void);
	const void *asleep_on;
	bool ended;
} coroutines[WEAK_THREADS];
static unsigned coroutine_count;
static ucontext_t search;
static bool failed;

static struct {
	void *memory, *copy;
	size_t bytes;
} restored[RESTORED_MAX];
static unsigned restored_count;

void weak_restore(void *memory, size_t bytes)
{
	restored[restored_count].memory = memory;
	restored[restored_count].bytes = bytes;
	restored[restored_count++].copy = malloc(bytes);
	if (restored_count > RESTORED_MAX)
		abort();
}

/* ---- choices ------------------------------------------------------------------------------------------------------- */

static unsigned choose(unsigned count, bool deviates)
{
	struct choice *choice = &choices[choice_count];

	if (count <= 1 || (deviates && deviations == deviations_max))
		return 0;
	if (choice_count == CHOICES_MAX)
		weak_fail("the execution does not end: too many choices");
	if (choice_count == choices_replayed)
		choices[choices_replayed++] = (struct choice){ 0, (uint8_t)count, deviates };
	else if (choice->count != count)
		weak_fail("the same choices led to another place: the scenario depends on something else");
	choice_count++;
	deviations += deviates && choice->made;
	return choice->made;
}

unsigned explore_choose(unsigned count)
{
	return choose(count, true);
}

/* The next execution's choices. False: there is none. */
static bool advance(void)
{
	for (; choices_replayed; choices_replayed--) {
		struct choice *last = &choices[choices_replayed - 1];

		if (last->made + 1 < last->count) {
			last->made++;
			return true;
		}
	}
	return false;
}

/* ---- threads ------------------------------------------------------------------------------------------------------- */

static void resume(unsigned thread)
{
	unsigned before = explore_thread;

	if (thread == before)
		return;
	if (explore_tracing)
		fprintf(stderr, "      -- thread %u\n", thread);
	explore_thread = thread;
	swapcontext(&coroutines[before].context, &coroutines[thread].context);
}

static bool awake(unsigned thread)
{
	return !coroutines[thread].ended && !coroutines[thread].asleep_on;
}

/* The n-th of the others that could go on, beginning with the one after this. */
static unsigned other(unsigned n)
{
	unsigned thread = explore_thread;

	do {
		do
			thread = (thread + 1) % coroutine_count;
		while (thread == explore_thread || !awake(thread));
	} while (n--);
	return thread;
}

static unsigned others(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < coroutine_count; i++)
		count += i != explore_thread && awake(i);
	return count;
}

void explore_point(void)
{
	unsigned chosen = choose(1 + others(), true);

	if (chosen)
		resume(other(chosen - 1));
}

void weak_pause(void)
{
	if (others())
		resume(other(0));
}

/* This one cannot go on. Which of the others does is a free choice. */
static void give_way(void)
{
	unsigned count = others();

	if (count)
		resume(other(choose(count, false)));
}

void explore_sleep(const void *word)
{
	coroutines[explore_thread].asleep_on = word;
	if (!others())
		weak_fail("it sleeps, and nobody is left to wake it");
	give_way();
}

void explore_wake(const void *word)
{
	for (unsigned i = 0; i < coroutine_count; i++)
		if (coroutines[i].asleep_on == word)
			coroutines[i].asleep_on = NULL;
}

static void run_body(void)
{
	coroutines[explore_thread].body();
	coroutines[explore_thread].ended = true;
	give_way();
	for (unsigned i = 0; i < coroutine_count; i++)
		if (!coroutines[i].ended) {
			explore_thread = i;
			weak_fail("it sleeps, and nobody is left to wake it");
		}
	setcontext(&search);
}

void weak_fail(const char *format, ...)
{
	va_list arguments;

	failed = true;
	fprintf(stderr, "    %s %u: ", explore_running ? "thread" : "after all, in thread", explore_thread);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	if (coroutine_count == 0) /* nothing runs yet */
		abort();
	setcontext(&search);
	abort();
}

/* ---- the search ---------------------------------------------------------------------------------------------------- */

static void run_once(const struct weak_scenario *scenario)
{
	volatile bool begun = false;

	for (unsigned i = 0; i < restored_count; i++)
		memcpy(restored[i].memory, restored[i].copy, restored[i].bytes);
	memory_begin(coroutine_count);
	choice_count = 0;
	deviations = 0;
	for (unsigned i = 0; i < coroutine_count; i++) {
		struct coroutine *coroutine = &coroutines[i];

		coroutine->ended = false;
		coroutine->asleep_on = NULL;
		getcontext(&coroutine->context);
		coroutine->context.uc_stack = (stack_t){ .ss_sp = coroutine->stack, .ss_size = STACK_BYTES };
		coroutine->context.uc_link = NULL;
		makecontext(&coroutine->context, run_body, 0);
	}
	explore_running = true;
	getcontext(&search);
	if (!begun) {
		begun = true;
		explore_thread = choose(coroutine_count, false);
		if (explore_tracing)
			fprintf(stderr, "      -- thread %u\n", explore_thread);
		setcontext(&coroutines[explore_thread].context);
	}
	explore_running = false;
	if (!failed && scenario->check)
		scenario->check();
	memory_end();
}

/* Every execution with no more deviations than that. Return: how many. */
static uint64_t search_all(const struct weak_scenario *scenario, unsigned max)
{
	uint64_t executions = 0;

	deviations_max = max;
	choices_replayed = 0;
	do {
		run_once(scenario);
		executions++;
	} while (!failed && advance());
	return executions;
}

uint64_t explore_scenario(const struct weak_scenario *scenario, unsigned most)
{
	uint64_t executions = 0;

	scenario->prepare();
	for (unsigned i = 0; i < restored_count; i++)
		memcpy(restored[i].copy, restored[i].memory, restored[i].bytes);
	for (coroutine_count = 0; coroutine_count < WEAK_THREADS && scenario->threads[coroutine_count];
	     coroutine_count++) {
		struct coroutine *coroutine = &coroutines[coroutine_count];

		coroutine->body = scenario->threads[coroutine_count];
		coroutine->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (coroutine->stack == MAP_FAILED)
			abort();
	}
	/* Until no execution finds a word that threads share and that was not known to be one. */
	memory_learn();
	for (unsigned max = 0; !failed && max <= most;) {
		executions = search_all(scenario, max);
		if (!memory_learn() || max < most)
			max++;
	}
	if (!failed)
		return executions;
	if (getenv("WEAK_TRACE")) {
		failed = false;
		explore_tracing = true;
		run_once(scenario);
	}
	return 0;
}
