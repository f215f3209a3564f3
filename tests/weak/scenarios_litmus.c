/* SPDX-License-Identifier: MIT */
/*
 * The pairs of docs/MEMORY-ORDER.md in which each side writes and then reads, with the real functions but nothing around them: the whole
 * operations need more deviations to go wrong than can be searched. A word leads to bytes; the keeper takes it away, waits for whoever may
 * still see it, and writes over the bytes.
 */
#include "epoch/grace.h"
#include "object/walk.h"
#include "tests/weak/stage.h"

#define ROUNDS 4
#define WORD_AT 64
#define BYTES_AT 128

static atomic_u64 *word;     /* 1: leads to the bytes */
static unsigned char *bytes; /* 'a', then 'z' */
static uint32_t segment;

static void lay_out(enum stage_mode mode, uint32_t at)
{
	stage_open(mode, 2);
	segment = stage_arena->segment_count - 1;
	word = (atomic_u64 *)(void *)(segment_base(stage_arena, segment) + WORD_AT);
	bytes = segment_base(stage_arena, segment) + at;
	store_relaxed(word, 1);
	bytes[0] = 'a';
	store_relaxed(&stage_arena->table[segment].state,
	              segment_pack((struct segment_word){ .generation = 1, .state = SEGMENT_OPEN }));
}

static void prepare(enum stage_mode mode, uint32_t at)
{
	lay_out(mode, at);
	stage_share();
}

static void plain(void)
{
	prepare(STAGE_PLAIN, BYTES_AT);
}

static void fenced(void)
{
	prepare(STAGE_FENCED, BYTES_AT);
}

/* ---- sections: R3, R4, R5 ---------------------------------------------------------------------------------------------- */

static void read_in_section(void)
{
	struct epoch_reader *reader = &stage_threads[0].reader;

	epoch_enter(reader);
	if (load_acquire(word))
		weak_expect(bytes[0] == 'a');
	epoch_exit(reader);
}

static void read_twice(void)
{
	read_in_section();
	read_in_section();
}

/* One barrier, and then any number of looks without, as in daemon/reclaim.c. */
static void reuse_after(uint64_t epoch)
{
	weak_expect(grace_barrier(stage_arena) == 0);
	for (int round = 0; round < ROUNDS; round++) {
		if (grace_oldest(&stage_world.self.cache.control) >= epoch) {
			bytes[0] = 'z';
			return;
		}
		weak_pause();
	}
}

static void reuse_after_sections(void)
{
	store_release(word, 0);
	reuse_after(grace_begin(stage_arena, load_relaxed(&stage_arena->header->epoch)));
}

/* Somebody has written over the epoch. */
static void reuse_after_scribble(void)
{
	uint64_t epoch = load_relaxed(&stage_arena->header->epoch);

	store_release(word, 0);
	epoch = grace_begin(stage_arena, epoch);
	store_relaxed(&stage_arena->header->epoch, epoch - 1);
	grace_restore(stage_arena, epoch);
	reuse_after(epoch);
}

/* ---- write pins: R6, R7 ---------------------------------------------------------------------------------------------------- */

static void write_pinned(void)
{
	struct epoch_reader *reader = &stage_threads[0].reader;

	if (!epoch_pin_write(reader, stage_arena, segment, 1))
		return;
	bytes[0] = 'b';
	epoch_unpin_write(reader);
}

/* The second time it may find that the keeper has been there. */
static void write_pinned_twice(void)
{
	write_pinned();
	write_pinned();
}

static void reuse_after_writers(void)
{
	const struct control *control = &stage_world.self.cache.control;

	weak_expect(segment_change(stage_arena, segment, SEGMENT_OPEN, SEGMENT_CONDEMNED));
	weak_expect(grace_barrier(stage_arena) == 0);
	for (int round = 0; round < ROUNDS; round++) {
		if (!grace_write_pinned(control, segment)) {
			bytes[0] = 'z';
			return;
		}
		weak_pause();
	}
}

