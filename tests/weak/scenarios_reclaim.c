/* SPDX-License-Identifier: MIT */
/*
 * Memory that is taken back while others use it. Thread 0 uses the key's object, thread 1 is the keeper, and thread 2 writes
 * another key, which goes where the first was as soon as that is free.
 */
#include <stdlib.h>

#include "daemon/reclaim.h"
#include "epoch/grace.h"
#include "tests/weak/stage.h"

#define NEVER_MS 1000000000u
#define ROUNDS 6
#define LINES_BEFORE 4 /* of the control page: the stage's own, and one for each thread */

static uint32_t segment;

static void prepare(enum stage_mode mode)
{
	struct object_view object;
	const char *key;

	stage_open(mode, 3);
	key = stage_key(0);
	stage_set(0, key, 'a');
	expect(index_lookup(stage_arena, hash_key(stage_arena->secret, key, STAGE_KEY_BYTES), key, STAGE_KEY_BYTES,
	                    &object));
	segment = (uint32_t)(object.offset >> stage_arena->segment_shift);
	store_relaxed(&stage_arena->header->open_segment[0], 0);
	store_relaxed(&stage_arena->header->search_hint, segment);
	stage_share();
}

static void plain(void)
{
	prepare(STAGE_PLAIN);
}

static void fenced(void)
{
	prepare(STAGE_FENCED);
}

/* Evicts what was open when it began. */
static void keep_house(uint32_t stall_ms)
{
	struct reclaim *reclaim = reclaim_create(&stage_threads[1], stall_ms);
	atomic_u32 *low = &stage_arena->header->free_low_mark;

	weak_expect(reclaim != NULL);
	weak_expect(reclaim_add_client(reclaim, &stage_world.self.cache.control) == 0);
	store_relaxed(low, 1000);
	for (int round = 0; round < ROUNDS; round++) {
		reclaim_run(reclaim);
		store_relaxed(low, 0);
		store_relaxed(&stage_arena->header->search_hint, segment); /* to be used next */
		if (segment_load(stage_arena, segment).state != SEGMENT_CONDEMNED)
			break;
		weak_pause();
	}
	reclaim_destroy(reclaim);
}

static void keep_patiently(void)
{
	keep_house(NEVER_MS);
}

static void keep_impatiently(void)
{
	keep_house(0);
}

static void get_a(void)
{
	char letter = stage_get(0, stage_key(0));

	weak_expect(letter == 'a' || letter == 0);
}

static void view_a(void)
{
	char letter = stage_view(0, stage_key(0));

	weak_expect(letter == 'a' || letter == 0);
}

/* The thread's line holds another view already. */
static void view_one_more(void)
{
	store_relaxed(&stage_threads[0].reader.line->view_pin, 1);
	view_a();
}

/* What goes where the first object was. */
static void get_new(void)
{
	char letter = stage_get(0, stage_key(1));

	weak_expect(letter == 'z' || letter == 0);
}

static void set_another(void)
{
	stage_set(2, stage_key(1), 'z');
}

/* ---- a segment that is written to ---------------------------------------------------------------------------------------- */

/* Thread 0 goes on in its run of chunks, in the segment that the keeper takes. */
static void set_in_run(void)
{
	stage_set(0, stage_key(2), 'b');
}

/* Thread 0 has no run, and takes one in that segment. */
static void without_run(enum stage_mode mode)
{
	prepare(mode);
	memset(stage_threads[0].allocator, 0, sizeof *stage_threads[0].allocator);
	store_relaxed(&stage_arena->header->open_segment[0], segment + 1);
}

static void plain_without_run(void)
{
	without_run(STAGE_PLAIN);
}

static void fenced_without_run(void)
{
	without_run(STAGE_FENCED);
}

/* Every slot leads to what its word says. */
static void check_slots(void)
{
	struct object_view object;
	struct index_chain chain;
	const char *key = stage_key(0);

	index_find(stage_arena, hash_key(stage_arena->secret, key, STAGE_KEY_BYTES), key, STAGE_KEY_BYTES, &chain);
	for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
		uint64_t word = chain.words[i];
		struct segment_word state;

		if (!slot_is_object(word))
			continue;
		state = segment_load(stage_arena, (uint32_t)(slot_offset(word) >> stage_arena->segment_shift));
		weak_expect((state.generation & SLOT_GENERATION_MASK) == slot_generation(word));
		weak_expect(object_parse(stage_arena, slot_offset(word), &object));
		weak_expect(slot_matches(word, hash_key(stage_arena->secret, object.key, object.key_size)));
	}
}

