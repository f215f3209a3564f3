/* SPDX-License-Identifier: MIT */
/*
 * An arena into which anybody wrote anything: every operation of every party ends in bounded time with a documented result
 * and touches nothing outside of the arena.
 *
 * The input: a byte for the recipe and the keeper, then steps, each a byte and what it takes. After the last one
 * everything is done once more.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/play.h"
#include "tests/fuzz/scribble.h"

#include "daemon/log.h"

#define STEPS_MAX 96

const char fuzz_name[] = "arena";

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input input = { bytes, bytes + size };
	uint8_t first = input_byte(&input);
	struct play play = { .stage = stage_set((enum recipe)(first % RECIPES)) };

	log_set_level(LOG_ERROR);
	if (first & 0x40) /* else it takes charge of what was written over */
		stage_keeper_begins(play.stage, first & 0x80 ? 0 : 1000);
	for (int i = 0; i < STEPS_MAX && !input_over(&input); i++) {
		uint8_t step = input_byte(&input);

		/* Half of what a byte can be is a scribble: they come in groups. */
		if (step >= 128 || step % STEPS == STEP_SCRIBBLE)
			scribble(play.stage, &input);
		else
			play_step(&play, (enum play_step)(step % STEPS), &input);
	}
	play_round(&play);
	play_end(&play);
	stage_clear(play.stage);
	return 0;
}