/* ---- the keeper's reserve: R9 ---------------------------------------------------------------------------------------------- */

static struct chunk_header *chunk;

/* Its first chunk holds a run with an object. */
static void with_run(void)
{
	prepare(STAGE_FENCED, BYTES_AT);
	chunk = (struct chunk_header *)(void *)segment_base(stage_arena, segment);
	store_relaxed(&chunk->chunks, 1);
	store_relaxed(&((struct object *)(void *)(chunk + 1))->head, 1);
}

static void recycle_and_open(void)
{
	segment_recycle_to_reserve(stage_arena, segment);
	weak_expect(segment_open_reserve(stage_arena, segment, 0, 1));
}

/* Takes the chunk, and dies before it has begun a run. */
static void take_chunk(void)
{
	uint32_t taken, generation, first;

	segment_take_chunks(stage_arena, 0, 1, 1, &taken, &generation, &first);
}

static void walk(void)
{
	struct object_walk walk = { .segment = segment };
	struct segment_word word_now = segment_load(stage_arena, segment);
	struct object_view object;

	if (word_now.state == SEGMENT_OPEN && word_now.generation == 2)
		weak_expect(!object_walk_next(stage_arena, &walk, &object) && walk.faults == 0);
}

/* ---- a thread that begins: R16 ---------------------------------------------------------------------------------------------- */

#define LINES_BEFORE 3

static void newcomer(void)
{
	prepare(STAGE_FENCED, BYTES_AT);
	weak_share(stage_world.self.cache.lines_in_use, sizeof stage_world.self.cache.lines_in_use, NULL);
	weak_section(0, &stage_world.self.cache.control.page->threads[LINES_BEFORE].epoch);
}

static void begin_and_read(void)
{
	weak_expect(cache_thread_start(&stage_world.self.cache, &stage_threads[0]) == 0);
	read_in_section();
}

static void begin(void)
{
	weak_expect(cache_thread_start(&stage_world.self.cache, &stage_threads[2]) == 0);
}

/* ---- a thread that is revoked: R14 ------------------------------------------------------------------------------------------ */

static void read_and_leave(void)
{
	struct epoch_reader *reader = &stage_threads[0].reader;
	unsigned char letter = 'a';

	epoch_enter(reader);
	if (load_acquire(word))
		letter = *bytes;
	weak_expect(!epoch_exit(reader) || letter == 'a');
}

static void read_and_ask(void)
{
	struct epoch_reader *reader = &stage_threads[0].reader;
	unsigned char letter = 'a';

	epoch_enter(reader);
	if (load_acquire(word))
		letter = *bytes;
	weak_expect(!epoch_valid(reader) || letter == 'a');
	epoch_exit(reader);
}

/* One more of the thread's views: it is counted. */
static void view(void)
{
	struct epoch_reader *reader = &stage_threads[0].reader;
	atomic_u32 *pin = control_pin(&stage_world.self.cache.control, 0, segment);

	epoch_enter(reader);
	if (!load_acquire(word)) {
		epoch_exit(reader);
		return;
	}
	fetch_add_relaxed(pin, 1);
	if (epoch_exit(reader))
		weak_expect(bytes[0] == 'a');
	fetch_sub_release(pin, 1);
}

/* ---- a view in its thread's line: R17, R27 ---------------------------------------------------------------------------------- */

static void unpin_view(void)
{
	epoch_unpin_view(stage_threads[0].reader.line, stage_threads[0].reader.fenced);
}

static void view_in_line(void)
{
	struct epoch_reader *reader = &stage_threads[0].reader;
	bool pinned = false;

	epoch_enter(reader);
	if (load_acquire(word))
		pinned = epoch_pin_view(reader->line, reader->fenced, segment);
	if (epoch_exit(reader) && pinned)
		weak_expect(bytes[0] == 'a');
	if (pinned)
		unpin_view();
}