/* ---- what its barriers are for --------------------------------------------------------------------------------------------- */

static atomic_u64 *slot; /* of the object */
static uint64_t slot_word;
static unsigned char *last_byte; /* of the segment; nothing is there */

/* With so little around them, three deviations can be searched. */
static void prepare_bare(enum stage_mode mode)
{
	const char *key = stage_key(0);
	struct index_chain chain;

	prepare(mode);
	expect(index_find(stage_arena, hash_key(stage_arena->secret, key, STAGE_KEY_BYTES), key, STAGE_KEY_BYTES,
	                  &chain));
	slot = index_slot_at(&chain, (uint32_t)chain.found);
	slot_word = load_relaxed(slot);
	last_byte = segment_base(stage_arena, segment) + stage_arena->segment_bytes - 1;
	*last_byte = 'a';
}

static void plain_bare(void)
{
	prepare_bare(STAGE_PLAIN);
}

static void fenced_bare(void)
{
	prepare_bare(STAGE_FENCED);
}

static void read_bare(void)
{
	struct epoch_reader *reader = &stage_threads[0].reader;

	epoch_enter(reader);
	if (load_acquire(slot) == slot_word)
		weak_expect(*last_byte == 'a');
	epoch_exit(reader);
}

static void write_bare(void)
{
	struct epoch_reader *reader = &stage_threads[0].reader;

	if (!epoch_pin_write(reader, stage_arena, segment, segment_load(stage_arena, segment).generation))
		return;
	weak_pause();
	*last_byte = 'b';
	epoch_unpin_write(reader);
}

/* And writes there as the next owner does. */
static void keep_and_use(void)
{
	keep_patiently();
	if (segment_load(stage_arena, segment).state == SEGMENT_FREE)
		*last_byte = 'z';
}

/* ---- a counter in it ----------------------------------------------------------------------------------------------------- */

static void prepare_counter(enum stage_mode mode)
{
	struct write_result result;

	prepare(mode);
	for (int i = 0; i < 2; i++)
		expect(stage_write(0, WRITE_INCR, stage_key(2), NULL, 0, 0, 5, &result) == LARDER_OK);
}

static void plain_counter(void)
{
	prepare_counter(STAGE_PLAIN);
}

static void fenced_counter(void)
{
	prepare_counter(STAGE_FENCED);
}

/* Its old one may be gone before; then this is the first. */
static void count_on(void)
{
	struct write_result result;

	weak_expect(stage_write(0, WRITE_INCR, stage_key(2), NULL, 0, 0, 1, &result) == LARDER_OK);
	weak_expect(result.value == 6 || result.value == 0);
}

/* ---- a thread that begins ------------------------------------------------------------------------------------------------ */

static void prepare_newcomer(enum stage_mode mode)
{
	prepare(mode);
	weak_share(stage_world.self.cache.lines_in_use, sizeof stage_world.self.cache.lines_in_use, NULL);
	weak_section(0, &stage_world.self.cache.control.page->threads[LINES_BEFORE].epoch);
}

static void plain_newcomer(void)
{
	prepare_newcomer(STAGE_PLAIN);
}

static void fenced_newcomer(void)
{
	prepare_newcomer(STAGE_FENCED);
}

static void begin_and_get(void)
{
	weak_expect(cache_thread_start(&stage_world.self.cache, &stage_threads[0]) == 0);
	weak_expect(stage_threads[0].line == LINES_BEFORE);
	get_a();
}

/* The whole get, once or twice, and a keeper that only unlinks and uses the memory again. */
static void get_bare(void)
{
	char value[64];
	struct larder_item item;

	if (stage_look(0, stage_key(0), value, &item) == LARDER_OK)
		weak_expect(value[0] == 'a');
}

static void get_bare_twice(void)
{
	get_bare();
	get_bare();
}

