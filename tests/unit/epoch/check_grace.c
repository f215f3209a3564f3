/* SPDX-License-Identifier: MIT */
#include "epoch/grace.h"

#include <sched.h>

#include "epoch/epoch.h"
#include "tests/unit/support/threads.h"
#include "tests/unit/support/world.h"

/* The control page of a client that a test writes by hand. */
struct page {
	struct world world;
	struct control *control;
};

static void page_start(struct page *page, uint64_t thread_high)
{
	world_start(&page->world, MIB);
	page->control = &page->world.self.cache.control;
	store_relaxed(&page->control->page->thread_high, thread_high);
}

static void page_stop(struct page *page)
{
	world_stop(&page->world);
}

static void set_epoch(struct page *page, uint32_t line, uint64_t epoch)
{
	store_relaxed(&page->control->page->threads[line].epoch, epoch);
}

static uint64_t get_epoch(struct page *page, uint32_t line)
{
	return load_relaxed(&page->control->page->threads[line].epoch);
}

START_TEST(test_oldest_of_several_lines)
{
	struct page page;

	page_start(&page, THREADS_MAX);
	ck_assert_uint_eq(grace_oldest(page.control), UINT64_MAX);
	set_epoch(&page, 5, 30);
	ck_assert_uint_eq(grace_oldest(page.control), 30);
	set_epoch(&page, 0, 40);
	ck_assert_uint_eq(grace_oldest(page.control), 30);
	set_epoch(&page, THREADS_MAX - 1, 20);
	ck_assert_uint_eq(grace_oldest(page.control), 20);
	set_epoch(&page, THREADS_MAX - 1, EPOCH_REVOKED);
	ck_assert_uint_eq(grace_oldest(page.control), 30);
	set_epoch(&page, 5, 0);
	ck_assert_uint_eq(grace_oldest(page.control), 40);
	page_stop(&page);
}
END_TEST

START_TEST(test_lines_never_used_are_not_looked_at)
{
	struct page page;

	page_start(&page, 3);
	set_epoch(&page, 3, 7);
	store_relaxed(&page.control->page->threads[3].write_pin, 6);
	ck_assert_uint_eq(grace_oldest(page.control), UINT64_MAX);
	ck_assert_uint_eq(grace_revoke(page.control, 100), 0);
	ck_assert(!grace_write_pinned(page.control, 5));
	set_epoch(&page, 2, 8);
	ck_assert_uint_eq(grace_oldest(page.control), 8);
	page_stop(&page);
}
END_TEST

START_TEST(test_scribbled_number_of_lines_is_cut)
{
	static const uint64_t numbers[] = { THREADS_MAX + 1, UINT32_MAX, UINT64_C(1) << 32, UINT64_MAX };
	struct page page;

	page_start(&page, 0);
	set_epoch(&page, THREADS_MAX - 1, 7);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		store_relaxed(&page.control->page->thread_high, numbers[i]);
		ck_assert_uint_eq(grace_oldest(page.control), 7);
		ck_assert(!grace_write_pinned(page.control, 5));
		ck_assert(!grace_idle(page.control));
	}
	page_stop(&page);
}
END_TEST

START_TEST(test_only_older_sections_are_revoked)
{
	struct page page;

	page_start(&page, 6);
	set_epoch(&page, 0, 9);
	set_epoch(&page, 1, 10);
	set_epoch(&page, 2, 11);
	set_epoch(&page, 3, EPOCH_REVOKED);
	set_epoch(&page, 4, 1);
	ck_assert_uint_eq(grace_revoke(page.control, 10), 2);
	ck_assert_uint_eq(get_epoch(&page, 0), EPOCH_REVOKED);
	ck_assert_uint_eq(get_epoch(&page, 1), 10);
	ck_assert_uint_eq(get_epoch(&page, 2), 11);
	ck_assert_uint_eq(get_epoch(&page, 4), EPOCH_REVOKED);
	ck_assert_uint_eq(get_epoch(&page, 5), 0);
	ck_assert_uint_eq(grace_revoked(page.control), 3);
	ck_assert_uint_eq(grace_revoke(page.control, 10), 0);
	page_stop(&page);
}
END_TEST

