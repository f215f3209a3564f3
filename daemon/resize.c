/* SPDX-License-Identifier: MIT */
/*
 * The problem: memory must come and go while any number of processes use the arena, none of which can be asked to wait or to map
 * anything anew, and this process may be killed at any instruction.
 *
 * The idea: one number in the header says how many segments there shall be, and the states say how many there are. Whoever keeps the
 * house makes the second like the first, one step at a time, and needs to remember nothing: a keeper that comes after one that was
 * killed goes on from what it finds.
 *
 * Growing: first all memory that is wanted is allocated, and only then do segments join. So if it cannot be had, nothing was promised;
 * the size that was is wanted again, and what was allocated goes back.
 *
 * Shrinking: it does not matter which segments go, since the file is never cut and holes may be anywhere in it. So they are those that
 * are free, and then those that the eviction policy gives up: what is used most stays, the index need not move (it shrinks by itself when it has fewer keys: daemon/growth.c), and what a view holds
 * stands in nobody's way.
 *
 * Memory is given back when nobody can look at it any more. Who entered a section after the segment was emptied does not find it; who
 * entered before has left, or was revoked; and one that was revoked may still read what it found, and throw it away later. Such a
 * read of a hole would allocate it again, so while any thread is in a revoked section nothing is given back.
 *
 * Invariant: outside a growth, a segment that is absent and has memory is marked in pages.
 */
#include "daemon/resize.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "arena/segment.h"
#include "base/failpoint.h"
#include "daemon/log.h"
#include "daemon/quantity.h"

#define STEP_BYTES (UINT64_C(16) << 20)    /* allocated in one step: some milliseconds */
#define RELEASE_BYTES (UINT64_C(64) << 20) /* given back in one step */
#define DATA_LEAST 8u                      /* segments beside header, tables and index */

struct size_text {
	char text[QUANTITY_TEXT_MAX];
};

static struct size_text text_of(uint64_t bytes)
{
	struct size_text size;

	quantity_format_bytes(bytes, size.text);
	return size;
}

static uint64_t bytes_of(const struct arena *arena, uint32_t segments)
{
	return (uint64_t)segments << arena->segment_shift;
}

static enum segment_state state_of(const struct resize *resize, uint32_t segment)
{
	return segment_load(resize->arena, segment).state;
}

/* Segments that can never become absent as long as the arena is used as it is. */
static uint32_t settled(const struct resize *resize)
{
	uint32_t count = 0;

	for (uint32_t segment = 0; segment < resize->arena->segment_count; segment++)
		count += state_of(resize, segment) == SEGMENT_SYSTEM || state_of(resize, segment) == SEGMENT_INDEX;
	return count;
}

static uint32_t present(const struct resize *resize)
{
	uint32_t count = 0;

	for (uint32_t segment = 0; segment < resize->arena->segment_count; segment++)
		count += state_of(resize, segment) != SEGMENT_ABSENT;
	return count;
}

/* ---- what is wanted ------------------------------------------------------------------------------------------------ */

/* How many segments are kept free for writers. */
static void set_low_mark(const struct resize *resize)
{
	uint32_t low = resize->target / 128;

	if (low < 2)
		low = resize->target < 64 ? 1 : 2;
	store_relaxed(&resize->arena->header->free_low_mark, low > 64 ? 64 : low);
}

int resize_init(struct resize *resize, const struct arena *arena)
{
	*resize = (struct resize){ .arena = arena, .fd = -1, .unreleased = true };
	resize->pages = malloc(arena->segment_count);
	if (!resize->pages)
		return -ENOMEM;
	memset(resize->pages, 1, arena->segment_count); /* what an earlier keeper came to, it told nobody */
	resize->target = arena_segment_target(arena);
	if (resize->target < SEGMENTS_LEAST) /* somebody wrote over it */
		resize->target = present(resize);
	store_relaxed(&arena->header->segment_target, resize->target);
	set_low_mark(resize);
	return 0;
}

void resize_free(struct resize *resize)
{
	free(resize->pages);
}

void resize_set_memory(struct resize *resize, int fd)
{
	struct statfs memory;

	resize->fd = fd;
	/* Huge pages were all taken when the arena was made, and stay: see arena_memory_of. */
	resize->has_all = fstatfs(fd, &memory) == 0 && memory.f_type == HUGETLBFS_MAGIC;
	resize->keeps_pages = resize->has_all;
}

