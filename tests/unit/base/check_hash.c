/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/hash.h"
#include "tests/support/suite.h"
#include "tests/unit/support/random.h"

#define BITS(low, high) ((UINT64_MAX >> (63 - (high))) & ~((UINT64_C(1) << (low)) - 1)) /* low ... high */

static void make_secret(uint8_t secret[SECRET_BYTES], uint64_t seed)
{
	struct random random = { seed };

	random_bytes(&random, secret, SECRET_BYTES);
}

START_TEST(test_tag_home_and_directory_use_bits_of_their_own)
{
	static const uint32_t homes[] = { 896, 28672 };
	struct random random = { 7 };

	for (int i = 0; i < 1000; i++) {
		uint64_t hash = random_next(&random), other = random_next(&random);
		uint64_t other_tag = (hash & ~BITS(0, 8)) | (other & BITS(0, 8));
		uint64_t other_home = (hash & ~BITS(9, 40)) | (other & BITS(9, 40));
		uint64_t other_high = (hash & ~BITS(41, 63)) | (other & BITS(41, 63));

		ck_assert_uint_eq(hash_tag(hash), hash & 0x1ff);
		ck_assert_uint_eq(hash_tag(other_home), hash_tag(hash));
		ck_assert_uint_eq(hash_tag(other_high), hash_tag(hash));
		for (int h = 0; h < 2; h++) {
			ck_assert_uint_lt(hash_home(hash, homes[h]), homes[h]);
			ck_assert_uint_eq(hash_home(other_tag, homes[h]), hash_home(hash, homes[h]));
			ck_assert_uint_eq(hash_home(other_high, homes[h]), hash_home(hash, homes[h]));
		}
		ck_assert_uint_eq(hash_directory(other_tag, DIRECTORY_BITS_MAX),
		                  hash_directory(hash, DIRECTORY_BITS_MAX));
		ck_assert_uint_eq(hash_directory(other_home, DIRECTORY_BITS_MAX),
		                  hash_directory(hash, DIRECTORY_BITS_MAX));
	}
}
END_TEST

START_TEST(test_directory_entries_are_in_the_order_of_the_hash)
{
	ck_assert_uint_eq(hash_directory(0, 4), 0);
	ck_assert_uint_eq(hash_directory(UINT64_MAX, 4), 15);
	ck_assert_uint_eq(hash_directory(UINT64_C(1) << 63, 4), 8);
	ck_assert_uint_eq(hash_directory(UINT64_C(3) << 60, 4), 3);
	ck_assert_uint_eq(hash_directory(UINT64_C(3) << 60, 2), 0);
	ck_assert_uint_eq(hash_directory(UINT64_MAX, DIRECTORY_BITS_MAX), (1u << DIRECTORY_BITS_MAX) - 1);
}
END_TEST

START_TEST(test_homes_are_spread_evenly)
{
	enum { HOMES = 896, KEYS = HOMES * 100 };
	static uint32_t keys[HOMES];
	uint8_t secret[SECRET_BYTES];

	make_secret(secret, 1);
	for (uint32_t i = 0; i < KEYS; i++)
		keys[hash_home(hash_key(secret, &i, sizeof i), HOMES)]++;
	/* Of a Poisson distribution around 100, six deviations are 60. */
	for (int i = 0; i < HOMES; i++)
		if (keys[i] < 40 || keys[i] > 160)
			ck_abort_msg("home %d has %u keys of %d", i, keys[i], KEYS);
}
END_TEST

/* The hash treats keys by length in ways of their own: each must depend on secret, length and every byte. */
START_TEST(test_hash_depends_on_secret_length_and_bytes)
{
	static const size_t sizes[] = { 1, 2, 3, 4, 8, 9, 16, 17, 64, 128, 129, 240, 241, 1024, 65535 };
	uint8_t secret[SECRET_BYTES], other[SECRET_BYTES];
	static unsigned char key[65536];
	struct random random = { 3 };

	make_secret(secret, 1);
	make_secret(other, 2);
	random_bytes(&random, key, sizeof key);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		uint64_t hash = hash_key(secret, key, sizes[i]);

		ck_assert_uint_eq(hash, hash_key(secret, key, sizes[i]));
		ck_assert_uint_ne(hash, hash_key(other, key, sizes[i]));
		ck_assert_uint_ne(hash, hash_key(secret, key, sizes[i] + 1));
		for (size_t byte = 0; byte < sizes[i]; byte += 1 + sizes[i] / 16) {
			key[byte] ^= 1;
			ck_assert_uint_ne(hash, hash_key(secret, key, sizes[i]));
			key[byte] ^= 1;
		}
	}
}
END_TEST

/* Processes with other builds of the library must find each other's keys. */
START_TEST(test_hash_is_xxh3)
{
	uint8_t secret[SECRET_BYTES];
	unsigned char key[300];
	struct random random = { 4 };

	make_secret(secret, 5);
	random_bytes(&random, key, sizeof key);
	for (size_t size = 1; size <= sizeof key; size++)
		ck_assert_uint_eq(hash_key(secret, key, size), XXH3_64bits_withSecret(key, size, secret, SECRET_BYTES));
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("hash");

	tcase_add_test(tests, test_tag_home_and_directory_use_bits_of_their_own);
	tcase_add_test(tests, test_directory_entries_are_in_the_order_of_the_hash);
	tcase_add_test(tests, test_homes_are_spread_evenly);
	tcase_add_test(tests, test_hash_depends_on_secret_length_and_bytes);
	tcase_add_test(tests, test_hash_is_xxh3);
	return suite_run("hash", tests);
}
