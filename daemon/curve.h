/* SPDX-License-Identifier: MIT */
/*
 * The miss-ratio curve: what share of the lookups would miss if there were less memory, or more, estimated from the uses of a
 * sample of the keys, in bounded memory. It is the curve of LRU, of which one stack of keys tells all sizes at once; see curve.c.
 */
#ifndef LARDER_DAEMON_CURVE_H
#define LARDER_DAEMON_CURVE_H

#include <stdint.h>

#define CURVE_KEYS_MAX 8192u       /* keys in the sample */
#define CURVE_THRESHOLD_MAX 65536u /* the threshold of all keys */

enum curve_kind {
	CURVE_MISS = 1, /* a lookup that found nothing */
	CURVE_HIT,
	CURVE_STORE,
	CURVE_DELETE,
};

/* One use of a key of the sample. */
struct curve_use {
	enum curve_kind kind;
	uint64_t key; /* a hash: keys of which the lowest 16 bits are below the threshold are in the sample */
	uint64_t bytes;
	uint64_t expires_ms; /* 0: never */
};

struct curve; /* opaque */

/*
 * sizes: for how many memory sizes the curve is wanted; multiples: of the memory there is, ascending. rate: the uses that are handed
 * in while the threshold is CURVE_THRESHOLD_MAX are those of one key in so many. NULL: out of memory; nothing else allocates any.
 */
struct curve *curve_create(const double *multiples, uint32_t sizes, uint32_t rate);
void curve_destroy(struct curve *curve);

/* How many bytes of objects the memory there is can hold. */
void curve_set_capacity(struct curve *curve, uint64_t bytes);

void curve_use(struct curve *curve, const struct curve_use *use, uint64_t now_ms);

/* So many lookups were there in all, of whatever keys: corrects for popular keys that the sample has or lacks by chance. */
void curve_count_lookups(struct curve *curve, uint64_t lookups);

/* So many uses of keys of the sample were not handed in. */
void curve_lose(struct curve *curve, uint64_t uses);

/* Keys whose lowest 16 bits are not below this are in the sample no longer. It only falls. */
uint32_t curve_threshold(const struct curve *curve);
void curve_halve_threshold(struct curve *curve);

/* What the estimate rests on: keys of the sample that are remembered, and lookups of them that were counted. */
uint64_t curve_keys(const struct curve *curve);
uint64_t curve_samples(const struct curve *curve);

/* The miss ratio at the multiple of this number; NAN while nothing was counted. */
double curve_miss_ratio(const struct curve *curve, uint32_t size);

#endif
