/* SPDX-License-Identifier: MIT */
#include "epoch/epoch.h"

#include <sched.h>

#include "epoch/grace.h"
#include "tests/unit/support/threads.h"
#include "tests/unit/support/world.h"

/* ---- sections of one thread ---------------------------------------------------------------------------------------- */

START_TEST(test_section_shows_in_the_threads_line)
{
	struct world world;
	struct epoch_reader *reader = &world.self.thread.reader;

	world_start(&world, MIB);
	for (int fenced = 0; fenced < 2; fenced++) {
		reader->fenced = fenced;
		ck_assert_uint_eq(load_relaxed(&reader->line->epoch), 0);
		epoch_enter(reader);
		ck_assert_uint_eq(load_relaxed(&reader->line->epoch), load_relaxed(&world.arena->header->epoch));
		ck_assert(epoch_valid(reader));
		ck_assert(epoch_exit(reader));
		ck_assert_uint_eq(load_relaxed(&reader->line->epoch), 0);
		grace_begin(world.arena, load_relaxed(&world.arena->header->epoch));
	}
	world_stop(&world);
}
END_TEST

START_TEST(test_section_stays_in_the_epoch_in_which_it_began)
{
	struct world world;
	struct epoch_reader *reader = &world.self.thread.reader;

	world_start(&world, MIB);
	epoch_enter(reader);
	ck_assert_uint_eq(load_relaxed(&reader->line->epoch), 1);
	ck_assert_uint_eq(grace_begin(world.arena, load_relaxed(&world.arena->header->epoch)), 2);
	ck_assert_uint_eq(load_relaxed(&reader->line->epoch), 1);
	ck_assert(epoch_exit(reader));
	epoch_enter(reader);
	ck_assert_uint_eq(load_relaxed(&reader->line->epoch), 2);
	ck_assert(epoch_exit(reader));
	world_stop(&world);
}
END_TEST

START_TEST(test_revoked_section_is_not_valid)
{
	struct world world;
	struct epoch_reader *reader = &world.self.thread.reader;

	world_start(&world, MIB);
	for (int fenced = 0; fenced < 2; fenced++) {
		reader->fenced = fenced;
		epoch_enter(reader);
		ck_assert_uint_eq(grace_revoke(&world.self.cache.control,
		                               grace_begin(world.arena, load_relaxed(&world.arena->header->epoch))),
		                  1);
		ck_assert(!epoch_valid(reader));
		ck_assert(!epoch_exit(reader));
		ck_assert_uint_eq(load_relaxed(&reader->line->epoch), 0);
		epoch_enter(reader); /* a new one has nothing to do with it */
		ck_assert(epoch_exit(reader));
	}
	world_stop(&world);
}
END_TEST

/* ---- write pins ---------------------------------------------------------------------------------------------------- */

START_TEST(test_open_segment_can_be_pinned)
{
	struct world world;
	struct epoch_reader *reader = &world.self.thread.reader;
	uint32_t segment, generation, chunk;

	world_start(&world, MIB);
	ck_assert(segment_take_chunks(world.arena, 0, 1, 1, &segment, &generation, &chunk));
	for (int fenced = 0; fenced < 2; fenced++) {
		reader->fenced = fenced;
		ck_assert(epoch_pin_write(reader, world.arena, segment, generation));
		ck_assert_uint_eq(load_relaxed(&reader->line->write_pin), segment + 1);
		ck_assert(grace_write_pinned(&world.self.cache.control, segment));
		epoch_unpin_write(reader);
		ck_assert(!grace_write_pinned(&world.self.cache.control, segment));
	}
	world_stop(&world);
}
END_TEST

START_TEST(test_line_has_room_for_one_view)
{
	struct world world;
	struct epoch_reader *reader = &world.self.thread.reader;
	const struct control *control = &world.self.cache.control;

	world_start(&world, MIB);
	for (int fenced = 0; fenced < 2; fenced++) {
		reader->fenced = fenced;
		ck_assert(epoch_pin_view(reader->line, reader->fenced, 7));
		ck_assert(!epoch_pin_view(reader->line, reader->fenced, 8));
		ck_assert(grace_view_pinned(control, 7) && !grace_view_pinned(control, 8));
		epoch_unpin_view(reader->line, fenced);
		ck_assert(!grace_view_pinned(control, 7));
		ck_assert(epoch_pin_view(reader->line, reader->fenced, 8));
		ck_assert(grace_view_pinned(control, 8));
		epoch_unpin_view(reader->line, fenced);
		ck_assert(grace_idle(control));
	}
	world_stop(&world);
}
END_TEST

static void expect_no_pin(struct world *world, uint32_t segment, uint32_t generation)
{
	struct epoch_reader *reader = &world->self.thread.reader;

	for (int fenced = 0; fenced < 2; fenced++) {
		reader->fenced = fenced;
		ck_assert(!epoch_pin_write(reader, world->arena, segment, generation));
		ck_assert_uint_eq(load_relaxed(&reader->line->write_pin), 0);
	}
}

