/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "larder.h"
#include "tests/support/suite.h"

START_TEST(test_every_condition_has_its_own_text)
{
	for (int result = LARDER_OK; result <= LARDER_END; result++) {
		ck_assert_str_ne(larder_strerror(result), larder_strerror(LARDER_END + 1));
		for (int other = LARDER_OK; other < result; other++)
			ck_assert_str_ne(larder_strerror(result), larder_strerror(other));
	}
	ck_assert_str_eq(larder_strerror(LARDER_MISS), "no such key");
}
END_TEST

/* Where the system's words would leave a user of larder alone. */
START_TEST(test_documented_errors_name_their_cure)
{
	static const int documented[] = {
		EINVAL, E2BIG, EAGAIN, EPROTO, ECONNREFUSED, ENOENT, EACCES, ETIMEDOUT, EMFILE, EUSERS, EIO, EOVERFLOW,
	};

	for (size_t i = 0; i < sizeof documented / sizeof documented[0]; i++)
		ck_assert_str_ne(larder_strerror(-documented[i]), strerror(documented[i]));
	ck_assert_ptr_nonnull(strstr(larder_strerror(-ECONNREFUSED), "start larderd"));
	ck_assert_ptr_nonnull(strstr(larder_strerror(-EUSERS), "1024 threads"));
	ck_assert_ptr_nonnull(strstr(larder_strerror(-EINVAL), "65535 bytes"));
}
END_TEST

START_TEST(test_any_other_errno_has_the_systems_text)
{
	ck_assert_str_eq(larder_strerror(-EXDEV), strerror(EXDEV));
}
END_TEST

START_TEST(test_nonsense_has_a_text_too)
{
	static const int nonsense[] = { LARDER_END + 1, INT_MAX, -4000, -4096, INT_MIN };

	for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++)
		ck_assert_str_eq(larder_strerror(nonsense[i]), "unknown result");
}
END_TEST

START_TEST(test_version_is_that_of_the_header)
{
	char version[32];

	snprintf(version, sizeof version, "%d.%d.%d", LARDER_VERSION_MAJOR, LARDER_VERSION_MINOR, LARDER_VERSION_PATCH);
	ck_assert_str_eq(larder_version(), version);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("error");

	tcase_add_test(tests, test_every_condition_has_its_own_text);
	tcase_add_test(tests, test_documented_errors_name_their_cure);
	tcase_add_test(tests, test_any_other_errno_has_the_systems_text);
	tcase_add_test(tests, test_nonsense_has_a_text_too);
	tcase_add_test(tests, test_version_is_that_of_the_header);
	return suite_run("error", tests);
}
