/* SPDX-License-Identifier: MIT */
#include "tests/weak/places.h"

#include <stdlib.h>
#include <string.h>

#include "tests/weak/memory.h"

#define REGIONS_MAX 16

struct unit *places_units;
struct usage *places_usage;
int64_t places_sections[WEAK_THREADS] = { -1, -1, -1, -1 };

static struct region {
	unsigned char *base;
	size_t bytes;
	uint32_t first;
} regions[REGIONS_MAX];
static unsigned region_count;
static uint32_t unit_count;
static uint16_t history_count;

static struct touched {
	uint32_t unit;
	uint32_t *address;
	uint32_t old;
} * touched;
static uint32_t touched_count;

int64_t places_unit_of(const void *address)
{
	for (unsigned i = 0; i < region_count; i++) {
		size_t offset = (size_t)((const unsigned char *)address - regions[i].base);

		if (offset < regions[i].bytes)
			return regions[i].first + (int64_t)(offset / UNIT);
	}
	return -1;
}

void weak_share(void *memory, size_t bytes, const void *same_as)
{
	struct region *region = &regions[region_count++];

	if (region_count > REGIONS_MAX)
		abort();
	*region = (struct region){ memory, bytes, unit_count };
	if (same_as) {
		region->first = (uint32_t)places_unit_of(same_as);
		return;
	}
	unit_count += (uint32_t)((bytes + UNIT - 1) / UNIT);
	places_units = realloc(places_units, unit_count * sizeof *places_units);
	places_usage = realloc(places_usage, unit_count * sizeof *places_usage);
	touched = realloc(touched, unit_count * sizeof *touched);
	if (!places_units || !places_usage || !touched)
		abort();
	memset(&places_units[region->first], 0, (unit_count - region->first) * sizeof *places_units);
	memset(&places_usage[region->first], 0, (unit_count - region->first) * sizeof *places_usage);
}

bool memory_shared(const void *address, size_t bytes)
{
	return bytes && places_unit_of(address) >= 0;
}

/* It must have a history even while nobody looks at it. */
void weak_section(unsigned thread, const atomic_u64 *word)
{
	places_sections[thread] = places_unit_of(word);
	places_usage[places_sections[thread]].users = (1 << WEAK_THREADS) - 1;
	places_usage[places_sections[thread]].writers = 1;
}

bool memory_learn(void)
{
	bool changed = false;

	for (uint32_t i = 0; i < unit_count; i++) {
		uint8_t others_write = 0;

		if (!places_usage[i].writers || !(places_usage[i].users & (places_usage[i].users - 1)))
			continue;
		for (unsigned thread = 0; thread < WEAK_THREADS; thread++)
			others_write |= (uint8_t)(((places_usage[i].writers & ~(1u << thread)) != 0) << thread);
		changed |= !places_usage[i].history || others_write != places_usage[i].others_write;
		places_usage[i].others_write = others_write;
		if (!places_usage[i].history && ++history_count >= PLACES_HISTORIES)
			weak_fail("the threads share too many words");
		if (!places_usage[i].history)
			places_usage[i].history = history_count;
	}
	return changed;
}

struct unit *places_touch(void *address, int64_t number)
{
	struct unit *unit = &places_units[number];

	if (!unit->touched) {
		uint32_t *start = (uint32_t *)((uintptr_t)address & ~(uintptr_t)(UNIT - 1));

		touched[touched_count++] = (struct touched){ (uint32_t)number, start, *start };
		unit->touched = true;
	}
	return unit;
}

void places_restore(void)
{
	for (uint32_t i = 0; i < touched_count; i++) {
		*touched[i].address = touched[i].old;
		memset(&places_units[touched[i].unit], 0, sizeof places_units[0]);
	}
	touched_count = 0;
}