static void unlink_and_use(void)
{
	const struct control *control = &stage_world.self.cache.control;
	struct object_view object;
	uint64_t epoch;

	weak_expect(object_parse(stage_arena, slot_offset(slot_word), &object));
	store_relaxed(slot, 0); /* nobody else writes */
	epoch = grace_begin(stage_arena, grace_first(stage_arena));
	if (grace_oldest(control) >= epoch)
		memset((unsigned char *)(uintptr_t)object.value, 'z', object.value_size);
}

const struct weak_scenario weak_scenarios_reclaim[] = {
	{ "grace-get-fenced", 5, fenced_bare, { get_bare, unlink_and_use }, NULL },
	{ "grace-gets-fenced", 4, fenced_bare, { get_bare_twice, unlink_and_use }, NULL },
	{ "reclaim-get-plain", 2, plain, { get_a, keep_patiently, set_another }, check_slots },
	{ "reclaim-get-fenced", 2, fenced, { get_a, keep_patiently, set_another }, check_slots },
	{ "reclaim-get-new", 2, fenced, { get_new, keep_patiently, set_another }, check_slots },
	{ "reclaim-view-plain", 1, plain, { view_a, keep_patiently, set_another }, check_slots },
	{ "reclaim-view-fenced", 2, fenced, { view_a, keep_patiently, set_another }, check_slots },
	{ "reclaim-views-plain", 1, plain, { view_one_more, keep_patiently, set_another }, check_slots },
	{ "reclaim-views-fenced", 1, fenced, { view_one_more, keep_patiently, set_another }, check_slots },
	{ "reclaim-newcomer-plain", 1, plain_newcomer, { begin_and_get, keep_patiently, set_another }, check_slots },
	{ "reclaim-newcomer-fenced", 2, fenced_newcomer, { begin_and_get, keep_patiently, set_another }, check_slots },
	{ "reclaim-set-plain", 2, plain, { set_in_run, keep_patiently, set_another }, check_slots },
	{ "reclaim-set-fenced", 2, fenced, { set_in_run, keep_patiently, set_another }, check_slots },
	{ "reclaim-run-plain", 1, plain_without_run, { set_in_run, keep_patiently, set_another }, check_slots },
	{ "reclaim-run-fenced", 2, fenced_without_run, { set_in_run, keep_patiently, set_another }, check_slots },
	{ "reclaim-counter-plain", 1, plain_counter, { count_on, keep_patiently, set_another }, check_slots },
	{ "reclaim-counter-fenced", 1, fenced_counter, { count_on, keep_patiently, set_another }, check_slots },
	{ "reclaim-section-plain", 3, plain_bare, { read_bare, keep_and_use }, NULL },
	{ "reclaim-section-fenced", 3, fenced_bare, { read_bare, keep_and_use }, NULL },
	{ "reclaim-pin-plain", 3, plain_bare, { write_bare, keep_and_use }, NULL },
	{ "reclaim-pin-fenced", 3, fenced_bare, { write_bare, keep_and_use }, NULL },
	{ "revoke-get-plain", 1, plain, { get_a, keep_impatiently, set_another }, check_slots },
	{ "revoke-get-fenced", 2, fenced, { get_a, keep_impatiently, set_another }, check_slots },
	{ "revoke-view-plain", 1, plain, { view_a, keep_impatiently, set_another }, check_slots },
	{ "revoke-view-fenced", 2, fenced, { view_a, keep_impatiently, set_another }, check_slots },
	{ "revoke-views-plain", 1, plain, { view_one_more, keep_impatiently, set_another }, check_slots },
	{ "revoke-views-fenced", 1, fenced, { view_one_more, keep_impatiently, set_another }, check_slots },
	{ "revoke-set-plain", 1, plain, { set_in_run, keep_impatiently, set_another }, check_slots },
	{ "revoke-set-fenced", 1, fenced, { set_in_run, keep_impatiently, set_another }, check_slots },
	{ "revoke-counter-plain", 1, plain_counter, { count_on, keep_impatiently, set_another }, check_slots },
	{ "revoke-counter-fenced", 1, fenced_counter, { count_on, keep_impatiently, set_another }, check_slots },
	{ 0 },
};