uint64_t resize_bytes(const struct resize *resize)
{
	return bytes_of(resize->arena, resize->target);
}

static void set_target(struct resize *resize, uint32_t target)
{
	resize->target = target;
	resize->poor = false;
	resize->cursor = resize->granted = 0;
	store_relaxed(&resize->arena->header->segment_target, target);
	failpoint("resize.wanted");
	set_low_mark(resize);
	/* Slabs may comprise other classes now (segment_slab_for): what nobody fills any more is to be evicted like all else. */
	for (uint32_t slab = 0; slab < SLABS; slab++)
		store_relaxed(&resize->arena->header->open_segment[slab], 0);
}

int resize_want(struct resize *resize, uint64_t bytes, uint64_t *ret_bytes, struct fault *fault)
{
	const struct arena *arena = resize->arena;
	uint32_t least = settled(resize) + DATA_LEAST, now = present(resize);
	uint64_t segments = bytes >> arena->segment_shift;
	int result = 0;

	least = least < SEGMENTS_LEAST ? SEGMENTS_LEAST : least;
	least = least < resize->target ? least : resize->target;
	*ret_bytes = bytes_of(arena, (uint32_t)segments);
	if (bytes > arena->bytes) {
		*ret_bytes = arena->bytes;
		return fault_set(
			fault, -ERANGE,
			"the arena cannot have %s: it was made for %s at the most (size_max), which only a new "
			"start changes",
			text_of(bytes).text, text_of(arena->bytes).text);
	}
	if (segments < least) {
		*ret_bytes = bytes_of(arena, least);
		return fault_set(
			fault, -ERANGE,
			"the arena cannot have %s: with its tables and index, as they are, it needs %s at the least",
			text_of(bytes).text, text_of(*ret_bytes).text);
	}
	if (segments > now && !resize->keeps_pages)
		result = arena_memory_available(bytes_of(arena, (uint32_t)segments - now), fault);
	if (result)
		return result;
	if (segments != resize->target) {
		log_info("the arena of %s shall have %s", text_of(bytes_of(arena, now)).text, text_of(*ret_bytes).text);
		set_target(resize, (uint32_t)segments);
	}
	return 0;
}

void resize_configure(struct resize *resize, uint64_t bytes)
{
	atomic_u64 *configured = &resize->arena->header->size_configured;
	struct fault fault = { "" };
	uint64_t nearest;

	bytes = arena_round_bytes(bytes);
	if (bytes == load_relaxed(configured))
		return;
	if (resize_want(resize, bytes, &nearest, &fault)) {
		log_error("%s", fault.text);
		return;
	}
	failpoint("resize.configuring");
	store_relaxed(configured, bytes);
}

/* ---- growing ------------------------------------------------------------------------------------------------------- */

/* Whether a segment is one of those that join next. */
static bool awaited(const struct resize *resize, uint32_t segment)
{
	const struct arena *arena = resize->arena;

	return state_of(resize, segment) == SEGMENT_ABSENT &&
	       (segment >= arena->system_segments || segment < arena_system_needed(arena, resize->target));
}

/* How many awaited segments there are in a row from the first, which is one: at most so many. */
static uint32_t row(const struct resize *resize, uint32_t first, uint32_t most)
{
	uint32_t count = 1;

	while (count < most && first + count < resize->arena->segment_count && awaited(resize, first + count))
		count++;
	return count;
}

static void give_up(struct resize *resize, uint32_t now, int result)
{
	log_error("the arena cannot have %s: no memory (%s); it keeps its %s", text_of(resize_bytes(resize)).text,
	          strerror(-result), text_of(bytes_of(resize->arena, now)).text);
	memset(resize->pages, 1, resize->arena->segment_count);
	resize->unreleased = true;
	set_target(resize, now);
	store_relaxed(&resize->arena->header->size_configured, resize_bytes(resize)); /* so SIGHUP tries again */
}

static void join_all(struct resize *resize, struct survey *survey)
{
	for (uint32_t segment = 0; segment < resize->cursor && resize->granted > 0; segment++) {
		if (!awaited(resize, segment))
			continue;
		segment_join(resize->arena, segment);
		resize->granted--;
		survey->absent--;
		survey->free += segment >= resize->arena->system_segments;
	}
	resize->cursor = resize->granted = 0;
}

