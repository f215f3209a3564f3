/* SPDX-License-Identifier: MIT */
/*
 * The work is bounded: when more reports come in a second than REPORTS_MAX, or some were written over before they were read, the
 * sample is halved (curve.h), and clients stop reporting what fell out of it. A client that reports nonsense spoils the estimate,
 * and nothing else.
 */
#include "daemon/estimate.h"

#include <math.h>

#include "cache/usage.h"

#define REPORTS_MAX 32768u /* in a second: some 10 ms of work */
#define SAMPLES_MIN 2048u  /* with fewer lookups, or fewer keys, nothing is told */
#define KEYS_MIN 100u

static const double multiples[ESTIMATES] = { 0.25, 0.5, 1, 2, 4 };

_Static_assert(CURVE_THRESHOLD_MAX == USAGE_THRESHOLD_MAX, "clients and curve mean the same");

static void tell_unknown(struct arena_header *header)
{
	for (int i = 0; i < ESTIMATES; i++)
		store_relaxed(&header->estimate_misses[i], ESTIMATE_UNKNOWN);
}

void estimate_init(struct estimate *estimate, struct arena *arena)
{
	*estimate = (struct estimate){ .arena = arena };
	store_relaxed(&arena->header->usage_threshold, USAGE_THRESHOLD_MAX);
	store_relaxed(&arena->header->estimate_keys, 0);
	store_relaxed(&arena->header->estimate_samples, 0);
	tell_unknown(arena->header);
}

void estimate_destroy(struct estimate *estimate)
{
	curve_destroy(estimate->curve);
}

static void hand_in(struct estimate *estimate, const struct usage_report *report, uint64_t now_ms)
{
	static const enum curve_kind kinds[] = {
		[USAGE_MISS] = CURVE_MISS,
		[USAGE_HIT] = CURVE_HIT,
		[USAGE_STORE] = CURVE_STORE,
		[USAGE_DELETE] = CURVE_DELETE,
	};
	const struct curve_use use = {
		.kind = kinds[report->kind],
		.key = report->key,
		.bytes = report->bytes,
		.expires_ms = report->life_ms ? now_ms + report->life_ms : 0,
	};

	curve_use(estimate->curve, &use, now_ms);
}

void estimate_read(struct estimate *estimate, const struct control *client, uint64_t *seen)
{
	const uint64_t now_ms = arena_now_ms(estimate->arena);
	struct usage_report report;
	uint64_t lost;

	for (uint32_t i = 0; i < USAGES && usage_next(client, seen, &report, &lost); i++) {
		if (!estimate->curve)
			estimate->curve = curve_create(multiples, ESTIMATES, 1u << USAGE_SAMPLE_BITS);
		if (!estimate->curve)
			return;
		if (lost != 0) {
			estimate->crowded = true;
			curve_lose(estimate->curve, lost);
		}
		estimate->reports++;
		hand_in(estimate, &report, now_ms);
	}
}

void estimate_count_lookups(struct estimate *estimate, uint64_t lookups)
{
	if (estimate->curve)
		curve_count_lookups(estimate->curve, lookups);
}

/* Sees to it that not more is reported than can be dealt with. */
static void regulate(struct estimate *estimate)
{
	uint64_t now_ms = monotonic_ms();

	if (estimate->reports > REPORTS_MAX || (estimate->crowded && now_ms - estimate->second_ms >= 1000)) {
		curve_halve_threshold(estimate->curve);
		estimate->second_ms = 0;
	}
	if (now_ms - estimate->second_ms >= 1000) {
		estimate->second_ms = now_ms;
		estimate->reports = 0;
		estimate->crowded = false;
	}
	store_relaxed(&estimate->arena->header->usage_threshold, curve_threshold(estimate->curve));
}

/* What the arena can hold of objects, at the present sizes of the index and of what is dead and empty. */
static uint64_t capacity(const struct arena *arena, const struct survey *survey)
{
	uint64_t reserved = load_relaxed(&arena->header->free_low_mark) * arena->segment_bytes;
	uint64_t system = arena_system_needed(arena, arena_segment_target(arena));
	uint64_t others = (uint64_t)survey->absent + survey->index + system; /* each may have been written over */
	uint64_t all = others < arena->segment_count ? (arena->segment_count - others) * arena->segment_bytes : 0;
	uint64_t useless = reserved + survey->dead_bytes + survey->empty_bytes;

	return all > useless ? all - useless : 0;
}

void estimate_tell(struct estimate *estimate, const struct survey *survey)
{
	struct arena_header *header = estimate->arena->header;
	struct curve *curve = estimate->curve;

	if (!curve)
		return;
	regulate(estimate);
	curve_set_capacity(curve, capacity(estimate->arena, survey));
	store_relaxed(&header->estimate_keys, curve_keys(curve));
	store_relaxed(&header->estimate_samples, curve_samples(curve));
	for (uint32_t i = 0; i < ESTIMATES; i++) {
		double ratio = curve_miss_ratio(curve, i);
		bool known = curve_samples(curve) >= SAMPLES_MIN && curve_keys(curve) >= KEYS_MIN && !isnan(ratio);

		store_relaxed(&header->estimate_misses[i], known ? (uint64_t)(ratio * 1e6 + 0.5) : ESTIMATE_UNKNOWN);
	}
}
