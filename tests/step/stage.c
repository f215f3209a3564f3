/* SPDX-License-Identifier: MIT */
#include "tests/step/stage.h"

#include <stdlib.h>

#define ARENA_BYTES ARENA_BYTES_MIN
#define USED_BYTES 1500 /* of each chunk */
#define LINES 4         /* thread lines that anybody here can come to use */

/* ---- living memory --------------------------------------------------------------------------------------------------- */

static void format(struct stage *stage)
{
	struct arena_plan plan = { .access = LARDER_SHARED_WRITE };
	struct random random = { 1 };
	struct arena arena;

	plan.plain_epochs = platform_barrier_register() == 0 && platform_barrier() == 0;
	stage->arena_fd = arena_memory(ARENA_BYTES, PAGES_SMALL, &plan.page_bytes, NULL);
	expect(stage->arena_fd >= 0);
	expect_equal(arena_format(stage->arena_fd, &plan, &arena, NULL), 0);
	random_bytes(&random, arena.header->secret, SECRET_BYTES);
	for (int role = 0; role < ROLES; role++) {
		stage->page_fd[role] = control_create(arena.segment_count, (uint64_t)role);
		expect(stage->page_fd[role] >= 0);
		expect_equal(control_map(stage->page_fd[role], arena.segment_count, false, &stage->page[role], NULL),
		             0);
	}
	arena_unmap(&arena);
}

/* Free segments look as if they had been in use before: all is left there but the headers of their runs. */
static void make_used(const struct arena *arena)
{
	for (uint32_t segment = arena->system_segments; segment < arena->segment_count; segment++) {
		struct segment_entry *entry = &arena->table[segment];

		if (segment_load(arena, segment).state != SEGMENT_FREE)
			continue;
		for (uint32_t chunk = 0; chunk < arena->chunks; chunk++)
			memset(segment_base(arena, segment) + chunk * CHUNK_BYTES + sizeof(struct chunk_header), 0xa5,
			       USED_BYTES);
		store_relaxed(&entry->opened_ms, 1);
		store_relaxed(&entry->depth, 2);
		store_relaxed(&entry->prefix, 3);
		store_relaxed(&entry->overflow_used, 5);
	}
}

void stage_open(struct stage *stage)
{
	memset(stage, 0, sizeof *stage);
	format(stage);
	stage_attach(stage, ROLE_OTHER, &stage->other);
	stage->arena = &stage->other.cache.arena;
	make_used(stage->arena);
	stage->live.arena = stage->arena->base;
	for (int role = 0; role < ROLES; role++)
		stage->live.page[role] = (unsigned char *)stage->page[role].page;
	image_create(stage, &stage->last);
}

void stage_close(struct stage *stage)
{
	image_destroy(&stage->last);
	client_stop(&stage->other);
	for (int role = 0; role < ROLES; role++) {
		control_unmap(&stage->page[role]);
		close(stage->page_fd[role]);
	}
	close(stage->arena_fd);
}

void stage_attach(const struct stage *stage, enum role role, struct client *ret_client)
{
	struct fault fault = { "" };

	if (cache_attach(&ret_client->cache, stage->arena_fd, stage->page_fd[role], true, WORLD_FENCED, 0, &fault))
		expect_failed("%s", fault.text);
	expect_equal(cache_thread_start(&ret_client->cache, &ret_client->thread), 0);
}

void stage_advance(struct stage *stage, uint64_t ms)
{
	stage->arena->clock_offset_ns += ms * NS_PER_MS;
	stage->arena->header->clock_offset_ns = stage->arena->clock_offset_ns;
}

/* ---- what has changed -------------------------------------------------------------------------------------------------- */

static bool update(unsigned char *last, const unsigned char *live, size_t bytes)
{
	if (memcmp(last, live, bytes) == 0)
		return false;
	memcpy(last, live, bytes);
	return true;
}

/* A page is looked at as far as it is used: its head and first thread lines, and the pins. */
#define PAGE_HEAD offsetof(struct control_page, threads[LINES])
#define PAGE_PINS sizeof(struct control_page)

static bool update_page(const struct stage *stage, int role)
{
	unsigned char *last = stage->last.page[role];
	const unsigned char *live = stage->live.page[role];
	bool changed = update(last, live, PAGE_HEAD);

	return update(last + PAGE_PINS, live + PAGE_PINS, stage->page[role].bytes - PAGE_PINS) || changed;
}

