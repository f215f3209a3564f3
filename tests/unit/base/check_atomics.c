/* SPDX-License-Identifier: MIT */
#include "base/atomics.h"
#include "tests/support/suite.h"
#include "tests/unit/support/threads.h"

struct words {
	_Alignas(16) atomic_u64 low;
	atomic_u64 high;
};

static struct pair read_pair(struct words *words)
{
	struct pair pair = { load_acquire(&words->low), load_acquire(&words->high) };

	return pair;
}

START_TEST(test_pair_changes_both_words_or_none)
{
	struct words words = { 1, 2 };

	ck_assert(pair_cas(&words, (struct pair){ 1, 2 }, (struct pair){ UINT64_MAX, 4 }));
	ck_assert_uint_eq(words.low, UINT64_MAX);
	ck_assert_uint_eq(words.high, 4);
	ck_assert(!pair_cas(&words, (struct pair){ 1, 4 }, (struct pair){ 5, 6 }));
	ck_assert(!pair_cas(&words, (struct pair){ UINT64_MAX, 2 }, (struct pair){ 5, 6 }));
	ck_assert_uint_eq(words.low, UINT64_MAX);
	ck_assert_uint_eq(words.high, 4);
}
END_TEST

#define ROUNDS 20000u
#define THREADS 4u

/* The high word is always three times the low one, unless somebody changes one word without the other. */
static void add_to_pair(void *context, uint32_t number)
{
	struct words *words = context;

	(void)number;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct pair seen, next;

		do {
			seen = read_pair(words);
			next = (struct pair){ seen.low + 1, (seen.low + 1) * 3 };
		} while (!pair_cas(words, seen, next));
		expect(seen.high == seen.low * 3);
	}
}

START_TEST(test_pairs_of_many_threads)
{
	struct words words = { 0, 0 };

	threads_run(THREADS, add_to_pair, &words);
	ck_assert_uint_eq(words.low, (uint64_t)ROUNDS * THREADS);
	ck_assert_uint_eq(words.high, (uint64_t)ROUNDS * THREADS * 3);
}
END_TEST

START_TEST(test_failed_compare_and_swap_tells_what_is_there)
{
	atomic_u64 word = 7;
	uint64_t expected = 8;

	ck_assert(!cas_acq_rel(&word, &expected, 9));
	ck_assert_uint_eq(expected, 7);
	ck_assert(cas_acq_rel(&word, &expected, 9));
	expected = 1;
	ck_assert(!cas_relaxed(&word, &expected, 2));
	ck_assert_uint_eq(expected, 9);
	ck_assert(cas_relaxed(&word, &expected, 2));
	ck_assert_uint_eq(load_relaxed(&word), 2);
}
END_TEST

START_TEST(test_each_returns_what_was_before)
{
	atomic_u32 word = 5;

	ck_assert_uint_eq(fetch_add_acq_rel(&word, 2u), 5);
	ck_assert_uint_eq(fetch_add_relaxed(&word, (uint32_t)-1), 7);
	ck_assert_uint_eq(fetch_sub_release(&word, 4u), 6);
	ck_assert_uint_eq(exchange_acquire(&word, 11u), 2);
	ck_assert_uint_eq(load_acquire(&word), 11);
	store_release(&word, 12u);
	store_relaxed(&word, load_relaxed(&word) + 1);
	ck_assert_uint_eq(load_acquire(&word), 13);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("atomics");

	tcase_add_test(tests, test_pair_changes_both_words_or_none);
	tcase_add_test(tests, test_pairs_of_many_threads);
	tcase_add_test(tests, test_failed_compare_and_swap_tells_what_is_there);
	tcase_add_test(tests, test_each_returns_what_was_before);
	return suite_run("atomics", tests);
}