START_TEST(test_pin_is_refused_unless_open_in_that_generation)
{
	struct world world;
	uint32_t segment, generation, chunk;

	world_start(&world, MIB);
	ck_assert(segment_take_chunks(world.arena, 0, 1, 1, &segment, &generation, &chunk));
	expect_no_pin(&world, segment, generation + 1);
	ck_assert(segment_change(world.arena, segment, SEGMENT_OPEN, SEGMENT_CONDEMNED));
	expect_no_pin(&world, segment, generation);
	ck_assert(segment_change(world.arena, segment, SEGMENT_CONDEMNED, SEGMENT_RETIRED));
	expect_no_pin(&world, segment, generation);
	segment_recycle(world.arena, segment);
	expect_no_pin(&world, segment, generation);
	expect_no_pin(&world, segment, generation + 1);
	store_relaxed(&world.arena->header->search_hint, segment);
	ck_assert(segment_take_chunks(world.arena, 0, 1, 1, &segment, &generation, &chunk));
	ck_assert_uint_eq(generation, 1);
	expect_no_pin(&world, segment, 0);
	expect_no_pin(&world, 0, 0);
	expect_no_pin(&world, world.arena->system_segments, 0);
	world_stop(&world);
}
END_TEST

/* ---- many threads --------------------------------------------------------------------------------------------------- */

/*
 * A keeper replaces what a pointer leads to and uses the old place again after a grace period; readers follow the pointer and
 * look at what is there for a while. A place that changes under a valid section is a grace period that was too short.
 */
#define READERS 3
#define PLACES 4
#define PERIODS 3000  /* at least, and until each reader has been through so many */
#define SECTIONS 3000 /* sections */

struct torture {
	struct world world;
	struct client clients[READERS]; /* the last one is in fenced mode, the others in plain mode */
	atomic_u64 place[PLACES];       /* a stamp that says "in use", or 0 */
	atomic_u32 current;
	atomic_u32 stop;
	atomic_u64 valid[READERS], revoked[READERS];
	bool revoking;
};

static void read_places(struct torture *torture, uint32_t number)
{
	struct epoch_reader *reader = &torture->clients[number].thread.reader;

	while (!load_relaxed(&torture->stop)) {
		uint64_t stamp;
		atomic_u64 *place;
		bool changed = false;

		epoch_enter(reader);
		place = &torture->place[load_acquire(&torture->current)];
		stamp = load_acquire(place);
		for (int i = 0; i < 20; i++)
			changed |= load_acquire(place) != stamp;
		if (epoch_exit(reader)) {
			expect(stamp != 0 && !changed);
			fetch_add_relaxed(&torture->valid[number], 1);
		} else {
			fetch_add_relaxed(&torture->revoked[number], 1);
		}
	}
}

static bool period_over(const struct torture *torture, uint64_t epoch)
{
	for (int i = 0; i < READERS; i++)
		if (grace_oldest(&torture->clients[i].cache.control) < epoch)
			return false;
	return true;
}

static void end_period(struct torture *torture)
{
	uint64_t epoch = grace_begin(torture->world.arena, load_relaxed(&torture->world.arena->header->epoch));

	for (uint32_t attempt = 0;; attempt++) {
		if (grace_barrier(torture->world.arena) != 0)
			continue;
		if (period_over(torture, epoch))
			return;
		for (int i = 0; torture->revoking && attempt == 2 && i < READERS; i++)
			grace_revoke(&torture->clients[i].cache.control, epoch);
		sched_yield();
	}
}

static bool readers_done(const struct torture *torture)
{
	for (int i = 0; i < READERS; i++)
		if (load_relaxed(&torture->valid[i]) < SECTIONS)
			return false;
	return true;
}

static void replace_places(struct torture *torture)
{
	for (uint64_t period = 1; period <= PERIODS || !readers_done(torture); period++) {
		uint32_t old = load_relaxed(&torture->current), next = (old + 1) % PLACES;

		store_release(&torture->place[next], period);
		store_release(&torture->current, next);
		end_period(torture);
		store_release(&torture->place[old], 0);
	}
	store_release(&torture->stop, 1);
}

static void torture_body(void *context, uint32_t number)
{
	if (number < READERS)
		read_places(context, number);
	else
		replace_places(context);
}

static void torture_run(bool revoking)
{
	static struct torture torture;

	torture.revoking = revoking;
	torture.place[0] = 1;
	world_start(&torture.world, MIB);
	for (int i = 0; i < READERS; i++)
		client_start_waiting(&torture.world, &torture.clients[i], WORLD_FENCED || i == READERS - 1, 0);
	threads_run(READERS + 1, torture_body, &torture);
	for (int i = 0; i < READERS; i++) {
		if (!revoking)
			ck_assert_uint_eq(load_relaxed(&torture.revoked[i]), 0);
		ck_assert(grace_idle(&torture.clients[i].cache.control));
		client_stop(&torture.clients[i]);
	}
	world_stop(&torture.world);
}

START_TEST(test_nothing_changes_under_a_section)
{
	torture_run(false);
}
END_TEST

START_TEST(test_nothing_changes_under_a_section_that_stays_valid)
{
	torture_run(true);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("epoch");

	tcase_add_test(tests, test_section_shows_in_the_threads_line);
	tcase_add_test(tests, test_section_stays_in_the_epoch_in_which_it_began);
	tcase_add_test(tests, test_revoked_section_is_not_valid);
	tcase_add_test(tests, test_open_segment_can_be_pinned);
	tcase_add_test(tests, test_line_has_room_for_one_view);
	tcase_add_test(tests, test_pin_is_refused_unless_open_in_that_generation);
	tcase_add_test(tests, test_nothing_changes_under_a_section);
	tcase_add_test(tests, test_nothing_changes_under_a_section_that_stays_valid);
	return suite_run("epoch", tests);
}