/* Of another segment, by which alone the keeper may learn that a view was released before. */
static void view_elsewhere(void)
{
	struct epoch_reader *reader = &stage_threads[0].reader;
	bool pinned;

	epoch_enter(reader);
	pinned = epoch_pin_view(reader->line, reader->fenced, segment - 1);
	epoch_exit(reader);
	weak_pause();
	if (pinned)
		unpin_view();
}

static void view_twice(void)
{
	view_in_line();
	view_elsewhere();
}

/* A view that the thread of the line has taken before, and another one has now: of the segment, or of the one before it. */
static void hold(enum stage_mode mode, uint32_t before)
{
	lay_out(mode, BYTES_AT);
	store_relaxed(&stage_threads[0].reader.line->view_pin, segment - before + 1);
	stage_share();
}

static void plain_held(void)
{
	hold(STAGE_PLAIN, 0);
}

static void fenced_held(void)
{
	hold(STAGE_FENCED, 0);
}

static void plain_held_elsewhere(void)
{
	hold(STAGE_PLAIN, 1);
}

static void fenced_held_elsewhere(void)
{
	hold(STAGE_FENCED, 1);
}

static void look_and_release(void)
{
	weak_expect(bytes[0] == 'a');
	unpin_view();
}

static void reuse_after_views(void)
{
	const struct control *control = &stage_world.self.cache.control;
	uint64_t epoch;

	store_release(word, 0);
	epoch = grace_begin(stage_arena, load_relaxed(&stage_arena->header->epoch));
	weak_expect(grace_barrier(stage_arena) == 0);
	for (int round = 0; round < ROUNDS; round++) {
		if (grace_oldest(control) >= epoch && !grace_view_pinned(control, segment)) {
			bytes[0] = 'z';
			return;
		}
		weak_pause();
	}
}

/* ---- who revokes ------------------------------------------------------------------------------------------------------------ */

static void revoke_section(void)
{
	const struct control *control = &stage_world.self.cache.control;
	uint64_t epoch;

	store_release(word, 0);
	epoch = grace_begin(stage_arena, load_relaxed(&stage_arena->header->epoch));
	/* The only section there is: it is not waited for any more, and not taken for a new one. */
	if (grace_revoke(control, epoch))
		weak_expect(grace_oldest(control) == UINT64_MAX);
	weak_expect(grace_barrier(stage_arena) == 0);
}

static void revoke_and_look(void)
{
	revoke_section();
	if (grace_oldest(&stage_world.self.cache.control) == UINT64_MAX &&
	    !grace_view_pinned(&stage_world.self.cache.control, segment)) {
		segment_recycle(stage_arena, segment);
		bytes[0] = 'z';
	}
}

/* As a bucket is changed: by whoever is not told that its section was revoked. The keeper waits for the pin alone. */
static void change_pinned(void)
{
	struct epoch_reader *reader = &stage_threads[0].reader;

	epoch_enter(reader);
	if (load_acquire(word) && epoch_pin_index(reader, INDEX_PIN_SEGMENT, segment)) {
		weak_pause(); /* what is done behind the keeper's barrier is ordered by the pin alone */
		bytes[0] = 'b';
	}
	epoch_unpin_index(reader, INDEX_PIN_SEGMENT);
	epoch_exit(reader);
}

static void revoke_and_wait(void)
{
	revoke_section();
	if (grace_oldest(&stage_world.self.cache.control) != UINT64_MAX)
		return;
	for (int round = 0; round < ROUNDS; round++) {
		if (!grace_index_pinned(&stage_world.self.cache.control, segment)) {
			bytes[0] = 'z';
			return;
		}
		weak_pause();
	}
}

/* Of the bytes of a large object some may later be a chunk's header. */
static void plain_large(void)
{
	prepare(STAGE_PLAIN, CHUNK_BYTES);
}

static void fenced_large(void)
{
	prepare(STAGE_FENCED, CHUNK_BYTES);
}

