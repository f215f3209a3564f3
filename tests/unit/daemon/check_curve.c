/* SPDX-License-Identifier: MIT */
/* The estimate beside exact reuse distances of the same lookups. */
#include "daemon/curve.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "tests/support/expect.h"
#include "tests/support/suite.h"
#include "tests/unit/support/random.h"

#define KEYS 400000u
#define LOOKUPS 2000000u
#define RATE 64u
#define SIZES 5

static const double multiples[SIZES] = { 0.25, 0.5, 1, 2, 4 };

/* ---- exactly ------------------------------------------------------------------------------------------------------- */

/* A Fenwick tree over all lookups that there will be, of the bytes of the key that was used there last. */
struct exact {
	uint64_t *tree;
	uint32_t *last; /* of each key: number of its last use + 1 */
	uint64_t hits[SIZES], lookups;
};

static void exact_add(struct exact *exact, uint32_t place, uint64_t bytes)
{
	for (; place <= LOOKUPS; place += place & -place)
		exact->tree[place] += bytes;
}

static uint64_t exact_sum(const struct exact *exact, uint32_t place)
{
	uint64_t sum = 0;

	for (; place > 0; place -= place & -place)
		sum += exact->tree[place];
	return sum;
}

/* Return: whether it hits in a cache of this capacity. */
static bool exact_lookup(struct exact *exact, uint32_t key, uint64_t bytes, uint64_t capacity)
{
	uint32_t now = (uint32_t)++exact->lookups, last = exact->last[key];
	uint64_t hits = exact->hits[2];

	if (last) {
		uint64_t distance = exact_sum(exact, now) - exact_sum(exact, last - 1);

		for (int size = 0; size < SIZES; size++)
			exact->hits[size] += (double)distance <= multiples[size] * (double)capacity;
		exact_add(exact, last, -bytes);
	}
	exact_add(exact, now, bytes);
	exact->last[key] = now;
	return exact->hits[2] > hits;
}

/* ---- traces -------------------------------------------------------------------------------------------------------- */

enum trace { TRACE_ZIPF, TRACE_SCAN, TRACE_UNIFORM };

struct trace_state {
	enum trace trace;
	struct random random;
	double *cumulative;
	uint32_t number;
};

static void trace_start(struct trace_state *state, enum trace trace)
{
	double sum = 0;

	*state = (struct trace_state){ .trace = trace, .random = { 7 } };
	state->cumulative = malloc(KEYS * sizeof *state->cumulative);
	expect(state->cumulative != NULL);
	for (uint32_t rank = 0; rank < KEYS; rank++)
		state->cumulative[rank] = sum += pow(rank + 1, -0.8);
}