START_TEST(test_grace_period_raises_the_epoch)
{
	struct page page;

	page_start(&page, 0);
	for (uint64_t epoch = 2; epoch < 10; epoch++) {
		ck_assert_uint_eq(grace_begin(page.world.arena, load_relaxed(&page.world.arena->header->epoch)), epoch);
		ck_assert_uint_eq(load_relaxed(&page.world.arena->header->epoch), epoch);
	}
	page_stop(&page);
}
END_TEST

START_TEST(test_write_pin_holds_its_segment_only)
{
	struct page page;

	page_start(&page, 2);
	store_relaxed(&page.control->page->threads[1].write_pin, 5 + 1);
	for (uint32_t segment = 0; segment < page.world.segments; segment++)
		ck_assert_int_eq(grace_write_pinned(page.control, segment), segment == 5);
	page_stop(&page);
}
END_TEST

START_TEST(test_index_pins_hold_their_segments_only)
{
	struct page page;

	page_start(&page, 2);
	for (uint32_t which = 0; which < INDEX_PINS; which++)
		store_relaxed(&page.control->page->threads[1].index_pins[which], 5 + 2 * which + 1);
	for (uint32_t segment = 0; segment < page.world.segments; segment++)
		ck_assert_int_eq(grace_index_pinned(page.control, segment), segment == 5 || segment == 7);
	store_relaxed(&page.control->page->threads[2].index_pins[0], 9 + 1); /* a line never used */
	ck_assert(!grace_index_pinned(page.control, 9));
	page_stop(&page);
}
END_TEST

START_TEST(test_view_pin_in_any_shard_holds_its_segment_only)
{
	struct page page;

	page_start(&page, 1);
	for (uint32_t shard = 0; shard < PIN_SHARDS; shard++) {
		store_relaxed(control_pin(page.control, shard, 5), 3);
		for (uint32_t segment = 0; segment < page.world.segments; segment++)
			ck_assert_int_eq(grace_view_pinned(page.control, segment), segment == 5);
		ck_assert_uint_eq(load_relaxed(control_pin(page.control, shard, 5)), 3);
		store_relaxed(control_pin(page.control, shard, 5), 0);
	}
	page_stop(&page);
}
END_TEST

START_TEST(test_view_pin_in_a_line_holds_its_segment_only)
{
	struct page page;

	page_start(&page, 2);
	store_relaxed(&page.control->page->threads[1].view_pin, 5 + 1);
	for (uint32_t segment = 0; segment < page.world.segments; segment++)
		ck_assert_int_eq(grace_view_pinned(page.control, segment), segment == 5);
	ck_assert_uint_eq(load_relaxed(&page.control->page->threads[1].view_pin), 5 + 1);
	store_relaxed(&page.control->page->threads[2].view_pin, 9 + 1); /* a line never used */
	ck_assert(!grace_view_pinned(page.control, 9));
	store_relaxed(&page.control->page->threads[0].view_pin, UINT64_MAX); /* somebody has written over it */
	for (uint32_t segment = 0; segment < page.world.segments; segment++)
		ck_assert_int_eq(grace_view_pinned(page.control, segment), segment == 5);
	page_stop(&page);
}
END_TEST

