/* SPDX-License-Identifier: MIT */
/*
 * A lookup hits in an LRU cache of some size if the objects that were used since the key's last use, together with its own, fit
 * into it: their bytes are its reuse distance. One list of keys by their last use, the stack, gives the distances for all
 * sizes. To keep all keys and see all uses would cost as much as the cache. But if only keys of a certain hash are looked at,
 * all of them and nothing else, the stack is a small image of the whole: distances in it are the real ones times the share of keys
 * that are in the sample (SHARDS: Waldspurger, Park, Garthwaite, Ahmad, "Efficient MRC construction with SHARDS", FAST 2015).
 *
 * The sample is what lies below a threshold. When it becomes larger than there is room for, the threshold is halved and what lies
 * above it forgotten; so memory is bounded, and every use counts for as many as there were at the threshold of its time.
 *
 * The stack is an array of places, the latest use last, and a Fenwick tree of the bytes at each: a distance is a sum of
 * log2(PLACES) numbers. When the places are used up, keys are moved together to the front.
 *
 * Of a key that is found but was never seen before, nothing is known but that it is there, as after a keeper was replaced:
 * such a lookup is not counted. The counts fade, so that the curve is that of the last hours and not of all time.
 */
#include "daemon/curve.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PLACES (CURVE_KEYS_MAX * 2)
#define BUCKETS (CURVE_KEYS_MAX * 2)
#define NOBODY UINT16_MAX
#define THRESHOLD_MASK (CURVE_THRESHOLD_MAX - 1)
#define SIZES_MAX 8
#define FADE_SAMPLES 262144u /* after so many samples the counts are halved */

_Static_assert(CURVE_KEYS_MAX < NOBODY && (PLACES & (PLACES - 1)) == 0 && (BUCKETS & (BUCKETS - 1)) == 0, "sizes");

struct node {
	uint64_t key;
	uint64_t bytes;
	uint64_t expires_ms;
	uint32_t place;
	uint16_t next; /* in its bucket, or among the free ones */
};

struct curve {
	double multiples[SIZES_MAX];
	uint32_t sizes, rate, threshold;
	uint64_t capacity;
	uint64_t samples;
	double lookups, counted; /* all there were; those of the sample, each times what it stands for */
	double hits[SIZES_MAX];
	uint32_t keys, next_place, oldest_place;
	uint16_t free;
	uint16_t buckets[BUCKETS];
	uint16_t places[PLACES];   /* who was used there last */
	uint64_t tree[PLACES + 1]; /* Fenwick, of the bytes at the places */
	struct node nodes[CURVE_KEYS_MAX];
};

/* ---- the stack ----------------------------------------------------------------------------------------------------- */

static void tree_add(struct curve *curve, uint32_t place, uint64_t bytes)
{
	for (uint32_t i = place + 1; i <= PLACES; i += i & -i)
		curve->tree[i] += bytes;
}

/* The bytes at all places before one. */
static uint64_t tree_sum(const struct curve *curve, uint32_t place)
{
	uint64_t sum = 0;

	for (uint32_t i = place; i > 0; i -= i & -i)
		sum += curve->tree[i];
	return sum;
}

static void leave_place(struct curve *curve, struct node *node)
{
	tree_add(curve, node->place, -node->bytes);
	curve->places[node->place] = NOBODY;
}

static void take_place(struct curve *curve, struct node *node)
{
	node->place = curve->next_place++;
	curve->places[node->place] = (uint16_t)(node - curve->nodes);
	tree_add(curve, node->place, node->bytes);
}

static void move_together(struct curve *curve)
{
	uint32_t place = 0;

	for (uint32_t i = 0; i < PLACES; i++) {
		if (curve->places[i] == NOBODY)
			continue;
		curve->places[place] = curve->places[i];
		curve->nodes[curve->places[place]].place = place;
		place++;
	}
	for (uint32_t i = place; i < PLACES; i++)
		curve->places[i] = NOBODY;
	curve->next_place = place;
	curve->oldest_place = 0;
	memset(curve->tree, 0, sizeof curve->tree);
	for (uint32_t i = 0; i < place; i++)
		tree_add(curve, i, curve->nodes[curve->places[i]].bytes);
}

/* ---- keys ---------------------------------------------------------------------------------------------------------- */

