/* SPDX-License-Identifier: MIT */
#include "tools/demo/counters.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "tools/demo/value.h"

#define LIFE_SHIFT 32
#define SERIAL_BITS 22 /* of the 31 that a life has in a positive number; the rest says who began it */

struct counter_note *counters_create(uint32_t counters)
{
	void *memory = mmap(NULL, (size_t)BOARD_TALLIES * counters * sizeof(struct counter_note),
	                    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

/* own: the value is the result of an increment, which nobody else can have got. */
static void note_value(struct tally *tally, struct counter_note *note, uint32_t counter, int64_t value, bool own)
{
	uint64_t life = (uint64_t)value >> LIFE_SHIFT, count = (uint32_t)value;

	if (value <= 0 || life == 0 || count == 0) {
		tally_wrong(tally, "counter %u: its value %lld was never given to it", counter, (long long)value);
		return;
	}
	if (life == note->life) {
		if (own ? count <= note->last : count < note->last)
			tally_wrong(tally, "counter %u: it went from %llu to %llu in one life", counter,
			            (unsigned long long)note->last, (unsigned long long)count);
	} else {
		if (life == note->life_ended)
			tally_wrong(tally, "counter %u: a life that had ended came back at %llu", counter,
			            (unsigned long long)count);
		note->life_ended = note->life;
		note->life = life;
		note->increments = 0;
	}
	note->last = count;
	note->increments += own;
}

void counter_increment(larder *cache, struct tally *tally, unsigned tally_number, struct counter_note *notes,
                       uint32_t counter, uint64_t *serial)
{
	uint64_t life = ((uint64_t)(tally_number + 1) << SERIAL_BITS) + (*serial & ((UINT64_C(1) << SERIAL_BITS) - 1));
	struct larder_incr_options options = LARDER_INCR_OPTIONS;
	char key[KEY_BYTES_MAX];
	size_t key_size = key_hits(key, counter);
	uint64_t begun;
	int64_t value;
	int result;

	options.flags = LARDER_INCR_CREATE;
	options.initial = (int64_t)((life << LIFE_SHIFT) + 1);
	tally->counting = counter + 1;
	begun = tally_begin(tally, CALL_INCR);
	result = larder_incr(cache, key, key_size, 1, &options, &value);
	tally_end(tally, CALL_INCR, begun);
	if (result == 0) {
		*serial += value == options.initial;
		note_value(tally, &notes[counter], counter, value, true);
	} else if (result == -EAGAIN) {
		tally->refused++;
	} else {
		tally_failed(tally, "larder_incr", result);
	}
	tally->counting = 0;
}

/* A counter reads as its decimal text. False: this is none. */
static bool number_parse(char *text, size_t size, int64_t *ret_number)
{
	char *end;

	text[size] = '\0';
	errno = 0;
	*ret_number = strtoll(text, &end, 10);
	return size > 0 && errno == 0 && end == text + size;
}

void counter_read(larder *cache, struct tally *tally, struct counter_note *notes, uint32_t counter)
{
	char key[KEY_BYTES_MAX], text[32];
	size_t key_size = key_hits(key, counter);
	struct larder_item item;
	int64_t value;
	uint64_t begun = tally_begin(tally, CALL_GET);
	int result = larder_get(cache, key, key_size, text, sizeof text - 1, &item);

	tally_end(tally, CALL_GET, begun);
	tally->lookups++;
	if (result == LARDER_MISS)
		return;
	if (result < 0) {
		tally_failed(tally, "larder_get", result);
		return;
	}
	tally->hits++;
	if (result != 0 || !number_parse(text, item.value_size, &value))
		tally_wrong(tally, "counter %u: its value is no number", counter);
	else
		note_value(tally, &notes[counter], counter, value, false);
}

struct counter_audit counters_audit(larder *cache, const struct board *board, unsigned tallies,
                                    const struct counter_note *notes, uint32_t counters)
{
	struct counter_audit audit = { 0 };

	for (uint32_t counter = 0; counter < counters; counter++) {
		char key[KEY_BYTES_MAX], text[32];
		size_t key_size = key_hits(key, counter);
		uint64_t count, counted = 0, uncertain = 0;
		struct larder_item item;
		int64_t value;
		int result = larder_get(cache, key, key_size, text, sizeof text - 1, &item);

		if (result == LARDER_MISS)
			continue;
		audit.counters++;
		if (result != 0 || !number_parse(text, item.value_size, &value)) {
			fprintf(stderr, "\nWRONG: counter %u is no number at the end\n", counter);
			audit.wrong++;
			continue;
		}
		for (unsigned i = 0; i < tallies; i++) {
			const struct counter_note *note = &notes[(size_t)i * counters + counter];

			if (note->life == (uint64_t)value >> LIFE_SHIFT)
				counted += note->increments;
			/* Who was killed in an increment may have made it without noting it. */
			uncertain += board->tallies[i].counting == counter + 1;
		}
		count = (uint32_t)value;
		audit.increments += count;
		if (count < counted || count > counted + uncertain) {
			fprintf(stderr, "\nWRONG: counter %u shows %llu, but the workers made %llu increments\n",
			        counter, (unsigned long long)count, (unsigned long long)counted);
			audit.wrong++;
		}
	}
	return audit;
}
