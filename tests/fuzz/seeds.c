/* SPDX-License-Identifier: MIT */
/*
 * Makes the inputs from which the fuzzers begin: tests/fuzz/corpus/<target>/seed-*. They are the same in every run.
 *
 * A seed goes through everything that its target can be told, in the form that the target takes it in (input.h), with
 * arguments that are drawn at random but always the same.
 */
#include <string.h>

#include "tests/fuzz/daemon_script.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/play.h"
#include "tests/fuzz/protocol.h"
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

/* A scribble of which every byte is given. */
static void add_scribble(struct seed *seed, const uint8_t *bytes, size_t size)
{
	add(seed, 128);
	for (size_t i = 0; i < size; i++)
		add(seed, bytes[i]);
}

#define scribble_bytes(seed, ...) \
	add_scribble((seed), (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* What no single wrong word comes to: each of these is a loop, or an end, that something in the code is there for. */
static void make_arena_traps(void)
{
	struct seed seed = { .size = 0 };

	/* A chain of four buckets whose later links lead back to an earlier one, or to themselves. */
	for (unsigned from = 1; from < CHAIN_BUCKETS; from++) {
		add(&seed, RECIPE_CHAINS);
		for (unsigned to = 0; to < from; to++)
			scribble_bytes(&seed, PLACE_CHAIN, 0, from, 7, CONTENT_COPY, PLACE_CHAIN, 0, to, 7);
	}
	keep(&seed, "arena", "trap-links");

	/* Every bucket of a key has moved, to children that are their own children. */
	seed.size = 0;
	add(&seed, RECIPE_SPLITTING);
	for (unsigned key = 0; key < STAGE_KEYS; key++)
		scribble_bytes(&seed, PLACE_CHAIN, key, 0, 0, CONTENT_INTENT, 1, 0, 0, 0x82);
	for (unsigned segment = 0; segment < 32; segment++)
		scribble_bytes(&seed, PLACE_TABLE, segment, 3, CONTENT_CHILDREN, 1 + segment % 4,
		               1 + (segment + 1) % 4);
	keep(&seed, "arena", "trap-children");

	/* Objects that end with the arena, far behind the end of their run. */
	seed.size = 0;
	add(&seed, RECIPE_FULL);
	for (unsigned key = 0; key < STAGE_KEYS / 2; key++)
		scribble_bytes(&seed, PLACE_OBJECT, key, 0, CONTENT_HEAD, 5, 0, 0x80, 64 + 24);
	keep(&seed, "arena", "trap-sizes");

	/* The segment that is being split serves directory entries that do not exist. */
	seed.size = 0;
	add(&seed, RECIPE_SPLITTING);
	for (unsigned bit = 20; bit >= 4; bit--) {
		const uint32_t prefix = UINT32_C(1) << bit;

		scribble_bytes(&seed, PLACE_TABLE, 1, 3, CONTENT_CHILDREN, 2, 3);
		scribble_bytes(&seed, PLACE_TABLE, 1, 4, CONTENT_WORD, (uint8_t)prefix, (uint8_t)(prefix >> 8),
		               (uint8_t)(prefix >> 16), (uint8_t)(prefix >> 24), 0, 0, 0, 0);
		add(&seed, STEP_HOUSE);
		add(&seed, 1);
	}
	keep(&seed, "arena", "trap-prefix");

	/* The index is somewhere else: in data, in what is free, in the header. */
	for (unsigned segment = 0; segment < 17; segment += 2) {
		char name[32];

		seed.size = 0;
		add(&seed, segment % RECIPES);
		for (unsigned entry = 0; entry < 16; entry++)
			scribble_bytes(&seed, PLACE_DIRECTORY, entry, CONTENT_SMALL, segment + entry % 2, 0);
		add(&seed, STEP_HOUSE);
		add(&seed, 3);
		snprintf(name, sizeof name, "trap-index-%u", segment);
		keep(&seed, "arena", name);
	}

	/* Every segment is in the same state, whatever it holds. */
	for (unsigned state = 0; state < 7; state++) {
		char name[32];

		seed.size = 0;
		add(&seed, RECIPE_KILLED | (state & 1 ? 0x40 : 0));
		for (unsigned segment = 0; segment < 17; segment++)
			scribble_bytes(&seed, PLACE_TABLE, segment, 0, CONTENT_STATE, state, segment % 3, segment % 6,
			               0, 0, 0);
		add(&seed, STEP_ADVANCE);
		add(&seed, 30);
		snprintf(name, sizeof name, "trap-state-%u", state);
		keep(&seed, "arena", name);
	}
}

/* ---- protocol ------------------------------------------------------------------------------------------------------ */

static void make_protocol_seeds(void)
{
	char name[32];

	/* One client does what is allowed, and then one thing that is not. */
	for (unsigned lie = 0; lie <= REQUEST_LIES; lie++) {
		struct seed seed = { .state = lie };

		add(&seed, ACTION_ATTACH);
		for (unsigned operation = 0; operation < WRITE_OPERATIONS; operation++) {
			add(&seed, ACTION_REQUEST | (operation % 3 ? 0x20 : 0));
			add(&seed, operation | (operation == WRITE_INCR ? 0x40 : 0));
			add(&seed, operation % 2 ? 1 : 0); /* every second one by a memfd */
			add_random(&seed, 2);
		}
		add(&seed, ACTION_LISTEN);
		add(&seed, ACTION_REQUEST);
		add(&seed, WRITE_SET);
		add(&seed, 0x10 | lie % 2);
		add_random(&seed, 2);
		add(&seed, lie);
		add_random(&seed, 8);
		add(&seed, ACTION_LISTEN);
		snprintf(name, sizeof name, "request-%u", lie);
		keep(&seed, "protocol", name);
	}
	/* Descriptors of each kind with each kind of message. */
	for (unsigned odd = 0; odd < ODD_FDS; odd++) {
		struct seed seed = { .state = odd };

		for (unsigned message = 0; message < 4; message++) {
			if (message)
				add(&seed, ACTION_ATTACH);
			else
				add(&seed, ACTION_DIAL), add(&seed, 0);
			add(&seed, ACTION_PACK);
			add(&seed, message == 3 ? 6 : 1);
			for (unsigned i = 0; i < (message == 3 ? 6 : 1); i++)
				add(&seed, odd);
			add(&seed, message == 0 ? ACTION_HELLO : message == 1 ? ACTION_ANYTHING : ACTION_REQUEST);
			add_random(&seed, 4);
		}
		snprintf(name, sizeof name, "descriptor-%u", odd);
		keep(&seed, "protocol", name);
	}
	/* Four clients whose memory is held back, so that their writes have to wait; and what ends the waiting. */
	for (unsigned end = 0; end < ACTIONS; end++) {
		struct seed seed = { .state = end };

		for (unsigned who = 0; who < 4; who++)
			add(&seed, ACTION_ATTACH | who << 6);
		add(&seed, ACTION_SCRIBBLE);
		add(&seed, 0);
		for (unsigned i = 0; i < 30; i++) {
			add(&seed, ACTION_REQUEST | i % 4 << 6);
			add(&seed, WRITE_SET);
			add(&seed, 4 | 1);
			add(&seed, i);
			add(&seed, 0);
			add(&seed, 200);
		}
		add(&seed, end);
		add_random(&seed, 6);
		for (unsigned i = 0; i < 3; i++)
			add(&seed, ACTION_TICK);
		snprintf(name, sizeof name, "waiting-%u", end);
		keep(&seed, "protocol", name);
	}
	/* Hellos, by strangers and others, with a supervisor who says no. */
	for (unsigned lie = 0; lie < 5; lie++) {
		struct seed seed = { .state = lie };

		for (unsigned who = 0; who < 4; who++) {
			add(&seed, ACTION_DIAL | who << 6);
			add(&seed, who == lie ? 7 : 0);
			add(&seed, ACTION_HELLO | who << 6);
			add(&seed, lie);
			add_random(&seed, lie ? 4 : 0);
			add(&seed, ACTION_SUPERVISE);
			add(&seed, who == 1 ? 7 : 0);
			add(&seed, ACTION_LISTEN | who << 6);
			add(&seed, (who % 2 ? ACTION_DIE : ACTION_HANG_UP) | who << 6);
		}
		snprintf(name, sizeof name, "hello-%u", lie);
		keep(&seed, "protocol", name);
	}
}

/* ---- client -------------------------------------------------------------------------------------------------------- */

static void add_calls(struct seed *seed, unsigned lie)
{
	for (unsigned what = 0; what < CALLS; what++) {
		add(seed, what);
		if (what == CALL_GET || what == CALL_VIEW || what == CALL_STAT || what == CALL_CUT)
			continue;
		for (unsigned i = 0; i < (what == CALL_MSET ? 3 : 1); i++) {
			add(seed, what == CALL_LARGE_SET ? lie : 0);
			if (what == CALL_LARGE_SET)
				add_random(seed, 2);
		}
		if (what == CALL_SET)
			add_random(seed, 1);
	}
}

static void make_client_seeds(void)
{
	char name[32];

	for (unsigned access = 0; access < 2; access++) {
		for (unsigned fd = 0; fd < HANDED_FDS; fd++) {
			struct seed seed = { .state = fd };

			/* In the place of the lease, of the arena, of the control page. */
			add(&seed, access |
			                   4u << (fd < HANDED_SCRIBBLED_CONTROL ? 1
			                          : fd < HANDED_PIPE            ? 2
			                                                        : 0) |
			                   (fd % 3 ? 0 : 0x20));
			add(&seed, WELCOME_TRUE);
			add(&seed, fd);
			if (fd % 3 == 0)
				add_random(&seed, 18);
			add_calls(&seed, REPLY_TRUE);
			snprintf(name, sizeof name, "handed-%u-%u", access, fd);
			keep(&seed, "client", name);
		}
	}
	for (unsigned lie = 0; lie < WELCOME_LIES; lie++) {
		struct seed seed = { .state = lie };

		add(&seed, 2);
		add(&seed, lie);
		add(&seed, 3);
		add_random(&seed, 8);
		snprintf(name, sizeof name, "welcome-%u", lie);
		keep(&seed, "client", name);
	}
	for (unsigned lie = 0; lie < REPLY_LIES; lie++) {
		struct seed seed = { .state = lie };

		add(&seed, 1);
		add(&seed, WELCOME_TRUE);
		add_calls(&seed, lie);
		snprintf(name, sizeof name, "reply-%u", lie);
		keep(&seed, "client", name);
	}
}

/* ---- config -------------------------------------------------------------------------------------------------------- */

static void make_config_seeds(void)
{
	static const char *const texts[] = {
		"size = 64M\nsocket = /tmp/socket\nsocket_mode = 0600\naccess = read-only\n",
		"# a comment\n\n  stall_ms = 5s ; and another\nmax_clients=7\nlog_level = debug\npages = small\n",
		"allow_users = root 65534, 7\nallow_groups = 0 1 2 3\n",
		"size = 18446744073709551615T\n",
		"size = 64M\nsize = 65M\n",
		"[section]\nsize = 64M\n",
		"nonsense\n",
		"stall_ms = -1\n",
		"500ms\n5 min\n1h\nnever\n2w\n0777\n1GiB\n-9223372036854775808\n\\x41\\n\\\\\n",
	};
	char name[32];

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct seed seed = { .size = strlen(texts[i]) };

		memcpy(seed.bytes, texts[i], seed.size);
		snprintf(name, sizeof name, "%zu", i);
		keep(&seed, "config", name);
	}
}

int main(void)
{
	for (unsigned recipe = 0; recipe < RECIPES; recipe++)
		for (unsigned place = 0; place < PLACES; place++)
			make_arena_seed((enum recipe)recipe, (enum scribble_place)place);
	make_arena_traps();
	make_protocol_seeds();
	make_client_seeds();
	make_config_seeds();
	return 0;
}
