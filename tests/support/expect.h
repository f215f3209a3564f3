/* SPDX-License-Identifier: MIT */
/*
 * What a test does when something is not so, in places where libcheck's assertions cannot be used (workers, programs
 * without libcheck) or would be too slow (each of them writes to a pipe): say what and where, and end the process.
 */
#ifndef LARDER_TESTS_EXPECT_H
#define LARDER_TESTS_EXPECT_H

#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#define expect_failed(...) \
	(fprintf(stderr, "%s:%d: pid %d: ", __FILE__, __LINE__, (int)getpid()), fprintf(stderr, __VA_ARGS__), \
	 fputc('\n', stderr), _exit(1))

#define expect(condition) ((condition) ? (void)0 : expect_failed("this is not so: %s", #condition))

#define expect_equal(actual, expected) \
	do { \
		int64_t actual_ = (int64_t)(actual), expected_ = (int64_t)(expected); \
		if (actual_ != expected_) \
			expect_failed("%s is %lld, not %lld (%s)", #actual, (long long)actual_, (long long)expected_, \
			              #expected); \
	} while (0)

/* For what can only be polled: true, after a short pause, until so many milliseconds are over. */
struct patience {
	uint64_t until_ns;
};
struct patience patience_start(unsigned milliseconds);
int patience_left(struct patience patience);

#endif