static uint32_t zipf(struct trace_state *state)
{
	double wanted = (double)(random_next(&state->random) >> 11) * 0x1p-53 * state->cumulative[KEYS - 1];
	uint32_t low = 0, high = KEYS - 1;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (state->cumulative[middle] < wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* scan: every tenth lookup goes through all keys in order. */
static uint32_t trace_next(struct trace_state *state)
{
	state->number++;
	switch (state->trace) {
	case TRACE_UNIFORM:
		return random_below(&state->random, KEYS);
	case TRACE_SCAN:
		if (state->number % 10 == 0)
			return state->number / 10 % KEYS;
		return zipf(state);
	default:
		return zipf(state);
	}
}

static uint64_t bytes_of(uint32_t key)
{
	struct random random = { key };

	return 64 + random_below(&random, 900);
}

static uint64_t hash_of(uint32_t key)
{
	struct random random = { key + UINT64_C(1) * 1000003 };

	return random_next(&random);
}

/* ---- tests --------------------------------------------------------------------------------------------------------- */

/* A lookup of which only the keys of the sample become known to the curve; what is missing is stored. */
static void look_up(struct curve *curve, uint32_t key, bool there)
{
	uint64_t hash = hash_of(key);
	struct curve_use use = { there ? CURVE_HIT : CURVE_MISS, hash / RATE, bytes_of(key), 0 };

	curve_count_lookups(curve, 1);
	if (hash % RATE != 0)
		return;
	curve_use(curve, &use, 1);
	use.kind = CURVE_STORE;
	if (!there)
		curve_use(curve, &use, 1);
}

/* The fewer keys of the sample fit, the more does it depend on which they are: at a quarter, some 250 here. */
static void compare(enum trace trace, uint64_t capacity)
{
	struct curve *curve = curve_create(multiples, SIZES, RATE);
	struct exact exact = { .tree = calloc(LOOKUPS + 1, sizeof *exact.tree),
		               .last = calloc(KEYS, sizeof *exact.last) };
	struct trace_state state;

	trace_start(&state, trace);
	expect(curve && exact.tree && exact.last);
	curve_set_capacity(curve, capacity);
	for (uint32_t i = 0; i < LOOKUPS; i++) {
		uint32_t key = trace_next(&state);

		look_up(curve, key, exact_lookup(&exact, key, bytes_of(key), capacity));
	}
	ck_assert_uint_ge(curve_samples(curve), 1000);
	for (uint32_t size = 0; size < SIZES; size++) {
		double wanted = 1 - (double)exact.hits[size] / LOOKUPS, got = curve_miss_ratio(curve, size);

		ck_assert_msg(fabs(got - wanted) < (size < 2 ? 0.03 : 0.02),
		              "trace %d, %g times the memory: %.4f instead of %.4f", trace, multiples[size], got,
		              wanted);
	}
	curve_destroy(curve);
	free(state.cumulative);
	free(exact.tree);
	free(exact.last);
}

START_TEST(test_zipf)
{
	compare(TRACE_ZIPF, UINT64_C(30) << 20);
}
END_TEST

START_TEST(test_scan)
{
	compare(TRACE_SCAN, UINT64_C(30) << 20);
}
END_TEST

START_TEST(test_uniform)
{
	compare(TRACE_UNIFORM, UINT64_C(60) << 20);
}
END_TEST

/* The largest size has room for four times the keys that the sample can have: it must shrink, and still be right. */
START_TEST(test_the_sample_is_bounded)
{
	struct curve *curve = curve_create(multiples, SIZES, 1);
	struct random random = { 5 };
	const uint32_t keys = 4 * CURVE_KEYS_MAX;

	expect(curve != NULL);
	curve_set_capacity(curve, (uint64_t)keys * 100 / 2); /* two times the memory hold all */
	for (uint32_t i = 0; i < 100 * keys; i++) {
		uint32_t key = random_below(&random, keys);
		struct curve_use use = { i < keys ? CURVE_STORE : CURVE_HIT, hash_of(i < keys ? i : key), 100, 0 };

		curve_use(curve, &use, 1);
		curve_count_lookups(curve, i >= keys);
		expect(curve_keys(curve) <= CURVE_KEYS_MAX);
	}
	ck_assert_uint_lt(curve_threshold(curve), CURVE_THRESHOLD_MAX);
	ck_assert_uint_ge(curve_threshold(curve), CURVE_THRESHOLD_MAX / 16);
	ck_assert_double_eq_tol(curve_miss_ratio(curve, 2), 0.5, 0.03);
	ck_assert_double_eq_tol(curve_miss_ratio(curve, 1), 0.75, 0.03);
	ck_assert_double_eq_tol(curve_miss_ratio(curve, 4), 0, 0.01);
	curve_destroy(curve);
}
END_TEST

/* A client may report whatever it likes. */
START_TEST(test_any_use_is_survived)
{
	struct curve *curve = curve_create(multiples, SIZES, 256);
	struct random random = { 6 };

	expect(curve != NULL);
	curve_set_capacity(curve, 1 << 20);
	for (uint32_t i = 0; i < 1000000; i++) {
		struct curve_use use = { CURVE_MISS + random_below(&random, 4), random_next(&random) & 0xffff0000,
			                 random_next(&random) >> random_below(&random, 64),
			                 random_below(&random, 3) ? 0 : random_next(&random) };

		curve_use(curve, &use, random_next(&random));
		expect(curve_keys(curve) <= CURVE_KEYS_MAX);
	}
	for (int i = 0; i < 100; i++)
		curve_halve_threshold(curve);
	ck_assert_uint_eq(curve_threshold(curve), 1);
	for (uint32_t i = 0; i < 100000; i++)
		curve_use(curve, &(struct curve_use){ CURVE_STORE, (uint64_t)i << 16, 1, 0 }, 1);
	ck_assert_uint_le(curve_keys(curve), CURVE_KEYS_MAX);
	curve_destroy(curve);
}
END_TEST

START_TEST(test_lives_end_and_deleted_keys_are_gone)
{
	struct curve *curve = curve_create(multiples, SIZES, 1);
	struct curve_use use = { CURVE_STORE, 1, 100, 1000 };

	expect(curve != NULL);
	curve_set_capacity(curve, 1000);
	ck_assert(isnan(curve_miss_ratio(curve, 2)));
	curve_use(curve, &use, 1);
	use.kind = CURVE_HIT;
	curve_use(curve, &use, 999);
	use.kind = CURVE_MISS;
	curve_use(curve, &use, 1000);
	curve_count_lookups(curve, 2);
	ck_assert_double_eq(curve_miss_ratio(curve, 2), 0.5);
	use.expires_ms = 0;
	use.kind = CURVE_STORE;
	curve_use(curve, &use, 1000);
	use.kind = CURVE_DELETE;
	curve_use(curve, &use, 1000);
	ck_assert_uint_eq(curve_keys(curve), 0);
	use.kind = CURVE_MISS;
	curve_use(curve, &use, 1000);
	curve_count_lookups(curve, 1);
	ck_assert_double_eq_tol(curve_miss_ratio(curve, 4), 2.0 / 3, 1e-9);
	curve_destroy(curve);
}
END_TEST

/* Nine lookups of ten are of one key, which is not in the sample; every lookup in the sample misses. */
START_TEST(test_popular_keys_that_the_sample_lacks)
{
	struct curve *curve = curve_create(multiples, SIZES, 1);

	expect(curve != NULL);
	curve_set_capacity(curve, 1000);
	for (uint64_t key = 0; key < 5000; key++) {
		curve_use(curve, &(struct curve_use){ CURVE_MISS, key << 16, 0, 0 }, 1);
		curve_count_lookups(curve, 10);
	}
	ck_assert_double_eq_tol(curve_miss_ratio(curve, 2), 0.1, 1e-9);
	curve_destroy(curve);
}
END_TEST

/* What was there before the curve began tells nothing about the sizes but the one there is. */
START_TEST(test_hits_of_unknown_keys_are_not_counted)
{
	struct curve *curve = curve_create(multiples, SIZES, 1);

	expect(curve != NULL);
	curve_set_capacity(curve, 400 * 100);
	for (int round = 0; round < 2; round++) {
		for (uint64_t key = 0; key < 200; key++) {
			curve_use(curve, &(struct curve_use){ CURVE_HIT, key, 100, 0 }, 1);
			curve_count_lookups(curve, 1);
		}
		ck_assert_uint_eq(curve_samples(curve), round * 200);
	}
	ck_assert_double_eq(curve_miss_ratio(curve, 0), 1);
	ck_assert_double_eq(curve_miss_ratio(curve, 1), 0);
	curve_destroy(curve);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("curve");

	tcase_add_test(tests, test_zipf);
	tcase_add_test(tests, test_scan);
	tcase_add_test(tests, test_uniform);
	tcase_add_test(tests, test_the_sample_is_bounded);
	tcase_add_test(tests, test_any_use_is_survived);
	tcase_add_test(tests, test_lives_end_and_deleted_keys_are_gone);
	tcase_add_test(tests, test_popular_keys_that_the_sample_lacks);
	tcase_add_test(tests, test_hits_of_unknown_keys_are_not_counted);
	return suite_run("curve", tests);
}