static uint16_t *bucket_of(struct curve *curve, uint64_t key)
{
	return &curve->buckets[(key * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (BUCKETS - 1)];
}

static struct node *find(struct curve *curve, uint64_t key)
{
	for (uint16_t i = *bucket_of(curve, key); i != NOBODY; i = curve->nodes[i].next)
		if (curve->nodes[i].key == key)
			return &curve->nodes[i];
	return NULL;
}

static void forget(struct curve *curve, struct node *node)
{
	uint16_t number = (uint16_t)(node - curve->nodes), *link = bucket_of(curve, node->key);

	leave_place(curve, node);
	while (*link != number)
		link = &curve->nodes[*link].next;
	*link = node->next;
	node->next = curve->free;
	curve->free = number;
	curve->keys--;
}

static bool forget_oldest(struct curve *curve)
{
	while (curve->oldest_place < curve->next_place && curve->places[curve->oldest_place] == NOBODY)
		curve->oldest_place++;
	if (curve->oldest_place == curve->next_place)
		return false;
	forget(curve, &curve->nodes[curve->places[curve->oldest_place]]);
	return true;
}

static bool in_sample(const struct curve *curve, uint64_t key)
{
	return (key & THRESHOLD_MASK) < curve->threshold;
}

void curve_halve_threshold(struct curve *curve)
{
	if (curve->threshold == 1)
		return;
	curve->threshold /= 2;
	for (uint32_t place = 0; place < curve->next_place; place++) {
		uint16_t number = curve->places[place];

		if (number != NOBODY && !in_sample(curve, curve->nodes[number].key))
			forget(curve, &curve->nodes[number]);
	}
}

/* Makes room for one more key. False: it is in the sample no longer. */
static bool make_room(struct curve *curve, uint64_t key)
{
	while (curve->keys == CURVE_KEYS_MAX) {
		if (curve->threshold > 1)
			curve_halve_threshold(curve);
		else
			forget_oldest(curve);
	}
	if (curve->next_place == PLACES)
		move_together(curve);
	return in_sample(curve, key);
}

/* How many keys each of the sample stands for. */
static double weight(const struct curve *curve)
{
	return (double)curve->rate * CURVE_THRESHOLD_MAX / curve->threshold;
}

/* What lies so deep that it hits in none of the caches. */
static void forget_the_deep(struct curve *curve)
{
	double largest = curve->multiples[curve->sizes - 1] * (double)curve->capacity;

	while ((double)tree_sum(curve, curve->next_place) * weight(curve) > largest && forget_oldest(curve))
		;
}

/* ---- uses ---------------------------------------------------------------------------------------------------------- */

/* The key becomes the one that was used last. */
static void put_on_top(struct curve *curve, struct node *node, const struct curve_use *use)
{
	if (node) {
		leave_place(curve, node);
		if (curve->next_place == PLACES)
			move_together(curve);
	} else {
		uint16_t *bucket = bucket_of(curve, use->key);

		if (!make_room(curve, use->key))
			return;
		node = &curve->nodes[curve->free];
		curve->free = node->next;
		node->key = use->key;
		node->next = *bucket;
		*bucket = (uint16_t)(node - curve->nodes);
		curve->keys++;
	}
	if (use->kind != CURVE_MISS) {
		node->bytes = use->bytes;
		node->expires_ms = use->expires_ms;
	}
	take_place(curve, node);
	forget_the_deep(curve);
}

static void fade(struct curve *curve)
{
	curve->samples /= 2;
	curve->lookups /= 2;
	curve->counted /= 2;
	for (uint32_t size = 0; size < curve->sizes; size++)
		curve->hits[size] /= 2;
}

static void count_lookup(struct curve *curve, const struct node *node)
{
	double each = weight(curve), distance = 0;

	if (node)
		distance = (double)(tree_sum(curve, curve->next_place) - tree_sum(curve, node->place)) * each;
	for (uint32_t size = 0; node && size < curve->sizes; size++)
		if (distance <= curve->multiples[size] * (double)curve->capacity)
			curve->hits[size] += each;
	curve->counted += each;
	if (++curve->samples >= FADE_SAMPLES)
		fade(curve);
}

void curve_use(struct curve *curve, const struct curve_use *use, uint64_t now_ms)
{
	struct node *node;

	if (!in_sample(curve, use->key))
		return;
	node = find(curve, use->key);
	if (node && node->expires_ms && node->expires_ms <= now_ms) {
		forget(curve, node);
		node = NULL;
	}
	switch (use->kind) {
	case CURVE_MISS:
		count_lookup(curve, node);
		if (node)
			put_on_top(curve, node, use);
		return;
	case CURVE_HIT:
		if (node)
			count_lookup(curve, node);
		else
			curve_lose(curve, 1);
		put_on_top(curve, node, use);
		return;
	case CURVE_STORE:
		put_on_top(curve, node, use);
		return;
	case CURVE_DELETE:
		if (node)
			forget(curve, node);
		return;
	}
}

void curve_count_lookups(struct curve *curve, uint64_t lookups)
{
	curve->lookups += (double)lookups;
}

void curve_lose(struct curve *curve, uint64_t uses)
{
	curve->lookups -= (double)uses * weight(curve);
}

void curve_set_capacity(struct curve *curve, uint64_t bytes)
{
	curve->capacity = bytes;
}

/* ---- what it says -------------------------------------------------------------------------------------------------- */

uint32_t curve_threshold(const struct curve *curve)
{
	return curve->threshold;
}

uint64_t curve_keys(const struct curve *curve)
{
	return curve->keys;
}

uint64_t curve_samples(const struct curve *curve)
{
	return curve->samples;
}

/* Where the sample has too few lookups, or too many, that is for popular keys, which hit at every size. */
double curve_miss_ratio(const struct curve *curve, uint32_t size)
{
	double lookups = curve->lookups > 0 ? curve->lookups : 0;
	double hits = curve->hits[size] + lookups - curve->counted;

	if (curve->samples == 0 || lookups <= 0)
		return NAN;
	return hits <= 0 ? 1 : hits >= lookups ? 0 : 1 - hits / lookups;
}

struct curve *curve_create(const double *multiples, uint32_t sizes, uint32_t rate)
{
	struct curve *curve = sizes <= SIZES_MAX ? calloc(1, sizeof *curve) : NULL;

	if (!curve)
		return NULL;
	memcpy(curve->multiples, multiples, sizes * sizeof *multiples);
	curve->sizes = sizes;
	curve->rate = rate;
	curve->threshold = CURVE_THRESHOLD_MAX;
	for (uint32_t i = 0; i < BUCKETS; i++)
		curve->buckets[i] = NOBODY;
	for (uint32_t i = 0; i < PLACES; i++)
		curve->places[i] = NOBODY;
	for (uint32_t i = 0; i < CURVE_KEYS_MAX; i++)
		curve->nodes[i].next = (uint16_t)(i + 1 < CURVE_KEYS_MAX ? i + 1 : NOBODY);
	return curve;
}

void curve_destroy(struct curve *curve)
{
	free(curve);
}
