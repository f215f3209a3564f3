/* SPDX-License-Identifier: MIT */
/*
 * Scribbling while others work: storm SECONDS [SEED]. What was checked a moment ago is something else when it is used, unless
 * it was copied first. In each round a keeper, a writer and a reader work on one arena, each in a thread of its own, while a
 * fourth overwrites it, now here and there, now one word over and over with two things in turn. Memory outside the arena
 * is guarded (stage.h); whoever does not come back from its step within a generous time is in a loop without an end.
 *
 * A thread that is found stuck gets SIGABRT, so that a sanitizer shows where it is.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/play.h"
#include "tests/fuzz/scribble.h"

const char fuzz_name[] = "storm";

#define PATIENCE_SECONDS 30
#define SCRIBBLES_MAX 60
#define HAMMER_TIMES 3000
#define BYTES_A_STEP 64

struct actor {
	struct play *play;
	uint64_t random;
	uint64_t steps;
	atomic_u32 *over;
	pthread_t thread;
};

static uint64_t random_next(struct actor *actor)
{
	uint64_t x = actor->random += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Random details for one step. */
static struct input draw(struct actor *actor, uint8_t bytes[BYTES_A_STEP])
{
	for (int i = 0; i < BYTES_A_STEP; i += 8) {
		uint64_t word = random_next(actor);

		memcpy(bytes + i, &word, sizeof word);
	}
	actor->steps++;
	return (struct input){ bytes, bytes + BYTES_A_STEP };
}

static void act(struct actor *actor, const enum play_step *steps, size_t count)
{
	while (!load_relaxed(actor->over)) {
		uint8_t bytes[BYTES_A_STEP];
		struct input input = draw(actor, bytes);

		play_step(actor->play, steps[random_next(actor) % count], &input);
	}
}

static void *keep_house(void *context)
{
	static const enum play_step steps[] = { STEP_HOUSE, STEP_HOUSE, STEP_HOUSE, STEP_REQUEST, STEP_KEEPER };

	act(context, steps, sizeof steps / sizeof steps[0]);
	return NULL;
}

static void *write_keys(void *context)
{
	static const enum play_step steps[] = { STEP_WRITE };

	act(context, steps, 1);
	return NULL;
}

static void *read_keys(void *context)
{
	static const enum play_step steps[] = { STEP_GET,   STEP_GET,    STEP_VIEW,   STEP_VIEW, STEP_RELEASE,
		                                STEP_BATCH, STEP_VERIFY, STEP_CENSUS, STEP_SCAN, STEP_ATTACH };

	act(context, steps, sizeof steps / sizeof steps[0]);
	return NULL;
}

static void *do_harm(void *context)
{
	struct actor *actor = context;
	uint64_t scribbles = 1 + random_next(actor) % SCRIBBLES_MAX;

	for (uint64_t i = 0; i < scribbles; i++) {
		uint8_t bytes[BYTES_A_STEP];
		struct input input = draw(actor, bytes);

		if (i % 16 == 15)
			scribble_again(actor->play->stage, &input, HAMMER_TIMES);
		else
			scribble(actor->play->stage, &input);
		sched_yield();
	}
	store_relaxed(actor->over, 1);
	return NULL;
}

static const struct role {
	const char *name;
	void *(*run)(void *context);
} roles[PARTIES] = {
	[KEEPER] = { "the keeper", keep_house },
	[WRITER] = { "the writer", write_keys },
	[READER] = { "the reader", read_keys },
	[HOSTILE] = { "the hostile client", do_harm },
};

static void await(const struct actor *actor, const char *name, uint64_t round)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_SECONDS;
	if (pthread_timedjoin_np(actor->thread, NULL, &until) == 0)
		return;
	fprintf(stderr, "storm: %s does not come back from its step in round %llu\n", name, (unsigned long long)round);
	pthread_kill(actor->thread, SIGABRT);
	pause();
}

/* Return: how many steps and scribbles there were. */
static uint64_t run_round(uint64_t round, uint64_t seed)
{
	struct play play = { .stage = stage_set((enum recipe)(round % RECIPES)) };
	struct actor actors[PARTIES];
	atomic_u32 over = 0;
	uint64_t steps = 0;

	stage_keeper_begins(play.stage, 0);
	for (int i = 0; i < PARTIES; i++) {
		actors[i] = (struct actor){ .play = &play, .random = seed ^ round << 8 ^ (uint64_t)i, .over = &over };
		FUZZ_EXPECT(pthread_create(&actors[i].thread, NULL, roles[i].run, &actors[i]) == 0);
	}
	for (int i = PARTIES - 1; i >= 0; i--) {
		await(&actors[i], roles[i].name, round);
		steps += actors[i].steps;
	}
	play_end(&play);
	stage_clear(play.stage);
	return steps;
}

int main(int argc, char **argv)
{
	uint64_t seconds = argc > 1 ? strtoull(argv[1], NULL, 10) : 10;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)getpid() << 40;
	uint64_t until_ms = monotonic_ms() + seconds * 1000, rounds = 0, steps = 0;

	log_set_level(LOG_ERROR);
	do
		steps += run_round(rounds++, seed);
	while (monotonic_ms() < until_ms);
	printf("storm: %llu rounds, %llu steps and scribbles\n1 passed, 0 failed\n", (unsigned long long)rounds,
	       (unsigned long long)steps);
	return 0;
}