/* Allocates memory for some segments; when all have it they join. Return: whether that is still to come. */
static bool grow(struct resize *resize, struct survey *survey, uint32_t now)
{
	const struct arena *arena = resize->arena;
	uint32_t have = now + resize->granted; /* more than is wanted, if segments were exchanged meanwhile */
	uint32_t wanted = resize->target > have ? resize->target - have : 0;
	uint32_t step = (uint32_t)(STEP_BYTES >> arena->segment_shift), count;
	int result;

	while (resize->cursor < arena->segment_count && !awaited(resize, resize->cursor))
		resize->cursor++;
	if (resize->cursor == arena->segment_count || wanted == 0) {
		join_all(resize, survey);
		return false;
	}
	count = row(resize, resize->cursor, wanted < step ? wanted : step);
	result = resize->has_all ? 0 : arena_allocate(arena, resize->fd, resize->cursor, count);
	if (result == -EINTR)
		return true;
	if (result) {
		give_up(resize, now, result);
		return false;
	}
	failpoint("resize.allocated");
	resize->cursor += count;
	resize->granted += count;
	return true;
}

bool resize_exchange(struct resize *resize, uint32_t segment)
{
	int result = 0;

	if (segment < resize->arena->system_segments || resize->poor)
		return false;
	if (!resize->has_all)
		result = arena_allocate(resize->arena, resize->fd, segment, 1);
	resize->poor = result != 0 && result != -EINTR;
	if (result)
		return false;
	/* Its chunk headers are zero, as for segment_join. */
	return segment_change(resize->arena, segment, SEGMENT_ABSENT, SEGMENT_RESERVE);
}

/* ---- shrinking ----------------------------------------------------------------------------------------------------- */

void resize_note_absent(struct resize *resize, uint32_t segment)
{
	resize->pages[segment] = 1;
	resize->unreleased = true;
	resize->surplus -= resize->surplus > 0;
}

/*
 * Every second segment that comes free, however short memory is, or writers could keep the arena from shrinking for as long as
 * they write.
 */
bool resize_claims(struct resize *resize)
{
	if (resize->surplus == 0)
		return false;
	resize->turn = !resize->turn;
	return resize->turn || load_relaxed(&resize->arena->header->free_segments) >=
	                               load_relaxed(&resize->arena->header->free_low_mark);
}

/* Free segments go, but for what writers may ask for at any moment; from the end, where writers look last. */
static void shrink(struct resize *resize, struct survey *survey)
{
	uint32_t low = load_relaxed(&resize->arena->header->free_low_mark);

	for (uint32_t segment = resize->arena->segment_count; segment-- > 0 && resize->surplus && survey->free > low;) {
		if (!segment_leave(resize->arena, segment))
			continue;
		resize_note_absent(resize, segment);
		survey->free--;
		survey->absent++;
	}
}

bool resize_step(struct resize *resize, struct survey *survey)
{
	uint32_t now = resize->arena->segment_count - survey->absent;

	resize->surplus = now > resize->target ? now - resize->target : 0;
	if (resize->surplus)
		shrink(resize, survey);
	return now < resize->target && grow(resize, survey, now);
}

/* ---- giving back --------------------------------------------------------------------------------------------------- */

/* Whatever somebody may have written into the states, the tables themselves are never given back. */
static bool releasable(const struct resize *resize, uint32_t segment)
{
	return resize->pages[segment] && state_of(resize, segment) == SEGMENT_ABSENT &&
	       segment >= arena_system_needed(resize->arena, resize->target);
}

static void keep_pages(struct resize *resize, int result)
{
	resize->keeps_pages = true;
	log_notice("the arena keeps the memory of what is not in use: %s",
	           result == -EPERM ? "the seal that keeps clients from writing forbids to give any back"
	                            : strerror(-result));
}

bool resize_release(struct resize *resize)
{
	const struct arena *arena = resize->arena;
	uint32_t most = (uint32_t)(RELEASE_BYTES >> arena->segment_shift), first = 0, count = 0;
	int result;

	if (resize->granted)
		return false;
	while (first < arena->segment_count && !releasable(resize, first))
		first++;
	while (count < most && first + count < arena->segment_count && releasable(resize, first + count))
		count++;
	resize->unreleased = count > 0 && !resize->keeps_pages;
	if (!resize->unreleased)
		return false;
	result = arena_release(arena, resize->fd, first, count);
	if (result) {
		keep_pages(resize, result);
		return false;
	}
	failpoint("resize.released");
	memset(resize->pages + first, 0, count);
	return true;
}