START_TEST(test_idle_when_nothing_is_in_use)
{
	struct page page;

	page_start(&page, 4);
	ck_assert(grace_idle(page.control));
	set_epoch(&page, 3, 1);
	ck_assert(!grace_idle(page.control));
	set_epoch(&page, 3, 0);
	store_relaxed(&page.control->page->threads[2].write_pin, 1);
	ck_assert(!grace_idle(page.control));
	store_relaxed(&page.control->page->threads[2].write_pin, 0);
	store_relaxed(&page.control->page->threads[3].view_pin, 1);
	ck_assert(!grace_idle(page.control));
	store_relaxed(&page.control->page->threads[3].view_pin, 0);
	store_relaxed(control_pin(page.control, PIN_SHARDS - 1, page.world.segments - 1), 1);
	ck_assert(!grace_idle(page.control));
	store_relaxed(control_pin(page.control, PIN_SHARDS - 1, page.world.segments - 1), 0);
	ck_assert(grace_idle(page.control));
	page_stop(&page);
}
END_TEST

/* ---- store before load --------------------------------------------------------------------------------------------- */

/*
 * In each round a thread enters a section (or pins) and then looks at a word, while the keeper writes the word and then looks for
 * the thread. At least one of them must see the other: everything that is said about epochs rests on this.
 */
#define ROUNDS 8000u     /* on an idle machine some hundreds are enough; */
#define ROUNDS_MS 20000u /* on a busy one, where each meeting waits for two processors, for so long */
#define BALLAST 24       /* stores in front of the one that matters, so that it leaves the processor late */

struct line {
	_Alignas(PRIVATE_LINE) atomic_u64 word;
};

struct litmus {
	struct world world;
	struct client client;
	uint32_t segment, generation;
	bool pins;
	struct line shared;      /* the round, once the keeper has unlinked */
	struct line round_of[2]; /* keeper, client */
	uint64_t until_ms;
	uint32_t rounds; /* the keeper says in each, between two meetings, how many there shall be */
	struct line ballast[BALLAST];
	bool keeper_saw[ROUNDS + 1], client_saw[ROUNDS + 1];
};

/* Both begin a round as nearly together as can be; then one waits for a moment, which is another in each round. */
static void stagger(uint32_t who, uint32_t round)
{
	for (volatile uint32_t spins = round / 2 % 200; who == round % 2 && spins > 0; spins--)
		;
}

static void meet(struct litmus *litmus, uint32_t who, uint32_t round)
{
	store_release(&litmus->round_of[who].word, round);
	for (uint32_t spins = 0; load_acquire(&litmus->round_of[!who].word) < round; spins++)
		if (spins % 256 == 255)
			sched_yield();
}

static void keep(struct litmus *litmus, uint32_t round)
{
	if (litmus->pins)
		expect(segment_change(litmus->world.arena, litmus->segment, SEGMENT_OPEN, SEGMENT_CONDEMNED));
	else
		store_release(&litmus->shared.word, round);
	while (grace_barrier(litmus->world.arena) != 0)
		;
	litmus->keeper_saw[round] = litmus->pins ? grace_write_pinned(&litmus->client.cache.control, litmus->segment)
	                                         : grace_oldest(&litmus->client.cache.control) != UINT64_MAX;
}

static void throw_ballast(struct litmus *litmus, uint32_t round)
{
	for (int i = 0; i < BALLAST; i++)
		store_relaxed(&litmus->ballast[i].word, round);
}

static void visit(struct litmus *litmus, uint32_t round)
{
	struct epoch_reader *reader = &litmus->client.thread.reader;

	throw_ballast(litmus, round);
	if (litmus->pins) {
		litmus->client_saw[round] = !epoch_pin_write(reader, litmus->world.arena, litmus->segment,
		                                             litmus->generation);
		return;
	}
	epoch_enter(reader);
	litmus->client_saw[round] = load_acquire(&litmus->shared.word) == round;
}

/* Each on a processor of its own, where there are two. */
static void settle(uint32_t who)
{
	cpu_set_t allowed, mine;
	uint32_t found = 0;

	if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
		return;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed) || found++ < who)
			continue;
		CPU_ZERO(&mine);
		CPU_SET(cpu, &mine);
		sched_setaffinity(0, sizeof mine, &mine);
		return;
	}
}