static void revoke_and_recycle(void)
{
	revoke_section();
	if (grace_oldest(&stage_world.self.cache.control) == UINT64_MAX)
		segment_recycle(stage_arena, segment);
}

/* The keeper moves something there itself. */
static void revoke_and_reuse(void)
{
	revoke_and_recycle();
	if (segment_load(stage_arena, segment).state == SEGMENT_FREE)
		bytes[0] = 'z';
}

/* Who is not in a section any more does not count as revoked, or memory would never be given back. */
static void check_left(void)
{
	weak_expect(load_relaxed(&stage_threads[0].reader.line->epoch) == 0);
}

const struct weak_scenario weak_scenarios_litmus[] = {
	{ "litmus-section-plain", 6, plain, { read_in_section, reuse_after_sections }, NULL },
	{ "litmus-section-fenced", 6, fenced, { read_in_section, reuse_after_sections }, NULL },
	{ "litmus-scribble-plain", 4, plain, { read_in_section, reuse_after_scribble }, NULL },
	{ "litmus-scribble-fenced", 4, fenced, { read_in_section, reuse_after_scribble }, NULL },
	{ "litmus-sections-plain", 6, plain, { read_twice, reuse_after_sections }, NULL },
	{ "litmus-sections-fenced", 6, fenced, { read_twice, reuse_after_sections }, NULL },
	{ "litmus-write-plain", 6, plain, { write_pinned, reuse_after_writers }, NULL },
	{ "litmus-write-fenced", 6, fenced, { write_pinned, reuse_after_writers }, NULL },
	{ "litmus-reserve", 4, with_run, { walk, recycle_and_open, take_chunk }, NULL },
	{ "litmus-newcomer", 4, newcomer, { begin_and_read, reuse_after_sections }, NULL },
	{ "litmus-newcomers", 3, newcomer, { begin_and_read, reuse_after_sections, begin }, NULL },
	{ "litmus-refused-plain", 6, plain, { write_pinned_twice, reuse_after_writers }, NULL },
	{ "litmus-refused-fenced", 6, fenced, { write_pinned_twice, reuse_after_writers }, NULL },
	{ "litmus-recycle-plain", 4, plain_large, { read_and_leave, revoke_and_recycle }, check_left },
	{ "litmus-recycle-fenced", 4, fenced_large, { read_and_leave, revoke_and_recycle }, check_left },
	{ "litmus-recycle-asked", 4, fenced_large, { read_and_ask, revoke_and_recycle }, NULL },
	{ "litmus-view-plain", 4, plain, { view, revoke_and_look }, NULL },
	{ "litmus-view-fenced", 4, fenced, { view, revoke_and_look }, NULL },
	{ "litmus-change-plain", 4, plain, { change_pinned, revoke_and_wait }, NULL },
	{ "litmus-change-fenced", 4, fenced, { change_pinned, revoke_and_wait }, NULL },
	{ "litmus-line-plain", 6, plain, { view_in_line, revoke_and_look }, NULL },
	{ "litmus-line-fenced", 6, fenced, { view_in_line, revoke_and_look }, NULL },
	{ "litmus-views-plain", 6, plain, { view_twice, reuse_after_views }, NULL },
	{ "litmus-views-fenced", 6, fenced, { view_twice, reuse_after_views }, NULL },
	{ "litmus-handed-plain", 4, plain_held, { view_elsewhere, reuse_after_views, look_and_release }, NULL },
	{ "litmus-handed-fenced", 4, fenced_held, { view_elsewhere, reuse_after_views, look_and_release }, NULL },
	{ "litmus-freed-plain", 4, plain_held_elsewhere, { view_in_line, revoke_and_look, unpin_view }, NULL },
	{ "litmus-freed-fenced", 4, fenced_held_elsewhere, { view_in_line, revoke_and_look, unpin_view }, NULL },
	{ "litmus-reuse-fenced", 4, fenced, { read_and_leave, revoke_and_reuse }, NULL },
	{ 0 },
};
