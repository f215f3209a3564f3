/* SPDX-License-Identifier: MIT */
/* Sequences of requests to a cache, made by a generator: always the same ones for the same arguments. */
#ifndef LARDER_BENCH_REQUESTS_H
#define LARDER_BENCH_REQUESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REQUEST_BYTES_MIN 16 /* of key and value */

enum request_operation { REQUEST_GET, REQUEST_SET, REQUEST_DELETE };

/* A get that misses is followed by a set of the same object, as by an application that fetches what it lacks. */
struct request {
	uint32_t key;   /* 0 .. keys - 1 */
	uint32_t bytes; /* of key and value */
	uint32_t ttl_s; /* 0: does not expire */
	uint32_t time_s;
	enum request_operation operation;
};

struct requests {
	struct request *request;
	size_t count;
	uint32_t keys;
};

/*
 * zipf-0.7, zipf-1.0: reads of keys of Zipfian popularity, of 100 to 500 bytes. scan: as zipf-1.0, but every so often a long run of keys
 * is read one after the other. ttl: as zipf-1.0, sizes and lives spread as in the caches of Twitter (Yang, Yue, Rashmi, OSDI 2020):
 * median 230 bytes, lives from a minute to a day. overwrite: three writes for each read.
 */
enum request_kind {
	REQUESTS_ZIPF_07,
	REQUESTS_ZIPF_10,
	REQUESTS_SCAN,
	REQUESTS_TTL,
	REQUESTS_OVERWRITE,
	REQUEST_KINDS
};

const char *requests_name(enum request_kind kind);

/* Return: 0 or -ENOMEM. */
int requests_make(enum request_kind kind, uint32_t keys, size_t count, struct requests *ret_requests);
void requests_destroy(struct requests *requests);

#endif
