/* SPDX-License-Identifier: MIT */
/*
 * Makes the inputs from which the fuzzers begin: tests/fuzz/corpus/<target>/seed-*. They are the same in every run.
 *
 * A seed goes through everything that its target can be told, in the form that the target takes it in (input.h), with
 * arguments that are drawn at random but always the same.
 */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/play.h"
#include "tests/fuzz/scribble.h"

const char fuzz_name[] = "seeds";

struct seed {
	uint8_t bytes[4096];
	size_t size;
	uint64_t state;
};

static void add(struct seed *seed, unsigned byte)
{
	FUZZ_EXPECT(seed->size < sizeof seed->bytes);
	seed->bytes[seed->size++] = (uint8_t)byte;
}

static void add_random(struct seed *seed, int bytes)
{
	for (int i = 0; i < bytes; i++) {
		seed->state = seed->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		add(seed, (unsigned)(seed->state >> 56));
	}
}

static void keep(const struct seed *seed, const char *target, const char *name)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof path, "tests/fuzz/corpus/%s/seed-%s", target, name);
	file = fopen(path, "we");
	FUZZ_EXPECT(file != NULL && fwrite(seed->bytes, 1, seed->size, file) == seed->size && fclose(file) == 0);
}

/* ---- arena --------------------------------------------------------------------------------------------------------- */

static void add_place(struct seed *seed, enum scribble_place place)
{
	static const int arguments[PLACES] = {
		[PLACE_ANYWHERE] = 3, [PLACE_HEADER] = 1, [PLACE_TABLE] = 2,  [PLACE_DIRECTORY] = 1,
		[PLACE_CHAIN] = 3,    [PLACE_BUCKET] = 4, [PLACE_OBJECT] = 2, [PLACE_RUN] = 3
	};

	add(seed, place);
	if (place != PLACE_CONTROL) {
		add_random(seed, arguments[place]);
		return;
	}
	add(seed, 1); /* the first thread's line */
	add_random(seed, 1);
}

static void add_offset(struct seed *seed, enum scribble_offset offset)
{
	static const int arguments[OFFSETS] = {
		[OFFSET_ANY] = 3, [OFFSET_END] = 1, [OFFSET_SEGMENT] = 3, [OFFSET_OBJECT] = 1, [OFFSET_BUCKET] = 3
	};

	add(seed, offset);
	add_random(seed, arguments[offset]);
	if (offset == OFFSET_ANY)
		add_random(seed, 2);
}

static void add_content(struct seed *seed, enum scribble_content content, unsigned variant)
{
	static const int arguments[CONTENTS] = {
		[CONTENT_WORD] = 8,  [CONTENT_BYTE] = 2, [CONTENT_FLIP] = 1,  [CONTENT_EXTREME] = 1,
		[CONTENT_SMALL] = 2, [CONTENT_LINK] = 3, [CONTENT_STATE] = 6, [CONTENT_CHILDREN] = 2
	};

	add(seed, content);
	switch (content) {
	case CONTENT_COPY:
		add_place(seed, (enum scribble_place)(variant % PLACES));
		break;
	case CONTENT_SLOT:
		add_random(seed, 1);
		add_offset(seed, (enum scribble_offset)(variant % OFFSETS));
		add_random(seed, 1);
		break;
	case CONTENT_INTENT:
		add_random(seed, 3);
		add(seed, variant * 5 & 0x7f);
		add_offset(seed, (enum scribble_offset)(variant % OFFSETS));
		break;
	case CONTENT_HEAD:
		add_random(seed, 1);
		add(seed, 0);
		add(seed, 0x80 | variant % 8);
		add_random(seed, 1);
		break;
	default:
		add_random(seed, arguments[content]);
		break;
	}
}

/* Every content in one kind of place, some of everything that can be done, and every content again. */
static void make_arena_seed(enum recipe recipe, enum scribble_place place)
{
	struct seed seed = { .state = recipe * PLACES + place };
	char name[32];

	add(&seed, recipe | (unsigned)place % 4 << 6);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned content = 0; content < CONTENTS; content++) {
			add(&seed, 128);
			add_place(&seed, place);
			add_content(&seed, (enum scribble_content)content, content + recipe + round);
			if (content % 4 == 3) {
				add(&seed, STEP_GET + (content + place + recipe + round) % (STEPS - STEP_GET));
				add_random(&seed, 4);
			}
		}
	}
	snprintf(name, sizeof name, "%u-%u", (unsigned)recipe, (unsigned)place);
	keep(&seed, "arena", name);
}

int main(void)
{
	for (unsigned recipe = 0; recipe < RECIPES; recipe++)
		for (unsigned place = 0; place < PLACES; place++)
			make_arena_seed((enum recipe)recipe, (enum scribble_place)place);
	return 0;
}