static void litmus_body(void *context, uint32_t who)
{
	struct litmus *litmus = context;

	settle(who);
	for (uint32_t round = 1; round <= litmus->rounds; round++) {
		/* The client's caches shall have what it will look at, and lack what it will store. */
		if (who == 0)
			throw_ballast(litmus, round);
		else
			expect(load_relaxed(&litmus->shared.word) < round &&
			       segment_load(litmus->world.arena, litmus->segment).state == SEGMENT_OPEN);
		meet(litmus, who, 3 * round);
		stagger(who, round);
		if (who == 0)
			keep(litmus, round);
		else
			visit(litmus, round);
		if (who == 0 && monotonic_ms() >= litmus->until_ms)
			litmus->rounds = round;
		meet(litmus, who, 3 * round + 1);
		if (who == 1 && litmus->pins)
			epoch_unpin_write(&litmus->client.thread.reader);
		else if (who == 1)
			epoch_exit(&litmus->client.thread.reader);
		else if (litmus->pins)
			expect(segment_change(litmus->world.arena, litmus->segment, SEGMENT_CONDEMNED, SEGMENT_OPEN));
		meet(litmus, who, 3 * round + 2);
	}
}

static void litmus_run(bool pins, bool fenced)
{
	static struct litmus litmus;
	uint32_t chunk;

	litmus.pins = pins;
	litmus.rounds = ROUNDS;
	litmus.until_ms = monotonic_ms() + ROUNDS_MS;
	world_start(&litmus.world, MIB);
	client_start_waiting(&litmus.world, &litmus.client, fenced, 0);
	if (fenced)
		litmus.world.arena->plain_epochs = false; /* then the keeper issues no barriers */
	ck_assert(segment_take_chunks(litmus.world.arena, 0, 1, 1, &litmus.segment, &litmus.generation, &chunk));
	threads_run(2, litmus_body, &litmus);
	for (uint32_t round = 1; round <= litmus.rounds; round++)
		if (!litmus.keeper_saw[round] && !litmus.client_saw[round])
			ck_abort_msg("in round %u neither saw the other", round);
	client_stop(&litmus.client);
	world_stop(&litmus.world);
}

START_TEST(test_keeper_or_section_sees_the_other)
{
	litmus_run(false, WORLD_FENCED);
}
END_TEST

START_TEST(test_keeper_or_fenced_section_sees_the_other)
{
	litmus_run(false, true);
}
END_TEST

START_TEST(test_keeper_or_writer_sees_the_other)
{
	litmus_run(true, WORLD_FENCED);
}
END_TEST

START_TEST(test_keeper_or_fenced_writer_sees_the_other)
{
	litmus_run(true, true);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("grace");

	tcase_add_test(tests, test_oldest_of_several_lines);
	tcase_add_test(tests, test_lines_never_used_are_not_looked_at);
	tcase_add_test(tests, test_scribbled_number_of_lines_is_cut);
	tcase_add_test(tests, test_only_older_sections_are_revoked);
	tcase_add_test(tests, test_grace_period_raises_the_epoch);
	tcase_add_test(tests, test_write_pin_holds_its_segment_only);
	tcase_add_test(tests, test_index_pins_hold_their_segments_only);
	tcase_add_test(tests, test_view_pin_in_any_shard_holds_its_segment_only);
	tcase_add_test(tests, test_view_pin_in_a_line_holds_its_segment_only);
	tcase_add_test(tests, test_idle_when_nothing_is_in_use);
	tcase_add_test(tests, test_keeper_or_section_sees_the_other);
	tcase_add_test(tests, test_keeper_or_fenced_section_sees_the_other);
	tcase_add_test(tests, test_keeper_or_writer_sees_the_other);
	tcase_add_test(tests, test_keeper_or_fenced_writer_sees_the_other);
	return suite_run("grace", tests);
}