static bool is_free(const struct stage *stage, const unsigned char *arena, uint32_t segment)
{
	const struct segment_entry *table =
		(const struct segment_entry *)(const void *)(arena + ((unsigned char *)stage->arena->table -
	                                                              stage->arena->base));

	return segment_unpack(load_relaxed(&table[segment].state)).state == SEGMENT_FREE;
}

bool stage_changed(struct stage *stage)
{
	const struct arena *arena = stage->arena;
	/* Header, tables and directory; nothing else is in the segments of the system. */
	size_t head = (size_t)((unsigned char *)(arena->ghosts + arena->ghost_lines) - arena->base);
	bool changed = false;

	for (uint32_t segment = arena->system_segments; segment < arena->segment_count; segment++) {
		size_t start = (size_t)segment << arena->segment_shift;

		if (!is_free(stage, stage->live.arena, segment) || !is_free(stage, stage->last.arena, segment))
			changed |= update(stage->last.arena + start, stage->live.arena + start, arena->segment_bytes);
	}
	changed |= update(stage->last.arena, stage->live.arena, head);
	for (int role = 0; role < ROLES; role++)
		changed |= update_page(stage, role);
	return changed;
}

bool stage_free_untouched(const struct stage *stage)
{
	const struct arena *arena = stage->arena;

	for (uint32_t segment = arena->system_segments; segment < arena->segment_count; segment++) {
		size_t start = (size_t)segment << arena->segment_shift;

		if (is_free(stage, stage->live.arena, segment) &&
		    memcmp(stage->last.arena + start, stage->live.arena + start, arena->segment_bytes) != 0)
			return false;
	}
	return true;
}

void stage_keep(struct stage *stage)
{
	memcpy(stage->last.arena, stage->live.arena, stage->arena->bytes);
	for (int role = 0; role < ROLES; role++)
		update_page(stage, role);
}

/* ---- copies ------------------------------------------------------------------------------------------------------------ */

/* On a page boundary, like the mapping of a file. */
static unsigned char *zeroed(uint64_t bytes)
{
	unsigned char *memory = aligned_alloc(4096, (bytes + 4095) & ~UINT64_C(4095));

	expect(memory != NULL);
	memset(memory, 0, bytes);
	return memory;
}

void image_create(const struct stage *stage, struct image *ret_image)
{
	ret_image->arena = zeroed(stage->arena->bytes);
	for (int role = 0; role < ROLES; role++)
		ret_image->page[role] = zeroed(stage->page[role].bytes);
}

void image_destroy(struct image *image)
{
	free(image->arena);
	for (int role = 0; role < ROLES; role++)
		free(image->page[role]);
}

void image_copy_last(const struct stage *stage, struct image *ret_image)
{
	memcpy(ret_image->arena, stage->last.arena, stage->arena->bytes);
	for (int role = 0; role < ROLES; role++) {
		memcpy(ret_image->page[role], stage->last.page[role], PAGE_HEAD);
		memcpy(ret_image->page[role] + PAGE_PINS, stage->last.page[role] + PAGE_PINS,
		       stage->page[role].bytes - PAGE_PINS);
	}
}

void stand_in_begin(const struct stage *stage, const struct image *image, enum role role, struct stand_in *ret_stand_in)
{
	struct cache *cache = &ret_stand_in->cache;
	struct arena *arena = &cache->arena;
	unsigned char *page = image->page[role];

	memset(ret_stand_in, 0, sizeof *ret_stand_in);
	*arena = *stage->arena;
	arena->base = image->arena;
	arena->header = (struct arena_header *)(void *)image->arena;
	arena->table = (struct segment_entry *)(void *)(image->arena + arena->header->table_offset);
	arena->directory = (atomic_u32 *)(void *)(image->arena + arena->header->directory_offset);
	arena->ghosts = (struct ghost_line *)(void *)(image->arena + arena->header->ghost_offset);
	arena->plain_epochs = false; /* everybody who uses the copy is this thread */
	cache->control = stage->page[role];
	cache->control.page = (struct control_page *)(void *)page;
	cache->control.pins = (atomic_u32 *)(void *)(page + PAGE_PINS);
	cache->fenced = true;
	if (role == ROLE_OTHER)
		ret_stand_in->allocator = *stage->other.thread.allocator;
	ret_stand_in->thread = (struct cache_thread){
		.cache = cache,
		.near = arena_near(arena),
		.allocator = &ret_stand_in->allocator,
		.reader = { .line = &cache->control.page->threads[0], .epoch = &arena->header->epoch, .fenced = true },
	};
	ret_stand_in->thread.near.short_sizes = 0;
	if (load_relaxed(&cache->control.page->thread_high) == 0)
		store_relaxed(&cache->control.page->thread_high, 1);
}
