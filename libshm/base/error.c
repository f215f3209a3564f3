/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "base/layout.h"
#include "larder.h"

#define DIGITS_OF(number) #number
#define DIGITS(number) DIGITS_OF(number)
#define KEY_MAX DIGITS(LARDER_KEY_MAX)
#define BATCH_MAX DIGITS(LARDER_BATCH_MAX)

/* Every result that larder.h documents, with what it means for a caller of larder, which errno's own text cannot say. */
#define RESULTS(X) \
	X(LARDER_OK, "success") \
	X(LARDER_MISS, "no such key") \
	X(LARDER_EXISTS, "the key exists already") \
	X(LARDER_CHANGED, "the key has changed: its version is not the expected one") \
	X(LARDER_TRUNCATED, "the value is larger than the buffer, which holds its beginning") \
	X(LARDER_NOT_NUMBER, "the value is not a decimal 64-bit integer") \
	X(LARDER_END, "there is nothing more to scan") \
	X(-EINVAL, "invalid argument: NULL, no key or one over " KEY_MAX " bytes, unknown flag, options without size") \
	X(-E2BIG, "too large: a value over larder_stat.value_size_max, or a batch of over " BATCH_MAX " entries") \
	X(-EAGAIN, "no free memory within timeout_ms, nothing has changed: try again, or give larderd a larger arena") \
	X(-EPROTO, "another version or layout: let the library and larderd be of the same release") \
	X(-ECONNREFUSED, "nobody listens on the socket: start larderd") \
	X(-ENOENT, "no such socket: start larderd, or name its socket in LARDER_SOCKET") \
	X(-ENAMETOOLONG, "the path of the socket is too long: use a shorter one") \
	X(-EACCES, "not admitted: larderd or the mode of its socket does not let this user in") \
	X(-ETIMEDOUT, "larderd did not answer within timeout_ms: see whether it is stopped or overloaded") \
	X(-EMFILE, "out of descriptors or thread keys: close some, or raise the limit of open files") \
	X(-ENFILE, "the system is out of descriptors") \
	X(-ENOMEM, "out of memory") \
	X(-EUSERS, "this process uses the arena from " DIGITS(THREADS_MAX) " threads already: let some of them end") \
	X(-EIO, "larderd went away before it answered: the write may have happened") \
	X(-ENOTCONN, "larderd is gone, nothing has changed: start it; the library attaches again by itself") \
	X(-EOVERFLOW, "the counter would leave the range of 64 bits; nothing has changed") \
	X(-EPERM, "only root and the user of larderd may do that") \
	X(-ERANGE, "the arena cannot have this size: more than size_max, or too little for its tables and index") \
	X(-EUCLEAN, "the arena is damaged: restart larderd with a new one")

const char *larder_strerror(int result)
{
	const char *text = NULL;

	switch (result) {
#define CASE(value, sentence) \
	case value: \
		return sentence;
		RESULTS(CASE)
	default:
		break;
	}
	if (result < 0 && result >= -4095)
		text = strerrordesc_np(-result);
	return text ? text : "unknown result";
}

const char *larder_version(void)
{
	return DIGITS(LARDER_VERSION_MAJOR) "." DIGITS(LARDER_VERSION_MINOR) "." DIGITS(LARDER_VERSION_PATCH);
}
